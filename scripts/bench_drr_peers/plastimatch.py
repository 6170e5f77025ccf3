"""plastimatch, a program: its world is LPS, its integrals are in centimetres."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bench_drr_peers.measure import Call
from bench_drr_peers.scene import LPS, PITCH, SDD, SID, SIZE, Scene, View

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench_drr_peers.projector import Make


def version() -> str | None:
    if not shutil.which("plastimatch"):
        return None
    said = subprocess.run(["plastimatch", "--version"], capture_output=True, text=True, check=False).stdout
    return said.split()[-1]


def plastimatch(algorithm: str) -> Make:
    def make(scene: Scene, view: View) -> Callable[[], Call]:
        volume = _write_lps(scene)
        stem = scene.folder / f"plastimatch_{algorithm}_{view.name}_"
        numbers = {"-r": [SIZE, SIZE], "-z": [SIZE * PITCH] * 2, "--sad": [SID], "--sid": [SDD], "-o": [0, 0, 0]}
        numbers |= {"-n": list(-view.beam * LPS), "--vup": list(-view.v * LPS)}
        options = [
            part for key, values in numbers.items() for part in (key, " ".join(f"{value:.12g}" for value in values))
        ]
        fixed = ["-A", "cpu", "-i", algorithm, "-P", "none", "-t", "pfm", "-O", str(stem)]
        return lambda: _run_plastimatch(["plastimatch", "drr", *fixed, *options, str(volume)], Path(f"{stem}0000.pfm"))

    return make


def _write_lps(scene: Scene) -> Path:
    import SimpleITK

    path = scene.folder / "mu_lps.mha"
    if not path.exists():
        image = SimpleITK.GetImageFromArray(np.ascontiguousarray(scene.mu[:, ::-1, ::-1]))
        image.SetSpacing([float(mm) for mm in scene.spacing])
        image.SetOrigin([float(mm) for mm in scene.origin])
        SimpleITK.WriteImage(image, str(path))
    return path


def _run_plastimatch(command: list[str], result: Path) -> Call:
    """Times by the program's own clock, without reading and writing; the CPU's time likewise."""
    start = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        said = process.stdout.read() if process.stdout else ""
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    wall = time.perf_counter() - start
    if process.returncode:
        raise RuntimeError(f"plastimatch ended with {process.returncode}: {said[-300:]}")
    total, io = (float(re.search(rf"{what} time: ([\d.e+-]+)", said)[1]) for what in ("Total", "I/O"))  # type: ignore[index]
    projecting = total - io
    cpu = max(projecting, usage.ru_utime + usage.ru_stime - (wall - projecting))
    image = 10 * np.fromfile(result, "<f4", offset=result.stat().st_size - 4 * SIZE * SIZE).reshape(SIZE, SIZE)
    return Call(image, projecting, cpu, usage.ru_maxrss / 1024)
