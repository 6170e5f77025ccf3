"""`synth drr`: what a user gets."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pydicom
import pytest
import SimpleITK
from PIL import Image
from pycocotools.coco import COCO

from synth.core.reading import read_volume
from synth.drr.attenuation import stored_attenuation, water_attenuation
from synth.kernels.project import prepare, project
from tests.end_to_end.command import Result, finished, start, tree
from tests.end_to_end.scene import NAMES, write_ct

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

SIZE = ("--size", "40x48", "--preset", "mono")


def pixels(root: Path, index: int = 0) -> NDArray[Any]:
    with Image.open(root / f"images/00/{index:08d}.png") as picture:
        assert picture.mode == "I;16"
        return np.array(picture)


def table(root: Path) -> pd.DataFrame:
    return pd.read_csv(root / "metadata.csv")


def masks(root: Path, image: int = 0) -> dict[str, NDArray[np.bool_]]:
    coco = COCO(root / "masks" / "annotations.json")
    found = coco.loadAnns(coco.getAnnIds(imgIds=[image]))
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):  # pycocotools on NumPy 2
        return {coco.loadCats(one["category_id"])[0]["name"]: coco.annToMask(one).astype(bool) for one in found}


@pytest.fixture(scope="module")
def made(inputs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset with everything, made by a process of its own that prints JSON."""
    root = tmp_path_factory.mktemp("made") / "out"
    labels = ("--labels", inputs / "map.nii.gz", "--label-names", inputs / "names.json")
    result = finished(start("drr", inputs / "ct.nii.gz", "-o", root, *labels, *SIZE, "--raw", "--json"))
    assert (result.code, result.err) == (0, "")
    assert json.loads(result.out) == {"output": str(root), "cts": 1, "images": 2, "backend": "cpu"}
    return root


def test_the_folder(made: Path) -> None:
    assert sorted(str(path.relative_to(made)) for path in made.rglob("*") if path.is_file()) == [
        "dataset.json",
        "images/00/00000000.png",
        "images/00/00000001.png",
        "masks/annotations.json",
        "metadata.csv",
        "raw/00/00000000.npz",
        "raw/00/00000001.npz",
    ]
    about = json.loads((made / "dataset.json").read_text())
    assert about["counts"]["samples"] == 2
    assert about["synthetic"] is True
    assert str(made) not in (made / "dataset.json").read_text()


def test_the_table(made: Path) -> None:
    rows = table(made)
    assert list(rows.columns[:2]) == ["file_name", "view"]
    assert [(made / name).is_file() for name in rows["file_name"]] == [True, True]
    assert list(rows["view"]) == ["PA", "LATERAL"]
    assert list(rows["source"]) == ["ct:ct", "ct:ct"]
    assert list(rows["primary_angle_deg"]) == [0, 90]


def test_the_picture_is_read_as_a_radiologist_reads_it(made: Path) -> None:
    frontal = pixels(made).astype(float)
    assert frontal.shape == (40, 48)
    assert frontal.max() > 60000
    structures = masks(made)
    assert set(structures) == set(NAMES.values())
    columns = {name: np.nonzero(mask)[1].mean() for name, mask in structures.items()}
    assert columns["lung_right"] < columns["vertebrae"] < columns["heart"] < columns["lung_left"]
    lungs, spine = structures["lung_left"] | structures["lung_right"], structures["vertebrae"]
    lungs &= ~spine & ~structures["heart"]
    assert frontal[lungs].mean() < 0.7 * frontal[spine].mean()


def test_masks_are_where_the_rays_cross_the_structure(made: Path) -> None:
    for index in range(2):
        with np.load(made / f"raw/00/{index:08d}.npz") as raw:
            thickness = dict(zip(raw["structures"], raw["thickness"], strict=True))
        decoded = masks(made, index)
        assert set(decoded) == set(thickness)
        for name, mask in decoded.items():
            assert np.array_equal(mask, thickness[name] > 0), name


def test_raw_arrays_are_the_kernels(made: Path, inputs: Path) -> None:
    volume = read_volume(inputs / "ct.nii.gz")
    body = prepare(stored_attenuation(volume.hu), volume.affine)
    for index in range(2):
        with np.load(made / f"raw/00/{index:08d}.npz") as raw:
            integral = project(body, raw["source_origin_du_dv"][None], (40, 48))[0, 0]
            assert np.array_equal(raw["line_integral"], integral * np.float32(water_attenuation(60) / 1000))
            u, v, w = raw["K"] @ raw["world_to_camera"][:3] @ [*volume.centre, 1.0]
            assert 10 < u / w < 38
            assert 10 < v / w < 30


@pytest.mark.parametrize("name", ["ct.mha", "ct.nrrd", "series"])
def test_every_format_gives_the_same_pictures(
    synth: Callable[..., Result], inputs: Path, made: Path, tmp_path: Path, name: str
) -> None:
    assert synth("drr", inputs / name, "-o", tmp_path / "out", *SIZE).code == 0
    for index in range(2):
        difference = np.abs(pixels(tmp_path / "out", index).astype(int) - pixels(made, index))
        assert difference.max() <= 2  # affines are written in decimal


def test_dicom(synth: Callable[..., Result], inputs: Path, made: Path, tmp_path: Path) -> None:
    result = synth(
        "drr", inputs / "ct.nii.gz", "-o", tmp_path / "out", *SIZE, "--dicom", "--views", "pa,lateral,lao45cra10"
    )
    assert (result.code, result.err) == (0, "")
    paths = sorted((tmp_path / "out" / "images").rglob("*.dcm"))
    assert [pydicom.dcmread(path).ViewPosition for path in paths[:2]] == ["PA", "LL"]
    for index, path in enumerate(paths[:2]):
        assert np.array_equal(pydicom.dcmread(path).pixel_array, pixels(made, index))
        assert np.array_equal(SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(path)))[0], pixels(made, index))
    if shutil.which("dciodvfy") is None:
        pytest.skip("dciodvfy is not installed")
    for path in paths:
        assert "Error" not in subprocess.run(["dciodvfy", path], capture_output=True, text=True, check=False).stderr


def test_several_cts_and_equal_names(synth: Callable[..., Result], inputs: Path, tmp_path: Path) -> None:
    others = [write_ct(tmp_path / folder / "ct.nii.gz", seed) for seed, folder in enumerate(("a", "b"), start=1)]
    result = synth("drr", inputs / "series", *others, "-o", tmp_path / "out", *SIZE, "--views", "ap,rlateral")
    assert result.out == f"6 radiographs of 3 CT in {tmp_path / 'out'}\n"
    rows = table(tmp_path / "out")
    assert list(rows["source"]) == ["ct:series"] * 2 + ["ct:ct"] * 2 + ["ct:ct-2"] * 2
    assert list(rows["view"]) == ["AP", "RLATERAL"] * 3
    assert not np.array_equal(pixels(tmp_path / "out", 2), pixels(tmp_path / "out", 4))


def test_views_of_a_c_arm(synth: Callable[..., Result], inputs: Path, tmp_path: Path) -> None:
    views = "lao45, RAO30cra20,lpo30,cau15"
    assert synth("drr", inputs / "ct.mha", "-o", tmp_path / "out", *SIZE, "--views", views).code == 0
    rows = table(tmp_path / "out")
    assert list(rows["view"]) == ["LAO45", "RAO30CRA20", "LPO30", "CAU15"]
    assert list(rows["primary_angle_deg"]) == [45, -30, 150, 0]
    assert list(rows["secondary_angle_deg"]) == [0, 20, 0, -15]


def test_field_of_view_and_distances(synth: Callable[..., Result], inputs: Path, tmp_path: Path) -> None:
    distances = ("--fov", "480", "--sdd", "1500", "--sid", "1300", "--views", "pa")
    assert synth("drr", inputs / "ct.mha", "-o", tmp_path / "out", *SIZE, *distances).code == 0
    row = table(tmp_path / "out").iloc[0]
    assert row["pixel_spacing_row_mm"] == pytest.approx(10)
    assert row["pixel_spacing_column_mm"] == pytest.approx(10)
    assert (row["source_detector_mm"], row["source_isocentre_mm"]) == (1500, 1300)


def test_cameras_from_json_are_the_views_they_were_taken_from(
    synth: Callable[..., Result], inputs: Path, made: Path, tmp_path: Path
) -> None:
    cameras = []
    for index, row in table(made).iterrows():
        with np.load(made / f"raw/00/{index:08d}.npz") as raw:
            matrices = {name: raw[name].tolist() for name in ("K", "world_to_camera")}
        cameras.append({"name": row["view"], "source_detector_mm": row["source_detector_mm"], **matrices})
    (tmp_path / "cameras.json").write_text(json.dumps(cameras))
    arguments = ("--cameras", tmp_path / "cameras.json", "--raw", *SIZE)
    assert synth("drr", inputs / "ct.nii.gz", "-o", tmp_path / "out", *arguments).code == 0
    assert list(table(tmp_path / "out")["view"]) == ["PA", "LATERAL"]
    for index in range(2):
        with np.load(made / f"raw/00/{index:08d}.npz") as a, np.load(tmp_path / f"out/raw/00/{index:08d}.npz") as b:
            np.testing.assert_allclose(b["line_integral"], a["line_integral"], atol=1e-5)


def test_blades_and_window(synth: Callable[..., Result], inputs: Path, tmp_path: Path) -> None:
    arguments = ("--fov", "480", "--window", "0,2", "--raw", "--labels", inputs / "map.nii.gz")
    assert synth("drr", inputs / "ct.mha", "-o", tmp_path / "open", *SIZE, *arguments).code == 0
    blades = ("--collimate", "50,100,20,0")  # pixels are 10 mm
    assert synth("drr", inputs / "ct.mha", "-o", tmp_path / "out", *SIZE, *arguments, *blades).code == 0
    field = np.zeros((40, 48), bool)
    field[2:, 5:38] = True
    with np.load(tmp_path / "open/raw/00/00000000.npz") as raw:
        expected = np.rint(np.clip(raw["line_integral"] / 2, 0, 1) * 65535)
    assert np.abs(pixels(tmp_path / "open") - expected).max() <= 1
    assert np.array_equal(pixels(tmp_path / "out"), np.where(field, pixels(tmp_path / "open"), 0))
    whole = masks(tmp_path / "open")
    for name, mask in masks(tmp_path / "out").items():
        assert np.array_equal(mask, whole[name] & field)


def test_without_masks(synth: Callable[..., Result], inputs: Path, tmp_path: Path) -> None:
    labels = ("--labels", inputs / "map.nii.gz", "--masks", "none")
    assert synth("drr", inputs / "ct.mha", "-o", tmp_path / "out", *SIZE, *labels).code == 0
    assert not (tmp_path / "out" / "masks").exists()


def test_warnings_go_to_stderr(synth: Callable[..., Result], inputs: Path, tmp_path: Path) -> None:
    data = bytearray((write_ct(tmp_path / "bare.nii")).read_bytes())
    data[252:256] = bytes(4)  # qform_code, sform_code: no orientation
    (tmp_path / "bare.nii").write_bytes(data)
    result = synth("drr", tmp_path / "bare.nii", "-o", tmp_path / "out", *SIZE, "--json")
    assert json.loads(result.out)["images"] == 2
    assert result.err.startswith("warning: bare: no orientation is stored")
    assert result.err.count("\n") == 1


def test_a_folder_whose_name_is_no_unicode(inputs: Path, tmp_path: Path) -> None:
    output = tmp_path / os.fsdecode(b"out\xff")
    result = finished(start("drr", inputs / "ct.mha", "-o", output, "--size", "16", PYTHONIOENCODING="utf-8:strict"))
    assert result == Result(0, f"2 radiographs of 1 CT in {output}\n", "")


def test_large_labels_cost_no_memory(synth: Callable[..., Result], inputs: Path, tmp_path: Path) -> None:
    image = SimpleITK.ReadImage(str(inputs / "map.nii.gz"))
    array = SimpleITK.GetArrayFromImage(image).astype(np.uint16)
    array[array > 0] += 65000
    large = SimpleITK.GetImageFromArray(array)
    large.CopyInformation(image)
    SimpleITK.WriteImage(large, str(tmp_path / "large.mha"))
    labels = ("--labels", tmp_path / "large.mha")
    assert (
        synth("drr", inputs / "ct.nii.gz", "-o", tmp_path / "out", "--size", "512", "--views", "pa", *labels).code == 0
    )
    assert set(masks(tmp_path / "out")) == {f"label_{65000 + label}" for label in NAMES}


@pytest.mark.parametrize("options", [("--raw",), ("--dicom",)])
def test_threads_and_runs_change_no_byte(inputs: Path, tmp_path: Path, options: tuple[str, ...]) -> None:
    labels = ("--labels", inputs / "map.nii.gz")
    runs = []
    for number, threads in enumerate(("1", "2", "2")):
        arguments = ("drr", inputs / "ct.nii.gz", "-o", tmp_path / str(number), *labels, *options)
        runs.append(start(*arguments, "--views", "pa,lao30cra20", SYNTH_THREADS=threads))
    assert [finished(run).code for run in runs] == [0, 0, 0]
    first, *others = (tree(tmp_path / str(number)) for number in range(3))
    assert len(first) > 6
    assert others == [first, first]
