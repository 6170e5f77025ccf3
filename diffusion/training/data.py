"""The training data of all stages: pixels, masks, words, and who trains and who validates."""

from __future__ import annotations

import fnmatch
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from synth.core.errors import InputError
from synth.core.seeds import sample_generator
from synth.diffusion.training.pixels import PixelCache

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from synth.diffusion.text.conditions import Conditions
    from synth.diffusion.training.examples import Examples

__all__ = ["STRUCTURES", "TrainingData", "choose_structures", "split"]

STRUCTURES = (
    "lung_left",
    "lung_right",
    "heart",
    "mediastinum",
    "ribs",
    "clavicles",
    "spine",
    "diaphragm",
    "finding:*",
    "object:*",
)
"""What masks are read and shown of unless a recipe says otherwise; * stands for any letters."""


@dataclass(frozen=True, eq=False)
class TrainingData:
    """A set, opened for training.

    Attributes:
        examples: The set.
        pixels: Its images and masks, decoded.
        structures: Whose masks, in the order of channels.
        train: (n,) indices of what is trained on.
        validation: (m,) indices of what is not; of patients who are in one part only.
        folder: Of caches.
        tell: Takes a line on progress.
    """

    examples: Examples
    pixels: PixelCache
    structures: tuple[str, ...]
    train: NDArray[np.int64]
    validation: NDArray[np.int64]
    folder: Path
    tell: Callable[[str], None]

    @classmethod
    def open(
        cls,
        examples: Examples,
        folder: Path,
        *,
        size: int,
        structures: Sequence[str] = (),
        rare: int = 20,
        validation: float = 0.05,
        seed: int = 0,
        tell: Callable[[str], None] = lambda line: None,
    ) -> TrainingData:
        """Splits a set and decodes what is not decoded yet.

        Args:
            examples: The set.
            folder: Of caches.
            size: Pixels of a side.
            structures: Whose masks, * standing for any letters; none: no masks are read.
            rare: Structures that fewer images show are left out.
            validation: Share of patients.
            seed: Of the split.
            tell: Takes a line on progress.

        Raises:
            InputError: See PixelCache.open; or too few patients.
        """
        chosen = choose_structures(examples, structures, rare, tell)
        pixels = PixelCache.open(folder, examples, size, chosen, tell)
        train, held_out = split([examples.patient(k) for k in range(len(examples))], validation, seed)
        return cls(examples, pixels, chosen, train, held_out, folder, tell)

    @cached_property
    def conditions(self) -> list[tuple[Conditions, ...]]:
        """Every example's, all phrasings."""
        return [self.examples.conditions(index) for index in range(len(self.examples))]


def choose_structures(
    examples: Examples, wanted: Sequence[str], rare: int, tell: Callable[[str], None]
) -> tuple[str, ...]:
    """The structures of a set that one of the patterns means and that enough images show.

    What is seen of an object ("object:…:visible") is left to patterns that say so.

    Raises:
        InputError: There is none.
    """
    if not wanted:
        return ()
    counts = examples.structures()
    meant = [name for name in sorted(counts) if any(_means(pattern, name) for pattern in wanted)]
    dropped = [f"{name} ({counts[name]})" for name in meant if counts[name] < rare]
    if dropped:
        tell(f"masks left out, as fewer than {rare} images show them: {', '.join(dropped)}")
    kept = tuple(name for name in meant if counts[name] >= rare)
    if not kept:
        shown = ", ".join(sorted(counts)[:8])
        raise InputError(
            f"structures: {rare} images of none of {', '.join(wanted)}; the data has {shown or 'no masks'}"
        )
    return kept


def split(patients: Sequence[str], share: float, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Indices to train on and indices to validate with; each patient, drawn by name, is in one of them.

    Raises:
        InputError: Fewer than two patients.
    """
    names = sorted(set(patients))
    if len(names) < 2:
        raise InputError("data: one patient only; validation needs a second one")
    draws = {name: sample_generator(seed, name, "split").random() for name in names}
    count = min(max(1, round(share * len(names))), len(names) - 1)
    held_out = set(sorted(names, key=draws.__getitem__)[:count])
    inside = np.array([patient in held_out for patient in patients])
    return np.flatnonzero(~inside), np.flatnonzero(inside)


def _means(pattern: str, name: str) -> bool:
    hidden = name.endswith(":visible") and not pattern.endswith(":visible")
    return not hidden and fnmatch.fnmatchcase(name, pattern)
