"""What training learns from: radiographs with what is said of them, wherever they lie."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from synth.diffusion.text.conditions import Conditions

__all__ = ["Examples"]


@runtime_checkable
class Examples(Protocol):
    """Radiographs 0 … n - 1. Every method is a pure function of its arguments and may be slow: results are cached."""

    @property
    def digest(self) -> str:
        """SHA-256, in hexadecimal, of the table and of the names of what is read: caches are kept under it."""

    def __len__(self) -> int: ...

    def image(self, index: int, size: int) -> NDArray[np.uint16]:
        """The radiograph as a square (size, size), brighter = more attenuation.

        Raises:
            InputError: The file cannot be read; its name is told.
        """

    def masks(self, index: int, size: int) -> Mapping[str, NDArray[np.bool_]]:
        """Structure → mask (size, size), on the pixels of `image`; empty where nothing is annotated."""

    def structures(self) -> Mapping[str, int]:
        """Structure → in how many radiographs it is annotated; findings are "finding:" and their kind."""

    def conditions(self, index: int) -> tuple[Conditions, ...]:
        """What is to be seen, at least one phrasing: all have the same attributes and differ in the impression."""

    def patient(self, index: int) -> str:
        """Whose radiograph it is: nobody's are both trained on and validated with."""
