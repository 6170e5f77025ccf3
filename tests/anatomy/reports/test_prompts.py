import numpy as np
import pytest

from synth.anatomy.reports import write_prompt
from synth.anatomy.reports.english import article, join, sentence
from synth.core.errors import InputError
from synth.core.record import Finding, Record

EFFUSION = Finding("Pleural Effusion", "left", None, None, "moderate", "pleural effusion")
NODULE = Finding("Lung Lesion", "right", "upper lobe", 1.8, None, "spiculated nodule")


def test_roentgen_style():
    record = Record("PA", "F", 65, "white", findings=(EFFUSION, NODULE))
    assert write_prompt(record) == (
        "65 year old white female. Moderate left pleural effusion. 1.8 cm right upper lobe spiculated nodule."
    )


def test_chexgen_style():
    record = Record("PA", "M", 71, "Black", findings=(EFFUSION,))
    assert write_prompt(record, style="chexgen") == "sex:Male, age:71.0, race:Black. Moderate left pleural effusion."


@pytest.mark.parametrize(
    ("record", "prompt"),
    [
        (Record("PA"), "No acute cardiopulmonary process."),
        (Record("PA", "M", 40), "40 year old male. No acute cardiopulmonary process."),
        (Record("PA", None, 40), "40 year old patient. No acute cardiopulmonary process."),
        (Record("PA", "F", race="ASIAN"), "ASIAN female. No acute cardiopulmonary process."),
        (Record("PA", findings=(Finding("No Finding"),)), "No acute cardiopulmonary process."),
        (Record("PA", findings=(EFFUSION, EFFUSION)), "Moderate left pleural effusion."),
    ],
)
def test_what_is_not_known_is_left_out(record: Record, prompt: str):
    assert write_prompt(record) == prompt


@pytest.mark.parametrize(
    ("finding", "words"),
    [
        (Finding("Emphysema", "bilateral", None, None, "severe", "emphysema"), "Severe emphysema."),
        (Finding("Pleural Effusion", "bilateral", None, None, "small", "pleural effusion"),
         "Small bilateral pleural effusions."),
        (Finding("Atelectasis", "bilateral", "base", None, "mild", "linear atelectasis"),
         "Mild bibasilar linear atelectasis."),
        (Finding("Pneumonia", "left", "lingula", None, None, "pneumonia"), "Lingular pneumonia."),
        (Finding("Fracture", "left", None, None, None, "healing rib fracture"), "Healing left rib fracture."),
        (Finding("Fracture", "right", "clavicle", None, None, None), "Fracture in the right clavicle."),
        (Finding("Fracture", "right", "lateral 6th rib", kind="rib fracture"), "Right lateral 6th rib fracture."),
        (Finding("Fracture", "left", "7th rib", None, None, "healing rib fracture"), "Healing left 7th rib fracture."),
        (Finding("Support Devices", None, "right main bronchus", None, None, "endotracheal tube"),
         "Endotracheal tube with its tip in the right main bronchus."),
        (Finding("Pleural Effusion", "left", None, 4.1, "small", "pleural effusion"), "Small left pleural effusion."),
        (Finding("Support Devices", kind="sternal wires"), "Sternal wires."),
        (Finding("Lung Opacity", "right", "base"), "Right basilar opacity."),
    ],
)  # fmt: skip
def test_canonical_wording(finding: Finding, words: str):
    assert write_prompt(Record("PA", findings=(finding,))) == words


def test_a_generator_varies_the_wording_and_repeats_itself():
    record = Record("PA", findings=(EFFUSION, NODULE))
    prompts = {write_prompt(record, np.random.default_rng(seed)) for seed in range(200)}
    assert len(prompts) > 50
    assert write_prompt(record, np.random.default_rng(3)) == write_prompt(record, np.random.default_rng(3))


@pytest.mark.parametrize(
    ("record", "message"),
    [
        (Record("PA", findings=(Finding("Lung Lesion", kind="nodul"),)), "unknown kind"),
        (Record("PA", findings=(Finding("Fibrosis"),)), "without a kind"),
        (Record("PA", findings=(Finding("Pneumonia", kind="nodule"),)), "its name is 'Lung Lesion'"),
        (Record("PA", findings=(Finding("Pneumonia", "both", kind="pneumonia"),)), "laterality 'both'"),
        (Record("PA", findings=(Finding("Pneumonia", severity="awful", kind="pneumonia"),)), "severity 'awful'"),
        (Record("PA", findings=(Finding("Lung Lesion", size_cm=0.0, kind="nodule"),)), "size_cm"),
        (Record("PA", findings=(Finding("Lung Lesion", size_cm=float("nan"), kind="nodule"),)), "size_cm"),
        (Record("PA", "X"), "sex 'X'"),
    ],
)
def test_bad_records(record: Record, message: str):
    with pytest.raises(InputError, match=message):
        write_prompt(record)


def test_unknown_style():
    with pytest.raises(InputError, match="use one of roentgen, chexgen"):
        write_prompt(Record("PA"), style="poem")


@pytest.mark.parametrize(
    ("phrase", "expected"),
    [
        ("effusion", "an effusion"), ("nodule", "a nodule"), ("8 mm nodule", "an 8 mm nodule"),
        ("11 mm nodule", "an 11 mm nodule"), ("18 mm nodule", "an 18 mm nodule"), ("1.8 cm mass", "a 1.8 cm mass"),
        ("11.5 cm mass", "an 11.5 cm mass"), ("upper lobe nodule", "an upper lobe nodule"),
        ("unilateral effusion", "a unilateral effusion"), ("80 mm mass", "an 80 mm mass"),
        ("endotracheal tube", "an endotracheal tube"),
        ("NG tube", "an NG tube"), ("PA view", "a PA view"),
    ],
)  # fmt: skip
def test_articles(phrase: str, expected: str):
    assert article(phrase) == expected


def test_lists_and_sentences():
    assert [join(["a"]), join(["a", "b"], "or"), join(["a", "b", "c"])] == ["a", "a or b", "a, b, and c"]
    assert sentence("no effusion") == "No effusion."
