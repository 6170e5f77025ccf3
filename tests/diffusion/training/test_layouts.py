"""Folders and label tables of chest radiograph data sets, in small copies of their layouts."""

from __future__ import annotations

import gzip
import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from synth.core.errors import InputError
from synth.diffusion.text.conditions import Conditions
from synth.diffusion.training.examples import Examples
from synth.diffusion.training.layouts import open_layout
from synth.diffusion.training.layouts.pictures import read_grey, square
from synth.diffusion.training.layouts.wording import NOTHING_FOUND, conditions_of, report_impression

CXR = Path(__file__).resolve().parents[4] / "shared" / "data" / "cxr"
PEER = CXR.parent / "peer" / "roentgen_v2"


def picture(path: Path, level: int = 128, shape: tuple[int, int] = (6, 4)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full(shape, level, np.uint8)).save(path)


def only(found: tuple[Conditions, ...]) -> Conditions:
    assert len(found) == 1
    return found[0]


def dicom(path: Path, kind: str, pixels: np.ndarray, **changes: object) -> Path:
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian, generate_uid

    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.SOPClassUID = data.file_meta.MediaStorageSOPClassUID = DigitalXRayImageStorageForPresentation
    data.SOPInstanceUID = data.file_meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=["layout"])
    data.Rows, data.Columns = pixels.shape
    data.SamplesPerPixel, data.PixelRepresentation = 1, 0
    data.BitsAllocated, data.BitsStored, data.HighBit = 16, 12, 11
    data.PhotometricInterpretation = kind
    data.PixelData = pixels.astype("<u2").tobytes()
    for name, value in changes.items():
        setattr(data, name, value)
    data.save_as(path, enforce_file_format=True)
    return path


# Pictures


@pytest.mark.parametrize(
    ("pixels", "expected"),
    [
        (np.array([[0, 51], [204, 255]], np.uint8), [[0, 0.2], [0.8, 1]]),
        (np.array([[0, 13107], [52428, 65535]], np.uint16), [[0, 0.2], [0.8, 1]]),
        (np.array([[0, 819], [3276, 4095]], np.uint16), [[0, 0.2], [0.8, 1]]),
    ],
    ids=["8 bits", "16 bits", "12 bits"],
)
def test_depths_of_png(pixels: np.ndarray, expected: list[list[float]], tmp_path: Path) -> None:
    Image.fromarray(pixels).save(tmp_path / "a.png")
    assert np.allclose(read_grey(tmp_path / "a.png", "a.png"), expected, atol=1e-6)


def test_dicom_is_shown_as_a_viewer_shows_it(tmp_path: Path) -> None:
    pixels = np.array([[0, 1000], [2000, 4000]], np.uint16)
    plain = read_grey(dicom(tmp_path / "a.dcm", "MONOCHROME2", pixels), "a")
    assert np.allclose(plain, pixels / 4000)
    inverted = read_grey(dicom(tmp_path / "b.dcm", "MONOCHROME1", pixels), "b")
    assert np.allclose(inverted, 1 - pixels / 4000)
    window = {"WindowCenter": 1500, "WindowWidth": 1000, "VOILUTFunction": "LINEAR"}
    windowed = read_grey(dicom(tmp_path / "c.dcm", "MONOCHROME2", pixels, **window), "c")
    assert np.allclose(windowed, [[0, 0], [1, 1]], atol=2e-3)  # 1000..2000 is all that is seen


def test_padding_keeps_all_and_cropping_keeps_the_middle() -> None:
    wide = np.tile(np.array([0.2, 0.8, 0.8, 0.4], np.float32), (2, 1))
    padded, cropped = square(wide, 4, "pad") / 65535, square(wide, 2, "crop") / 65535
    assert np.allclose(padded, [[0] * 4, [0.2, 0.8, 0.8, 0.4], [0.2, 0.8, 0.8, 0.4], [0] * 4], atol=1e-4)
    assert np.allclose(cropped, 0.8, atol=1e-4)


@pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n\x1a\nnothing", b"report text"], ids=["empty", "cut", "text"])
def test_damaged_pictures_are_named(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "bad.png").write_bytes(content)
    with pytest.raises(InputError, match=r"bad\.png"):
        read_grey(tmp_path / "bad.png", "bad.png")


# Words


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (
            {
                "patientgender": "M",
                "patientage": "058Y",
                "viewposition": "PA",
                "findinglabels": "Mass|Pleural_Thickening",
            },
            Conditions("M", 58, "", "PA", "Mass. Pleural thickening."),
        ),
        ({"findinglabels": "No Finding", "patientgender": "F"}, Conditions("F", impression=NOTHING_FOUND)),
        (
            {"sex": "Female", "age": "68", "frontallateral": "Frontal", "appa": "AP", "cardiomegaly": "1.0"}
            | {"edema": "-1.0", "pleuraleffusion": "1.0", "fracture": "0.0"},
            Conditions("F", 68, "", "AP", "Cardiomegaly. Pleural effusion."),
        ),
        ({"sex": "Female", "frontallateral": "Lateral", "edema": "-1.0"}, Conditions("F", view="LATERAL")),
        (
            {"gender": "F", "anchorage": "60", "anchoryear": "2150", "studydate": "21530201"}
            | {"race": "ASIAN - CHINESE", "impression": "Small  effusion."},
            Conditions("F", 63, "ASIAN", None, "Small effusion."),
        ),
        (
            {"race": "White, non-Hispanic", "sectionimpression": "1. Old."},
            Conditions(race="WHITE", impression="1. Old."),
        ),
        ({"race": "Black or African American"}, Conditions(race="BLACK")),
        ({"age": "0"}, Conditions()),
        (
            {"promptvariation": "71 year old BLACK male. Edema.", "gender": "M", "impressionshort": "Edema"},
            Conditions("M", 71, "BLACK", None, "Edema."),
        ),
    ],
    ids=["nih", "nih normal", "chexpert", "chexpert unlabelled", "mimic", "plus", "race", "unknown", "roentgen"],
)
def test_rows_become_conditions(row: dict[str, str], expected: Conditions) -> None:
    assert only(conditions_of(row)) == expected


def test_several_prompts_are_several_phrasings() -> None:
    row = {"prompt": "Mass. PA view.", "promptvariation": "A mass. PA view.", "sex": "M"}
    assert [one.impression for one in conditions_of(row)] == ["A mass.", "Mass."]
    assert {(one.sex, one.view) for one in conditions_of(row)} == {("M", "PA")}


def test_a_chosen_column_gives_the_words() -> None:
    row = {"text": "clinical notes", "finding": "Pneumonia|Edema"}
    assert only(conditions_of(row, "finding")).impression == "Pneumonia. Edema."
    assert only(conditions_of(row, "text")).impression == "clinical notes"


def test_impressions_are_found_in_reports() -> None:
    report = "FINAL REPORT\n EXAMINATION: CHEST\n\n FINDINGS: Clear.\n\n IMPRESSION:\n\n 1. No\n pneumonia: none.\n"
    assert report_impression(report) == "1. No pneumonia: none."
    assert report_impression("FINDINGS: Clear lungs.\n") == "Clear lungs."
    assert report_impression("no sections") == ""


# Folders


def test_nih(tmp_path: Path) -> None:
    table = "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position\n"
    rows = "00000001_000.png,Cardiomegaly|Effusion,0,1,58,M,PA\n00000002_000.png,No Finding,0,2,81,F,AP\n"
    (tmp_path / "Data_Entry_2017.csv").write_text(table + rows)
    (tmp_path / "BBox_List_2017.csv").write_text("Image Index,Finding Label\n00000001_000.png,Effusion\n")
    picture(tmp_path / "images_001" / "images" / "00000001_000.png", 0)
    picture(tmp_path / "images_002" / "images" / "00000002_000.png", 255)
    found = open_layout(tmp_path, fit="crop")
    assert isinstance(found, Examples)
    assert [found.image(k, 4).max() for k in range(2)] == [0, 65535]
    assert only(found.conditions(0)).prompt() == "58 year old male. Cardiomegaly. Effusion. PA view."
    assert [found.patient(0), found.patient(1), len(found)] == ["1", "2", 2]
    assert found.masks(0, 4) == {} == found.structures()
    assert found.digest != open_layout(tmp_path, fit="pad").digest


def test_chexpert_with_demographics(tmp_path: Path) -> None:
    name = "CheXpert-v1.0-small/train/patient{}/study1/view1_frontal.jpg"
    lines = ["Path,Sex,Age,Frontal/Lateral,AP/PA,No Finding,Cardiomegaly,Edema,Fracture,Pneumonia"]
    lines += [
        name.format("00001") + ",Female,68,Frontal,AP,,1.0,,,-1.0",
        name.format("00002") + ",Male,40,Frontal,PA,1.0,,,,",
    ]
    (tmp_path / "train.csv").write_text("\n".join(lines))
    (tmp_path / "demo.csv").write_text("PATIENT,PRIMARY_RACE\npatient00002,Asian\n")
    for number, level in (("00001", 10), ("00002", 200)):
        picture(tmp_path / "train" / f"patient{number}" / "study1" / "view1_frontal.jpg", level)
    found = open_layout(tmp_path, [Path("train.csv"), Path("demo.csv")])
    assert only(found.conditions(0)) == Conditions("F", 68, "", "AP", "Cardiomegaly.")
    assert only(found.conditions(1)) == Conditions("M", 40, "ASIAN", "PA", NOTHING_FOUND)
    assert found.patient(1) == "patient00002"
    assert found.image(0, 6).max() < found.image(1, 6).max()


def test_chexpert_plus_takes_reports_and_the_converted_files(tmp_path: Path) -> None:
    row = 'train/patient7/study1/view1_frontal.jpg,Male,61,White,Frontal,PA,"1. Stable\ncardiomegaly."'
    header = "path_to_image,sex,age,race,frontal_lateral,ap_pa,section_impression\n"
    (tmp_path / "df_chexpert_plus_240401.csv").write_text(header + row)
    picture(tmp_path / "PNG" / "train" / "patient7" / "study1" / "view1_frontal.png")
    found = open_layout(tmp_path)
    assert only(found.conditions(0)) == Conditions("M", 61, "WHITE", "PA", "1. Stable cardiomegaly.")
    assert found.image(0, 3).shape == (3, 3)


def test_mimic_joins_its_tables_and_reads_reports(tmp_path: Path) -> None:
    def zipped(name: str, text: str) -> Path:
        (tmp_path / name).write_bytes(gzip.compress(text.encode()))
        return Path(name)

    images = "dicom_id,subject_id,study_id,ViewPosition,StudyDate\n"
    tables = [
        zipped("metadata.csv.gz", images + "aa-1,100,500,AP,21520101\nbb-2,101,501,PA,21520101\n"),
        zipped("chexpert.csv.gz", "subject_id,study_id,Edema,Fracture\n100,500,1.0,\n101,501,,1.0\n"),
        zipped("patients.csv.gz", "subject_id,gender,anchor_age,anchor_year\n100,F,50,2150\n101,M,91,2152\n"),
        zipped("admissions.csv.gz", "subject_id,race\n100,BLACK/AFRICAN AMERICAN\n100,UNKNOWN\n"),
        zipped("sectioned.csv.gz", "study,impression\ns501,Left rib fracture.\n"),
    ]
    for subject, study, image in (("100", "500", "aa-1"), ("101", "501", "bb-2")):
        picture(tmp_path / "files" / "p10" / f"p{subject}" / f"s{study}" / f"{image}.jpg")
    found = open_layout(tmp_path, tables)
    assert only(found.conditions(0)) == Conditions("F", 52, "BLACK", "AP", "Edema.")
    assert only(found.conditions(1)) == Conditions("M", 91, "", "PA", "Left rib fracture.")
    (tmp_path / "files" / "p10" / "p100" / "s500.txt").write_text("IMPRESSION: Mild edema.\n")
    assert only(open_layout(tmp_path, tables).conditions(0)).impression == "Mild edema."
    assert [found.patient(0), found.patient(1)] == ["100", "101"]


def test_imagefolder_in_json_lines_and_rows_that_are_wanted(tmp_path: Path) -> None:
    rows = [{"file_name": f"{k}.png", "text": f"Age {k}.", "split": "train" if k else "test"} for k in range(3)]
    (tmp_path / "metadata.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    for k in range(1, 3):
        picture(tmp_path / f"{k}.png")
    found = open_layout(tmp_path, where={"split": "train"})
    assert [only(found.conditions(k)).impression for k in range(2)] == ["Age 1.", "Age 2."]
    assert len({found.patient(0), found.patient(1)}) == 2


@pytest.mark.parametrize("splits", [False, True])
def test_saved_datasets(splits: bool, tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    stored = io.BytesIO()
    Image.fromarray(np.full((4, 4), 255, np.uint8)).save(stored, "PNG")
    cells = {"image_id": ["a", "b"], "image": [{"bytes": stored.getvalue(), "path": None}] * 2, "gender": ["F", "M"]}
    cells |= {"text": ["30 year old ASIAN female. Edema.", "Mass."], "age": [30, None]}
    table = datasets.Dataset.from_dict(cells).cast_column("image", datasets.Image())
    saved = datasets.DatasetDict(train=table, test=table) if splits else table
    saved.save_to_disk(str(tmp_path / "saved"))
    found = open_layout(tmp_path / "saved", where={"split": "train"} if splits else None)
    assert [only(found.conditions(k)) for k in range(2)] == [
        Conditions("F", 30, "ASIAN", None, "Edema."), Conditions("M", impression="Mass.")
    ]  # fmt: skip
    assert found.image(1, 2).min() == 65535
    assert len(found) == 2


def test_what_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such folder"):
        open_layout(tmp_path / "none")
    with pytest.raises(InputError, match="which table lists the images"):
        open_layout(tmp_path)
    (tmp_path / "a.csv").write_text("file_name,prompt\nx/1.png,Mass.\nx/2.png,Edema.\n")
    picture(tmp_path / "x" / "1.png")
    with pytest.raises(InputError, match=r"1 of 2 radiographs are not there.*x/2\.png.*allow_missing"):
        open_layout(tmp_path)
    assert len(open_layout(tmp_path, allow_missing=True)) == 1
    with pytest.raises(InputError, match="no column 'colour'; the tables have filename, prompt"):
        open_layout(tmp_path, where={"colour": "red"})
    with pytest.raises(InputError, match="none of 2 radiographs is as wanted"):
        open_layout(tmp_path, where={"prompt": "Hernia."})
    (tmp_path / "a.csv").write_text("name,prompt\nx/1.png,Mass.\n")
    with pytest.raises(InputError, match="no row with file_name"):
        open_layout(tmp_path)


def test_a_missing_file_is_never_taken_from_another_patient(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text("Path,Sex\nCheXpert/train/patient1/study1/view1_frontal.jpg,Male\n")
    picture(tmp_path / "train" / "patient2" / "study1" / "view1_frontal.jpg")
    with pytest.raises(InputError, match="1 of 1 radiographs are not there"):
        open_layout(tmp_path)


@pytest.mark.skipif(not CXR.is_dir(), reason="the real radiographs are not on this machine")
def test_real_radiographs() -> None:
    found = open_layout(CXR, where={"source": "nih-chestxray14", "split": "train"}, words="finding")
    patients = {found.patient(k) for k in range(len(found))}
    assert all(name.startswith("nih-") for name in patients)
    assert all(only(found.conditions(k)).sex for k in range(len(found)))
    image = found.image(0, 64)
    assert (image.shape, image.dtype) == ((64, 64), np.uint16)
    assert 0.2 < image.mean() / 65535 < 0.8


@pytest.mark.skipif(not PEER.is_dir(), reason="the other project's pictures are not on this machine")
def test_prompts_of_roentgen_v2() -> None:
    found = open_layout(PEER, allow_missing=True)
    prompts = [only(found.conditions(k)).prompt() for k in range(len(found))]
    assert len(prompts) > 3
    assert all(" year old " in prompt for prompt in prompts)
