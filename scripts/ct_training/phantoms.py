"""CTs of phantoms to train on and to judge by, with label maps: other bodies in each part."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from cxr_training.population import NAME, mixed_population

from synth.core.errors import InterruptedRun
from synth.core.seeds import sample_generator
from synth.dataset.patients.phantoms import Phantoms
from synth.dataset.phantom_scans import PhantomJob
from synth.drr.projector import choose_backend

if TYPE_CHECKING:
    from pathlib import Path

    from synth.drr.projector import Backend

__all__ = ["job", "make"]

_TELL_S = 20.0


def job(part: str, bodies: int, *, voxel_mm: float, seed: int, device: Backend) -> PhantomJob:
    """The CTs of a part.

    Args:
        part: "data" or "held-out".
        bodies: How many.
        voxel_mm: Edge of their voxels.
        seed: Of the run.
        device: Paints.
    """
    root = int(sample_generator(seed, "ct", part).integers(2**63))
    people = Phantoms(
        bodies,
        root,
        population=mixed_population(),
        population_name=NAME,
        spacing_mm=voxel_mm,
        on_gpu=choose_backend(device) == "cuda",
    )
    return PhantomJob(people)


def make(scans: PhantomJob, folder: Path, workers: int, until: float = float("inf")) -> None:
    """Makes what is missing of a part.

    Args:
        scans: What.
        folder: Where.
        workers: Processes.
        until: When to stop, by the monotonic clock.

    Raises:
        InputError: The folder holds something else.
        InterruptedRun: Stopped in time; what is there stays.
    """
    if (folder / "dataset.json").is_file():
        return
    told = start = time.monotonic()
    for count, _ in enumerate(scans.run(folder, resume=folder.is_dir(), workers=workers), 1):
        now = time.monotonic()
        if now > until:
            raise InterruptedRun(f"{folder}: stopped in time; give the same command again with --resume")
        if now - told > _TELL_S:
            told = now
            line = f"{folder.name}: {count} made of {scans.phantoms.n}, {count / (now - start):.2g} a second"
            print(line, file=sys.stderr, flush=True)
