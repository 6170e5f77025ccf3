"""A wrong recipe is told in one line, with its place and the nearest right key; a right one is what it says."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import yaml

from synth.core.errors import InputError
from synth.dataset.recipe.kinds import CtRadiographsSpec, PhantomRadiographsSpec, PhantomScansSpec
from synth.dataset.recipe.schema import Recipe

if TYPE_CHECKING:
    from pathlib import Path

PLAIN = "source: {kind: phantom, voxel_mm: 5}\ncases: 2\n"
KINDS = sorted(Recipe.model_json_schema()["properties"]["source"]["discriminator"]["mapping"])


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "recipe.yaml"
    path.write_text(PLAIN)
    return path


def test_what_it_says(recipe: Path) -> None:
    recipe.write_text(
        "seed: 7\nsource: {kind: phantom, population: healthy, technique: random, poses: 1}\ncases: 200\n"
        "views: [pa]\nsize: [512, 400]\nmasks: groups\nformat: png\nshards: {kind: webdataset}\n"
        "gate: {reference: real/, policy: {least_accepted: 0.5}, attempts: 3}\nlicence: CC0-1.0\n"
    )
    found = Recipe.read(recipe)
    assert isinstance(found.source, PhantomRadiographsSpec)
    assert (found.seed, found.cases, found.views, found.size, found.masks) == (7, 200, ["pa"], (512, 400), "groups")
    assert (found.source.population, found.source.technique, found.source.poses) == ("healthy", "random", 1)
    assert found.shards is not None
    assert (found.shards.kind, found.shards.size) == ("webdataset", 1000)
    assert found.gate is not None
    assert found.gate.reference == recipe.parent / "real"
    assert found.gate.policy == {"least_accepted": 0.5}
    assert (found.gate.attempts, found.gate.keep_rejected, found.licence) == (3, False, "CC0-1.0")


def test_kinds_are_told_apart(recipe: Path) -> None:
    assert isinstance(Recipe.read(recipe, ["source={kind: drr, cts: [a]}"]).source, CtRadiographsSpec)
    assert isinstance(Recipe.read(recipe, ["source={kind: phantom-ct}"]).source, PhantomScansSpec)


def test_paths_are_relative_to_the_recipe(recipe: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    changes = ["source={kind: drr, cts: [a.nii, /b, ~/c]}", "gate={reference: real, policy: p.yaml}"]
    found = Recipe.read(recipe, changes)
    assert isinstance(found.source, CtRadiographsSpec)
    assert [str(path) for path in found.source.cts] == [str(recipe.parent / "a.nii"), "/b", "/home/me/c"]
    assert found.gate is not None
    assert found.gate.policy == recipe.parent / "p.yaml"


def test_changes(recipe: Path) -> None:
    found = Recipe.read(recipe, ["cases=5", "source.poses=2", "shards.kind=parquet", "views=[pa, ap]", "licence=MIT"])
    assert (found.cases, found.views, found.licence) == (5, ["pa", "ap"], "MIT")
    assert isinstance(found.source, PhantomRadiographsSpec)
    assert (found.source.poses, found.source.voxel_mm) == (2, 5.0)
    assert Recipe.read(recipe, ["plan=plan.csv", "cases=null"]).cases is None
    assert Recipe.read(recipe, ["source.findings=a=b"]).source.findings == "a=b"  # type: ignore[union-attr]
    assert recipe.read_text() == PLAIN


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("cases=0", "cases: must be greater than or equal to 1, got 0"),
        ("cases=many", "cases: must be a valid integer, unable to parse string as an integer, got 'many'"),
        ("case=3", "unknown key 'case'; did you mean 'cases'?"),
        ("source.voxl_mm=3", "source: unknown key 'voxl_mm'; did you mean 'voxel_mm'?"),
        ("source.kind=phantm", f"source.kind: must be one of {', '.join(KINDS)}, got 'phantm'"),
        ("source.kind=null", f"source.kind: must be one of {', '.join(KINDS)}, got None"),
        ("source=null", "source is missing"),
        ("source=3", "source: must be a mapping, got 3"),
        ("source.voxel_mm=0.1", "source.voxel_mm: must be greater than or equal to 0.5, got 0.1"),
        ("source.ages=[1, 2, 3]", "source.ages: must have at most 2 items, got [1, 2, 3]"),
        ("source.scene=3", "source.scene: must be a path, got 3"),
        ("gate=3", "gate: must be a mapping, got 3"),
        ("gate.attempts=3", "gate.reference is missing"),
        ("gate={reference: r, polcy: p}", "gate: unknown key 'polcy'; did you mean 'policy'?"),
        ("shards={kind: tar}", "shards.kind: must be 'webdataset' or 'parquet', got 'tar'"),
        ("views=pa", "views: must be a valid list, got 'pa'"),
        ("views=[]", "views: must have at least 1 item, got []"),
        ("size=0", "size: must be pixels, or [height, width], each 1 to 8192, got 0"),
        ("size=[2, x]", "size: must be pixels, or [height, width], each 1 to 8192, got [2, 'x']"),
        ("format=jpeg", "format: must be 'png', 'dicom' or 'nifti', got 'jpeg'"),
        ("format=nifti", "format nifti: source phantom is written as png or dicom"),
        ("plan=plan.csv", "give cases (how many) or plan (a table)"),
        ("cases=null", "give cases (how many) or plan (a table)"),
    ],
)
def test_wrong_values(recipe: Path, change: str, said: str) -> None:
    with pytest.raises(InputError) as refused:
        Recipe.read(recipe, [change])
    assert str(refused.value) == f"{recipe}: {said}"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("views=[pa]", "views: source phantom-ct makes CTs, which have none"),
        ("size=512", "size: source phantom-ct makes CTs, which have none"),
        ("masks=groups", "masks: of CTs are label maps: all, or none"),
        ("format=png", "format png: source phantom-ct is written as nifti or dicom"),
    ],
)
def test_cts_are_no_pictures(recipe: Path, change: str, said: str) -> None:
    with pytest.raises(InputError) as refused:
        Recipe.read(recipe, ["source={kind: phantom-ct}", change])
    assert str(refused.value) == f"{recipe}: {said}"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("cases", "give key=value, or key.path=value"),
        ("=3", "give key=value, or key.path=value"),
        ("source..poses=3", "give key=value, or key.path=value"),
        ("cases=[1", "the value is not YAML"),
        ("cases.a=1", "cases has no keys"),
    ],
)
def test_wrong_changes(recipe: Path, change: str, said: str) -> None:
    with pytest.raises(InputError) as refused:
        Recipe.read(recipe, [change])
    assert str(refused.value) == f"--set {change}: {said}"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"cases: [1", "not YAML ("),
        (b"\xff\xfe", "not YAML ("),
        (b"- 1", "expected key: value pairs such as cases: 100"),
        (b"", "expected key: value pairs such as cases: 100"),
        (b"cases: !!python/object/apply:os.system [ls]", "not YAML (could not determine a constructor"),
    ],
)
def test_wrong_files(recipe: Path, content: bytes, said: str) -> None:
    recipe.write_bytes(content)
    with pytest.raises(InputError) as refused:
        Recipe.read(recipe)
    assert str(refused.value).startswith(f"{recipe}: {said}")
    assert "\n" not in str(refused.value)


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.yaml: cannot read \(No such file or directory\)"):
        Recipe.read(tmp_path / "none.yaml")


def test_the_schema_is_of_what_is_read() -> None:
    schema = Recipe.model_json_schema()
    json.dumps(schema)
    assert set(schema["properties"]) == set(Recipe.model_fields)
    assert schema["properties"]["source"]["discriminator"]["propertyName"] == "kind"
    assert {"phantom", "drr", "phantom-ct"} <= set(KINDS)
    assert schema["additionalProperties"] is False
    assert yaml.safe_load(PLAIN).keys() <= schema["properties"].keys()
