"""`synth lowdose`: what a user gets."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest

from synth.core.reading import read_volume
from tests.end_to_end.command import Result, finished, start, tree
from tests.end_to_end.scene import affine, hu, write_array

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.mark.parametrize("source", ["ct.nii.gz", "ct.mha", "ct.nrrd", "series"])
@pytest.mark.parametrize("suffix", [".nii.gz", ".mha"])
def test_the_volume(synth: Callable[..., Result], inputs: Path, tmp_path: Path, source: str, suffix: str) -> None:
    path = tmp_path / f"low{suffix}"
    result = synth("lowdose", inputs / source, "-o", path, "--dose", "0.25", "--seed", "3")
    assert result == Result(0, f"{inputs / source} at 0.25 of its dose in {path}\n", "")
    before, after = read_volume(inputs / source), read_volume(path)
    assert after.hu.dtype == before.hu.dtype
    np.testing.assert_allclose(after.affine, before.affine, atol=1e-4)
    added = after.hu.astype(float) - before.hu
    assert 1 < added.std() < 100
    assert abs(added.mean()) < 0.2 * added.std()


def test_the_same_bytes_whatever_the_threads(inputs: Path, tmp_path: Path) -> None:
    for name, threads in (("a", "1"), ("b", "3")):
        path = tmp_path / f"{name}.nii.gz"
        options = ("--dose", "0.1", "--kernel", "sharp", "--seed", "18446744073709551615", "--json")
        result = finished(start("lowdose", inputs / "ct.mha", "-o", path, *options, SYNTH_THREADS=threads))
        assert (result.code, result.err) == (0, "")
        said = {"output": str(path), "slices": 24, "dose": 0.1, "seed": 18446744073709551615}
        assert json.loads(result.out) == said
    assert (tmp_path / "a.nii.gz").read_bytes() == (tmp_path / "b.nii.gz").read_bytes()


def test_full_dose_is_the_same(synth: Callable[..., Result], inputs: Path, tmp_path: Path) -> None:
    assert synth("lowdose", inputs / "ct.mha", "-o", tmp_path / "a.mha", "--dose", "1").code == 0
    np.testing.assert_array_equal(read_volume(tmp_path / "a.mha").hu, read_volume(inputs / "ct.mha").hu)


def test_options_reach_the_noise(synth: Callable[..., Result], inputs: Path, tmp_path: Path) -> None:
    def level(*options: object) -> float:
        path = tmp_path / "a.mha"
        result = synth("lowdose", inputs / "ct.mha", "-o", path, "--dose", "0.5", "--force", *options)
        assert (result.code, result.err) == (0, "")
        return float((read_volume(path).hu.astype(float) - read_volume(inputs / "ct.mha").hu).std())

    usual = level()
    assert level("--mas", 50) > 1.8 * usual
    assert level("--kernel", "soft") < 0.8 * usual < 0.8 * level("--kernel", "sharp")
    assert level("--kvp", 80) > 1.2 * usual
    assert level("--electronic", 300) > 1.2 * usual
    assert level("--thickness", 3) > 1.5 * usual


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["{ct}", "-o", "{out}", "--dose", "0"], "dose fraction must be 0.001 to 1, got 0"),
        (["{ct}", "-o", "{out}", "--dose", "nan"], "dose fraction"),
        (["{ct}", "-o", "{out}"], "Missing option '--dose'"),
        (["{ct}", "-o", "{out}", "--dose", "0.5", "--kernel", "bone"], "--kernel"),
        (["{ct}", "-o", "{out}", "--dose", "0.5", "--kvp", "9"], "kvp must be 40 to 150"),
        (["{ct}", "-o", "{out}", "--dose", "0.5", "--mas", "-1"], "mas must be"),
        (["{ct}", "-o", "{out}", "--dose", "0.5", "--thickness", "0"], "slice thickness must be"),
        (["{ct}", "-o", "{out}", "--dose", "0.5", "--electronic", "-2"], "electronic noise must be"),
        (["{ct}", "-o", "{tmp}/low.nrrd", "--dose", "0.5"], "written as .nii.gz, .nii, .mha"),
        (["{ct}", "-o", "{tmp}", "--dose", "0.5"], "written as"),
        (["{ct}", "-o", "{old}", "--dose", "0.5"], "exists; choose another name or pass --force"),
        (["{ct}", "-o", "{ct}", "--dose", "0.5", "--force"], "choose another place"),
        (["{series}", "-o", "{series}/low.nii.gz", "--dose", "0.5"], "choose another place"),
        (["{tmp}/none.nii.gz", "-o", "{out}", "--dose", "0.5"], "none.nii.gz: no such file or folder"),
        (["{tilted}", "-o", "{out}", "--dose", "0.5"], "off right angles"),
    ],
)
def test_bad_input_is_one_line(
    synth: Callable[..., Result], inputs: Path, tmp_path: Path, arguments: list[str], said: str
) -> None:
    grid = affine()
    grid[1, 2] = 4.0
    places = {
        "ct": inputs / "ct.nii.gz",
        "series": inputs / "series",
        "tmp": tmp_path,
        "out": tmp_path / "out.nii.gz",
        "old": tmp_path / "old.nii.gz",
        "tilted": write_array(tmp_path / "tilted.nii", hu(), grid),
    }
    places["old"].write_bytes(b"mine")
    before = tree(tmp_path), tree(inputs)
    result = synth("lowdose", *(argument.format(**places) for argument in arguments))
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith("synth: ")
    assert result.err.count("\n") == 1
    assert said in result.err
    assert (tree(tmp_path), tree(inputs)) == before
