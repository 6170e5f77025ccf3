"""`synth train`: a recipe → a model."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from synth.cli import train_ct
from synth.core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from synth.diffusion.training.any_recipe import StableRecipe
    from synth.diffusion.training.recipe import Recipe
    from synth.diffusion.training.rehearsal import StageCost

__all__ = ["app", "cxr", "print_costs"]

app = typer.Typer(help="Train a generative model.", no_args_is_help=True)


@app.callback()
def _train() -> None:
    """Train a generative model."""


class _Stage(StrEnum):
    AUTOENCODER, DENOISER, MASKS, CONTROL, ALL = "autoencoder", "denoiser", "masks", "control", "all"


@app.command("cxr")
def cxr(
    recipe: Annotated[Path, typer.Argument(metavar="RECIPE", help="YAML [docs/training.md].")],
    output: Annotated[Path | None, typer.Option("-o", "--output", metavar="DIR", help="Folder of the run.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with an interrupted run.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the recipe with all defaults, and what it will cost.")
    ] = False,
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Instead of what the recipe says: size=64, denoiser.lr=1e-4"),
    ] = None,
    stage: Annotated[_Stage, typer.Option(help="One stage alone; those before it are trained.")] = _Stage.ALL,
    stop_after: Annotated[
        float | None, typer.Option(metavar="MINUTES", min=0, help="Stop then with a checkpoint; see --resume.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Train text to chest X-ray: our own model in stages, or a Stable Diffusion pipeline on your data."""
    from synth.diffusion.training.any_recipe import StableRecipe, read_recipe, train_stable_recipe
    from synth.diffusion.training.recipe import STAGES
    from synth.diffusion.training.running import train_recipe

    asked = read_recipe(recipe, changes or ())
    if dry_run:
        _tell_cost(asked, as_json=as_json)
        return
    if output is None:
        raise InputError("-o DIR is missing: where the run goes")
    if isinstance(asked, StableRecipe):
        if stage is not _Stage.ALL:
            raise InputError(f"--stage {stage.value}: a Stable Diffusion pipeline is trained in one")
        made: Path | None = train_stable_recipe(asked, output, resume=resume, stop_after=stop_after, tell=_tell)
    else:
        stages = STAGES if stage is _Stage.ALL else (stage.value,)
        made = train_recipe(asked, output, stages=stages, resume=resume, stop_after=stop_after, tell=_tell)
    if as_json:
        print(json.dumps({"output": str(output), "pipeline": None if made is None else str(made)}))
    else:
        print(f"trained in {output}" + ("" if made is None else f"; the model is {made}"))


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _tell_cost(recipe: Recipe | StableRecipe, *, as_json: bool) -> None:
    from synth.diffusion.training.any_recipe import StableRecipe
    from synth.diffusion.training.rehearsal import rehearse

    costs = [] if isinstance(recipe, StableRecipe) else list(rehearse(recipe))
    if as_json:
        print(json.dumps({"recipe": recipe.model_dump(mode="json"), "cost": [asdict(cost) for cost in costs]}))
        return
    print(recipe.as_yaml())
    print_costs(costs)


def print_costs(costs: Iterable[StageCost]) -> None:
    """A line a stage."""
    for cost in costs:
        told: dict[str, Any] = asdict(cost)
        print(
            "{name}: {parameters:,} parameters; {state:.0f} MB of weights and their state, {peak:.0f} MB held at most; "
            "{step_s:.3g} s a step, {images_a_second:.3g} images a second; about {minutes:.3g} minutes".format(
                **told, state=cost.state_bytes / 1e6, peak=cost.peak_bytes / 1e6
            )
        )


train_ct.register(app)
