"""How good a text-to-CT model is, on phantoms and prompts that it has not met.

    python scripts/evaluate_ct.py default --held-out out/ct/held-out --training out/ct/data -o out/ct-evaluation
        --docs docs/ct_scores.md
    python scripts/evaluate_ct.py FOLDER … --parts masks,sheet --size 128
    python scripts/evaluate_ct.py --beside hierarchical=A/evaluation.json one-stage=B/evaluation.json

The parts, each of which can be run by itself; CTs on the model's grid, samples and features are kept in the
output folder:

    distribution    FRD-3D, and of slices in three planes FRD, Fréchet distance and MMD, over those of two halves
    masks           Dice of the model's masks with a segmentation of its CTs by thresholds and trees
    alignment       what a classifier, taught on training phantoms, reads: sex, age group, findings, sides
    resources       peak memory and time of one CT at each of --sizes, a process each
    sheet           sheet.png: slices in three planes with masks, and radiographs of the same bodies

evaluation.json holds every number; --docs puts the tables into a Markdown file. --beside sets several evaluations side
by side: of a model with its refiner and one that makes the same grid at once, trained for as long, or of others.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from synth.core.errors import InputError, SynthError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ct_evaluation.study import Study
    from cxr_evaluation.study import Part

PARTS = ("distribution", "masks", "alignment", "resources", "sheet")


def main(arguments: Sequence[str] | None = None) -> None:
    options = parse_arguments(arguments)
    # Read as numpy, numba and torch are imported, so it comes first.
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS", "SYNTH_THREADS")
    os.environ.update(dict.fromkeys(names, str(options.threads)))
    try:
        run(options)
    except SynthError as error:
        print(f"evaluate_ct: {error}", file=sys.stderr)
        sys.exit(error.exit_code)


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", default="default", help="default, a folder, or a Hub id")
    parser.add_argument(
        "--held-out", type=Path, nargs="+", default=[], metavar="FOLDER", help="datasets of phantom CTs"
    )
    parser.add_argument("--training", type=Path, nargs="+", default=[], metavar="FOLDER", help="what it was trained on")
    parser.add_argument("-o", "--output", type=Path, metavar="DIR")
    parser.add_argument("--parts", default=",".join(PARTS))
    parser.add_argument("--most", type=int, default=200, help="held-out CTs and samples (200)")
    parser.add_argument("--most-training", type=int, default=1000, help="CTs that the classifier learns from (1000)")
    parser.add_argument("--epochs", type=int, default=12, help="of the classifier (12)")
    parser.add_argument("--size", help="voxels of the samples, or ZxYxX; default: the base's")
    parser.add_argument("--steps", type=int, help="of the base; default: the model's")
    parser.add_argument("--refine-steps", type=int, help="of each finer grid; default: the model's")
    parser.add_argument("--slices", type=int, default=8, help="of every CT in each plane (8)")
    parser.add_argument("--inception", metavar="FILE", help="Inception's weights, for FID")
    parser.add_argument(
        "--sizes", default="128x128x128,256x256x256,256x512x512", help="whose memory and time are taken"
    )
    parser.add_argument("--bodies", type=int, default=6, help="rows of the sheet (6)")
    parser.add_argument("--docs", type=Path, metavar="FILE", help="Markdown file to put the tables into")
    parser.add_argument(
        "--beside", nargs="+", default=[], metavar="NAME=JSON", help="evaluations side by side, no more"
    )
    parser.add_argument("--measure", metavar="ZxYxX", help="draw one CT, print seconds and memory as JSON, no more")
    parser.add_argument("--device", default="auto", help="for the model (auto)")
    parser.add_argument("--threads", type=int, default=2, help="(2)")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args(arguments)


def run(options: argparse.Namespace) -> None:
    """Measures, writes as it goes, and puts the tables into the file that was named."""
    from bench_drr_peers.tables import replace_section
    from ct_evaluation.report import report
    from cxr_evaluation.report import read, write

    if options.beside or options.measure:
        print(side_by_side(options.beside) if options.beside else measure(options))
        return
    if not options.held_out or options.output is None:
        raise InputError("give --held-out FOLDER and -o DIR")
    wanted = tuple(name for name in options.parts.split(",") if name)
    unknown = [name for name in wanted if name not in PARTS]
    if unknown:
        raise InputError(f"--parts {unknown[0]}: use some of {', '.join(PARTS)}")
    parts, path = measurements(options), options.output / "evaluation.json"
    for name in wanted:
        print(f"{name} …", file=sys.stderr, flush=True)
        write(path, name, parts[name]())
    text = report(read(path), PARTS, command_of(options))
    print(text)
    if options.docs is not None:
        replace_section(options.docs, "evaluate_ct", text)


def measurements(options: argparse.Namespace) -> Mapping[str, Callable[[], Part]]:
    """Part → what measures it."""
    from ct_evaluation import distribution, looks, reader, resources, segmenter

    study = study_of(options)
    return {
        "distribution": lambda: distribution.distribution(study, options.slices, options.inception),
        "masks": lambda: segmenter.mask_agreement(study),
        "alignment": lambda: reader.alignment(study),
        "resources": lambda: resources.resources(study, options.sizes.split(","), options.device),
        "sheet": lambda: looks.sheet(study, options.bodies),
    }


def study_of(options: argparse.Namespace) -> Study:
    """The study that the options ask for."""
    from ct_evaluation.study import Study

    from synth.diffusion.ct.generate import Settings

    size = None if options.size is None else size_of(options.size)
    return Study(
        options.model,
        options.output or Path(),
        tuple(options.held_out),
        tuple(options.training),
        Settings(steps=options.steps, refine_steps=options.refine_steps, size=size),
        most=options.most,
        most_training=options.most_training,
        epochs=options.epochs,
        device=options.device,
        seed=options.seed,
    )


def size_of(text: str) -> tuple[int, int, int]:
    """(z, y, x) of "64" or "256x512x512".

    Raises:
        InputError: Anything else.
    """
    parts = text.lower().split("x")
    if len(parts) not in (1, 3) or not all(part.isdigit() and int(part) for part in parts):
        raise InputError(f"size {text}: give voxels, such as 128 or 256x512x512")
    z, y, x = (int(part) for part in (parts * 3 if len(parts) == 1 else parts))
    return z, y, x


def measure(options: argparse.Namespace) -> str:
    """Seconds and memory of one CT, as JSON."""
    from ct_evaluation.resources import measured_here

    return json.dumps(measured_here(study_of(options), size_of(options.measure)))


def side_by_side(named: Sequence[str]) -> str:
    """A table of evaluations.

    Raises:
        InputError: One is not there.
    """
    from ct_evaluation.report import beside
    from cxr_evaluation.report import read

    found = {}
    for one in named:
        name, _, path = one.partition("=")
        if not Path(path).is_file():
            raise InputError(f"--beside {one}: give NAME=FILE of an evaluation.json")
        found[name] = read(Path(path))
    return beside(found)


def command_of(options: argparse.Namespace) -> str:
    """What decides the numbers; folders by their names."""
    folders = " ".join(folder.name for folder in options.held_out), " ".join(folder.name for folder in options.training)
    text = f"python scripts/evaluate_ct.py {Path(options.model).name} --held-out {folders[0]} --training {folders[1]}"
    return f"{text} --most {options.most} --seed {options.seed}" + (f" --size {options.size}" if options.size else "")


if __name__ == "__main__":
    main()
