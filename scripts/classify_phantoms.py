"""Whether what the radiographs of phantoms show can be seen: a small network learns it, and is asked about new bodies.

    python scripts/classify_phantoms.py make --bodies 4000 --workers 2
    python scripts/classify_phantoms.py train
    python scripts/classify_phantoms.py report -o docs/findings.md

make draws a balanced design of bodies (phantom_classifier.design) and their PA radiographs with all of the physics;
stopped, it goes on where it was, and more bodies may be asked for later. train teaches a network of 0.5 million weights
sex, age group and every class of findings; 7 of 10 bodies are for training, 1 for choosing the best epoch, 2 for the
test. report scores the test films:

- Area under the ROC curve, with 95 % intervals of 1000 bootstraps over bodies.
- Whether findings are where their masks say: on films with one finding its region, widened by 8 mm, gets the pixels of
  the same body's film without it, brought to the film's grey scale by a line fitted outside. What the network saw there
  is gone, and the area should fall to 0.5; an equally large region elsewhere, and the whole film, are the controls.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

DEFAULT = Path("out") / "classify"
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS", "SYNTH_THREADS")
EPOCHS = 14


def main() -> None:
    options = parse_arguments()
    # Read as numpy, numba and torch are imported, so it comes first.
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, "1" if options.run is run_make else str(options.threads)))
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # threads that spin while they wait halve a shared machine
    try:
        options.run(options)
    except ValueError as error:
        sys.exit(f"error: {error}")


def run_make(options: argparse.Namespace) -> None:
    from phantom_classifier.films import Recipe, make

    recipe = Recipe(options.seed, options.spacing, options.size, options.films)
    make(options.folder, recipe, options.bodies, options.workers)


def run_train(options: argparse.Namespace) -> None:
    from phantom_classifier.films import Films
    from phantom_classifier.training import Training, train

    settings = Training(options.epochs, options.batch, options.rate, options.patience, options.seed, options.threads)
    train(Films.read(options.folder), settings, options.folder / "network.pt")


def run_report(options: argparse.Namespace) -> None:
    from bench_drr_peers.tables import replace_section
    from phantom_classifier.films import Films
    from phantom_classifier.report import report

    text = report(options.folder, Films.read(options.folder), threads=options.threads, bootstraps=options.bootstraps)
    print(text)
    if options.output:
        replace_section(options.output, "classify_phantoms", text)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(required=True, metavar="make | train | report")

    def verb(name: str, run: Callable[[argparse.Namespace], None], about: str) -> argparse.ArgumentParser:
        added = verbs.add_parser(name, help=about, description=about)
        added.add_argument("--folder", type=Path, default=DEFAULT, metavar="DIR", help=f"default {DEFAULT}")
        added.set_defaults(run=run)
        return added

    one = verb("make", run_make, "Draws bodies and their films.")
    one.add_argument("--bodies", type=int, default=4000, metavar="N", help="default 4000")
    one.add_argument("--films", type=int, default=2, metavar="N", help="of a body with findings (default 2)")
    one.add_argument("--spacing", type=float, default=3.0, metavar="MM", help="voxel edge (default 3)")
    one.add_argument("--size", type=int, default=192, metavar="N", help="rows and columns of a film (default 192)")
    one.add_argument("--workers", type=int, default=2, metavar="N", help="processes, a thread each (default 2)")
    one.add_argument("--seed", type=int, default=0)
    two = verb("train", run_train, "Teaches the network.")
    two.add_argument("--epochs", type=int, default=EPOCHS, metavar="N", help=f"default {EPOCHS}")
    two.add_argument("--batch", type=int, default=32, metavar="N", help="films of a step (default 32)")
    two.add_argument("--rate", type=float, default=3e-3, help="highest learning rate (default 0.003)")
    two.add_argument("--patience", type=int, default=5, metavar="N", help="epochs without gain that end it (default 5)")
    two.add_argument("--seed", type=int, default=0)
    three = verb("report", run_report, "Scores the films of the test bodies.")
    three.add_argument("--bootstraps", type=int, default=1000, metavar="N", help="default 1000")
    three.add_argument("-o", "--output", type=Path, metavar="FILE", help="Markdown file to put the section into")
    for each in (two, three):
        each.add_argument("--threads", type=int, default=2, metavar="N", help="default 2")
    return parser.parse_args()


if __name__ == "__main__":
    main()
