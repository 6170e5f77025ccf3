"""`synth phantom`: CT phantoms with label maps, records and reports."""

from __future__ import annotations

import json
import os
import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from synth.cli import phantom_options as options
from synth.cli.progress import progress
from synth.core.errors import InputError
from synth.dataset.engines.threads import ONE_BLAS_THREAD

__all__ = ["command"]

_SHAPE = re.compile(r"\d{1,4}x\d{1,4}x\d{1,4}")


class _Phase(StrEnum):
    NONE, ARTERIAL, PORTAL, PULMONARY = "none", "arterial", "portal", "pulmonary"


class _Masks(StrEnum):
    ALL, NONE = "all", "none"


class _Kernel(StrEnum):
    IDEAL, SOFT, STANDARD, SHARP = "ideal", "soft", "standard", "sharp"


def command(
    output: Annotated[Path, typer.Option("-o", "--output", metavar="DIR", help="Folder of the dataset.")],
    n: Annotated[int, typer.Option("-n", "--number", metavar="N", help="Phantoms.")] = 1,
    sex: options.Sex = None,
    age: options.Age = None,
    race: options.Race = None,
    findings: options.Findings = None,
    population: options.PopulationName = "default",
    voxel: options.Voxel = 1.5,
    size: Annotated[
        str | None, typer.Option(metavar="XxYxZ", help="Voxels, about the middle of the chest [all of the body].")
    ] = None,
    supine: Annotated[bool, typer.Option("--supine/--standing", help="Lying with arms up, or standing.")] = True,
    phase: Annotated[_Phase, typer.Option(help="Of the contrast medium.")] = _Phase.NONE,
    kernel: Annotated[
        _Kernel, typer.Option(help="Blur and noise of a scanner with this kernel; ideal has neither.")
    ] = _Kernel.IDEAL,
    mas: Annotated[float, typer.Option(metavar="MAS", help="Dose of that scanner.")] = 200.0,
    seed: Annotated[int, typer.Option(help="Of all that is drawn.")] = 0,
    masks: Annotated[_Masks, typer.Option(help="Label maps to write.")] = _Masks.ALL,
    workers: options.Workers = 1,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with an interrupted run.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Draw CT phantoms of a population, with label maps of all organs and findings, a record and a report."""
    os.environ.update(ONE_BLAS_THREAD)  # before numpy is imported
    from synth.anatomy.scanner import Scanner
    from synth.dataset.phantom_scans import PhantomJob
    from synth.drr.ct_dose import Protocol

    people = options.phantoms(
        n, seed, sex=sex, age=age, race=race, findings=findings, population=population, voxel=voxel, masks=masks.value
    )
    scanner = None if kernel is _Kernel.IDEAL else Scanner(Protocol(mas=mas, kernel=kernel.value))
    job = PhantomJob(people, supine=supine, phase=phase.value, shape=_shape(size), scanner=scanner)
    with progress(n) as report:
        for _ in job.run(output, resume=resume, workers=workers):
            report.advance()
    result = {"output": str(output), "phantoms": n}
    print(json.dumps(result) if as_json else f"{n} phantoms in {output}")


def _shape(text: str | None) -> tuple[int, int, int] | None:
    if text is None:
        return None
    if not _SHAPE.fullmatch(text.lower()) or "0" in text.lower().split("x"):
        raise InputError(f"--size {text}: give voxels along x, y and z, such as 256x256x192")
    nx, ny, nz = map(int, text.lower().split("x"))
    return nz, ny, nx
