"""Features of the grey-level co-occurrence matrix."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from synth.kernels.eigenvalue import largest_eigenvalue
from synth.kernels.texture_sums import EPSILON, pair_sums

if TYPE_CHECKING:
    from collections.abc import Collection

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["glcm"]


def glcm(
    pairs: NDArray[np.int32], values: NDArray[np.int64], wanted: Collection[str], highest: int | None = None
) -> dict[str, float]:
    """Features averaged over the directions that have pairs; NaN where none has.

    Pairs count both ways, so that the matrix is symmetric, and its features follow from the distributions of i, of
    i + j and of i − j: the covariance is a quarter of the difference of the two variances.

    Args:
        pairs: (D, L, L) counts, one way.
        values: (L,) grey levels.
        wanted: names; the maximal correlation coefficient takes time and is left out where it is not among them.
        highest: level that normalises Idn and Idmn; None: the highest of `values`.

    Returns:
        Features by pyradiomics' names.
    """
    totals, shares, added, apart, sums = pair_sums(pairs, values)
    some = totals > 0
    if not some.any():
        return dict.fromkeys(wanted, math.nan)
    shares, added, apart, sums = shares[some], added[some], apart[some], sums[some]
    found = {
        **_sums(shares, added, values),
        **_differences(apart, highest or int(values[-1])),
        **_information(shares, sums),
    }
    tendency, contrast = found["ClusterTendency"], found["Contrast"]
    variance, covariance = (tendency + contrast) / 4, (tendency - contrast) / 4
    found["SumSquares"] = variance
    found["Correlation"] = np.where(variance == 0, 1.0, covariance / (variance + EPSILON))
    found["Autocorrelation"] = covariance + found["JointAverage"] ** 2
    if "MCC" in wanted:
        both = zip(pairs[some], shares, strict=True)
        found["MCC"] = np.array([_maximal_correlation(counts, share) for counts, share in both])
    return {name: float(found[name].mean()) for name in wanted}


def _sums(shares: Floats, added: Floats, values: NDArray[np.int64]) -> dict[str, Floats]:
    """What follows from i and i + j."""
    mean = shares @ values
    off = np.arange(added.shape[1]) - 2 * mean[:, None]
    square = off * off
    return {
        "JointAverage": mean,
        "SumAverage": added @ np.arange(added.shape[1]),
        "ClusterTendency": (square * added).sum(1),
        "ClusterShade": (square * off * added).sum(1),
        "ClusterProminence": (square * square * added).sum(1),
        "SumEntropy": _entropy(added),
    }


def _differences(apart: Floats, highest: int) -> dict[str, Floats]:
    """What follows from |i − j|; `highest` is the highest grey level."""
    k = np.arange(apart.shape[1], dtype=np.float64)
    mean = apart @ k
    return {
        "Contrast": apart @ (k * k),
        "DifferenceAverage": mean,
        "DifferenceEntropy": _entropy(apart),
        "DifferenceVariance": ((k - mean[:, None]) ** 2 * apart).sum(1),
        "Id": apart @ (1 / (1 + k)),
        "Idm": apart @ (1 / (1 + k * k)),
        "Idn": apart @ (1 / (1 + k / highest)),
        "Idmn": apart @ (1 / (1 + k * k / highest**2)),
        "InverseVariance": apart[:, 1:] @ (1 / (k[1:] * k[1:])),
    }


def _information(shares: Floats, sums: Floats) -> dict[str, Floats]:
    """Energy, entropy and the informational measures of correlation.

    HXY1 and HXY2 are both twice the entropy of i, apart from the ε under their logarithms, taken to first order.
    """
    energy, largest, joint, correction = sums.T
    single = _entropy(shares)
    apart = 2 * -(shares * np.log2(np.maximum(shares, EPSILON))).sum(1)
    levels = (shares > 0).sum(1)
    cross = apart - correction * EPSILON / math.log(2)
    product = apart - levels * levels * EPSILON / math.log(2)
    gain = np.maximum(product - joint, 0.0)
    gain[gain < 1e-14 * np.maximum(joint, 1)] = 0.0  # rounding of independent levels
    return {
        "JointEnergy": energy,
        "MaximumProbability": largest,
        "JointEntropy": joint,
        "Imc1": np.divide(joint - cross, single, out=np.zeros_like(joint), where=shares.max(1) < 1),
        "Imc2": np.sqrt(-np.expm1(-2 * gain)),
    }


def _entropy(p: Floats) -> Floats:
    return np.asarray(-(p * np.log2(p + EPSILON)).sum(1))


def _maximal_correlation(counts: NDArray[np.int32], share: Floats) -> float:
    """The root of the second eigenvalue of Q = Σₖ p(i, k) p(j, k) / (pₓ(i) pᵧ(k) + ε).

    Without ε, Q has the eigenvalues of S², S = p / √(pₓ pᵧ), which is symmetric; with it, to first order, those of
    S less ε/2 · S / (pₓ pᵧ). The first eigenvector is √pₓ, of value 1, which is taken away.
    """
    present = share > 0
    if present.sum() < 2:
        return 1.0
    both = (counts + counts.T)[np.ix_(present, present)].astype(np.float64)
    product = np.outer(share[present], share[present])
    root = np.sqrt(product)
    return float(largest_eigenvalue(both / both.sum() / root * (1 - EPSILON / 2 / product) - root))
