"""What v1 cannot see: brightness and contrast, which it takes off every image before it looks for features."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np

from synth.metrics.frd.uncertainty import frd_p_value

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from synth.metrics.patients import Patients

    Floats = NDArray[np.float64]

__all__ = ["GreyShift", "grey_shift"]

SMALL = 0.2
"""Standard deviations that Cohen (1988) calls a small effect; below, a difference is not spoken of."""

LEVEL = 0.01
"""p-value below which it is."""

PERMUTATIONS = 199


@dataclass(frozen=True)
class GreyShift:
    """How the stored grey values of the generated set differ from the reference's.

    Attributes:
        brightness: Difference of the mean grey value, in standard deviations of the reference's images.
        contrast: Ratio of the grey values' standard deviation within an image, geometric means of the sets.
        contrast_shift: Difference of its logarithm, in standard deviations of the reference's images.
        p_value: Of "both sets have one distribution of brightness and contrast".
    """

    brightness: float
    contrast: float
    contrast_shift: float
    p_value: float

    @property
    def notable(self) -> bool:
        """Whether the difference is neither small nor chance."""
        return self.p_value <= LEVEL and max(abs(self.brightness), abs(self.contrast_shift)) >= SMALL

    def __str__(self) -> str:
        return f"brightness {self.brightness:+.2g} SD, contrast ×{self.contrast:.3g} (p {self.p_value:.2g})"

    def as_dict(self) -> dict[str, float]:
        """Plain values, for JSON."""
        return asdict(self)


def grey_shift(x: Floats, y: Floats, rng: np.random.Generator, patients: Patients | None = None) -> GreyShift:
    """Compares means and standard deviations of grey values, (n, 2) of the reference and (m, 2) of the generated set.

    Args:
        x: The reference's; standard deviations above 0.
        y: The generated set's.
        rng: Permutes.
        patients: Names of the patients of both sets; default: an image each.
    """
    first, second = (np.column_stack([one[:, 0], np.log(np.maximum(one[:, 1], 1e-300))]) for one in (x, y))
    gap = second.mean(0) - first.mean(0)
    deviation = first.std(0)
    rounding = 1e-12 * np.maximum(np.abs(first.mean(0)), 1.0)
    shift = np.where(np.abs(gap) <= rounding, 0.0, gap / np.maximum(deviation, rounding))
    p = frd_p_value(first, second, rng, PERMUTATIONS, patients)
    return GreyShift(float(shift[0]), float(np.exp(gap[1])), float(shift[1]), p)
