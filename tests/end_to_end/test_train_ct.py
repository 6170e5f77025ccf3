"""`synth train ct` and its stages: a recipe in, a model out that samples CTs with masks."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
import yaml

from synth.diffusion.ct.channels import MASKS
from synth.diffusion.ct.pipeline import CtPipeline
from tests.diffusion.training.ct.sets import AUTOENCODER, BASE, CONTROL, REFINER, SIZE, SPACING, write_set

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.end_to_end.command import Result

STAGES = ("autoencoder", "base", "refiner", "control")
RECIPE = {
    "data": "set",
    "size": SIZE,
    "spacing": SPACING,
    "validation": 0.34,
    "threads": 1,
    "precision": "fp32",
    "half": False,
    "sampling": {"steps": 2, "refine_steps": 1, "tile": 16},
    "autoencoder": AUTOENCODER.model_dump(mode="json", exclude={"seed"}),
    "base": BASE.model_dump(mode="json", exclude={"seed"}),
    "refiner": REFINER.model_dump(mode="json", exclude={"seed"}),
    "control": CONTROL.model_dump(mode="json", exclude={"seed"}),
}


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    write_set(tmp_path / "set")
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(RECIPE))
    return path


def files(out: Path) -> dict[str, bytes]:
    return {str(path.relative_to(out)): path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()}


def test_from_a_recipe_to_cts_with_masks_and_stage_by_stage_the_same(
    synth: Callable[..., Result], recipe: Path, tmp_path: Path
) -> None:
    out, two = tmp_path / "out", tmp_path / "two"
    result = synth("train", "ct", recipe, "-o", out, "--json")
    assert result.code == 0, result.err
    assert json.loads(result.out.splitlines()[-1]) == {"output": str(out), "pipeline": str(out / "pipeline")}
    for stage in STAGES:
        assert {"checkpoints", "curves.svg", "log.csv", "model", "samples", "scores.json"} <= {
            path.name for path in (out / stage).iterdir()
        }
    told = [path for path in out.rglob("*") if path.suffix in (".json", ".yaml", ".csv", ".svg")]
    assert [path for path in told if str(tmp_path) in path.read_text(encoding="utf-8")] == []

    pipeline = CtPipeline.from_pretrained(out / "pipeline", local_files_only=True)
    pipeline.set_progress_bar_config(disable=True)
    made = pipeline(["63 year old female. Small mass."], seeds=[1], size=(2 * SIZE,) * 3)
    assert made.hu.shape == (1, *[2 * SIZE] * 3)
    assert made.masks.shape == (1, len(MASKS), *[2 * SIZE] * 3)
    masks = np.zeros((1, len(MASKS), *[SIZE] * 3), np.bool_)
    assert pipeline([""], masks=masks).hu.shape == (1, *[SIZE] * 3)

    stopped = synth("train", "ct-vae", recipe, "-o", two, "--stop-after", "0")
    assert stopped.code == 130
    assert "--resume" in stopped.err
    for command in ("ct-vae", "ct-base", "ct-sr", "ct-control"):
        result = synth("train", command, recipe, "-o", two, "--resume")
        assert result.code == 0, result.err
    first, second = files(out), files(two)
    differ = [name for name in first if first[name] != second.get(name) and not name.endswith("state.json")]
    assert differ == []


def test_a_dry_run_tells_what_it_costs(synth: Callable[..., Result], recipe: Path) -> None:
    result = synth("train", "ct", recipe, "--dry-run", "--json")
    assert result.code == 0, result.err
    told = json.loads(result.out.splitlines()[-1])
    assert [cost["name"] for cost in told["cost"]] == list(STAGES)
    assert all(cost["parameters"] > 100 and cost["step_s"] > 0 for cost in told["cost"])


@pytest.mark.parametrize(
    ("command", "change", "said"),
    [
        ("ct", "base.stepz=3", "did you mean 'steps'"),
        ("ct", "size=20", "size"),
        ("ct", "data=nowhere", "nowhere"),
        ("ct", "finer=0", "finer"),
        ("ct", "autoencoder=null", "start_from"),
        ("ct", "start_from=nothing", "nothing"),
        ("ct-control", "control=null", "control"),
    ],
)
def test_what_is_wrong_is_told_in_one_line(
    synth: Callable[..., Result], recipe: Path, tmp_path: Path, command: str, change: str, said: str
) -> None:
    result = synth("train", command, recipe, "-o", tmp_path / "out", "--set", change)
    assert result.code == 2
    assert said in result.err
    assert "Traceback" not in result.err
    assert result.err.count("\n") == 1


def test_the_example_is_a_recipe() -> None:
    from synth.diffusion.training.ct.recipe import read_ct_recipe
    from tests.end_to_end.command import REPOSITORY

    recipe = read_ct_recipe(REPOSITORY / "examples" / "train" / "ct.yaml")
    assert recipe.size * recipe.spacing == pytest.approx(384)
