"""What solids are and cover, in float64 numpy, as their docstrings say: the painter's references."""

from __future__ import annotations

from typing import Any

import numpy as np

from synth.anatomy.solids import Loft, Slab, Solid, Tubes


def grid(shape: tuple[int, int, int], origin: Any, spacing: Any) -> Any:
    """World points of voxel centres, (z, y, x, 3)."""
    z, y, x = np.indices(shape)
    return np.asarray(origin) + np.stack([x, y, z], -1) * np.asarray(spacing)


def inside(solid: Solid, points: Any) -> Any:
    """Which points lie in a solid, by definition."""
    if isinstance(solid, Tubes):
        return np.any([_along(solid, i, points)[0] < 0 for i in range(len(solid.start))], axis=0)
    u, v, w = np.moveaxis((points - solid.origin) @ np.asarray(solid.axes).T, -1, 0)
    if isinstance(solid, Slab):
        n, m = solid.lower.shape
        low, high = (
            _bilinear(table, (v - solid.v0) / solid.dv, (u - solid.u0) / solid.du)[0] for table in _pair(solid)
        )
        within = (u >= solid.u0) & (u <= solid.u0 + (m - 1) * solid.du)
        return within & (v >= solid.v0) & (v <= solid.v0 + (n - 1) * solid.dv) & (low < w) & (w < high)
    f, _, end, *_ = _section(solid, u, v, w)
    return (f < 0) & (end < 0)


def coverage(solid: Solid, points: Any, spacing: Any, inset: float = 0.0) -> Any:
    """The painter's model of coverage, from first-order distances."""
    spacing = np.asarray(spacing, float)
    e2 = (spacing**2).mean()
    if isinstance(solid, Tubes):
        return np.max(
            [_cover_segment(solid, i, points, spacing, inset, np.sqrt(e2)) for i in range(len(solid.start))], 0
        )
    axes = np.asarray(solid.axes)
    u, v, w = np.moveaxis((points - solid.origin) @ axes.T, -1, 0)
    if isinstance(solid, Slab):
        return _cover_slab(solid, u, v, w, spacing, inset)
    f, gradient, end, other, blunt = _section(solid, u, v, w)
    g = np.linalg.norm(gradient, axis=-1) / 2
    radius = np.sqrt(np.maximum(g**2 - f, 0))
    d = f / np.maximum(g + radius, 1e-12) + e2 / 24 / np.maximum(radius, np.sqrt(e2) / 4)
    side = _plane(d + inset, np.where(g[..., None] > 0, gradient, [0, 0, 1]) @ axes, spacing)
    near, far = (_plane(at + inset, axes[2], spacing) for at in (end, other))
    return np.where(blunt, side * np.maximum(near + far - 1, 0), np.minimum(side, near))


def _plane(d: Any, normal: Any, spacing: Any) -> Any:
    extent = np.linalg.norm(normal * spacing, axis=-1) / np.maximum(np.linalg.norm(normal, axis=-1), 1e-300)
    return np.clip(0.5 - d / np.maximum(extent, 1e-9), 0, 1)


def _pair(slab: Slab) -> tuple[Any, Any]:
    return slab.lower, slab.upper


def _bilinear(table: Any, row: Any, column: Any, *, beyond: bool = False) -> Any:
    """Value, and derivatives by row and column, of a table; clamped to it, or going on beyond."""
    if not beyond:
        row, column = (np.clip(at, 0, n - 1) for at, n in zip((row, column), table.shape, strict=True))
    i, j = (np.clip(at.astype(int), 0, n - 2) for at, n in zip((row, column), table.shape, strict=True))
    s, t = row - i, column - j
    a, b, c, d = table[i, j], table[i, j + 1], table[i + 1, j], table[i + 1, j + 1]
    below, above = a + t * (b - a), c + t * (d - c)
    return below + s * (above - below), above - below, (1 - s) * (b - a) + s * (d - c)


def _section(loft: Loft, u: Any, v: Any, w: Any) -> Any:
    """f = q² − S, its gradient, the distances beyond the nearer and the other end, and whether the nearer is blunt."""
    n, m = loft.radius.shape
    row = (w - loft.w0) / loft.dw
    k = np.clip(row.astype(int), 0, n - 2)
    lean = (loft.centre[k + 1] - loft.centre[k]) / loft.dw
    p, r = np.moveaxis(np.stack([u, v], -1) - loft.centre[k] - ((row - k) * loft.dw)[..., None] * lean, -1, 0)
    theta = np.arctan2(r, p) % (2 * np.pi)
    square = np.concatenate([loft.radius, loft.radius[:, :1]], 1) ** 2
    s, by_w, by_theta = _bilinear(square, row, theta / (2 * np.pi) * m, beyond=True)
    turning = by_theta * m / (2 * np.pi) / np.maximum(np.maximum(p**2 + r**2, s), 1e-12)
    across = np.stack([2 * p + turning * r, 2 * r - turning * p], -1)
    along = -(across * lean).sum(-1) - by_w / loft.dw
    ends = np.stack([loft.w0 - w, w - loft.w0 - (n - 1) * loft.dw])
    blunt = (loft.radius[[0, -1]].min(1) > 0)[ends.argmax(0)]
    return p**2 + r**2 - s, np.concatenate([across, along[..., None]], -1), ends.max(0), ends.min(0), blunt


def _cover_slab(slab: Slab, u: Any, v: Any, w: Any, spacing: Any, inset: float) -> Any:
    axes = np.asarray(slab.axes)
    total = 0.0
    for sign, table in zip((1, -1), _pair(slab), strict=True):
        height, by_v, by_u = _bilinear(table, (v - slab.v0) / slab.dv, (u - slab.u0) / slab.du)
        normal = sign * np.stack([by_u / slab.du, by_v / slab.dv, -np.ones_like(u)], -1)
        d = sign * (height - w) / np.linalg.norm(normal, axis=-1)
        total = total + _plane(d + inset, normal @ axes, spacing)
    c = np.maximum(total - 1, 0)
    for at, first, step, count, axis in (
        (u, slab.u0, slab.du, slab.lower.shape[1], axes[0]),
        (v, slab.v0, slab.dv, slab.lower.shape[0], axes[1]),
    ):
        ends = (_plane(d + inset, axis, spacing) for d in (first - at, at - first - (count - 1) * step))
        c = c * np.maximum(sum(ends) - 1, 0)
    return c


def _along(tubes: Tubes, i: int, points: Any) -> Any:
    """D − r of a segment, its gradient, the fraction of the axis, and the radius there."""
    axis = tubes.end[i] - tubes.start[i]
    length2 = axis @ axis
    offset = points - tubes.start[i]
    raw = offset @ axis / length2 if length2 > 0 else np.zeros(points.shape[:-1])
    s = np.clip(raw, 0, 1)
    offset = offset - s[..., None] * axis
    growth = tubes.end_radius[i] - tubes.start_radius[i]
    across = offset @ tubes.normal[i]
    stretch = 1 / tubes.flat[i] ** 2 - 1
    distance = np.sqrt((offset**2).sum(-1) + stretch * across**2)
    gradient = offset + (stretch * across)[..., None] * tubes.normal[i]
    between = (raw > 0) & (raw < 1)
    steep = (gradient**2).sum(-1) / np.maximum(distance, 1e-9) ** 2 + np.where(between, growth**2 / (length2 or 1), 0)
    radius = tubes.start_radius[i] + s * growth
    return distance - radius, gradient, steep, s, between


def _cover_segment(tubes: Tubes, i: int, points: Any, spacing: Any, inset: float, e: float) -> Any:
    f, gradient, steep, s, between = _along(tubes, i, points)
    ends = np.array([tubes.start_radius[i], tubes.end_radius[i]]) * np.sqrt((1 + tubes.flat[i] ** 2) / 2) - inset
    ends = np.maximum(ends, 0)
    smaller = np.where(
        ends > e / np.sqrt(3), np.sqrt(np.maximum(ends**2 - e * e / 12, 0)), np.cbrt(3 * e * ends**2) - e / 2
    )
    shrink = (1 - s) * (ends - smaller)[0] + s * (ends - smaller)[1]
    d = f / np.sqrt(np.maximum(steep, 1e-12))
    return _plane(d + inset + np.where(between, 1, 2) * shrink, gradient, spacing)
