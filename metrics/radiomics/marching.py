"""Surfaces of masks by marching cubes: area, volume and vertices.

W. E. Lorensen and H. E. Cline, "Marching cubes", SIGGRAPH 21(4), 1987, 163–169. A cube of eight voxel centres is cut
half-way along every edge between inside and outside. Which way is not always given; the choices below are those that
give pyradiomics' surfaces. Where a face has two inside corners at opposite ends, each is cut off for itself; a cube and
its complement have the same surface, and the one without the last corner decides. A cut of five or six corners is
divided into triangles of the largest area, where several are as large into those that enclose the middle volume; a cut
of seven is a fan from the corner on its plane of symmetry.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["surface", "vertices"]

_CORNERS = np.array([(k >> 2, k >> 1 & 1, k & 1) for k in range(8)])  # (z, y, x), the last is (1, 1, 1)
_EDGES = [(a, b) for a in range(8) for b in range(a + 1, 8) if np.abs(_CORNERS[a] - _CORNERS[b]).sum() == 1]
_MIDDLES = np.array([(_CORNERS[a] + _CORNERS[b]) / 2 for a, b in _EDGES])
_RINGS = ((0, 1, 3, 2), (4, 5, 7, 6), (0, 1, 5, 4), (2, 3, 7, 6), (0, 2, 6, 4), (1, 3, 7, 5))

Triangle = tuple[int, int, int]


def surface(mask: NDArray[np.bool_], spacing: tuple[float, float, float]) -> tuple[float, float]:
    """Area and volume of a mask's surface.

    Args:
        mask: (z, y, x), cropped: volumes of surfaces with gaps depend on where their origin lies.
        spacing: voxel size along (z, y, x), mm.

    Returns:
        mm², mm³.
    """
    padded = np.pad(mask, 1)
    case = np.zeros(tuple(size - 1 for size in padded.shape), np.uint8)
    for k, corner in enumerate(_CORNERS):
        case |= padded[tuple(slice(c, c + n) for c, n in zip(corner, case.shape, strict=True))].astype(np.uint8) << k
    found = np.flatnonzero((case != 0) & (case != 255))
    cases = case.ravel()[found]
    place = np.stack(np.unravel_index(found, case.shape), -1) * np.asarray(spacing)
    counts = np.bincount(cases, minlength=256)
    moved = np.stack([np.bincount(cases, place[:, axis], 256) for axis in range(3)], -1)
    area = volume = 0.0
    for index in np.flatnonzero(counts):
        sign, triangles = _triangles(int(index))
        a, b, c = (_MIDDLES[list(corner)] * spacing for corner in zip(*triangles, strict=True))
        area += counts[index] * np.linalg.norm(np.cross(b - a, c - a), axis=1).sum() / 2
        volume += sign * (counts[index] * (a * np.cross(b, c)).sum() + moved[index] @ np.cross(b - a, c - a).sum(0)) / 6
    return float(area), float(volume)


def vertices(mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    """(n, 3) corners of the surface, (z, y, x) in half voxels."""
    padded = np.pad(mask, 1).astype(np.int8)
    found = []
    for axis in range(3):
        at = 2 * np.argwhere(np.diff(padded, axis=axis))
        at[:, axis] += 1
        found.append(at)
    return np.concatenate(found)


@functools.cache
def _triangles(case: int) -> tuple[int, list[Triangle]]:
    """The triangles of a cube, by its edges, and the sign of their volume."""
    if case & 128:
        return -1, _triangles(case ^ 255)[1]
    return 1, [triangle for loop in _loops(case) for triangle in _divided(loop)]


def _loops(case: int) -> list[list[int]]:
    """Closed lines of edges around the inside corners, anticlockwise from outside."""
    inside = [bool(case >> corner & 1) for corner in range(8)]
    beside: dict[int, list[int]] = {}
    for ring in _RINGS:
        edges = [_edge(ring[k], ring[(k + 1) % 4]) for k in range(4)]
        cut = [k for k in range(4) if inside[ring[k]] != inside[ring[(k + 1) % 4]]]
        pairs = [(cut[0], cut[1])] if len(cut) == 2 else [(k - 1, k) for k in range(4) if cut and inside[ring[k]]]
        for one, other in pairs:
            beside.setdefault(edges[one], []).append(edges[other])
            beside.setdefault(edges[other], []).append(edges[one])
    loops = []
    while beside:
        start = min(beside)
        loop, before = [start], beside[start][1]
        while (after := next(edge for edge in beside[loop[-1]] if edge != before)) != start:
            before = loop[-1]
            loop.append(after)
        for edge in loop:
            del beside[edge]
        loops.append(_outward(loop, inside))
    return loops


def _edge(a: int, b: int) -> int:
    return _EDGES.index((min(a, b), max(a, b)))


def _outward(loop: list[int], inside: list[bool]) -> list[int]:
    """The loop, turned so that its area points from inside to outside."""
    corners = _MIDDLES[loop]
    area = np.cross(corners, np.roll(corners, -1, 0)).sum(0)
    out = sum((_CORNERS[b] - _CORNERS[a]) * (1 if inside[a] else -1) for a, b in (_EDGES[edge] for edge in loop))
    return loop if area @ out > 0 else loop[::-1]


def _divided(loop: list[int]) -> list[Triangle]:
    """A loop as triangles."""
    if len(loop) == 7:
        fans = [[(at, loop[k + i - 6], loop[k + i - 5]) for i in range(5)] for k, at in enumerate(loop)]
        areas = np.round([_area(fan) for fan in fans], 9)
        return next(fan for fan, area in zip(fans, areas, strict=True) if (areas == area).sum() == 1)
    ways = _divisions(loop)
    largest = max(map(_area, ways))
    best = sorted((way for way in ways if _area(way) > largest - 1e-9), key=_volume)
    return best[len(best) // 2]


def _divisions(loop: list[int]) -> list[list[Triangle]]:
    """Every way to divide a loop into triangles."""
    if len(loop) < 3:
        return [[]]
    return [
        [*before, *after, (loop[0], loop[k], loop[-1])]
        for k in range(1, len(loop) - 1)
        for before in _divisions(loop[: k + 1])
        for after in _divisions(loop[k:])
    ]


def _area(triangles: list[Triangle]) -> float:
    a, b, c = (_MIDDLES[list(corner)] for corner in zip(*triangles, strict=True))
    return float(np.linalg.norm(np.cross(b - a, c - a), axis=1).sum() / 2)


def _volume(triangles: list[Triangle]) -> float:
    a, b, c = (_MIDDLES[list(corner)] for corner in zip(*triangles, strict=True))
    return round(float((a * np.cross(b, c)).sum() / 6), 9)
