"""What is to be said of an FRD's input, and when there is no FRD."""

from __future__ import annotations

from typing import TYPE_CHECKING

from synth.core.errors import InputError
from synth.metrics.frd.normalise import ALIEN, SIZED, UNDEFINED
from synth.metrics.images.survey import shared_content

if TYPE_CHECKING:
    from collections.abc import Sequence

    from synth.metrics.frd.contrast import GreyShift
    from synth.metrics.frd.features import FrdTable, Version
    from synth.metrics.frd.normalise import Mode, Normalised
    from synth.metrics.images.masks import Masks

    Pair = tuple[FrdTable, FrdTable]

__all__ = ["LEAST", "check_alike", "check_enough", "column_notes", "grey_notes", "input_notes", "mask_notes"]

LEAST = 2
"""Images a set needs for a covariance."""

_SHOWN = 3


def check_alike(reference: FrdTable, generated: FrdTable) -> None:
    """Refuses tables that do not compare.

    Raises:
        InputError: Pictures and volumes, or columns of two versions.
    """
    if reference.names == generated.names:
        return
    kinds = [None if one.survey is None else len(next(iter(one.survey.shapes))) for one in (reference, generated)]
    if kinds[0] != kinds[1]:
        raise InputError(
            f"{reference.name} has {kinds[0]}D images, {generated.name} {kinds[1]}D ones; "
            "compare pictures with pictures and volumes with volumes"
        )
    raise InputError(f"{reference.name} and {generated.name} have different columns; extract both with one version")


def check_enough(tables: Pair, found: Normalised) -> None:
    """Refuses sets of which too little is left.

    Raises:
        InputError: Fewer than two images with features in a set; no column that varies.
    """
    for table, rows in zip(tables, found.kept, strict=True):
        if len(rows) < LEAST:
            of = f" of {len(table.images)}" if len(table.images) >= LEAST else ""
            why = "; the others are constant, or their masks too small for texture" if of else ""
            raise InputError(f"{table.name}: {len(rows)}{of} image(s) with features; FRD needs at least {LEAST}{why}")
    if not found.names:
        raise InputError(f"{tables[0].name}: no feature varies among its images; FRD has nothing to measure by")


def input_notes(tables: Pair, version: Version) -> list[str]:
    """What was seen while reading, and where the sets are not alike."""
    lines = [line for table in tables for line in table.warnings]
    first, second = (table.survey for table in tables)
    if first is None or second is None:
        return lines
    shared = shared_content(first, second)
    lines += [] if shared is None else [shared]
    shapes = [sorted(one.shapes) for one in (first, second)]
    if shapes[0] != shapes[1] and len(shapes[0][0]) == 2:
        here, there = (_some(["×".join(map(str, shape)) for shape in some]) for some in shapes)
        lines.append(f"sizes differ: reference {here}, generated {there}; resize=(h, w) brings all to one")
    if version == "v0" and set(first.dtypes) != set(second.dtypes):
        depths = [", ".join(sorted(one.dtypes)) for one in (first, second)]
        lines.append(f"grey values are stored as {depths[0]} and as {depths[1]}: v0 compares them as they are")
    return lines


def column_notes(tables: Pair, found: Normalised) -> list[str]:
    """Images and columns that were left out, or ought to have been."""
    lines = []
    for table, rows in zip(tables, found.kept, strict=True):
        left = sorted(set(range(len(table.images))) - set(rows.tolist()))
        if left:
            named = _some([table.images[k] for k in left])
            lines.append(
                f"{table.name}: {len(left)} of {len(table.images)} images left out, their features are undefined "
                f"(constant, or a mask too small for texture): {named}"
            )
    for reason in (SIZED, ALIEN, UNDEFINED):
        columns = [name for name, why in found.dropped.items() if why == reason]
        if columns:
            lines.append(f"{len(columns)} columns left out ({reason}): {_some(columns)}")
    if found.noise:
        lines.append(
            f"{len(found.noise)} columns hold rounding noise and move the score, as in frd-score; mode='clean' leaves "
            f"them out: {_some(found.noise)}"
        )
    return lines


def grey_notes(grey: GreyShift, mode: Mode) -> list[str]:
    """Says so where v1 hides that brightness or contrast differ."""
    if not grey.notable:
        return []
    mend = "; contrast=True counts it" if mode == "clean" else ""
    return [f"grey values differ: {grey}; v1 normalises every image and does not see it{mend}"]


def mask_notes(reference: Masks | None, generated: Masks | None) -> list[str]:
    """Says so where one set alone has masks."""
    if (reference is None) == (generated is None):
        return []
    masked = "generated" if reference is None else "reference"
    return [f"only the {masked} set is looked at within masks: what masks leave out counts as a difference"]


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (", …" if len(names) > _SHOWN else "")
