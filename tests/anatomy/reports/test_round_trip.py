"""What is written is read back: every kind with every side, place, grade and size, in prompts and reports."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synth.anatomy.reports import parse, write_prompt, write_report
from synth.anatomy.reports.grammar import SECTIONS
from synth.anatomy.reports.places import RIB_KINDS, TIPS
from synth.anatomy.reports.prompts import STYLES
from synth.anatomy.reports.wording import settle
from synth.anatomy.vocabulary import KINDS, LATERALITIES, LOCATIONS
from synth.core.record import Finding, Record

SIZES = (0.4, 0.8, 1.0, 1.8, 11.2)
RIBS = ("lateral 6th rib", "posterior 3rd rib", "anterior 10th rib", "lateral", "8th rib")


def may_be(kind: str) -> tuple[tuple[str | float | None, ...], ...]:
    """Sides, places, sizes and grades; wider than the vocabulary in what may come together."""
    entry = KINDS[kind]
    return (
        (None, *LATERALITIES) if entry.lateralities else (None,),
        (None, *(LOCATIONS if entry.locations else RIBS if kind in RIB_KINDS else TIPS.get(kind, ()))),
        (None, *SIZES) if entry.size_cm else (None,),
        (None, *entry.severities),
    )


def all_findings(kind: str) -> list[Finding]:
    findings = (settle(Finding(KINDS[kind].name, *said, kind)) for said in itertools.product(*may_be(kind)))
    return list(dict.fromkeys(findings))


FINDINGS = st.sampled_from([finding for kind in KINDS for finding in all_findings(kind)])
SEEDS = st.integers(0, 2**32)


def place(finding: Finding) -> tuple[str | None, ...]:
    """Two of a kind in one place are told apart by size alone, which a sentence of both may leave open."""
    return finding.kind, finding.laterality, finding.location


@pytest.mark.parametrize("kind", KINDS)
def test_the_canonical_prompt_of_every_finding(kind: str):
    for finding in all_findings(kind):
        prompt = write_prompt(Record("PA", findings=(finding,)))
        assert parse(prompt).findings == (finding,), prompt


@given(
    findings=st.lists(FINDINGS, max_size=4, unique_by=place),
    seed=SEEDS,
    style=st.sampled_from(STYLES),
    sex=st.sampled_from(["F", "M", None]),
    age=st.none() | st.integers(0, 110),
    race=st.sampled_from(["", "WHITE", "black", "Hispanic or Latino", "American Indian/Alaska Native"]),
)
@settings(max_examples=800, deadline=None)
def test_prompts(findings: list[Finding], seed: int, style: str, sex: str | None, age: int | None, race: str):
    record = Record("PA", sex, age, race, findings=tuple(findings))
    prompt = write_prompt(record, np.random.default_rng(seed), style)
    back = parse(prompt)
    assert (back.sex, back.age, back.race) == (sex, age, race), prompt
    assert set(back.findings) == set(findings), prompt


@given(
    findings=st.lists(FINDINGS, max_size=5, unique_by=place),
    seed=SEEDS,
    sections=st.sampled_from([("findings", "impression"), ("findings",), ("impression",), SECTIONS]),
    comparison=st.sampled_from(["", "chest radiograph of the day before"]),
)
@settings(max_examples=800, deadline=None)
def test_reports(findings: list[Finding], seed: int, sections: tuple[str, ...], comparison: str):
    record = Record("AP", "F", 47, findings=tuple(findings))
    generator = np.random.default_rng(seed)
    report = write_report(record, generator, sections=sections, comparison=comparison)
    back = parse(report)
    assert set(back.findings) == set(findings), report
    if "technique" in sections:
        assert (back.view, back.sex, back.age) == ("AP", "F", 47), report


@pytest.mark.parametrize(
    "view", ["PA", "AP", "LATERAL", "RLATERAL", "LAO45", "RAO30CRA20", "LPO30", "RPO12.5", "CAU15", "CRA7.5"]
)
def test_views(view: str):
    for seed in range(10):
        report = write_report(Record(view), np.random.default_rng(seed), sections=("technique", "impression"))
        assert parse(report).view == view, report


def test_findings_without_a_kind():
    for name in ("Lung Opacity", "Edema", "Fracture", "Lung Lesion", "Support Devices", "Hernia", "Pleural Other"):
        finding = Finding(name, laterality=None if name in ("Support Devices", "Hernia") else "left")
        assert parse(write_prompt(Record("PA", findings=(finding,)))).findings == (finding,)


def test_what_goes_without_saying():
    said = {finding: settle(finding) for finding in (
        Finding("Consolidation", location="lingula", kind="consolidation"),
        Finding("Consolidation", location="middle lobe", kind="consolidation"),
        Finding("Emphysema", kind="emphysema"),
    )}  # fmt: skip
    assert [finding.laterality for finding in said.values()] == ["left", "right", "bilateral"]
    assert settle(Finding("Pleural Effusion", severity="severe", kind="pleural effusion")).severity == "large"
    assert settle(Finding("Cardiomegaly", severity="small", kind="cardiomegaly")).severity == "mild"
    assert settle(Finding("Pleural Effusion", "left", "hilum", 4.0, None, "pleural effusion")) == Finding(
        "Pleural Effusion", "left", None, None, None, "pleural effusion"
    )


def test_places_are_those_that_the_editors_draw():
    from synth.anatomy.findings.drains import DRAIN_TIPS
    from synth.anatomy.findings.lines import CATHETER_TIPS, PACING_SITES
    from synth.anatomy.findings.tubes import TIPS as TUBE_TIPS

    drawn = {**TUBE_TIPS, "central venous catheter": CATHETER_TIPS, "pacemaker": PACING_SITES}
    drawn["chest drain"] = DRAIN_TIPS
    assert {kind: set(places) for kind, places in TIPS.items()} == {kind: set(places) for kind, places in drawn.items()}
