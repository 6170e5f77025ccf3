"""From line integrals to the picture one looks at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from synth.core.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Collimation", "Processing", "Window", "present", "process"]

_WHITE = 65535
_AIR = 0.05  # line integrals below are beam that met nothing: they do not decide the window
_NARROWEST, _MOST = 1e-6, 1e12  # of a window: float32 holds the picture's scale
_PERCENTILES = (2.0, 99.7)
_WIDE_MM, _FINE_MM, _COARSE_MM = 30.0, 1.5, 2.0  # scales of the multi-scale contrast, and of the grid they are made on
_COMPRESSION, _RAISE = 0.85, 1.5  # at full strength


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


@dataclass(frozen=True)
class Processing:
    """What a vendor does to −ln of the signal.

    Attributes:
        percentiles: Of what lies behind the body, shown as black and as white (linear), or at a tenth and nine tenths
            of the way from black to white (sigmoid).
        curve: "sigmoid", the VOI LUT function of DICOM PS3.3 C.11.2.1.3.1, or "linear".
        contrast: Multi-scale contrast, 0 to 1: differences over centimetres are compressed, detail is raised.
        gamma: Power of the picture between black and white; above 1 darkens.
    """

    percentiles: tuple[float, float] = (2.0, 99.5)
    curve: str = "sigmoid"
    contrast: float = 0.4
    gamma: float = 1.0

    def __post_init__(self) -> None:
        if self.curve not in ("sigmoid", "linear"):
            raise InputError(f"processing: curve must be sigmoid or linear, got {self.curve!r}")
        if not (len(self.percentiles) == 2 and 0 <= self.percentiles[0] < self.percentiles[1] <= 100):
            raise InputError(
                f"processing: percentiles must be two numbers, 0 ≤ low < high ≤ 100, got {self.percentiles}"
            )
        if not (0 <= self.contrast <= 1 and 0.1 <= self.gamma <= 10):
            raise InputError(
                f"processing: contrast must be 0 to 1 and gamma 0.1 to 10; got {self.contrast}, {self.gamma}"
            )


def process(
    log_signal: NDArray[np.float32],
    shadow: NDArray[np.bool_],
    processing: Processing,
    *,
    pitch_mm: float,
    window: Window | None = None,
    field: NDArray[np.bool_] | None = None,
) -> NDArray[np.uint16]:
    """The picture of a raw image, brighter for more attenuation (MONOCHROME2).

    Args:
        log_signal: (h, w), −ln of the flat-fielded signal.
        shadow: (h, w), True behind the body: what decides the window.
        processing: What to do.
        pitch_mm: Distance of pixels.
        window: Shown as black and white instead of the percentiles.
        field: (h, w), True where the beam reaches the detector; the rest is black.
    """
    image = _multi_scale(log_signal, processing.contrast, pitch_mm) if processing.contrast else log_signal
    judged = shadow if field is None else shadow & field
    if window is None:
        low, high = np.percentile(image[judged], processing.percentiles) if judged.any() else (0.0, 1.0)
        window = Window(float(low), float(max(high, low + 1e-3)))
    place = (image - np.float32(window.low)) / np.float32(window.high - window.low)
    if processing.curve == "sigmoid":
        # A tenth at 0 and nine tenths at 1: the logistic function is there ln 9 from its middle.
        np.maximum(place, np.float32(-10), out=place)  # black, and the exponential does not overflow
        place = 1 / (1 + np.exp(np.float32(-2 * np.log(9)) * (place - np.float32(0.5))))
    np.clip(place, 0, 1, out=place)
    if processing.gamma != 1:
        place **= np.float32(processing.gamma)
    picture: NDArray[np.uint16] = np.rint(place * _WHITE).astype(np.uint16)
    if field is not None:
        picture[~field] = 0
    return picture


def _multi_scale(image: NDArray[np.float32], strength: float, pitch_mm: float) -> NDArray[np.float32]:
    """Compresses what is wider than some centimetres, and raises what is finer than some millimetres."""
    scale = max(1, min(round(_COARSE_MM / pitch_mm), *image.shape))
    coarse = image[scale // 2 :: scale, scale // 2 :: scale]
    wide, fine = (
        ndimage.zoom(
            ndimage.gaussian_filter(coarse, mm / (pitch_mm * scale), mode="nearest"),
            [n / m for n, m in zip(image.shape, coarse.shape, strict=True)],
            order=1, mode="nearest", grid_mode=True,
        )
        for mm in (_WIDE_MM, _FINE_MM)
    )  # fmt: skip
    middle = float(np.median(wide))
    detail = image - fine
    return (
        fine
        + np.float32(strength) * (np.float32(_COMPRESSION) * (middle - wide) + np.float32(_RAISE) * detail)
        + detail
    )
