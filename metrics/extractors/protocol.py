"""What every feature extractor offers, and how its version is told."""

from __future__ import annotations

import hashlib
import importlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from synth.core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Extractor", "file_hash", "import_optional", "source_hash", "version_hash"]


@runtime_checkable
class Extractor(Protocol):
    """Turns images into feature vectors; equal images give equal vectors, whatever the batch, up to rounding.

    Any object with these members can be used where an extractor is asked for.
    """

    @property
    def name(self) -> str:
        """What to call it in tables."""

    @property
    def dimension(self) -> int:
        """Length d of the vector of a 2D image."""

    def feature_names(self, ndim: int = 2) -> tuple[str, ...]:
        """The names of the d features of images of `ndim` axes."""

    @property
    def version_hash(self) -> str:
        """64 hexadecimal digits that change with everything that changes the vectors: weights, settings, code."""

    @property
    def batch_size(self) -> int:
        """How many images it likes at once."""

    @property
    def uses_masks(self) -> bool:
        """Whether a mask changes the vector."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of its scores must know, one line each."""

    def features(
        self,
        images: NDArray[Any],
        masks: NDArray[np.bool_] | None = None,
        spacing_mm: tuple[float, ...] | None = None,
    ) -> NDArray[np.float64]:
        """Vectors of images of one size.

        Args:
            images: (n, h, w), uint8 or uint16; volumes (n, z, y, x), where it reads them.
            masks: Of the same shape, bool.
            spacing_mm: Of volumes, along (z, y, x).

        Returns:
            (n, d).
        """


def version_hash(**parts: object) -> str:
    """SHA-256, as hexadecimal digits, of named parts that JSON can hold."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def file_hash(*paths: Path) -> str:
    """SHA-256, as hexadecimal digits, of the contents of files and their names, in order."""
    if len(paths) == 1:
        with paths[0].open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    return version_hash(files=[(path.name, file_hash(path)) for path in paths])


def source_hash(*modules: str) -> str:
    """SHA-256 of the source files of modules and packages, so that a change of code is a change of version."""
    files: list[Path] = []
    for name in modules:
        module = importlib.import_module(name)
        file = Path(str(module.__file__))
        files += sorted(file.parent.rglob("*.py")) if file.name == "__init__.py" else [file]
    return version_hash(files=[(path.name, file_hash(path)) for path in files])


def import_optional(module: str, purpose: str, distributions: Sequence[str] = ()) -> Any:
    """A module that not everyone has.

    Raises:
        InputError: It is not installed, or does not work here; names what to install.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        wanted = " ".join(distributions) or module.split(".", 1)[0]
        reason = "" if isinstance(error, ModuleNotFoundError) else f" ({error})"
        raise InputError(f"{purpose} needs {wanted}{reason}: pip install {wanted}") from error
