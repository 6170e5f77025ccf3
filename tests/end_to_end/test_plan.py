"""`synth plan` as a user meets it."""

from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING

import pytest

from synth.dataset.plan import read_plan
from tests.dataset.plan import label_files
from tests.end_to_end.command import Result, tree

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def table(tmp_path: Path) -> Path:
    rows = [["F", "70", "Edema|Effusion", "PA"]] * 6 + [["M", "25", "none", "AP"]] * 10 + [["M", "50", "", "AP"]] * 2
    return label_files.write(tmp_path / "labels.csv", ["sex", "age", "finding", "view"], rows)


def test_a_plan_is_made(synth: Callable[..., Result], table: Path) -> None:
    arguments = ("plan", table, "--balance", "sex,age_group,finding", "--total", "100", "--seed", "3")
    result = synth(*arguments, "-o", table.parent / "a" / "plan.csv")
    assert (result.code, result.err) == (0, "")
    assert result.out.startswith("100 samples to make, uniform over sex, age_group, finding, counting the images there")
    assert "\nsex  before  made  after\nF         6" in result.out
    requests = read_plan(table.parent / "a" / "plan.csv")
    assert [request.number for request in requests] == list(range(100))
    again = synth(*arguments, "-o", table.parent / "b" / "plan.csv", "--json")
    assert tree(table.parent / "a") == tree(table.parent / "b")
    assert set(tree(table.parent / "a")) == {"plan.csv", "plan.json", "plan.svg"}
    assert json.loads(again.out) == json.loads((table.parent / "a" / "plan.json").read_text())


def test_real_metadata(synth: Callable[..., Result], shared_data: Path, tmp_path: Path) -> None:
    metadata = shared_data / "cxr" / "metadata.csv"
    result = synth("plan", metadata, "-o", tmp_path / "p.csv", "--balance", "sex,finding", "--view", "PA", "--json")
    told = json.loads(result.out)
    after = [cell["after"] for cell in told["cells"] if not {"unknown"} & set(cell["values"].values())]
    assert len(set(after)) == 1
    rows = list(csv.DictReader((tmp_path / "p.csv").read_text().splitlines()))
    assert len(rows) == told["samples"]
    assert {row["view"] for row in rows} == {"PA"}


def test_every_preset_by_name(synth: Callable[..., Result], tmp_path: Path) -> None:
    for name in ("chexpert", "chexpert_plus", "mimic", "nih", "padchest"):
        folder = tmp_path / name
        folder.mkdir()
        preset = name.replace("_", "-")
        files = getattr(label_files, name)(folder)
        options = ("--balance", "sex,finding", "--total", "40", "--preset", preset, "--uncertain", "positive")
        result = synth("plan", *files, "-o", folder / "out.csv", *options, "--json")
        assert result.code == 0, result.err
        assert json.loads(result.out)["reference"]["layout"] == preset


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["{tmp}/none.csv", "--balance", "sex", "--total", "5"], "none.csv: no such file"),
        (["{table}", "--balance", "hair", "--total", "5"], "unknown column 'hair'"),
        (["{table}", "--balance", "race", "--total", "5"], "says nothing of race"),
        (
            ["{table}", "--balance", "sex", "--total", "5", "--preset", "nih"],
            "no column Finding Labels, which layout nih has",
        ),
        (["{table}", "--balance", "sex", "--total", "5", "--preset", "brixia"], "'brixia' is not one of"),
        (["{table}", "{table}", "--balance", "sex", "--total", "5"], "is given twice"),
        (["{table}", "--balance", "sex", "--total", "5", "--age-groups", "x"], "--age-groups x: give rising"),
        (["{table}", "--balance", "sex", "--alone"], "--total: say how many"),
        (["{table}", "--balance", "sex", "--target", "{tmp}/t.csv"], "t.csv: no such file; use uniform"),
        (["{table}", "--total", "5"], "Missing option '--balance'"),
    ],
)
def test_bad_input_is_one_line(
    synth: Callable[..., Result], table: Path, tmp_path: Path, arguments: list[str], said: str
) -> None:
    before = tree(tmp_path)
    result = synth("plan", "-o", tmp_path / "p.csv", *(each.format(tmp=tmp_path, table=table) for each in arguments))
    assert (result.code, result.out) == (2, "")
    assert result.err.count("\n") == 1
    assert said in result.err
    assert tree(tmp_path) == before


@pytest.mark.parametrize(
    ("output", "said"),
    [
        ("plan.txt", "a plan's name ends in .csv"),
        (".", "is a folder; name a file"),
        ("labels.csv", "is what is planned from"),
    ],
)
def test_bad_outputs(synth: Callable[..., Result], table: Path, output: str, said: str) -> None:
    result = synth("plan", table, "-o", table.parent / output, "--balance", "sex", "--total", "5")
    assert (result.code, result.err.count("\n")) == (2, 1)
    assert said in result.err


def test_what_is_infeasible_is_explained_cell_by_cell(synth: Callable[..., Result], table: Path) -> None:
    arguments = ("plan", table, "-o", table.parent / "p.csv", "--balance", "sex,finding", "--total", "9", "--min", "5")
    result = synth(*arguments)
    assert (result.code, result.err.count("\n")) == (2, 1)
    assert "--total 9 is too small" in result.err
    lines = result.out.splitlines()
    assert lines[0].split() == ["sex", "finding", "before", "why"]
    assert any(line.split() == ["F", "No", "Finding", "0", "lacks", "5"] for line in lines)
    told = json.loads(synth(*arguments, "--json").out)
    assert {"values": {"sex": "F", "finding": "No Finding"}, "before": 0, "why": "lacks 5"} in told["cells"]
    assert not (table.parent / "p.csv").exists()
