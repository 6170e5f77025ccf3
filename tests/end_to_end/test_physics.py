"""`synth drr` with the physics of a radiograph: presets, scenes, objects, seeds."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pydicom
import pytest
from scipy.ndimage import binary_dilation

from synth.drr.tissue import BASIS
from tests.end_to_end.command import tree
from tests.end_to_end.test_drr import masks, pixels, table

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.end_to_end.command import Result

SIZE = ("--size", "64")


def scene(folder: Path, text: str) -> Path:
    path = folder / "scene.yaml"
    path.write_text(text)
    return path


def test_the_usual_technique_of_each_view(synth: Callable[..., Result], inputs: Path, tmp_path: Path) -> None:
    views = ("--views", "pa,lateral,ap,lao30")
    assert synth("drr", inputs / "ct.nii.gz", "-o", tmp_path / "out", *SIZE, *views, "--raw").code == 0
    rows = table(tmp_path / "out")
    assert list(rows["kvp"]) == [120, 125, 90, 75]
    assert list(rows["source_detector_mm"].round(3)) == [1800, 1800, 1100, 1100]
    np.testing.assert_allclose(rows["detector_kerma_ugy"], [2.5, 2.5, 2.5, 0.02], rtol=1e-3)
    np.testing.assert_allclose(rows["exposure_index"], 100 * rows["detector_kerma_ugy"], rtol=1e-4)
    recipe = json.loads((tmp_path / "out/dataset.json").read_text())["recipe"]
    assert sorted(recipe["techniques"]) == ["chest-ap-portable", "chest-lateral", "chest-pa", "fluoroscopy"]
    assert recipe["techniques"]["chest-pa"]["tube"]["filtration_mm"] == {"aluminium": 3.0, "copper": 0.1}
    with np.load(tmp_path / "out/raw/00/00000000.npz") as raw:
        # Harder than 60 keV on the whole, and scatter fills in: the panel sees less than the line integral at 60 keV.
        behind = raw["line_integral"] > 2
        assert 0.5 < np.median(raw["log_signal"][behind] / raw["line_integral"][behind]) < 1


def test_the_picture_looks_like_one(synth: Callable[..., Result], inputs: Path, tmp_path: Path) -> None:
    labels = ("--labels", inputs / "map.nii.gz", "--label-names", inputs / "names.json")
    assert synth("drr", inputs / "ct.nii.gz", "-o", tmp_path / "out", *SIZE, *labels).code == 0
    picture, found = pixels(tmp_path / "out").astype(float) / 65535, masks(tmp_path / "out")
    lung = found["lung_right"] & ~found["vertebrae"]
    assert picture[lung].mean() < 0.6 * picture[found["vertebrae"]].mean()
    assert picture[0].mean() < 0.1  # beam that met nothing


def test_noise_is_the_seeds(synth: Callable[..., Result], inputs: Path, tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        assert synth("drr", inputs / "ct.nii.gz", "-o", tmp_path / name, *SIZE, "--seed", seed).code == 0
    assert tree(tmp_path / "a") == tree(tmp_path / "b")
    first, other = pixels(tmp_path / "a").astype(float), pixels(tmp_path / "c").astype(float)
    assert (first != other).mean() > 0.5
    assert np.abs(first - other).mean() < 0.02 * 65535


def test_a_drawn_technique_is_the_samples_own(synth: Callable[..., Result], inputs: Path, tmp_path: Path) -> None:
    one = ("--preset", "random", "--seed", 5, *SIZE)
    assert synth("drr", inputs / "ct.nii.gz", "-o", tmp_path / "a", *one, "--views", "pa,ap").code == 0
    assert synth("drr", inputs / "ct.nii.gz", "-o", tmp_path / "b", *one, "--views", "pa").code == 0
    assert table(tmp_path / "a")["kvp"].nunique() == 2
    assert np.array_equal(pixels(tmp_path / "a"), pixels(tmp_path / "b"))


def test_objects_are_seen_masked_and_written(synth: Callable[..., Result], inputs: Path, tmp_path: Path) -> None:
    path = scene(
        tmp_path,
        """
        preset: chest-pa
        origin: body
        technique: {tube: {kvp: 100}, scatter: false, noise: false}
        objects:
          - {object: coin, at: [60, -20, 40], name: swallowed coin}
        """,
    )
    with_coin = ("--scene", path, "--views", "pa", "--size", "256", "--fov", "400", "--raw")
    assert synth("drr", inputs / "ct.nii.gz", "-o", tmp_path / "out", *with_coin).code == 0
    found = masks(tmp_path / "out")
    assert sorted(found) == ["object:swallowed coin", "object:swallowed coin:visible"]
    rows, columns = np.nonzero(found["object:swallowed coin"])
    assert columns.mean() > 128  # the patient's left
    assert rows.mean() < 128  # towards the head
    picture = pixels(tmp_path / "out").astype(float)
    assert picture[found["object:swallowed coin"]].mean() > 1.2 * np.median(picture[picture > 6000])
    assert list(table(tmp_path / "out")["kvp"]) == [100]
    recipe = json.loads((tmp_path / "out/dataset.json").read_text())["recipe"]
    assert recipe["scene"]["objects"][0]["name"] == "swallowed coin"
    with np.load(tmp_path / "out/raw/00/00000000.npz") as raw:
        assert any(name.startswith("object:") for name in raw["structures"])


def test_a_mesh_and_a_second_volume(synth: Callable[..., Result], inputs: Path, tmp_path: Path) -> None:
    faces = "facet normal 0 0 0\nouter loop\n{}\nendloop\nendfacet\n"
    corners = [(0, 0, 0), (40, 0, 0), (0, 40, 0), (0, 0, 40)]
    triangles = [(0, 2, 1), (0, 1, 3), (0, 3, 2), (1, 2, 3)]
    lines = ["\n".join(f"vertex {x} {y} {z}" for x, y, z in (corners[i] for i in face)) for face in triangles]
    (tmp_path / "wedge.stl").write_text("solid wedge\n" + "".join(faces.format(line) for line in lines) + "endsolid\n")
    path = scene(
        tmp_path,
        f"""
        preset: mono
        objects: [{{mesh: wedge.stl, material: titanium, at: [-20, 0, 400]}}]
        inserts: [{{ct: {inputs / "ct.nii.gz"}, at: [0, 0, 400]}}]
        """,
    )
    arguments = ("--views", "pa", *SIZE, "--raw")
    assert synth("drr", inputs / "ct.mha", "-o", tmp_path / "plain", *arguments, "--preset", "mono").code == 0
    assert synth("drr", inputs / "ct.mha", "-o", tmp_path / "out", *arguments, "--scene", path).code == 0
    assert "object:wedge" in masks(tmp_path / "out")
    about = (tmp_path / "out/dataset.json").read_text()
    with np.load(tmp_path / "plain/raw/00/00000000.npz") as raw, np.load(tmp_path / "out/raw/00/00000000.npz") as more:
        # One CT has taken the other's place, a third is out of sight, and the wedge adds.
        added = more["line_integral"] - raw["line_integral"]
        wedge = masks(tmp_path / "out")["object:wedge"]
        assert np.abs(added[~binary_dilation(wedge)]).max() < 0.15  # rays beside a pixel's middle may meet it
        assert added[wedge].max() > 3
    assert "wedge.stl" not in about
    assert str(tmp_path) not in about


def test_dicom_says_the_technique(synth: Callable[..., Result], inputs: Path, tmp_path: Path) -> None:
    arguments = (*SIZE, "--views", "pa", "--dicom", "--preset", "chest-ap-portable")
    assert synth("drr", inputs / "ct.nii.gz", "-o", tmp_path / "out", *arguments).code == 0
    assert pydicom.dcmread(tmp_path / "out/images/00/00000000.dcm").KVP == 90


def test_the_usual_energy_of_raw_line_integrals(synth: Callable[..., Result], inputs: Path, tmp_path: Path) -> None:
    for name, preset in (("mono", "mono"), ("physics", "raw")):
        arguments = ("--preset", preset, *SIZE, "--views", "pa", "--raw", "--sdd", "1500")
        assert synth("drr", inputs / "ct.nii.gz", "-o", tmp_path / name, *arguments).code == 0
    both = [np.load(tmp_path / name / "raw/00/00000000.npz")["line_integral"] for name in ("mono", "physics")]
    met = both[0] > 1
    # HU are attenuation at one energy; tissue at 60 keV differs by what the calibration adds for bone and lung.
    np.testing.assert_allclose(both[1][met], both[0][met], rtol=0.06)
    assert BASIS.shape[0] == 2


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("preset: chest-paa", "unknown preset 'chest-paa'"),
        ("objects: [{object: nedle}]", "unknown object 'nedle'"),
        ("technique: {tube: {kvpp: 80}}", "did you mean 'kvp'"),
        ("technique: {tube: {kvp: 500}}", "kvp must be 40 to 150"),
        ("technique: {grid: '11:1'}", "grid must be one of"),
        ("technique: {noise: 3}", "true or false"),
        ("thechnique: {}", "did you mean 'technique'"),
        ("origin: nowhere", "origin must be world or body"),
        ("objects: 3", "objects must be a list"),
        ("objects: [{mesh: none.stl, material: titanium}]", "none.stl"),
        ("inserts: [{ct: none.nii.gz}]", "none.nii.gz"),
        ("calibration: none.csv", "none.csv"),
        ("[1, 2]", "expected key: value pairs"),
        ("a: [", "not YAML"),
        (None, "cannot read"),
    ],
)
def test_a_bad_scene_is_one_line(
    synth: Callable[..., Result], inputs: Path, tmp_path: Path, text: Any, says: str
) -> None:
    path = tmp_path / "scene.yaml" if text is None else scene(tmp_path, text)
    result = synth("drr", inputs / "ct.nii.gz", "-o", tmp_path / "out", "--scene", path)
    assert (result.code, result.out, result.err.count("\n")) == (2, "", 1)
    assert result.err.startswith("synth: ")
    assert says in result.err
    assert not (tmp_path / "out").exists()
