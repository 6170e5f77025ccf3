"""How real our chest radiographs look, measured against real frontal ones.

python scripts/compare_real.py [-o docs/realism.md] [--picture docs/images/realism.png] [--sheet FILE]
    [--people docs/images/phantoms.png] [--phantoms FILE] [--each N]

Ours, from CT: frontal pictures of two chest CTs, PA by the preset chest-pa and AP by chest-ap-portable, turned and
tilted by a few degrees, framed by margins around the lungs drawn from real films. Each is made three times: by the
physics and its processing; plainly, as line integrals at 60 keV through the default window; and as those line integrals
with the processing. Ours, from phantoms: PA pictures as `synth drr --phantom` makes them, of healthy persons and of
patients of the default population. Real: adults' frontal radiographs. All have a short side of 320 pixels. Measured are

- grey levels (0 black, 1 white) of regions that follow from the lung mask alone, in the same way for real and ours;
- the Fréchet and the kernel distance of classical features of the middle square to the real test split;
- which of the features tell ours from real films;
- noise: what is finer than two pixels, in the flattest patches of every picture.

Real pictures of the train and validation splits give the margins, the standardisation and the floor of the distances
(as many of their patients as there are pictures of ours; and, as ours from CT show two bodies, two of their films
alone); no patient of theirs is in the test split.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from bench_drr_peers.tables import replace_section
from realism.ct_views import make, real_margins, shots
from realism.films import DATA, SIDE, real_films
from realism.pages import picture_rows, report, sheet
from realism.people import people_sheet
from realism.phantoms import phantom_films


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--output", type=Path, help="Markdown file to put the tables in")
    parser.add_argument("--picture", type=Path, help="ours, from CT")
    parser.add_argument("--sheet", type=Path, help="ours beside real ones (NIH), larger")
    parser.add_argument("--people", type=Path, help="ours, phantoms: frontal, lateral, with findings, with masks")
    parser.add_argument("--phantoms", type=Path, metavar="FILE", help=".npz to keep films of phantoms in between runs")
    parser.add_argument("--each", type=int, default=32, help="phantoms of each population")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    real = real_films(DATA / "cxr")
    made = make(list(shots(real_margins(real), options.seed)))
    phantoms = phantom_films(options.each, options.seed, options.phantoms)
    test = [film for film in real if film.split == "test"]
    if options.picture:
        sheet(picture_rows(made, 5), options.picture, 160)
    if options.sheet:
        sheet(picture_rows(made, 6, test, phantoms), options.sheet, SIDE)
    if options.people:
        people_sheet(options.people, 320, options.seed)
    text = report(real, made, phantoms, options.seed)
    print(text)
    if options.output:
        replace_section(options.output, "compare_real", text)


if __name__ == "__main__":
    main()
