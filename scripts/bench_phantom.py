"""What a phantom costs, and how many radiographs of phantoms an hour gives.

    python scripts/bench_phantom.py -o docs/benchmarks.md

Bodies: plan, painting by part and texture of 256×256×192 voxels of 1.5 mm and of 128×128×128 of 3 mm; best and median
of several runs on all cores, each size in a process of its own whose peak memory is told. Painting part by part is
slower than all at once: the split is that of a run of its own.

Radiographs: the training set of scripts/make_training_set.py, a small one from start to end, extrapolated; and where
its processor time goes, by part, from a run with one thread.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import resource
import statistics
import tempfile
import threading
import time
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench_drr import machine
from bench_drr_peers.tables import replace_section
from bench_drr_peers.tasks import run_task
from make_training_set import VIEWS, duration, training_job

from synth.anatomy.patient import Patient
from synth.anatomy.person import draw_person
from synth.anatomy.phantom import Phantom, phantom
from synth.core.seeds import sample_generator
from synth.dataset.folder import DatasetFolder
from synth.dataset.patients.phantoms import Phantoms
from synth.dataset.radiographs import case
from synth.dataset.radiographs.case import Case
from synth.drr.assembly import Assembly
from synth.drr.projector import Projector

if TYPE_CHECKING:
    from collections.abc import Callable

SIZES = {"256×256×192 at 1.5 mm": ((192, 256, 256), 1.5), "128×128×128 at 3 mm": ((128, 128, 128), 3.0)}
WHOLE = 50_000
PARTS = {
    "plan of the body": (Patient, "phantom"),
    "painting and texture": (Phantom, "voxelise"),
    "findings and the rest of the scan": (Patient, "scan"),
    "maps of groups, records": (Phantoms, "read"),
    "preparing the projection": (Case, "__init__"),
    "tissue projection": (Projector, "tissue_integrals"),
    "projection of masks": (Projector, "thickness"),
    "objects": (Assembly, "object_lengths"),
    "masks of objects": (Assembly, "object_masks"),
    "exposure": (case, "expose"),
    "processing": (case, "process"),
    "reports, masks, the rest of a sample": (Case, "sample"),
    "writing": (DatasetFolder, "write"),
}
"""Part → what is timed; a call within a call counts for its own part only."""


def main() -> None:
    options = parse_arguments()
    if options.task:
        print(json.dumps(TASKS[options.task](options)))
        return
    text = report(options)
    print(text)
    if options.output:
        replace_section(options.output, "bench_phantom", f"## Phantoms\n\n{text}")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, metavar="N", default=5, help="runs of each size (5)")
    parser.add_argument("--bodies", type=int, metavar="N", default=8, help="of the measured training set (8)")
    parser.add_argument("--each", type=int, metavar="N", default=25, help="radiographs of each (25)")
    parser.add_argument("--views", default=VIEWS, help=f"of the training set ({VIEWS})")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="of the training set (auto)")
    parser.add_argument("--workers", type=int, metavar="N", default=len(os.sched_getaffinity(0)), help="its processes")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="Markdown file to put the section into")
    parser.add_argument("--task", choices=TASKS, help=argparse.SUPPRESS)
    parser.add_argument("--size", choices=SIZES, help=argparse.SUPPRESS)
    return parser.parse_args()


def report(options: argparse.Namespace) -> str:
    """The section."""
    load = os.getloadavg()[0]
    bodies = {size: task("body", options, "--size", size) for size in SIZES}
    whole, split = task("training-set", options), task("split", options, SYNTH_THREADS="1")
    arguments = f"--repeat {options.repeat} --bodies {options.bodies} --each {options.each} --views {options.views}"
    hours = WHOLE * whole["seconds"] / whole["radiographs"] / 3600
    return "\n\n".join(
        [
            f"{machine()}. Load when it began: {load:.1f}.",
            f"Command: `python scripts/bench_phantom.py {arguments} --device {options.device}`",
            "### One body",
            body_table(bodies),
            "Painting by part, seconds:",
            split_table({size: row["parts"] for size, row in bodies.items()}),
            "### Training set",
            f"{whole['radiographs']} radiographs of 256² pixels of {options.bodies} bodies of 2.5 mm voxels, "
            f"{options.workers} workers, on {whole['backend']}: {whole['seconds']:.0f} s from start to end, "
            f"{3600 * whole['radiographs'] / whole['seconds']:.0f} an hour; {WHOLE:,} would take "
            f"{duration(3600 * hours)}. Peak memory of the largest process: {whole['megabytes']:.0f} MB.",
            f"Processor time of a radiograph by part, one thread, {split['radiographs']} radiographs of "
            f"{split['bodies']} bodies:",
            cost_table(split),
        ]
    )


def task(name: str, options: argparse.Namespace, *arguments: str, **environment: str) -> dict[str, Any]:
    """The result of one task, in a process of its own."""
    names = ("repeat", "bodies", "each", "views", "device", "workers")
    given = [text for option in names for text in (f"--{option}", str(getattr(options, option)))]
    return run_task(__file__, name, *given, *arguments, **environment)


def body(options: argparse.Namespace) -> dict[str, Any]:
    """Plans and paints one body several times."""
    shape, spacing = SIZES[options.size]
    person = draw_person(sample_generator(0, "bench"))
    plans, paints = [], []
    for _ in range(options.repeat + 1):  # the first run loads compiled code
        start = time.perf_counter()
        planned = phantom(person, 0, "bench", supine=True, arms_up=True)
        between = time.perf_counter()
        planned.voxelise(spacing_mm=spacing, shape=shape)
        plans.append(between - start)
        paints.append(time.perf_counter() - between)
    peak = peak_megabytes()
    clock: dict[str, float] = {}
    start = time.perf_counter()
    planned.voxelise(spacing_mm=spacing, shape=shape, clock=clock)
    clock["texture, whole HU"] = time.perf_counter() - start - sum(clock.values())
    return {"plan": plans[1:], "paint": paints[1:], "parts": clock, "megabytes": peak}


def training_set(options: argparse.Namespace) -> dict[str, Any]:
    """Makes a small training set."""
    job = training_job(options.bodies, options.each, views=options.views, device=options.device)
    start = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="bench_phantom_") as folder:
        made = sum(1 for _ in job.run(Path(folder) / "set", resume=False, image_format="png", workers=options.workers))
        seconds = time.perf_counter() - start
    return {"radiographs": made, "seconds": seconds, "backend": job.backend, "megabytes": peak_megabytes()}


def split(options: argparse.Namespace) -> dict[str, Any]:
    """Where processor time goes, ms a radiograph: two bodies, after one that loads compiled code."""
    job = training_job(3, options.each, views=options.views, device=options.device)
    spent: dict[str, float] = defaultdict(float)
    with tempfile.TemporaryDirectory(prefix="bench_phantom_") as folder:
        dataset = DatasetFolder.open(Path(folder) / "set", job.recipe(), n_samples=job.n_samples, resume=False)
        for sample in job.samples(range(options.each)):
            dataset.write(sample)
        stopwatch(spent)
        for sample in job.samples(range(options.each, 3 * options.each)):
            dataset.write(sample)
    n = 2 * options.each
    return {"parts": {part: 1e3 * spent[part] / n for part in PARTS}, "radiographs": n, "bodies": 2}


def stopwatch(spent: dict[str, float]) -> None:
    """Has every call of PARTS add its processor time, without that of those within it."""
    inner = threading.local()

    def timed(call: Callable[..., Any], part: str) -> Callable[..., Any]:
        @functools.wraps(call)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            outside, inner.seconds = getattr(inner, "seconds", 0.0), 0.0
            start = time.thread_time()
            try:
                return call(*args, **kwargs)
            finally:
                took = time.thread_time() - start
                spent[part] += took - inner.seconds
                inner.seconds = outside + took

        return wrapper

    for part, (owner, name) in PARTS.items():
        setattr(owner, name, timed(getattr(owner, name), part))


def peak_megabytes() -> float:
    """Peak memory of this process, or of the largest it has waited for."""
    return max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)) / 1024


def body_table(bodies: dict[str, dict[str, Any]]) -> str:
    lines = [
        "| voxels | plan best s | median | painting and texture best s | median | both best s | peak MB |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for size, row in bodies.items():
        both = [plan + paint for plan, paint in zip(row["plan"], row["paint"], strict=True)]
        cells = (min(row["plan"]), statistics.median(row["plan"]), min(row["paint"]), statistics.median(row["paint"]))
        numbers = " | ".join(f"{value:.2f}" for value in (*cells, min(both)))
        lines.append(f"| {size} | {numbers} | {row['megabytes']:.0f} |")
    return "\n".join(lines)


def split_table(parts: dict[str, dict[str, float]]) -> str:
    names = list(dict.fromkeys(name for row in parts.values() for name in row))
    lines = [f"| part | {' | '.join(parts)} |", f"| --- |{' --- |' * len(parts)}"]
    return "\n".join(
        [*lines, *(f"| {name} | {' | '.join(f'{row.get(name, 0):.2f}' for row in parts.values())} |" for name in names)]
    )


def cost_table(split: dict[str, Any]) -> str:
    total = sum(split["parts"].values())
    rows = [f"| {part} | {ms:.1f} | {ms / total:.0%} |" for part, ms in split["parts"].items()]
    return "\n".join(["| part | ms | share |", "| --- | --- | --- |", *rows, f"| all | {total:.1f} | |"])


TASKS: dict[str, Callable[[argparse.Namespace], dict[str, Any]]] = {
    "body": body,
    "training-set": training_set,
    "split": split,
}

if __name__ == "__main__":
    main()
