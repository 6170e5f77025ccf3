"""Radiographs of phantoms to train on and to judge by; each view is of other bodies, as a posture costs a body."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cxr_training.population import NAME, mixed_population
from synth.core.errors import InterruptedRun
from synth.core.seeds import sample_generator
from synth.dataset.patients.phantoms import Phantoms
from synth.dataset.radiographs.job import DrrJob
from synth.drr.projector import choose_backend

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from synth.drr.projector import Backend

__all__ = ["Films", "folders", "make"]

TELL_S = 20.0


@dataclass(frozen=True)
class Films:
    """Radiographs of one view.

    Attributes:
        view: "pa", "ap" or "lateral".
        bodies: How many.
        each: Radiographs of each body, in a pose and by a technique of their own.
    """

    view: str
    bodies: int
    each: int

    def job(self, part: str, *, size: int, voxel_mm: float, seed: int, device: Backend) -> DrrJob:
        """The job of this view.

        Args:
            part: "data" or "held-out": bodies, poses and all else are others in each.
            size: Pixels of a side.
            voxel_mm: Of the bodies.
            seed: Of the run.
            device: Paints and projects.
        """
        backend = choose_backend(device)
        root = int(sample_generator(seed, self.view, part).integers(2**63))
        people = Phantoms(
            self.bodies,
            root,
            population=mixed_population(),
            population_name=NAME,
            spacing_mm=voxel_mm,
            masks="groups",
            on_gpu=backend == "cuda",
        )
        return DrrJob(
            people,
            views=(self.view,),
            poses=self.each,
            shape=(size, size),
            preset="random",
            seed=root,
            backend=backend,
        )


def folders(out: Path, part: str, films: Sequence[Films]) -> list[Path]:
    """Where the radiographs of a part lie."""
    return [out / part / one.view for one in films]


def make(
    out: Path,
    part: str,
    films: Sequence[Films],
    *,
    size: int,
    voxel_mm: float,
    seed: int,
    device: Backend,
    workers: int,
    until: float = float("inf"),
) -> None:
    """Makes what is missing of a part.

    Args:
        out: The run's folder.
        part: "data" or "held-out".
        films: What.
        size: Pixels of a side.
        voxel_mm: Of the bodies.
        seed: Of the run.
        device: Paints and projects.
        workers: Processes.
        until: When to stop, by the monotonic clock.

    Raises:
        InputError: A folder holds something else.
        InterruptedRun: Stopped in time; what is there stays.
    """
    for one, folder in zip(films, folders(out, part, films), strict=True):
        if (folder / "dataset.json").is_file():
            continue
        job = one.job(part, size=size, voxel_mm=voxel_mm, seed=seed, device=device)
        told = start = time.monotonic()
        for count, _ in enumerate(_run(job, folder, workers), 1):
            now = time.monotonic()
            if now > until:
                raise InterruptedRun(f"{folder}: stopped in time; give the same command again with --resume")
            if now - told > TELL_S:
                told = now
                print(f"{part}/{one.view}: {count} made of {job.n_samples}, {count / (now - start):.2g} a second",
                      file=sys.stderr, flush=True)  # fmt: skip


def _run(job: DrrJob, folder: Path, workers: int) -> Iterator[int]:
    return job.run(folder, resume=folder.is_dir(), image_format="png", workers=workers)
