"""Steps across whole planes: what tiles leave behind that do not fit.

At every plane between two layers of voxels the mean |difference| across it is taken in squares of 8 × 8, and compared
with those one layer before and behind. Where the three are exchangeable the middle one is the largest in a third of the
squares. Anatomy makes strong steps in some squares; a seam makes small ones in all of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from scipy.stats import norm

from synth.core.errors import InputError
from synth.metrics.verdicts.verdict import Verdict, undecided

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["Seams", "plane_shares", "seam_p_value", "seam_verdict", "seams"]

_SQUARE = 8
_LEAST_SQUARES = 16
_LEAST_PLANES = 12
_RIM = 3  # planes beside the faces, where networks and filters pad
_FLAT_HU = 1.0  # squares whose three steps are together below this have nothing to compare: air at −1000
_WHOLE = 0.6
"""Share of the squares in which a seam's step is the largest, at least: a test alone would call the faintest trace of a
table or a collimator a seam in volumes of many squares."""

_AXES = ("z", "y", "x")


class Seams(NamedTuple):
    """The most conspicuous plane of a volume.

    Attributes:
        p_value: Of one as conspicuous among all planes of a volume without seams.
        axis: "z", "y" or "x".
        plane: Between layers `plane` and `plane` + 1.
        share: Of the squares in which its step is the largest of three.
    """

    p_value: float
    axis: str
    plane: int
    share: float


def plane_shares(hu: NDArray[Any], axis: int) -> tuple[Floats, NDArray[np.int64]]:
    """How often the step across a plane is the largest of three, and in how many squares there was one to compare.

    Args:
        hu: (z, y, x).
        axis: Across which planes are laid.

    Returns:
        (n − 1,) shares, NaN for three planes at either face and with fewer than 16 squares to compare; and counts.
    """
    layers = np.moveaxis(hu, axis, 0)
    n = len(layers)
    shares, counts = np.full(max(n - 1, 0), np.nan), np.zeros(max(n - 1, 0), np.int64)
    if n <= 2 * _RIM + 1 or min(layers.shape[1:]) < _SQUARE:
        return shares, counts
    steps = [_squares(layers[_RIM + k], layers[_RIM + k + 1]) for k in (-1, 0)]
    for plane in range(_RIM, n - 1 - _RIM):
        steps.append(_squares(layers[plane + 1], layers[plane + 2]))
        before, here, behind = steps
        told = before + here + behind > _FLAT_HU
        counts[plane] = np.count_nonzero(told)
        if counts[plane] >= _LEAST_SQUARES:
            shares[plane] = np.count_nonzero((here > np.maximum(before, behind)) & told) / counts[plane]
        steps.pop(0)
    return shares, counts


def seams(hu: NDArray[Any]) -> Seams | None:
    """The most conspicuous plane; None where the volume is too small or too flat to tell.

    The scores of planes are their shares in robust standard deviations from the axis's median (at least those of a
    third of so many independent squares); the p-value of the largest is Gaussian, times the number of all planes
    (Bonferroni).

    Args:
        hu: (z, y, x).
    """
    found, planes = [], 0
    for axis in range(3):
        shares, counts = plane_shares(hu, axis)
        scores = _scores(shares, counts)
        seen = np.flatnonzero(np.isfinite(scores))
        planes += len(seen)
        if len(seen):
            worst = int(seen[scores[seen].argmax()])
            found.append((float(scores[worst]), axis, worst, float(shares[worst])))
    if not found:
        return None
    score, axis, plane, share = max(found)
    return Seams(float(min(1.0, planes * norm.sf(score))), _AXES[axis], plane, share)


def seam_p_value(hu: NDArray[Any], axis: int, planes: Sequence[int]) -> float:
    """Of the mean share at planes that are known, such as the ends of tiles.

    The null distribution is that of the same comb of planes at every other offset: p = (1 + offsets with as large a
    mean) / (1 + offsets). Offsets that hit a known plane, or one beside it, are left out.

    Args:
        hu: (z, y, x).
        axis: Across which planes are laid.
        planes: Numbers of the layers before them.

    Raises:
        InputError: No planes within the volume, or no other offsets.
    """
    shares, _ = plane_shares(hu, axis)
    comb = np.array(sorted(planes))
    last = len(shares) - 1 - _RIM
    if not len(comb) or comb.min() < _RIM or comb.max() > last:
        raise InputError(f"planes must lie within {_RIM} to {last}, got {list(planes)}")
    near = {int(plane) + k for plane in comb for k in (-1, 0, 1)}
    means = [
        float(np.nanmean(shares[comb + shift]))
        for shift in range(_RIM - int(comb.min()), last + 1 - int(comb.max()))
        if not near & {int(plane) for plane in comb + shift} and np.isfinite(shares[comb + shift]).any()
    ]
    here = shares[comb]
    if not means or not np.isfinite(here).any():
        raise InputError("planes: the volume has no other places of such planes to compare with")
    value = float(np.nanmean(here))
    return (1 + sum(mean >= value for mean in means)) / (1 + len(means))


def seam_verdict(hu: NDArray[Any], level: float) -> Verdict:
    """Whether a volume has a seam.

    Args:
        hu: (z, y, x).
        level: p-value up to which a plane in most of whose squares the step is the largest is called a seam.
    """
    found = seams(hu)
    if found is None:
        return undecided("seams", "the CT is too small or too flat to tell a seam")
    fails = found.p_value <= level and found.share >= _WHOLE
    what = f"between layers {found.plane} and {found.plane + 1} along {found.axis}"
    said = f"a seam {what}" if fails else f"no seam; most alike {what}"
    reason = f"{said}: the step is the largest in {found.share:.0%} of the squares, p {found.p_value:.2g}"
    return Verdict("seams", found.p_value, level, "fail" if fails else "pass", reason)


def _squares(one: NDArray[Any], other: NDArray[Any]) -> Floats:
    """(h / 8, w / 8): mean |difference| of two layers; what is left over at the ends is not seen."""
    h, w = (length // _SQUARE for length in one.shape)
    difference = np.abs(other[: h * _SQUARE, : w * _SQUARE].astype(np.float32) - one[: h * _SQUARE, : w * _SQUARE])
    rows = difference.reshape(h, _SQUARE, w * _SQUARE).sum(1).astype(np.float64)
    means: Floats = rows.reshape(h, w, _SQUARE).sum(2) / _SQUARE**2
    return means


def _scores(shares: Floats, counts: NDArray[np.int64]) -> Floats:
    """In robust standard deviations; NaN where nothing can be said."""
    seen = np.isfinite(shares)
    if np.count_nonzero(seen) < _LEAST_PLANES:
        return np.full(len(shares), np.nan)
    median = float(np.median(shares[seen]))
    spread = 1.4826 * float(np.median(np.abs(shares[seen] - median)))
    least = np.sqrt(2 / 9 / np.maximum(counts, 1))
    scores: Floats = (shares - median) / np.maximum(spread, least)
    return scores
