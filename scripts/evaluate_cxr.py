"""How good a text-to-X-ray model is, on phantoms and prompts that it has not met.

    python scripts/evaluate_cxr.py default --held-out out/cxr/held-out --training out/cxr/data -o out/evaluation
        --docs docs/models.md --card diffusion/weights/cxr/README.md
    python scripts/evaluate_cxr.py out/cxr/run/pipeline … --parts alignment,curves --most 300
    python scripts/evaluate_cxr.py default … --parts real --real ../shared/data/cxr --where source=nih-chestxray14

The parts, each of which can be run by itself; samples, features and judges are kept in the output folder:

    distribution    FRD, Fréchet distance, precision and recall, over those of two halves of held-out phantoms
    memorisation    copies of training phantoms
    alignment       what a classifier, taught on training phantoms, reads: findings, sides, sex, age
    counterfactual  one thing changed in the prompt: what is read, and what else changes
    masks           masks of the model beside those of a segmenter, taught on training phantoms
    curves          distances and areas over steps and guidance; curves.svg
    sheet           sheet.png, a hundred samples, and sheet.csv, their prompts
    speed           images a second, beside the same weights in 50 Euler steps
    real            fine-tuned on real radiographs: distances to their test split before and after, and copies

evaluation.json holds every number; --docs and --card put the tables into Markdown files.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from synth.core.errors import InputError, SynthError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from cxr_evaluation.study import Part, Study

PARTS = ("distribution", "memorisation", "alignment", "counterfactual", "masks", "curves", "sheet", "speed", "real")


def main(arguments: Sequence[str] | None = None) -> None:
    options = parse_arguments(arguments)
    # Read as numpy, numba and torch are imported, so it comes first.
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS", "SYNTH_THREADS")
    os.environ.update(dict.fromkeys(names, str(options.threads)))
    try:
        run(options)
    except SynthError as error:
        print(f"evaluate_cxr: {error}", file=sys.stderr)
        sys.exit(error.exit_code)


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="default, a folder, or a Hub id")
    parser.add_argument("--held-out", type=Path, nargs="+", required=True, metavar="FOLDER")
    parser.add_argument("--training", type=Path, nargs="+", default=[], metavar="FOLDER", help="what it was trained on")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="DIR")
    parser.add_argument("--parts", default=",".join(PARTS[:-1]), help="all but real")
    parser.add_argument("--most", type=int, default=1200, help="held-out radiographs and samples (1200)")
    parser.add_argument("--curve-samples", type=int, default=200, help="of every point of the curves (200)")
    parser.add_argument("--steps", default="2,4,8,16,32", help="of the curves (2,4,8,16,32)")
    parser.add_argument("--guidance", default="1,1.25,1.5,2", help="of the curves (1,1.25,1.5,2)")
    parser.add_argument("--counterfactuals", type=int, default=60, help="prompts that are changed (60)")
    parser.add_argument("--timed", type=int, default=20, help="images whose time is taken (20)")
    parser.add_argument("--speed-samples", type=int, default=300, help="whose FRD is compared with Euler's (300)")
    parser.add_argument("--epochs", type=int, default=14, help="of the classifier (14)")
    parser.add_argument("--segmenter-steps", type=int, default=1500, help="(1500)")
    parser.add_argument("--real", type=Path, metavar="FOLDER", help="real radiographs with a table, for the part real")
    parser.add_argument("--where", action="append", default=[], metavar="COLUMN=CELL", help="of those that are wanted")
    parser.add_argument("--minutes", type=float, default=20, help="of fine-tuning (20)")
    parser.add_argument("--batch", type=int, default=32, help="of fine-tuning (32)")
    parser.add_argument("--docs", type=Path, metavar="FILE", help="Markdown file to put the tables into")
    parser.add_argument("--card", type=Path, metavar="FILE", help="model card to put the tables into")
    parser.add_argument("--device", default="auto", help="for the model (auto)")
    parser.add_argument("--threads", type=int, default=2, help="(2)")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args(arguments)


def run(options: argparse.Namespace) -> None:
    """Measures, writes as it goes, and puts the tables into the files that were named."""
    from bench_drr_peers.tables import replace_section
    from cxr_evaluation.report import read, report, write

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
    for file in filter(None, (options.docs, options.card)):
        replace_section(file, "evaluate_cxr", text)


def measurements(options: argparse.Namespace) -> Mapping[str, Callable[[], Part]]:
    """Part → what measures it."""
    from cxr_evaluation import alignment, curves, distribution, looks, mask_agreement

    study = study_of(options)
    return {
        "distribution": lambda: distribution.distribution(study),
        "memorisation": lambda: distribution.memorised(study),
        "alignment": lambda: alignment.alignment(study),
        "counterfactual": lambda: alignment.counterfactual(study, options.counterfactuals),
        "masks": lambda: mask_agreement.mask_agreement(study),
        "curves": lambda: curves.curves(
            study, numbers(int, options.steps), numbers(float, options.guidance), options.curve_samples
        ),
        "sheet": lambda: looks.contact_sheet(study, 100),
        "speed": lambda: looks.speed(study, options.timed, options.speed_samples),
        "real": lambda: real(study, options),
    }


def study_of(options: argparse.Namespace) -> Study:
    """The study that the options ask for."""
    from cxr_evaluation.study import Study

    return Study(
        options.model,
        options.output,
        tuple(options.held_out),
        tuple(options.training),
        most=options.most,
        epochs=options.epochs,
        segmenter_steps=options.segmenter_steps,
        threads=options.threads,
        device=options.device,
        seed=options.seed,
    )


def real(study: Study, options: argparse.Namespace) -> Part:
    """Fine-tuning.

    Raises:
        InputError: No radiographs were given.
    """
    from cxr_evaluation.real import fine_tuned

    if options.real is None:
        raise InputError("real: give --real FOLDER, such as one of NIH ChestX-ray14 with a column split")
    where = dict(one.partition("=")[::2] for one in options.where)
    return fine_tuned(study, options.real, where, options.minutes, {"batch": options.batch})


def numbers(kind: Callable[[str], float], text: str) -> list:
    """Numbers between commas.

    Raises:
        InputError: Something else.
    """
    try:
        return [kind(one) for one in text.split(",")]
    except ValueError:
        raise InputError(f"{text}: give numbers with commas between") from None


def command_of(options: argparse.Namespace) -> str:
    """What decides the numbers; folders by their names."""
    folders = " ".join(folder.name for folder in options.held_out), " ".join(folder.name for folder in options.training)
    text = f"python scripts/evaluate_cxr.py {Path(options.model).name} --held-out {folders[0]} --training {folders[1]}"
    return f"{text} --most {options.most} --seed {options.seed}"


if __name__ == "__main__":
    main()
