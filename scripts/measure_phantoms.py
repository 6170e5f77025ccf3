"""What phantoms measure, beside published normal ranges.

Random adults, lying on the back with a deep breath, are drawn and measured as a radiologist would measure a CT: from
the label maps and the Hounsfield values. Only the airways' branches are counted on the painted tubes, since most are
thinner than a voxel. The table goes into docs/anatomy.md.

    python scripts/measure_phantoms.py                 # 200 bodies
    python scripts/measure_phantoms.py --n 20 -o ''    # a quick look, nothing written

Exit code 1: the mean of a measure, over women or over men, lies outside the range.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from bench_drr_peers.tables import replace_section, table
from phantom_measures import measures as of
from phantom_measures.subject import Subject

from synth.anatomy.findings.heart import HEART, cardiothoracic_ratio
from synth.anatomy.labels import LOBES, LUNG_RIGHT
from synth.anatomy.person import draw_person
from synth.anatomy.phantom import phantom
from synth.core.seeds import sample_generator

if TYPE_CHECKING:
    from collections.abc import Callable


PAGE = Path(__file__).resolve().parent.parent / "docs" / "anatomy.md"


def main() -> None:
    options = parse_arguments()
    rows: list[dict[str, float]] = []
    start = time.perf_counter()
    for number in range(options.n):
        rows.append(measured(options.seed, number, options.voxel))
        done = f"{number + 1} of {options.n} bodies, {time.perf_counter() - start:.0f} s"
        print(f"\r{done}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    text, outside = report(rows)
    command = f"python scripts/measure_phantoms.py --n {options.n} --voxel {options.voxel:g} --seed {options.seed}"
    intro = (
        f"{options.n} bodies of the population that `draw_person` draws, supine, voxels of {options.voxel:g} mm. "
        f"Command: `{command}`. Mean ± standard deviation; “within” is the share of bodies in the range; “ours” marks "
        "limits that no measurement known to us gives."
    )
    print(text)
    if options.output:
        replace_section(Path(options.output), "measure_phantoms", f"{intro}\n\n{text}")
    for line in outside:
        print(f"outside: {line}", file=sys.stderr)
    sys.exit(1 if outside else 0)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, metavar="N", default=200, help="bodies (default 200)")
    parser.add_argument("--voxel", type=float, metavar="MM", default=3.0, help="voxel edge, 0.5 to 5 (default 3)")
    parser.add_argument("--seed", type=int, default=1, help="root seed (default 1)")
    parser.add_argument(
        "-o", "--output", metavar="FILE", default=str(PAGE), help="page with the table's markers; '' writes none"
    )
    options = parser.parse_args()
    if options.n < 2 or not 0.5 <= options.voxel <= 5:
        parser.error("--n must be at least 2, --voxel 0.5 to 5")
    return options


def measured(seed: int, number: int, voxel: float) -> dict[str, float]:
    """All measures of one body, by name, and whether it is a woman's."""
    person = draw_person(sample_generator(seed, number, "person"))
    body = phantom(person, seed, number, supine=True)
    subject = Subject(person, body, body.voxelise(spacing_mm=voxel))
    return {"female": float(person.sex == "F")} | {measure.name: _value(measure, subject) for measure in MEASURES}


def _value(measure: Measure, subject: Subject) -> float:
    """NaN where a landmark is not found."""
    try:
        return measure.of(subject)
    except ValueError:
        return float("nan")


Range = tuple[float, float]


@dataclass(frozen=True)
class Measure:
    """One row of the table.

    Attributes:
        name: With its unit.
        of: What measures it.
        women: Normal range.
        men: Normal range; None: that of women.
        source: Of the range.
        digits: To print.
    """

    name: str
    of: Callable[[Subject], float]
    women: Range
    source: str
    men: Range | None = None
    digits: int = 1


YAMADA = "Yamada et al. 2020, Respiration 99:598, supine, 32 adults, least to largest"
ROGERS = "Rogers et al. 2013, Am J Cardiol 111:1510: means 31.9 and 34.1, 23.1 and 25.8 mm; ± 25 % ours"
ANSUR = "Gordon et al. 2014, ANSUR II, soldiers; wider by us for older and stouter people"
BREATNACH = "Breatnach et al. 1984, AJR 142:903"
MEASURES = (
    Measure("lungs, l", of.lung_litres, (2.8, 6.2), "ours", (3.6, 8.2)),
    Measure("gas / predicted capacity", of.capacity_ratio, (0.65, 1.1),
            "Quanjer et al. 1993, Eur Respir J 6 Suppl 16:5 (sitting); lying takes 5 to 15 % (Yamada et al. 2020, Sci "
            "Rep 10:16203); limits ours", digits=2),
    Measure("lungs, mean HU", of.lung_hu, (-900, -780),
            "Zach et al. 2012, Invest Radiol 47:596: about -850 at full inspiration; limits ours", digits=0),
    Measure("right upper lobe, %", of.lobe_share("lung_upper_lobe_right"), (11.8, 22.7), YAMADA),
    Measure("middle lobe, %", of.lobe_share("lung_middle_lobe_right"), (6.6, 13.8), YAMADA),
    Measure("right lower lobe, %", of.lobe_share("lung_lower_lobe_right"), (22.3, 34.0), YAMADA),
    Measure("left upper lobe, %", of.lobe_share("lung_upper_lobe_left"), (18.1, 26.6), YAMADA),
    Measure("left lower lobe, %", of.lobe_share("lung_lower_lobe_left"), (19.4, 28.7), YAMADA),
    Measure("right lung, %", lambda s: 100 * s.ml(*LUNG_RIGHT) / s.ml(*LOBES), (50.6, 57.4), YAMADA),
    Measure("trachea, coronal, mm", of.windpipe(0), (10, 21), BREATNACH, (13, 25)),
    Measure("trachea, sagittal, mm", of.windpipe(1), (10, 23), BREATNACH, (13, 27)),
    Measure("angle of the main bronchi, °", of.carina_angle, (39, 82),
            "Jha et al., J BP Koirala Inst Health Sci: 392 radiographs, 60 ± 8°, least to largest", digits=0),
    Measure("right main bronchus, mm", of.main_bronchus("right"), (9, 17), "ours", (10, 19)),
    Measure("left main bronchus, mm", of.main_bronchus("left"), (8, 15), "ours", (9, 17)),
    Measure("bronchi, branches", lambda s: float(of.airway_tree(s)[0]), (200, 600), "ours: what thin-slice CT resolves",
            digits=0),
    Measure("bronchi, generations", lambda s: float(of.airway_tree(s)[1]), (8, 20), "ours", digits=0),
    Measure("ascending aorta, mm", of.aorta("ascending"), (24.0, 40.0), ROGERS, (25.5, 42.5)),
    Measure("descending aorta, mm", of.aorta("descending"), (17.3, 29.0), ROGERS, (19.3, 32.5)),
    Measure("pulmonary trunk, mm", of.pulmonary_trunk, (19.5, 30.7),
            "Truong et al. 2012, Circ Cardiovasc Imaging 5:147: 25.1 ± 2.8 mm, ± 2 SD"),
    Measure("heart, ml", lambda s: s.ml(*HEART), (350, 850), "ours", (450, 1050), 0),
    Measure("cardiothoracic ratio", lambda s: cardiothoracic_ratio(s.scan), (0.36, 0.52),
            "Danzer 1919, Am J Med Sci 157:513: below 0.50 in films; lying adds 0.02: ours", digits=3),
    Measure("liver / predicted", of.liver_ratio, (0.65, 1.4),
            "Vauthey et al. 2002, Liver Transpl 8:233 (1267 ml/m² × body surface - 794 ml); limits ours", digits=2),
    Measure("spleen, ml", lambda s: s.ml("spleen"), (107, 315), "Prassopoulos et al. 1997, Eur Radiol 7:246", digits=0),
    Measure("T8 with its disc, mm", of.body_height("T8"), (18.5, 27.5),
            "Panjabi et al. 1991, Spine 16:888, and Pooni et al. 1986, Surg Radiol Anat 8:175: 23.7; limits ours",
            (20.0, 29.0)),
    Measure("L1 with its disc, mm", of.body_height("L1"), (26.0, 37.0),
            "Panjabi et al. 1992, Spine 17:299, and Pooni et al. 1986: 32.4; limits ours", (27.5, 39.0)),
    Measure("T8, marrow, HU", of.trabecular("T8"), (60, 300), "ours", digits=0),
    Measure("L1, marrow, HU", of.trabecular("L1"), (60, 300), "ours: from the next row", digits=0),
    Measure("L1, marrow less the mean for the age, HU", of.jang_residual, (-76, 76),
            "Jang et al. 2019, Radiology 291:360: 226 at 25 years, 2.5 less a year, 38 HU within groups; ± 2 SD",
            digits=0),
    Measure("kyphosis T4 to T12, °", of.kyphosis, (18, 60), "Fon et al. 1980, AJR 134:979, all ages; limits ours",
            digits=0),
    Measure("chest, circumference, cm", of.circumference, (76, 122), ANSUR, (86, 130), 0),
    Measure("chest, depth, mm", of.chest_depth, (190, 320), ANSUR, (200, 330), 0),
    Measure("ribs", of.ribs, (24, 24), "Gray's Anatomy", digits=0),
    Measure("fat below the skin at T11, mm", of.subcutaneous, (5, 45), "ours", (4, 40)),
    Measure("right dome, level of the spine", of.dome_level, (8.5, 11.0),
            "ours: nine to ten posterior ribs above the dome at a deep breath; 10 is T10"),
    Measure("right dome above the left, mm", of.dome_difference, (-12, 32),
            "Felson 1973, Chest Roentgenology: higher in nine of ten, by half an interspace; limits ours"),
    Measure("gas in the stomach, ml", of.gas_ml, (5, 250), "ours", digits=0),
)  # fmt: skip


def report(rows: list[dict[str, float]]) -> tuple[str, list[str]]:
    """The table, and what lies outside its range."""
    female = np.array([row["female"] > 0 for row in rows])
    lines, outside = [], []
    for measure in MEASURES:
        values = np.array([row[measure.name] for row in rows])
        ranges = (measure.women, measure.men or measure.women)
        cells, within = [], 0
        for who, (low, high), word in ((female, ranges[0], "women"), (~female, ranges[1], "men")):
            found = values[who & np.isfinite(values)]
            if not len(found):
                cells.append("–")
                continue
            mean = found.mean()
            within += np.count_nonzero((found >= low) & (found <= high))
            cells.append(f"{mean:.{measure.digits}f} ± {found.std():.{measure.digits}f}")
            if not low <= mean <= high:
                outside.append(f"{measure.name}, {word}: {mean:.{measure.digits}f}, not {low:g} to {high:g}")
        spans = [f"{low:g} to {high:g}" for low, high in dict.fromkeys(ranges)]
        lines.append([measure.name, *cells, " / ".join(spans), f"{within / len(rows):.0%}", measure.source])
    return table(["measure", "women", "men", "normal (women / men)", "within", "range from"], lines), outside


if __name__ == "__main__":
    main()
