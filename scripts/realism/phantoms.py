"""PA radiographs of phantoms, by the code path of `synth drr --phantom`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from realism.films import LUNG_MM, Film
from synth.anatomy.labels import LOBES
from synth.anatomy.population import Population
from synth.dataset.patients.phantoms import Phantoms
from synth.dataset.radiographs.job import DrrJob

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from synth.core.record import Sample

__all__ = ["POPULATIONS", "phantom_films"]

RAW_SIDE, VOXEL_MM = 640, 2.0
"""Pixels that a picture is made from, and voxels of the phantoms."""

POPULATIONS = {"phantoms, healthy": Population.healthy, "phantoms, default": Population.default}
"""Kind of film → who is on it."""


def phantom_films(each: int, seed: int, kept: Path | None = None) -> dict[str, list[Film]]:
    """Kind → films of as many phantoms.

    Args:
        each: Phantoms of each population.
        seed: Of all that is drawn.
        kept: A .npz to read the films from; where it is missing, they are made and put there.
    """
    if kept is None or not kept.exists():
        # Seeds of their own: with one, both populations would have the same bodies.
        films = {kind: list(_made(kind, each, seed + i)) for i, kind in enumerate(POPULATIONS)}
        if kept is not None:
            _keep(films, kept)
        return films
    with np.load(kept) as found:
        return {
            kind: [
                Film(grey.astype(np.float32) / 255, "PA", "phantom", f"{kind} {i}", lungs)
                for i, (grey, lungs) in enumerate(zip(found[kind], found[f"{kind}, lungs"], strict=True))
            ]
            for kind in POPULATIONS
        }


def _made(kind: str, each: int, seed: int) -> Iterator[Film]:
    people = Phantoms(each, seed, POPULATIONS[kind](), kind, spacing_mm=VOXEL_MM)
    job = DrrJob(people, views=("pa",), shape=(RAW_SIDE, RAW_SIDE), seed=seed, raw=True)
    for sample in job.samples(range(each)):
        yield Film.of(sample.image, _lungs(sample) > LUNG_MM, "PA", "phantom", f"{kind} {sample.index}")


def _lungs(sample: Sample) -> NDArray[np.float32]:
    """(h, w) mm of lung along the rays."""
    structures = sample.arrays["structures"].tolist()
    lobes = [structures.index(lobe) for lobe in LOBES if lobe in structures]
    lungs: NDArray[np.float32] = sample.arrays["thickness"][lobes].astype(np.float32).sum(0)
    return lungs


def _keep(films: dict[str, list[Film]], path: Path) -> None:
    arrays = {kind: np.stack([np.rint(film.grey * 255).astype(np.uint8) for film in of]) for kind, of in films.items()}
    lungs = {f"{kind}, lungs": np.stack([film.lungs for film in of]) for kind, of in films.items()}
    np.savez_compressed(path, **arrays, **lungs)
