"""Distances of sets of pictures in the space of their features."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from bench_drr_peers.tables import table

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from realism.features import Space
    from realism.films import Film

__all__ = ["distance_table", "set_table"]

RESAMPLES = 300


def frechet(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Fréchet distance of two normal distributions fitted to (n, d) each, their covariances shrunk."""
    ca, cb = shrunk_covariance(a), shrunk_covariance(b)
    values, vectors = np.linalg.eigh(ca)
    root = vectors * np.sqrt(np.maximum(values, 0)) @ vectors.T
    cross = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ cb @ root), 0)).sum()
    return float(((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(ca) + np.trace(cb) - 2 * cross)


def shrunk_covariance(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Covariance shrunk to a multiple of the identity by the oracle-approximating rule (Chen et al. 2010)."""
    n, d = x.shape
    sample = np.cov(x.T, bias=True)
    trace, square = np.trace(sample), (sample**2).sum()
    share = ((1 - 2 / d) * square + trace**2) / ((n + 1 - 2 / d) * (square - trace**2 / d) + 1e-12)
    share = min(1.0, share)
    return (1 - share) * sample + share * trace / d * np.eye(d)


def kernel_distance(
    a: NDArray[np.float64], b: NDArray[np.float64], counts_a: NDArray[np.int64], counts_b: NDArray[np.int64]
) -> float:
    """Unbiased squared MMD with the kernel (x·y/d + 1)³; films drawn repeatedly are not compared with themselves."""

    def mean(x: NDArray[np.float64], y: NDArray[np.float64], weight: NDArray[np.float64]) -> float:
        return float(((x @ y.T / x.shape[1] + 1) ** 3 * weight).sum() / weight.sum())

    def pairs(counts: NDArray[np.int64]) -> NDArray[np.float64]:
        weight = np.outer(counts, counts).astype(float)
        np.fill_diagonal(weight, 0)
        return weight

    within = mean(a, a, pairs(counts_a)) + mean(b, b, pairs(counts_b))
    return within - 2 * mean(a, b, np.outer(counts_a, counts_b).astype(float))


def _distances(space: Space, a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """(2,): Fréchet and kernel distance of films drawn as the rows of a and b, repetitions and all."""
    (ua, ca), (ub, cb) = (np.unique(x, axis=0, return_counts=True) for x in (a, b))
    return np.array([frechet(space.reduced(a), space.reduced(b)), kernel_distance(ua, ub, ca, cb)])


def real_draw(patients: NDArray[np.str_], n: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Indices of one film each of n patients."""
    chosen = rng.choice(np.unique(patients), n, replace=False)
    return np.array([rng.choice(np.flatnonzero(patients == name)) for name in chosen])


def distance_draws(
    space: Space, patients: NDArray[np.str_], truth: NDArray[np.float64], made: list[NDArray[np.float64]], seed: int
) -> NDArray[np.float64]:
    """(1 + resamples, rows, 2): distances to the real films; the first draw is of the films as they are.

    Rows: other real patients, two real films alone, every kind, plain less physics, physics over plain.
    """
    rng = np.random.default_rng(seed)
    n, m = len(made[0]), len(truth)
    draws = []
    for step in range(RESAMPLES + 1):
        pick, other = (rng.integers(n, size=n), rng.integers(m, size=m)) if step else (np.arange(n), np.arange(m))
        floor = space.reference[real_draw(patients, n, rng)]
        two = np.repeat(space.reference[real_draw(patients, 2, rng)], n // 2, axis=0)
        values = [_distances(space, x, truth[other]) for x in (floor, two, *(found[pick] for found in made))]
        draws.append([*values, values[3] - values[2], values[2] / values[3]])
    return np.array(draws)


def distance_table(
    space: Space, reference: list[Film], real: list[Film], made: dict[str, list[Film]], seed: int
) -> str:
    """Both distances to the real films, the floor, and what the physics changes, with 95 % bootstrap intervals."""
    patients = np.array([film.patient for film in reference])
    draws = distance_draws(space, patients, space(real), [space(films) for films in made.values()], seed)
    low, high = np.percentile(draws[1:], (2.5, 97.5), axis=0)
    shown = draws[0]
    shown[:2] = np.median(draws[1:, :2], axis=0)
    names = ["real, other patients", "real, two films alone", *made, "plain − physics", "physics / plain"]
    cells = [
        [name, *(f"{shown[i, j]:.3g} ({low[i, j]:.3g} – {high[i, j]:.3g})" for j in (0, 1))]
        for i, name in enumerate(names)
    ]
    return table(["to the real test split", "Fréchet", "kernel"], cells)


def set_table(space: Space, reference: list[Film], real: list[Film], made: dict[str, list[Film]], seed: int) -> str:
    """Both distances of sets of any number to the real films; beside each, that of as many other real patients.

    95 % bootstrap intervals of the former; of the floor, the median.
    """
    patients = np.array([film.patient for film in reference])
    floors, truth = space(reference), space(real)
    rng = np.random.default_rng(seed)
    cells = []
    for kind, films in made.items():
        found, n, m = space(films), len(films), len(truth)
        shown = _distances(space, found, truth)
        draws, floor = [], []
        for _ in range(RESAMPLES):
            other = truth[rng.integers(m, size=m)]
            draws.append(_distances(space, found[rng.integers(n, size=n)], other))
            floor.append(_distances(space, floors[real_draw(patients, n, rng)], other))
        (low, high), usual = np.percentile(draws, (2.5, 97.5), axis=0), np.median(floor, axis=0)
        texts = [(f"{shown[j]:.3g} ({low[j]:.3g} – {high[j]:.3g})", f"{usual[j]:.2g}") for j in (0, 1)]
        cells.append([kind, str(n), *texts[0], *texts[1]])
    return table(["to the real test split", "films", "Fréchet", "as many real", "kernel", "as many real"], cells)
