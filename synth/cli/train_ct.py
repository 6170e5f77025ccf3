"""`synth train ct`, `ct-vae`, `ct-base`, `ct-sr` and `ct-control`: a recipe → a model of CTs."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from synth.core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable

    from synth.diffusion.training.ct.recipe import CtRecipe

__all__ = ["register"]

_COMMANDS = {
    "ct": ("", "Train text to CT with masks, all stages that the recipe has."),
    "ct-vae": ("autoencoder", "Train the autoencoder of CTs with masks."),
    "ct-base": ("base", "Train the whole field of view from text; the autoencoder first, unless it is there."),
    "ct-sr": ("refiner", "Train the network that makes grids twice as fine; the autoencoder first."),
    "ct-control": ("control", "Train the branch that follows masks; autoencoder and base first."),
}


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    for name, (stage, says) in _COMMANDS.items():
        app.command(name, help=says)(_command(stage))


def _command(stage: str) -> Callable[..., None]:
    def command(
        recipe: Annotated[Path, typer.Argument(metavar="RECIPE", help="YAML [docs/training.md].")],
        output: Annotated[Path | None, typer.Option("-o", "--output", metavar="DIR", help="Folder of the run.")] = None,
        resume: Annotated[bool, typer.Option("--resume", help="Go on with an interrupted run.")] = False,
        dry_run: Annotated[
            bool, typer.Option("--dry-run", help="Print the recipe with all defaults, and what it will cost.")
        ] = False,
        changes: Annotated[
            list[str] | None,
            typer.Option("--set", metavar="KEY=VALUE", help="Instead of what the recipe says: size=32, base.lr=1e-4"),
        ] = None,
        stop_after: Annotated[
            float | None, typer.Option(metavar="MINUTES", min=0, help="Stop then with a checkpoint; see --resume.")
        ] = None,
        as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
    ) -> None:
        from synth.diffusion.training.ct.recipe import CT_STAGES, read_ct_recipe
        from synth.diffusion.training.ct.running import train_ct_recipe

        asked = read_ct_recipe(recipe, changes or ())
        if dry_run:
            _tell_cost(asked, as_json=as_json)
            return
        if output is None:
            raise InputError("-o DIR is missing: where the run goes")
        stages = (stage,) if stage else CT_STAGES
        made = train_ct_recipe(asked, output, stages=stages, resume=resume, stop_after=stop_after, tell=_tell)
        if as_json:
            print(json.dumps({"output": str(output), "pipeline": None if made is None else str(made)}))
        else:
            print(f"trained in {output}" + ("" if made is None else f"; the model is {made}"))

    return command


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _tell_cost(recipe: CtRecipe, *, as_json: bool) -> None:
    from synth.cli.train import print_costs
    from synth.diffusion.training.ct.rehearsal import rehearse_ct

    costs = list(rehearse_ct(recipe))
    if as_json:
        print(json.dumps({"recipe": recipe.model_dump(mode="json"), "cost": [asdict(cost) for cost in costs]}))
        return
    print(recipe.as_yaml())
    print_costs(costs)
