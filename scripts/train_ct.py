"""The text-to-CT model that comes with the package, from nothing: CTs of phantoms, training, weights, model card.

    python scripts/train_ct.py -o out/ct --preset cpu-2h                   # two cores
    python scripts/train_ct.py -o out/ct --preset gpu --stop-after 9 --resume       # again and again, until it is done
    python scripts/train_ct.py -o out/ct --preset tiny --weights ''        # that all of it works, in minutes
    python scripts/train_ct.py -o out/ct --preset cpu-2h --dry-run         # what it will cost on this machine

It draws phantoms on the device that it trains on, or takes the CTs of --data; trains autoencoder, base, refiner and
control branch, each for its minutes (scripts/ct_training/presets.py has the tables); and puts the pipeline in half
precision, with its card, where the package looks for it. Stopped at any moment, it goes on with --resume.

    OUT/data/             CTs, label maps, reports        OUT/held-out/        of bodies that are never trained on
    OUT/run/              recipe, curves, samples, checkpoints, pipeline
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from synth.core.errors import InputError, InterruptedRun, SynthError
from synth.core.files import write_bytes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from synth.diffusion.training.ct.recipe import CtRecipe

WEIGHTS = Path(__file__).resolve().parent.parent / "diffusion" / "weights" / "ct"
MOST_BYTES = 17_000_000
"""What a model that comes with the package may take."""


def main(arguments: Sequence[str] | None = None) -> None:
    options = parse_arguments(arguments)
    try:
        run(options)
    except SynthError as error:
        print(f"train_ct: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        print("train_ct: interrupted; give the same command again with --resume", file=sys.stderr)
        sys.exit(130)


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    from ct_training.presets import PRESETS

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, metavar="OUT", required=True)
    parser.add_argument("--preset", choices=list(PRESETS), default="cpu-2h", help="cpu-2h")
    parser.add_argument("--data", type=Path, nargs="+", metavar="FOLDER", help="CTs that are there already")
    parser.add_argument("--set", dest="changes", action="append", default=[], metavar="KEY=VALUE",
                        help="in the recipe: base.max_minutes=30")  # fmt: skip
    parser.add_argument("--seed", type=int, default=0, help="of all that is drawn (0)")
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)), help="processes for CTs")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="paints (auto)")
    parser.add_argument("--weights", metavar="FOLDER", default=str(WEIGHTS), help="where the model goes; '': nowhere")
    parser.add_argument("--stop-after", type=float, metavar="MINUTES", help="stop then; --resume goes on")
    parser.add_argument("--resume", action="store_true", help="go on with an interrupted run")
    parser.add_argument("--dry-run", action="store_true", help="print the recipe and what it will cost")
    return parser.parse_args(arguments)


def run(options: argparse.Namespace) -> None:
    """CTs, training, weights."""
    started, out = time.monotonic(), options.output
    if options.dry_run:
        tell_cost(options)
        return
    if out.is_dir() and any(out.iterdir()) and not options.resume:
        raise InputError(f"{out}: is not empty; go on with --resume, or name a new folder")
    until = float("inf") if options.stop_after is None else started + 60 * options.stop_after
    data = list(options.data or [make_scans(options, "data", until)])
    left = None if options.stop_after is None else (until - time.monotonic()) / 60
    if left is not None and left <= 0:
        raise InterruptedRun(f"{out}: stopped in time; give the same command again with --resume")
    from synth.diffusion.training.ct.running import train_ct_recipe

    made = train_ct_recipe(recipe_of(options, data), out / "run", resume=options.resume, stop_after=left, tell=tell)
    if made is None:
        raise InputError(f"{out}: the recipe trains no base")
    publish(made, options, data)
    if not options.data:
        make_scans(options, "held-out", until)


def make_scans(options: argparse.Namespace, part: str, until: float) -> Path:
    """Those to train on ("data") or to judge by ("held-out"); their folder."""
    from ct_training.phantoms import job, make
    from ct_training.presets import PRESETS

    preset, folder = PRESETS[options.preset], options.output / part
    bodies = preset.bodies if part == "data" else preset.held_out
    scans = job(part, bodies, voxel_mm=preset.voxel_mm, seed=options.seed, device=options.device)
    make(scans, folder, options.workers, until)
    return Path(folder)


def recipe_of(options: argparse.Namespace, data: Sequence[Path]) -> CtRecipe:
    """The preset's recipe with the changes that are asked for."""
    from ct_training.presets import PRESETS

    from synth.core.strict import with_changes
    from synth.diffusion.training.ct.recipe import CtRecipe

    content = PRESETS[options.preset].content([str(folder.resolve()) for folder in data], options.seed)
    return CtRecipe.of(with_changes(content, options.changes), Path(f"preset {options.preset}"))


def tell_cost(options: argparse.Namespace) -> None:
    """The recipe and what its stages cost."""
    from synth.diffusion.training.ct.rehearsal import rehearse_ct

    recipe = recipe_of(options, options.data or [options.output / "data"])
    print(recipe.as_yaml())
    for cost in rehearse_ct(recipe):
        print(
            f"{cost.name}: {cost.parameters:,} weights, {cost.images_a_second:.3g} examples a second, "
            f"about {cost.minutes:.3g} minutes"
        )


def publish(pipeline: Path, options: argparse.Namespace, data: Sequence[Path]) -> None:
    """Writes the card, and puts the pipeline where it is looked for.

    Raises:
        InputError: It is too large to come with the package.
    """
    from ct_training.card import card
    from cxr_training.card import weight_bytes

    more = "".join(f" --set {change}" for change in options.changes)
    command = f"python scripts/train_ct.py -o OUT --preset {options.preset} --seed {options.seed}{more}"
    write_bytes(pipeline / "README.md", card(pipeline, options.output / "run", data, command).encode())
    sizes = weight_bytes(pipeline)
    tell(f"model: {pipeline}, {sum(sizes.values()) / 1e6:.1f} MB")
    if not options.weights:
        return
    if sum(sizes.values()) > MOST_BYTES:
        shown = ", ".join(f"{name} {size / 1e6:.1f} MB" for name, size in sizes.items())
        raise InputError(
            f"{pipeline}: {shown}, more than {MOST_BYTES / 1e6:g} MB together; give --weights '', or less width"
        )
    final = Path(options.weights)
    part = final.with_name(f".{final.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    shutil.copytree(pipeline, part)
    shutil.rmtree(final, ignore_errors=True)
    part.rename(final)
    tell(f"copied to {final}")


def tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    main()
