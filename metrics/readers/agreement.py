"""How often a reader finds in the images of a set what its table says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from synth.core.errors import InputError
from synth.metrics.alignment.conditions import agreement_table, asked_of
from synth.metrics.pages.text_table import number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from synth.metrics.alignment.conditions import Agreement, ConditionReader
    from synth.metrics.images.sets import ImageSet

__all__ = ["HEADS", "agreement_of", "agreement_rows"]

HEADS = ("condition", "asked for", "read as such", "95 % interval", "kappa", "images")
"""Of `agreement_rows`."""

_BATCH = 64


def agreement_of(images: ImageSet, reader: ConditionReader) -> tuple[Agreement, ...]:
    """Agreement of a reader with the table of a set, by attribute and value; see `agreement_table`.

    Raises:
        InputError: The table says nothing that the reader reads, or an image cannot be read.
    """
    stated = dict(zip(images.names, asked_of(reader, images.rows), strict=True))
    names: list[str] = []
    parts: list[dict[str, NDArray[np.float64]]] = []
    batch: list[NDArray[Any]] = []
    for image in images.stream():
        if any(stated[image.name].values()):
            names.append(image.name)
            batch.append(image.pixels)
        if len(batch) == _BATCH:
            parts.append(dict(reader.read(batch)))
            batch = []
    if batch:
        parts.append(dict(reader.read(batch)))
    if not parts:
        raise InputError(f"{images.name}: its table states nothing that {reader.name} reads in its views")
    read = {name: np.concatenate([part[name] for part in parts]) for name in reader.attributes}
    return agreement_table([stated[name] for name in names], read, reader.attributes)


def agreement_rows(table: Sequence[Agreement]) -> list[tuple[str, ...]]:
    """The agreement in words."""
    return [
        (
            one.attribute,
            one.asked,
            f"{one.share:.1%}",
            f"{one.low:.1%} to {one.high:.1%}",
            number(one.kappa),
            str(one.n),
        )
        for one in table
    ]
