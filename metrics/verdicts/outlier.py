"""Samples whose features lie further out than nearly all of the reference's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from synth.core.errors import InputError
from synth.metrics.patients import codes
from synth.metrics.verdicts.conformal import check_rate, conformal_threshold, held_out_scores, least_patients
from synth.metrics.verdicts.shrinkage import ledoit_wolf
from synth.metrics.verdicts.storage import Stored
from synth.metrics.verdicts.verdict import Verdict, undecided

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    Features = NDArray[np.float64]

__all__ = ["Outliers"]

_NAME = "outlier"
_LEAST = 20
_SHOWN = 3


@dataclass(frozen=True, eq=False)
class Outliers(Stored):
    """Mahalanobis distance with a shrunk covariance and a conformal threshold.

    Features are squeezed first: asinh of the distance from the median over the scale, so that a feature with a long
    tail does not drown the others. The value is the distance over √d: about 1 for a usual sample.

    Attributes:
        names: (d,) of the features used.
        dropped: Features left out: constant, or not finite in some reference sample.
        columns: (d,) places of those used among all.
        total: Features a sample comes with.
        median: (d,).
        scale: (d,) robust standard deviations.
        mean: (d,) of squeezed features.
        precision: (d, d) inverse of their covariance.
        shrinkage: Share of the identity in it.
        threshold: On the value; infinite where the reference is too small for the rate.
        rate: Share of fresh real samples that are refused.
        n_reference: Samples fitted to.
        n_patients: Their patients.
    """

    kind: ClassVar[str] = "outliers"

    names: tuple[str, ...]
    dropped: tuple[str, ...]
    columns: NDArray[np.intp]
    total: int
    median: Features
    scale: Features
    mean: Features
    precision: Features
    shrinkage: float
    threshold: float
    rate: float
    n_reference: int
    n_patients: int

    @classmethod
    def fit(
        cls,
        features: ArrayLike,
        names: Sequence[str] | None = None,
        *,
        rate: float = 0.02,
        patients: Sequence[str] | NDArray[np.generic] | None = None,
    ) -> Outliers:
        """Fits to real samples.

        Args:
            features: (n, d), of any extractor; radiomic ones are meant.
            names: (d,) to name features in reasons.
            rate: Share of fresh real samples that may be refused.
            patients: (n,) names; default: an image each.

        Raises:
            InputError: Fewer than 20 samples, no usable feature, or a rate that is no share.
        """
        table = np.asarray(features, np.float64)
        if table.ndim != 2 or len(table) < _LEAST:
            raise InputError(f"reference features of shape {table.shape}: give (n, d) of at least {_LEAST} samples")
        labels = tuple(names) if names is not None else tuple(f"feature {at}" for at in range(table.shape[1]))
        if len(labels) != table.shape[1]:
            raise InputError(f"{len(labels)} names for {table.shape[1]} features; give one a feature")
        own = codes(patients, len(table), "reference")
        usable = _usable(table)
        if not usable.any():
            raise InputError("reference features: none is finite and varies; give other features")
        columns = np.flatnonzero(usable)
        x = table[:, columns]
        scores = held_out_scores(lambda rows: _Model.of(x[rows]), lambda model, rows: model.values(x[rows]), own)
        model = _Model.of(x)
        return cls(
            tuple(labels[at] for at in columns), tuple(labels[at] for at in np.flatnonzero(~usable)), columns,
            table.shape[1], model.median, model.scale, model.mean, model.precision, model.shrinkage,
            conformal_threshold(scores, check_rate(rate), own), rate, len(table), len(np.unique(own)),
        )  # fmt: skip

    def values(self, features: ArrayLike) -> Features:
        """(n,) values of samples (n, d); NaN where a feature that is used is not finite.

        Raises:
            InputError: Another number of features.
        """
        table = np.atleast_2d(np.asarray(features, np.float64))
        if table.shape[1] != self.total:
            raise InputError(f"{table.shape[1]} features, the reference had {self.total}; use the same extractor")
        return self._model.values(table[:, self.columns])

    def judge(self, features: ArrayLike) -> Verdict:
        """The verdict on one sample of (d,) features."""
        value = float(self.values(features)[0])
        row = np.asarray(features, np.float64).reshape(-1)[self.columns]
        if not np.isfinite(value):
            bad = self.names[int((~np.isfinite(row)).argmax())]
            return undecided(_NAME, f"{bad} is not a finite number")
        if not np.isfinite(self.threshold):
            least = least_patients(self.rate)
            reason = f"{self.n_patients} patients: refusing {self.rate:.1%} needs {least}"
            return undecided(_NAME, reason, value)
        if value <= self.threshold:
            reason = (
                f"distance {value:.3g} is within {self.threshold:.3g}, as that of {1 - self.rate:.1%} of real images"
            )
            return Verdict(_NAME, value, self.threshold, "pass", reason)
        reason = f"distance {value:.3g} is above {self.threshold:.3g}, mostly by {self._blame(row)}"
        return Verdict(_NAME, value, self.threshold, "fail", reason)

    @property
    def _model(self) -> _Model:
        return _Model(self.median, self.scale, self.mean, self.precision, self.shrinkage)

    def _blame(self, row: Features) -> str:
        """The features with the largest shares of the squared distance, and which way they are off."""
        centred = self._model.squeezed(row[None])[0]
        shares = centred * (self.precision @ centred)
        worst = np.argsort(-shares)[:_SHOWN]
        return ", ".join(f"{self.names[at]} ({'high' if centred[at] > 0 else 'low'})" for at in worst)


@dataclass(frozen=True, eq=False)
class _Model:
    median: Features
    scale: Features
    mean: Features
    precision: Features
    shrinkage: float

    @classmethod
    def of(cls, x: Features) -> _Model:
        low, median, high = np.quantile(x, (0.25, 0.5, 0.75), axis=0)
        scale = (high - low) / 1.349  # the interquartile range of a standard normal distribution
        scale = np.where(scale > 1e-9 * np.abs(median), scale, x.std(0))
        scale = np.where(scale > 0, scale, 1.0)
        squeezed = np.arcsinh((x - median) / scale)
        mean = squeezed.mean(0)
        covariance, share = ledoit_wolf(squeezed - mean)
        inverse = cho_solve(cho_factor(covariance), np.eye(len(mean)))
        return cls(median, scale, mean, inverse, share)

    def squeezed(self, x: Features) -> Features:
        """(n, d) squeezed features, centred."""
        centred: Features = np.arcsinh((x - self.median) / self.scale) - self.mean
        return centred

    def values(self, x: Features) -> Features:
        centred = self.squeezed(np.where(np.isfinite(x), x, np.nan))
        square = np.einsum("nd,nd->n", centred @ self.precision, centred)
        found: Features = np.sqrt(np.maximum(square, 0) / len(self.mean))
        return found


def _usable(table: Features) -> NDArray[np.bool_]:
    """(d,) whether a feature is finite everywhere and varies by more than rounding."""
    finite = np.isfinite(table).all(0)
    known = np.where(finite, table, 0.0)
    usable: NDArray[np.bool_] = finite & (np.ptp(known, axis=0) > 1e-9 * np.abs(known).max(0))
    return usable
