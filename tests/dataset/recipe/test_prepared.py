"""From a recipe to the job: what it names is read, and what goes to dataset.json tells no file."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

import numpy as np
import pytest

from synth.core.errors import InputError
from synth.core.record import Finding
from synth.dataset.folder import Shards
from synth.dataset.manifest import dump, refuse_paths
from synth.dataset.recipe.schema import Recipe
from synth.dataset.request import DrawnRequests
from synth.dataset.sources.ct_radiographs import CtRadiographs
from synth.dataset.sources.phantom_radiographs import PhantomRadiographs
from synth.dataset.sources.phantom_scans import PhantomScans
from synth.dataset.writers.png import write_png
from tests.end_to_end import scene

if TYPE_CHECKING:
    from pathlib import Path

    from synth.dataset.job import DatasetJob

PLAN = (
    "id,sex,age,race,view,findings,prompt,seed\n"
    'ann,F,40,,PA,"[{""name"": ""Pleural Effusion"", ""laterality"": ""left""}]",,11\n'
    "bob,M,70,White,LATERAL,[],,12\n"
    "cyd,,,,,,,13\n"
)
COUNTS = {"columns": ["sex"], "reference": {"images": 3, "files": [{"name": "Jane.csv", "sha256": "12ab"}]}}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A recipe, and all that one could name, in a folder whose name tells somebody's."""
    root = tmp_path / "Doe^Jane"
    root.mkdir()
    (root / "recipe.yaml").write_text("source: {kind: phantom, voxel_mm: 5}\ncases: 3\n")
    (root / "plan.csv").write_text(PLAN)
    (root / "plan.json").write_text(json.dumps(COUNTS))
    (root / "policy.yaml").write_text("least_accepted: 0.5\n")
    for number in range(2):
        scene.write_ct(root / f"Jane{number}.nii.gz", seed=number)
        scene.write_labels(root / f"Jane{number}_seg.nii.gz")
        write_png(root / "real" / f"Jane{number}.png", np.full((8, 8), 100 * number, np.uint16))
    return root


def job_of(folder: Path, *changes: str) -> DatasetJob:
    job = Recipe.read(folder / "recipe.yaml", changes).job()
    told = dump(job.recipe).decode()
    refuse_paths(job.recipe, "recipe")
    assert "Jane" not in told
    assert dump(Recipe.read(folder / "recipe.yaml", changes).resolved()).decode() == told
    return job


def test_defaults(folder: Path) -> None:
    job = job_of(folder)
    assert job.requests == DrawnRequests(3, 0)
    assert isinstance(job.source, PhantomRadiographs)
    assert (job.n_samples, job.image_format, job.shards, job.gate, job.extras) == (6, "png", None, None, {})
    assert job.source.job.shape == (512, 512)
    assert job.recipe["source"]["kind"] == "phantom"
    assert (job.recipe["cases"], job.recipe["format"], job.recipe["gate"]) == (3, "png", None)
    assert job.recipe["source"]["masks"] == "groups"
    assert "licence" not in job.recipe


def test_what_is_said_arrives(folder: Path) -> None:
    job = job_of(
        folder,
        "seed=5",
        "views=[ap]",
        "size=[64, 48]",
        "masks=none",
        "format=dicom",
        "segmentations=true",
        "licence=CC0-1.0",
        "source.technique=chest-pa",
        "source.poses=4",
        "source.collimation_mm=[1, 2, 3, 4]",
        "source.window=[0, 5]",
        "source.ages=[60, 70]",
        "source.findings=small left pleural effusion",
    )
    assert isinstance(job.source, PhantomRadiographs)
    taken, people = job.source.job, job.source.phantoms
    assert (job.seed, job.n_samples, job.image_format, job.segmentations) == (5, 12, "dicom", True)
    assert (taken.views, taken.shape, taken.preset, taken.poses) == (("ap",), (64, 48), "chest-pa", 4)
    assert (taken.collimation.left, taken.collimation.bottom) == (1, 4)
    assert taken.window is not None
    assert (taken.window.low, taken.window.high) == (0, 5)
    assert (people.ages, people.masks, people.spacing_mm) == ((60, 70), "none", 5.0)
    assert people.findings is not None
    assert people.findings[0].name == "Pleural Effusion"
    assert job.recipe["licence"] == "CC0-1.0"


def test_a_plan(folder: Path) -> None:
    job = job_of(folder, "cases=null", "plan=plan.csv")
    ann, bob, cyd = job.requests
    assert (ann.name, ann.sex, ann.age, ann.view, ann.findings) == (
        "ann", "F", 40.0, "PA", (Finding("Pleural Effusion", "left"),)
    )  # fmt: skip
    assert (bob.view, bob.findings, cyd.view, cyd.findings) == ("LATERAL", (), None, None)
    assert job.n_samples == 3  # each has the view that the plan says
    assert job.recipe["plan_digest"] == hashlib.sha256(PLAN.encode()).hexdigest()
    assert job.extras["plan.csv"] == PLAN.encode()
    told = json.loads(job.extras["plan.json"])
    assert told == COUNTS | {"reference": {"images": 3, "files": [{"sha256": "12ab"}]}}
    (folder / "plan.json").unlink()
    assert set(job_of(folder, "cases=null", "plan=plan.csv").extras) == {"plan.csv"}


def test_a_plan_that_asks_for_what_cannot_be_made(folder: Path) -> None:
    for change, said in [
        ("views=[pa, lateral]", "plan.csv: case ann: asks for view PA, and each case has the views pa, lateral"),
        ("source={kind: drr, cts: [Jane0.nii.gz]}", "plan.csv: case ann: asks for sex F, age 40; give a table"),
    ]:
        with pytest.raises(InputError, match=rf"recipe\.yaml: .*{said}"):
            Recipe.read(folder / "recipe.yaml", ["cases=null", "plan=plan.csv", change]).job()
    (folder / "plan.csv").write_text(PLAN.replace("Pleural Effusion", "Infiltration"))
    with pytest.raises(InputError, match=r"plan\.csv: case ann: no finding 'Infiltration' can be drawn"):
        Recipe.read(folder / "recipe.yaml", ["cases=null", "plan=plan.csv"]).job()


def test_cts(folder: Path) -> None:
    job = job_of(folder, "source={kind: drr, cts: ['Jane?.nii.gz'], labels: ['*_seg.nii.gz'], couch: false}", "seed=9")
    assert isinstance(job.source, CtRadiographs)
    assert [path.name for path in job.source.files.cts] == ["Jane0.nii.gz", "Jane1.nii.gz"]
    assert [path.name for path in job.source.files.labels] == ["Jane0_seg.nii.gz", "Jane1_seg.nii.gz"]
    assert job.source.files.couch is False
    assert [case["ct"] for case in job.recipe["source"]["cases"]] == ["0", "1"]


def test_a_table_of_cts(folder: Path) -> None:
    (folder / "cts.csv").write_text("ct,sex\nJane0.nii.gz,F\nJane1.nii.gz,M\n")
    job = job_of(folder, "source={kind: drr, table: cts.csv}")
    assert isinstance(job.source, CtRadiographs)
    assert [person.sex for person in job.source.people] == ["F", "M"]
    assert job.source.files.cts == (folder / "Jane0.nii.gz", folder / "Jane1.nii.gz")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("source={kind: drr}", "source.cts is missing: name CT files or DICOM folders, or give a table"),
        ("source={kind: drr, cts: [a], table: cts.csv}", "source: give cts and labels, or a table of them"),
        ("source={kind: drr, cts: ['z*.nii']}", r"z\*.nii: stands for no file"),
        ("source={kind: drr, cts: [a, b], labels: [c]}", "1 label maps for 2 CTs"),
        ("source={kind: drr, cts: [a], findings: edema}", "give --labels"),
        ("source.findings=a horse", "no finding was read in 'a horse'"),
        ("source.findings=12 cm nodule", "source.findings: "),
        ("source.technique=chest", "chest"),
        ("source.population=nobody.csv", "nobody.csv"),
        ("source.scene=none.yaml", "none.yaml: cannot read"),
        ("views=[up]", "unknown view 'up'"),
        ("source.ages=[1, 2]", "must lie within 18 to 95 years"),
        ("gate={reference: real, policy: {scors: {}}}", "policy: unknown key 'scors'; did you mean 'scores'"),
        ("gate={reference: real, policy: none.yaml}", "none.yaml: cannot read"),
        ("gate={reference: nowhere}", "nowhere"),
    ],
)
def test_what_cannot_be_used(folder: Path, change: str, said: str) -> None:
    path = folder / "recipe.yaml"
    with pytest.raises(InputError, match=said) as refused:
        Recipe.read(path, [change]).job()
    assert str(refused.value).startswith(f"{path}: ")
    assert "\n" not in str(refused.value)


def test_phantom_cts(folder: Path) -> None:
    job = job_of(folder, "source={kind: phantom-ct, voxels: [80, 64, 72], kernel: soft, mas: 50, phase: portal}")
    assert isinstance(job.source, PhantomScans)
    scans = job.source.job
    assert (job.image_format, job.n_samples, scans.shape, scans.phase) == ("nifti", 3, (72, 64, 80), "portal")
    assert scans.phantoms.masks == "all"
    assert scans.scanner is not None
    assert (scans.scanner.protocol.kernel, scans.scanner.protocol.mas) == ("soft", 50)


def test_a_gate(folder: Path) -> None:
    job = job_of(folder, "gate={reference: real, policy: policy.yaml, attempts: 2, keep_rejected: true}")
    assert job.gate is not None
    assert (job.gate.reference, job.gate.policy.least_accepted) == (folder / "real", 0.5)
    assert (job.gate.attempts, job.gate.keep_rejected) == (2, True)
    assert job.recipe["gate"]["policy"]["least_accepted"] == 0.5
    inline = job_of(folder, "gate={reference: real, policy: {least_accepted: 0.5}, attempts: 2, keep_rejected: true}")
    assert inline.recipe == job.recipe
    write_png(folder / "real" / "more.png", np.full((8, 8), 7, np.uint16))
    assert job_of(folder, "gate={reference: real, policy: policy.yaml}").recipe["gate"] != job.recipe["gate"]


def test_shards(folder: Path) -> None:
    job = job_of(folder, "shards={kind: parquet, size: 10}")
    assert job.shards == Shards("parquet", 10)
    assert job.recipe["shards"] == {"kind": "parquet", "size": 10}
