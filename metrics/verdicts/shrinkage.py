"""Covariance of few samples of many features."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["ledoit_wolf"]


def ledoit_wolf(x: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
    """The covariance drawn towards a multiple of the identity by the share that loses least.

    Ledoit and Wolf 2004, "A well-conditioned estimator for large-dimensional covariance matrices", equations 10 to 14:
    with S = XᵀX/n, μ = tr S/d, δ² = ‖S − μ1‖², β² = min(δ², Σ‖xxᵀ − S‖²/n²), the estimate is (β²/δ²) μ1 +
    (1 − β²/δ²) S, norms squared over d.

    Args:
        x: (n, d), centred.

    Returns:
        (d, d), and the share β²/δ².
    """
    n, d = x.shape
    sample = x.T @ x / n
    middle = float(np.trace(sample)) / d
    total = float(np.square(sample).sum())
    spread = total / d - middle**2
    error = (float(np.square(np.square(x).sum(1)).sum()) / n - total) / (n * d)
    share = min(error / spread, 1.0) if spread > 0 else 1.0
    shrunk = (1 - share) * sample
    shrunk[np.diag_indices(d)] += share * middle
    return shrunk, share
