"""Whether a generator gives back its training images: told from training and hold-out images of different patients.

Hold-out images are what training images would be had they not been trained on. So the distance of a generated image to
its nearest training image is compared with that to its nearest hold-out image, and three things are asked:

    is one generated image far nearer to a training image than chance allows (minimum ratio)
    do the nearest few per cent lean towards the training images (5 % quantile of the ratio)
    are training images likelier under the generated ones than hold-out images (likelihood gap)

Label exchange answers the last two exactly: training and hold-out patients change sides at random. It cannot answer the
first: c copies change sides with probability 2^−c at most, so that three perfect copies have p = 1/8. There the
distribution of ratios without copying is carried on into its tail (`tail_test`), from the mirrored ratios of the
generated images and from the ratios of the real images among themselves, whichever tail is the longer.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from synth.core.errors import InputError
from synth.metrics.distances.neighbours import Neighbours, nearest, nearest_in_matrix
from synth.metrics.memorisation.likelihood import fld_gap, pooled_log_likelihoods
from synth.metrics.memorisation.null import Evidence, evidence
from synth.metrics.memorisation.older_tests import authentic_percentage, c_t
from synth.metrics.memorisation.pixels import aligned_distances
from synth.metrics.patients import codes
from synth.metrics.score_value import check_features

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    Patients = Sequence[str] | NDArray[np.generic] | None

__all__ = ["Memorisation", "Pair", "memorisation", "pixel_memorisation"]

_DEPTH = 64  # neighbours kept: by chance all of one side once in 2^64
_LEAST = 10
_FEW = 50


@dataclass(frozen=True)
class Pair:
    """A generated image and its nearest training image.

    Attributes:
        generated: Position among the generated images.
        train: Position among the training images.
        distance: Between them.
        holdout_distance: Of the generated image to its nearest hold-out image.
        ratio: Of the two; 0 for a copy, about 1 without copying.
    """

    generated: int
    train: int
    distance: float
    holdout_distance: float
    ratio: float


@dataclass(frozen=True)
class Memorisation:
    """What speaks for and against copying.

    Attributes:
        space: "features" or "pixels".
        minimum_ratio: Least distance ratio of a generated image.
        quantile_ratio: The 5 % quantile of the ratios.
        likelihood_gap: 100 × mean log-likelihood per feature of training images minus that of hold-out images, widths
            fitted to both; 0 on average without copying. None for pixels.
        p_minimum: P-value of the minimum.
        p_quantile: P-value of the quantile.
        p_likelihood: P-value of the gap.
        p_value: The least of these times their number (Bonferroni): at most 0.05 says "copies", wrongly so in at most
            about 5 % of generators that do not copy.
        fld_gap: The gap as published, fitted to the training images. Reported, never decided by.
        authentic_percentage: AuthPct. Reported, never decided by.
        c_t: Reported, never decided by.
        n_generated: Generated images.
        n_train: Training images compared with.
        n_holdout: Hold-out images.
        worst: The pairs with the least ratios, least first.
        warnings: What a reader should know.
    """

    space: Literal["features", "pixels"]
    minimum_ratio: float
    quantile_ratio: float
    likelihood_gap: float | None
    p_minimum: float
    p_quantile: float
    p_likelihood: float | None
    p_value: float
    fld_gap: float | None
    authentic_percentage: float
    c_t: float | None
    n_generated: int
    n_train: int
    n_holdout: int
    worst: tuple[Pair, ...]
    warnings: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


def memorisation(
    generated: ArrayLike,
    train: ArrayLike,
    holdout: ArrayLike,
    *,
    rng: np.random.Generator,
    train_patients: Patients = None,
    holdout_patients: Patients = None,
    permutations: int = 999,
    pairs: int = 20,
) -> Memorisation:
    """Looks for copies of training images by features.

    Args:
        generated: (m, d) features.
        train: (n, d) features of images the generator was trained on.
        holdout: (n', d) features of images of the same population and of other patients. The larger of both sets is
            thinned to the size of the other, patient by patient.
        rng: Thins and exchanges.
        train_patients: (n,) names; default: an image each.
        holdout_patients: (n',) names.
        permutations: Exchanges for the p-values.
        pairs: How many of the nearest pairs to return.

    Raises:
        InputError: Malformed features, fewer than 10 images in a set, or a patient in both sets.
    """
    x, y, z = (
        check_features(one, f"{name} features", least=_LEAST)
        for one, name in ((train, "training"), (holdout, "hold-out"), (generated, "generated"))
    )
    if not x.shape[1] == y.shape[1] == z.shape[1]:
        raise InputError(f"{x.shape[1]}, {y.shape[1]} and {z.shape[1]} features an image; use the same extractor")
    sides = _Sides.of(len(x), len(y), train_patients, holdout_patients, rng)
    pool = np.concatenate([x[sides.train], y[sides.holdout]])
    to_pool = nearest(z, pool, _DEPTH)
    within = nearest(pool, pool, _DEPTH, (sides.patients, sides.patients))
    found = evidence(to_pool, within, sides.labels, sides.patients, rng, permutations,
                     pooled_log_likelihoods(z, pool))  # fmt: skip
    n = len(sides.train)
    own = sides.patients[:n]
    authentic = authentic_percentage(nearest(z, pool[:n], 1), nearest(pool[:n], pool[:n], 1, (own, own)))
    published = fld_gap(z, pool[:n], pool[n:]), c_t(z, pool[:n], pool[n:], rng)
    return _report("features", found, sides, to_pool, authentic, published, pairs)


def pixel_memorisation(
    generated: NDArray[Any],
    train: NDArray[Any],
    holdout: NDArray[Any],
    *,
    rng: np.random.Generator,
    train_patients: Patients = None,
    holdout_patients: Patients = None,
    permutations: int = 999,
    pairs: int = 20,
    shift: int = 4,
) -> Memorisation:
    """Looks for copies of training images by their pixels, each pair moved over each other; see `memorisation`.

    Args:
        generated: (m, h, w) small images; `memorisation.pixels.thumbnails` makes them.
        train: (n, h, w).
        holdout: (n', h, w).
        rng: Thins and exchanges.
        train_patients: (n,) names.
        holdout_patients: (n',) names.
        permutations: Exchanges for the p-values.
        pairs: How many of the nearest pairs to return.
        shift: Largest movement in pixels; see `aligned_distances`.

    Raises:
        InputError: As `memorisation` and `aligned_distances`.
    """
    for images, name in ((generated, "generated"), (train, "training"), (holdout, "hold-out")):
        if len(images) < _LEAST:
            raise InputError(f"{name} images: {len(images)}; memorisation needs at least {_LEAST} of each")
    sides = _Sides.of(len(train), len(holdout), train_patients, holdout_patients, rng)
    pool = np.concatenate([train[sides.train], holdout[sides.holdout]])
    to_matrix, within_matrix = aligned_distances(generated, pool, shift), aligned_distances(pool, pool, shift)
    same = (sides.patients, sides.patients)
    to_pool, within = nearest_in_matrix(to_matrix, _DEPTH), nearest_in_matrix(within_matrix, _DEPTH, same)
    found = evidence(to_pool, within, sides.labels, sides.patients, rng, permutations)
    n = len(sides.train)
    own = sides.patients[:n]
    authentic = authentic_percentage(
        nearest_in_matrix(to_matrix[:, :n], 1), nearest_in_matrix(within_matrix[:n, :n], 1, (own, own))
    )
    return _report("pixels", found, sides, to_pool, authentic, (None, None), pairs)


@dataclass(frozen=True)
class _Sides:
    """Training and hold-out images that are compared: as many of each as the smaller set has.

    Attributes:
        train: (n,) positions of training images taken.
        holdout: (n',) positions of hold-out images taken.
        patients: (n + n',) a code for each patient.
        warnings: What was done.
    """

    train: NDArray[np.intp]
    holdout: NDArray[np.intp]
    patients: NDArray[np.intp]
    warnings: tuple[str, ...]

    @classmethod
    def of(cls, n: int, m: int, train: Patients, holdout: Patients, rng: np.random.Generator) -> _Sides:
        both = train is not None and holdout is not None
        if both and train is not None and holdout is not None:
            shared = ({str(one) for one in train} & {str(one) for one in holdout}) - {""}
            if shared:
                raise InputError(
                    f"{len(shared)} patients are in the training set and in the hold-out ({min(shared)}); "
                    "split by patient"
                )
        first, second = codes(train, n, "training set"), codes(holdout, m, "hold-out")
        second = second + int(first.max()) + 1
        chosen = _thin(first, min(n, m), rng), _thin(second, min(n, m), rng)
        notes: tuple[str, ...] = (
            () if both else ("patients are not named: several images of one on both sides would hide copies",)
        )
        if abs(n - m) > 0.1 * min(n, m):
            notes += (f"{n} training and {m} hold-out images: {len(chosen[0])} and {len(chosen[1])} are compared",)
        return cls(*chosen, np.concatenate([first[chosen[0]], second[chosen[1]]]), notes)

    @property
    def labels(self) -> NDArray[np.bool_]:
        """(n + n',) whether it is a training image."""
        return np.arange(len(self.patients)) < len(self.train)


def _thin(patients: NDArray[np.intp], most: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Positions of the images of random patients, whole patients, at most `most` images."""
    if len(patients) <= most:
        return np.arange(len(patients))
    order = {int(one): at for at, one in enumerate(rng.permutation(np.unique(patients)))}
    ranked = np.argsort([order[int(one)] for one in patients], kind="stable")
    return np.sort(ranked[:most])


def _report(
    space: Literal["features", "pixels"],
    found: Evidence,
    sides: _Sides,
    to_pool: Neighbours,
    authentic: float,
    published: tuple[float | None, float | None],
    pairs: int,
) -> Memorisation:
    few = min(len(to_pool.indices), len(sides.train))
    notes = sides.warnings + ((f"{few} images: copies may go unseen below {_FEW}",) if few < _FEW else ())
    first = found.nearest_train
    worst = [
        Pair(int(at), int(sides.train[first[at]]), float(found.train_distances[at]),
             float(found.holdout_distances[at]), float(np.exp(-found.log_ratios[at])))
        for at in np.argsort(-found.log_ratios, kind="stable")[:pairs]
    ]  # fmt: skip
    tests = [p for p in (found.p_minimum, found.p_quantile, found.p_likelihood) if p is not None]
    return Memorisation(
        space,
        float(np.exp(-found.log_ratios.max())),
        float(np.exp(-found.quantile)),
        found.likelihood_gap,
        found.p_minimum,
        found.p_quantile,
        found.p_likelihood,
        min(1.0, len(tests) * min(tests)),
        published[0],
        authentic,
        published[1],
        len(to_pool.indices),
        len(sides.train),
        len(sides.holdout),
        tuple(worst),
        notes,
    )
