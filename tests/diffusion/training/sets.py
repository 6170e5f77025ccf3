"""A small dataset folder of shapes, and settings of networks that train in a second."""

from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image
from pycocotools import mask as rle

from synth.diffusion.training.autoencoder import AutoencoderModel, AutoencoderSettings
from synth.diffusion.training.control import ControlSettings
from synth.diffusion.training.data import TrainingData
from synth.diffusion.training.denoiser import DenoiserModel, DenoiserSettings, Texts
from synth.diffusion.training.folder import DatasetExamples
from synth.diffusion.training.masks import MaskModel, MaskSettings

if TYPE_CHECKING:
    from pathlib import Path

SIZE = 32
N = 24
NAMES = ("heart", "finding:mass")
MODEL = AutoencoderModel(latent_channels=4, widths=(8, 16), blocks=(1, 1))
SOON = {"log_every": 2, "validate_every": 3, "sample_every": 4, "save_every": 2, "warmup": 1}

AUTOENCODER = AutoencoderSettings(model=MODEL, steps=6, batch=4, **SOON)
DENOISER = DenoiserSettings(
    model=DenoiserModel(width=16, depth=2, heads=2),
    text=Texts(width=16, depth=1, heads=2, vocabulary=300),
    steps=6,
    batch=4,
    picture_steps=2,
    **SOON,
)
MASKS = MaskSettings(model=MaskModel(width=16, blocks=1), steps=6, batch=4, **SOON)
CONTROL = ControlSettings(depth=1, steps=4, batch=4, picture_steps=2, **SOON)


def write_set(root: Path, n: int = N, size: int = SIZE) -> Path:
    """Discs on a gradient, the larger half with a square as the finding; three radiographs of each body."""
    (root / "images" / "00").mkdir(parents=True)
    (root / "masks").mkdir()
    rows, images, annotations = [], [], []
    v, u = np.mgrid[:size, :size]
    for index in range(n):
        name = f"images/00/{index:08d}.png"
        heart = (v - size / 2) ** 2 + (u - size / 2 + index % 5) ** 2 < (size * (0.2 + 0.01 * (index % 7))) ** 2
        mass = (abs(v - size / 4) < 4) & (abs(u - size / 4) < 4) & bool(index % 2)
        image = 8000 + 200 * u + 30000 * heart + 20000 * mass
        Image.fromarray(image.astype(np.uint16)).save(root / name)
        images.append({"id": index + 1, "file_name": name, "width": size, "height": size})
        for place, mask in enumerate((heart, mass), start=1):
            if mask.any():
                run = rle.encode(np.asfortranarray(mask.astype(np.uint8)))
                segmentation = {"size": [size, size], "counts": run["counts"].decode()}
                annotations.append({"image_id": index + 1, "category_id": place, "segmentation": segmentation})
        said = "Small mass." if index % 2 else "Normal chest."
        sex = "FM"[index // 3 % 2]
        rows.append(
            {
                "file_name": name,
                "view": "PA",
                "sex": sex,
                "age": 40 + index // 3,
                "race": "",
                "height_cm": 170,
                "weight_kg": 60 + index // 3,
                "report": f"FINDINGS: None.\n\nIMPRESSION: {said[:-1]} again.",
                "prompt": f"{40 + index // 3} year old {'female' if sex == 'F' else 'male'}. {said}",
            }
        )
    with (root / "metadata.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    categories = [{"id": place, "name": name} for place, name in enumerate(NAMES, start=1)]
    content = {"images": images, "categories": categories, "annotations": annotations}
    (root / "masks" / "annotations.json").write_text(json.dumps(content))
    (root / "dataset.json").write_text("{}")
    return root


def opened(root: Path, cache: Path) -> TrainingData:
    examples = DatasetExamples.open(root)
    return TrainingData.open(examples, cache, size=SIZE, structures=("heart", "finding:*"), rare=5, validation=0.25)
