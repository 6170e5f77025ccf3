"""A small dataset folder of bodies made of boxes, and settings of networks that train in a second."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

import numpy as np

from synth.core.volume import Labels, Volume
from synth.core.writing import write_labels, write_volume
from synth.diffusion.training.ct.autoencoder import CtAutoencoderModel, CtAutoencoderSettings
from synth.diffusion.training.ct.base import BaseModel, BaseSettings
from synth.diffusion.training.ct.control import CtControlSettings
from synth.diffusion.training.ct.files import CtSource
from synth.diffusion.training.ct.refiner import RefinerModel, RefinerSettings
from synth.diffusion.training.ct.volumes import CtData
from synth.diffusion.training.denoiser import Texts

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

SIZE, SPACING = 16, 8.0
N = 6
LABELS = {1: "lung_upper_lobe_left", 2: "lung_upper_lobe_right", 3: "heart", 4: "vertebrae_T5"}
PARTS = {1: "airway_lumen", 2: "lung_artery"}

SOON = {"log_every": 1, "validate_every": 2, "sample_every": 3, "save_every": 2, "warmup": 1, "batch": 2}
AUTOENCODER = CtAutoencoderSettings(
    model=CtAutoencoderModel(latent_channels=4, widths=(16,), blocks=(1,)), patch=16, steps=4, **SOON
)
BASE = BaseSettings(
    model=BaseModel(width=16, depth=2, heads=2),
    text=Texts(width=16, depth=1, heads=2, vocabulary=300),
    steps=3,
    picture_steps=1,
    **SOON,
)
REFINER = RefinerSettings(
    model=RefinerModel(width=8, inner=8, blocks=(1, 0, 1), signal=8), tile=4, steps=3, picture_steps=1, **SOON
)
CONTROL = CtControlSettings(depth=1, steps=3, picture_steps=1, **SOON)


def body(index: int, side: int = 40) -> tuple[NDArray[np.int16], NDArray[np.uint8], NDArray[np.uint8]]:
    """HU, labels and parts (side, side, side): a box of soft tissue, two lungs, a heart and a spine; it varies."""
    hu = np.full((side,) * 3, -1000, np.int16)
    labels, parts = np.zeros(hu.shape, np.uint8), np.zeros(hu.shape, np.uint8)
    hu[4:-4, 6:-6, 4:-4] = 40
    grown = index % 3
    for label, box in ((2, np.s_[8:30, 12:28, 7 : 15 + grown]), (1, np.s_[8:30, 12:28, 23 : 33 - grown])):
        hu[box], labels[box] = -800, label
    heart, spine = np.s_[10 : 18 + grown, 14:22, 17:22], np.s_[4:-4, 29:33, 17:23]
    hu[heart], labels[heart] = 60, 3
    hu[spine], labels[spine] = 600, 4
    windpipe, vessel = np.s_[18:34, 20:24, 18:22], np.s_[18:22, 18:22, 8:14]
    hu[windpipe], parts[windpipe] = -990, 1
    hu[vessel], parts[vessel] = 30, 2
    return hu, labels, parts


def affine_of(side: int, edge: float = SPACING / 2) -> NDArray[np.float64]:
    """About the origin."""
    affine = np.diag([edge, edge, edge, 1.0])
    affine[:3, 3] = -(side - 1) / 2 * edge
    return affine


def write_set(root: Path, n: int = N) -> Path:
    """A dataset of ours, every other CT with a mass."""
    rows = []
    for index in range(n):
        hu, labels, parts = body(index)
        affine, stem = affine_of(len(hu)), f"00/{index:08d}"
        if index % 2:
            hu[24:28, 14:18, 25:29] = 50
            mass = np.zeros(hu.shape, np.uint8)
            mass[24:28, 14:18, 25:29] = 1
            write_labels(root / f"masks/{stem}_findings.nii.gz", Labels(mass, affine, {1: "mass"}))
        write_volume(root / f"volumes/{stem}.nii.gz", Volume(hu, affine))
        write_labels(root / f"masks/{stem}_total.nii.gz", Labels(labels, affine, LABELS))
        write_labels(root / f"masks/{stem}_parts.nii.gz", Labels(parts, affine, PARTS))
        said = "Small mass." if index % 2 else "Normal chest."
        sex = "FM"[index % 2]
        rows.append(
            {
                "file_name": f"volumes/{stem}.nii.gz",
                "view": "CT",
                "sex": sex,
                "age": 40 + index,
                "height_cm": 170,
                "weight_kg": 60 + index,
                "prompt": f"{40 + index} year old {'female' if sex == 'F' else 'male'}. {said}",
            }
        )
    with (root / "metadata.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    (root / "dataset.json").write_text("{}")
    return root


def opened(root: Path, cache: Path) -> CtData:
    examples = CtSource(path=str(root)).open()
    return CtData.open(examples, cache, size=SIZE, spacing=SPACING, finer=1, validation=0.34)
