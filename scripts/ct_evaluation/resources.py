"""Peak memory and time of one CT at several sizes, each in a process of its own."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cxr_evaluation.study import Part

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ct_evaluation.study import Study

__all__ = ["measured_here", "resources"]

_SCRIPT = Path(__file__).resolve().parents[1] / "evaluate_ct.py"


def resources(study: Study, sizes: Sequence[str], device: str) -> Part:
    """A table a size; a size that does not succeed is told of with the last line of what it said."""
    part, lines = Part(), []
    for size in sizes:
        command = [sys.executable, str(_SCRIPT), study.name, "--measure", size, "--device", device]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["nothing"])[-1]
            lines.append([size, "–", "–", last])
            part.values[size] = {"failed": last}
            continue
        found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        part.values[size] = found
        gpu = found.get("gpu_gb")
        lines.append([size, f"{found['peak_gb']:.2f}", f"{found['seconds']:.1f}", "" if gpu is None else f"{gpu:.2f}"])
    part.add("One CT with its masks", ["voxels (z, y, x)", "peak memory, GB", "seconds", "of the GPU, GB"], lines)
    part.notes.append("Memory is the process's largest resident set, Python and torch among it.")
    return part


def measured_here(study: Study, size: tuple[int, int, int]) -> dict[str, float]:
    """Draws one CT: seconds, the largest resident set of this process so far, and the GPU's memory there."""
    import torch

    from synth.diffusion.ct.generate import Asked, generate

    settings = replace(study.settings, size=size)
    model, start = study.model, time.perf_counter()
    for made in generate(model, Asked(["60 year old WHITE female. Normal chest."], [study.seed]), settings):
        assert made.drawn.hu.shape == size
    found = {
        "seconds": time.perf_counter() - start,
        "peak_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9,
    }
    used = torch.cuda.is_available() and torch.cuda.max_memory_allocated()
    return found | ({"gpu_gb": used / 1e9} if used else {})
