"""What no seed can grant is refused before anything is made, and nothing else is."""

from __future__ import annotations

import pytest

from synth.anatomy.vocabulary import KINDS, draw_finding
from synth.core.errors import InputError
from synth.core.record import Finding
from synth.core.seeds import sample_generator
from synth.dataset.request import Request
from synth.dataset.sources.wishes import drawable, findings_in_words, refuse_findings, refuse_person


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_drawn_is_not_refused(kind: str) -> None:
    for seed in range(5):
        refuse_findings([draw_finding(KINDS[kind].name, sample_generator(seed, kind), kind)], "case 1")


@pytest.mark.parametrize(
    ("finding", "said"),
    [
        (Finding("Infiltration"), "no finding 'Infiltration' can be drawn; possible are Atelectasis, "),
        (Finding("Lung Lesion", kind="noddule"), "no finding 'noddule' can be drawn"),
        (Finding("Pneumothorax", "bilateral"), "pneumothorax: laterality 'bilateral' is not possible; use one of left"),
        (Finding("Lung Lesion", "left", "middle lobe"), "nodule: location 'middle lobe' is not possible"),
        (Finding("Lung Lesion", size_cm=4.0, kind="nodule"), "nodule: size_cm=4 is not possible; use 0.6 to 3"),
        (Finding("Pleural Effusion", severity="severe"), "pleural effusion: severity 'severe' is not possible; use"),
    ],
)
def test_what_cannot_be_drawn_is_refused(finding: Finding, said: str) -> None:
    with pytest.raises(InputError) as refused:
        refuse_findings([finding], "case 7")
    assert str(refused.value).startswith(f"case 7: {said}")


def test_a_name_is_refused_only_where_none_of_its_kinds_will_do() -> None:
    refuse_findings([Finding("Lung Lesion", size_cm=5.0)], "case 1")  # a mass
    refuse_findings([Finding("Lung Lesion", size_cm=1.0)], "case 1")  # a nodule
    with pytest.raises(InputError, match="size_cm=50"):
        refuse_findings([Finding("Lung Lesion", size_cm=50.0)], "case 1")


def test_no_finding_is_none() -> None:
    assert drawable([Finding("No Finding"), Finding("Edema")]) == (Finding("Edema"),)
    refuse_findings([Finding("No Finding")], "case 1")


def test_words() -> None:
    (found,) = findings_in_words("moderate left pleural effusion")
    assert (found.name, found.laterality, found.severity) == ("Pleural Effusion", "left", "moderate")
    assert findings_in_words(" None ") == ()
    with pytest.raises(InputError, match="no finding was read in 'a horse'; use none, or words such as nodule"):
        findings_in_words("a horse")


@pytest.mark.parametrize(
    ("wishes", "said"),
    [({"sex": "f"}, "sex must be F or M, got 'f'"), ({"age": 7.0}, "age must be 18 to 95 years, got 7")],
)
def test_persons(wishes: dict[str, str | float], said: str) -> None:
    with pytest.raises(InputError, match=f"case lena: {said}"):
        refuse_person(Request(0, 1, id="lena", **wishes))  # type: ignore[arg-type]


def test_persons_that_phantoms_are() -> None:
    for request in (Request(0, 1), Request(0, 1, sex="F", age=18.0), Request(0, 1, sex="M", age=95.0)):
        refuse_person(request)
