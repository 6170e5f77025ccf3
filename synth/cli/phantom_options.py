"""Options of the commands that draw phantoms, and what they mean."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from synth.core.errors import InputError

if TYPE_CHECKING:
    from synth.core.record import Finding
    from synth.dataset.patients.phantoms import Phantoms
    from synth.dataset.patients.structures import Masks

__all__ = [
    "Age",
    "Findings",
    "PopulationName",
    "Race",
    "Sex",
    "Voxel",
    "Workers",
    "phantoms",
    "read_findings",
    "refuse_without_phantoms",
]

Sex = Annotated[str | None, typer.Option("--sex", metavar="F|M", help="Phantoms: of one sex [as the population].")]
Age = Annotated[
    str | None, typer.Option("--age", metavar="YEARS|LOW-HIGH", help="Phantoms: 18 to 95 [as the population].")
]
Race = Annotated[
    str | None, typer.Option("--race", metavar="TEXT", help="Phantoms: for the record; no body differs by it.")
]
Findings = Annotated[
    str | None,
    typer.Option(
        "--findings",
        metavar="TEXT",
        help='In words, "moderate left pleural effusion, 2 cm nodule in the right upper lobe"; or none '
        "[phantoms: as the population].",
    ),
]
PopulationName = Annotated[
    str,
    typer.Option(
        "--population",
        metavar="NAME|CSV",
        help="Phantoms: default (a hospital's), healthy, or labels in CheXpert's, MIMIC-CXR's, NIH's or plain CSV.",
    ),
]
Voxel = Annotated[float, typer.Option("--voxel", metavar="MM", help="Phantoms: voxel edge, 0.5 to 5 mm.")]
Workers = Annotated[
    int, typer.Option("--workers", metavar="N", min=1, max=1024, help="Processes that share the patients.")
]


def phantoms(
    n: int,
    seed: int,
    *,
    sex: str | None,
    age: str | None,
    race: str | None,
    findings: str | None,
    population: str,
    voxel: float,
    masks: Masks = "all",
    on_gpu: bool = False,
) -> Phantoms:
    """The patients that the options ask for.

    Raises:
        InputError: A value that means nothing.
    """
    from synth.anatomy.population import Population
    from synth.dataset.patients.phantoms import Phantoms

    named = {"default": Population.default, "healthy": Population.healthy}
    source = named[population]() if population in named else Population.fit(Path(population))
    if sex is not None and sex.upper() not in ("F", "M"):
        raise InputError(f"--sex {sex}: use F or M")
    return Phantoms(
        n,
        seed,
        source,
        population if population in named else Path(population).stem,
        "" if population in named else hashlib.sha256(Path(population).read_bytes()).hexdigest(),
        sex=None if sex is None else sex.upper(),
        ages=None if age is None else _ages(age),
        race=race,
        findings=None if findings is None else read_findings(findings),
        spacing_mm=voxel,
        masks=masks,
        on_gpu=on_gpu,
    )


def refuse_without_phantoms(**given: object) -> None:
    """Refuses options that say who a patient is where patients are those of CTs.

    Raises:
        InputError: One is given.
    """
    for name, value in given.items():
        if value is not None:
            raise InputError(f"--{name}: says who a phantom is; give --phantom N, or leave it out")


def _ages(text: str) -> tuple[float, float]:
    low, _, high = text.partition("-")
    try:
        return float(low), float(high or low)
    except ValueError as error:
        raise InputError(f"--age {text}: give years such as 63, or a range such as 40-60") from error


def read_findings(text: str) -> tuple[Finding, ...]:
    """Findings from words; none for "none".

    Raises:
        InputError: No finding is read.
    """
    from synth.anatomy.reports import parse
    from synth.anatomy.vocabulary import KINDS

    if text.strip().lower() in ("none", ""):
        return ()
    found = tuple(finding for finding in parse(text).findings if finding.name != "No Finding")
    if not found:
        raise InputError(f"--findings {text}: no finding was read; use none, or words such as {', '.join(KINDS)}")
    return found
