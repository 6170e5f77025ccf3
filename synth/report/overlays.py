"""The masks of a picture as outlines, those of a group united."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from pycocotools import mask as rle

from synth.report.outlines import outline_path, shrunk
from synth.report.structures import GROUPS, group_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

__all__ = ["SIDE", "Outline", "outlines_of_labels", "outlines_of_masks", "trace_shape"]

SIDE = 256
"""Pixels along the longer side of the grid that outlines lie on."""


class Outline(NamedTuple):
    """The outline of a structure or of a group.

    Attributes:
        group: Its number in GROUPS.
        name: The structure; empty for all of a group.
        path: SVG path data on the grid of `trace_shape`.
    """

    group: int
    name: str
    path: str


def trace_shape(shape: tuple[int, int]) -> tuple[int, int]:
    """(h, w) of the grid for outlines of a picture of that shape."""
    scale = min(SIDE / max(shape), 1.0)
    return max(round(shape[0] * scale), 1), max(round(shape[1] * scale), 1)


def outlines_of_masks(masks: Iterable[tuple[str, Mapping[str, Any]]]) -> list[Outline]:
    """Outlines of (structure, COCO's segmentation with compressed run lengths) pairs of one image."""
    parts: dict[tuple[int, str], list[Any]] = {}
    for name, segmentation in masks:
        key = _key(name)
        if key is not None:
            parts.setdefault(key, []).append({"size": segmentation["size"], "counts": segmentation["counts"]})
    with warnings.catch_warnings():
        # pycocotools' own __array__ is of before NumPy 2: nothing a caller could mend.
        warnings.filterwarnings("ignore", message="__array__ implementation", category=DeprecationWarning)
        united = {key: np.ascontiguousarray(rle.decode(rle.merge(every)), bool) for key, every in parts.items()}
    return _outlines(united)


def outlines_of_labels(maps: Sequence[tuple[NDArray[Any], Mapping[int, str]]]) -> list[Outline]:
    """Outlines of label maps (h, w) with their names."""
    united: dict[tuple[int, str], NDArray[np.bool_]] = {}
    for array, names in maps:
        values: dict[tuple[int, str], list[int]] = {}
        for value in np.unique(array).tolist():
            key = _key(names.get(value, "")) if value else None
            if key is not None:
                values.setdefault(key, []).append(value)
        for key, every in values.items():
            mask = np.isin(array, every)
            united[key] = united[key] | mask if key in united else mask
    return _outlines(united)


def _key(name: str) -> tuple[int, str] | None:
    group = group_of(name)
    if group is None:
        return None
    return group, name.partition(":")[2] if GROUPS[group].single else ""


def _outlines(united: Mapping[tuple[int, str], NDArray[np.bool_]]) -> list[Outline]:
    found = []
    for (group, name), mask in sorted(united.items(), key=lambda item: item[0]):
        thin = GROUPS[group].single
        path = outline_path(shrunk(mask, trace_shape(mask.shape), thin=thin), thin=thin)
        found += [Outline(group, name, path)] if path else []
    return found
