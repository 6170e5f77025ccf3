"""A training set of radiographs of phantoms: bodies × random pose, inspiration, physics and findings.

    python scripts/make_training_set.py -o FOLDER                              # 2,000 bodies × 25 = 50,000 radiographs
    python scripts/make_training_set.py -o FOLDER --bodies 20 --each 10        # a look at it

Every body is another person of a hospital's population, with a breath and findings of its own; every radiograph has a
pose and a technique (`random`) of its own. Masks are those of groups and findings. It is what
`synth drr --phantom N --poses M --preset random --masks groups` makes, with defaults for training and a rate that is
told on the way. The folder is a dataset of ours: images, metadata.csv, masks/annotations.json, dataset.json. Stopped at
any moment and started again with --resume, it ends in the bytes of one run; any number of workers gives the same.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from synth.core.errors import InputError, SynthError
from synth.dataset.patients.phantoms import Phantoms
from synth.dataset.radiographs.job import DrrJob
from synth.drr.projector import choose_backend

if TYPE_CHECKING:
    from synth.drr.projector import Backend

VIEWS = "pa,pa,pa,ap,lateral"
TELL_S = 10.0


def main() -> None:
    options = parse_arguments()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        make(options)
    except SynthError as error:
        print(f"make_training_set: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        print("make_training_set: interrupted; give the same command again with --resume", file=sys.stderr)
        sys.exit(130)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, metavar="FOLDER", required=True)
    parser.add_argument("--bodies", type=int, metavar="N", default=2000, help="people (2000)")
    parser.add_argument("--each", type=int, metavar="N", default=25, help="radiographs of each (25)")
    parser.add_argument(
        "--views", default=VIEWS, help=f"taken equally often; --each is a multiple of their number ({VIEWS})"
    )
    parser.add_argument("--size", type=int, metavar="PIXELS", default=256, help="of the square picture (256)")
    parser.add_argument("--voxel", type=float, metavar="MM", default=2.5, help="of the bodies, 0.5 to 5 mm (2.5)")
    parser.add_argument("--seed", type=int, default=0, help="of all that is drawn (0)")
    parser.add_argument("--workers", type=int, metavar="N", default=cores(), help=f"processes ({cores()})")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="paints and projects (auto)")
    parser.add_argument("--resume", action="store_true", help="go on with an interrupted run")
    return parser.parse_args()


def cores() -> int:
    """Those this process may run on."""
    return len(os.sched_getaffinity(0))


def make(options: argparse.Namespace) -> None:
    """Makes the set, or what is missing of it, and tells how it goes."""
    if options.workers < 1:
        raise InputError(f"--workers must be 1 or more, got {options.workers}")
    job = training_job(
        options.bodies,
        options.each,
        views=options.views,
        size=options.size,
        voxel=options.voxel,
        seed=options.seed,
        device=options.device,
    )
    told = start = time.monotonic()
    made = 0
    for _ in job.run(options.output, resume=options.resume, image_format="png", workers=options.workers):
        made += 1
        now = time.monotonic()
        if now - told > TELL_S:
            told = now
            print(progress(options.output, made, job.n_samples, now - start), file=sys.stderr, flush=True)
    seconds = time.monotonic() - start
    print(f"{job.n_samples} radiographs of {options.bodies} bodies in {options.output}: {made} in {duration(seconds)}")


def training_job(
    bodies: int,
    each: int,
    *,
    views: str = VIEWS,
    size: int = 256,
    voxel: float = 2.5,
    seed: int = 0,
    device: Backend = "auto",
) -> DrrJob:
    """The job of a training set; the options are the script's.

    Raises:
        InputError: A value that means nothing.
    """
    names = tuple(name for name in views.split(",") if name.strip())
    if not names or each < 1 or each % len(names):
        raise InputError(f"--each {each}: give a multiple of the {len(names)} views {views}")
    if not 16 <= size <= 8192:
        raise InputError(f"--size {size}: give 16 to 8192 pixels")
    backend = choose_backend(device)
    people = Phantoms(bodies, seed, spacing_mm=voxel, masks="groups", on_gpu=backend == "cuda")
    return DrrJob(
        people,
        views=names,
        poses=each // len(names),
        shape=(size, size),
        preset="random",
        seed=seed,
        backend=backend,
    )


def progress(folder: Path, made: int, total: int, seconds: float) -> str:
    """How far, how fast, and how long yet."""
    written = sum(1 for _ in (folder / ".parts").glob("*/*.json"))
    rate = made / seconds
    left = duration((total - written) / rate)
    return f"{written} of {total}, {rate:.1f} a second ({3600 * rate:.0f} an hour), {left} left"


def duration(seconds: float) -> str:
    """In hours and minutes, or seconds where it is short."""
    minutes = round(seconds / 60)
    if minutes >= 60:
        return f"{minutes // 60} h {minutes % 60:02d} min"
    return f"{minutes} min" if seconds >= 120 else f"{seconds:.0f} s"


if __name__ == "__main__":
    main()
