"""Whether HU are those of a CT, and those of what the masks say."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from synth.metrics.verdicts.organs import HU_RANGES
from synth.metrics.verdicts.verdict import Verdict, below, undecided

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from synth.metrics.volumes.structures import MaskedCt

__all__ = ["AIR_MOST", "BLOOD_OVER_LUNG", "STORED", "agreement_verdicts", "range_verdict"]

STORED = (-1100.0, 4000.0)
"""Least and greatest HU: twelve bits from −1024 end at 3071, a little more for noise and resampling."""

PADDING = -1500.0
"""What lies below is no measurement but a mark of scanners, −2000 or −3024, outside their circle."""

_OUT_OF_RANGE = 1e-3  # share of voxels: metal streaks in real CTs

AIR_MOST = -600.0
"""Median HU of airways at most: air, with the share of walls, and of a tube, in voxels of 3 mm. Ours."""

BLOOD_OVER_LUNG = 150.0
"""Median HU of vessels above that of the lung around, at least: blood is 30 to 60 HU and lung −900 to −780, and a
vessel as thin as a voxel shows a third of the difference or less. Ours."""

_LEAST_SPREAD = 20.0  # HU: fat and muscle alone make more
_LEAST_VOXELS = 100


def range_verdict(hu: NDArray[np.number]) -> Verdict:
    """Whether values are those that a scanner stores.

    Args:
        hu: (z, y, x).
    """
    if not np.isfinite(hu).all():
        return Verdict("HU range", None, None, "fail", "some values are not finite")
    seen = hu[hu >= PADDING]
    spread = float(seen.std(dtype=np.float64)) if seen.size else 0.0
    if spread < _LEAST_SPREAD:
        reason = f"standard deviation {spread:.3g} HU is below {_LEAST_SPREAD:.0f}: blank, or not in HU"
        return Verdict("HU range", spread, _LEAST_SPREAD, "fail", reason)
    out = float(np.count_nonzero((seen < STORED[0]) | (seen > STORED[1]))) / seen.size
    fails = out > _OUT_OF_RANGE
    reason = (
        f"{out:.2%} of the voxels lie outside {STORED[0]:.0f} to {STORED[1]:.0f} HU "
        f"({seen.min():.0f} to {seen.max():.0f}); {_OUT_OF_RANGE:.1%} may"
    )
    return Verdict("HU range", out, _OUT_OF_RANGE, "fail" if fails else "pass", reason)


def agreement_verdicts(ct: MaskedCt) -> tuple[Verdict, ...]:
    """Whether masks lie on what they name, one verdict a kind of mask that is there."""
    found = [_airways(ct), _vessels(ct), _bones(ct), *(_lobe(ct, name) for name in ct.lobes)]
    return tuple(verdict for verdict in found if verdict is not None)


def _airways(ct: MaskedCt) -> Verdict | None:
    if ct.airways is None:
        return None
    values = ct.hu[ct.airways]
    if values.size < _LEAST_VOXELS:
        return _few("HU airways", values.size)
    median = float(np.median(values))
    fails = median > AIR_MOST
    reason = f"airways: median {median:.0f} HU is {'above' if fails else 'not above'} {AIR_MOST:.0f}"
    return Verdict("HU airways", median, AIR_MOST, "fail" if fails else "pass", reason)


def _vessels(ct: MaskedCt) -> Verdict | None:
    if ct.vessels is None or ct.lungs is None:
        return None
    blood, lung = ct.hu[ct.vessels], ct.hu[ct.lungs & ~ct.vessels]
    if min(blood.size, lung.size) < _LEAST_VOXELS:
        return _few("HU vessels", min(blood.size, lung.size))
    over = float(np.median(blood)) - float(np.median(lung))
    return below("HU vessels", over, BLOOD_OVER_LUNG, "vessels: median HU above the lung's")


def _bones(ct: MaskedCt) -> Verdict | None:
    if ct.bones is None:
        return None
    values = ct.hu[ct.bones]
    return _few("HU bones", values.size) if values.size < _LEAST_VOXELS else _within("bones", values, HU_RANGES["bone"])


def _lobe(ct: MaskedCt, name: str) -> Verdict:
    values = ct.hu[ct.lobes[name]]
    if values.size < _LEAST_VOXELS:
        return _few(f"HU {name}", values.size)
    verdict = _within(name, values, HU_RANGES["lung"])
    if verdict.outcome == "fail" and ct.changed:
        return undecided(verdict.name, f"{verdict.reason}; a finding may have filled it", verdict.value)
    return verdict


def _within(what: str, values: NDArray[np.number], ends: tuple[float, float]) -> Verdict:
    median = float(np.median(values))
    nearer = min(ends, key=lambda end: abs(end - median))
    inside = ends[0] <= median <= ends[1]
    reason = f"median {median:.0f} HU is {'within' if inside else 'outside'} {ends[0]:.0f} to {ends[1]:.0f}"
    return Verdict(f"HU {what}", median, nearer, "pass" if inside else "fail", f"{what}: {reason}")


def _few(name: str, voxels: int) -> Verdict:
    return undecided(name, f"{voxels} voxels: too few to say, {_LEAST_VOXELS} are needed")
