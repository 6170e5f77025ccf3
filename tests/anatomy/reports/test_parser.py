import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synth.anatomy.reports import parse
from synth.core.errors import InputError
from synth.core.record import Finding


def briefly(finding: Finding) -> str:
    """Kind or name, side, place, size and grade in one line."""
    words = (finding.kind or finding.name, finding.laterality, finding.location, finding.size_cm, finding.severity)
    return " | ".join("-" if word is None else str(word) for word in words)


def read(text: str, **options: bool) -> list[str]:
    return [briefly(finding) for finding in parse(text, **options).findings]


@pytest.mark.parametrize(
    "text",
    [
        "No evidence of pneumothorax or effusion.",
        "No focal consolidation, large pleural effusion, or pneumothorax.",
        "Negative for pneumothorax, pleural effusion and fracture.",
        "The lungs are free of focal infiltrate.",
        "Without oedema; no haemothorax.",
        "Right pneumothorax has resolved.",
        "The effusion is no longer seen.",
        "Pneumonia was ruled out.",
        "Interval removal of the right chest tube.",
        "The heart is not enlarged.",
        "No mediastinal widening, and the heart is normal in size.",
        "History of pneumonia.",
        "Subcutaneous emphysema in the left chest wall. Pericardial effusion.",
        "The bone density is low.",
        "No acute cardiopulmonary process.",
        "INDICATION: Pneumonia. COMPARISON: Effusion on the left. FINDINGS: Clear lungs. IMPRESSION: Normal.",
    ],
)
def test_nothing_there(text: str):
    assert read(text) == []


@pytest.mark.parametrize(
    "text",
    [
        "Possible pneumonia.",
        "Opacity may represent pneumonia.",
        "Pneumonia cannot be excluded.",
        "Atelectasis versus pneumonia.",
        "Concern for pneumonia.",
        "Question pneumonia.",
    ],
)
def test_doubts_are_dropped_or_kept(text: str):
    assert "pneumonia | - | - | - | -" not in read(text)
    assert "pneumonia | - | - | - | -" in read(text, keep_uncertain=True)


@pytest.mark.parametrize(
    ("text", "findings"),
    [
        ("No pneumothorax, small left effusion.", ["pleural effusion | left | - | - | small"]),
        ("No pneumothorax but a small left effusion.", ["pleural effusion | left | - | - | small"]),
        ("No effusion, stable cardiomegaly.", ["cardiomegaly | - | - | - | -"]),
        ("No pneumothorax is seen and there is mild oedema.", ["Edema | - | - | - | mild"]),
        ("Mild cardiomegaly without edema.", ["cardiomegaly | - | - | - | mild"]),
        ("No change in the 12 mm right upper lobe nodule.", ["nodule | right | upper lobe | 1.2 | -"]),
        ("The left effusion is unchanged.", ["pleural effusion | left | - | - | -"]),
        ("Not only cardiomegaly but also edema.", ["cardiomegaly | - | - | - | -", "Edema | - | - | - | -"]),
    ],
)
def test_scope_of_denials(text: str, findings: list[str]):
    assert read(text) == findings


@pytest.mark.parametrize(
    ("text", "findings"),
    [
        ("Small bilateral effusions and adjacent atelectasis.",
         ["pleural effusion | bilateral | - | - | small", "atelectasis | bilateral | - | - | -"]),
        ("Left pleural effusion and cardiomegaly.",
         ["pleural effusion | left | - | - | -", "cardiomegaly | - | - | - | -"]),
        ("Effusion and atelectasis on the left.",
         ["pleural effusion | left | - | - | -", "atelectasis | left | - | - | -"]),
        ("Small right and moderate left pleural effusions.",
         ["pleural effusion | right | - | - | small", "pleural effusion | left | - | - | moderate"]),
        ("Right and left basilar opacities.", ["Lung Opacity | bilateral | base | - | -"]),
        ("Consolidation in the right upper and left lower lobes.",
         ["consolidation | right | upper lobe | - | -", "consolidation | left | lower lobe | - | -"]),
        ("Nodules in the right upper lobe (8 mm) and left lower lobe (12 mm).",
         ["nodule | right | upper lobe | 0.8 | -", "nodule | left | lower lobe | 1.2 | -"]),
        ("Nodule in the right upper lobe and left basilar atelectasis.",
         ["nodule | right | upper lobe | - | -", "atelectasis | left | base | - | -"]),
        ("In the left base, there is a hazy opacity.", ["ground-glass opacity | left | base | - | -"]),
        ("Bilateral pleural effusions, right greater than left.", ["pleural effusion | bilateral | - | - | -"]),
        ("Atelectasis/consolidation at the right base.",
         ["atelectasis | right | base | - | -", "consolidation | right | base | - | -"]),
        ("Effusion is now moderate on the right.", ["pleural effusion | right | - | - | moderate"]),
        ("The right lung is clear. There is a left lower lobe air space opacity.",
         ["Lung Opacity | left | lower lobe | - | -"]),
        ("Left hydropneumothorax.", ["pneumothorax | left | - | - | -", "pleural effusion | left | - | - | -"]),
    ],
)  # fmt: skip
def test_sides_and_places(text: str, findings: list[str]):
    assert read(text) == findings


@pytest.mark.parametrize(
    ("text", "finding"),
    [
        ("Spiculated 1.8 x 2.4 cm right apical nodule.", "spiculated nodule | right | apex | 2.4 | -"),
        ("3-mm calcified granuloma, right upper lobe.", "calcified nodule | right | upper lobe | 0.3 | -"),
        (
            "Ground-glass nodule measuring 14 millimetres in the lingula.",
            "ground-glass nodule | left | lingula | 1.4 | -",
        ),
        ("Old fractures of the left 5th and 6th ribs.", "healing rib fracture | left | 6th rib | - | -"),
        ("Displaced fracture of the right clavicle.", "Fracture | right | - | - | -"),
        ("RLL pneumonia.", "pneumonia | right | lower lobe | - | -"),
        ("LLL collapse.", "atelectasis | left | lower lobe | - | -"),
        ("Massive right PTX under tension.", "tension pneumothorax | right | - | - | large"),
        ("Discoid atelectasis at both bases.", "linear atelectasis | bilateral | base | - | -"),
        ("The cardiac silhouette is markedly enlarged.", "cardiomegaly | - | - | - | severe"),
        ("Moderate enlargement of the heart.", "cardiomegaly | - | - | - | moderate"),
        ("The mediastinum appears widened.", "enlarged mediastinum | - | - | - | -"),
        ("ETT 4 cm above the carina.", "endotracheal tube | - | mid trachea | - | -"),
        (
            "Right-sided PICC with its tip in the right atrium.",
            "central venous catheter | right | right atrium | - | -",
        ),
        (
            "Left-sided dual lead pacemaker with leads in the right atrium and right ventricle.",
            "pacemaker | left | right atrium and right ventricle | - | -",
        ),
        ("NGT tip in the stomach.", "nasogastric tube | - | stomach | - | -"),
        ("Median sternotomy wires are intact.", "sternal wires | - | - | - | -"),
        ("Trace left effusion.", "pleural effusion | left | - | - | small"),
        ("Biapical pleural thickening.", "pleural thickening | bilateral | apex | - | -"),
        ("Moderate hiatus hernia.", "hiatal hernia | - | - | - | moderate"),
    ],
)
def test_kinds(text: str, finding: str):
    assert read(text) == [finding]


def test_one_finding_of_several_sections_is_one():
    text = "FINDINGS: There is an 18 mm nodule in the right upper lobe. IMPRESSION: Spiculated right lung nodule."
    assert read(text) == ["spiculated nodule | right | upper lobe | 1.8 | -"]
    assert read("A left upper lobe nodule is seen. The nodule measures 12 mm.") == [
        "nodule | left | upper lobe | 1.2 | -"
    ]


def test_two_findings_of_one_section_are_two():
    assert len(read("FINDINGS: 8 mm right nodule. 12 mm right nodule. IMPRESSION: 8 mm right nodule.")) == 2


@pytest.mark.parametrize(
    ("text", "sex", "age", "race"),
    [
        ("65 year old white female. Normal chest.", "F", 65, "white"),
        ("55M with cough.", "M", 55, ""),
        ("A 35-year-old Hispanic or Latino man.", "M", 35, "Hispanic or Latino"),
        ("71 y/o F.", "F", 71, ""),
        ("sex:Male, age:71.0, race:Black. Normal chest.", "M", 71, "Black"),
        ("asian male. Normal chest.", "M", None, "asian"),
        ("80 years old. Normal chest.", None, 80, ""),
        ("Normal chest.", None, None, ""),
    ],
)
def test_persons(text: str, sex: str | None, age: float | None, race: str):
    record = parse(text)
    assert (record.sex, record.age, record.race) == (sex, age, race)


@pytest.mark.parametrize(
    ("text", "view"),
    [
        ("Normal chest.", "PA"),
        ("PA and lateral views of the chest.", "PA"),
        ("Portable chest radiograph.", "AP"),
        ("AP view.", "AP"),
        ("Lateral radiograph of the chest.", "LATERAL"),
        ("Frontal and lateral views.", "PA"),
        ("LAO45 view.", "LAO45"),
        ("Right posterior oblique view, 30 degrees.", "RPO30"),
    ],
)
def test_views(text: str, view: str):
    assert parse(text).view == view


@given(st.text(max_size=200) | st.text("no left efusimdl.,/() 12cx", max_size=80))
@settings(max_examples=300, deadline=None)
def test_any_text_is_read_or_refused(text: str):
    try:
        record = parse(text)
    except InputError:
        return
    assert all(finding.name for finding in record.findings)


def test_nothing_to_read():
    with pytest.raises(InputError, match="nothing to read"):
        parse(" 12. ")
