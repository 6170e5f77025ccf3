"""Coefficients of cubic B-splines through the values of lines, with the start of ITK's.

M. Unser, A. Aldroubi and M. Eden, "B-spline signal processing: Part II", IEEE Trans. Signal Process. 41(2), 1993,
834–848. Lines are mirrored at their ends. The recursion starts from a sum over the mirrored line, which ITK's
BSplineDecompositionImageFilter ends where the weights fall below 1e-10, in lines that are long enough.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numba import njit

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["spline_coefficients"]

_POLE = math.sqrt(3) - 2
_ENOUGH = math.ceil(math.log(1e-10) / math.log(-_POLE))


def spline_coefficients(values: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
    """Coefficients of the splines along an axis.

    Args:
        values: an array of one axis or more; lines of one voxel stay as they are.
        axis: along which.

    Returns:
        An array like values, its strides aside.
    """
    if values.shape[axis] < 2:
        return values
    columns = np.ascontiguousarray(np.moveaxis(values, axis, 0), np.float64)
    flat = columns.reshape(len(columns), -1).copy()
    _columns(flat)
    out: Any = np.moveaxis(flat.reshape(columns.shape), 0, axis)
    return out  # type: ignore[no-any-return]


@njit(nogil=True, cache=True, error_model="numpy")
def _columns(c):  # type: ignore[no-untyped-def]
    """Filters along the first axis, in place."""
    n, width = c.shape
    z = _POLE
    c *= (1 - z) * (1 - 1 / z)
    power = z
    if n > _ENOUGH:
        for i in range(1, _ENOUGH):
            for k in range(width):
                c[0, k] += power * c[i, k]
            power *= z
    else:
        back = z ** (n - 1)
        for k in range(width):
            c[0, k] += back * c[n - 1, k]
        back = back * back / z
        for i in range(1, n - 1):
            for k in range(width):
                c[0, k] += (power + back) * c[i, k]
            power *= z
            back /= z
        for k in range(width):
            c[0, k] /= 1 - power * power
    for i in range(1, n):
        for k in range(width):
            c[i, k] += z * c[i - 1, k]
    for k in range(width):
        c[n - 1, k] = z / (z * z - 1) * (z * c[n - 2, k] + c[n - 1, k])
    for i in range(n - 2, -1, -1):
        for k in range(width):
            c[i, k] = z * (c[i + 1, k] - c[i, k])
