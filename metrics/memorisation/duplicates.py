"""Images of one set that are nearly the same: a generator that repeats itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from synth.core.errors import InputError
from synth.metrics.distances.neighbours import nearest
from synth.metrics.patients import codes
from synth.metrics.score_value import check_pair

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

__all__ = ["Duplicates", "duplicates", "exact_duplicates"]


@dataclass(frozen=True)
class Duplicates:
    """Images that are nearer to another of their set than real images of two patients ever are.

    Attributes:
        count: Images with such a neighbour.
        share: Of all images.
        threshold: The least distance between real images of two patients.
        pairs: (image, its nearest, distance) of those below the threshold, nearest first, each pair once.
        n_generated: Images looked at.
        n_reference: Real images that gave the threshold.
    """

    count: int
    share: float
    threshold: float
    pairs: tuple[tuple[int, int, float], ...]
    n_generated: int
    n_reference: int


def duplicates(
    generated: ArrayLike,
    reference: ArrayLike,
    *,
    rng: np.random.Generator,
    patients: Sequence[str] | NDArray[np.generic] | None = None,
    pairs: int = 20,
) -> Duplicates:
    """Near duplicates within a set.

    The larger a set, the nearer its nearest pair: both are compared at the same size where the reference is the larger
    one. A set as diverse as the reference has a pair below the threshold in half of all cases, rarely two.

    Args:
        generated: (m, d) features.
        reference: (n, d) features of real images.
        rng: Thins the reference.
        patients: (n,) of the reference; images of one patient are no measure of difference.
        pairs: How many pairs to return.

    Raises:
        InputError: Malformed features, or a reference of a single patient.
    """
    x, y = check_pair(reference, generated)
    own = codes(patients, len(x), "reference")
    chosen = np.sort(rng.permutation(len(x))[: len(y)])
    threshold = float(nearest(x[chosen], x[chosen], 1, (own[chosen], own[chosen])).distances.min())
    if not np.isfinite(threshold):
        raise InputError("reference: all images are of one patient; give images of several")
    images = np.arange(len(y))
    found = nearest(y, y, 1, (images, images))
    near = np.flatnonzero(found.distances[:, 0] < threshold)
    once: dict[tuple[int, int], float] = {}
    for at in near[np.argsort(found.distances[near, 0], kind="stable")]:
        other = int(found.indices[at, 0])
        once.setdefault((min(int(at), other), max(int(at), other)), float(found.distances[at, 0]))
    listed = tuple((first, second, distance) for (first, second), distance in list(once.items())[:pairs])
    return Duplicates(len(near), len(near) / len(y), threshold, listed, len(y), len(chosen))


def exact_duplicates(digests: Sequence[str]) -> tuple[tuple[int, ...], ...]:
    """Groups of positions whose content hashes are equal (`Survey.digests`), largest first."""
    groups: dict[str, list[int]] = {}
    for at, digest in enumerate(digests):
        groups.setdefault(digest, []).append(at)
    return tuple(sorted((tuple(one) for one in groups.values() if len(one) > 1), key=len, reverse=True))
