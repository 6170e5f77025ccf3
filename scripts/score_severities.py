"""Do the scores rise with severity? A picture for each metric, of real radiographs that are spoilt more and more.

The adults of the folder's largest collection are dealt into two halves without a patient in common. A is the reference;
of B copies are made: blurred, noisy, flattened in contrast, compressed, mirrored; with some replaced by people of other
hospitals, by men in the place of women, by children; with few images many times over. Every copy is scored against A by
every metric that needs no download. A copy counts as seen where it scores worse than B itself and than each of 19 pairs
of halves drawn anew from A and B together; a metric rises in order where every harsher copy then scores worse still.

    OMP_NUM_THREADS=1 python scripts/score_severities.py FOLDER -o docs/severities.md --picture PICTURE.svg

FOLDER holds metadata.csv with file_name, patient_id, sex, age and source. Takes about ten minutes on one core.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from bench_drr_peers.tables import replace_section
from severities.corruptions import corruptions
from severities.drawing import drawing
from severities.people import read_people
from severities.report import report
from severities.run import SPLITS, run

from synth.core.errors import InputError
from synth.core.files import write_bytes

TITLE = "Scores of real radiographs, spoilt more and more, against other real ones"


def main() -> None:
    parser = _parser()
    options = parser.parse_args()
    try:
        people = read_people(options.folder, options.images, options.seed)
        result = run(people, corruptions(people, options.seed), options.seed, options.splits)
    except InputError as error:
        parser.error(str(error))
    text = report(result, people)
    print(text)
    if options.picture:
        write_bytes(options.picture, drawing(result, TITLE).encode())
    if options.output:
        replace_section(options.output, "score_severities", text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="real radiographs with metadata.csv")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="Markdown file to put the tables into")
    parser.add_argument("--picture", type=Path, metavar="FILE", help="SVG file to draw")
    parser.add_argument("--images", type=int, default=190, metavar="N", help="of each half (default 190)")
    parser.add_argument("--splits", type=int, default=SPLITS, metavar="N", help=f"real halves (default {SPLITS})")
    parser.add_argument("--seed", type=int, default=0)
    return parser


if __name__ == "__main__":
    main()
