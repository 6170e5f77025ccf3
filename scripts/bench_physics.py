"""What the physics costs: one radiograph with all of it beside the plain monochromatic projection, in one run.

python scripts/bench_physics.py [--ct FILE] [--size N] [-o docs/benchmarks.md]

The CT of --ct where given, else the analytic thorax. Best of several runs on all cores, the volume already
prepared. Physics: two tissue channels, primary, scatter, grid, quantum and electronic noise, blur, flat field and
logarithm; the picture's processing is a line of its own, as is the plain picture's.
"""

from __future__ import annotations

import argparse
import os
import platform
import time
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from bench_drr_peers.tables import replace_section

from synth.core.reading import read_volume
from synth.drr.exposure import expose
from synth.drr.presentation import present, process
from synth.drr.projector import Projector
from synth.drr.technique import technique
from synth.drr.tissue import Calibration
from synth.drr.views import fit_camera, parse_view

if TYPE_CHECKING:
    from collections.abc import Callable

    from synth.core.volume import Volume

T = TypeVar("T")
RUNS = 15


def best(call: Callable[[], T]) -> tuple[T, float]:
    """The call's result and its shortest time of RUNS, ms."""
    result, shortest = call(), float("inf")
    for _ in range(RUNS):
        start = time.perf_counter()
        result = call()
        shortest = min(shortest, time.perf_counter() - start)
    return result, 1e3 * shortest


def load(path: Path | None) -> Volume:
    if path is not None:
        return read_volume(path)
    import numpy as np

    from synth.drr.analytic import thorax

    spacing, shape = 1.5, (260, 170, 240)
    affine = np.diag([spacing, spacing, spacing, 1.0])
    affine[:3, 3] = [-spacing * (n - 1) / 2 for n in shape[::-1]]
    return thorax().voxelise(shape, affine)[0]


def rows(volume: Volume, size: int) -> list[str]:
    start = time.perf_counter()
    body = Projector(volume, calibration=Calibration.schneider())
    prepared = 1e3 * (time.perf_counter() - start)
    plain = Projector(volume)
    lines = [
        f"Preparing the two channels: {prepared:.0f} ms.\n",
        "| preset | view | plain ms | tissue ms | exposure ms | physics / plain | processing ms | plain picture ms |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name, view in (("chest-pa", "pa"), ("chest-lateral", "lateral"), ("chest-ap-portable", "ap")):
        how = technique(name)
        camera = fit_camera(
            parse_view(view), body.outline, body.corners, (size, size), source_detector_mm=how.source_detector_mm
        )
        line, plain_ms = best(lambda camera=camera: plain.line_integrals([camera])[0])
        _, present_ms = best(lambda line=line: present(line))
        tissue, tissue_ms = best(lambda camera=camera: body.tissue_integrals([camera])[0])
        taken, expose_ms = best(
            lambda how=how, camera=camera, tissue=tissue: expose(how, camera, tissue, body.outline, seed=1)
        )
        _, process_ms = best(
            lambda how=how, camera=camera, taken=taken: process(
                taken.log_signal, taken.shadow, how.processing, pitch_mm=camera.pitch_mm[1]
            )
        )
        ratio = (tissue_ms + expose_ms) / plain_ms
        lines.append(
            f"| {name} | {view} | {plain_ms:.1f} | {tissue_ms:.1f} | {expose_ms:.1f} | {ratio:.2f} "
            f"| {process_ms:.1f} | {present_ms:.1f} |"
        )
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ct", type=Path)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("-o", "--output", type=Path)
    options = parser.parse_args()
    volume = load(options.ct)
    head = f"## Physics\n\n{platform.machine()}, {os.cpu_count()} cores. Volume: {volume.name}, {volume.shape}.\n\n"
    text = head + "Command: `python scripts/bench_physics.py`\n\n" + "\n".join(rows(volume, options.size))
    print(text)
    if options.output:
        replace_section(options.output, "bench_physics", text)


if __name__ == "__main__":
    main()
