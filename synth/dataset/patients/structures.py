"""What radiologists speak of, projected in one pass: every combination of groups in a map of its own value."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

import numpy as np

from synth.anatomy.labels import STRUCTURES
from synth.core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from synth.core.volume import Labels

__all__ = ["GROUPS", "Masks", "combined"]

Masks = Literal["all", "groups", "none"]
"""Which masks a radiograph gets: of every label and group, of groups and findings, or none."""

GROUPS: MappingProxyType[str, tuple[str, ...]] = MappingProxyType(
    {**STRUCTURES, "heart": ("heart",), "diaphragm": ("diaphragm",)}
)
"""Group → the labels that it consists of."""

_MOST = 65_536  # combinations, what uint16 numbers; a chest with a dozen findings has about fifty

Sets = list[frozenset[str]]


def combined(
    maps: Sequence[Labels], groups: Mapping[str, Sequence[str]]
) -> tuple[tuple[Labels, ...], dict[str, tuple[str, ...]]]:
    """One map for several that may overlap: a value for every set of groups that shares a voxel.

    The time of projecting labels grows with the walks through maps and with the images of labels: this needs one walk,
    and some thirty images instead of some 120.

    Args:
        maps: On one grid, their names all different.
        groups: Group → names of the labels that it consists of; groups may overlap, labels of no group are left out.

    Returns:
        The map, or none where no label is in a group; and group → names of the map's values whose lengths add up to
        that group's, for groups that have labels.

    Raises:
        InputError: Too many structures overlap in too many ways.
    """
    array: NDArray[np.uint16] | None = None
    sets: Sets = [frozenset()]
    for labels in maps:
        table, own = _sets_of(labels, groups)
        if len(own) == 1:
            continue
        if array is None:
            array, sets = table[labels.array], own
        else:
            sets = _add(array, sets, table[labels.array], own)
    if array is None:
        return (), {}
    names = {value: f"combination {value}" for value in range(1, len(sets))}
    small = array.astype(np.uint8) if len(sets) <= 256 else array
    members = {
        group: tuple(name for value, name in names.items() if group in sets[value])
        for group in groups
        if any(group in one for one in sets)
    }
    return (replace(maps[0], array=small, names=names, name="groups"),), members


def _sets_of(labels: Labels, groups: Mapping[str, Sequence[str]]) -> tuple[NDArray[np.uint16], Sets]:
    """Value of a map → number of its set of groups, and those sets; the first is empty."""
    sets: Sets = [frozenset()]
    table = np.zeros(np.iinfo(labels.array.dtype).max + 1, np.uint16)
    for value, name in labels.names.items():
        own = frozenset(group for group, members in groups.items() if name in members)
        if own not in sets:
            sets.append(own)
        table[value] = sets.index(own)
    return table, sets


def _add(array: NDArray[np.uint16], sets: Sets, more: NDArray[np.uint16], more_sets: Sets) -> Sets:
    """Numbers the voxels anew, in place, where a second map has a set of its own, and appends the unions met."""
    at = np.flatnonzero(more)
    pairs = array.ravel()[at].astype(np.int64) * len(more_sets) + more.ravel()[at]
    table = np.zeros(len(sets) * len(more_sets), np.uint16)
    known = list(sets)
    for pair in np.flatnonzero(np.bincount(pairs, minlength=len(table))).tolist():
        union = sets[pair // len(more_sets)] | more_sets[pair % len(more_sets)]
        if union not in known:
            known.append(union)
        table[pair] = known.index(union)
    if len(known) > _MOST:
        raise InputError(f"{len(known)} combinations of overlapping structures: at most {_MOST} can be told apart")
    array.reshape(-1)[at] = table[pairs]
    return known
