"""Samples that copy a training image, told one by one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from synth.core.errors import InputError
from synth.metrics.distances.neighbours import nearest
from synth.metrics.patients import codes
from synth.metrics.score_value import check_features
from synth.metrics.verdicts.conformal import check_rate, conformal_threshold, least_patients
from synth.metrics.verdicts.storage import Stored
from synth.metrics.verdicts.verdict import Verdict, undecided

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    Features = NDArray[np.float64]
    Codes = NDArray[np.intp]

__all__ = ["Copies"]

_NAME = "copies"
_RANK = 5
"""The patient whose distance the nearest's is compared with: far enough to be no copy, near enough to be local."""

_LEAST = 20


@dataclass(frozen=True, eq=False)
class Copies(Stored):
    """Distance to the nearest training patient over that to the fifth nearest.

    A copy is near to one patient and no nearer to others than anyone is; in a dense region both distances are small,
    and the ratio is as usual. The threshold comes from the training images themselves, each against other patients.
    For a whole set `synth.metrics.memorisation.copying` sees more. What is saved holds the training images' features.

    Attributes:
        mean: (d,) of the training features.
        scale: (d,) standard deviations, by which distances are taken.
        train: (n, d) standardised.
        patients: (n,) codes.
        threshold: On the ratio, below which a sample fails; 0 where the training set is too small for the rate.
        rate: Share of fresh real samples that are refused.
    """

    kind: ClassVar[str] = "copies"

    mean: Features
    scale: Features
    train: Features
    patients: Codes
    threshold: float
    rate: float

    @classmethod
    def fit(
        cls,
        features: ArrayLike,
        *,
        rate: float = 0.01,
        patients: Sequence[str] | NDArray[np.generic] | None = None,
    ) -> Copies:
        """Fits to the training images.

        Args:
            features: (n, d) of what the generator was trained on.
            rate: Share of fresh real samples that may be refused.
            patients: (n,) names; default: an image each.

        Raises:
            InputError: Malformed features, fewer than 20 patients, or a rate that is no share.
        """
        x = check_features(features, "training features", least=_LEAST)
        own = codes(patients, len(x), "training set")
        if len(np.unique(own)) < _LEAST:
            raise InputError(f"{len(np.unique(own))} training patients: copies are told from at least {_LEAST}")
        mean, scale = x.mean(0), x.std(0)
        scale = np.where(scale > 1e-9 * np.maximum(np.abs(mean), 1e-300), scale, np.inf)
        x = (x - mean) / scale
        ratios, _ = _ratios(x, x, own, own)
        threshold = float(np.exp(-conformal_threshold(-np.log(ratios + 1e-12), check_rate(rate), own)))
        return cls(mean, scale, x, own, threshold, rate)

    def values(self, features: ArrayLike) -> tuple[Features, NDArray[np.intp]]:
        """Ratios (n,) of samples (n, d), and the nearest training image (n,) of each.

        Raises:
            InputError: Malformed features.
        """
        x = check_features(np.atleast_2d(np.asarray(features, np.float64)), least=1)
        if x.shape[1] != len(self.mean):
            raise InputError(f"{x.shape[1]} features, training images had {len(self.mean)}; use the same extractor")
        return _ratios((x - self.mean) / self.scale, self.train, self.patients)

    def judge(self, features: ArrayLike) -> Verdict:
        """The verdict on one sample of (d,) features."""
        ratios, near = self.values(features)
        value = float(ratios[0])
        if self.threshold == 0:
            few = (
                f"{len(np.unique(self.patients))} patients: refusing {self.rate:.1%} needs {least_patients(self.rate)}"
            )
            return undecided(_NAME, few, value)
        where = f"{value:.3g} times as far from training image {int(near[0])} as from the fifth nearest patient"
        if value < self.threshold:
            return Verdict(_NAME, value, self.threshold, "fail", f"{where}, below {self.threshold:.3g}")
        return Verdict(_NAME, value, self.threshold, "pass", f"{where}, not below {self.threshold:.3g}")


def _ratios(
    x: Features, train: Features, patients: Codes, own: Codes | None = None
) -> tuple[Features, NDArray[np.intp]]:
    """(n,) distance to the nearest patient over that to the fifth nearest, and the nearest image."""
    most = int(np.bincount(patients).max())
    found = nearest(x, train, _RANK * most, None if own is None else (own, patients))
    ratios = np.ones(len(x))
    for row, (near, distances) in enumerate(zip(patients[found.indices], found.distances, strict=True)):
        _, first = np.unique(near, return_index=True)  # the lists are sorted: the nearest image of each patient
        reach = distances[np.sort(first)][_RANK - 1]
        ratios[row] = distances[0] / reach if reach > 0 else 1.0
    return ratios, found.indices[:, 0]
