"""The evidence of copying in neighbour lists, and what it would be without copying."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from synth.metrics.memorisation.tail_test import largest_p_value
from synth.metrics.uncertainty import p_value

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from synth.metrics.distances.neighbours import Neighbours

__all__ = ["QUANTILE", "Evidence", "evidence"]

QUANTILE = 0.05
"""Of the ratios, beside the least one: copies of 5 % and more show in it."""

_TINY = 1e-12  # distances are taken as at least this share of the median one: a perfect copy has a ratio, too


@dataclass(frozen=True)
class Evidence:
    """See `copying.Memorisation`; ratios as logarithms, large where a training image is nearer.

    Attributes:
        log_ratios: (m,) log (distance to the nearest hold-out image / to the nearest training image).
        train_distances: (m,).
        holdout_distances: (m,).
        nearest_train: (m,) positions in the pool.
        quantile: The 95 % quantile of the log ratios.
        likelihood_gap: None without likelihoods.
        p_minimum: Of the largest log ratio.
        p_quantile: Of the quantile.
        p_likelihood: Of the gap.
    """

    log_ratios: NDArray[np.float64]
    train_distances: NDArray[np.float64]
    holdout_distances: NDArray[np.float64]
    nearest_train: NDArray[np.intp]
    quantile: float
    likelihood_gap: float | None
    p_minimum: float
    p_quantile: float
    p_likelihood: float | None


def evidence(
    to_pool: Neighbours,
    within: Neighbours,
    labels: NDArray[np.bool_],
    patients: NDArray[np.intp],
    rng: np.random.Generator,
    permutations: int,
    likelihoods: NDArray[np.float64] | None = None,
) -> Evidence:
    """Weighs neighbour lists.

    Args:
        to_pool: Nearest real images of generated images, training and hold-out images in one pool.
        within: Nearest images of other patients of the pool's own images.
        labels: (N,) whether an image of the pool is a training image.
        patients: (N,) a code for each patient; patients change sides as a whole.
        rng: Exchanges.
        permutations: How often.
        likelihoods: (N,) of the pool's images.
    """
    tiny = _TINY * float(np.median(within.distances[np.isfinite(within.distances)]))
    logs, own = (np.log(np.maximum(one.distances, tiny)) for one in (to_pool, within))
    first, second = _first(to_pool, labels)
    ratios = _ratios(logs, first, second)
    real = _ratios(own, *_first(within, labels))
    quantile, gap = float(np.quantile(ratios, 1 - QUANTILE)), _gap(likelihoods, labels)
    permuted = []
    for _ in range(permutations):
        changed = _exchange(labels, patients, rng)
        one = np.quantile(_ratios(logs, *_first(to_pool, changed)), 1 - QUANTILE)
        permuted.append((float(one), _gap(likelihoods, changed) or 0.0))
    values = np.array(permuted).reshape(-1, 2)
    largest, rows = float(ratios.max()), np.arange(len(ratios))
    mirrored = largest_p_value(largest, len(ratios), -ratios)
    among_real = largest_p_value(largest, len(ratios), np.concatenate([real, -real]))
    return Evidence(
        ratios,
        to_pool.distances[rows, first],
        to_pool.distances[rows, second],
        to_pool.indices[rows, first],
        quantile,
        None if gap is None else 100 * gap,
        max(mirrored, among_real),
        p_value(quantile, values[:, 0]),
        None if gap is None else p_value(gap, values[:, 1]),
    )


def _first(found: Neighbours, labels: NDArray[np.bool_]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """(m,) places in the list of the nearest training and the nearest hold-out image; the last where there is none."""
    train = labels[found.indices]
    last = train.shape[1] - 1
    return (
        np.where(train.any(1), train.argmax(1), last),
        np.where(train.all(1), last, (~train).argmax(1)),
    )


def _ratios(logs: NDArray[np.float64], first: NDArray[np.intp], second: NDArray[np.intp]) -> NDArray[np.float64]:
    rows = np.arange(len(logs))
    difference: NDArray[np.float64] = logs[rows, second] - logs[rows, first]
    return difference


def _gap(likelihoods: NDArray[np.float64] | None, labels: NDArray[np.bool_]) -> float | None:
    return None if likelihoods is None else float(likelihoods[labels].mean() - likelihoods[~labels].mean())


def _exchange(labels: NDArray[np.bool_], patients: NDArray[np.intp], rng: np.random.Generator) -> NDArray[np.bool_]:
    """Labels after patients have changed sides at random, as many on each side as before."""
    _, where, of_image = np.unique(patients, return_index=True, return_inverse=True)
    moved: NDArray[np.bool_] = rng.permutation(labels[where])[of_image]
    return moved
