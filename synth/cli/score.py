"""`synth score`: how generated images compare with real ones."""

from __future__ import annotations

import json
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from synth.cli.progress import progress
from synth.core.errors import InputError

if TYPE_CHECKING:
    from synth.metrics.images.sets import ImageSet
    from synth.metrics.scoring.card import Scorecard

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
_Reader = Annotated[
    str | None, typer.Option(metavar="NAME", help="Read what the table of FAKE says: phantoms, or a reader's folder.")
]
_SkipOption = Annotated[_OnError, typer.Option(help="What to do about files that cannot be read.")]
_Weights = Annotated[Path | None, typer.Option(metavar="PATH", help="Where the extractor's model lies.")]
_Size = Annotated[str | None, typer.Option("--resize", metavar="HxW", help="Bring 2D images to one size.")]
_WindowText = Annotated[
    str, typer.Option("--window", metavar="HOW", help="16-bit images at 8 bits by full, minmax or LOW,HIGH.")
]
_Planes = Annotated[
    str | None, typer.Option(metavar="LIST", help="Score slices of CTs: axial,coronal,sagittal, or all three by all.")
]
_Slices = Annotated[int, typer.Option(metavar="N", help="Of every CT in each plane.")]
_Pixel = Annotated[float, typer.Option(metavar="MM", help="Pixel of slices, which cover 192 of them.")]


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
    reader: _Reader = None,
    resize: _Size = None,
    window: _WindowText = "full",
    planes: _Planes = None,
    slices: _Slices = 16,
    slice_pixel: _Pixel = 2.0,
    on_error: _SkipOption = _OnError.STOP,
    seed: Annotated[int, typer.Option(help="Of permutations and splits.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the scores as JSON.")] = False,
) -> None:
    """Score generated images against real ones, with intervals, floors and p-values."""
    from synth.core.files import write_bytes
    from synth.metrics.readers.agreement import agreement_of
    from synth.metrics.readers.phantoms import find_reader
    from synth.metrics.scoring.inputs import open_pair
    from synth.metrics.scoring.metrics import DEFAULT, metric_names, passes
    from synth.metrics.scoring.scores import score

    for path in (output, page):
        _check_report(path, (real, fake))
    reads = None if reader is None else find_reader(reader)
    if reads is not None and planes is not None:
        raise InputError("--reader: reads radiographs, not the slices of --planes; leave one out")
    wanted = metric_names(DEFAULT if metrics is None else metrics)
    sets = open_pair(
        real, fake, real_masks or masks, fake_masks or masks, _size(resize), "skip" if on_error == "skip" else "raise"
    )
    views = _views(sets, planes, slices, slice_pixel, page)
    cards = {}
    with progress(passes(wanted) * sum(len(one) for pair in views.values() for one in pair)) as report:
        for name, pair in views.items():
            cards[name] = score(
                *pair,
                None if metrics is None else wanted,
                by=by,
                extractor=extractor,
                weights=weights,
                window=_window(window),
                seed=seed,
                progress=report.advance,
            )
            if reads is not None:
                cards[name] = replace(cards[name], conditions=agreement_of(pair[1], reads))
            for line in cards[name].all_warnings:
                report.warn(f"{name}: {line}" if name else line)
    if output is not None:
        write_bytes(output, _json(cards).encode())
    if page is not None:
        write_bytes(page, cards[""].to_html().encode())
    print(_json(cards) if as_json else "\n".join(card.table() for card in cards.values()), end="")


def _views(
    sets: tuple[ImageSet, ImageSet], planes: str | None, number: int, pixel_mm: float, page: Path | None
) -> dict[str, tuple[ImageSet, ImageSet]]:
    """Plane → both sets in slices; the sets as they are, by "", where no planes are asked for.

    Raises:
        InputError: A plane that is none, sets with masks, or a page, which shows one set of scores.
    """
    if planes is None:
        return {"": sets}
    from synth.metrics.volumes.slices import PLANES, SliceView, slice_set

    if page is not None:
        raise InputError("--html shows one set of scores, and --planes has one a plane: use -o FILE")
    if sets[0].masks is not None:
        raise InputError("--planes: slices are scored whole; leave the masks out")
    asked = PLANES if planes == "all" else tuple(planes.split(","))
    unknown = [name for name in asked if name not in PLANES]
    if unknown:
        raise InputError(f"--planes {unknown[0]}: use {', '.join(PLANES)}, or all")
    view = SliceView(number, pixel_mm)
    wanted = [plane for plane in PLANES if plane in asked]
    return {plane: (slice_set(sets[0], plane, view), slice_set(sets[1], plane, view)) for plane in wanted}


def _json(cards: dict[str, Scorecard]) -> str:
    """The scores; by plane where there are several."""
    if "" in cards:
        return cards[""].to_json()
    found = {plane: json.loads(card.to_json()) for plane, card in cards.items()}
    return json.dumps(found, indent=2, ensure_ascii=False) + "\n"


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
