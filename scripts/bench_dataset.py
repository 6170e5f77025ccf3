"""What the dataset job costs beside the samples: per sample, per worker, and in memory.

    python scripts/bench_dataset.py -o docs/benchmarks.md
    python scripts/bench_dataset.py --tasks memory --samples 10000

Overhead: a source that sleeps for 50 ms a sample, so that whatever else runs is not measured; all that the job takes
beyond that is its own: requests, messages, what is said of a sample, and the picture's file, which is told apart.

Workers: radiographs of phantoms by one process and by two. One process with one thread is what each of two workers has;
one with all threads is what a user sees who asks for one worker.

Memory: many trivial samples in one run, loose and packed; resident memory of the caller and of its largest worker
while the run goes on and at its end, with the tables and the report.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from bench_drr import machine
from bench_drr_peers.tables import replace_section
from bench_drr_peers.tasks import run_task

from synth.core.record import Record, Sample
from synth.core.seeds import sample_generator
from synth.dataset.engines.local import LocalEngine
from synth.dataset.folder import Shards
from synth.dataset.job import DatasetJob
from synth.dataset.patients.phantoms import Phantoms
from synth.dataset.radiographs.job import DrrJob
from synth.dataset.request import DrawnRequests
from synth.dataset.sources.phantom_radiographs import PhantomRadiographs
from synth.dataset.writers.png import write_png

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from synth.dataset.request import Request

SLEEP_S = 0.05
SLEEPERS = 400
EVERY_S = 0.5
PACKS = {"loose files": None, "WebDataset, 1000 each": Shards("webdataset"), "Parquet, 1000 each": Shards("parquet")}


@dataclass(frozen=True)
class Trivial:
    """Noise of 16 × 16 pixels, after a sleep."""

    sleep_s: float = 0.0
    medium: ClassVar[str] = "image"
    each: ClassVar[int] = 1
    batch: ClassVar[int] = 1

    def recipe(self) -> dict[str, Any]:
        """Nothing to tell."""
        return {}

    def check(self, root: Path) -> None:
        """Nothing has to be there."""

    def make(self, requests: Sequence[Request], *, warn: object = None) -> Iterator[list[Sample]]:
        """A sample a request."""
        for request in requests:
            time.sleep(self.sleep_s)
            image = sample_generator(request.seed, "noise").integers(0, 65536, (16, 16), dtype=np.uint16)
            yield [Sample(request.number, image, Record("PA", "F", 50.0, report="Noise.", source="noise"))]


def main() -> None:
    options = parse_arguments()
    if options.task:
        print(json.dumps(TASKS[options.task](options)))
        return
    text = report(options)
    print(text)
    if options.output:
        replace_section(options.output, "bench_dataset", f"## The dataset job\n\n{text}")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", default="overhead,workers,memory", help="which tables (overhead,workers,memory)")
    parser.add_argument("--cases", type=int, metavar="N", default=16, help="phantoms of the comparison of workers (16)")
    parser.add_argument("--samples", type=int, metavar="N", default=100_000, help="of the run for memory (100000)")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="Markdown file to put the section into")
    parser.add_argument("--task", choices=TASKS, help=argparse.SUPPRESS)
    parser.add_argument("--workers", type=int, default=1, help=argparse.SUPPRESS)
    parser.add_argument("--count", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--pack", choices=PACKS, default="loose files", help=argparse.SUPPRESS)
    return parser.parse_args()


def report(options: argparse.Namespace) -> str:
    """The section."""
    load = os.getloadavg()[0]
    arguments = f"--tasks {options.tasks} --cases {options.cases} --samples {options.samples}"
    parts = [
        f"{machine()}. Load when it began: {load:.1f}.",
        f"Command: `python scripts/bench_dataset.py {arguments}`",
    ]
    return "\n\n".join([*parts, *(TABLES[name](options) for name in options.tasks.split(","))])


def overhead_table(options: argparse.Namespace) -> str:
    head = ["a sample, ms", "of 50 ms", "picture's file, ms", "without it, of 50 ms", "start and end, s"]
    lines = [f"| workers | {' | '.join(head)} |", "|---" * (1 + len(head)) + "|"]
    for workers in (1, 2):
        row = task("sleep", options, "--workers", workers)
        cells = [f"{1000 * row['each_s']:.2f}", f"{row['each_s'] / SLEEP_S:.1%}", f"{1000 * row['file_s']:.2f}"]
        cells += [f"{(row['each_s'] - row['file_s']) / SLEEP_S:.1%}", f"{row['rest_s']:.1f}"]
        lines.append(f"| {workers} | {' | '.join(cells)} |")
    return "\n".join([f"### Overhead of samples of {1000 * SLEEP_S:.0f} ms\n", *lines])


def workers_table(options: argparse.Namespace) -> str:
    cores = len(os.sched_getaffinity(0))
    runs = {
        "1, of one thread": (1, 1),
        f"1, of {cores} threads": (1, cores),
        "2, which share the threads": (2, cores),
    }
    found = {
        name: task("phantoms", options, "--workers", workers, SYNTH_THREADS=str(threads))
        for name, (workers, threads) in runs.items()
    }
    first = found["1, of one thread"]["making_s"]
    lines = ["| workers | making s | × first | from start to end s |", "|---|---|---|---|"]
    lines += [
        f"| {name} | {row['making_s']:.1f} | {first / row['making_s']:.2f} | {row['seconds']:.1f} |"
        for name, row in found.items()
    ]
    what = f"{2 * options.cases} radiographs of 256² pixels of {options.cases} phantoms of 2.5 mm voxels, with masks."
    note = "Making: from the first case that is done to the last, with the share of the cases between."
    return "\n".join([f"### Workers\n\n{what} {note}\n", *lines])


def memory_table(options: argparse.Namespace) -> str:
    head = ["at 10 %", "at 50 %", "at 100 %", "at its end", "worker at 10 %", "worker at 100 %"]
    lines = [f"| | s | samples/s | {' | '.join(head)} |", "|---|---|---|" + "---|" * len(head)]
    for pack in PACKS:
        row = task("many", options, "--workers", 2, "--count", options.samples, "--pack", pack)
        cells = [f"{row[name]:.0f}" for name in head]
        lines.append(f"| {pack} | {row['seconds']:.0f} | {row['rate']:.0f} | {' | '.join(cells)} |")
    return "\n".join([f"### Memory of a run of {options.samples:,} samples by two workers, MB\n", *lines])


def task(name: str, options: argparse.Namespace, *arguments: object, **environment: str) -> dict[str, Any]:
    """The result of one task, in a process of its own."""
    return run_task(__file__, name, "--cases", options.cases, *arguments, **environment)


def sleep(options: argparse.Namespace) -> dict[str, Any]:
    """Seconds that a sample takes beyond its sleep, those of its picture's file, and those of a run besides samples."""
    job = DatasetJob(Trivial(SLEEP_S), DrawnRequests(SLEEPERS, 0), {}, 0)
    seconds, moments = timed(job, options.workers)
    later = moments[SLEEPERS // 2 :]  # when all workers are there
    each = (later[-1] - later[0]) * options.workers / (len(later) - 1)
    rest = seconds - SLEEPERS * each / options.workers
    return {"each_s": each - own_seconds(), "file_s": picture_seconds(), "rest_s": rest}


def own_seconds() -> float:
    """Of a sample alone: a sleep lasts a little longer than it should."""
    start = time.perf_counter()
    made = sum(1 for _ in Trivial(SLEEP_S).make(DrawnRequests(SLEEPERS // 4, 1)[:]))
    return (time.perf_counter() - start) / made


def picture_seconds() -> float:
    """Of a picture's file alone."""
    images = sample_generator(0, "noise").integers(0, 65536, (SLEEPERS, 16, 16), dtype=np.uint16)
    with tempfile.TemporaryDirectory(prefix="bench_dataset_") as folder:
        start = time.perf_counter()
        for number, image in enumerate(images):
            write_png(Path(folder) / f"{number}.png", image)
        return (time.perf_counter() - start) / SLEEPERS


def phantoms(options: argparse.Namespace) -> dict[str, Any]:
    """Seconds of a run of radiographs of phantoms."""
    people = Phantoms(1, spacing_mm=2.5, masks="groups")
    source = PhantomRadiographs(people, DrrJob(people, shape=(256, 256), preset="random", backend="cpu"))
    seconds, moments = timed(DatasetJob(source, DrawnRequests(options.cases, 0), {}, 0), options.workers)
    done = moments[source.each - 1 :: source.each]  # of whole cases, more or less
    making = (done[-1] - done[0]) * options.cases / (len(done) - 1)
    return {"seconds": seconds, "making_s": making}


def many(options: argparse.Namespace) -> dict[str, Any]:
    """Time and memory of a run of trivial samples."""
    job = DatasetJob(Trivial(), DrawnRequests(options.count, 0), {}, 0, shards=PACKS[options.pack])
    with Watch() as watch:
        seconds, moments = timed(job, options.workers)
    made = moments[-1] - moments[0]
    found = {f"at {share} %": watch.at(moments[0] + share / 100 * made)[0] for share in (10, 50, 100)}
    found |= {f"worker at {share} %": watch.at(moments[0] + share / 100 * made)[1] for share in (10, 100)}
    return {"seconds": seconds, "rate": options.count / made, "at its end": watch.seen[-1][1], **found}


def timed(job: DatasetJob, workers: int) -> tuple[float, list[float]]:
    """Seconds from start to end, and when each sample was done."""
    start = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="bench_dataset_") as folder:
        running = job.run(Path(folder) / "set", engine=LocalEngine(workers), resume=False, warn=print)
        moments = [time.perf_counter() for _ in running]
        seconds = time.perf_counter() - start
    return seconds, moments


class Watch:
    """Looks at resident memory, MB, of this process and of its largest child, again and again."""

    def __init__(self) -> None:
        self.seen: list[tuple[float, float, float]] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def at(self, moment: float) -> tuple[float, float]:
        """What was seen last before a moment."""
        return next(
            (own, child) for when, own, child in reversed(self.seen) if when <= moment or when == self.seen[0][0]
        )

    def _look(self) -> None:
        while not self._stop.wait(EVERY_S):
            children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
            largest = max((resident(child) for child in children), default=0.0)
            self.seen.append((time.perf_counter(), resident("self"), largest))


def resident(process: str) -> float:
    """Resident memory of a process, MB; 0 where it has ended."""
    with suppress(OSError):
        for line in Path(f"/proc/{process}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
    return 0.0


TABLES: dict[str, Callable[[argparse.Namespace], str]] = {
    "overhead": overhead_table,
    "workers": workers_table,
    "memory": memory_table,
}
TASKS: dict[str, Callable[[argparse.Namespace], dict[str, Any]]] = {
    "sleep": sleep,
    "phantoms": phantoms,
    "many": many,
}

if __name__ == "__main__":
    main()
