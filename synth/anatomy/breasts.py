"""Breasts: skin, fat, lobes of gland, and the nipple; pressed flat before a detector, hanging, or spread when lying."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from synth.anatomy.solids import Loft, Tubes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from synth.anatomy.build import Build
    from synth.anatomy.outline import Axes

__all__ = ["Breast", "breast"]

_N_THETA, _N_W = 48, 28
_BLUNT = 0.97  # the areola is flat
_LOBES = 18
"""Lobes of a breast (15 to 20, Gray's Anatomy)."""
_DEEP_MM = 55.0
_WIDEST_MM = 92.0
_CLEAVAGE_MM = 7.0


@dataclass(frozen=True, eq=False)
class Breast:
    """One breast.

    Attributes:
        side: "left" or "right".
        skin: Its outside; None in men.
        gland: Its lobes.
        nipple: Nipple, standing out of the skin.
    """

    side: str
    skin: Loft | None
    gland: Tubes
    nipple: Tubes


@dataclass(frozen=True)
class _Held:
    """How a posture shapes it.

    Attributes:
        aspect: Height over half breadth.
        outward_deg: Direction from straight ahead.
        from_front_deg: Where its middle lies, about the middle of the chest.
        fullness: Power of the profile; 2 is an ellipsoid, more is flatter with steeper sides.
    """

    aspect: float
    outward_deg: float
    from_front_deg: float
    fullness: float


# All ours: pressed by the detector of a PA film, hanging free, and lying.
_PRESSED = _Held(0.45, 10.0, 37.0, 2.6)
_HANGING = _Held(0.92, 20.0, 37.0, 2.3)
_LYING = _Held(0.42, 30.0, 43.0, 2.6)
_PRESSED_MM = 50.0  # to which the detector flattens it; what does not fit goes aside, out of the field


def breast(
    build: Build,
    axes: Axes,
    surface: NDArray[np.float64],
    skin: NDArray[np.float64],
    sign: float,
    generator: np.random.Generator,
) -> Breast:
    """The breast of one side.

    Args:
        build: The body's measures.
        axes: Of the tables.
        surface: (n, m) outside of the muscles, mm.
        skin: (n, m) outside of the trunk without breasts, mm.
        sign: 1 left, −1 right.
        generator: Draws size, place and lobes; sides differ by a few per cent.
    """
    side = "left" if sign > 0 else "right"
    size, rise = np.clip(generator.standard_normal(2), -2, 2)
    if build.breast_ml <= 0:
        return _male(side, axes, skin, sign, 7.8 + 0.15 * float(rise))
    held = _LYING if build.supine else _HANGING if build.arms_up else _PRESSED
    volume = 1000.0 * build.breast_ml * (1 + 0.05 * float(size))
    share = np.pi * (1 - 1 / (1 + held.fullness))
    half = min((volume / (share * held.aspect)) ** (1 / 3), _WIDEST_MM)
    level = 6.6 + 0.1 * float(rise) + (0.7 if build.supine else 0.0)
    base = axes.point(surface, held.from_front_deg + 0.06 * (half - 60.0), level, sign)
    half = min(half, (abs(float(base[0])) - _CLEAVAGE_MM) / np.cos(np.deg2rad(held.outward_deg)))
    high = volume / (share * half**2)
    if held is _PRESSED:
        high = min(high, _PRESSED_MM)
    sag = build.breast_sag_mm * (1.0 if build.arms_up else 0.7)  # the detector lifts it
    skin_loft = _mound(base, half, high, sag, held, sign)
    apex = _apex(skin_loft)
    axis = skin_loft.axes[2]
    nipple = Tubes.along(np.stack([apex - 6.0 * axis, apex + 3.5 * axis]), np.array([7.0, 4.5]))
    gland = _lobes(skin_loft, high, build.breast_density * volume, generator)
    return Breast(side, skin_loft, gland, nipple)


def _mound(base: NDArray[np.float64], half: float, high: float, sag: float, held: _Held, sign: float) -> Loft:
    outward = np.deg2rad(held.outward_deg)
    w_axis = np.array([sign * np.sin(outward), -np.cos(outward), 0.0])
    up = np.array([0.0, 0.0, 1.0])
    axes = np.stack([np.cross(up, w_axis), up, w_axis])
    w = np.linspace(-_DEEP_MM, high, _N_W)
    t = np.maximum(w, 0) / high
    profile = np.sqrt(1 - (_BLUNT * t) ** held.fullness) * np.sqrt(1 - (np.minimum(w, 0) / (1.35 * _DEEP_MM)) ** 2)
    theta = np.arange(_N_THETA) * 2 * np.pi / _N_THETA
    # Full below, hollow above, the more so the more it sags.
    drooping = min(sag / half, 0.8)
    shape = 1 - 0.16 * drooping * np.sin(theta) + 0.05 * drooping * np.cos(2 * theta)
    radius = half * profile[:, None] * shape
    fall = -sag * np.interp(t, [0, 0.25, 0.6, 1.0], [0.0, 0.55, 1.0, 1.15])
    centre = np.stack([np.zeros_like(w), fall], axis=-1)
    return Loft(radius, centre, float(w[0]), float(w[1] - w[0]), base, axes)


def _apex(loft: Loft) -> NDArray[np.float64]:
    w = loft.w0 + loft.dw * (len(loft.centre) - 1)
    apex: NDArray[np.float64] = loft.origin + np.array([*loft.centre[-1], w]) @ loft.axes
    return apex


def _lobes(loft: Loft, high: float, volume: float, generator: np.random.Generator) -> Tubes:
    """Lobes around their ducts, which meet behind the nipple; more of them in the upper outer quadrant."""
    apex = _apex(loft) - 7.0 * loft.axes[2]
    largest = float(loft.radius.max())
    radius = min((max(volume, 0.0) / _LOBES / 5.2) ** (1 / 3), 0.3 * largest) + 0.8
    t = generator.uniform(0.12, 0.62, _LOBES)
    theta = (
        generator.vonmises(0.5, 0.5, _LOBES) if loft.axes[2][0] > 0 else generator.vonmises(np.pi - 0.5, 0.5, _LOBES)
    )
    far = np.sqrt(generator.uniform(0.02, 0.5, _LOBES))
    fat = np.exp(0.2 * np.clip(generator.standard_normal(_LOBES), -2, 2))
    row = (t * high - loft.w0) / loft.dw
    k = np.arange(len(loft.radius))
    q = far * np.interp(row, k, loft.radius.min(axis=1))
    centre = np.stack([np.interp(row, k, loft.centre[:, axis]) for axis in (0, 1)], axis=-1)
    local = np.column_stack([centre[:, 0] + q * np.cos(theta), centre[:, 1] + q * np.sin(theta), t * high])
    ends = loft.origin + local @ loft.axes
    middle = apex + 0.55 * (ends - apex)
    n = _LOBES
    normal = np.broadcast_to(loft.axes[2], (n, 3))
    inner = Tubes(np.broadcast_to(apex, (n, 3)), middle, np.full(n, 1.5), 0.7 * radius * fat, normal, np.ones(n))
    outer = Tubes(middle, ends, 0.7 * radius * fat, radius * fat, normal, np.full(n, 0.85))
    return Tubes.merged([inner, outer])


def _male(side: str, axes: Axes, skin: NDArray[np.float64], sign: float, level: float) -> Breast:
    """A nipple in the fourth interspace, and the small disc of gland behind it."""
    spot = axes.point(skin, 40.0, level, sign)
    inward = axes.point(skin - 10.0, 40.0, level, sign) - spot
    inward /= np.linalg.norm(inward)
    gland = Tubes.along(np.stack([spot + 5.5 * inward, spot + 6.5 * inward]), 8.0, normal=inward, flat=0.4)
    nipple = Tubes.along(np.stack([spot + 3.0 * inward, spot - 1.5 * inward]), np.array([5.0, 3.5]))
    return Breast(side, None, gland, nipple)
