"""Five numbers that say what is technically wrong with an image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from scipy.ndimage import median_filter

from synth.core.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Image = NDArray[np.float64]

__all__ = ["Measures", "measure"]

_LEAST = 16  # pixels along a side: below, a seam cannot be told from anatomy
_WINDOW = 17  # lines around one that it is compared with
_FRAME = 0.01  # of the grey values' range: a line of a frame varies by less
_DARK, _BRIGHT = 0.08, 0.03  # of the grey values' range, at its ends
_ROWS = 0.3  # of an image's rows must say something of a seam
_LAPLACIAN = 6.0  # norm of Immerkær's mask


class Measures(NamedTuple):
    """What was measured.

    Attributes:
        contrast: Distance of the 5 % and 95 % quantiles of grey values, over the type's range.
        saturated: Share of pixels at the image's least or greatest value, whichever are more, outside a frame.
        frame: Share of the image in constant lines along its borders.
        seam: How consistently grey values step across the worst straight line, in standard deviations.
        noise: Standard deviation of pixel noise over the contrast.
    """

    contrast: float
    saturated: float
    frame: float
    seam: float
    noise: float


def measure(image: NDArray[Any]) -> Measures:
    """Measures an image (h, w), uint8 or uint16.

    Raises:
        InputError: Another shape or type, or fewer than 16 pixels along a side.
    """
    if image.ndim != 2 or image.dtype not in (np.uint8, np.uint16) or min(image.shape) < _LEAST:
        raise InputError(
            f"an image of shape {image.shape} and type {image.dtype}: artefacts are looked for in (h, w) uint8 or "
            f"uint16 of at least {_LEAST} pixels a side"
        )
    grey = image.astype(np.float64) / np.iinfo(image.dtype).max
    low, high = np.quantile(grey, (0.05, 0.95))
    contrast = float(high - low)
    inner = _without_frame(grey)
    frame = 1 - inner.size / grey.size
    if min(inner.shape) < _LEAST:
        return Measures(contrast, 1.0, frame, 0.0, 0.0)
    ends = float(np.mean(inner == inner.min())), float(np.mean(inner == inner.max()))
    noise = _noise(inner) / max(contrast, 1 / 255)
    return Measures(contrast, max(ends), frame, max(_seam(inner), _seam(inner.T)), noise)


def _without_frame(grey: Image) -> Image:
    """The image inside constant lines along its borders."""
    least = _FRAME * max(float(np.ptp(grey)), 1e-12)
    rows, columns = np.flatnonzero(np.ptp(grey, axis=1) > least), np.flatnonzero(np.ptp(grey, axis=0) > least)
    if not len(rows) or not len(columns):
        return grey[:0, :0]
    return grey[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _seam(grey: Image) -> float:
    """How consistently the rows step between two neighbouring columns, at the worst place, in standard deviations.

    A seam is one pixel wide and runs through the rows: at it most of them step more than just before and after; edges
    of the anatomy are blurred over several pixels. So the share of rows that do, less the share of those that do not,
    is compared with its median around and multiplied by the root of the rows. Pixels near the ends of the grey values
    do not count: the edge of a collimator is no seam.
    """
    low, high = float(grey.min()), float(grey.max())
    inside = (grey > low + _DARK * (high - low)) & (grey < high - _BRIGHT * (high - low))
    steps, both = np.abs(np.diff(grey, axis=1)), inside[:, 1:] & inside[:, :-1]
    counted = both[:, 1:-1] & both[:, 2:] & both[:, :-2]
    ahead = np.sign(steps[:, 1:-1] - np.maximum(steps[:, 2:], steps[:, :-2])) * counted
    rows = counted.sum(0)
    share = ahead.sum(0) / np.maximum(rows, 1)
    excess = (share - median_filter(share, _WINDOW, mode="nearest")) * np.sqrt(rows)
    excess[rows < _ROWS * len(grey)] = 0
    return float(excess[2:-2].max())


def _noise(grey: Image) -> float:
    """Standard deviation of white noise by the mean of |image ∗ Laplacian difference| (Immerkær 1996)."""
    rows = grey[:-2] - 2 * grey[1:-1] + grey[2:]
    both = rows[:, :-2] - 2 * rows[:, 1:-1] + rows[:, 2:]
    return float(np.sqrt(np.pi / 2) * np.abs(both).mean() / _LAPLACIAN)
