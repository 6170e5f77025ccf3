"""`synth plan`: which samples to make so that a set becomes balanced."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from synth.core.errors import InputError

if TYPE_CHECKING:
    from synth.dataset.plan.allocation import InfeasibleError
    from synth.dataset.plan.reference import Reference
    from synth.dataset.plan.settings import PlanSettings

__all__ = ["command"]


class _Preset(StrEnum):
    AUTO, CHEXPERT, CHEXPERT_PLUS, MIMIC = "auto", "chexpert", "chexpert-plus", "mimic"
    NIH, PADCHEST, PLAIN = "nih", "padchest", "plain"


class _Unknown(StrEnum):
    KEEP, DROP, OWN = "keep", "drop", "own"


class _Uncertain(StrEnum):
    IGNORE, POSITIVE, DROP = "ignore", "positive", "drop"


class _View(StrEnum):
    PA, AP, LATERAL = "PA", "AP", "LATERAL"


def command(
    reference: Annotated[
        list[Path], typer.Argument(metavar="REFERENCE...", help="Label files of what is there; CSV, gzipped or not.")
    ],
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="PLAN.csv", help="The plan; .json and .svg beside it.")
    ],
    balance: Annotated[str, typer.Option(metavar="COLUMNS", help="Of sex, age_group, race, view, finding.")],
    total: Annotated[
        int | None, typer.Option(metavar="N", help="Samples to make [as few as reach the target exactly].")
    ] = None,
    target: Annotated[
        str,
        typer.Option(metavar="uniform|reference|TABLE.csv", help="Shares of the cells; a table has share or count."),
    ] = "uniform",
    fill: Annotated[
        bool, typer.Option("--fill/--alone", help="Count what is there, or balance what is made by itself.")
    ] = True,
    low: Annotated[
        int | None, typer.Option("--min", metavar="N", help="Least of a wanted cell in the end [1 if uniform, else 0].")
    ] = None,
    high: Annotated[int | None, typer.Option("--max", metavar="N", help="Most of a wanted cell in the end.")] = None,
    preset: Annotated[_Preset, typer.Option(help="Whose files they are [by their columns].")] = _Preset.AUTO,
    unknown: Annotated[
        _Unknown, typer.Option(help="Images of unknown values: keep unfilled, drop, or a value of its own.")
    ] = _Unknown.KEEP,
    uncertain: Annotated[_Uncertain, typer.Option(help="What a label of -1 means.")] = _Uncertain.IGNORE,
    age_groups: Annotated[
        str, typer.Option(metavar="EDGES|decades", help="First ages of the groups; the younger are left out.")
    ] = "18,40,60,80",
    view: Annotated[_View | None, typer.Option(help="Of all samples; images of other views do not count.")] = None,
    smoothing: Annotated[
        float, typer.Option(metavar="ROWS", help="How readily a cell of few rows borrows from wider ones.")
    ] = 10.0,
    seed: Annotated[int, typer.Option(help="Of all that is drawn.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the counts as JSON.")] = False,
) -> None:
    """Plan which samples to make, from label files of what is there: a row a sample, counts and a picture."""
    from synth.dataset.plan.allocation import InfeasibleError
    from synth.dataset.plan.files import write_plan
    from synth.dataset.plan.groups import AgeGroups
    from synth.dataset.plan.planning import make_plan
    from synth.dataset.plan.reference import read_reference
    from synth.dataset.plan.settings import PlanSettings
    from synth.dataset.plan.summary import summary, text_summary

    _check_place(output, [*reference, Path(target)])
    settings = PlanSettings(
        balance=tuple(part.strip() for part in balance.split(",") if part.strip()),
        total=total,
        target=target,
        fill=fill,
        low=low,
        high=high,
        unknown=unknown.value,
        groups=AgeGroups.read(age_groups),
        view=None if view is None else view.value,
        smoothing=smoothing,
        seed=seed,
    )
    images = read_reference(reference, preset.value, uncertain=uncertain.value)
    try:
        plan = make_plan(images, settings)
    except InfeasibleError as error:
        _explain(error, images, settings, as_json=as_json)
        raise
    write_plan(plan, output)
    told = summary(plan)
    print(json.dumps(told, indent=1, ensure_ascii=False) if as_json else text_summary(told).rstrip("\n"))


def _explain(error: InfeasibleError, images: Reference, settings: PlanSettings, *, as_json: bool) -> None:
    """Prints every cell that stands in the way, with its reason."""
    from synth.dataset.plan.table import select, tabulate
    from synth.metrics.pages.text_table import text_table

    columns, groups, unknown = settings.balance, settings.groups, settings.unknown
    kept = select(images, columns, groups=groups, view=settings.view, unknown=unknown)
    table = tabulate(kept, columns, groups=groups, unknown=unknown)
    cells = table.cells
    if as_json:
        reasons = [
            {"values": dict(zip(settings.balance, cells[k], strict=True)), "before": int(table.before[k]), "why": why}
            for k, why in error.reasons.items()
        ]
        print(json.dumps({"error": str(error), "cells": reasons}, indent=1, ensure_ascii=False))
        return
    rows = [[*cells[k], str(table.before[k]), why] for k, why in error.reasons.items()]
    print(text_table([*settings.balance, "before", "why"], rows))


def _check_place(output: Path, inputs: list[Path]) -> None:
    """Refuses a name for the plan that is a folder, is not CSV, or would overwrite an input.

    Raises:
        InputError: It is.
    """
    if output.is_dir():
        raise InputError(f"{output}: is a folder; name a file")
    if output.suffix != ".csv":
        raise InputError(f"{output}: a plan's name ends in .csv")
    for path in (output, output.with_suffix(".json"), output.with_suffix(".svg")):
        if path.resolve() in [given.resolve() for given in inputs]:
            raise InputError(f"{path}: is what is planned from; choose another name for the plan")
