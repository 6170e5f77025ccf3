"""Fitted judges as .npz files: arrays, and a line of JSON for the rest; no pickle."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile

import numpy as np

from synth.core.errors import InputError
from synth.core.files import atomic_path

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

__all__ = ["load", "save"]

_VERSION = 1


def save(path: str | Path, kind: str, facts: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> None:
    """Writes a judge.

    Args:
        path: The .npz.
        kind: Which judge.
        facts: What JSON can hold.
        arrays: Numbers.

    Raises:
        InputError: The file cannot be written.
    """
    head = json.dumps({"kind": kind, "version": _VERSION, "facts": dict(facts)})
    with atomic_path(Path(path)) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, head=np.frombuffer(head.encode(), np.uint8), **arrays)  # type: ignore[arg-type]


def load(path: str | Path, kind: str) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Reads a judge: facts and arrays.

    Raises:
        InputError: The file cannot be read, or is of another kind or version.
    """
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
