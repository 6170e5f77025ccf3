"""Small label files in the formats of public data sets."""

from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING

from synth.core.record import CHEXPERT_FINDINGS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def write(path: Path, header: Sequence[str], rows: Sequence[Sequence[object]]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def marks(**given: str) -> list[str]:
    """Cells of CheXpert's 14 columns: marks(No_Finding="1.0")."""
    return [given.get(name.replace(" ", "_"), "") for name in CHEXPERT_FINDINGS]


def chexpert(folder: Path) -> list[Path]:
    images = [
        ["train/patient00001/study1/view1_frontal.jpg", "Female", "68", "Frontal", "AP", *marks(Edema="1.0")],
        ["train/patient00002/study1/view1_lateral.jpg", "Male", "30", "Lateral", "", *marks(No_Finding="1.0")],
        ["train/patient00003/study1/view1_frontal.jpg", "Unknown", "0", "Frontal", "PA", *marks(Fracture="-1.0")],
    ]
    header = ["Path", "Sex", "Age", "Frontal/Lateral", "AP/PA", *CHEXPERT_FINDINGS]
    people = [
        ["patient00001", "Female", "68", "Black or African American", "Non-Hispanic/Non-Latino"],
        ["patient00002", "Male", "30", "White, non-Hispanic", "Unknown"],
    ]
    demographics = ["PATIENT", "GENDER", "AGE_AT_CXR", "PRIMARY_RACE", "ETHNICITY"]
    return [write(folder / "train.csv", header, images), write(folder / "demo.csv", demographics, people)]


def chexpert_plus(folder: Path) -> list[Path]:
    header = ["path_to_image", "frontal_lateral", "ap_pa", "report", "age", "sex", "race", "ethnicity", "split"]
    images = [
        ["train/patient1/study1/view1_frontal.jpg", "Frontal", "AP", "Two\nlines", "63.0", "Female", "Asian", "", ""],
        ["train/patient2/study1/view1_lateral.jpg", "Lateral", "", "", "91.0", "Male", "Patient Refused", "", ""],
        ["train/patient3/study1/view1_frontal.jpg", "Frontal", "PA", "", "20.0", "Male", "White", "", ""],
    ]
    labels = [
        {"path_to_image": images[0][0], "No Finding": None, "Edema": 1.0, "Fracture": 0.0, "Pneumonia": -1.0},
        {"path_to_image": images[1][0], "No Finding": 1.0, "Edema": None, "Fracture": None, "Pneumonia": None},
    ]
    lines = [json.dumps(dict.fromkeys(CHEXPERT_FINDINGS) | line) for line in labels]
    (folder / "report_fixed.json").write_text("\n".join(lines) + "\n")
    return [write(folder / "df_chexpert_plus_240401.csv", header, images), folder / "report_fixed.json"]


def mimic(folder: Path) -> list[Path]:
    labels = [["1", "10", *marks(Atelectasis="1.0")], ["2", "20", *marks(Edema="-1.0")]]
    images = [
        ["a", "1", "10", "PA", "21800506"],
        ["b", "1", "10", "LL", "21800506"],
        ["c", "2", "20", "AP", "21500101"],
    ]
    return [
        write(folder / "chexpert.csv", ["subject_id", "study_id", *CHEXPERT_FINDINGS], labels),
        write(folder / "metadata.csv", ["dicom_id", "subject_id", "study_id", "ViewPosition", "StudyDate"], images),
        write(
            folder / "patients.csv",
            ["subject_id", "gender", "anchor_age", "anchor_year"],
            [["1", "F", "52", "2178"], ["2", "M", "60", "2150"]],
        ),
        write(
            folder / "admissions.csv",
            ["subject_id", "hadm_id", "race"],
            [["1", "5", "ASIAN - CHINESE"], ["1", "6", "UNABLE TO OBTAIN"], ["2", "7", "UNKNOWN"]],
        ),
    ]


def nih(folder: Path) -> list[Path]:
    header = [
        "Image Index",
        "Finding Labels",
        "Follow-up #",
        "Patient ID",
        "Patient Age",
        "Patient Sex",
        "View Position",
    ]
    rows = [
        ["0.png", "Effusion|Mass", "0", "1", "058Y", "M", "PA"],
        ["1.png", "No Finding", "0", "2", "414", "F", "AP"],
        ["2.png", "Infiltration", "0", "3", "12", "F", "AP"],
    ]
    return [write(folder / "Data_Entry_2017.csv", header, rows)]


def padchest(folder: Path) -> list[Path]:
    header = [
        "",
        "ImageID",
        "StudyDate_DICOM",
        "PatientBirth",
        "PatientSex_DICOM",
        "ViewPosition_DICOM",
        "Projection",
        "Labels",
        "LabelsLocalizationsBySentence",
    ]
    rows = [
        ["0", "a", "20140915", "1939.0", "M", "", "PA", "['normal']", "['normal']"],
        [
            "1",
            "b",
            "20150101",
            "1950.0",
            "F",
            "",
            "AP_horizontal",
            "['pleural effusion', 'laminar atelectasis', 'scoliosis']",
            "['pleural effusion', 'loc right', 'loc pleural', 'laminar atelectasis', 'loc left', 'loc right']",
        ],
        ["2", "c", "20150101", "1950.0", "F", "", "L", "['scoliosis', ' kyphosis']", "['scoliosis', 'kyphosis']"],
        ["3", "d", "20150101", "1950.0", "F", "", "L", "['unchanged']", "['unchanged']"],
        ["4", "e", "20150101", "1950.0", "F", "", "EXCLUDE", "['normal']", "['normal']"],
        ["5", "f", "20150101", "1950.0", "F", "", "PA", "['exclude']", "['exclude']"],
    ]
    return [write(folder / "PADCHEST.csv", header, rows)]


def ours(folder: Path) -> list[Path]:
    header = ["file_name", "view", "sex", "age", "race", "findings", "source", "generator", "model_hash"]
    effusion = [{"name": "Pleural Effusion", "laterality": "left", "kind": "pleural effusion"}, {"name": "Edema"}]
    rows = [
        ["a.png", "PA", "F", "63", "White", json.dumps(effusion), "phantom", "g", ""],
        ["b.png", "LATERAL", "M", "40", "", "", "phantom", "g", ""],
        ["c.png", "AP", "M", "50", "", "", "ct:case", "g", ""],
    ]
    return [write(folder / "metadata.csv", header, rows)]
