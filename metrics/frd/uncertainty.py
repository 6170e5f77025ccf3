"""How far an FRD can be trusted: its interval, its floor, and whether the sets differ at all.

Everything is measured on normalised features: normalising is affine in every column, so that a part of a set normalised
again is what its own features would have given.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from synth.metrics.distances.frechet import frechet_distance
from synth.metrics.distances.frechet_score import same_distribution
from synth.metrics.frd.normalise import degenerate, scaled
from synth.metrics.patients import comparable, repeated
from synth.metrics.uncertainty import group_jackknife, interval, real_floor

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from synth.metrics.frd.features import Version
    from synth.metrics.patients import Codes, PatientCodes, Patients

    Floats = NDArray[np.float64]

__all__ = ["as_value", "frd_floor", "frd_interval", "frd_p_value", "normalised_distance"]

GROUPS = 20
"""Groups of each set left out in turn for the interval."""

LEAST_FOR_FLOOR = 8
"""Images a reference needs for two parts whose covariances are worth the name."""

_ZERO = 1e-9  # of the traces: what rounding leaves of a distance of 0, frechet_distance's own precision


def as_value(distance: float, version: Version, traces: float) -> float:
    """The FRD of a squared distance: its natural logarithm for v1, itself for v0; 0 where it is 0 but for rounding."""
    if distance <= _ZERO * traces:
        return 0.0
    return float(np.log(distance)) if version == "v1" else distance


def normalised_distance(x: Floats, y: Floats, version: Version) -> float:
    """The squared distance of two sets that are normalised first, the columns left out that x (v0: both) hold flat."""
    kept = ~degenerate(x, y, version)
    if not kept.any():
        return 0.0
    x, y = x[:, kept], y[:, kept]
    origin, factor = scaled(x, y, version)
    return frechet_distance((x - origin) * factor, (y - origin) * factor)


def frd_interval(
    x: Floats,
    y: Floats,
    version: Version,
    rng: np.random.Generator,
    value: float,
    patients: PatientCodes | None = None,
) -> tuple[float, float]:
    """95 % interval for the mean of the FRD at these sizes, by leaving out a twentieth of either set in turn.

    What is left is normalised anew: much of the spread of v1 comes from the reference's standard deviations, which an
    interval with these held fixed would miss.

    Args:
        x: (n, d) normalised features of the reference.
        y: (m, d) of the generated set.
        version: "v0" or "v1".
        rng: Deals images into groups.
        value: The FRD.
        patients: Of both sets, to be left out as a whole; default: images are independent.
    """
    traces = float(x.var(0).sum() + y.var(0).sum())

    def score(first: NDArray[np.intp], second: NDArray[np.intp]) -> float:
        return as_value(normalised_distance(x[first], y[second], version), version, traces)

    variance = float(group_jackknife(score, len(x), len(y), rng, GROUPS, patients))
    return interval(value, variance, least=0.0 if version == "v0" else -np.inf)


def frd_floor(
    x: Floats, m: int, version: Version, rng: np.random.Generator, repeats: int, patients: Codes | None = None
) -> float | None:
    """The FRD of the reference against itself at sizes n and m; None where it has too few images to split.

    Args:
        x: (n, d) features of the reference, normalised or not.
        m: Images in the generated set.
        version: "v0" or "v1".
        rng: Splits the reference.
        repeats: Splits to average over.
        patients: Of the reference, of whom none is in both parts.
    """
    n, d = x.shape
    if n < LEAST_FOR_FLOOR:
        return None

    def distance(first: NDArray[np.intp], second: NDArray[np.intp]) -> float:
        return normalised_distance(x[first], x[second], version)

    exponent = 1.0 if n // 2 > d else None
    found = real_floor(distance, n, m, rng, repeats=repeats, exponent=exponent, patients=patients)
    return as_value(float(found), version, 2 * float(x.var(0).sum()))


def frd_p_value(
    x: Floats, y: Floats, rng: np.random.Generator, permutations: int, patients: Patients | None = None
) -> float:
    """Permutation p-value of "both sets come from one distribution"; patients, where named, change sides as a whole.

    Columns are taken in standard deviations of both sets together, not of the reference alone: an exchange of images
    must leave the scale as it is, or the test finds differences between a set and another part of itself.
    """
    first, second, own = comparable(len(x), len(y), repeated(patients, len(x), len(y)), rng)
    x, y = x[first], y[second]
    both = np.concatenate([x, y])
    deviation = both.std(0)
    kept = deviation > 0
    if not kept.any():
        return 1.0
    x, y = x[:, kept] / deviation[kept], y[:, kept] / deviation[kept]
    return same_distribution(x, y, rng=rng, permutations=permutations, patients=own)
