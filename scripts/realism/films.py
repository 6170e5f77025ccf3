"""Pictures to be compared, and the real ones."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Grey = NDArray[np.float32]
    Mask = NDArray[np.bool_]

__all__ = ["DATA", "LUNG_MM", "SIDE", "Box", "Film", "real_films"]

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
SIDE = 320  # short side of a picture
LUNG_MM = 25.0  # thickness along a ray from which it counts as lung, more than trachea


@dataclass(frozen=True, eq=False)
class Film:
    """A picture to be compared: `grey` (h, w) from 0 to 1, the lungs where known."""

    grey: Grey
    view: str
    split: str = ""
    patient: str = ""
    lungs: Mask | None = None

    @classmethod
    def of(cls, picture: NDArray[np.uint16], lungs: Mask, view: str, split: str, patient: str) -> Film:
        """A picture of ours: its short side made 320 pixels, in 8 bits as the real ones."""
        h, w = picture.shape
        scale = SIDE / min(h, w)
        size = (round(w * scale), round(h * scale))
        small = Image.fromarray(picture.astype(np.float32)).resize(size, Image.Resampling.LANCZOS)
        grey = np.rint(np.clip(np.asarray(small) / 65535, 0, 1) * 255) / 255
        return cls(grey.astype(np.float32), view, split, patient, np.asarray(Image.fromarray(lungs).resize(size)))

    @property
    def square(self) -> Grey:
        """The middle square, (320, 320)."""
        top, left = ((n - SIDE) // 2 for n in self.grey.shape)
        return self.grey[top : top + SIDE, left : left + SIDE]


@dataclass(frozen=True)
class Box:
    """Where the lungs are: (h, w) of the picture and the first and the last row and column, the last excluded."""

    shape: tuple[int, int]
    top: int
    bottom: int
    left: int
    right: int

    @classmethod
    def of(cls, mask: Mask) -> Box:
        """The box around a mask."""
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        return cls(mask.shape, rows[0], rows[-1] + 1, columns[0], columns[-1] + 1)

    @property
    def size(self) -> tuple[int, int]:
        """(h, w) of the lungs, pixels."""
        return self.bottom - self.top, self.right - self.left

    @property
    def margins(self) -> NDArray[np.float64]:
        """(4,): top, bottom, left, right as shares of the lungs' height or width."""
        (h, w), (height, width) = self.shape, self.size
        return np.array([self.top / height, (h - self.bottom) / height, self.left / width, (w - self.right) / width])


def real_films(folder: Path) -> list[Film]:
    """Frontal radiographs of adults, and of patients whose age is not stated in a collection of adults."""
    films = []
    with (folder / "metadata.csv").open(newline="", encoding="utf-8") as stream:
        for row in csv.DictReader(stream):
            if row["age"] and float(row["age"]) < 18:
                continue
            grey = np.asarray(Image.open(folder / row["file_name"]).convert("L"), np.float32) / 255
            lungs = np.asarray(Image.open(folder / row["lung_mask"])) > 0 if row["lung_mask"] else None
            films.append(Film(grey, row["view"][:2], row["split"], row["patient_id"], lungs))
    return films
