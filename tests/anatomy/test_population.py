import csv
import gzip

import numpy as np
import pytest

from synth.anatomy.cohort_cells import age_of, label_of, labels_of, sex_of, view_of
from synth.anatomy.population import Population
from synth.anatomy.prevalence import Prevalence
from synth.anatomy.vocabulary import KINDS, kinds_of
from synth.core.errors import InputError
from synth.core.record import CHEXPERT_FINDINGS

CHEXPERT_HEADER = ["Path", "Sex", "Age", "Frontal/Lateral", "AP/PA", *CHEXPERT_FINDINGS]


def write(path, header, rows):
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "wt", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def labelled(**marks):
    return [marks.get(name.replace(" ", "_"), "") for name in CHEXPERT_FINDINGS]


def chexpert(folder, rows, name="train.csv"):
    return write(folder / name, CHEXPERT_HEADER, [[f"p{i}.jpg", *row] for i, row in enumerate(rows)])


def wishes(population, n=400):
    return [population.sample(7, i) for i in range(n)]


def names(wish):
    return tuple(finding.name for finding in wish.findings)


# A table of published shares


@pytest.fixture(scope="module")
def default():
    return wishes(Population.default(), 4000)


def test_published_shares_come_out(default):
    """Within four standard errors of CheXpert's shares."""
    for name, share in {
        "Pleural Effusion": 0.4034,
        "Edema": 0.2606,
        "Cardiomegaly": 0.1226,
        "Fracture": 0.0387,
    }.items():
        found = np.mean([name in names(wish) for wish in default])
        assert found == pytest.approx(share, abs=4 * (share * (1 - share) / len(default)) ** 0.5)
    assert np.mean([wish.view == "AP" for wish in default]) == pytest.approx(0.723, abs=0.03)
    assert np.mean([wish.sex == "F" for wish in default]) == pytest.approx(0.406, abs=0.03)
    ages = [wish.age for wish in default]
    assert np.mean(ages) == pytest.approx(60.4, abs=1.2)
    assert np.std(ages) == pytest.approx(17.8, abs=0.8)
    assert min(ages) >= 18


def test_findings_that_go_together_do(default):
    def lift(a, b):
        both = np.mean([{a, b} <= set(names(wish)) for wish in default])
        return both / np.mean([a in names(wish) for wish in default]) / np.mean([b in names(wish) for wish in default])

    assert lift("Cardiomegaly", "Edema") > 1.3
    assert lift("Pneumonia", "Consolidation") > 1.8
    assert lift("Pneumothorax", "Edema") < 0.9


def test_the_hidden_factors_leave_room_for_each_label():
    table = Prevalence.read()
    assert set(table.names) == {"AP", *CHEXPERT_FINDINGS[1:]}
    assert ((table.loading**2).sum(axis=1) < 1).all()


def test_a_wish_depends_on_seed_and_id_alone():
    population = Population.default()
    alone = population.sample(3, "b")
    assert [population.sample(3, name) for name in "cab"][2] == alone
    assert population.sample(4, "b") != alone or population.sample(5, "b") != alone


def test_unnamed_kinds_leave_room_for_any(default):
    for finding in (finding for wish in default for finding in wish.findings):
        assert (finding.kind, finding.location, finding.size_cm) == (None, None, None)
        for kind in kinds_of(finding.name):
            assert finding.laterality is None or KINDS[kind].lateralities
            assert finding.severity is None or KINDS[kind].severities
    sides = {finding.laterality for wish in default for finding in wish.findings if finding.name == "Pleural Effusion"}
    assert sides == {"left", "right", "bilateral"}


def test_the_healthy_have_nothing():
    assert all(wish.findings == () and wish.view == "PA" and wish.age >= 18 for wish in wishes(Population.healthy()))


# Label files


def test_chexpert(tmp_path):
    path = chexpert(
        tmp_path,
        [
            ["Female", "68", "Frontal", "AP", *labelled(Edema="1.0", Pneumonia="-1.0", Fracture="0.0")],
            ["Male", "30", "Lateral", "", *labelled(No_Finding="1.0")],
            ["Male", "12", "Frontal", "PA", *labelled(Fracture="1.0")],
            ["Unknown", "0", "Frontal", "PA", *labelled(Support_Devices="1.0")],
        ],
    )
    seen = {(w.sex, w.age, w.view, names(w)) for w in wishes(Population.fit(path, smoothing=0))}
    assert seen == {
        ("F", 68.0, "AP", ("Edema",)),
        ("M", 30.0, "LATERAL", ()),
        (None, None, "PA", ("Support Devices",)),
    }


def test_uncertain_labels(tmp_path):
    rows = [["Male", "50", "Frontal", "AP", *labelled(Edema="-1.0")], ["Male", "50", "Frontal", "AP", *labelled()]]
    path = chexpert(tmp_path, rows)

    def seen(uncertain):
        return {names(wish) for wish in wishes(Population.fit(path, uncertain=uncertain, smoothing=0), 60)}

    assert seen("ignore") == {()}
    assert seen("positive") == {("Edema",), ()}
    assert len(Population.fit(path, uncertain="drop").source) == 1


def test_mimic_joined_from_its_files(tmp_path):
    labels = write(
        tmp_path / "mimic-cxr-2.0.0-chexpert.csv.gz",
        ["subject_id", "study_id", *CHEXPERT_FINDINGS],
        [["1", "10", *labelled(Atelectasis="1.0")], ["2", "20", *labelled(No_Finding="1.0")]],
    )
    alone = {(w.sex, w.age, w.view, names(w)) for w in wishes(Population.fit(labels, smoothing=0), 60)}
    assert alone == {(None, None, None, ("Atelectasis",)), (None, None, None, ())}
    metadata = write(
        tmp_path / "mimic-cxr-2.0.0-metadata.csv.gz",
        ["dicom_id", "subject_id", "study_id", "ViewPosition", "StudyDate"],
        [["a", "1", "10", "PA", "21800506"], ["b", "1", "10", "LL", "21800506"], ["c", "2", "20", "AP", "21500101"]],
    )
    patients = write(
        tmp_path / "patients.csv",
        ["subject_id", "gender", "anchor_age", "anchor_year"],
        [["1", "F", "52", "2178"], ["2", "M", "60", "2150"]],
    )
    admissions = write(tmp_path / "admissions.csv", ["subject_id", "hadm_id", "race"], [["1", "5", "OTHER"]])
    joined = Population.fit([metadata, patients, labels, admissions], smoothing=0)
    assert {(w.sex, w.age, w.race, w.view, names(w)) for w in wishes(joined, 80)} == {
        ("F", 54.0, "OTHER", "PA", ("Atelectasis",)),
        ("F", 54.0, "OTHER", "LATERAL", ("Atelectasis",)),
        ("M", 60.0, "", "AP", ()),
    }


@pytest.mark.parametrize("sex_column", ["Patient Gender", "Patient Sex"])
def test_nih(tmp_path, sex_column):
    path = write(
        tmp_path / "Data_Entry_2017.csv",
        ["Image Index", "Finding Labels", "Follow-up #", "Patient ID", "Patient Age", sex_column, "View Position"],
        [
            ["0.png", "Mass|Effusion", "0", "1", "058Y", "M", "PA"],
            ["1.png", "No Finding", "0", "2", "414", "F", "AP"],
            ["2.png", "Pleural_Thickening|Hernia", "0", "3", "71", "F", "PA"],
        ],
    )
    seen = {}
    for wish in wishes(Population.fit(path, smoothing=0), 100):
        seen[wish.sex, wish.age, wish.view] = {(finding.name, finding.kind) for finding in wish.findings}
    assert seen == {
        ("M", 58.0, "PA"): {("Lung Lesion", "mass"), ("Pleural Effusion", "pleural effusion")},
        ("F", None, "AP"): set(),
        ("F", 71.0, "PA"): {("Pleural Other", "pleural thickening"), ("Hernia", "hiatal hernia")},
    }


def test_plain_table_and_several_files(tmp_path):
    a = write(tmp_path / "a.csv", ["sex", "age", "finding", "view"], [["F", "44", "Nodule", "AP Supine"]])
    b = write(tmp_path / "b.csv", ["finding", "race"], [["normal", "x"], ["Unspecified", "x"], ["Chagas", ""]])
    population = Population.fit([a, b], smoothing=0)
    assert len(population.source) == 3
    assert {(w.sex, w.view, w.race, names(w)) for w in wishes(population, 80)} == {
        ("F", "AP", "", ("Lung Lesion",)),
        (None, None, "x", ()),
        (None, None, "", ("Chagas",)),
    }


def test_real_table(shared_data):
    population = Population.fit(shared_data / "cxr" / "metadata.csv")
    drawn = wishes(population, 300)
    assert np.mean([wish.findings == () for wish in drawn]) == pytest.approx(0.42, abs=0.12)
    assert {wish.view for wish in drawn} == {"PA", "AP"}


def test_the_joint_is_kept_and_smoothing_loosens_it(tmp_path):
    """Old women with effusion, young men without: mixed as far as smoothing says, and then in half of the draws."""
    rows = [["Female", "80", "Frontal", "AP", *labelled(Pleural_Effusion="1")]] * 50
    rows += [["Male", "30", "Frontal", "PA", *labelled()]] * 50
    path = chexpert(tmp_path, rows)

    def mixed(smoothing):
        drawn = wishes(Population.fit(path, smoothing=smoothing), 2000)
        return np.mean([(wish.sex == "F") != bool(wish.findings) for wish in drawn])

    assert mixed(0) == 0
    assert mixed(100) == pytest.approx(0.25, abs=0.04)
    assert mixed(1e9) == pytest.approx(0.5, abs=0.05)


def test_ages_are_drawn_within_sex_and_decade(tmp_path):
    rows = [["M", age, "Nodule"] for age in ("61", "65", "69")] + [["M", "40", "none"]]
    path = write(tmp_path / "a.csv", ["sex", "age", "finding"], rows)
    drawn = wishes(Population.fit(path, smoothing=0))
    assert {wish.age for wish in drawn if wish.findings} == {61.0, 65.0, 69.0}
    assert {wish.age for wish in drawn if not wish.findings} == {40.0}


@pytest.mark.parametrize(
    ("text", "options", "words"),
    [
        ("a,b\n1,2\n", {}, "x.csv: neither CheXpert's 14 label columns .*found a, b"),
        ("", {}, "x.csv: neither .*found none"),
        ("finding,age\nNodule,5\n", {}, "x.csv: no row of an adult"),
        ("finding\nUnspecified\n", {}, "x.csv: no row"),
        ("finding\nNodule\n", {"layout": "chexpert"}, "x.csv: no column CheXpert"),
        ("finding\nNodule\n", {"layout": "mimic"}, "x.csv: MIMIC-CXR needs its label file"),
        ("finding\nNodule\n", {"layout": "brixia"}, "unknown layout 'brixia'; there are auto"),
        ("finding\nNodule\n", {"uncertain": "maybe"}, "unknown use of uncertain labels 'maybe'; there are ignore"),
        ("finding\nNodule\n", {"smoothing": -1}, "smoothing must be"),
        ('finding\n"' + "x" * 200_000 + '"\n', {}, "x.csv: cannot be read as CSV"),
    ],
)
def test_one_line_says_what_is_wrong(tmp_path, text, options, words):
    path = tmp_path / "x.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=words) as caught:
        Population.fit(path, **options)
    assert "\n" not in str(caught.value)


def test_missing_broken_and_no_files(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        Population.fit(tmp_path / "none.csv")
    broken = tmp_path / "x.csv.gz"
    broken.write_bytes(b"not gzip")
    with pytest.raises(InputError, match="cannot be read"):
        Population.fit(broken)
    with pytest.raises(InputError, match="no label file"):
        Population.fit([])


# Cells


def test_cells_in_their_spellings():
    assert [sex_of(cell) for cell in ("Female", "m", " F ", "Unknown", "")] == ["F", "M", "F", None, None]
    assert [age_of(cell) for cell in ("058Y", "61.0", "006M", "412", "", "x")] == [58, 61, 0.5, None, None, None]
    views = [view_of(cell) for cell in ("PA", "AP Supine", "Lateral", "LL", "Frontal", "")]
    assert views == ["PA", "AP", "LATERAL", "LATERAL", None, None]


def test_labels_in_their_spellings():
    assert labels_of("Infiltration|No Finding") == (("Lung Opacity", None),)
    assert labels_of("Edema|edema") == (("Edema", None),)
    assert labels_of("No Finding") == ()
    assert labels_of("") is None
    assert label_of("spiculated nodule") == ("Lung Lesion", "spiculated nodule")
    assert label_of("pleural_effusion") == ("Pleural Effusion", None)
