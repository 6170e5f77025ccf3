"""`synth dataset`: a recipe → a dataset."""

from __future__ import annotations

import json
import os
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
import yaml

from synth.cli.progress import duration, progress
from synth.core.errors import InputError
from synth.dataset.engines.threads import ONE_BLAS_THREAD

if TYPE_CHECKING:
    from synth.dataset.engines.engine import Engine
    from synth.dataset.recipe.cost import Cost
    from synth.dataset.recipe.schema import Recipe

__all__ = ["command"]


class _Engine(StrEnum):
    LOCAL, RAY = "local", "ray"


def command(
    recipe: Annotated[Path | None, typer.Argument(metavar="RECIPE", help="YAML [docs/dataset.md].")] = None,
    output: Annotated[Path | None, typer.Option("-o", "--output", metavar="DIR", help="Folder of the dataset.")] = None,
    engine: Annotated[_Engine, typer.Option(help="Processes of this machine, or a Ray cluster.")] = _Engine.LOCAL,
    address: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="Of a Ray cluster [one of this machine's own].")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(metavar="N", min=1, max=1024, help="Processes [1; with Ray what the cluster has].")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with an interrupted run.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the recipe with all defaults, and what it will cost.")
    ] = False,
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Instead of what the recipe says: cases=10, source.poses=2, …"),
    ] = None,
    schema: Annotated[bool, typer.Option("--schema", help="Print the JSON schema of recipes, for editors.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> int:
    """Make the dataset that a recipe describes: gated, in parallel, resumable. Exit code 1: the gate refused it."""
    os.environ.update(ONE_BLAS_THREAD)  # before numpy is imported
    from synth.dataset.recipe.schema import Recipe

    if schema:
        print(json.dumps(Recipe.model_json_schema(), indent=2))
        return 0
    if recipe is None:
        raise InputError("no recipe given: name a YAML file, such as one of examples/")
    asked = Recipe.read(recipe, changes or ())
    if dry_run:
        _tell_cost(asked, workers or 1, as_json=as_json)
        return 0
    if output is None:
        raise InputError("-o DIR is missing: where the dataset goes")
    return _make(asked, output, _engine(engine, address, workers), resume=resume, as_json=as_json)


def _engine(kind: _Engine, address: str | None, workers: int | None) -> Engine:
    if kind is _Engine.RAY:
        from synth.dataset.engines.ray import RayEngine

        return RayEngine(address, workers)
    if address is not None:
        raise InputError("--address: belongs to --engine ray")
    from synth.dataset.engines.local import LocalEngine

    return LocalEngine(workers or 1)


def _make(recipe: Recipe, output: Path, engine: Engine, *, resume: bool, as_json: bool) -> int:
    job = recipe.job()
    each = job.source.each
    with progress(len(job.open(output, resume=resume).pending())) as report:
        for written in job.run(output, engine=engine, resume=resume, warn=report.warn):
            accepted = written.accepted and written.index % each == 0 and job.gate is not None
            report.advance(accepted=int(accepted), refused=written.refused)
    return _tell_result(output, as_json=as_json)


def _tell_result(output: Path, *, as_json: bool) -> int:
    """Prints what is in the dataset; the exit code."""
    content = json.loads((output / "dataset.json").read_bytes())
    gate: dict[str, Any] | None = content.get("gate")
    if as_json:
        print(json.dumps({"output": str(output), "counts": content["counts"], "gate": gate}))
    else:
        what = f"{content['counts']['samples']} samples in {output}"
        print(what if gate is None else f"{what}; {_in_words(gate)}")
    return 0 if gate is None or gate["accepted"] else 1


def _in_words(gate: dict[str, Any]) -> str:
    return (
        f"the gate took {gate['accepted_cases']} of {gate['cases']} cases in {gate['attempts']} attempts, "
        f"and the set is {'accepted' if gate['accepted'] else 'refused: see report.html'}"
    )


def _tell_cost(recipe: Recipe, workers: int, *, as_json: bool) -> None:
    from synth.dataset.recipe.cost import estimate

    job = recipe.job()
    cost = estimate(job, workers)
    if as_json:
        told = {**vars(cost), "seconds": cost.seconds, "bytes": cost.bytes}
        print(json.dumps({"recipe": job.recipe, "cost": told}))
        return
    print(yaml.safe_dump(json.loads(json.dumps(job.recipe)), sort_keys=False, allow_unicode=True), end="")
    print(_cost_in_words(cost, gated=job.gate is not None))


def _cost_in_words(cost: Cost, *, gated: bool) -> str:
    seconds = f"{cost.seconds_a_case:.2g}" if cost.seconds_a_case < 10 else f"{cost.seconds_a_case:.0f}"
    gate = "; the gate's own work, and cases that it has made again, come on top" if gated else ""
    return (
        f"\n{cost.cases} cases, {cost.samples} samples; {seconds} s and {_size(cost.bytes_a_case)} a case (of "
        f"{cost.tried} tried): about {duration(cost.seconds)} with {cost.workers} worker"
        f"{'' if cost.workers == 1 else 's'}, and {_size(cost.bytes)} on disk{gate}"
    )


def _size(n_bytes: float) -> str:
    for unit in ("bytes", "kB", "MB", "GB"):
        if n_bytes < 1000:
            return f"{n_bytes:.3g} {unit}"
        n_bytes /= 1000
    return f"{n_bytes:.3g} TB"
