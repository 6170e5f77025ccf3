"""Trees that fill a region, grown branch by branch at the least lumen volume; fields on a lattice that guide them.

Constrained constructive optimisation (Schreiner & Buxbaum 1993, IEEE Trans Biomed Eng 40:482; three-dimensional in
Karch et al. 1999, Comput Biol Med 29:19): every new end point is joined to the segment where the whole tree's cost
grows least, at the point on which the three pulls balance. Here the cost of a segment is its length times a weight of
the number of ends it serves, so that no radius has to be known before the tree is complete.

A lattice has its value [k, j, i] at origin + spacing·(i, j, k). Positions are rounded to 1/1024 mm: the last bits of an
operation decide nothing later.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numba import njit

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["clearance", "farthest_points", "grow", "interpolate"]

_GRAIN = 1024.0  # steps a mm
_STEP = 2.0  # mm between two looks at whether a segment stays inside
_SHORTEST = 1.5  # mm that both parts of a divided segment keep
_PULLS = 8  # steps towards the balance of three pulls
_BACKWARDS = -0.1  # cosine of the sharpest turn a new branch may make: 96°
_PASSES = 6  # over the ends that could not be reached before
_ON_LINE = 8  # places along a fixed segment that are tried


def grow(
    nodes: tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_], NDArray[np.bool_]],
    targets: tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.bool_]],
    lattice: tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float64], float],
    margin: float,
    weight: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_], NDArray[np.int64]]:
    """Joins end points to a scaffold, one by one.

    Args:
        nodes: The scaffold, its nodes in any order: position (n, 3) mm; parent (n,), −1 for a root; part (n,), the
            number of the region that the segment from the parent lies in and may be joined to from, −1: none; fixed
            (n,), whether that segment stays where it is when divided; open (n,), whether one end point may be joined
            to the node itself, as its continuation.
        targets: End points in the order of joining: position (m, 3) mm, part (m,), open (m,).
        lattice: Signed depth under the surface of every part (parts, nz, ny, nx) mm; the same for end points that
            cannot be reached so, as where obstacles are in the way; origin (3,), spacing.
        margin: Depth that a new segment keeps all along, mm.
        weight: (m + 2,): cost of a mm that serves so many ends, rising.

    Returns:
        The grown tree: position, parent, part, fixed as above, and the number of ends beyond each node (0: a piece of
        scaffold that nothing was joined to). End points that no straight segment inside the part reaches are left out.
    """
    position, parent, part, fixed, is_open = nodes
    n, m = len(parent), len(targets[1])
    room = n + 2 * m
    grown = (
        _padded(np.round(position * _GRAIN) / _GRAIN, room),
        _padded(parent, room),
        _padded(part, room),
        _padded(fixed, room),
        np.zeros(room, np.int64),
    )
    depth, spare, origin, spacing = lattice
    ends = (np.round(targets[0] * _GRAIN) / _GRAIN, targets[1], targets[2])
    count, opened, waiting = n, _padded(is_open, room), np.ones(m, bool)
    for field in (depth, spare):
        count = _grow(grown, opened, count, ends, waiting, field, origin, float(spacing), float(margin), weight)
    return tuple(array[:count] for array in grown)  # type: ignore[return-value]


def _padded(array: NDArray[np.generic], length: int) -> NDArray[np.generic]:
    out = np.zeros((length, *array.shape[1:]), array.dtype)
    out[: len(array)] = array
    return out


@njit(nogil=True, cache=True)
def interpolate(field, origin, spacing, outside, points):  # type: ignore[no-untyped-def]
    """Trilinear values (n,) of a lattice (nz, ny, nx) at points (n, 3); `outside` beyond the outermost samples."""
    out = np.empty(len(points))
    for i in range(len(points)):
        out[i] = _value(field, origin, spacing, outside, points[i, 0], points[i, 1], points[i, 2])
    return out


@njit(nogil=True, cache=True)
def farthest_points(points, count):  # type: ignore[no-untyped-def]
    """Indices (count,) of points (n, 3), each the farthest from all before, from the first on (Gonzalez 1985)."""
    chosen = np.zeros(count, np.int64)
    nearest = np.full(len(points), np.inf)
    for k in range(1, count):
        p = points[chosen[k - 1]]
        best = 0
        for i in range(len(points)):
            x, y, z = points[i, 0] - p[0], points[i, 1] - p[1], points[i, 2] - p[2]
            nearest[i] = min(nearest[i], x * x + y * y + z * z)
            if nearest[i] > nearest[best]:
                best = i
        chosen[k] = best
    return chosen


@njit(nogil=True, cache=True)
def clearance(start, end, radius, shape, origin, spacing, reach):  # type: ignore[no-untyped-def]
    """Distance of every lattice point (nz, ny, nx) from the surface of round rods, mm, `reach` at most.

    Args:
        start: (n, 3) mm.
        end: (n, 3) mm.
        radius: (n,) mm.
        shape: (nz, ny, nx).
        origin: (3,) mm.
        spacing: mm.
        reach: mm.
    """
    out = np.full(shape, np.float32(reach))
    low, high = np.empty(3, np.int64), np.empty(3, np.int64)
    for s in range(len(start)):
        for axis in range(3):
            a, b = min(start[s, axis], end[s, axis]), max(start[s, axis], end[s, axis])
            far = reach + radius[s]
            low[axis] = max(0, int(math.ceil((a - far - origin[axis]) / spacing)))
            high[axis] = min(shape[2 - axis] - 1, int(math.floor((b + far - origin[axis]) / spacing)))
        for k in range(low[2], high[2] + 1):
            for j in range(low[1], high[1] + 1):
                for i in range(low[0], high[0] + 1):
                    x, y, z = origin[0] + spacing * i, origin[1] + spacing * j, origin[2] + spacing * k
                    d = math.sqrt(_to_segment(x, y, z, start[s], end[s])[0]) - radius[s]
                    out[k, j, i] = min(out[k, j, i], np.float32(d))
    return out


@njit(nogil=True, cache=True, inline="always")
def _value(field, origin, spacing, outside, x, y, z):  # type: ignore[no-untyped-def]
    u, v, w = (x - origin[0]) / spacing, (y - origin[1]) / spacing, (z - origin[2]) / spacing
    nz, ny, nx = field.shape
    if not (0 <= u <= nx - 1 and 0 <= v <= ny - 1 and 0 <= w <= nz - 1):
        return outside
    i, j, k = min(int(u), max(nx - 2, 0)), min(int(v), max(ny - 2, 0)), min(int(w), max(nz - 2, 0))
    u, v, w = u - i, v - j, w - k
    i1, j1, k1 = min(i + 1, nx - 1), min(j + 1, ny - 1), min(k + 1, nz - 1)
    low = (field[k, j, i] * (1 - u) + field[k, j, i1] * u) * (1 - v)
    low += (field[k, j1, i] * (1 - u) + field[k, j1, i1] * u) * v
    high = (field[k1, j, i] * (1 - u) + field[k1, j, i1] * u) * (1 - v)
    high += (field[k1, j1, i] * (1 - u) + field[k1, j1, i1] * u) * v
    return low * (1 - w) + high * w


@njit(nogil=True, cache=True, inline="always")
def _to_segment(x, y, z, a, b):  # type: ignore[no-untyped-def]
    """Squared distance from a segment, and the fraction of it where it is nearest."""
    dx, dy, dz = b[0] - a[0], b[1] - a[1], b[2] - a[2]
    px, py, pz = x - a[0], y - a[1], z - a[2]
    square = dx * dx + dy * dy + dz * dz
    s = min(max((px * dx + py * dy + pz * dz) / square, 0.0), 1.0) if square > 0 else 0.0
    px, py, pz = px - s * dx, py - s * dy, pz - s * dz
    return px * px + py * py + pz * pz, s


@njit(nogil=True, cache=True, inline="always")
def _length(a, b):  # type: ignore[no-untyped-def]
    x, y, z = a[0] - b[0], a[1] - b[1], a[2] - b[2]
    return math.sqrt(x * x + y * y + z * z)


@njit(nogil=True, cache=True)
def _inside(field, origin, spacing, margin, a, b):  # type: ignore[no-untyped-def]
    """Whether a segment keeps the margin at every look."""
    looks = int(_length(a, b) / _STEP) + 1
    for look in range(looks + 1):
        s = look / looks
        x, y, z = a[0] + s * (b[0] - a[0]), a[1] + s * (b[1] - a[1]), a[2] + s * (b[2] - a[2])
        if _value(field, origin, spacing, -1e9, x, y, z) < margin:
            return False
    return True


@njit(nogil=True, cache=True)
def _balance(a, b, t, wa, wb, wt, s, out):  # type: ignore[no-untyped-def]
    """The point with the least sum of weighted distances from three others (Weiszfeld 1937), rounded."""
    for axis in range(3):
        out[axis] = a[axis] + s * (b[axis] - a[axis])
    for _ in range(_PULLS):
        pa = wa / max(_length(out, a), 1e-3)
        pb = wb / max(_length(out, b), 1e-3)
        pt = wt / max(_length(out, t), 1e-3)
        for axis in range(3):
            out[axis] = (pa * a[axis] + pb * b[axis] + pt * t[axis]) / (pa + pb + pt)
    for axis in range(3):
        out[axis] = math.floor(out[axis] * _GRAIN + 0.5) / _GRAIN


@njit(nogil=True, cache=True)
def _upstream(grown, weight, i):  # type: ignore[no-untyped-def]
    """What one more end adds to the cost of the way from a root to node i."""
    position, parent, _, _, ends = grown
    cost = 0.0
    while parent[i] >= 0:
        n = ends[i]
        cost += (weight[n + 1] - weight[n]) * _length(position[i], position[parent[i]])
        i = parent[i]
    return cost


@njit(nogil=True, cache=True)
def _fits(a, m, b, t, moved, field, origin, spacing, margin):  # type: ignore[no-untyped-def]
    if _length(a, m) < _SHORTEST or _length(m, b) < _SHORTEST or _length(m, t) < _SHORTEST:
        return False
    along = (m[0] - a[0]) * (t[0] - m[0]) + (m[1] - a[1]) * (t[1] - m[1]) + (m[2] - a[2]) * (t[2] - m[2])
    if along < _BACKWARDS * _length(a, m) * _length(m, t):
        return False
    if moved and not (_inside(field, origin, spacing, margin, a, m) and _inside(field, origin, spacing, margin, m, b)):
        return False
    return _inside(field, origin, spacing, margin, m, t)


@njit(nogil=True, cache=True)
def _best_place(grown, is_open, count, t, part, near, field, origin, spacing, margin, weight, place):  # type: ignore[no-untyped-def]
    """The segment where an end point is joined at the least cost, −1: none; whether at its end; `place` is filled."""
    position, parent, parts, fixed, ends = grown
    first = -1
    for i in range(count):
        near[i] = np.inf
        if parts[i] == part and parent[i] >= 0:
            near[i] = math.sqrt(_to_segment(t[0], t[1], t[2], position[parent[i]], position[i])[0])
            if first < 0 or near[i] < near[first]:
                first = i
    best, chosen, at_end = np.inf, -1, False
    m = np.empty(3)
    for turn in range(-1, count if first >= 0 else -1):
        i = first if turn < 0 else turn
        if (turn == first and turn >= 0) or weight[1] * near[i] >= best:
            continue
        a, b, n = position[parent[i]], position[i], ends[i]
        if is_open[i]:
            cost = weight[1] * _length(b, t) + (_upstream(grown, weight, i) if n == 0 else 0.0)
            ahead = (b[0] - a[0]) * (t[0] - b[0]) + (b[1] - a[1]) * (t[1] - b[1]) + (b[2] - a[2]) * (t[2] - b[2])
            if cost < best and ahead > 0 and _inside(field, origin, spacing, margin, b, t):
                best, chosen, at_end = cost, i, True
                place[:] = b
        above, whole = _upstream(grown, weight, parent[i]), _length(a, b)
        tries = _ON_LINE if fixed[i] else 1
        for k in range(tries):
            if fixed[i]:
                s = (k + 0.5) / tries
                for axis in range(3):
                    m[axis] = math.floor((a[axis] + s * (b[axis] - a[axis])) * _GRAIN + 0.5) / _GRAIN
            else:
                s = _to_segment(t[0], t[1], t[2], a, b)[1]
                _balance(a, b, t, weight[n + 1], weight[n], weight[1], 0.8 * s + 0.1, m)
            cost = above + weight[n + 1] * _length(a, m) + weight[n] * (_length(m, b) - whole)
            cost += weight[1] * _length(m, t)
            if cost < best and _fits(a, m, b, t, not fixed[i], field, origin, spacing, margin):
                best, chosen, at_end = cost, i, False
                place[:] = m
    return chosen, at_end


@njit(nogil=True, cache=True)
def _join(grown, is_open, count, i, at_end, place, t, part, target_open):  # type: ignore[no-untyped-def]
    """Joins t to segment i at `place` or to its end; the new number of nodes."""
    position, parent, parts, fixed, ends = grown
    fork, extends = i, at_end and ends[i] > 0
    if at_end:
        is_open[i] = False
    else:
        fork = count
        position[fork], parent[fork], parts[fork] = place, parent[i], parts[i]
        fixed[fork], ends[fork] = fixed[i], ends[i]
        parent[i] = fork
        count += 1
    position[count], parent[count], parts[count] = t, fork, part
    ends[count], is_open[count] = 1, target_open
    above = -1 if extends else fork
    while above >= 0:
        ends[above] += 1
        above = parent[above]
    return count + 1


@njit(nogil=True, cache=True)
def _grow(grown, is_open, count, targets, waiting, depth, origin, spacing, margin, weight):  # type: ignore[no-untyped-def]
    points, parts, opens = targets
    near, place = np.empty(len(grown[1])), np.empty(3)
    for _ in range(_PASSES):
        before = count
        for k in range(len(points)):
            if not waiting[k]:
                continue
            t, field = points[k], depth[parts[k]]
            chosen, at_end = _best_place(
                grown, is_open, count, t, parts[k], near, field, origin, spacing, margin, weight, place
            )
            if chosen >= 0:
                count = _join(grown, is_open, count, chosen, at_end, place, t, parts[k], opens[k])
                waiting[k] = False
        if count == before:
            break
    return count
