"""What every score returns, and what every score asks of its features."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from synth.core.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["ENOUGH", "Score", "check_features", "check_pair", "overlap_warnings", "same_set", "size_warnings"]

ENOUGH = 2
"""Images a feature below which covariances say little and FD∞ leans on too small halves; docs/scores.md shows it."""


@dataclass(frozen=True)
class Score:
    """A score and how far to trust it.

    Attributes:
        value: The score.
        low: Lower end of the 95 % interval; None where the score has none.
        high: Its upper end.
        floor: What a perfect generator would score at these sizes: real against real. Scores that are right on average
            at any size (KID, FD∞) are 0 there on average; their floor is the standard deviation.
        p_value: Permutation p-value of "both sets come from one distribution"; None where not asked for.
        n_reference: Images in the reference set.
        n_generated: Images in the generated set.
        warnings: What a reader should know before believing the value, a sentence each.
    """

    value: float
    low: float | None = None
    high: float | None = None
    floor: float | None = None
    p_value: float | None = None
    n_reference: int = 0
    n_generated: int = 0
    warnings: tuple[str, ...] = ()

    def __float__(self) -> float:
        return self.value

    def __str__(self) -> str:
        parts = [] if self.low is None or self.high is None else [f"95 % interval {self.low:.4g} to {self.high:.4g}"]
        parts += [] if self.floor is None else [f"floor {self.floor:.4g}"]
        parts += [] if self.p_value is None else [f"p {self.p_value:.2g}"]
        parts += [f"{self.n_reference} reference, {self.n_generated} generated"]
        return f"{self.value:.4g} ({'; '.join(parts)})"

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self) | {"warnings": list(self.warnings)}

    def with_warnings(self, *more: str) -> Score:
        """The same score with more warnings; one already there is not said twice."""
        return replace(self, warnings=tuple(dict.fromkeys((*self.warnings, *more))))


def check_features(features: ArrayLike, name: str = "features", *, least: int = 2) -> NDArray[np.float64]:
    """Features as (n, d) float64.

    Args:
        features: (n, d) numbers, a row an image.
        name: What to call them in messages.
        least: Images needed.

    Raises:
        InputError: Another shape, NaN or infinity, or fewer than `least` rows.
    """
    try:
        array = np.asarray(features, np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"{name}: not an array of numbers; give an (images, features) array") from error
    if array.ndim != 2 or array.shape[1] == 0:
        raise InputError(f"{name}: shape {array.shape}; give an (images, features) array")
    if len(array) < least:
        raise InputError(f"{name}: {len(array)} image(s); this score needs at least {least}")
    bad = ~np.isfinite(array).all(1)
    if bad.any():
        first = int(bad.argmax())
        column = int((~np.isfinite(array[first])).argmax())
        raise InputError(
            f"{name}: {int(bad.sum())} of {len(array)} rows hold NaN or infinity, first row {first} column {column}; "
            "leave these images out or drop the columns that fail"
        )
    return array


def check_pair(
    reference: ArrayLike, generated: ArrayLike, *, least: int = 2
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Two feature sets, each as `check_features` gives it, with the same columns.

    Raises:
        InputError: As `check_features`; or the sets differ in their number of features.
    """
    x = check_features(reference, "reference features", least=least)
    y = check_features(generated, "generated features", least=least)
    if x.shape[1] != y.shape[1]:
        raise InputError(
            f"reference has {x.shape[1]} features an image, generated {y.shape[1]}; use the same extractor"
        )
    return x, y


def same_set(reference: NDArray[np.float64], generated: NDArray[np.float64]) -> bool:
    """Whether both hold the same rows, in whatever order."""
    return reference.shape == generated.shape and sorted(_rows(reference)) == sorted(_rows(generated))


def overlap_warnings(reference: NDArray[np.float64], generated: NDArray[np.float64]) -> tuple[str, ...]:
    """Says so where both sets are one, or where generated rows equal reference rows bit by bit."""
    if same_set(reference, generated):
        return ("reference and generated hold the same features: the same set twice?",)
    known = set(_rows(reference))
    shared = sum(row in known for row in _rows(generated))
    if not shared:
        return ()
    return (f"{shared} of {len(generated)} generated images have the features of a reference image: copies?",)


def size_warnings(n_reference: int, n_generated: int, d: int) -> tuple[str, ...]:
    """Says so where a set has fewer than two images a feature."""
    n = min(n_reference, n_generated)
    if n >= ENOUGH * d:
        return ()
    return (
        f"{n} images for {d} features: below {ENOUGH} images a feature covariances are mostly noise; "
        f"compare with the floor, or use at least {ENOUGH * d} images or fewer features",
    )


def _rows(features: NDArray[np.float64]) -> list[bytes]:
    return [row.tobytes() for row in np.ascontiguousarray(features) + 0.0]  # + 0.0: −0 equals 0
