"""Radiographs that cost nothing: two lungs, a heart, and fluid in the lower left lung of every second one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from synth.core.record import Finding, Mask, Record, Sample
from synth.core.seeds import sample_generator
from synth.dataset.folder import DatasetFolder

if TYPE_CHECKING:
    from pathlib import Path

EFFUSION = Finding("Pleural Effusion", "left", severity="large", kind="pleural effusion")


def film(index: int, seed: int, size: int = 32, each: int = 2) -> Sample:
    """Bodies of `each` radiographs; of each pair of bodies one is a woman, and every second radiograph shows fluid."""
    body = index // each
    rng = sample_generator(seed, index)
    v, u = np.mgrid[:size, :size] / size + rng.normal(0, 0.01)
    right, left = (np.hypot((v - 0.5) / 0.35, (u - middle) / 0.15) < 1 for middle in (0.28, 0.72))
    heart = np.hypot(v - 0.6, u - 0.55) < 0.15
    fluid = left & (v > 0.65)
    ill = index % 2 == 1
    image = 40_000 - 20_000.0 * (right | left) + 12_000 * heart + 18_000 * (fluid & ill)
    image += rng.normal(0, 1500, image.shape)
    sex, age = "FM"[body % 2], 30.0 + body
    prompt = f"{age:.0f} year old {'female' if sex == 'F' else 'male'}. " + (
        "Large left pleural effusion." if ill else "Normal chest."
    )
    record = Record(
        "PA",
        sex,
        age,
        height_cm=170.0,
        weight_kg=60.0 + body + 100 * (seed % 2),
        findings=(EFFUSION,) if ill else (),
        prompt=prompt,
    )
    masks = [Mask("lung_left", left), Mask("lung_right", right), Mask("heart", heart)]
    if ill:
        masks.append(Mask("finding:pleural effusion", fluid))
    return Sample(index, np.clip(image, 0, 65_535).astype(np.uint16), record, tuple(masks))


def write_films(root: Path, n: int, seed: int) -> Path:
    folder = DatasetFolder.open(root, {"seed": seed}, n_samples=n, resume=False)
    for index in range(n):
        folder.write(film(index, seed))
    folder.finish()
    return root
