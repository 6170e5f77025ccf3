"""`synth dataset`: a recipe in; a dataset, its gate's answer and an exit code out."""

from __future__ import annotations

import csv
import json
import signal
import time
from typing import TYPE_CHECKING

import pytest
import yaml

from tests.end_to_end import scene
from tests.end_to_end.command import Result, finished, start, tree

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

RECIPE = "seed: 1\nsource: {kind: drr, cts: ['ct*.nii.gz'], poses: 1}\ncases: 5\nviews: [pa, lateral]\nsize: 48\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recipe of small radiographs, its two CTs, and 48 more such radiographs as a reference."""
    root = tmp_path_factory.mktemp("recipe")
    for number in range(2):
        scene.write_ct(root / f"ct{number}.nii.gz", seed=number)
    (root / "recipe.yaml").write_text(RECIPE)
    done = finished(start("dataset", root / "recipe.yaml", "-o", root / "real", "--set", "cases=24", "--set", "seed=2"))
    assert (done.code, done.err) == (0, "")
    return root


@pytest.fixture(scope="module")
def whole(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The dataset of the recipe, made by one process without a stop."""
    root = tmp_path_factory.mktemp("whole") / "out"
    result = finished(start("dataset", folder / "recipe.yaml", "-o", root))
    assert result == Result(0, f"10 samples in {root}\n", "")
    return root


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def gate(*, attempts: int = 5, policy: str = "samples: {artefacts: 0, outlier: 0.3}, scores: null, report: []") -> str:
    return f"gate={{reference: real, attempts: {attempts}, keep_rejected: true, policy: {{{policy}}}}}"


def test_what_is_made(whole: Path) -> None:
    table = rows(whole / "metadata.csv")
    assert [row["file_name"] for row in table] == [f"images/00/{number:08d}.png" for number in range(10)]
    assert [row["view"] for row in table] == ["PA", "LATERAL"] * 5
    assert [row["source"] for row in table[::2]] == ["ct:0", "ct:1", "ct:0", "ct:1", "ct:0"]
    content = json.loads((whole / "dataset.json").read_bytes())
    assert (content["synthetic"], content["root_seed"], content["n_samples"]) == (True, 1, 10)
    assert content["recipe"]["source"]["kind"] == "drr"
    assert "gate" not in content
    assert (whole / "report.html").is_file()


def test_two_workers_make_the_same(folder: Path, whole: Path, tmp_path: Path) -> None:
    result = finished(start("dataset", folder / "recipe.yaml", "-o", tmp_path / "out", "--workers", "2", "--json"))
    assert (result.code, result.err) == (0, "")
    told = json.loads(result.out)
    assert (told["output"], told["gate"], told["counts"]["samples"]) == (str(tmp_path / "out"), None, 10)
    assert tree(tmp_path / "out") == tree(whole)


def test_stopped_and_resumed(synth: Callable[..., Result], folder: Path, whole: Path, tmp_path: Path) -> None:
    root = tmp_path / "out"
    process = start("dataset", folder / "recipe.yaml", "-o", root)
    while not (root / "images/00/00000002.png").exists():
        assert process.poll() is None
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    assert finished(process).code == 130
    assert not (root / "dataset.json").exists()
    again = synth("dataset", folder / "recipe.yaml", "-o", root)
    assert (again.code, again.out) == (2, "")
    assert again.err.endswith("already holds a dataset; choose another folder or pass --resume\n")
    other = synth("dataset", folder / "recipe.yaml", "-o", root, "--resume", "--set", "source.energy_kev=70")
    assert other == Result(2, "", f"synth: {root}: cannot resume, made with other values of: source.energy_kev\n")
    assert synth("dataset", folder / "recipe.yaml", "-o", root, "--resume").code == 0
    assert tree(root) == tree(whole)


def test_a_gate_that_says_yes(synth: Callable[..., Result], folder: Path, tmp_path: Path) -> None:
    root = tmp_path / "out"
    result = synth("dataset", folder / "recipe.yaml", "-o", root, "--set", gate(), "--set", "cases=8")
    assert result.err == ""
    content = json.loads((root / "dataset.json").read_bytes())["gate"]
    words = f"the gate took {content['accepted_cases']} of 8 cases in {content['attempts']} attempts"
    kept, refused = rows(root / "metadata.csv"), rows(root / "rejected.csv")
    assert result.out == f"{len(kept)} samples in {root}; {words}, and the set is accepted\n"
    assert result.code == 0
    assert content["attempts"] > 8  # three in ten would be refused of real ones
    assert {row["gate"] for row in kept} <= {"pass", "undecided"}
    assert all(json.loads(row["verdicts"]) for row in kept)
    assert refused
    assert all("outlier" in row["checks"] for row in refused)
    assert all((root / row["file_name"]).is_file() for row in refused)


def test_a_gate_that_says_no(synth: Callable[..., Result], folder: Path, tmp_path: Path) -> None:
    policy = "samples: {artefacts: 0, outlier: 0}, scores: {precision: {min: 1.5}}, report: []"
    result = synth("dataset", folder / "recipe.yaml", "-o", tmp_path / "out", "--set", gate(policy=policy), "--json")
    assert result.code == 1
    told = json.loads(result.out)
    assert (told["gate"]["accepted"], told["gate"]["accepted_cases"], told["counts"]["samples"]) == (False, 5, 10)
    again = synth("dataset", folder / "recipe.yaml", "-o", tmp_path / "out", "--set", gate(policy=policy), "--resume")
    assert again.code == 1
    assert again.out.endswith("5 of 5 cases in 5 attempts, and the set is refused: see report.html\n")


def test_a_dry_run(synth: Callable[..., Result], folder: Path, tmp_path: Path) -> None:
    result = synth("dataset", folder / "recipe.yaml", "-o", tmp_path / "out", "--dry-run", "--set", "licence=MIT")
    assert (result.code, result.err) == (0, "")
    text, _, cost = result.out.partition("\n\n")
    resolved = yaml.safe_load(text)
    assert (resolved["seed"], resolved["cases"], resolved["licence"]) == (1, 5, "MIT")
    assert resolved["source"]["views"] == ["PA", "LATERAL"]
    assert cost.startswith("5 cases, 10 samples; ")
    assert " with 1 worker, and " in cost
    assert not (tmp_path / "out").exists()


def test_what_it_costs(synth: Callable[..., Result], folder: Path, whole: Path) -> None:
    result = synth("dataset", folder / "recipe.yaml", "--dry-run", "--json", "--workers", "2")
    told = json.loads(result.out)
    cost = told["cost"]
    assert told["recipe"] == json.loads((whole / "dataset.json").read_bytes())["recipe"]
    assert (cost["cases"], cost["samples"], cost["workers"], cost["tried"]) == (5, 10, 2, 3)
    assert cost["seconds"] == pytest.approx(cost["seconds_a_case"] * 2.5)
    made = sum(path.stat().st_size for path in whole.rglob("*") if path.is_file() and path.name != "report.html")
    assert cost["bytes"] == pytest.approx(made, rel=0.5)


def test_the_schema(synth: Callable[..., Result]) -> None:
    result = synth("dataset", "--schema")
    assert (result.code, result.err) == (0, "")
    assert "source" in json.loads(result.out)["properties"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "-o DIR is missing: where the dataset goes"),
        (["-o", "out", "--address", "here:1"], "--address: belongs to --engine ray"),
        (["-o", "out", "--set", "cases"], "--set cases: give key=value, or key.path=value"),
        (["-o", "out", "--set", "view=[pa]"], "{recipe}: unknown key 'view'; did you mean 'views'?"),
        (["-o", "out", "--set", "source.cts=[none.nii]"], "{folder}/none.nii: no such file or folder"),
        (["-o", "{folder}/recipe.yaml"], "{recipe}: is a file; choose a folder"),
        (["-o", "{folder}"], "{folder}: not empty and not a dataset; choose another folder"),
        (["-o", "out", "--set", "gate.reference=none"], "{recipe}: {folder}/none: no such file or folder"),
    ],
)
def test_wrong_commands(synth: Callable[..., Result], folder: Path, arguments: list[str], said: str) -> None:
    words = {"folder": folder, "recipe": folder / "recipe.yaml"}
    result = synth("dataset", folder / "recipe.yaml", *(one.format(**words) for one in arguments))
    assert result == Result(2, "", f"synth: {said.format(**words)}\n")


def test_no_recipe(synth: Callable[..., Result]) -> None:
    assert synth("dataset").err == "synth: no recipe given: name a YAML file, such as one of examples/\n"
