"""Radiographs of a label table, as examples to learn from."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from synth.core.errors import InputError
from synth.diffusion.training.layouts.pictures import FITS, read_grey, square
from synth.diffusion.training.layouts.tables import patient_of
from synth.diffusion.training.layouts.wording import conditions_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from synth.diffusion.text.conditions import Conditions
    from synth.diffusion.training.layouts.tables import Row

__all__ = ["Entry", "LayoutExamples"]


@dataclass(frozen=True)
class Entry:
    """One radiograph of a layout.

    Attributes:
        name: What to call it in messages, and what the digest counts.
        row: What its tables say of it.
        source: Its file, what gives the bytes of one, or None where there is none.
        report: The file of its report, if there is one.
    """

    name: str
    row: Row
    source: Path | Callable[[], bytes] | None
    report: Path | None = None


class LayoutExamples:
    """`synth.diffusion.training.examples.Examples` of radiographs without masks.

    Args:
        entries: The radiographs.
        words: Key of the column of words, or nothing: see `wording.conditions_of`.
        fit: How they become square, one of `pictures.FITS`.

    Raises:
        InputError: None there, or an unknown fit.
    """

    def __init__(self, entries: Sequence[Entry], *, words: str = "", fit: str = "pad") -> None:
        if fit not in FITS:
            raise InputError(f"fit {fit!r}: use {' or '.join(FITS)}")
        if not entries:
            raise InputError("no radiographs to learn from")
        self._entries, self._words, self._fit = entries, words, fit

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def digest(self) -> str:
        """SHA-256 of names, rows and choices."""
        found = hashlib.sha256(f"{self._words} {self._fit}\n".encode())
        for entry in self._entries:
            found.update(json.dumps([entry.name, entry.row], sort_keys=True).encode() + b"\n")
        return found.hexdigest()

    def image(self, index: int, size: int) -> NDArray[np.uint16]:
        """The radiograph, (size, size)."""
        entry = self._entries[index]
        if entry.source is None:
            raise InputError(f"{entry.name}: no such file")
        source = entry.source if isinstance(entry.source, Path) else entry.source()
        return square(read_grey(source, entry.name), size, self._fit)

    def masks(self, index: int, size: int) -> Mapping[str, NDArray[np.bool_]]:
        """None."""
        return {}

    def structures(self) -> Mapping[str, int]:
        """None."""
        return {}

    def conditions(self, index: int) -> tuple[Conditions, ...]:
        """What is to be seen, in each phrasing."""
        entry = self._entries[index]
        report = entry.report.read_text("utf-8", "replace") if entry.report else ""
        return conditions_of(entry.row, self._words, report)

    def patient(self, index: int) -> str:
        """By the table; a radiograph of which none tells is of a patient of its own."""
        entry = self._entries[index]
        return patient_of(entry.row) or entry.name
