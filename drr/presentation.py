"""From line integrals to the picture one looks at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from synth.core.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Collimation", "Window", "present"]

_WHITE = 65535
_AIR = 0.05  # line integrals below are beam that met nothing: they do not decide the window
_NARROWEST, _MOST = 1e-6, 1e12  # of a window: float32 holds the picture's scale
_PERCENTILES = (2.0, 99.7)


@dataclass(frozen=True)
class Window:
    """Line integrals shown as black and as white."""

    low: float
    high: float

    def __post_init__(self) -> None:
        if not (-_MOST <= self.low < self.high <= _MOST and self.high - self.low >= _NARROWEST):
            raise InputError(
                f"window must be two finite numbers, low < high, {_NARROWEST:g} or more apart and within ±{_MOST:g}; "
                f"got {self.low:g}, {self.high:g}"
            )


@dataclass(frozen=True)
class Collimation:
    """Blades that cut the beam: millimetres covered at each side of the detector."""

    left: float = 0.0
    right: float = 0.0
    top: float = 0.0
    bottom: float = 0.0

    def __post_init__(self) -> None:
        blades = [self.left, self.right, self.top, self.bottom]
        if not (np.isfinite(blades).all() and min(blades) >= 0):
            raise InputError(f"collimation must be millimetres, finite and not negative; got {blades}")

    def open_field(self, shape: tuple[int, int], pitch_mm: tuple[float, float]) -> NDArray[np.bool_]:
        """(h, w), True where the beam reaches the detector.

        Raises:
            InputError: Blades that cover everything.
        """
        (h, w), (pitch_v, pitch_u) = shape, pitch_mm
        v, u = (np.arange(h) + 0.5) * pitch_v, (np.arange(w) + 0.5) * pitch_u
        rows = (v >= self.top) & (v <= h * pitch_v - self.bottom)
        columns = (u >= self.left) & (u <= w * pitch_u - self.right)
        if not (rows.any() and columns.any()):
            raise InputError(f"collimation: the blades cover the whole {w * pitch_u:.0f}×{h * pitch_v:.0f} mm detector")
        return rows[:, None] & columns[None, :]


def present(
    line_integral: NDArray[np.float32], window: Window | None = None, field: NDArray[np.bool_] | None = None
) -> tuple[NDArray[np.uint16], Window]:
    """A picture with brighter for more attenuation (MONOCHROME2).

    Args:
        line_integral: (h, w), ∫μ dl.
        window: What to show as black and white; default: the 2 and 99.7 percentiles of what the beam met.
        field: (h, w), True where the beam reaches the detector; the rest is black, like a digital shutter.

    Returns:
        (h, w) uint16, and the window used.
    """
    if window is None:
        seen = line_integral if field is None else line_integral[field]
        met = seen[seen > _AIR]
        low, high = np.percentile(met, _PERCENTILES) if met.size else (0.0, 1.0)
        window = Window(float(low), float(max(high, low + 1e-3)))
    scaled = (line_integral - np.float32(window.low)) * np.float32(_WHITE / (window.high - window.low))
    picture = np.rint(np.clip(scaled, 0, _WHITE)).astype(np.uint16)
    if field is not None:
        picture[~field] = 0
    return picture, window
