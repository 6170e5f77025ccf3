"""`synth phantom`, and `synth drr` of phantoms: whole datasets, alone or in a batch, by one or two processes."""

from __future__ import annotations

import csv
import json
import signal
import time
from typing import TYPE_CHECKING

import numpy as np
import pytest

from synth.anatomy.reports import parse
from synth.core.reading import read_labels, read_volume
from synth.dataset.patients.phantoms import Phantoms
from synth.dataset.patients.structures import GROUPS
from synth.dataset.phantom_scans import PhantomJob
from synth.dataset.radiographs.job import DrrJob
from synth.dataset.writers.coco import read_masks
from synth.dataset.writers.png import read_png
from tests.end_to_end.command import Result, finished, start, tree

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FINDINGS = "moderate left pleural effusion, 3 cm nodule in the right upper lobe, endotracheal tube"
KINDS = {"pleural effusion", "nodule", "endotracheal tube"}
PATIENTS = ("--phantom", "2", "--sex", "F", "--age", "40-60", "--findings", FINDINGS, "--voxel", "5", "--seed", "3")
RADIOGRAPHS = (*PATIENTS, "--views", "pa", "--poses", "6", "--preset", "random", "--size", "64", "--masks", "groups")
CTS = ("--voxel", "5", "--size", "80x64x72", "--seed", "3", "--findings", FINDINGS)
POSE = {
    "patient_rotation_deg", "patient_tilt_deg", "patient_lean_deg", "beam_shift_u_mm", "beam_shift_v_mm",
    "field_margin_mm",
}  # fmt: skip


@pytest.fixture(scope="module")
def radiographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The dataset of RADIOGRAPHS, made by one process."""
    root = tmp_path_factory.mktemp("radiographs") / "out"
    assert finished(start("drr", "-o", root, *RADIOGRAPHS)) == Result(
        0, f"12 radiographs of 2 phantoms in {root}\n", ""
    )
    return root


@pytest.fixture(scope="module")
def cts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two CTs, made by one process."""
    root = tmp_path_factory.mktemp("cts") / "out"
    assert finished(start("phantom", "-o", root, "-n", "2", *CTS)) == Result(0, f"2 phantoms in {root}\n", "")
    return root


def rows(root: Path) -> list[dict[str, str]]:
    with (root / "metadata.csv").open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def assert_said(row: dict[str, str]) -> None:
    """The findings of a row are those of its report and of its prompt."""
    findings = json.loads(row["findings"])
    names = {finding["name"] for finding in findings}
    assert KINDS <= {finding["kind"] for finding in findings}
    for text in (row["report"], row["prompt"]):
        assert {finding.name for finding in parse(text).findings} == names
    sides = {finding["name"]: finding.get("laterality") for finding in findings}
    read = {finding.name: finding.laterality for finding in parse(row["prompt"]).findings}
    assert {name: read[name] for name, side in sides.items() if side} == {n: side for n, side in sides.items() if side}


def test_radiographs(radiographs: Path) -> None:
    table = rows(radiographs)
    assert len(table) == 12
    assert {row["view"] for row in table} == {"PA"}
    for row in table:
        assert row["sex"] == "F"
        assert 40 <= float(row["age"]) <= 60
        assert row["source"] == "phantom"
        assert all(row[column] for column in POSE)
        assert 1400 <= float(row["source_detector_mm"]) <= 2000
        assert abs(float(row["primary_angle_deg"]) + float(row["patient_rotation_deg"])) < 1.0
        assert_said(row)
    assert len({row["patient_rotation_deg"] for row in table}) == 12
    assert len({row["kvp"] for row in table}) == 12
    assert len({row["age"] + row["height_cm"] for row in table}) == 2


def test_masks_of_groups(radiographs: Path) -> None:
    found = read_masks(radiographs / "masks/annotations.json")
    assert len(found) == 12
    for name in found:
        masks = found[name]
        assert set(GROUPS) <= set(masks)
        assert {"finding:pleural effusion", "finding:nodule", "object:endotracheal tube"} <= set(masks)
        middle = {group: float(np.mean(np.nonzero(mask)[1])) for group, mask in masks.items()}
        assert middle["lung_right"] < middle["spine"] < middle["lung_left"]  # the patient's right is on the left
        assert middle["finding:nodule"] < middle["spine"] < middle["finding:pleural effusion"]
        assert (masks["mediastinum"] & masks["heart"]).sum() == masks["heart"].sum()
        assert set(masks) - set(GROUPS) == {
            "finding:pleural effusion",
            "finding:nodule",
            "object:endotracheal tube",
            "object:endotracheal tube:visible",
        }


def test_groups_are_those_of_all_masks(tmp_path: Path) -> None:
    """Projected in one pass or label by label, a group has the same pixels; without masks the image is the same."""
    made = {}
    for masks in ("all", "groups", "none"):
        job = DrrJob(Phantoms(1, 5, spacing_mm=5.0, masks=masks), views=("pa",), poses=1, shape=(64, 64))
        (made[masks],) = job.samples([0])
    every = {mask.name: mask.array for mask in made["all"].masks}
    groups = {mask.name: mask.array for mask in made["groups"].masks}
    assert set(groups) < set(every)
    for name, mask in groups.items():
        assert (mask != every[name]).mean() < 1e-3, name  # but for rays that graze a voxel
    assert {name for name in every if name.startswith(("finding", "object"))} <= set(groups)
    assert all(np.array_equal(one.image, made["all"].image) for one in made.values())
    assert all(mask.name.startswith("object") for mask in made["none"].masks)


def test_one_alone_is_that_of_the_batch(radiographs: Path, tmp_path: Path) -> None:
    recipe = json.loads((radiographs / "dataset.json").read_text())["recipe"]
    assert recipe["poses"] == 6
    findings = tuple(finding for finding in parse(FINDINGS).findings)
    people = Phantoms(2, 3, sex="F", ages=(40, 60), findings=findings, spacing_mm=5.0, masks="groups")
    job = DrrJob(people, views=("pa",), poses=6, shape=(64, 64), preset="random", seed=3, backend="cpu")
    (alone,) = job.samples([8])
    image, _ = read_png(radiographs / "images/00/00000008.png")
    assert np.array_equal(alone.image, image)
    batch = read_masks(radiographs / "masks/annotations.json")["images/00/00000008.png"]
    assert {mask.name for mask in alone.masks} == set(batch)
    assert all(np.array_equal(mask.array, batch[mask.name]) for mask in alone.masks)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_two_workers_stopped_and_resumed_make_what_one_makes(
    synth: Callable[..., Result], radiographs: Path, tmp_path: Path, how: signal.Signals
) -> None:
    root = tmp_path / "out"
    process = start("drr", "-o", root, *RADIOGRAPHS, "--workers", "2")
    while sum(1 for _ in root.glob("images/*/*.png")) < 3:
        assert process.poll() is None
        time.sleep(0.002)
    process.send_signal(how)
    result = finished(process)  # its pipes close when the last worker has gone
    if how == signal.SIGINT:
        said = "synth: interrupted; give the same command again, with --resume where it has one\n"
        assert result == Result(130, "", said)
        assert not list(root.rglob("*.part"))
    else:
        assert result.code == -signal.SIGKILL
    assert not (root / "dataset.json").exists()
    result = synth("drr", "-o", root, *RADIOGRAPHS, "--resume")
    assert result == Result(0, f"12 radiographs of 2 phantoms in {root}\n", "")
    assert tree(root) == tree(radiographs)


def test_cts(cts: Path) -> None:
    table = rows(cts)
    assert [row["view"] for row in table] == ["CT", "CT"]
    for number, row in enumerate(table):
        assert_said(row)
        assert {row[f"spacing_{axis}_mm"] for axis in "xyz"} == {"5"}
        volume = read_volume(cts / row["file_name"])
        assert volume.shape == (72, 64, 80)
        assert volume.hu.min() < -800
        assert volume.hu.max() > 300
        stem = cts / f"masks/00/{number:08d}"
        total, parts, found = (
            read_labels(stem.with_name(f"{stem.name}_{name}.nii.gz"), volume) for name in ("total", "parts", "findings")
        )
        present = set(np.unique(total.array)) - {0}
        assert {"heart", "lung_upper_lobe_left", "vertebrae_T8"} <= {total.names[value] for value in present}
        assert "airway_lumen" in parts.names.values()
        others = list(cts.glob(f"masks/00/{number:08d}_findings[0-9].nii.gz"))
        named = {*found.names.values(), *(n for path in others for n in read_labels(path, volume).names.values())}
        assert KINDS <= named


def test_cts_resumed(synth: Callable[..., Result], cts: Path, tmp_path: Path) -> None:
    """A run that had got as far as its second CT."""
    root = tmp_path / "out"
    findings = tuple(finding for finding in parse(FINDINGS).findings)
    job = PhantomJob(Phantoms(2, 3, findings=findings, spacing_mm=5.0), shape=(72, 64, 80))
    running = job.run(root, resume=False)
    assert next(running) == 0
    running.close()
    assert not (root / "dataset.json").exists()
    assert synth("phantom", "-o", root, "-n", "2", *CTS).err.endswith("choose another folder or pass --resume\n")
    assert synth("phantom", "-o", root, "-n", "2", *CTS, "--resume").code == 0
    assert tree(root) == tree(cts)


def test_cts_without_masks(synth: Callable[..., Result], tmp_path: Path) -> None:
    options = ("-n", "1", "--voxel", "5", "--size", "40x40x40", "--masks", "none", "--json")
    result = synth("phantom", "-o", tmp_path / "out", *options)
    assert json.loads(result.out) == {"output": str(tmp_path / "out"), "phantoms": 1}
    assert not (tmp_path / "out/masks").exists()


DRR, CT = ("drr", "--phantom", "1"), ("phantom",)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((*CT, "--sex", "X"), "--sex X: use F or M"),
        ((*CT, "--age", "7"), "--age must lie within 18 to 95 years, got 7 to 7"),
        ((*CT, "--age", "old"), "--age old: give years such as 63, or a range such as 40-60"),
        ((*CT, "--findings", "gibberish"), "--findings gibberish: no finding was read"),
        ((*CT, "--findings", "!"), "nothing to read"),
        ((*CT, "--voxel", "50"), "--voxel must be 0.5 to 5 mm"),
        ((*CT, "--voxel", "nan"), "--voxel must be 0.5 to 5 mm"),
        ((*CT, "--size", "junk"), "--size junk: give voxels along x, y and z"),
        ((*CT, "--size", "0x8x8"), "--size 0x8x8: give voxels"),
        ((*CT, "-n", "0"), "the number of phantoms must be 1 to"),
        ((*CT, "-n", "-1"), "the number of phantoms must be 1 to"),
        ((*CT, "--masks", "groups"), "--masks"),
        ((*CT, "--workers", "0"), "--workers"),
        ((*CT, "--population", "missing.csv"), "missing.csv"),
        (("drr", "--phantom", "-1"), "the number of phantoms must be 1 to"),
        (("drr", "--phantom", "0"), "the number of phantoms must be 1 to"),
        (("drr", "--phantom", "1", "ct.nii.gz"), "--phantom: give CTs or a number of phantoms, not both"),
        (("drr", "ct.nii.gz", "--sex", "F"), "--sex: says who a phantom is"),
        ((*DRR, "--voxel", "50"), "--voxel must be 0.5 to 5 mm"),
        ((*DRR, "--poses", "-1"), "poses (--poses) must be 0 to"),
        ((*DRR, "--masks", "some"), "--masks"),
        ((*DRR, "--workers", "many"), "--workers"),
    ],
)
def test_bad_input(synth: Callable[..., Result], tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
    result = synth(*arguments, "-o", tmp_path / "out")
    assert (result.code, result.out, result.err.count("\n")) == (2, "", 1)
    assert result.err.startswith("synth: ")
    assert said in result.err
    assert not (tmp_path / "out").exists()


def test_a_population_without_columns(synth: Callable[..., Result], tmp_path: Path) -> None:
    (tmp_path / "people.csv").write_text("colour,weight\nred,3\n")
    result = synth("phantom", "-o", tmp_path / "out", "--population", tmp_path / "people.csv")
    assert (result.code, result.err.count("\n")) == (2, 1)
    assert "people.csv" in result.err


def test_views_and_their_poses() -> None:
    job = DrrJob(Phantoms(1), poses=2)
    assert job.samples_each == 4
    assert [job.view_of(index) for index in range(8)] == [0, 0, 1, 1, 0, 0, 1, 1]


def test_findings_in_a_ct_with_labels(synth: Callable[..., Result], cts: Path, tmp_path: Path) -> None:
    ct, labels = cts / "volumes/00/00000000.nii.gz", cts / "masks/00/00000000_total.nii.gz"
    words = ("--findings", "moderate right pneumothorax", "--views", "pa", "--size", "64", "--masks", "groups")
    assert synth("drr", ct, "--labels", labels, *words, "-o", tmp_path / "out").code == 0
    (row,) = rows(tmp_path / "out")
    assert [finding["kind"] for finding in json.loads(row["findings"])] == ["pneumothorax"]
    assert "finding:pneumothorax" in read_masks(tmp_path / "out" / "masks" / "annotations.json")[row["file_name"]]
    refused = synth("drr", ct, *words, "-o", tmp_path / "unlabelled")
    assert (refused.code, refused.err.count("\n")) == (2, 1)
    assert "--labels" in refused.err


def test_without_a_ct_there_is_one_phantom(synth: Callable[..., Result], tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert synth("drr", "--voxel", "5", "--size", "32", "--views", "pa", "--masks", "none", "-o", out).code == 0
    assert len(rows(out)) == 1
