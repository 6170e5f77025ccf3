"""Phantoms to look at: frontal and lateral radiographs of various persons, with findings and with masks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from overlay import tint
from PIL import Image

from synth.anatomy.population import Population
from synth.anatomy.reports import parse
from synth.dataset.patients.phantoms import Phantoms
from synth.dataset.radiographs.job import DrrJob

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["people_sheet"]

PEOPLE = (
    ("M", 34, ""),
    ("F", 58, ""),
    ("M", 71, "moderate right pleural effusion"),
    ("F", 46, "large left pneumothorax"),
)
"""Sex, age and findings, in the order of the columns."""

SHOWN = {"lung_left": 0.52, "lung_right": 0.58, "trachea": 0.75, "finding": 0.15}
"""Masks by the beginning of their names, each with its hue; parts of the heart and of the lungs are left out."""

LATERALS = 2  # columns whose second picture is the lateral; the others' second one has the masks


def people_sheet(path: Path, side: int, seed: int) -> None:
    """Two rows of pictures: frontal ones; below, laterals of the first two and masks of the others.

    Args:
        path: Where to put the picture.
        side: Pixels of one radiograph.
        seed: Of all that is drawn.
    """
    columns = [_column(number, side, seed) for number in range(len(PEOPLE))]
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.concatenate(columns, axis=1) & 0xFC).save(path, optimize=True)  # 6 bits: half the file


def _column(number: int, side: int, seed: int) -> NDArray[np.uint8]:
    """(2 · side, side, 3)."""
    sex, age, text = PEOPLE[number]
    found = parse(text).findings if text else ()
    people = Phantoms(1, seed + number, Population.healthy(), sex=sex, ages=(age, age), findings=found, spacing_mm=1.5)
    views = ("pa", "lateral") if number < LATERALS else ("pa",)
    made = DrrJob(people, views=views, shape=(side, side), seed=seed).samples(range(len(views)))
    samples = sorted(made, key=lambda sample: sample.index)
    greys = [(sample.image >> 8).astype(np.uint8) for sample in samples]
    pictures = [np.repeat(grey[..., None], 3, 2) for grey in greys]
    if number >= LATERALS:
        masks = {mask.name: mask.array for mask in samples[0].masks if mask.name.split(":")[0] in SHOWN}
        pictures.append(tint(greys[0], masks, SHOWN))
    return np.concatenate(pictures)
