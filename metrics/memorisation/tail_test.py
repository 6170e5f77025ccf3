"""How unusual the largest of many values is, when all there is to compare with is a small sample."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["largest_p_value"]

_SHARE = 0.2
"""Share of the sample that is taken for its tail: ten of fifty images, of which the mean excess is known to a third."""

_LEAST = 8


def largest_p_value(largest: float, count: int, sample: NDArray[np.float64]) -> float:
    """P-value of the largest of `count` values against a sample of such values with an exponential tail.

    Logarithms of ratios of nearest-neighbour distances have one: distances to the nearest of two samples of equal
    density, to the power of the dimension k, are exponential, the logarithm of their ratio is logistic with scale 1/k.

    The mean b of the q largest excesses over the (q + 1)-th value estimates the scale; a fresh excess x then is beyond
    with probability (1 + x/(q·b))^−q, which takes the error of b into account (x/b is an exponential over a gamma
    variable).

    Args:
        largest: The largest value.
        count: Of how many.
        sample: (N,) values of the null hypothesis.

    Returns:
        1 − (1 − p)^count, p the probability of one value; 1 with fewer than three values to compare with, or where
        the tail is flat and says nothing.
    """
    ordered = np.sort(sample[np.isfinite(sample)])[::-1]
    q = min(max(_LEAST, int(_SHARE * len(ordered))), len(ordered) - 1)
    if q < 2:
        return 1.0
    threshold = float(ordered[q])
    mean = float(ordered[:q].mean()) - threshold
    if largest <= threshold or mean <= 0:
        return 1.0
    share = q / len(ordered)
    one = share * (1 + (largest - threshold) / (q * mean)) ** -q
    return float(-np.expm1(count * np.log1p(-min(one, 1 - 1e-16))))
