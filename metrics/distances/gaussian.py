"""Mean and covariance of feature sets, also of sets that do not fit memory."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from zipfile import BadZipFile

import numpy as np

from synth.core.errors import InputError
from synth.core.files import atomic_path
from synth.metrics.score_value import check_features

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import ArrayLike, NDArray

__all__ = ["GaussianStatistics"]


@dataclass(frozen=True)
class GaussianStatistics:
    """Count, mean and scatter of n feature vectors; batches and whole sets merge in any order.

    Merging is Chan, Golub and LeVeque's pairwise update ("Updating formulae and a pairwise algorithm for computing
    sample variances", 1979): S = S₁ + S₂ + n₁n₂/n · δδᵀ with δ = μ₂ − μ₁, which loses no digits to a large mean.

    Attributes:
        n: Images seen.
        mean: (d,) float64.
        scatter: (d, d) float64, Σ (x − μ)(x − μ)ᵀ.
    """

    n: int
    mean: NDArray[np.float64]
    scatter: NDArray[np.float64]

    @classmethod
    def of(cls, features: ArrayLike) -> GaussianStatistics:
        """Statistics of (n, d) features.

        Raises:
            InputError: Not two-dimensional, empty, NaN or infinity.
        """
        array = check_features(features, least=1)
        mean = array.mean(0)
        centred = array - mean
        return cls(len(array), mean, centred.T @ centred)

    @classmethod
    def of_batches(cls, batches: Iterable[ArrayLike]) -> GaussianStatistics:
        """Statistics of all rows of an iterable of (n, d) batches, of which one at a time is in memory.

        Raises:
            InputError: No batch; a batch that `of` refuses; batches with different numbers of features.
        """
        total: GaussianStatistics | None = None
        for batch in batches:
            found = cls.of(batch)
            total = found if total is None else total.merged(found)
        if total is None:
            raise InputError("no batch of features; the set is empty")
        return total

    @property
    def d(self) -> int:
        """Features an image."""
        return len(self.mean)

    def merged(self, other: GaussianStatistics) -> GaussianStatistics:
        """Statistics of both sets together.

        Raises:
            InputError: Different numbers of features.
        """
        if self.d != other.d:
            raise InputError(f"{self.d} and {other.d} features an image; extract all batches with the same extractor")
        n = self.n + other.n
        delta = other.mean - self.mean
        mean = self.mean + delta * (other.n / n)
        scatter = self.scatter + other.scatter + np.outer(delta, delta * (self.n * other.n / n))
        return GaussianStatistics(n, mean, scatter)

    def covariance(self, ddof: int = 1) -> NDArray[np.float64]:
        """(d, d) covariance with n − ddof in the denominator, as numpy.cov.

        Raises:
            InputError: n ≤ ddof.
        """
        if self.n <= ddof:
            raise InputError(f"{self.n} image(s): a covariance needs at least {ddof + 1}")
        return self.scatter / (self.n - ddof)

    def save(self, path: Path | str) -> None:
        """Writes an .npz with `mu` and `sigma` (ddof 1), as clean-fid and pytorch-fid name them, and `n`.

        Raises:
            InputError: The file cannot be written; fewer than two images.
        """
        sigma = self.covariance()
        with atomic_path(Path(path)) as temporary, temporary.open("wb") as file:
            np.savez(file, mu=self.mean, sigma=sigma, n=np.int64(self.n))

    @classmethod
    def load(cls, path: Path | str, n: int | None = None) -> GaussianStatistics:
        """Reads `save`'s file, or clean-fid's or pytorch-fid's, which lack the count. Never unpickles.

        Args:
            path: The .npz.
            n: Images behind the statistics, for a file that does not say.

        Raises:
            InputError: Unreadable, not such a file, malformed, or without a count anywhere.
        """
        try:
            with Path(path).open("rb") as file:
                arrays = dict(np.load(file, allow_pickle=False))
            mean, sigma = np.asarray(arrays["mu"], np.float64), np.asarray(arrays["sigma"], np.float64)
            n = int(arrays["n"]) if "n" in arrays else n
        except (OSError, ValueError, TypeError, KeyError, EOFError, BadZipFile) as error:
            raise InputError(f"{path}: no statistics to read (an .npz with mu and sigma is needed): {error}") from error
        if mean.ndim != 1 or sigma.shape != (len(mean), len(mean)):
            raise InputError(f"{path}: mu {mean.shape} and sigma {sigma.shape} do not fit together")
        if not (np.isfinite(mean).all() and np.isfinite(sigma).all()):
            raise InputError(f"{path}: mu or sigma holds NaN or infinity; make the statistics again")
        if n is None or n < 2:
            raise InputError(f"{path}: does not say of how many images it is; give n (at least 2)")
        return cls(n, mean, sigma * (n - 1))
