"""`synth train cxr`: a recipe in, a model out that samples."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import yaml

from synth.diffusion.cxr.pipeline import CxrPipeline
from tests.diffusion.training.sets import SIZE, write_set
from tests.end_to_end.command import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.end_to_end.command import Result

SOON = {"log_every": 1, "validate_every": 2, "sample_every": 2, "save_every": 2, "batch": 4}
RECIPE = {
    "data": "set",
    "size": SIZE,
    "rare": 5,
    "validation": 0.25,
    "threads": 1,
    "precision": "fp32",
    "seed": 3,
    "autoencoder": {"model": {"latent_channels": 4, "widths": [8, 16], "blocks": [1, 1]}, "steps": 3, **SOON},
    "denoiser": {
        "model": {"width": 16, "depth": 2, "heads": 2},
        "text": {"width": 16, "depth": 1, "heads": 2, "vocabulary": 300},
        "steps": 3,
        **SOON,
    },
    "masks": {"model": {"width": 16, "blocks": 1}, "steps": 3, **SOON},
    "control": {"depth": 1, "steps": 3, **SOON},
}


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    write_set(tmp_path / "set")
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(RECIPE))
    return path


def files(out: Path) -> dict[str, bytes]:
    return {str(path.relative_to(out)): path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()}


def test_from_a_recipe_to_radiographs_with_masks(synth: Callable[..., Result], recipe: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = synth("train", "cxr", recipe, "-o", out, "--json")
    assert result.code == 0, result.err
    told = json.loads(result.out.splitlines()[-1])
    assert told == {"output": str(out), "pipeline": str(out / "pipeline")}
    for stage in ("autoencoder", "denoiser", "masks", "control"):
        assert {path.name for path in (out / stage).iterdir()} >= {
            "checkpoints",
            "curves.svg",
            "log.csv",
            "model",
            "samples",
            "scores.json",
        }
    pipeline = CxrPipeline.from_pretrained(out / "pipeline", local_files_only=True).to(dtype=None)
    pipeline.set_progress_bar_config(disable=True)
    made = pipeline(["63 year old female. Small mass. PA view."], num_inference_steps=2)
    assert made.images.shape == (1, SIZE, SIZE)
    assert made.structures == ("heart", "finding:mass")[::-1]
    resolved = yaml.safe_load((out / "recipe.yaml").read_text())
    assert resolved["data"][0]["path"] == "set"
    assert resolved["denoiser"]["seed"] == 3
    told = [path for path in out.rglob("*") if path.suffix in (".json", ".yaml", ".csv", ".svg")]
    assert [path for path in told if str(tmp_path) in path.read_text(encoding="utf-8")] == []


def test_stages_one_by_one_and_resumed_give_the_same(
    synth: Callable[..., Result], recipe: Path, tmp_path: Path
) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    assert synth("train", "cxr", recipe, "-o", one).code == 0
    stopped = synth("train", "cxr", recipe, "-o", two, "--stage", "autoencoder", "--stop-after", "0")
    assert stopped.code == 130
    assert "--resume" in stopped.err
    for stage in ("autoencoder", "denoiser", "masks", "all"):
        result = synth("train", "cxr", recipe, "-o", two, "--stage", stage, "--resume")
        assert result.code == 0, result.err
    first, second = files(one), files(two)
    assert first.keys() - second.keys() == set()
    differ = [name for name in first if first[name] != second[name] and not name.endswith("state.json")]
    assert differ == []


def test_a_dry_run_tells_what_it_costs(synth: Callable[..., Result], recipe: Path) -> None:
    result = synth("train", "cxr", recipe, "--dry-run", "--set", "control=null", "--json")
    assert result.code == 0, result.err
    told = json.loads(result.out.splitlines()[-1])
    assert [cost["name"] for cost in told["cost"]] == ["autoencoder", "denoiser", "masks"]
    assert all(cost["parameters"] > 100 and cost["step_s"] > 0 for cost in told["cost"])
    assert told["recipe"]["control"] is None


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("denoiser.stepz=3", "did you mean 'steps'"),
        ("autoencoder.batch=three", "batch"),
        ("size=33", "size"),
        ("data=nowhere", "nowhere"),
        ("denoiser=null", "start_from"),
        ("autoencoder.accumulate=3", "accumulate 3 must divide batch 4"),
        ("precision=fp16", "needs a GPU"),
        ("start_from=nothing", "start_from"),
        ("structures=[liver]", "liver"),
    ],
)
def test_what_is_wrong_is_told_in_one_line(
    synth: Callable[..., Result], recipe: Path, tmp_path: Path, change: str, said: str
) -> None:
    result = synth("train", "cxr", recipe, "-o", tmp_path / "out", "--set", change)
    assert result.code == 2
    assert said in result.err
    assert "Traceback" not in result.err
    assert result.err.count("\n") == 1


def test_the_examples_are_recipes() -> None:
    from synth.diffusion.training.any_recipe import read_recipe

    recipes = (REPOSITORY / "examples" / "train").glob("*.yaml")
    paths = sorted(path for path in recipes if path.stem != "ct")  # that one has a recipe of its own kind
    assert len(paths) >= 3
    for path in paths:
        read_recipe(path)
