"""The recipes of examples/ run, at a size that takes seconds."""

from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING

import pytest

from synth.dataset.plan import read_plan
from synth.dataset.recipe.schema import Recipe
from synth.dataset.writers.coco import read_masks
from tests.end_to_end import scene
from tests.end_to_end.command import REPOSITORY, Result

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

EXAMPLES = REPOSITORY / "examples"
TINY = {
    "phantoms": ("source.voxel_mm=5", "size=48", "gate.attempts=1"),
    "demo": ("source.voxel_mm=5", "size=48", "gate.attempts=1", "gate.policy.samples.outlier=0"),
    "drr": ("size=48", "cases=2", "source.poses=1"),
    "phantom_ct": ("source.voxel_mm=5", "source.voxels=[80, 64, 40]", "cases=1"),
    "webdataset": ("source.voxel_mm=5", "size=48", "cases=3", "shards.size=4", "views=[pa]"),
    "dicom": ("source.voxel_mm=5", "size=[60, 50]", "cases=1"),
}


def made(synth: Callable[..., Result], name: str, root: Path, *more: str) -> dict[str, object]:
    """What `synth dataset --json` says of an example at its tiny size."""
    changes = [word for change in (*TINY[name], *more) for word in ("--set", change)]
    result = synth("dataset", EXAMPLES / f"{name}.yaml", "-o", root, "--json", *changes)
    assert result.code in (0, 1), result.err
    told: dict[str, object] = json.loads(result.out)
    return told


def rows(root: Path) -> list[dict[str, str]]:
    with (root / "metadata.csv").open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_every_recipe_is_run_here() -> None:
    assert {path.stem for path in EXAMPLES.glob("*.yaml")} == {*TINY, "policy", "ct"}  # ct in test_ct, with a model


@pytest.mark.parametrize("name", TINY)
def test_it_is_valid_as_it_is(name: str) -> None:
    recipe = Recipe.read(EXAMPLES / f"{name}.yaml")
    if recipe.gate is None and name != "drr":  # these name files of the user's
        recipe.job()


@pytest.mark.parametrize("name", ["phantoms", "demo"])
def test_phantoms_by_a_plan(synth: Callable[..., Result], tmp_path: Path, name: str) -> None:
    scene.write_ct(tmp_path / "ct.nii.gz")
    (tmp_path / "real.yaml").write_text(
        "source: {kind: drr, cts: [ct.nii.gz], poses: 24}\ncases: 1\nviews: [pa]\nsize: 48\n"
    )
    assert synth("dataset", tmp_path / "real.yaml", "-o", tmp_path / "real").code == 0
    told = made(synth, name, tmp_path / "out", f"gate.reference={tmp_path / 'real'}")
    gate = told["gate"]
    assert isinstance(gate, dict)
    assert gate["cases"] == gate["attempts"] == 8
    wished = {request.name: request for request in read_plan(EXAMPLES / "plan.csv")}
    table = rows(tmp_path / "out")
    assert len(table) == gate["accepted_cases"] > 0
    for row in table:
        wish = wished[row["case"]]
        assert (row["sex"], float(row["age"]), row["race"], row["view"]) == (wish.sex, wish.age, wish.race, wish.view)
        assert [one["name"] for one in json.loads(row["findings"] or "[]")] == [f.name for f in wish.findings or ()]
    assert (tmp_path / "out" / "plan.csv").read_bytes() == (EXAMPLES / "plan.csv").read_bytes()
    assert (tmp_path / "out" / "gate.json").is_file()


def test_radiographs_of_cts(synth: Callable[..., Result], tmp_path: Path) -> None:
    cts = ["first", "second"]
    for seed, name in enumerate(cts):
        scene.write_ct(tmp_path / "scans" / f"{name}.nii.gz", seed)
        (tmp_path / "maps").mkdir(exist_ok=True)
        scene.write_labels(tmp_path / "maps" / f"{name}.nii.gz")
    (tmp_path / "cts.csv").write_bytes((EXAMPLES / "cts.csv").read_bytes())
    names = tmp_path / "maps" / "names.json"
    made(synth, "drr", tmp_path / "out", f"source.table={tmp_path / 'cts.csv'}", f"source.label_names={names}")
    table = rows(tmp_path / "out")
    assert [(row["view"], row["sex"], row["age"], row["race"]) for row in table] == [
        ("PA", "F", "63", "White"),
        ("LATERAL", "F", "63", "White"),
        ("PA", "M", "48", "Asian"),
        ("LATERAL", "M", "48", "Asian"),
    ]
    masks = read_masks(tmp_path / "out" / "masks" / "annotations.json")
    assert all(set(masks[row["file_name"]]) == set(scene.NAMES.values()) for row in table)


def test_cts_of_phantoms(synth: Callable[..., Result], tmp_path: Path) -> None:
    made(synth, "phantom_ct", tmp_path / "out")
    (row,) = rows(tmp_path / "out")
    assert (row["file_name"], row["view"]) == ("volumes/00/00000000.nii.gz", "CT")
    assert 40 <= float(row["age"]) <= 80
    assert row["report"]
    assert (tmp_path / "out" / "masks/00/00000000_total.nii.gz").is_file()


def test_shards(synth: Callable[..., Result], tmp_path: Path) -> None:
    made(synth, "webdataset", tmp_path / "out")
    assert [path.name for path in sorted((tmp_path / "out" / "shards").iterdir())] == ["00000.tar"]
    assert len(rows(tmp_path / "out")) == 3
    assert not (tmp_path / "out" / "images").exists()


def test_dicom(synth: Callable[..., Result], tmp_path: Path) -> None:
    made(synth, "dicom", tmp_path / "out")
    assert [row["file_name"] for row in rows(tmp_path / "out")] == [
        "images/00/00000000.dcm",
        "images/00/00000001.dcm",
    ]
