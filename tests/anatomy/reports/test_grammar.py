import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synth.anatomy.reports import write_report
from synth.anatomy.reports.marks import mark, sentences
from synth.anatomy.reports.parser import _resolve_organs
from synth.anatomy.reports.scope import standing
from synth.anatomy.vocabulary import CHEXPERT_OF, draw_finding
from synth.core.errors import InputError
from synth.core.record import Finding, Record

NAMES = sorted(set(CHEXPERT_OF.values()))


@st.composite
def records(draw: st.DrawFn) -> tuple[Record, int]:
    seed = draw(st.integers(0, 2**32))
    generator = np.random.default_rng(seed)
    names = draw(st.lists(st.sampled_from(NAMES), max_size=5, unique=True))
    return Record("PA", findings=tuple(draw_finding(name, generator) for name in names)), seed


def denied(report: str) -> set[str]:
    """Names of what a report denies."""
    found = [_resolve_organs(mark(words)) for words in sentences(report)]
    return {
        concept.name
        for marks in found
        for k, entry in enumerate(marks)
        if entry.role == "finding" and standing(marks, k) == "denied"
        for concept in entry.value
    }


@given(records())
@settings(max_examples=500, deadline=None)
def test_nothing_present_is_denied_or_called_normal(drawn: tuple[Record, int]):
    record, seed = drawn
    report = write_report(record, np.random.default_rng(seed))
    present = {finding.name for finding in record.findings}
    assert not denied(report) & present, report
    if present & {"Consolidation", "Pneumonia", "Lung Opacity", "Lung Lesion", "Atelectasis", "Edema", "Emphysema"}:
        clear = [words for words in report.split(".") if re.search(r"\bclear", words, re.I)]
        assert all("otherwise" in words.lower() for words in clear), report
    if "Cardiomegaly" in present:
        assert not re.search(r"(heart|cardiac|cardiomediastinal)[^.]*(normal|unremarkable|not enlarged)", report, re.I)
    if "Enlarged Cardiomediastinum" in present:
        assert not re.search(r"mediastin[^.]*(normal|unremarkable)", report, re.I), report
    if "Fracture" in present:
        assert not re.search(r"(osseous|bony|bones)", report, re.I), report


@given(records())
@settings(max_examples=500, deadline=None)
def test_english(drawn: tuple[Record, int]):
    record, seed = drawn
    report = write_report(record, np.random.default_rng(seed), comparison="the radiograph of the day before")
    assert not re.search(r"  |\s[,.]|,,|\.\.", report), report
    assert not re.search(r"\b[Aa] (?:[aeio]|u(?!ni)|8|1[18]\b)", report), report
    assert not re.search(r"\b[Aa]n (?![aeiouEN8]|1[18])", report), report
    assert not re.search(
        r"\b[Tt]here is (?:(?!with|and\b)[\w-]+ )*(?:effusions|nodules|masses|opacities|wires)\b", report
    ), report
    assert not re.search(r"\b(?:is|are) (?:is|are)\b|\b(\w+) \1\b", report), report
    for paragraph in report.split("\n\n"):
        body = paragraph.partition(": ")[2]
        for text in re.split(r"(?<=[^\d]\.)\s+", body):
            assert re.match(r"[A-Z\d]", text), report
            assert text.endswith("."), report


def test_many_normal_reports():
    reports = {write_report(Record("PA"), np.random.default_rng(seed)) for seed in range(3000)}
    assert len(reports) > 2900


def test_every_normal_report_denies_something_and_names_no_finding():
    for seed in range(100):
        report = write_report(Record("PA"), np.random.default_rng(seed))
        assert denied(report), report


def test_same_seed_same_report():
    record = Record("PA", findings=(draw_finding("Pneumonia", np.random.default_rng(0)),))
    assert write_report(record, np.random.default_rng(5)) == write_report(record, np.random.default_rng(5))


def test_sections_and_their_headings():
    record = Record("LAO45", "F", 65)
    report = write_report(
        record, np.random.default_rng(0), sections=("impression", "technique", "indication"), comparison="CT"
    )
    headings = [paragraph.partition(":")[0] for paragraph in report.split("\n\n")]
    assert headings == ["INDICATION", "TECHNIQUE", "IMPRESSION"]
    assert "65-year-old female." in report
    assert "Left anterior oblique view of the chest, 45 degrees." in report
    assert ":" not in write_report(record, np.random.default_rng(0), sections=("impression",))


def test_age_and_sex_stand_in_the_indication_alone():
    for seed in range(50):
        report = write_report(Record("PA", "F", 65, "white"), np.random.default_rng(seed))
        assert not re.search(r"65|female|white", report), report


def test_tips_of_devices():
    tube = Finding("Support Devices", None, "right main bronchus", kind="endotracheal tube")
    line = Finding("Support Devices", "right", kind="central venous catheter")
    for seed in range(30):
        report = write_report(Record("AP", findings=(tube, line)), np.random.default_rng(seed), sections=("findings",))
        assert re.search(r"tip in the right main(stem)? ?bronchus", report), report
        assert not re.search("carina|vena cava|SVC", report), report


@pytest.mark.parametrize(
    ("record", "sections", "message"),
    [
        (Record("PA"), ("summary",), "report section summary"),
        (Record("PA"), (), "none"),
        (Record("SIDEWAYS"), ("technique",), "view 'SIDEWAYS'"),
        (Record("PA", findings=(Finding("Lung Lesion", kind="blob"),)), ("findings",), "unknown kind"),
    ],
)
def test_bad_input(record: Record, sections: tuple[str, ...], message: str):
    with pytest.raises(InputError, match=message):
        write_report(record, np.random.default_rng(0), sections=sections)
