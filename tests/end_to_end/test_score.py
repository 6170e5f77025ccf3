"""`synth score` and `synth gate`: what a user gets."""

from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from tests.end_to_end.command import Result, finished, start, tree
from tests.end_to_end.scene import affine, write_array
from tests.metrics.picture_sets import pictures, write_pictures

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

N = 60
CHEAP = ("--metrics", "kid,fd")


@pytest.fixture(autouse=True)
def no_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYNTH_CACHE", "off")


@pytest.fixture(scope="session")
def sets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders real, alike and blurred, with a table of sex and age."""
    folder = tmp_path_factory.mktemp("sets")
    columns = {"sex": ["F", "M"] * (N // 2), "age": [20, 50, 70] * (N // 3)}
    write_pictures(folder / "real", pictures(11, N), columns)
    write_pictures(folder / "alike", pictures(12, N), columns)
    write_pictures(folder / "blurred", pictures(12, N, blur=1.0), columns)
    return folder


def test_scores_of_two_folders(synth: Callable[..., Result], sets: Path, tmp_path: Path) -> None:
    before = tree(sets)
    out, page = tmp_path / "new" / "scores.json", tmp_path / "scores.html"
    result = synth("score", sets / "real", sets / "alike", "-o", out, "--html", page, "--by", "sex,age_group")
    assert result.code == 0
    for text in ("reference  real, 60 images", "frd ↓", "ms-ssim =", "the sets are not told apart", "age_group"):
        assert text in result.out
    assert all(line.startswith("warning: ") for line in result.err.splitlines())
    told = json.loads(out.read_text())
    assert {one["metric"] for one in told["scores"]} >= {"frd", "fd", "fd-inf", "kid", "precision", "vendi", "ms-ssim"}
    assert {one["group"] for one in told["scores"] if one["column"] == "sex"} == {"F", "M"}
    assert page.read_text().startswith("<!DOCTYPE html>")
    assert tree(sets) == before


def test_json_goes_to_stdout_and_is_the_same_every_time(sets: Path) -> None:
    runs = []
    for threads in ("1", "3"):
        arguments = ("score", sets / "real", sets / "blurred", *CHEAP, "--seed", 5, "--json")
        result = finished(start(*arguments, SYNTH_THREADS=threads, SYNTH_CACHE="off"))
        assert result.code == 0
        runs.append(result.out)
    assert runs[0] == runs[1]
    kid, fd = json.loads(runs[0])["scores"]
    assert (kid["metric"], fd["metric"]) == ("kid", "fd")
    assert kid["p_value"] < 0.05
    assert kid["low"] < kid["value"] < kid["high"]


def test_volumes_with_masks(synth: Callable[..., Result], tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    for name in ("real", "fake"):
        for folder in ("volumes", "masks"):
            (tmp_path / name / folder).mkdir(parents=True)
        for k in range(6):
            values = np.rint(rng.normal(0, 200, (8, 10, 12))).astype(np.int16)
            write_array(tmp_path / name / "volumes" / f"{k}.nii.gz", values, affine())
            mask = np.zeros(values.shape, np.int16)
            mask[2:7, 2:8, 2:10] = 1
            write_array(tmp_path / name / "masks" / f"{k}.nii.gz", mask, affine())
    places = [tmp_path / name / folder for name in ("real", "fake") for folder in ("volumes", "masks")]
    real, real_masks, fake, fake_masks = places
    options = ("--real-masks", real_masks, "--fake-masks", fake_masks, "--json")
    result = synth("score", real, fake, "--metrics", "frd,kid", *options)
    assert result.code == 0, result.err
    assert [one["n_generated"] for one in json.loads(result.out)["scores"]] == [6, 6]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["{sets}/none", "{sets}/real"], "none: no such file or folder"),
        (["{sets}/real", "{tmp}/empty"], "empty: the folder is empty"),
        (["{sets}/real", "{tmp}/one"], "one image is no distribution"),
        (["{sets}/real", "{tmp}/broken", "--metrics", "kid"], "001.png: not a PNG"),
        (["{sets}/real", "{tmp}/flat", "--metrics", "fidd"], "did you mean 'fid'"),
        (["{tmp}/flat", "{sets}/real", "--metrics", "fd"], "every feature is constant in the reference"),
        (["{sets}/real", "{sets}/alike", "--by", "race"], "no column 'race'"),
        (["{sets}/real", "{sets}/alike", "--extractor", "inceptoin"], "did you mean 'inception'"),
        (["{sets}/real", "{sets}/alike", "--metrics", "fid", "--weights", "{tmp}"], "inception-2015-12-05.pt: no such"),
        (["{sets}/real", "{sets}/alike", "--resize", "0x9"], "--resize 0x9: give height and width"),
        (["{sets}/real", "{sets}/alike", "--window", "9,1"], "--window 9,1: the first number"),
        (["{sets}/real", "{sets}/alike", "--window", "wide"], "--window wide: give full"),
        (["{sets}/real", "{sets}/alike", "-o", "{tmp}"], "is a folder; name a file"),
        (["{sets}/real", "{sets}/alike", "--masks", "lung"], "'lung': no such file or folder, nor a column"),
        (["{sets}/real", "{sets}/alike", "--real-masks", "own"], "no masks of its own"),
    ],
)
def test_bad_input_is_one_line(
    synth: Callable[..., Result], sets: Path, tmp_path: Path, arguments: list[str], said: str
) -> None:
    (tmp_path / "empty").mkdir()
    write_pictures(tmp_path / "one", pictures(0, 1))
    write_pictures(tmp_path / "flat", np.full((5, 20, 20), 9, np.uint8))
    (write_pictures(tmp_path / "broken", pictures(0, 3)) / "001.png").write_bytes(b"no picture")
    before = tree(tmp_path)
    result = synth("score", *(argument.format(sets=sets, tmp=tmp_path) for argument in arguments))
    assert (result.code, result.out) == (2, "")
    assert result.err.count("\n") == 1
    assert result.err.startswith("synth: ")
    assert said in result.err
    assert tree(tmp_path) == before


def test_broken_files_can_be_skipped(synth: Callable[..., Result], sets: Path, tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "broken", pictures(12, 20))
    (folder / "001.png").write_bytes(b"no picture")
    result = synth("score", sets / "real", folder, "--metrics", "kid", "--on-error", "skip")
    assert result.code == 0
    assert "1 files skipped" in result.err
    assert "60 / 19" in result.out


def test_the_gate_says_yes_or_no(synth: Callable[..., Result], sets: Path, tmp_path: Path) -> None:
    before = tree(sets)
    yes = synth("gate", sets / "alike", "--reference", sets / "real", "-o", tmp_path / "yes")
    assert yes.code == 0
    assert yes.out.splitlines()[-1].startswith("accepted: alike may pass; ")
    no = synth("gate", sets / "blurred", "--reference", sets / "real", "-o", tmp_path / "no", "--json")
    assert no.code == 1
    told = json.loads(no.out)
    assert not told["accepted"]
    assert json.loads((tmp_path / "no" / "gate.json").read_text()) == told
    assert set(tree(tmp_path / "no")) == {"gate.json", "gate.html", "accepted.csv", "rejected.csv"}
    assert tree(sets) == before


def test_refused_images_are_deleted_only_when_asked(synth: Callable[..., Result], sets: Path, tmp_path: Path) -> None:
    images = pictures(12, N)
    images[5] = images[4]
    folder = write_pictures(tmp_path / "fake", images, {"sex": ["F"] * N})
    policy = tmp_path / "policy.yaml"
    policy.write_text("scores: null\nreport: []\nsamples: {outlier: 0, artefacts: 0}\n")
    arguments = ("gate", folder, "--reference", sets / "real", "--policy", policy, "-o", tmp_path / "report")
    before = tree(folder)
    assert synth(*arguments).code == 0
    assert tree(folder) == before
    assert synth(*arguments, "--delete-rejected").code == 0
    assert set(before) - set(tree(folder)) == {"005.png"}
    names = [row["file_name"] for row in csv.DictReader((folder / "metadata.csv").read_text().splitlines())]
    assert "005.png" not in names
    assert len(names) == N - 1
    (rejected,) = csv.DictReader((tmp_path / "report" / "rejected.csv").read_text().splitlines())
    assert (rejected["file_name"], rejected["checks"]) == ("005.png", "repeats")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["{sets}/alike"], "Missing option '--reference'"),
        (["{sets}/alike", "--reference", "{tmp}/none"], "none: no such file or folder"),
        (["{tmp}/empty", "--reference", "{sets}/real"], "the folder is empty"),
        (["{sets}/alike", "--reference", "{sets}/real", "--policy", "{tmp}/bad.yaml"], "did you mean 'scores'"),
        (["{sets}/alike", "--reference", "{sets}/real", "-o", "{sets}/alike/report"], "choose another folder"),
        (["{sets}/alike", "--reference", "{sets}/real", "-o", "{tmp}/bad.yaml"], "is a file; name a folder"),
        (["{sets}/alike", "--reference", "{sets}/real", "--delete-rejected"], "needs -o FOLDER"),
        (["{sets}/alike/000.png", "--reference", "{sets}/real", "--delete-rejected", "-o", "{tmp}/r"], "folder only"),
    ],
)
def test_a_bad_gate_is_one_line(
    synth: Callable[..., Result], sets: Path, tmp_path: Path, arguments: list[str], said: str
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "bad.yaml").write_text("score: {}\n")
    before = tree(sets), tree(tmp_path)
    result = synth("gate", *(argument.format(sets=sets, tmp=tmp_path) for argument in arguments))
    assert (result.code, result.out) == (2, "")
    assert result.err.count("\n") == 1
    assert said in result.err
    assert (tree(sets), tree(tmp_path)) == before


def test_sixteen_bits(synth: Callable[..., Result], sets: Path, tmp_path: Path) -> None:
    folder = tmp_path / "deep"
    folder.mkdir()
    for k, image in enumerate(pictures(12, N)):
        Image.fromarray(image.astype(np.uint16) * 257).save(folder / f"{k:03}.png")
    values = []
    for fake in (folder, sets / "alike"):
        result = synth("score", sets / "real", fake, *CHEAP, "--json")
        values.append([one["value"] for one in json.loads(result.out)["scores"]])
    assert values[0] == values[1]
