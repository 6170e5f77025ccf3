"""How much of a voxel a solid covers, compiled: stacked sections, plates between two surfaces, tapering rods.

A voxel at signed distance d of a surface (mm, negative inside) with normal n is covered by the fraction

    c = clip(1/2 − (d + inset) / e, 0, 1),    e² = Σ (nᵢ·spacingᵢ)² / Σ nᵢ²

which, for a plane, has the mean and the spread of the voxel's true profile, whatever the voxel's shape. Distances are
first order: the implicit function over the length of its gradient.

All is float32, and of + − × ÷ √ alone, which IEEE 754 rounds alike everywhere: paint.cu does the same operations in the
same order and gives the same bits. A solid's numbers lie in one array, from `at` on:

    loft      axes (3, 3), origin (3,), first w, 1/Δw, last w, inner, outer, e²/24, e/4, whether the first and the
              last section are blunt, centres (n, 2), bounds (n − 1, 32, 2), squared radii (n, m + 1), the last column
              being the first again
    slab      axes (3, 3), origin (3,), first u, 1/Δu, last u, first v, 1/Δv, last v, inner, outer, lower (n, m),
              upper (n, m)
    segment   start (3,), end − start (3,), 1/length², radius, its growth, normal (3,), 1/flat² − 1,
              (growth/length)², flat, shrinkage, its growth, outer

Voxels deeper inside than `inner` are covered and those farther out than `outer` are not, whatever the normal; a
segment's `outer` is in the measure that flattening stretches. `bounds` are squared distances from a loft's centre, for
every sector: up to the first a voxel is surely covered if it is deep enough below the ends, from the second on not.

A surface that curves outwards takes more than it gives when it is blurred so: by Steiner's formula, a cylinder of
radius R gains the area π·e²/12. It is painted smaller by as much, that is by e²/24R for large R; spheres twice that.
"""

from __future__ import annotations

import numpy as np
from numba import njit

__all__ = ["LOFT", "SEGMENT", "SLAB", "loft", "section", "sector", "segment", "slab", "turn"]

LOFT, SLAB, SEGMENT = 0, 1, 2
"""Kinds of solids."""

_ZERO, _QUARTER, _HALF, _ONE, _TWO = (np.float32(value) for value in (0, 0.25, 0.5, 1, 2))
_TINY = np.float32(1e-12)
_EIGHTH, _FOURTH, _THREE_EIGHTHS = (np.float32(value) for value in (0.198912367, 0.414213562, 0.668178638))
_PER_RADIAN = np.float32(0.159154943)
# atan(a)/2πa by a² for a from 0 to 1: least squares, reweighted towards the smallest greatest error.
_TURN = tuple(
    np.float32(value)
    for value in (0.159154326, -0.0530262403, 0.0315251201, -0.0210615229, 0.0126725035, -0.00534827635, 0.00108412921)
)


@njit(nogil=True, cache=True, error_model="numpy")
def turn(x, y):  # type: ignore[no-untyped-def]
    """The angle of (x, y) in turns, 0 to 1, within 1e-7; 0 for (0, 0)."""
    a, b = abs(x), abs(y)
    small, large = min(a, b), max(a, b)
    ratio = small / (large if large > _ZERO else _ONE)
    square = ratio * ratio
    t = _TURN[6] * square + _TURN[5]
    t = ((t * square + _TURN[4]) * square + _TURN[3]) * square + _TURN[2]
    t = ((t * square + _TURN[1]) * square + _TURN[0]) * ratio
    if b > a:
        t = _QUARTER - t
    if x < _ZERO:
        t = _HALF - t
    return _ONE - t if y < _ZERO else t


@njit(nogil=True, cache=True, error_model="numpy")
def _covered(d, gx, gy, gz, spacing):  # type: ignore[no-untyped-def]
    """The fraction covered at distance d of a plane with its normal along (gx, gy, gz)."""
    hx, hy, hz = gx * spacing[0], gy * spacing[1], gz * spacing[2]
    length, extent = (gx * gx + gy * gy) + gz * gz, (hx * hx + hy * hy) + hz * hz
    c = _HALF - d * np.sqrt(length / extent)
    return min(max(c, _ZERO), _ONE)


@njit(nogil=True, cache=True, error_model="numpy")
def _covered_local(d, gu, gv, gw, data, at, spacing):  # type: ignore[no-untyped-def]
    """The same with the normal in the axes of a solid."""
    gx = (data[at] * gu + data[at + 3] * gv) + data[at + 6] * gw
    gy = (data[at + 1] * gu + data[at + 4] * gv) + data[at + 7] * gw
    gz = (data[at + 2] * gu + data[at + 5] * gv) + data[at + 8] * gw
    return _covered(d, gx, gy, gz, spacing)


@njit(nogil=True, cache=True, error_model="numpy")
def section(data, at, n, w):  # type: ignore[no-untyped-def]
    """Where w lies among the n sections of a loft; those at the ends go on beyond, so that poles are round outside.

    Returns:
        The section before w, the fraction of the way to the next, the centre (u, v) there, where the bounds begin, and
        whether w is deep enough below the ends for the first of them.
    """
    first, last = data[at + 12], data[at + 14]
    t = (w - first) * data[at + 13]
    k = min(max(int(t), 0), n - 2)
    t -= np.float32(k)
    c = at + 21 + 2 * k
    u, v = data[c] + t * (data[c + 2] - data[c]), data[c + 1] + t * (data[c + 3] - data[c + 1])
    return k, t, u, v, at + 21 + 2 * n + 64 * k, min(w - first, last - w) >= data[at + 15]


@njit(nogil=True, cache=True, error_model="numpy")
def sector(x, y):  # type: ignore[no-untyped-def]
    """Which of 32 sectors, of 11.25° and ordered by signs, larger coordinate and slope, holds (x, y)."""
    a, b = abs(x), abs(y)
    small, large = min(a, b), max(a, b)
    quarter = int(small > _EIGHTH * large) + int(small > _FOURTH * large) + int(small > _THREE_EIGHTHS * large)
    return 16 * int(x < _ZERO) + 8 * int(y < _ZERO) + 4 * int(b > a) + quarter


@njit(nogil=True, cache=True, error_model="numpy")
def loft(data, at, n, m, k, t, p, r, w, inset, spacing):  # type: ignore[no-untyped-def]
    """The fraction of a voxel that a loft of n sections by m angles covers.

    f = q² − S(w, θ) grows like the square of a distance, and g is half its gradient's length: the distance solves
    d² − 2gd + f = 0, which is exact for spheres and cylinders at any depth. Blunt ends are cut off by a plane, the
    fractions multiplied; at a pole, where side and plane are one surface, the smaller counts.

    Args:
        data: Numbers of the solids.
        at: Where the loft's begin.
        n: Sections.
        m: Angles.
        k: The section before w.
        t: Fraction of the way to the next.
        p: Position from the centre there along u, mm.
        r: The same along v.
        w: Position along the axis, mm.
        inset: How far inside to stay, mm.
        spacing: (3,) of voxels, mm.
    """
    square = p * p + r * r
    angle = turn(p, r) * np.float32(m)
    j = min(int(angle), m - 1)
    angle -= np.float32(j)
    row = at + 21 + 2 * n + 64 * (n - 1) + k * (m + 1) + j
    s0, s1, s2, s3 = data[row], data[row + 1], data[row + m + 1], data[row + m + 2]
    below, above = s0 + angle * (s1 - s0), s2 + angle * (s3 - s2)
    s = below + t * (above - below)
    f = square - s
    # Nearer to the centre than the surface, the slope along θ is taken at the surface's radius: no pole there.
    turning = ((s1 - s0) + t * ((s3 - s2) - (s1 - s0))) * (np.float32(m) * _PER_RADIAN) * _HALF
    turning /= max(max(square, s), _TINY)
    gu, gv = p + turning * r, r - turning * p
    c = at + 21 + 2 * k
    lean = gu * (data[c + 2] - data[c]) + gv * (data[c + 3] - data[c + 1])
    gw = -(lean + (above - below) * _HALF) * data[at + 13]
    g2 = (gu * gu + gv * gv) + gw * gw
    end = max(data[at + 12] - w, w - data[at + 14])
    # The sign of d² − 2gd + f at the two depths tells, without roots, whether the voxel is beyond them.
    inner, outer = max(data[at + 15] + data[at + 18], _ZERO), max(data[at + 16], _ZERO)
    inner2, outer2 = inner * inner, outer * outer
    over, under = f + outer2, -(f + inner2)
    four = (g2 + g2) + (g2 + g2)
    if f > _ZERO and g2 >= outer2 and over * over >= four * outer2:
        return _ZERO
    if under > _ZERO and under * under >= four * inner2 and -end >= data[at + 15]:
        return _ONE

    radius = np.sqrt(max(g2 - f, _ZERO))
    d = f / max(np.sqrt(g2) + radius, _TINY) + data[at + 17] / max(radius, data[at + 18])
    covered = _covered_local(d + inset, gu, gv, gw if g2 > _TINY else _ONE, data, at, spacing)
    if -end >= data[at + 15]:
        return covered
    other = min(data[at + 12] - w, w - data[at + 14])
    near = _covered_local(end + inset, _ZERO, _ZERO, _ONE, data, at, spacing)
    if data[at + (19 if data[at + 12] - w >= w - data[at + 14] else 20)] == _ZERO:
        return min(covered, near)
    far = _covered_local(other + inset, _ZERO, _ZERO, _ONE, data, at, spacing)
    return covered * max((near + far) - _ONE, _ZERO)


@njit(nogil=True, cache=True, error_model="numpy")
def _surface(data, row, m, s, t, per_u, per_v):  # type: ignore[no-untyped-def]
    """A table's value between samples, with its slopes along u and v."""
    a, b = data[row + 1] - data[row], data[row + m + 1] - data[row + m]
    below, above = data[row] + s * a, data[row + m] + s * b
    return below + t * (above - below), (a + t * (b - a)) * per_u, (above - below) * per_v


@njit(nogil=True, cache=True, error_model="numpy")
def slab(data, at, n, m, u, v, w, inset, spacing):  # type: ignore[no-untyped-def]
    """The fraction of a voxel at (u, v, w) that a slab of n rows by m columns covers.

    What the two surfaces leave uncovered adds up, so that thin plates keep their thickness; the fractions within the
    table's ends multiply, so that boxes along the grid's axes are exact.
    """
    per_u, per_v = data[at + 13], data[at + 16]
    s = min(max((u - data[at + 12]) * per_u, _ZERO), np.float32(m - 1))
    t = min(max((v - data[at + 15]) * per_v, _ZERO), np.float32(n - 1))
    i, j = min(int(s), m - 2), min(int(t), n - 2)
    s -= np.float32(i)
    t -= np.float32(j)
    row = at + 20 + j * m + i
    lower, lu, lv = _surface(data, row, m, s, t, per_u, per_v)
    upper, uu, uv = _surface(data, row + n * m, m, s, t, per_u, per_v)
    lower, upper = lower - w, w - upper
    lower_length2, upper_length2 = _ONE + (lu * lu + lv * lv), _ONE + (uu * uu + uv * uv)
    inner2, outer2 = data[at + 18] * data[at + 18], data[at + 19] * data[at + 19]
    if lower > _ZERO and lower * lower >= outer2 * lower_length2:
        return _ZERO
    if upper > _ZERO and upper * upper >= outer2 * upper_length2:
        return _ZERO
    end = max(max(data[at + 12] - u, u - data[at + 14]), max(data[at + 15] - v, v - data[at + 17]))
    if (
        max(max(lower, upper), end + data[at + 18]) < _ZERO
        and lower * lower >= inner2 * lower_length2
        and upper * upper >= inner2 * upper_length2
    ):
        return _ONE
    c = _covered_local(lower / np.sqrt(lower_length2) + inset, lu, lv, -_ONE, data, at, spacing)
    c += _covered_local(upper / np.sqrt(upper_length2) + inset, -uu, -uv, _ONE, data, at, spacing)
    c = max(c - _ONE, _ZERO)

    if c > _ZERO:
        d, other = data[at + 12] - u, u - data[at + 14]
        c *= _between(d + inset, other + inset, _ONE, _ZERO, data, at, spacing)
        d, other = data[at + 15] - v, v - data[at + 17]
        c *= _between(d + inset, other + inset, _ZERO, _ONE, data, at, spacing)
    return c


@njit(nogil=True, cache=True, error_model="numpy")
def _between(d, other, gu, gv, data, at, spacing):  # type: ignore[no-untyped-def]
    """The fraction between two parallel planes."""
    c = _covered_local(d, gu, gv, _ZERO, data, at, spacing) + _covered_local(other, gu, gv, _ZERO, data, at, spacing)
    return max(c - _ONE, _ZERO)


@njit(nogil=True, cache=True, error_model="numpy")
def segment(data, at, x, y, z, inset, spacing):  # type: ignore[no-untyped-def]
    """The fraction of a voxel at (x, y, z) from its start that a segment covers."""
    ax, ay, az = data[at + 3], data[at + 4], data[at + 5]
    nx, ny, nz, squeeze = data[at + 9], data[at + 10], data[at + 11], data[at + 12]
    along = ((x * ax + y * ay) + z * az) * data[at + 6]
    s = min(max(along, _ZERO), _ONE)
    x, y, z = x - s * ax, y - s * ay, z - s * az
    radius, shrinkage = data[at + 7] + s * data[at + 8], data[at + 15] + s * data[at + 16]
    across = (x * nx + y * ny) + z * nz
    square = ((x * x + y * y) + z * z) + squeeze * (across * across)
    outer = radius + data[at + 17]
    if outer <= _ZERO or square >= outer * outer:
        return _ZERO
    bent = squeeze * across
    gx, gy, gz = x + bent * nx, y + bent * ny, z + bent * nz
    within = along > _ZERO and along < _ONE
    if square > _TINY:
        steepness = ((gx * gx + gy * gy) + gz * gz) / square
        if within:
            steepness += data[at + 13]
        d = (np.sqrt(square) - radius) / np.sqrt(steepness)
    else:
        d, gx, gy, gz = -radius * data[at + 14], nx, ny, nz
    return _covered((d + inset) + (shrinkage if within else _TWO * shrinkage), gx, gy, gz, spacing)
