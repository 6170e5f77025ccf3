"""`synth score`: how generated images compare with real ones."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from synth.cli.progress import progress
from synth.core.errors import InputError

__all__ = ["command"]


class _OnError(StrEnum):
    """What to do about a file that cannot be read."""

    STOP, SKIP = "stop", "skip"


_Extractor = Annotated[
    str,
    typer.Option(metavar="NAME", help="radiomics, inception, raddino, radimagenet, biomedclip, or a model's folder."),
]
_Masks = Annotated[
    str | None, typer.Option(metavar="WHERE", help="Of both sets: own (those that lie with the images) or a column.")
]
_RealMasks = Annotated[
    str | None, typer.Option(metavar="WHERE", help="Of the real set: a folder, annotations.json, own or a column.")
]
_FakeMasks = Annotated[str | None, typer.Option(metavar="WHERE", help="Of the other set.")]
_SkipOption = Annotated[_OnError, typer.Option(help="What to do about files that cannot be read.")]
_Weights = Annotated[Path | None, typer.Option(metavar="PATH", help="Where the extractor's model lies.")]
_Size = Annotated[str | None, typer.Option("--resize", metavar="HxW", help="Bring 2D images to one size.")]
_WindowText = Annotated[
    str, typer.Option("--window", metavar="HOW", help="16-bit images at 8 bits by full, minmax or LOW,HIGH.")
]


def command(
    real: Annotated[Path, typer.Argument(metavar="REAL", help="Reference: folder, metadata.csv, dataset or volumes.")],
    fake: Annotated[Path, typer.Argument(metavar="FAKE", help="Images to judge, of any of these kinds.")],
    output: Annotated[Path | None, typer.Option("-o", "--output", metavar="FILE", help="Scores as JSON.")] = None,
    page: Annotated[Path | None, typer.Option("--html", metavar="FILE", help="Scores as a page with plots.")] = None,
    metrics: Annotated[
        str | None,
        typer.Option(metavar="LIST", help="frd,fid,fd,fd-inf,kid,cmmd,prdc,ms-ssim,vendi [those without a download]."),
    ] = None,
    by: Annotated[
        str | None, typer.Option(metavar="COLUMNS", help="Subgroups, such as sex,age_group or sex+age_group.")
    ] = None,
    extractor: _Extractor = "radiomics",
    weights: _Weights = None,
    masks: _Masks = None,
    real_masks: _RealMasks = None,
    fake_masks: _FakeMasks = None,
    resize: _Size = None,
    window: _WindowText = "full",
    on_error: _SkipOption = _OnError.STOP,
    seed: Annotated[int, typer.Option(help="Of permutations and splits.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the scores as JSON.")] = False,
) -> None:
    """Score generated images against real ones, with intervals, floors and p-values."""
    from synth.core.files import write_bytes
    from synth.metrics.scoring.inputs import open_pair
    from synth.metrics.scoring.metrics import DEFAULT, metric_names, passes
    from synth.metrics.scoring.scores import score

    for path in (output, page):
        _check_report(path, (real, fake))
    wanted = metric_names(DEFAULT if metrics is None else metrics)
    sets = open_pair(
        real, fake, real_masks or masks, fake_masks or masks, _size(resize), "skip" if on_error == "skip" else "raise"
    )
    with progress(passes(wanted) * sum(map(len, sets))) as report:
        card = score(
            *sets,
            None if metrics is None else wanted,
            by=by,
            extractor=extractor,
            weights=weights,
            window=_window(window),
            seed=seed,
            progress=report.advance,
        )
        for line in card.all_warnings:
            report.warn(line)
    if output is not None:
        write_bytes(output, card.to_json().encode())
    if page is not None:
        write_bytes(page, card.to_html().encode())
    print(card.to_json() if as_json else card.table(), end="")


def _check_report(path: Path | None, inputs: tuple[Path, ...]) -> None:
    """Refuses a place for a report that is a folder, or that lies among the images.

    Raises:
        InputError: It is.
    """
    if path is None:
        return
    if path.is_dir():
        raise InputError(f"{path}: is a folder; name a file")
    for given in inputs:
        if path.resolve() == given.resolve():
            raise InputError(f"{path}: is what is scored; choose another place for the report")


def _size(text: str | None) -> tuple[int, int] | None:
    """(h, w) of "256x256" or "256".

    Raises:
        InputError: Anything else.
    """
    if text is None:
        return None
    parts = text.lower().split("x")
    if len(parts) > 2 or not all(part.isdigit() and 0 < int(part) <= 16384 for part in parts):
        raise InputError(f"--resize {text}: give height and width in pixels, such as 256x256")
    return int(parts[0]), int(parts[-1])


def _window(text: str) -> Any:
    """The window of a text: full, minmax, or (low, high) of "0,4095".

    Raises:
        InputError: Anything else.
    """
    if text in ("full", "minmax"):
        return text
    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError:
        raise InputError(f"--window {text}: give full, minmax or two numbers such as 0,4095") from None
    if not low < high:
        raise InputError(f"--window {text}: the first number must be the smaller")
    return low, high
