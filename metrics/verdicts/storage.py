"""Fitted judges as .npz files: arrays, and a line of JSON for the rest; no pickle."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar
from zipfile import BadZipFile

import numpy as np

from synth.core.errors import InputError
from synth.core.files import atomic_path

if TYPE_CHECKING:
    from typing import Self

    from numpy.typing import NDArray

__all__ = ["Stored"]

_VERSION = 1


class Stored:
    """A dataclass of arrays and of what JSON can hold, that is saved and loaded.

    Attributes:
        kind: Which judge; a file of another kind is refused.
    """

    kind: ClassVar[str]

    def save(self, path: str | Path) -> None:
        """Writes an .npz.

        Raises:
            InputError: The file cannot be written.
        """
        values = {field.name: getattr(self, field.name) for field in fields(self)}  # type: ignore[arg-type]
        arrays = {name: value for name, value in values.items() if isinstance(value, np.ndarray)}
        facts = {name: value for name, value in values.items() if name not in arrays}
        head = json.dumps({"kind": self.kind, "version": _VERSION, "facts": facts})
        with atomic_path(Path(path)) as temporary, temporary.open("wb") as file:
            np.savez_compressed(file, head=np.frombuffer(head.encode(), np.uint8), **arrays)  # type: ignore[arg-type]

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Reads `save`'s file.

        Raises:
            InputError: It cannot be read, or is something else.
        """
        facts, arrays = _read(path, cls.kind)
        lists = {name: tuple(value) for name, value in facts.items() if isinstance(value, list)}
        return cls(**(facts | lists | arrays))


def _read(path: str | Path, kind: str) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Facts and arrays."""
    try:
        with Path(path).open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            arrays = dict(file)
        head = json.loads(arrays.pop("head").tobytes())
        found, version, facts = head["kind"], head["version"], dict(head["facts"])
    except (OSError, ValueError, TypeError, KeyError, EOFError, BadZipFile) as error:
        raise InputError(f"{path}: cannot read a saved judge ({error}); fit and save it again") from error
    if (found, version) != (kind, _VERSION):
        raise InputError(f"{path}: holds {found} version {version}, not {kind} version {_VERSION}; fit it again")
    return facts, arrays
