"""Prompts are read as they are written."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from synth.anatomy.reports import write_prompt
from synth.core.errors import InputError
from synth.core.record import Finding, Record
from synth.diffusion.text.conditions import RACES, UNKNOWN, VIEWS, Conditions, encode, parse_prompt

IMPRESSIONS = ("", "Small left pleural effusion.", "No acute cardiopulmonary process.", "2 cm nodule. Rib fracture.")


@given(
    st.builds(
        Conditions,
        sex=st.sampled_from([None, "F", "M"]),
        age=st.none() | st.integers(0, 130).map(float),
        race=st.sampled_from(["", "WHITE", "Black", "African American", "Hispanic or Latino"]),
        view=st.sampled_from([None, *VIEWS]),
        impression=st.sampled_from(IMPRESSIONS),
    )
)
def test_a_prompt_is_read_back(asked: Conditions) -> None:
    assert parse_prompt(asked.prompt()) == asked


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("65 year old WHITE female. Edema.", Conditions("F", 65.0, "WHITE", impression="Edema.")),
        ("65-year-old man. Edema.", Conditions("M", 65.0, impression="Edema.")),
        ("sex:Male, age:71.0, race:Black. Edema.", Conditions("M", 71.0, "Black", impression="Edema.")),
        ("sex:Female. Edema.", Conditions("F", impression="Edema.")),
        ("AP view. Large mass.", Conditions(view="AP", impression="Large mass.")),
        ("Large mass in the right lower lobe", Conditions(impression="Large mass in the right lower lobe")),
        ("", Conditions()),
        (
            "Tubes and lines of this ventilated patient.",
            Conditions(impression="Tubes and lines of this ventilated patient."),
        ),
        ("400 year old male. Edema.", Conditions("M", None, impression="Edema.")),
    ],
)
def test_styles_of_others_are_read(text: str, asked: Conditions) -> None:
    assert parse_prompt(text) == asked


@pytest.mark.parametrize("style", ["roentgen", "chexgen"])
def test_our_own_prompts_are_read(style: str) -> None:
    effusion = Finding("Pleural Effusion", laterality="left", severity="small", kind="pleural effusion")
    record = Record("PA", sex="F", age=50.0, race="Asian", findings=(effusion,))
    read = parse_prompt(write_prompt(record, style=style))
    assert (read.sex, read.age, read.race) == ("F", 50.0, "Asian")
    assert "effusion" in read.impression


def test_codes() -> None:
    asked = [Conditions(), Conditions("M", 61.0, "black or african american", "LATERAL"), Conditions(race="Maori")]
    assert torch.equal(
        encode(asked),
        torch.tensor(
            [
                [UNKNOWN] * 4,
                [1, 61, RACES.index("BLACK"), VIEWS.index("LATERAL")],
                [UNKNOWN, UNKNOWN, RACES.index("OTHER"), UNKNOWN],
            ]
        ),
    )
    assert encode([]).shape == (0, 4)


def test_a_counterfactual_changes_one_thing() -> None:
    asked = Conditions("F", 40.0, impression="Edema.")
    assert asked.changed(sex="M") == Conditions("M", 40.0, impression="Edema.")


@pytest.mark.parametrize("wrong", [{"sex": "X"}, {"age": -1.0}, {"view": "pa"}])
def test_what_there_is_not_is_refused(wrong: dict) -> None:
    with pytest.raises(InputError):
        Conditions(**wrong)
