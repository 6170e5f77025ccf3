"""Two older tests of copying, to report and never to decide by: AuthPct and C_T.

Simulated (docs/verdicts.md), both miss 5 % copies nearly always, and C_T takes a generator that covers only the middle
of its training data for one that copies.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import numpy as np
from scipy.cluster.vq import ClusterError, kmeans2
from scipy.stats import rankdata

from synth.metrics.distances.neighbours import nearest

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from synth.metrics.distances.neighbours import Neighbours

    Features = NDArray[np.float64]

__all__ = ["authentic_percentage", "c_t"]

_CELLS = 3
_LEAST_GENERATED = 20
_COMPONENTS = 64
_TRIES = 10


def authentic_percentage(generated: Neighbours, train: Neighbours) -> float:
    """AuthPct: per cent of generated images that are farther from their nearest training image than it is from another.

    Alaa et al. 2022, arXiv:2102.08921. About 50 without copies where features have many dimensions.

    Args:
        generated: Nearest training images of generated images.
        train: Nearest other training images of training images.
    """
    return float(100 * np.mean(generated.distances[:, 0] > train.distances[generated.indices[:, 0], 0]))


def c_t(generated: Features, train: Features, holdout: Features, rng: np.random.Generator) -> float | None:
    """C_T: standard normal where generated images are as far from training images as hold-out images are.

    Meehan, Chaudhuri and Dasgupta 2020, arXiv:2004.05675: in each of three cells of the training data the Mann–Whitney
    statistic of the distances to the nearest training image of the cell, as a z-score; averaged with the shares of the
    hold-out, over cells with more than 20 generated images. Far below 0: copies. Features are brought to 64 principal
    components of the training images, as the authors of FLD do.

    Args:
        generated: (m, d).
        train: (n, d).
        holdout: (n', d).
        rng: Chooses the first centres of the cells.

    Returns:
        None where no cell has enough images, or where the training images do not fall into three cells.
    """
    x, y, z = _components(train, holdout, generated)
    cells, partition = min(_CELLS, len(x)), None
    for _ in range(_TRIES):
        with suppress(ClusterError):  # a cell ran empty: start from other centres
            partition = kmeans2(x, x[rng.choice(len(x), cells, replace=False)], minit="matrix", missing="raise")
            break
    if partition is None:
        return None
    centres, of_train = partition
    of_holdout, of_generated = (nearest(one, centres, 1).indices[:, 0] for one in (y, z))
    scores, shares = [], []
    for cell in range(cells):
        inside = of_train == cell, of_holdout == cell, of_generated == cell
        if inside[0].any() and inside[1].any() and inside[2].sum() > _LEAST_GENERATED:
            far = (nearest(one, x[inside[0]], 1).distances[:, 0] for one in (y[inside[1]], z[inside[2]]))
            scores.append(_mann_whitney(*far))
            shares.append(float(inside[1].mean()))
    return float(np.average(scores, weights=shares)) if scores else None


def _mann_whitney(holdout: Features, generated: Features) -> float:
    """z-score of the number of pairs in which the generated image is farther."""
    n, m = len(holdout), len(generated)
    ranks = rankdata(np.concatenate([holdout, generated]))
    farther = ranks[n:].sum() - m * (m + 1) / 2
    return float((farther - n * m / 2) / np.sqrt(n * m * (n + m + 1) / 12))


def _components(train: Features, *others: Features) -> list[Features]:
    if train.shape[1] <= _COMPONENTS:
        return [train, *others]
    mean = train.mean(0)
    axes = np.linalg.svd(train - mean, full_matrices=False)[2][:_COMPONENTS].T
    return [(one - mean) @ axes for one in (train, *others)]
