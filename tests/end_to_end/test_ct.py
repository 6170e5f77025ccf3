"""`synth ct`, and the source `ct` of `synth dataset`: prompts in, a dataset folder of both media out."""

from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING

import numpy as np
import pytest

from synth.core.reading import read_labels, read_volume
from synth.core.volume import Labels, same_grid
from synth.core.writing import write_labels
from synth.dataset.sources import ct as source
from synth.dataset.writers.coco import read_masks
from synth.diffusion import model_folder
from synth.diffusion.ct.channels import MASKS
from synth.diffusion.ct.grid import affine_of
from tests.diffusion.ct.models import pipeline
from tests.end_to_end.command import REPOSITORY, Result, tree

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Synth = Callable[..., Result]

PROMPT = "65 year old WHITE female. Small left pleural effusion."
FEW = ("--steps", "2", "--refine-steps", "1", "--dtype", "float32", "--device", "cpu")
VIEWS = ("--radiographs", "pa,lao45", "--radiograph-size", "48", "--technique", "mono")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("model")
    pipeline(control=True).save_pretrained(root)
    return root


def rows(root: Path) -> list[dict[str, str]]:
    with (root / "metadata.csv").open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_text_to_ct_to_radiographs(synth: Synth, model: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = synth(
        "ct", "-o", out, "--model", model, "--prompt", PROMPT, "-n", 2, "--size", "32x32x16", *FEW, *VIEWS,
        "--seed", 3, "--json",
    )  # fmt: skip
    assert result.code == 0, result.err
    assert result.err.startswith("32 × 32 × 16 voxels in tiles of 16, float32: about ")
    told = json.loads(result.out)
    assert (told["cts"], told["radiographs"], told["prompts"]) == (2, 4, 1)
    assert [row["view"] for row in rows(out)] == ["CT", "PA", "LAO45"] * 2
    for row in rows(out):
        assert (row["sex"], row["age"], row["race"], row["prompt"]) == ("F", "65", "WHITE", PROMPT)
        assert (row["source"], row["model_hash"]) == ("ct", told["model_hash"])
        assert (out / row["file_name"]).is_file()
    masks = read_masks(out / "masks" / "annotations.json")
    assert set(masks["images/00/00000001_lao45.png"]) <= {*MASKS, "lung_left", "lung_right"}
    made = pipeline()(PROMPT, seeds=[int(rows(out)[3]["seed"])], size=(32, 32, 16), steps=2, refine_steps=1)
    volume = read_volume(out / "volumes/00/00000001.nii.gz")
    labels = read_labels(out / "masks/00/00000001_total.nii.gz")
    assert same_grid(volume, labels)
    np.testing.assert_allclose(volume.affine, made.affine)
    np.testing.assert_array_equal(volume.hu, made.hu[0])
    top = MASKS.index("finding") + 1
    np.testing.assert_array_equal(labels.array == top, made.masks[0, top - 1])
    assert str(model) not in (out / "dataset.json").read_text()


def test_a_stopped_run_goes_on(synth: Synth, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = ("ct", "--model", model, "--prompt", PROMPT, "-n", "3", *FEW, *VIEWS)
    assert synth(*options, "-o", tmp_path / "whole").code == 0
    sample, count = source.GeneratedCts._sample, iter(range(9))

    def stop(*arguments: object) -> object:
        if next(count) == 1:
            raise KeyboardInterrupt
        return sample(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(source.GeneratedCts, "_sample", stop)
        assert synth(*options, "-o", tmp_path / "stopped").code == 130
    assert len(list((tmp_path / "stopped" / "volumes").rglob("*.nii.gz"))) == 1
    assert synth(*options, "-o", tmp_path / "stopped", "--seed", 1, "--resume").code == 2
    assert synth(*options, "-o", tmp_path / "stopped", "--resume").code == 0
    assert tree(tmp_path / "stopped") == tree(tmp_path / "whole")


def test_a_ct_of_given_anatomy(synth: Synth, model: Path, tmp_path: Path) -> None:
    array = np.zeros((12, 12, 12), np.uint8)
    array[2:9, 3:8, 1:6] = 1
    affine = affine_of((12, 12, 12), (10, 10, 10))
    affine[:3, 3] += [40, -30, 20]
    write_labels(tmp_path / "map.nii.gz", Labels(array, affine, {1: "heart"}))
    options = ("ct", "--model", model, "--prompt", PROMPT, *FEW)
    assert synth(*options, "-o", tmp_path / "with", "--masks", tmp_path / "map.nii.gz").code == 0
    assert synth(*options, "-o", tmp_path / "without").code == 0
    given, free = (read_volume(tmp_path / name / "volumes/00/00000000.nii.gz") for name in ("with", "without"))
    np.testing.assert_allclose(given.centre - free.centre, [40, -30, 20], atol=1e-4)
    assert (given.hu != free.hu).any()


def test_the_example_as_dicom_by_two_workers(synth: Synth, model: Path, tmp_path: Path) -> None:
    changes = (f"source.model={model}", "source.size=16", "source.steps=1", "source.radiograph_size=32", "cases=2",
               "source.technique=mono", "source.device=cpu", "source.dtype=float32")  # fmt: skip
    sets = [word for change in changes for word in ("--set", change)]
    example = REPOSITORY / "examples" / "ct.yaml"
    assert synth("dataset", example, "-o", tmp_path / "one", *sets).code == 0
    assert synth("dataset", example, "-o", tmp_path / "two", *sets, "--workers", "2").code == 0
    assert tree(tmp_path / "one") == tree(tmp_path / "two")
    assert [row["sex"] for row in rows(tmp_path / "one")] == ["F"] * 3 + ["M"] * 3
    packed = synth("dataset", example, "-o", tmp_path / "no", *sets, "--set", "shards.kind=webdataset")
    assert packed.code == 2
    assert "shards: do not take CTs with radiographs" in packed.err
    result = synth("dataset", example, "-o", tmp_path / "dicom", *sets, "--set", "format=dicom", "--set", "cases=1")
    assert result.code == 0, result.err
    assert (tmp_path / "dicom/images/00/00000000_pa.dcm").is_file()
    assert len(list((tmp_path / "dicom/volumes/00/00000000").glob("*.dcm"))) == 16


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (("--size", "20"), "size 20 × 20 × 20: give multiples of 16 voxels"),
        (("--size", "1x2"), "--size 1x2: give one number, or three"),
        (("--spacing", "-1"), "spacing"),
        (("--tile", "20"), "tile 20: give a multiple of 8 voxels"),
        (("--radiographs", "pa,pa"), "name each view once"),
        (("--radiographs", "sideways"), "sideways"),
        (("--masks", "nowhere.nii.gz"), "nowhere.nii.gz: no such file or folder"),
        (("--model", "nowhere"), "nowhere: no such folder"),
    ],
)
def test_bad_input(synth: Synth, model: Path, tmp_path: Path, wrong: tuple[str, str], said: str) -> None:
    result = synth("ct", "-o", tmp_path / "out", "--prompt", PROMPT, "--model", model, *FEW, *wrong)
    assert (result.code, said in result.err) == (2, True), result.err
    assert result.err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_without_weights_of_its_own(synth: Synth, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_folder, "_DEFAULT", tmp_path / "cxr")
    result = synth("ct", "-o", tmp_path / "out", "--prompt", PROMPT)
    assert result.code == 2
    assert "synth train ct RECIPE -o FOLDER" in result.err
