"""Patients of several images: counted, divided, exchanged and thinned as a whole.

Images of one patient are alike. Taken as independent they make intervals too narrow and p-values too small
(docs/scores.md); so what is left out, dealt into groups or exchanged between sets are patients.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from synth.core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = [
    "Codes",
    "PatientCodes",
    "PatientNames",
    "Patients",
    "codes",
    "comparable",
    "cut",
    "dense",
    "design_effect",
    "exchanged",
    "few_patients",
    "one_of_each",
    "point_sizes",
    "repeat",
    "repeated",
    "shuffled",
    "thinned",
    "totals",
]

Codes: TypeAlias = "NDArray[np.intp]"
"""(n,) a number for each patient, 0 to P − 1."""

PatientNames: TypeAlias = "Sequence[str] | NDArray[np.generic] | None"
"""A name an image; None where each image is a patient of its own."""

Patients: TypeAlias = "tuple[PatientNames, PatientNames]"
"""Of the reference and of the generated set. Equal names in both sets are not taken for one patient."""

PatientCodes: TypeAlias = "tuple[Codes, Codes]"

LEAST = 4
"""Patients a set needs for a variance of pairs of them."""


def codes(names: PatientNames, n: int, what: str) -> Codes:
    """(n,) a number for each patient; every image is a patient of its own where none are named, or a name is empty.

    Raises:
        InputError: Not one name an image.
    """
    if names is None:
        return np.arange(n)
    if len(names) != n:
        raise InputError(f"{what}: {len(names)} patients for {n} images; give one an image")
    known: dict[str, int] = {}
    return np.array([known.setdefault(str(name) or f"\0{at}", len(known)) for at, name in enumerate(names)], np.intp)


def repeated(patients: Patients | None, n: int, m: int) -> PatientCodes | None:
    """Codes of both sets; None where no patient has two images, so that images are independent.

    Raises:
        InputError: Not one name an image.
    """
    if patients is None:
        return None
    first, second = codes(patients[0], n, "reference"), codes(patients[1], m, "generated")
    return (first, second) if repeat(first) or repeat(second) else None


def few_patients(own: PatientCodes | None) -> str | None:
    """Says so where a set has fewer than 4 patients: no interval, floor or p-value can be had."""
    fewest = LEAST if own is None else min(int(one.max()) + 1 for one in own)
    return None if fewest >= LEAST else f"{fewest} patient(s): no interval, floor or p-value; {LEAST} are needed"


def point_sizes(n: int, m: int, own: PatientCodes | None) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Images of each patient, of both sets; ones where every image stands for itself."""
    if own is None:
        return np.ones(n), np.ones(m)
    return np.bincount(own[0]).astype(float), np.bincount(own[1]).astype(float)


def dense(own: Codes) -> Codes:
    """Codes of some of the images as numbers from 0 without gaps."""
    return np.unique(own, return_inverse=True)[1].astype(np.intp)


def totals(values: NDArray[np.float64], own: Codes) -> NDArray[np.float64]:
    """(P, …) sums of values (n, …) over the images of each patient."""
    order = np.argsort(own, kind="stable")
    starts = np.searchsorted(own[order], np.arange(int(own.max()) + 1))
    return np.asarray(np.add.reduceat(values[order], starts, axis=0), np.float64)


def design_effect(features: NDArray[np.float64], own: Codes) -> float:
    """By how much the variance of the mean of (n, d) features is larger than that of n independent images.

    n over it is the number of independent images that would say as much (Kish 1965): between 1, and images a patient.
    """
    centred = features - features.mean(0)
    people, spread = int(own.max()) + 1, float(np.square(centred).sum())
    if people < 2 or spread == 0:
        return 1.0
    between = float(np.square(totals(centred, own)).sum()) * people / (people - 1)
    return max(between / (spread * len(own) / (len(own) - 1)), 1.0)


def shuffled(n: int, own: Codes | None, rng: np.random.Generator) -> NDArray[np.intp]:
    """A random order of n images in which those of a patient stand together."""
    if own is None:
        return rng.permutation(n)
    rank = rng.permutation(int(own.max()) + 1)
    return np.lexsort((rng.random(n), rank[own]))


def cut(order: NDArray[np.intp], own: Codes | None, parts: int) -> list[NDArray[np.intp]]:
    """An order in which patients stand together, cut into at most so many parts of about one size.

    Cuts fall between patients, and within one only where there is no other.
    """
    ends = np.empty(0) if own is None else np.flatnonzero(np.diff(own[order])) + 1
    if not len(ends):
        return np.array_split(order, parts)
    wanted = len(order) * np.arange(1, parts) / parts
    return np.split(order, np.unique(ends[np.abs(ends[:, None] - wanted).argmin(0)]))


def exchanged(
    n: int, m: int, own: PatientCodes | None, rng: np.random.Generator
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Positions in both sets, one after the other, of two sets made of them at random, of about n and m images."""
    if own is None:
        order = rng.permutation(n + m)
        return order[:n], order[n:]
    both = np.concatenate([own[0], own[1] + int(own[0].max()) + 1])
    counts = np.bincount(both)
    people = rng.permutation(len(counts))
    ends = np.cumsum(counts[people])[:-1]
    chosen = np.zeros(len(counts), bool)
    chosen[people[: int(np.abs(ends - n).argmin()) + 1]] = True
    first = chosen[both]
    return np.flatnonzero(first), np.flatnonzero(~first)


def comparable(
    n: int, m: int, own: PatientCodes | None, rng: np.random.Generator
) -> tuple[NDArray[np.intp], NDArray[np.intp], PatientCodes | None]:
    """Images of both sets that an exchange of patients compares fairly, and their patients.

    Where the sets differ in images a patient, an exchange mixes what does not vary alike. In sets of equally many
    images that cancels (as the two-sample permutation test of means does with unequal variances); so the larger set is
    thinned to the size of the smaller, but not below one image a patient where the other has no patient twice.

    Returns:
        Positions in the reference and in the generated set, as many patients as possible among them; and their codes,
        None where no patient is left twice.
    """
    if own is None:
        return np.arange(n), np.arange(m), None
    fewer, people = min(n, m), [int(one.max()) + 1 for one in own]
    most = [fewer if repeat(own[1 - side]) else max(people[side], fewer) for side in (0, 1)]
    first, second = (thinned(one, count, rng) for one, count in zip(own, most, strict=True))
    left = dense(own[0][first]), dense(own[1][second])
    return first, second, left if repeat(left[0]) or repeat(left[1]) else None


def thinned(own: Codes, most: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Positions of at most so many images: one of every patient, then a second, and so on."""
    if most >= len(own):
        return np.arange(len(own))
    order = shuffled(len(own), own, rng)
    sorted_ = own[order]
    starts = np.concatenate([[0], np.flatnonzero(np.diff(sorted_)) + 1])
    turn = np.arange(len(own)) - np.repeat(starts, np.diff(np.append(starts, len(own))))
    return np.sort(order[np.argsort(turn, kind="stable")[:most]])


def one_of_each(n: int, own: Codes | None, rng: np.random.Generator) -> NDArray[np.intp]:
    """Positions of one image of every patient, in random order."""
    order = rng.permutation(n)
    return order if own is None else rng.permutation(order[np.unique(own[order], return_index=True)[1]])


def repeat(own: Codes) -> bool:
    """Whether a patient has two images."""
    return len(own) > int(own.max()) + 1
