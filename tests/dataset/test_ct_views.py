"""CTs with radiographs in one dataset: one number, one case, both media."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pydicom
import pytest

from synth.core.errors import InputError
from synth.core.record import Finding, Mask, Record, Sample, ScanSample
from synth.core.volume import Labels, Volume
from synth.dataset.folder import DatasetFolder
from synth.dataset.writers.coco import read_masks
from synth.dataset.writers.png import read_png
from synth.report.page import write_page

if TYPE_CHECKING:
    from pathlib import Path

AFFINE = np.diag([2.0, 2.0, 3.0, 1.0])


def scan(index: int, views: tuple[str, ...] = ("PA", "LATERAL")) -> ScanSample:
    rng = np.random.default_rng(index)
    record = Record("CT", "F", 60.0, findings=(Finding("Lung Lesion"),), source="ct", seed=7)
    volume = Volume(rng.integers(-1000, 1000, (4, 5, 6)).astype(np.int16), AFFINE)
    labels = Labels(rng.integers(0, 2, (4, 5, 6)).astype(np.uint8), AFFINE, {1: "heart"})
    pictures = []
    for view in views:
        mask = np.zeros((8, 9), np.bool_)
        mask[2:4, index : index + 3] = True
        image = rng.integers(0, 65535, (8, 9)).astype(np.uint16)
        masks = (Mask("heart", mask), Mask(f"only_{view.lower()}", mask))
        pictures.append(Sample(index, image, replace(record, view=view), masks, (0.5, 0.5)))
    return ScanSample(index, volume, {"total": labels}, record, {"spacing_x_mm": 2.0}, tuple(pictures))


def written(root: Path, *samples: ScanSample, **options: object) -> DatasetFolder:
    folder = DatasetFolder.open(root, {}, n_samples=len(samples), resume=False, **options)
    for sample in samples:
        folder.write(sample)
    folder.finish()
    return folder


def rows(root: Path) -> list[dict[str, str]]:
    with (root / "metadata.csv").open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_a_row_for_the_ct_and_one_for_each_view(tmp_path: Path) -> None:
    root = tmp_path / "out"
    samples = scan(0), scan(1)
    written(root, *samples, image_format="nifti")
    told = rows(root)
    assert [row["file_name"] for row in told] == [
        "volumes/00/00000000.nii.gz",
        "images/00/00000000_pa.png",
        "images/00/00000000_lateral.png",
        "volumes/00/00000001.nii.gz",
        "images/00/00000001_pa.png",
        "images/00/00000001_lateral.png",
    ]
    assert [row["view"] for row in told[:3]] == ["CT", "PA", "LATERAL"]
    assert len({(row["sex"], row["age"], row["findings"], row["seed"]) for row in told}) == 1
    assert (told[0]["pixel_spacing_row_mm"], told[1]["pixel_spacing_row_mm"]) == ("", "0.5")
    counts = json.loads((root / "dataset.json").read_bytes())["counts"]
    assert (counts["samples"], counts["views"], counts["masks"]) == (2, {"CT": 2, "PA": 2, "LATERAL": 2}, 8)
    for sample in samples:
        for view in sample.views:
            image, _ = read_png(root / f"images/00/{sample.index:08d}_{view.record.view.lower()}.png")
            np.testing.assert_array_equal(image, view.image)
    write_page(root)


def test_masks_belong_to_their_own_picture(tmp_path: Path) -> None:
    root = tmp_path / "out"
    written(root, scan(0), scan(1), image_format="nifti")
    masks = read_masks(root / "masks" / "annotations.json")
    assert len(masks) == 4
    for index in (0, 1):
        for view in scan(index).views:
            name = view.record.view.lower()
            found = masks[f"images/00/{index:08d}_{name}.png"]
            assert set(found) == {"heart", f"only_{name}"}
            np.testing.assert_array_equal(found["heart"], view.masks[0].array)
    content = json.loads((root / "masks" / "annotations.json").read_bytes())
    assert len({one["id"] for one in content["images"]}) == 4


def test_views_as_dicom_share_patient_and_study(tmp_path: Path) -> None:
    root = tmp_path / "out"
    written(root, scan(0), image_format="dicom", medium="volume")
    views = [pydicom.dcmread(root / f"images/00/00000000_{name}.dcm") for name in ("pa", "lateral")]
    slices = pydicom.dcmread(sorted((root / "volumes/00/00000000").iterdir())[0])
    assert len({one.StudyInstanceUID for one in (*views, slices)}) == 1
    assert len({one.PatientID for one in (*views, slices)}) == 1
    assert len({one.SOPInstanceUID for one in (*views, slices)}) == 3
    assert len({one.SeriesInstanceUID for one in (*views, slices)}) == 3
    np.testing.assert_array_equal(views[1].pixel_array, scan(0).views[1].image)


def test_one_view_twice_is_refused(tmp_path: Path) -> None:
    folder = DatasetFolder.open(tmp_path / "out", {}, n_samples=1, resume=False, image_format="nifti")
    with pytest.raises(InputError, match="two of its radiographs are of one view"):
        folder.write(scan(0, ("PA", "PA")))


def test_a_folder_that_lost_its_ct_makes_it_again(tmp_path: Path) -> None:
    root = tmp_path / "out"
    folder = DatasetFolder.open(root, {}, n_samples=2, resume=False, image_format="nifti")
    folder.write(scan(0))
    (root / "volumes/00/00000000.nii.gz").unlink()
    again = DatasetFolder.open(root, {}, n_samples=2, resume=True, image_format="nifti")
    assert again.pending() == [0, 1]
