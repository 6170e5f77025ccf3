"""Grey levels of regions that follow from the lung mask."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from bench_drr_peers.tables import table
from scipy import ndimage

from realism.films import Box

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from realism.films import Film

    Mask = NDArray[np.bool_]

__all__ = ["level_table"]

QUANTILES = (10, 50, 90)
REGIONS = ("lung", "mediastinum", "below diaphragm", "darkest outside")


def regions(lungs: Mask) -> dict[str, Mask]:
    """Parts of a film that follow from the lungs' mask alone.

    Lung: the mask (as people draw it, lung behind the heart included), a little inside its edge. Mediastinum: between
    the lungs, row by row, in the lower three quarters of their height. Below the diaphragm: under the lungs, column by
    column, from 6 to 30 % of their height away. Outside: beside and above the box around them.
    """
    box = Box.of(lungs)
    height, width = box.size
    edge = max(1, round(0.02 * width))
    rows, columns = np.mgrid[: lungs.shape[0], : lungs.shape[1]]
    middle = (columns > box.left + 0.3 * width) & (columns < box.right - 0.3 * width)
    seen = (
        np.logical_or.accumulate(lungs & ~middle, 1) & np.logical_or.accumulate((lungs & ~middle)[:, ::-1], 1)[:, ::-1]
    )
    upright = (rows > box.top + 0.25 * height) & (rows < box.top + 0.9 * height)
    lowest = np.where(lungs.any(0), lungs.shape[0] - lungs[::-1].argmax(0), lungs.shape[0])
    under = rows - lowest[None, :]
    inside = (columns >= box.left) & (columns < box.right) & (rows >= box.top)
    return {
        "lung": ndimage.binary_erosion(lungs, iterations=edge),
        "mediastinum": ndimage.binary_erosion(seen & middle & upright & ~lungs, iterations=edge),
        "below diaphragm": (under > 0.06 * height) & (under < 0.3 * height),
        "darkest outside": ~inside,
    }


def levels(film: Film) -> NDArray[np.float64]:
    """(regions, quantiles) of the grey; NaN where a region is not in the film; outside, its darkest tenth."""
    found = np.full((len(REGIONS), len(QUANTILES)), np.nan)
    for i, (name, mask) in enumerate(regions(film.lungs).items()):
        if mask.sum() >= 50:
            share = np.array(QUANTILES) / 10 if name == "darkest outside" else QUANTILES
            found[i] = np.percentile(film.grey[mask], share)
    return found


def level_table(real: list[Film], made: dict[str, list[Film]]) -> str:
    """Regions and quantiles: the real range, and each kind's mean and share of films within the range."""
    truth = np.stack([levels(film) for film in real])
    low, mid, high = np.nanpercentile(truth, (5, 50, 95), axis=0)
    ours = {kind: np.stack([levels(film) for film in films]) for kind, films in made.items()}
    lines = []
    for i, region in enumerate(REGIONS):
        for j, quantile in enumerate(QUANTILES):
            cells = [region, f"{quantile / 10 if i == 3 else quantile:g} %", f"{mid[i, j]:.2f}"]
            cells += [f"{low[i, j]:.2f} – {high[i, j]:.2f}"]
            for values in (values[:, i, j] for values in ours.values()):
                inside = np.nanmean((values >= low[i, j]) & (values <= high[i, j]))
                cells += [f"{np.nanmean(values):.2f}", f"{inside:.0%}"]
            lines.append(cells)
    head = ["region", "quantile", "real median", "real 5–95 %"]
    return table(head + [text for kind in made for text in (kind, "within")], lines)
