"""`synth report`: a page to look at a dataset."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from synth.core.errors import InputError

__all__ = ["command"]


def command(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A finished dataset.")],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="The page [DIR/report.html].")
    ] = None,
    scores: Annotated[
        Path | None,
        typer.Option(metavar="JSON", help="What synth gate or synth score wrote, instead of DIR/gate.json."),
    ] = None,
) -> None:
    """Make a page to look at a dataset: pictures with masks, subgroups, scores, what the gate refused and why."""
    from synth.report.page import write_page

    if output is not None and output.is_dir():
        raise InputError(f"{output}: is a folder; name a file")
    path = write_page(folder, output, scores=scores)
    print(f"{path}: {path.stat().st_size / 1000:,.0f} kB")
