"""Radiographs of phantoms at 8 bits, with what their records say of them."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from synth.core.errors import InputError
from synth.core.seeds import sample_generator
from synth.metrics.images.subgroups import age_group
from synth.metrics.readers.phantoms import prepared

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["FRONTAL", "Films"]

FRONTAL = ("PA", "AP")
SIDES = ("right", "left")

_BODY = ("sex", "age", "height_cm", "weight_kg")


@dataclass(frozen=True, eq=False)
class Films:
    """Frontal radiographs.

    Attributes:
        images: (n, size, size) uint8.
        bodies: (n,) number of the body.
        men: (n,) bool.
        ages: Age group of each, as tables name it.
        findings: Of each, finding → "right", "left", "bilateral", or None where it has no side.
    """

    images: NDArray[np.uint8]
    bodies: NDArray[np.int64]
    men: NDArray[np.bool_]
    ages: tuple[str, ...]
    findings: tuple[dict[str, str | None], ...]

    @classmethod
    def read(cls, folders: Sequence[Path], size: int) -> Films:
        """All frontal radiographs of datasets; bodies are told apart by sex, age, height, weight and folder.

        Raises:
            InputError: A folder is no dataset, or has none.
        """
        rows = [(folder, row) for folder in folders for row in _rows(folder) if row["view"] in FRONTAL]
        if not rows:
            raise InputError(f"{', '.join(map(str, folders))}: no frontal radiographs")
        numbers: dict[tuple[str, ...], int] = {}
        keys = [(str(folder), *(row[key] for key in _BODY)) for folder, row in rows]
        return cls(
            np.stack([_image(folder / row["file_name"], size) for folder, row in rows]),
            np.array([numbers.setdefault(key, len(numbers)) for key in keys]),
            np.array([row["sex"] == "M" for _, row in rows]),
            tuple(age_group(row["age"]) for _, row in rows),
            tuple(_findings(row["findings"]) for _, row in rows),
        )

    def __len__(self) -> int:
        return len(self.images)

    def split(self, seed: int, share: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Numbers of the films to learn from, and of those of a share of the bodies, to judge by."""
        order = sample_generator(seed, "bodies").permutation(int(self.bodies.max()) + 1)
        kept = np.isin(self.bodies, order[: max(1, round(share * len(order)))])
        return np.flatnonzero(~kept), np.flatnonzero(kept)

    @cached_property
    def signs(self) -> tuple[tuple[str, str | None], ...]:
        """What there is to tell: a finding, and of which side where it has one."""
        found: dict[str, bool] = {}
        for film in self.findings:
            for name, side in film.items():
                found[name] = found.get(name, False) or side is not None
        return tuple((name, side) for name in sorted(found) for side in (SIDES if found[name] else (None,)))

    @cached_property
    def age_groups(self) -> tuple[str, ...]:
        """Those that there are."""
        return tuple(sorted(set(self.ages)))

    @cached_property
    def targets(self) -> NDArray[np.float32]:
        """(n, s): 1 where the sign is given, 0 where not; NaN where a finding that has a side is told without."""
        wanted = np.zeros((len(self), len(self.signs)), np.float32)
        for row, film in enumerate(self.findings):
            for at, (name, side) in enumerate(self.signs):
                if name in film:
                    told = film[name]
                    wanted[row, at] = np.nan if side and told is None else side is None or told in (side, "bilateral")
        return wanted


def _rows(folder: Path) -> list[dict[str, str]]:
    if not (folder / "dataset.json").is_file():
        raise InputError(f"{folder}: holds no finished dataset (dataset.json)")
    with (folder / "metadata.csv").open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def _image(path: Path, size: int) -> NDArray[np.uint8]:
    try:
        with Image.open(path) as picture:
            pixels = np.asarray(picture)
    except OSError as error:
        raise InputError(f"{path}: cannot read ({error})") from error
    return prepared(pixels.astype(np.uint8 if pixels.dtype == np.uint8 else np.uint16), size)


def _findings(cell: str) -> dict[str, str | None]:
    """Finding → side; both where two of one name are on different sides."""
    found: dict[str, str | None] = {}
    for one in json.loads(cell or "[]"):
        name, side = one["name"], one.get("laterality")
        old = found.get(name)
        found[name] = side if old is None or side == old else "bilateral" if side else old
    return found
