"""Thresholds that a stated share of fresh real samples exceeds.

Where the reference and a fresh sample are drawn alike, a threshold at the right place among the scores of the reference
is exceeded with at most the stated probability, whatever the scores' distribution (Vovk, Gammerman and Shafer 2005).
With several images a patient, each patient weighs 1 (Lee, Barber and Willett 2023, arXiv:2306.06342).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import numpy as np

from synth.core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

__all__ = ["FOLDS", "check_rate", "conformal_threshold", "held_out_scores", "least_patients"]

FOLDS = 20

Model = TypeVar("Model")


def conformal_threshold(scores: NDArray[np.float64], rate: float, patients: NDArray[np.intp]) -> float:
    """The least threshold that a fresh sample exceeds with probability at most `rate`.

    Args:
        scores: (n,) of reference samples, large is odd.
        rate: Share of fresh real samples that may exceed it.
        patients: (n,) codes.

    Returns:
        The score at which the patients' weight reaches (1 − rate)(P + 1) of P patients; infinite below 1/rate − 1.
    """
    _, of, count = np.unique(patients, return_inverse=True, return_counts=True)
    order = np.argsort(scores, kind="stable")
    weight = np.cumsum((1 / count[of])[order])
    place = int(np.searchsorted(weight, (1 - rate) * (len(count) + 1) - 1e-9))
    return float(scores[order[place]]) if place < len(scores) else float("inf")


def held_out_scores(
    fit: Callable[[NDArray[np.intp]], Model],
    score: Callable[[Model, NDArray[np.intp]], NDArray[np.float64]],
    patients: NDArray[np.intp],
    folds: int = FOLDS,
) -> NDArray[np.float64]:
    """Scores of reference samples by a model that has not seen their patients.

    Patients are dealt into folds; a fold is scored by what was fitted to the others (cross-conformal prediction, Vovk
    2015). The model of all samples has seen a twentieth more, so that thresholds hold about, not exactly, as stated:
    docs/verdicts.md has measurements.

    Args:
        fit: Positions of samples → model.
        score: Model and positions → scores.
        patients: (n,) codes.
        folds: At most one a patient.
    """
    people, of = np.unique(patients, return_inverse=True)
    folds = min(folds, len(people))
    # A fixed deal, without a generator to hand in: the same reference always gives the same threshold.
    fold_of = np.random.default_rng(len(people)).permutation(len(people))[of] % folds
    scores = np.empty(len(patients))
    for fold in range(folds):
        inside = np.flatnonzero(fold_of == fold)
        scores[inside] = score(fit(np.flatnonzero(fold_of != fold)), inside)
    return scores


def check_rate(rate: float) -> float:
    """The rate.

    Raises:
        InputError: Not a share above 0 and below one half.
    """
    if not 0 < rate < 0.5:
        raise InputError(f"rate {rate:g}: give the share of real samples that may be refused, above 0 and below 0.5")
    return rate


def least_patients(rate: float) -> int:
    """Patients without whom a rate can not be promised."""
    return int(np.ceil(1 / rate - 1e-9)) - 1
