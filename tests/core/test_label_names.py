from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING

import numpy as np
import pytest

from synth.core.errors import InputError
from synth.core.label_names import label_names, read_names, totalsegmentator_names
from synth.core.reading import read_labels
from tests.core.image_files import SHAPE, write_nifti

if TYPE_CHECKING:
    from pathlib import Path


def test_totalsegmentator_table() -> None:
    names = totalsegmentator_names()
    assert list(names) == list(range(1, 118))
    assert len(set(names.values())) == 117
    assert [names[k] for k in (1, 5, 27, 50, 51, 92, 117)] == [
        "spleen", "liver", "vertebrae_L5", "vertebrae_C1", "heart", "rib_left_1", "costal_cartilages",
    ]  # fmt: skip


def test_totalsegmentator_table_against_real_tables(shared_data: Path) -> None:
    with (shared_data / "ct" / "totalseg_example_abdomen_labels.csv").open() as file:
        rows = [(int(row["label"]), row["name"]) for row in csv.DictReader(file)]
    assert len(rows) == 61
    assert all(totalsegmentator_names()[label] == name for label, name in rows)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("n.csv", "label,name\n0,background\n1,spleen\n7,left lung\n"),
        ("n.csv", "\ufeffname, label, colour\nspleen, 1, red\nleft lung, 7, blue\n"),
        ("n.json", '{"0": "background", "1": "spleen", "7": "left lung"}'),
        ("n.json", '{"background": 0, "spleen": 1, "left lung": 7}'),
    ],
)
def test_tables(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    assert read_names(tmp_path / name) == {1: "spleen", 7: "left lung"}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("n.csv", ""),
        ("n.csv", "number,text\n1,spleen\n"),
        ("n.csv", "label,name\none,spleen\n"),
        ("n.csv", "label,name\n1\n"),
        ("n.csv", "label,name\n1,spleen\n1,liver\n"),
        ("n.json", ""),
        ("n.json", "[1, 2]"),
        ("n.json", "{}"),
        ("n.json", '{"Modality": "CT", "KVP": 120}'),
        ("n.json", '{"spleen": true}'),
    ],
)
def test_no_tables(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=rf"{name}: not a table"):
        read_names(tmp_path / name)


def test_missing_and_binary_tables(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        read_names(tmp_path / "n.csv")
    (tmp_path / "n.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="UTF-8"):
        read_names(tmp_path / "n.csv")


@pytest.mark.parametrize("sidecar", ["case_seg_labels.csv", "case_labels.csv", "case_seg.json", "case.json"])
def test_tables_beside_the_map(tmp_path: Path, sidecar: str) -> None:
    text = json.dumps({"organ": 1}) if sidecar.endswith("json") else "label,name\n1,organ\n"
    (tmp_path / sidecar).write_text(text)
    assert label_names(tmp_path / "case_seg.nii.gz", [1, 9]) == {1: "organ", 9: "label_9"}


def test_acquisition_metadata_beside_the_map_is_no_table(tmp_path: Path) -> None:
    (tmp_path / "case.json").write_text('{"Modality": "CT", "KVP": 120}')
    assert label_names(tmp_path / "case.nii.gz", [1, 5]) == {1: "spleen", 5: "liver"}


def test_classes_and_numbers(tmp_path: Path) -> None:
    assert label_names(tmp_path / "m.nii", [1, 117]) == {1: "spleen", 117: "costal_cartilages"}
    assert label_names(tmp_path / "m.nii", [1, 118]) == {1: "label_1", 118: "label_118"}
    assert label_names(tmp_path / "m.nii", []) == {}


def test_binary_mask_is_not_a_spleen(tmp_path: Path) -> None:
    assert label_names(tmp_path / "liver.nii.gz", [1]) == {1: "liver"}
    assert label_names(tmp_path / "mask.nii.gz", [1]) == {1: "label_1"}


def test_table_inside_the_nifti_file(tmp_path: Path) -> None:
    xml = b"""<?xml version="1.0"?><CaretExtension><VolumeInformation Index="0"><LabelTable>
    <Label Key="1" Red="0.2" Green="0.3" Blue="0.4" Alpha="1"><![CDATA[lung vessels]]></Label>
    <Label Key="2" Red="0.2">airways</Label></LabelTable></VolumeInformation></CaretExtension>"""
    extension = (len(xml) + 8).to_bytes(4, "little") + (0).to_bytes(4, "little") + xml
    array = np.zeros(SHAPE, "u1")
    array[1], array[2] = 1, 2
    path = write_nifti(tmp_path / "m.nii.gz", array, sform=np.eye(4), extension=extension)
    assert read_labels(path).names == {1: "lung vessels", 2: "airways"}
