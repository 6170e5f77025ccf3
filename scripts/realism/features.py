"""Classical features of a square picture, and the space they span."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage, stats

from realism.films import SIDE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from realism.films import Film

    Grey = NDArray[np.float32]

__all__ = ["GROUPS", "Space", "features", "radial_mean"]

BANDS = (0.7, 1.4, 2.8, 5.6, 11.2, 22.4)  # pixels
COMPONENTS = 12


_SHARES = (1, 5, 10, 25, 50, 75, 90, 95, 99)
_TURNS = [22.5 * turn for turn in range(8)]
_EDGES = ("0", *(f"{sigma:g}" for sigma in BANDS))
_BETWEEN = [f"{fine}–{coarse} px" for fine, coarse in pairwise(_EDGES)]
GROUPS = {
    "histogram": ["mean", "spread", "skewness", "kurtosis", *(f"{share} %" for share in _SHARES)],
    "bands": [f"{what} of {band}" for what in ("energy", "tails") for band in _BETWEEN],
    "gradients": [
        f"{what} at {sigma:g} px"
        for sigma in (BANDS[0], BANDS[2])
        for what in (
            "mean",
            "spread",
            "99 %",
            *(f"direction {turn / 8 * 180:g}–{(turn + 1) / 8 * 180:g}°" for turn in range(8)),
        )
    ],
    "spectrum": [f"{what}, {band}" for band in ("wide", "fine") for what in ("slope", "height")],
    "layout": [f"row {row}, column {column}" for row in range(1, 9) for column in range(1, 9)],
}
"""Group → its features, in the order of `features`; rows from the top, columns from the patient's right."""


def features(grey: Grey) -> list[NDArray[np.float64]]:
    """Groups of features of a square picture: histogram, bands, gradients, spectrum, layout."""
    flat = grey.ravel().astype(float)
    quantiles = np.percentile(flat, _SHARES)
    histogram = np.r_[flat.mean(), flat.std(), stats.skew(flat), stats.kurtosis(flat), quantiles]
    blurred = [grey, *(ndimage.gaussian_filter(grey, sigma) for sigma in BANDS)]
    bands = [(a - b).ravel() for a, b in pairwise(blurred)]
    energy = [np.log(band.std() + 1e-4) for band in bands]
    tails = [np.log(stats.kurtosis(band, fisher=False) + 1e-6) for band in bands]
    layout = grey.reshape(8, SIDE // 8, 8, SIDE // 8).mean((1, 3))
    gradients = np.r_[gradient_features(blurred[1]), gradient_features(blurred[3])]
    return [histogram, np.r_[energy, tails], gradients, spectrum_features(grey), layout.ravel()]


def gradient_features(blurred: Grey) -> NDArray[np.float64]:
    """Size of gradients (mean, spread, large ones, in logarithms) and 8 shares of directions, weighted by size."""
    dv, du = np.gradient(blurred)
    size = np.hypot(du, dv)
    turn = (np.arctan2(dv, du) % np.pi / np.pi * 8).astype(int) % 8
    shares = np.bincount(turn.ravel(), size.ravel(), 8) / max(size.sum(), 1e-9)
    return np.r_[np.log([size.mean() + 1e-5, size.std() + 1e-5, np.percentile(size, 99) + 1e-5]), shares]


def spectrum_features(grey: Grey) -> NDArray[np.float64]:
    """Slope and height of the radial power spectrum's logarithm over 4 octaves, two octaves a piece."""
    window = np.hanning(SIDE)
    power = np.abs(np.fft.fft2((grey - grey.mean()) * window * window[:, None])) ** 2
    radial = radial_mean(power)
    found = []
    for first, last in ((SIDE // 32, SIDE // 8), (SIDE // 8, SIDE // 2)):
        f = np.arange(first, last)
        found += list(np.polyfit(np.log(f / np.sqrt(first * last)), np.log(radial[first:last] + 1e-9), 1))
    return np.array(found)


def radial_mean(power: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean of a square spectrum over rings of one frequency step."""
    n = len(power)
    f = np.fft.fftfreq(n) * n
    ring = np.rint(np.hypot(f, f[:, None])).astype(int)
    return (np.bincount(ring.ravel(), power.ravel()) / np.bincount(ring.ravel()))[: n // 2 + 1]


class Space:
    """Features standardised by a set of films, cut off at 5 standard deviations, every group of the same weight."""

    def __init__(self, films: Sequence[Film]) -> None:
        raw = self.raw(films)
        self._mean, self._scale = raw.mean(0), raw.std(0) + 1e-9
        groups = [len(names) for names in GROUPS.values()]
        self._weight = np.repeat(np.sqrt(sum(groups) / len(groups) / np.array(groups)), groups)
        self.reference = self._standard(raw)
        centred = self.reference - self.reference.mean(0)
        self._axes = np.linalg.svd(centred, full_matrices=False)[2][:COMPONENTS].T

    def __call__(self, films: Sequence[Film]) -> NDArray[np.float64]:
        """(n, d)."""
        return self._standard(self.raw(films))

    def raw(self, films: Sequence[Film]) -> NDArray[np.float64]:
        """(n, d) features as they are."""
        return np.stack([np.concatenate(features(film.square)) for film in films])

    def reduced(self, found: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n, 12): along the principal axes of the reference, each of variance 1 there."""
        return found @ self._axes / (self.reference @ self._axes).std(0)

    def _standard(self, raw: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.clip((raw - self._mean) / self._scale, -5, 5) * self._weight
