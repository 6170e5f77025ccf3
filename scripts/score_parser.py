"""How well the parser reads real reports: precision and recall of each class of findings.

    python scripts/score_parser.py
    python scripts/score_parser.py -o docs/reports.md

Reports of the Indiana University collection (Open-i; Demner-Fushman et al. 2016, doi 10.1093/jamia/ocv080), findings
and impression, beside the terms that a medical indexer gave them (`mesh_major`: "Term/qualifier/…; Term/…"). Odd
report ids are the half that the parser was developed on, even ones were held out. The terms are no perfect truth: they
keep some findings that the report calls possible, leave out others that it states, and rest on words that the source
has since struck out (XXXX). A class counts once a report; side, size and severity do not count.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from bench_drr_peers.tables import replace_section

from synth.anatomy.reports import parse

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from synth.core.record import Finding

REPORTS = Path(__file__).resolve().parents[2] / "shared" / "data" / "reports" / "openi_reports.csv"
HALVES = ("development", "held-out")
NONE = "No Finding"
CLASSES = (
    "Cardiomegaly", "Pleural Effusion", "Atelectasis", "Lung Lesion", "Lung Opacity", "Edema",
    "Consolidation or Pneumonia", "Pneumothorax", "Fracture", "Support Devices", "Emphysema", "Pleural Other",
    "Enlarged Cardiomediastinum", "Hernia", NONE,
)  # fmt: skip

TERMS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "Cardiomegaly": ("Cardiomegaly",),
        "Pleural Effusion": ("Pleural Effusion",),
        "Hydropneumothorax": ("Pleural Effusion", "Pneumothorax"),
        "Pulmonary Atelectasis": ("Atelectasis",),
        "Nodule": ("Lung Lesion",),
        "Mass": ("Lung Lesion",),
        "Granuloma": ("Lung Lesion",),
        "Calcified Granuloma": ("Lung Lesion",),
        "Cavitation": ("Lung Lesion",),
        "Opacity": ("Lung Opacity",),
        "Airspace Disease": ("Lung Opacity",),
        "Infiltrate": ("Lung Opacity",),
        "Lung Diseases, Interstitial": ("Lung Opacity",),
        "Pulmonary Edema": ("Edema",),
        "Pulmonary Congestion": ("Edema",),
        "Heart Failure": ("Edema",),
        "Consolidation": ("Consolidation or Pneumonia",),
        "Pneumonia": ("Consolidation or Pneumonia",),
        "Pneumothorax": ("Pneumothorax",),
        "Fractures, Bone": ("Fracture",),
        "Catheters, Indwelling": ("Support Devices",),
        "Tube, Inserted": ("Support Devices",),
        "Implanted Medical Device": ("Support Devices",),
        "Medical Device": ("Support Devices",),
        "Emphysema": ("Emphysema",),
        "Pulmonary Emphysema": ("Emphysema",),
        "Hernia, Hiatal": ("Hernia",),
        "Hernia, Diaphragmatic": ("Hernia",),
    }
)
"""Term, whatever its qualifiers → classes; `classes_of_term` knows those that depend on a qualifier."""


class Score(NamedTuple):
    """Counts of one class; `positives` is true + missed."""

    true: int
    wrong: int
    missed: int

    @property
    def positives(self) -> int:
        """Reports that have the class."""
        return self.true + self.missed

    @property
    def precision(self) -> float | None:
        """Share of the found that are true."""
        return self.true / (self.true + self.wrong) if self.true + self.wrong else None

    @property
    def recall(self) -> float | None:
        """Share of the true that are found."""
        return self.true / self.positives if self.positives else None


def classes_of_term(text: str) -> tuple[str, ...]:
    """The classes of one term with its qualifiers.

    Round opacities and densities are nodules; other densities and interstitial markings of the lung are opacities.
    "Calcinosis" of the lung is a calcified nodule, but not that of hilar nodes. A cardiac shadow counts if enlarged, a
    mediastinum if prominent or enlarged. Surgical instruments (clips and wires) are no class: they are indexed too
    seldom to be a truth. Neither are COPD, bullae, scars, granulomatous disease or blunted angles.
    """
    term, *qualifiers = [part.strip() for part in text.strip().split("/")]
    said = set(qualifiers)
    if term in ("Opacity", "Density") and "round" in said and not said & {"interstitial", "reticular"}:
        return ("Lung Lesion",)
    if term in TERMS:
        return TERMS[term]
    rules = (
        ("Density" == term and bool(said & {"lung", "retrocardiac"}), "Lung Opacity"),
        (term in ("Markings", "Lung", "Thickening") and bool(said & {"interstitial", "reticular"}), "Lung Opacity"),
        (term == "Calcinosis" and "lung" in said and not said & {"hilum", "lymph nodes"}, "Lung Lesion"),
        (term in ("Cardiac Shadow", "Heart") and "enlarged" in said, "Cardiomegaly"),
        (term == "Mediastinum" and bool(said & {"prominent", "enlarged"}), "Enlarged Cardiomediastinum"),
        (term == "Pleura" or (term in ("Thickening", "Cicatrix", "Calcinosis") and "pleura" in said), "Pleural Other"),
    )
    return tuple(name for holds, name in rules if holds)


def classes_of_terms(mesh_major: str) -> set[str]:
    """The classes that the indexer's terms mean; No Finding where they mean none."""
    return {name for term in mesh_major.split(";") for name in classes_of_term(term)} or {NONE}


def classes_of_findings(findings: Iterable[Finding]) -> set[str]:
    """The classes of what the parser found, without sternal wires (see `classes_of_term`)."""
    names = {finding.name for finding in findings if finding.kind != "sternal wires"}
    renamed = {"Consolidation": "Consolidation or Pneumonia", "Pneumonia": "Consolidation or Pneumonia"}
    return {renamed.get(name, name) for name in names} or {NONE}


def read_half(half: str, path: Path = REPORTS) -> list[tuple[str, str, str]]:
    """(id, text, terms) of the reports of a half, or of all for any other name."""
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    parity = {HALVES[0]: 1, HALVES[1]: 0}.get(half)
    return [
        (row["report_id"], f"FINDINGS: {row['findings']}\nIMPRESSION: {row['impression']}", row["mesh_major"])
        for row in rows
        if parity is None or int(row["report_id"].removeprefix("CXR")) % 2 == parity
    ]


def score(reports: Iterable[tuple[str, str, str]], *, keep_uncertain: bool = False) -> dict[str, Score]:
    """The score of every class."""
    pairs = [
        (classes_of_findings(parse(text, keep_uncertain=keep_uncertain).findings), classes_of_terms(terms))
        for _, text, terms in reports
    ]
    return {
        name: Score(
            sum(name in found and name in true for found, true in pairs),
            sum(name in found and name not in true for found, true in pairs),
            sum(name not in found and name in true for found, true in pairs),
        )
        for name in CLASSES
    }


def table(scores: Sequence[dict[str, Score]]) -> str:
    """Markdown; one group of columns a half."""
    head = "| class |" + "".join(f" {half}: positives | precision | recall |" for half in HALVES)
    rule = "|---|" + "---:|" * 3 * len(HALVES)
    lines = [
        f"| {name} |"
        + "".join(f" {s[name].positives} | {_number(s[name].precision)} | {_number(s[name].recall)} |" for s in scores)
        for name in CLASSES
    ]
    return "\n".join((head, rule, *lines))


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def show_errors(reports: Iterable[tuple[str, str, str]]) -> None:
    """Ids of the reports whose classes differ, with what is wrong and what is missed."""
    for name, text, terms in reports:
        found, true = classes_of_findings(parse(text).findings), classes_of_terms(terms)
        if found != true:
            print(f"{name}: wrong {sorted(found - true)}, missed {sorted(true - found)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reports", type=Path, default=REPORTS, metavar="FILE", help="openi_reports.csv")
    parser.add_argument("--keep-uncertain", action="store_true", help="count what the report calls possible")
    parser.add_argument("--errors", action="store_true", help="ids of the development half's reports that differ")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="Markdown file to put the table into")
    options = parser.parse_args()
    if not options.reports.exists():
        parser.error(f"--reports: {options.reports} is not there; give the CSV of Open-i reports")
    halves = [read_half(half, options.reports) for half in HALVES]
    if options.errors:
        show_errors(halves[0])
    text = table([score(half, keep_uncertain=options.keep_uncertain) for half in halves])
    text += f"\n\n{len(halves[0])} reports of the development half, {len(halves[1])} held out."
    print(text)
    if options.output:
        replace_section(options.output, "score_parser", text)


if __name__ == "__main__":
    main()
