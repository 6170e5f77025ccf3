"""Whether lungs and lobes are as large as those of adults."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from synth.metrics.verdicts.verdict import Verdict, undecided
from synth.metrics.volumes.structures import LOBES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from synth.metrics.volumes.structures import MaskedCt

__all__ = ["LOBE_SHARES", "lobe_verdicts", "lung_litres"]

LOBE_SHARES: Mapping[str, tuple[float, float]] = {
    "lung_upper_lobe_right": (0.118, 0.227),
    "lung_middle_lobe_right": (0.066, 0.138),
    "lung_lower_lobe_right": (0.223, 0.340),
    "lung_upper_lobe_left": (0.181, 0.266),
    "lung_lower_lobe_left": (0.194, 0.287),
}
"""Least and largest share of both lungs, CTs of 32 adults, lying (Yamada et al. 2020, Respiration 99:598, table 3)."""

_MARGIN = 0.2
"""Of a limit: 32 people do not show the smallest and the largest lobe of all, and fissures are drawn by hand. Ours."""

_COLLAPSED, _SPREAD = 0.25, 1.6
"""What findings may make of the least and of the largest share: a collapsed lobe, its swollen neighbour. Ours."""

_LITRES: Mapping[str, tuple[float, float]] = {"F": (1.8, 7.1), "M": (2.3, 10.3)}
"""Of both lungs of unknown height: those of small and tall people, of 143 and 170, and of 146 and 188 cm."""

_CAPACITY = (0.5, 1.3)
"""Of the predicted capacity: lying, and not quite breathed in, to two standard deviations above, with the tissue."""


def lung_litres(sex: str | None, height_cm: float | None = None) -> tuple[float, float]:
    """Least and greatest volume of both lungs in CT, gas and tissue, in litres.

    Total lung capacity by Quanjer et al. 1993 (Eur Respir J 6 Suppl 16:5): 7.99 h − 7.08 l of men and 6.60 h − 5.79 l
    of women of h metres, standard deviations 0.70 and 0.60 l.

    Args:
        sex: "F", "M", or unknown: then the range of both.
        height_cm: Where it is known.
    """
    if sex is None or sex not in _LITRES:
        return _LITRES["F"][0], _LITRES["M"][1]
    if height_cm is None:
        return _LITRES[sex]
    metres = height_cm / 100
    capacity = max(6.60 * metres - 5.79 if sex == "F" else 7.99 * metres - 7.08, 1.0)
    return _CAPACITY[0] * capacity, _CAPACITY[1] * capacity


def lobe_verdicts(ct: MaskedCt) -> tuple[Verdict, ...]:
    """The volume of both lungs, and the share of each lobe; nothing where no lobe has a mask at all."""
    if not any(name in ct.masks for name in LOBES):
        return ()
    cut = [name for name, mask in ct.lobes.items() if _touches(mask)]
    if cut:
        return (undecided("volume lungs", f"{cut[0]} reaches the edge of the CT, which shows part of it"),)
    missing = [name for name in LOBES if name not in ct.lobes]
    if missing and not (ct.changed and ct.lobes):
        return tuple(Verdict(f"volume {name}", 0.0, None, "fail", f"{name} is missing") for name in missing)
    volumes = {name: np.count_nonzero(mask) * ct.voxel_ml / 1000 for name, mask in ct.lobes.items()}
    total = sum(volumes.values())
    return _lungs(ct, total), *(_share(ct, name, volumes.get(name, 0.0) / total) for name in LOBES)


def _lungs(ct: MaskedCt, total: float) -> Verdict:
    assert ct.lungs is not None
    litres = np.count_nonzero(ct.lungs) * ct.voxel_ml / 1000
    low, high = lung_litres(ct.sex, ct.height_cm)
    if ct.changed:
        low *= _COLLAPSED * 2  # one lung may be gone
    return _ranged("volume lungs", litres, (low, high), f"lungs: {litres:.2f} l", "{:.2f} to {:.2f} l")


def _share(ct: MaskedCt, name: str, share: float) -> Verdict:
    low, high = LOBE_SHARES[name]
    low, high = low * (1 - _MARGIN), high * (1 + _MARGIN)
    if ct.changed:
        low, high = low * _COLLAPSED, high * _SPREAD
    return _ranged(f"volume {name}", share, (low, high), f"{name}: {share:.1%} of the lungs", "{:.1%} to {:.1%}")


def _ranged(name: str, value: float, ends: tuple[float, float], words: str, limits: str) -> Verdict:
    inside = ends[0] <= value <= ends[1]
    nearer = min(ends, key=lambda end: abs(end - value))
    reason = f"{words}, {'within' if inside else 'outside'} {limits.format(*ends)}"
    return Verdict(name, float(value), nearer, "pass" if inside else "fail", reason)


def _touches(mask: NDArray[np.bool_]) -> bool:
    """Whether a mask reaches a face of the volume."""
    return any(bool(mask.take(end, axis).any()) for axis in range(3) for end in (0, -1))
