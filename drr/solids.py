"""Solids with closed-form chords: ellipsoids, boxes, elliptic cylinders and capsules, in any position and rotation.

Every solid is a unit shape under an affine map and may be cut by half-spaces; all are convex, so that a straight line
meets each in one interval.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numba import njit

from synth.core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import ArrayLike, NDArray

__all__ = [
    "HalfSpace", "PackedSolids", "Solid", "box", "capsule", "cylinder", "ellipsoid", "interval", "pack",
    "rotation_along", "tube",
]  # fmt: skip

_ELLIPSOID, _BOX, _CYLINDER, _CAPSULE = range(4)


class HalfSpace(NamedTuple):
    """The points p with normal · p ≤ offset, world mm."""

    normal: tuple[float, float, float]
    offset: float


@dataclass(frozen=True, eq=False)
class Solid:
    """One body; made by `ellipsoid`, `box`, `cylinder` or `capsule`.

    Attributes:
        kind: The unit shape.
        centre: (3,), world mm.
        axes: (3, 3), columns: the half axes, world mm.
        hu: Hounsfield units inside.
        name: What structure it belongs to; "" for none.
        reach: Half the straight part of a capsule, in units of its third half axis.
        clips: Half-spaces that the solid is cut to.
    """

    kind: int
    centre: NDArray[np.float64]
    axes: NDArray[np.float64]
    hu: float
    name: str = ""
    reach: float = 0.0
    clips: tuple[HalfSpace, ...] = ()

    def __post_init__(self) -> None:
        if self.centre.shape != (3,) or self.axes.shape != (3, 3) or not np.isfinite([*self.centre, self.hu]).all():
            raise InputError(f"solid {self.name!r}: centre and half axes must be three finite numbers each")
        if not (np.linalg.norm(self.axes, axis=0) > 0).all() or not abs(np.linalg.det(self.axes)) > 0:
            raise InputError(f"solid {self.name!r}: half axes must be positive, got {self.axes.tolist()}")


def ellipsoid(
    centre: ArrayLike,
    half_axes: ArrayLike,
    hu: float,
    name: str = "",
    *,
    rotation: ArrayLike | None = None,
    clips: Iterable[HalfSpace] = (),
) -> Solid:
    """An ellipsoid.

    Args:
        centre: (3,), world mm.
        half_axes: (3,), mm.
        hu: Hounsfield units inside.
        name: Structure.
        rotation: (3, 3), columns: directions of the half axes; default: x, y, z.
        clips: Half-spaces to cut it to.

    Raises:
        InputError: A half axis that is not positive, or numbers that are not finite.
    """
    return Solid(_ELLIPSOID, np.asarray(centre, float), _axes(half_axes, rotation), hu, name, 0.0, tuple(clips))


def box(
    centre: ArrayLike, half_axes: ArrayLike, hu: float, name: str = "", *, rotation: ArrayLike | None = None
) -> Solid:
    """A box; arguments as for `ellipsoid`."""
    return Solid(_BOX, np.asarray(centre, float), _axes(half_axes, rotation), hu, name)


def cylinder(
    centre: ArrayLike, half_axes: ArrayLike, hu: float, name: str = "", *, rotation: ArrayLike | None = None
) -> Solid:
    """A finite elliptic cylinder along its third half axis; arguments as for `ellipsoid`."""
    return Solid(_CYLINDER, np.asarray(centre, float), _axes(half_axes, rotation), hu, name)


def capsule(
    start: ArrayLike,
    end: ArrayLike,
    radius: float,
    hu: float,
    name: str = "",
    *,
    flat: tuple[ArrayLike, float] | None = None,
) -> Solid:
    """All points within `radius` of a segment: joined at their ends, capsules make smooth bends.

    Args:
        start: (3,), one end of the segment, world mm.
        end: (3,), the other, world mm; may be the same point.
        radius: mm.
        hu: Hounsfield units inside.
        name: Structure.
        flat: (direction, radius): another radius, mm, along a direction, of which the part across the segment counts.

    Raises:
        InputError: A radius that is not positive, or numbers that are not finite.
    """
    start, end = np.asarray(start, float), np.asarray(end, float)
    length = float(np.linalg.norm(end - start))
    along = (end - start) / length if length > 0 else np.array([0.0, 0.0, 1.0])
    first = np.asarray(flat[0], float) if flat else np.eye(3)[np.abs(along).argmin()]
    first = first - (first @ along) * along
    first /= np.linalg.norm(first)
    rotation = np.stack([first, np.cross(along, first), along], axis=1)
    axes = _axes([flat[1] if flat else radius, radius, radius], rotation)
    return Solid(_CAPSULE, (start + end) / 2, axes, hu, name, length / 2 / radius)


def tube(points: Sequence[ArrayLike], radius: float, hu: float, name: str = "") -> list[Solid]:
    """Capsules along a polyline of points (3,), world mm; the rest as for `capsule`."""
    return [capsule(a, b, radius, hu, name) for a, b in pairwise(points)]


def rotation_along(direction: ArrayLike) -> NDArray[np.float64]:
    """A rotation (3, 3) whose first column points along a direction, not z, and whose second is horizontal."""
    first = np.asarray(direction, float) / np.linalg.norm(direction)
    second = np.cross([0.0, 0.0, 1.0], first)
    second /= np.linalg.norm(second)
    return np.stack([first, second, np.cross(first, second)], axis=1)


def _axes(half_axes: ArrayLike, rotation: ArrayLike | None) -> NDArray[np.float64]:
    lengths = np.asarray(half_axes, float)
    if lengths.shape != (3,) or not (lengths > 0).all():
        raise InputError(f"half axes must be three positive numbers of mm, got {lengths.tolist()}")
    axes: NDArray[np.float64] = lengths * (np.eye(3) if rotation is None else np.asarray(rotation, float))
    return axes


class PackedSolids(NamedTuple):
    """Solids as arrays for compiled code."""

    kind: NDArray[np.int64]  # (n,)
    reach: NDArray[np.float64]  # (n,)
    centre: NDArray[np.float64]  # (n, 3)
    to_unit: NDArray[np.float64]  # (n, 3, 3): world vectors to those of the unit shape
    clips: NDArray[np.float64]  # (m, 4): normal and offset
    first_clip: NDArray[np.int64]  # (n + 1,)


def pack(solids: Sequence[Solid]) -> PackedSolids:
    """Arrays of `interval`."""
    clips = [(*clip.normal, clip.offset) for solid in solids for clip in solid.clips]
    return PackedSolids(
        np.array([solid.kind for solid in solids], np.int64),
        np.array([solid.reach for solid in solids], float),
        np.array([solid.centre for solid in solids], float).reshape(-1, 3),
        np.array([np.linalg.inv(solid.axes) for solid in solids], float).reshape(-1, 3, 3),
        np.array(clips, float).reshape(-1, 4),
        np.cumsum([0, *(len(solid.clips) for solid in solids)]).astype(np.int64),
    )


@njit(nogil=True, cache=True)
def interval(solids, i, sx, sy, sz, dx, dy, dz, t0, t1):  # type: ignore[no-untyped-def]
    """The part of [t0, t1] at which the point s + t·d is inside solid i; empty where the first is not the smaller."""
    rx, ry, rz = sx - solids.centre[i, 0], sy - solids.centre[i, 1], sz - solids.centre[i, 2]
    M = solids.to_unit[i]
    px = M[0, 0] * rx + M[0, 1] * ry + M[0, 2] * rz
    py = M[1, 0] * rx + M[1, 1] * ry + M[1, 2] * rz
    pz = M[2, 0] * rx + M[2, 1] * ry + M[2, 2] * rz
    qx = M[0, 0] * dx + M[0, 1] * dy + M[0, 2] * dz
    qy = M[1, 0] * dx + M[1, 1] * dy + M[1, 2] * dz
    qz = M[2, 0] * dx + M[2, 1] * dy + M[2, 2] * dz
    kind = solids.kind[i]
    if kind == _ELLIPSOID:
        a, b = _ball(px, py, pz, qx, qy, qz)
    elif kind == _BOX:
        a, b = _both(_slab(px, qx, 1.0), _both(_slab(py, qy, 1.0), _slab(pz, qz, 1.0)))
    elif kind == _CYLINDER:
        a, b = _both(_ball(px, py, 0.0, qx, qy, 0.0), _slab(pz, qz, 1.0))
    else:
        reach = solids.reach[i]
        tube = _both(_ball(px, py, 0.0, qx, qy, 0.0), _slab(pz, qz, reach))
        caps = _hull(_ball(px, py, pz - reach, qx, qy, qz), _ball(px, py, pz + reach, qx, qy, qz))
        a, b = _hull(tube, caps)
    a, b = max(a, t0), min(b, t1)
    for k in range(solids.first_clip[i], solids.first_clip[i + 1]):
        clip = solids.clips[k]
        beyond = clip[0] * sx + clip[1] * sy + clip[2] * sz - clip[3]
        slope = clip[0] * dx + clip[1] * dy + clip[2] * dz
        if slope > 0:
            b = min(b, -beyond / slope)
        elif slope < 0:
            a = max(a, -beyond / slope)
        elif beyond > 0:
            b = a
    return a, b


@njit(nogil=True, cache=True, inline="always")
def _ball(px, py, pz, qx, qy, qz):  # type: ignore[no-untyped-def]
    """Inside the unit ball; from the nearest approach, which loses no digits to a far source."""
    square = qx * qx + qy * qy + qz * qz
    if square == 0.0:
        return (-math.inf, math.inf) if px * px + py * py + pz * pz < 1 else (math.inf, -math.inf)
    nearest = -(px * qx + py * qy + pz * qz) / square
    x, y, z = px + nearest * qx, py + nearest * qy, pz + nearest * qz
    rest = 1 - (x * x + y * y + z * z)
    if rest <= 0:
        return math.inf, -math.inf
    half = math.sqrt(rest / square)
    return nearest - half, nearest + half


@njit(nogil=True, cache=True, inline="always")
def _slab(p, q, reach):  # type: ignore[no-untyped-def]
    if q == 0.0:
        return (-math.inf, math.inf) if abs(p) < reach else (math.inf, -math.inf)
    a, b = (-reach - p) / q, (reach - p) / q
    return min(a, b), max(a, b)


@njit(nogil=True, cache=True, inline="always")
def _both(a, b):  # type: ignore[no-untyped-def]
    return max(a[0], b[0]), min(a[1], b[1])


@njit(nogil=True, cache=True, inline="always")
def _hull(a, b):  # type: ignore[no-untyped-def]
    """The smallest interval that holds two; empty ones hold nothing."""
    if a[0] >= a[1]:
        return b
    if b[0] >= b[1]:
        return a
    return min(a[0], b[0]), max(a[1], b[1])
