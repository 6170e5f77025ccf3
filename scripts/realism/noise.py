"""Noise: what is finer than two pixels, in the flattest patches of every picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from bench_drr_peers.tables import table
from scipy import ndimage

from realism.features import radial_mean

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from realism.films import Film

    Grey = NDArray[np.float32]

__all__ = ["noise_table"]


def noise(film: Film) -> NDArray[np.float64]:
    """(1 + 8,): level (256ths of white) and power in 8 rings of the flattest patches.

    Level: the median absolute deviation, × 1.4826, of what a Gaussian of one pixel takes away. Power: mean periodogram
    of the patches (32 × 32, Hann, plane removed), from 0 to half a cycle a pixel. Patches: the tenth with the least
    gradient at 3 pixels, among those neither black nor white.
    """
    grey = film.grey * 255
    fine = grey - ndimage.gaussian_filter(grey, 1.0)
    steep = ndimage.gaussian_gradient_magnitude(grey, 3.0)
    patch, places = 32, []
    for v in range(8, grey.shape[0] - patch - 7, patch // 2):
        for u in range(8, grey.shape[1] - patch - 7, patch // 2):
            here = np.s_[v : v + patch, u : u + patch]
            if 0.15 * 255 < grey[here].min() and grey[here].max() < 0.97 * 255:
                places.append((float(steep[here].mean()), here))
    if len(places) < 10:
        return np.full(9, np.nan)
    places.sort(key=lambda place: place[0])
    flat = [here for _, here in places[: max(4, len(places) // 10)]]
    level = np.median([1.4826 * np.median(np.abs(fine[here] - np.median(fine[here]))) for here in flat])
    power = np.mean([_periodogram(grey[here]) for here in flat], 0)
    return np.r_[level, radial_mean(power)[:16].reshape(8, 2).mean(1)]


def _periodogram(patch: Grey) -> NDArray[np.float64]:
    n = len(patch)
    v, u = np.mgrid[:n, :n].reshape(2, -1) - (n - 1) / 2
    plane = np.stack([v, u, np.ones(n * n)], 1)
    rest = patch.ravel() - plane @ np.linalg.lstsq(plane, patch.ravel(), rcond=None)[0]
    window = np.outer(np.hanning(n), np.hanning(n))
    power: NDArray[np.float64] = np.abs(np.fft.fft2(rest.reshape(n, n) * window)) ** 2 / (window**2).sum()
    return power


def noise_table(real: list[Film], made: dict[str, list[Film]]) -> str:
    """Level and spectrum: the real range and the median of each kind."""
    truth = np.stack([noise(film) for film in real])
    low, mid, high = np.nanpercentile(truth, (5, 50, 95), axis=0)
    ours = [np.nanmedian(np.stack([noise(film) for film in films]), 0) for films in made.values()]
    names = ["level, 256ths", *(f"power, {i / 32:.2f}–{(i + 2) / 32:.2f} cycles/pixel" for i in range(0, 16, 2))]
    lines = [
        [name, f"{mid[i]:.2g}", f"{low[i]:.2g} – {high[i]:.2g}", *(f"{values[i]:.2g}" for values in ours)]
        for i, name in enumerate(names)
    ]
    return table(["flat patches", "real median", "real 5–95 %", *made], lines)
