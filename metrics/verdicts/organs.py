"""Whether the organs of a CT have the density that organs have."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

from synth.core.errors import InputError
from synth.metrics.verdicts.verdict import Verdict, undecided

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

__all__ = ["HU_RANGES", "organ_of", "organ_verdicts", "usual_organs"]

HU_RANGES: Mapping[str, tuple[float, float]] = {
    "liver": (-22.0, 162.0),
    "spleen": (-43.0, 184.0),
    "pancreas": (-57.0, 150.0),
    "kidney": (-131.0, 268.0),
    "lung": (-1089.0, -367.0),
    "bone": (71.0, 1000.0),
}
"""Ranges of the median HU in real CTs, as MAISI's quality check has them (NVIDIA, NV-Generate-CT)."""

_PARTS: Mapping[str, tuple[str, ...]] = {
    "liver": ("liver",),
    "spleen": ("spleen",),
    "pancreas": ("pancreas",),
    "kidney": ("kidney_left", "kidney_right"),
    "lung": ("lung_", "left_lung", "right_lung"),
    "bone": (
        "vertebrae_", "rib_", "sternum", "sacrum", "hip_left", "hip_right", "femur_", "humerus_", "scapula_",
        "clavicula_", "skull",
    ),
}  # fmt: skip
"""Organ → names, or beginnings of names, of TotalSegmentator's structures: all five lobes, all bones."""

_NO_ORGAN = ("lung_vessels", "lung_nodule", "lung_trachea", "lung_tumor", "lung_artery", "lung_vein")
_LEAST_VOXELS = 100
_USUAL = 0.95


def organ_of(structure: str) -> str | None:
    """The organ that a structure of a label map is part of, or None."""
    name = structure.lower()
    if name.startswith(_NO_ORGAN):
        return None
    for organ, parts in _PARTS.items():
        for part in parts:
            if name in (part, organ) or (part.endswith("_") and name.startswith(part)):
                return organ
    return None


def usual_organs(names: Iterable[Iterable[str]]) -> tuple[str, ...]:
    """Organs that at least 95 % of the reference scans show, from the names of the structures found in each."""
    seen, scans = Counter[str](), 0
    for structures in names:
        scans += 1
        seen.update({organ for one in structures if (organ := organ_of(one))})
    return tuple(organ for organ in HU_RANGES if seen[organ] >= max(_USUAL * scans, 1))


def organ_verdicts(
    hu: NDArray[Any],
    labels: NDArray[Any],
    names: Mapping[int, str],
    *,
    expected: Sequence[str] | None = None,
    ranges: Mapping[str, tuple[float, float]] = HU_RANGES,
    least_voxels: int = _LEAST_VOXELS,
) -> tuple[Verdict, ...]:
    """The verdicts on one CT, one an organ that is expected or found.

    Args:
        hu: (z, y, x) in HU.
        labels: (z, y, x), on the same grid.
        names: Label → structure, TotalSegmentator's names.
        expected: Organs that must be there: those of the prompt, or `usual_organs` of the reference; a missing one
            fails. Default: those that `names` names.
        ranges: Organ → least and greatest median HU.
        least_voxels: Voxels below which nothing is said.

    Raises:
        InputError: Different grids, or an organ without a range.
    """
    if hu.shape != labels.shape:
        raise InputError(f"CT of {hu.shape} and labels of {labels.shape} voxels: give them on one grid")
    of: dict[str, list[int]] = {}
    for value, structure in names.items():
        organ = organ_of(structure)
        if organ is not None:
            of.setdefault(organ, []).append(value)
    wanted = tuple(of) if expected is None else tuple(expected)
    unknown = [organ for organ in wanted if organ not in ranges]
    if unknown:
        raise InputError(f"no HU range for {unknown[0]!r}; there are {', '.join(ranges)}")
    order = [organ for organ in ranges if organ in wanted or organ in of]
    found = (
        _one(organ, hu[np.isin(labels, of.get(organ, []))], ranges[organ], least_voxels, organ in wanted)
        for organ in order
    )
    return tuple(verdict for verdict in found if verdict is not None)


def _one(organ: str, values: NDArray[Any], ends: tuple[float, float], least: int, wanted: bool) -> Verdict | None:
    name = f"HU {organ}"
    if not len(values):
        return Verdict(name, None, None, "fail", f"{organ} is missing") if wanted else None
    if len(values) < least:
        return undecided(name, f"{len(values)} voxels of {organ}: too few to say, {least} are needed")
    median = float(np.median(values))
    nearer = min(ends, key=lambda end: abs(end - median))
    inside = ends[0] <= median <= ends[1]
    reason = f"median {median:.0f} HU is {'within' if inside else 'outside'} {ends[0]:.0f} to {ends[1]:.0f}"
    return Verdict(name, median, nearer, "pass" if inside else "fail", f"{organ}: {reason}")
