"""Whether organs are there, as large as in real samples, and in their place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from synth.core.errors import InputError
from synth.metrics.patients import codes
from synth.metrics.verdicts.conformal import check_rate, conformal_threshold, held_out_scores, least_patients
from synth.metrics.verdicts.storage import Stored
from synth.metrics.verdicts.verdict import Verdict, undecided

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    Table = NDArray[np.float64]
    Masks = Mapping[str, NDArray[Any]]

__all__ = ["Anatomy"]

_LEAST = 20
_REQUIRED = 0.95
"""A structure in so many of the reference samples is one that a sample must have."""

_TAIL = 1.645  # the 95 % quantile of the standard normal distribution


@dataclass(frozen=True, eq=False)
class Anatomy(Stored):
    """Ranges of areas and positions of structures.

    Of each structure in at least 95 % of the reference: the logarithm of its share of the image, and the place of its
    centre along each axis, 0 to 1. A measure's distance from the median is taken in units of the reference's spread on
    that side (median to 5 % or 95 % quantile); the largest of a sample's distances is held against one conformal
    threshold.

    Attributes:
        structures: (s,) names that a sample must have.
        ignored: Names in fewer of the reference samples.
        median: (s, 1 + axes).
        low: (s, 1 + axes) scale below the median.
        high: (s, 1 + axes) scale above it.
        threshold: On the largest distance; infinite where the reference is too small for the rate.
        rate: Share of fresh real samples with all structures that are refused.
        n_reference: Samples fitted to.
    """

    kind: ClassVar[str] = "anatomy"

    structures: tuple[str, ...]
    ignored: tuple[str, ...]
    median: Table
    low: Table
    high: Table
    threshold: float
    rate: float
    n_reference: int

    @classmethod
    def fit(
        cls,
        samples: Iterable[Masks],
        *,
        rate: float = 0.03,
        patients: Sequence[str] | NDArray[np.generic] | None = None,
    ) -> Anatomy:
        """Fits to real samples.

        Args:
            samples: Structure → mask (h, w) or (z, y, x), of each; an iterator is read once.
            rate: Share of fresh real samples that may be refused for a size or a place.
            patients: A name a sample; default: a sample each.

        Raises:
            InputError: Fewer than 20 samples, no structure that nearly all have, or masks of different dimensions.
        """
        rows = [{name: _measures(mask) for name, mask in sample.items()} for sample in samples]
        if len(rows) < _LEAST:
            raise InputError(f"{len(rows)} reference samples: anatomy is judged by at least {_LEAST}")
        own = codes(patients, len(rows), "reference")
        names = sorted({name for row in rows for name in row})
        present = {name: sum(row.get(name) is not None for row in rows) for name in names}
        kept = tuple(name for name in names if present[name] >= _REQUIRED * len(rows))
        if not kept:
            raise InputError("reference: no structure is in nearly all samples; give masks of the same structures")
        table = _table(rows, kept)
        scores = held_out_scores(lambda some: _ranges(table[some]), lambda model, some: _far(model, table[some]), own)
        median, low, high = _ranges(table)
        threshold = conformal_threshold(scores, check_rate(rate), own)
        ignored = tuple(name for name in names if name not in kept)
        return cls(kept, ignored, median, low, high, threshold, rate, len(rows))

    def judge(self, masks: Masks) -> tuple[Verdict, ...]:
        """The verdicts on one sample, one a structure.

        Args:
            masks: Structure → mask. A structure that is missing or empty fails.

        Raises:
            InputError: Masks of other dimensions than the reference's.
        """
        return tuple(self._one(at, name, masks.get(name)) for at, name in enumerate(self.structures))

    def _one(self, at: int, name: str, mask: NDArray[Any] | None) -> Verdict:
        title = f"anatomy {name}"
        found = None if mask is None else _measures(mask)
        if found is None:
            share = f"{_REQUIRED:.0%} of the reference have it"
            return Verdict(title, 0.0, None, "fail", f"{name} is missing; at least {share}")
        if len(found) != self.median.shape[1]:
            raise InputError(f"{name}: a mask of {len(found) - 1} axes, the reference's had {self.median.shape[1] - 1}")
        signed = _signed((self.median[at], self.low[at], self.high[at]), found)
        worst = int(np.abs(signed).argmax())
        value = float(abs(signed[worst]))
        if not np.isfinite(self.threshold):
            least = least_patients(self.rate)
            return undecided(title, f"too few reference samples: refusing {self.rate:.1%} needs {least}", value)
        reason = self._words(at, worst, float(found[worst]))
        return Verdict(title, value, self.threshold, "fail" if value > self.threshold else "pass", f"{name}: {reason}")

    def _words(self, at: int, measure: int, value: float) -> str:
        """The most unusual measure, with the range that passes."""
        middle = self.median[at, measure]
        ends = np.array([middle - self.threshold * self.low[at, measure],
                         middle + self.threshold * self.high[at, measure]])  # fmt: skip
        if measure == 0:
            share, (low, high) = np.exp(value), np.exp(ends)
            return f"fills {share:.2%} of the image; reference {low:.2%} to {high:.2%}"
        axis = ("x", "y", "z")[self.median.shape[1] - 1 - measure]
        return f"centre at {value:.2f} along {axis}; reference {ends[0]:.2f} to {ends[1]:.2f}"


def _measures(mask: NDArray[Any]) -> Table | None:
    """(1 + axes,) logarithm of the share, and the centre, 0 to 1 along each axis; None for an empty mask."""
    if mask.ndim not in (2, 3):
        raise InputError(f"a mask of shape {mask.shape}: give (h, w) or (z, y, x)")
    foreground = np.asarray(mask) != 0
    count = int(np.count_nonzero(foreground))
    if count == 0:
        return None
    centre = []
    for axis, length in enumerate(mask.shape):
        along = foreground.sum(axis=tuple(other for other in range(mask.ndim) if other != axis))
        centre.append(float(along @ (np.arange(length) + 0.5)) / (count * length))
    return np.array([np.log(count / mask.size), *centre])


def _table(rows: list[dict[str, Table | None]], names: tuple[str, ...]) -> Table:
    """(n, s, 1 + axes); NaN where a structure is missing."""
    lengths = {len(one) for row in rows for one in row.values() if one is not None}
    if len(lengths) > 1:
        raise InputError("reference: masks of 2 and of 3 axes; judge images and volumes apart")
    empty = np.full(lengths.pop(), np.nan)
    return np.array([[empty if (one := row.get(name)) is None else one for name in names] for row in rows])


def _ranges(table: Table) -> tuple[Table, Table, Table]:
    """Median and scales below and above it."""
    low, median, high = np.nanquantile(table, (0.05, 0.5, 0.95), axis=0)
    tiny = 1e-6
    return median, np.maximum(median - low, tiny) / _TAIL, np.maximum(high - median, tiny) / _TAIL


def _signed(ranges: tuple[Table, Table, Table], values: Table) -> Table:
    median, low, high = ranges
    difference = values - median
    scaled: Table = difference / np.where(difference < 0, low, high)
    return scaled


def _far(ranges: tuple[Table, Table, Table], table: Table) -> Table:
    """(n,) the largest distance of each sample."""
    found: Table = np.nanmax(np.abs(_signed(ranges, table)).reshape(len(table), -1), axis=1, initial=0.0)
    return found
