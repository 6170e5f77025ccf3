"""Closed surfaces to build objects of: swept tubes, plates, solids of revolution, boxes and crumpled sheets.

Every function returns a Mesh whose faces are counter-clockwise seen from outside. A cavity is a surface turned inside
out, in the same mesh as the body that holds it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.interpolate import CubicSpline

from synth.core.errors import InputError
from synth.drr.mesh import Mesh, merged

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

__all__ = ["arc", "ball", "box", "circle", "hollow", "plate", "rounded", "sheet", "smooth", "sweep", "tube"]


def sweep(profile: ArrayLike, path: ArrayLike, *, scale: ArrayLike = 1.0, closed: bool = False) -> Mesh:
    """A cross-section carried along a curve, turning no more than the curve does (parallel transport).

    Args:
        profile: (k, 2), mm, counter-clockwise and seen whole from its origin. Its first axis starts out as the part of
            x across the path, or of y where the path begins along x.
        path: (n, 3), mm; consecutive points differ.
        scale: Size of the cross-section: one number, (n,) along the path, or (n, k) for each of its corners. 0 ends in
            a point.
        closed: Whether the path leads from its last point to its first, as a ring does; else its ends are flat.

    Raises:
        InputError: Too few points, points that coincide, or a negative size.
    """
    profile, path = np.asarray(profile, float), np.asarray(path, float)
    n, k = len(path), len(profile)
    size = np.asarray(scale, float)
    size = np.broadcast_to(size[:, None] if size.ndim == 1 else size, (n, k))
    steps = np.diff(path, axis=0, append=path[:1])[: n if closed else n - 1]
    if n < (3 if closed else 2) or k < 3 or not (np.linalg.norm(steps, axis=1) > 1e-9).all() or size.min() < 0:
        raise InputError("a sweep needs at least 2 points that differ (a ring 3), 3 corners and sizes of 0 or more")
    across, aside = _frames(path, steps, closed)
    corners = profile[None] * size[..., None]
    rings = path[:, None] + corners[..., :1] * across[:, None] + corners[..., 1:] * aside[:, None]
    i, j = np.meshgrid(np.arange(n if closed else n - 1), np.arange(k), indexing="ij")
    p, q = i * k + j, i * k + (j + 1) % k
    r, s = (i + 1) % n * k + (j + 1) % k, (i + 1) % n * k + j
    faces = [np.stack([p, q, r], -1).reshape(-1, 3), np.stack([p, r, s], -1).reshape(-1, 3)]
    vertices = rings.reshape(-1, 3)
    if not closed:
        corner = np.arange(k)
        after, middle, last = (corner + 1) % k, n * k, (n - 1) * k
        faces += [
            np.stack([np.full(k, middle), after, corner], -1),
            np.stack([np.full(k, middle + 1), last + corner, last + after], -1),
        ]
        vertices = np.vstack([vertices, path[0], path[-1]])
    return Mesh(vertices, np.concatenate(faces).astype(np.int32))


def tube(
    path: ArrayLike, radius: ArrayLike, *, sides: int = 16, closed: bool = False, round_ends: bool = False
) -> Mesh:
    """A round rod along a curve.

    Args:
        path: (n, 3), mm.
        radius: mm: one number, or (n,) along the path.
        sides: Corners of its cross-section, which has the area of the circle.
        closed: Whether it is a ring.
        round_ends: Whether its ends are half-balls, added to the path.

    Raises:
        InputError: As for `sweep`; no positive radius.
    """
    path = np.asarray(path, float)
    radius = np.broadcast_to(np.asarray(radius, float), len(path))
    if not radius.max() > 0:
        raise InputError(f"a tube needs a positive radius, got {radius.max():g} mm")
    if round_ends:
        angle = np.linspace(0, np.pi / 2, 5)[1:]
        ahead = [_unit(path[0] - path[1]), _unit(path[-1] - path[-2])]
        start, end = (path[i] + radius[i] * np.sin(angle)[:, None] * ahead[i] for i in (0, -1))
        path = np.vstack([start[::-1], path, end])
        radius = np.concatenate([radius[0] * np.cos(angle)[::-1], radius, radius[-1] * np.cos(angle)]).clip(min=0)
    return sweep(circle(1.0, sides), path, scale=radius, closed=closed)


def hollow(path: ArrayLike, outer: float, inner: float, *, sides: int = 24, closed: bool = False) -> Mesh:
    """A pipe along a curve, open at its ends; radii in mm.

    Raises:
        InputError: The inner radius is not positive and smaller than the outer, or as for `sweep`.
    """
    if not 0 < inner < outer:
        raise InputError(f"a pipe needs an inner radius between 0 and the outer: got {inner:g} and {outer:g} mm")
    return merged([tube(path, outer, sides=sides, closed=closed),
                   tube(path, inner, sides=sides, closed=closed).turned()])  # fmt: skip


def plate(outline: ArrayLike, thickness: float, holes: Sequence[tuple[float, float, float]] = ()) -> Mesh:
    """A flat body in the x–z plane, with its thickness along y, about y = 0.

    Args:
        outline: (k, 2) as (x, z), mm, counter-clockwise and seen whole from its middle.
        thickness: mm.
        holes: Round holes within the outline: (x, z, radius), mm.
    """
    outline = np.asarray(outline, float)
    middle = outline.mean(0)
    half = thickness / 2

    def through(corners: NDArray[np.float64], x: float, z: float) -> Mesh:
        # Seen from −y, the viewer of a frontal picture, x runs to the right and z up.
        return sweep(corners, [[x, half, z], [x, -half, z]])

    return merged([through(outline - middle, *middle), *(through(circle(r, 24), x, z).turned() for x, z, r in holes)])


def box(size: ArrayLike) -> Mesh:
    """A box about the origin: size (x, y, z), mm."""
    x, y, z = np.asarray(size, float) / 2
    return plate([[-x, -z], [x, -z], [x, z], [-x, z]], 2 * y)


def ball(radii: ArrayLike, *, sides: int = 32) -> Mesh:
    """An ellipsoid about the origin: radii along x, y, z, or one for all, mm."""
    x, y, z = np.broadcast_to(np.asarray(radii, float), 3)
    angle = np.linspace(-np.pi / 2, np.pi / 2, sides // 2 + 1)
    along = np.column_stack([0 * angle, 0 * angle, z * np.sin(angle)])
    return sweep(circle(1.0, sides) * [x, y], along, scale=np.cos(angle).clip(min=0))


def sheet(points: ArrayLike, thickness: float) -> Mesh:
    """A thin cloth through a grid of points (a, b, 3), mm; counter-clockwise seen from its upper side along a × b."""
    points = np.asarray(points, float)
    normal = np.cross(np.gradient(points, axis=0), np.gradient(points, axis=1))
    normal *= 0.5 * thickness / np.linalg.norm(normal, axis=-1, keepdims=True)
    a, b = points.shape[:2]
    i, j = np.meshgrid(np.arange(a - 1), np.arange(b - 1), indexing="ij")
    p, q, r, s = i * b + j, (i + 1) * b + j, (i + 1) * b + j + 1, i * b + j + 1
    top = np.concatenate([np.stack([p, q, r], -1).reshape(-1, 3), np.stack([p, r, s], -1).reshape(-1, 3)])
    index = np.arange(a * b).reshape(a, b)
    rim = np.concatenate([index[:-1, 0], index[-1, :-1], index[:0:-1, -1], index[0, :0:-1]])
    after, below = np.roll(rim, -1), a * b
    wall = [np.stack([after, rim, rim + below], -1), np.stack([after, rim + below, after + below], -1)]
    faces = np.concatenate([top, top[:, ::-1] + below, *wall])
    return Mesh(np.vstack([(points + normal).reshape(-1, 3), (points - normal).reshape(-1, 3)]), faces.astype(np.int32))


def circle(radius: float, sides: int) -> NDArray[np.float64]:
    """(sides, 2): a polygon with the area of the circle, counter-clockwise."""
    angle = np.arange(sides) * 2 * np.pi / sides
    corner = radius * np.sqrt(np.pi / (0.5 * sides * np.sin(2 * np.pi / sides)))
    return np.asarray(corner * np.column_stack([np.cos(angle), np.sin(angle)]), float)


def rounded(width: float, height: float, radius: float) -> NDArray[np.float64]:
    """(32, 2): a rectangle about the origin with rounded corners, counter-clockwise, mm."""
    angle = (np.arange(32) // 8 * 7 + np.arange(32) % 8) * np.pi / 14
    quadrant = np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]]).repeat(8, axis=0)
    return quadrant * (np.array([width, height]) / 2 - radius) + radius * np.column_stack(
        [np.cos(angle), np.sin(angle)]
    )


def arc(radius: float, start_deg: float, end_deg: float, n: int = 25) -> NDArray[np.float64]:
    """(n, 3): part of a circle about the origin in the x–z plane, mm; 0° is +x and 90° is +z."""
    angle = np.deg2rad(np.linspace(start_deg, end_deg, n))
    return radius * np.column_stack([np.cos(angle), 0 * angle, np.sin(angle)])


def smooth(points: ArrayLike, n: int) -> NDArray[np.float64]:
    """(n, 3): a smooth curve through points (k, 3), evenly spaced in length (cubic spline over chord length)."""
    points = np.asarray(points, float)
    chord = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
    fine = CubicSpline(chord, points)(np.linspace(0, chord[-1], 8 * n))
    length = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(fine, axis=0), axis=1))])
    return np.stack([np.interp(np.linspace(0, length[-1], n), length, axis) for axis in fine.T], axis=1)


def _frames(
    path: NDArray[np.float64], steps: NDArray[np.float64], closed: bool
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Two unit vectors across the path at every point; with the path's direction they are right-handed."""
    units = steps / np.linalg.norm(steps, axis=1, keepdims=True)
    before = np.vstack([units[-1:] if closed else units[:1], units])[: len(path)]
    after = np.vstack([units, units[-1:]])[: len(path)]
    ahead = before + after
    flat = np.linalg.norm(ahead, axis=1) < 1e-6  # a hairpin
    ahead[flat] = after[flat]
    ahead /= np.linalg.norm(ahead, axis=1, keepdims=True)
    across = np.empty_like(ahead)
    start = np.array([1.0, 0, 0]) if abs(ahead[0, 0]) < 0.9 else np.array([0, 1.0, 0])
    across[0] = _unit(start - (start @ ahead[0]) * ahead[0])
    for i in range(1, len(path)):
        across[i] = _turned(across[i - 1], ahead[i - 1], ahead[i])
    if closed:
        # What the frame turned by on its way round is spread over the ring, so that it ends as it began.
        back = _turned(across[-1], ahead[-1], ahead[0])
        twist = np.arctan2(np.cross(across[0], back) @ ahead[0], across[0] @ back)
        angle = -twist * np.arange(len(path))[:, None] / len(path)
        across = np.cos(angle) * across + np.sin(angle) * np.cross(ahead, across)
    return across, np.cross(ahead, across)


def _turned(vector: NDArray[np.float64], a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """A vector across a, made one across b by the smallest rotation that takes a to b."""
    axis, cosine = np.cross(a, b), float(a @ b)
    if cosine > -1 + 1e-9:
        vector = cosine * vector + np.cross(axis, vector) + axis * (axis @ vector) / (1 + cosine)
    return _unit(vector - (vector @ b) * b)


def _unit(vector: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(vector / np.linalg.norm(vector), float)
