import json

import pytest

from synth.anatomy.cohort_cells import race_of, sided_labels
from synth.core.errors import InputError
from synth.dataset.plan.reference import OTHER, makeable, possible, read_reference
from tests.dataset.plan import label_files
from tests.dataset.plan.label_files import write

E, F = ("Edema", None), ("Pleural Effusion", "pleural effusion")
EXPECTED = {
    "chexpert": {
        ("F", 68.0, "Black", "AP", (E,), ()),
        ("M", 30.0, "White", "LATERAL", (), ()),
        (None, None, "", "PA", None, ()),
    },
    "chexpert_plus": {
        ("F", 63.0, "Asian", "AP", (E,), ()),
        ("M", 91.0, "", "LATERAL", (), ()),
        ("M", 20.0, "White", "PA", None, ()),
    },
    "mimic": {
        ("F", 54.0, "Asian", "PA", (("Atelectasis", None),), ()),
        ("F", 54.0, "Asian", "LATERAL", (("Atelectasis", None),), ()),
        ("M", 60.0, "", "AP", None, ()),
    },
    "nih": {
        ("M", 58.0, "", "PA", (("Lung Lesion", "mass"), F), ()),
        ("F", None, "", "AP", (), ()),
        ("F", 12.0, "", "AP", (("Lung Opacity", None),), ()),
    },
    "padchest": {
        ("M", 75.0, "", "PA", (), ()),
        (
            "F",
            65.0,
            "",
            "AP",
            (("Atelectasis", "linear atelectasis"), ("Pleural Effusion", None), ("Scoliosis", None)),
            ("bilateral", "right", None),
        ),
        ("F", 65.0, "", "LATERAL", (("Kyphosis", None), ("Scoliosis", None)), ()),
        ("F", 65.0, "", "LATERAL", None, ()),
    },
    "ours": {
        ("F", 63.0, "White", "PA", (E, F), (None, "left")),
        ("M", 40.0, "", "LATERAL", (), ()),
        ("M", 50.0, "", "AP", None, ()),
    },
}
LAYOUT = {"chexpert_plus": "chexpert-plus", "ours": "plain"}


@pytest.mark.parametrize("name", EXPECTED)
def test_every_format_is_told_by_its_columns(tmp_path, name):
    paths = getattr(label_files, name)(tmp_path)
    reference = read_reference(paths)
    assert set(map(tuple, reference.rows)) == EXPECTED[name]
    assert reference.layout == LAYOUT.get(name, name)
    named = read_reference(list(reversed(paths)), LAYOUT.get(name, name))
    assert set(named.rows) == set(reference.rows)


def test_uncertain_labels(tmp_path):
    (path, _) = label_files.chexpert(tmp_path)
    last = {use: read_reference(path, uncertain=use).rows[-1].labels for use in ("ignore", "positive", "drop")}
    assert last == {"ignore": None, "positive": (("Fracture", None),), "drop": None}


def test_real_table(shared_data):
    reference = read_reference(shared_data / "cxr" / "metadata.csv")
    assert (len(reference), reference.layout) == (906, "plain")
    assert reference.frequency["Hernia"] == 3
    assert reference.frequency["Pleural Effusion"] == 66


def test_the_primary_finding_is_the_rarest_that_can_be_made(tmp_path):
    rows = [["Edema|Pneumonia"], ["Edema"], ["Edema"], ["Scoliosis|Edema"], ["Scoliosis"], ["normal"], [""]]
    reference = read_reference(write(tmp_path / "a.csv", ["finding"], rows))
    told = [reference.primary(row.labels) for row in reference.rows]
    assert told == ["Pneumonia", "Edema", "Edema", OTHER, "No Finding", None]


def test_what_goes_together_and_what_can_be_asked_for():
    assert possible((("No Finding", None),))
    assert not possible((("No Finding", None), ("Edema", None)))
    assert not possible((("Pneumothorax", "pneumothorax"), ("Pneumothorax", "tension pneumothorax")))
    assert possible((("Pneumothorax", "pneumothorax"), ("Edema", None)))
    assert [makeable(*label) for label in (E, F, ("Scoliosis", None), ("Edema", "mass"))] == [True, True, False, False]


def test_labels_are_settled(tmp_path):
    """COVID-19 is a pneumonia, whatever it is drawn as, and goes into one with another; contradictions are unknown."""
    both = [{"name": "Pneumothorax", "kind": kind} for kind in ("pneumothorax", "tension pneumothorax")]
    rows = [["COVID-19"], ["COVID-19|Bacterial"], [json.dumps(both)]]
    reference = read_reference(write(tmp_path / "a.csv", ["finding"], rows))
    assert [row.labels for row in reference.rows] == [
        (("Pneumonia", None),),
        (("Pneumonia", "pneumonia"),),
        None,
    ]


def test_the_oldest_are_95_and_ages_alone_can_be_counted(tmp_path):
    reference = read_reference(write(tmp_path / "a.csv", ["age", "sex"], [["101", "F"], ["95", "F"]]))
    assert (reference.rows[0].age, reference.counts) == (95.0, (2,))


def test_races_in_their_spellings():
    spellings = {
        "White": ("WHITE", "WHITE - RUSSIAN", "White, non-Hispanic", "White, Hispanic", "PORTUGUESE", "Caucasian"),
        "Black": ("BLACK/AFRICAN AMERICAN", "Black or African American", "BLACK/CAPE VERDEAN", "Black, Hispanic"),
        "Asian": ("ASIAN - SOUTH EAST ASIAN", "Asian, non-Hispanic"),
        "Hispanic": ("HISPANIC/LATINO - CUBAN", "SOUTH AMERICAN", "Hispanic or Latino"),
        "Pacific Islander": ("NATIVE HAWAIIAN OR OTHER PACIFIC ISLANDER", "Pacific Islander, non-Hispanic"),
        "Native American": ("AMERICAN INDIAN/ALASKA NATIVE", "Native American, Hispanic"),
        "Other": ("OTHER", "Other, non-Hispanic", "MULTIPLE RACE/ETHNICITY"),
        None: ("", "Unknown", "UNABLE TO OBTAIN", "PATIENT DECLINED TO ANSWER", "Patient Refused", "nan",
               "Race and Ethnicity Unknown"),
        "Martian": ("Martian",),
    }  # fmt: skip
    for group, cells in spellings.items():
        assert {race_of(cell) for cell in cells} == {group}


def test_sides_of_both_spellings_of_padchest():
    nested = "[['pleural effusion', 'loc  left'], ['nodule', 'loc apical'], ['normal']]"
    assert sided_labels(nested) == {("Pleural Effusion", None): "left"}
    assert sided_labels("nan") == {}


@pytest.mark.parametrize(
    ("preset", "header", "words"),
    [
        ("nih", ["Finding Labels", "Patient Age"], "no column Patient Gender or Patient Sex, which layout nih has"),
        ("padchest", ["Labels", "age"], "no column PatientSex_DICOM, Projection, which layout padchest has"),
        ("chexpert", ["sex", "age"], "no column CheXpert's 14 labels, which layout chexpert has; found sex, age"),
        ("chexpert-plus", ["path_to_image"], "CheXpert Plus needs df_chexpert_plus"),
        ("mimic", ["study_id"], "MIMIC-CXR needs its label file"),
        ("plain", ["a", "b"], "no column finding"),
        ("auto", ["a", "b"], "neither CheXpert's 14 label columns nor one named finding"),
        ("auto", ["sex", "Sex"], "x.csv: has two columns 'Sex'"),
        ("auto", ["sex", "age"], "x.csv: no rows below the header"),
        ("brixia", ["sex", "age"], "unknown layout 'brixia'; there are auto, chexpert, chexpert-plus"),
    ],
)
def test_what_is_missing_is_said(tmp_path, preset, header, words):
    path = write(tmp_path / "x.csv", header, [] if "no rows" in words else [["x"] * len(header)])
    with pytest.raises(InputError, match=words) as caught:
        read_reference(path, preset)
    assert "\n" not in str(caught.value)


def test_files_that_cannot_be(tmp_path):
    path = write(tmp_path / "x.csv", ["sex"], [["F"]])
    with pytest.raises(InputError, match="is given twice"):
        read_reference([path, path])
    with pytest.raises(InputError, match="no such file"):
        read_reference(tmp_path / "none.csv")
    (tmp_path / "x.json").write_text("[1]\n")
    with pytest.raises(InputError, match="line 1 is not a JSON object"):
        read_reference(tmp_path / "x.json")
    paths = label_files.chexpert_plus(tmp_path)
    with pytest.raises(InputError, match=r"x\.csv: CheXpert Plus' label files have path_to_image"):
        read_reference([paths[0], path])
    paths[1].write_text(paths[1].read_text() + "nonsense\n")
    with pytest.raises(InputError, match="line 3 is not a JSON object"):
        read_reference(paths)
