"""Path length of every ray inside a closed surface, without sorting hits and without a tree.

The length inside is Σ exits − Σ entries, each the distance along the ray at which it crosses a triangle. So triangles
are projected onto the detector one by one, and each adds its distance, with the sign of its orientation, to the pixels
it covers. Crossings beyond the pixel count as at the pixel and those behind the source as at the source: the sum is
then the length between the two, wherever the surface lies, also around the source.

Coordinates of the screen: the point source + x·du + y·dv + t·(origin − source) is (x, y, t); its ray meets pixel
(x/t, y/t), and t is the fraction of the way from source to pixel. Lengths add up as integers, in 2⁻⁴⁰ of the ray: the
sum does not depend on the order of triangles or threads.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numba import njit

from synth.kernels.raster import GUARD, SUBPIXEL, make_edges, row_span, snap
from synth.kernels.threads import run_parallel
from synth.kernels.traversal import pixel_ray

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["FIXED", "NEAR", "mesh_lengths"]

FIXED = 1 << 40
"""Steps in which crossings are measured, per ray."""

NEAR = 1e-9
"""Fraction of the way from source to pixel before which crossings count as at the source."""

_TRIANGLES = 4096  # a task takes when preparing
_ROWS = 16  # a task takes when drawing
_CORNERS = 8  # of a triangle cut by five planes, at most


def mesh_lengths(vertices: Any, faces: Any, cameras: NDArray[np.float64], shape: tuple[int, int]) -> Any:
    """Length of every ray inside a closed surface, from source to pixel.

    Several closed surfaces in one mesh add up; one turned inside out is a hole in another that holds it. Exact for
    triangles, but for silhouettes: corners are rounded to 1/16384 of a pixel.

    Args:
        vertices: (n, 3), world mm, within 1e9 of 0: numpy, or CuPy to compute on its GPU.
        faces: (m, 3) int32, indices of vertices, counter-clockwise seen from outside; the same kind of array.
        cameras: (V, 4, 3), world mm (x, y, z): source, centre of pixel (0, 0), step along u (to the next column), step
            along v (to the next row).
        shape: (h, w) of the detector, pixels.

    Returns:
        (V, h, w) float32, mm, as numpy or CuPy. Negative where the surface is inside out; without meaning where it is
        not closed.

    Raises:
        ValueError: Malformed arguments, an image above 16384 pixels a side, a source in the detector's plane.
    """
    cameras = np.asarray(cameras, np.float64)
    _check(vertices, faces, cameras, shape)
    if not isinstance(vertices, np.ndarray):
        from synth.kernels import _cuda

        return _cuda.mesh_lengths(vertices, faces, cameras, shape)
    vertices, faces = np.ascontiguousarray(vertices, np.float64), np.ascontiguousarray(faces, np.int32)
    out = np.empty((len(cameras), *shape), np.float32)
    for camera, image in zip(cameras, out, strict=True):
        _draw(_prepare(vertices, faces, camera, shape), camera, image)
    return out


class _Triangles(NamedTuple):
    """What drawing needs of k triangles on the screen."""

    edges: NDArray[np.int64]  # (k, 3, 3)
    plane: NDArray[np.float64]  # (k, 6): t = plane[3] / (plane[0]·u + plane[1]·v + plane[2]), within plane[4:6]
    bounds: NDArray[np.int32]  # (k, 4): first and last column, first and last row
    sign: NDArray[np.int64]  # (k,)


def _prepare(
    vertices: NDArray[np.float64], faces: NDArray[np.int32], camera: NDArray[np.float64], shape: tuple[int, int]
) -> _Triangles:
    """Triangles in front of the source, cut to the surroundings of the image."""
    screen = np.empty_like(vertices)
    run_parallel(lambda i, j: _to_screen(vertices, camera, screen, i, j), len(vertices), _TRIANGLES)
    counts = np.zeros(len(faces) + 1, np.int64)
    run_parallel(lambda i, j: _count(screen, faces, counts, i, j), len(faces), _TRIANGLES)
    first = np.cumsum(counts)
    k = int(first[-1])
    triangles = _Triangles(
        np.empty((k, 3, 3), np.int64), np.empty((k, 6)), np.empty((k, 4), np.int32), np.empty(k, np.int64)
    )
    run_parallel(lambda i, j: _fill(screen, faces, first, shape, triangles, i, j), len(faces), _TRIANGLES)
    if np.linalg.det(camera[[2, 3, 1]] - [[0, 0, 0], [0, 0, 0], camera[0].tolist()]) < 0:
        np.negative(triangles.sign, out=triangles.sign)  # a mirrored screen turns triangles over
    return triangles


def _draw(triangles: _Triangles, camera: NDArray[np.float64], image: NDArray[np.float32]) -> None:
    crossings = np.zeros(image.shape, np.int64)

    def rows(v0: int, v1: int) -> None:
        _add_crossings(triangles, crossings, v0, v1)
        _measure(crossings, camera, image, v0, v1)

    run_parallel(rows, len(image), _ROWS)


def _check(vertices: Any, faces: Any, cameras: NDArray[np.float64], shape: tuple[int, int]) -> None:
    if vertices.ndim != 2 or vertices.shape[1] != 3 or vertices.dtype.kind != "f":
        raise ValueError(f"vertices must be (n, 3) floats; got {vertices.dtype} {vertices.shape}")
    if not bool((abs(vertices) <= 1e9).all()):  # NaN fails, too
        raise ValueError("vertices must be finite and within 1e9 mm of the origin")
    if faces.ndim != 2 or faces.shape[1] != 3 or faces.dtype.kind not in "iu":
        raise ValueError(f"faces must be (m, 3) integers; got {faces.dtype} {faces.shape}")
    if faces.size and not (0 <= int(faces.min()) and int(faces.max()) < len(vertices)):
        raise ValueError(f"faces must hold indices of the {len(vertices)} vertices")
    if len(shape) != 2 or not (1 <= min(shape) and max(shape) <= 16384):
        raise ValueError(f"shape must be (h, w) of 1 to 16384 pixels each; got {shape}")
    if cameras.ndim != 3 or cameras.shape[1:] != (4, 3) or not np.isfinite(cameras).all():
        raise ValueError(f"cameras must be finite and (V, 4, 3): source, pixel (0, 0), du, dv; got {cameras.shape}")
    if (np.abs(np.linalg.det(np.stack([cameras[:, 2], cameras[:, 3], cameras[:, 1] - cameras[:, 0]], 1))) == 0).any():
        raise ValueError("cameras: the source lies in the detector's plane, or pixels have no area")


@njit(nogil=True, cache=True)
def _to_screen(vertices, camera, screen, first, last):  # type: ignore[no-untyped-def]
    source, du, dv = camera[0], camera[2], camera[3]
    across = camera[1] - source
    a, b, c = np.cross(dv, across), np.cross(across, du), np.cross(du, dv)
    scale = 1.0 / np.dot(du, a)
    for i in range(first, last):
        x, y, z = vertices[i, 0] - source[0], vertices[i, 1] - source[1], vertices[i, 2] - source[2]
        screen[i, 0] = (x * a[0] + y * a[1] + z * a[2]) * scale
        screen[i, 1] = (x * b[0] + y * b[1] + z * b[2]) * scale
        screen[i, 2] = (x * c[0] + y * c[1] + z * c[2]) * scale


@njit(nogil=True, cache=True, inline="always")
def _side(p, plane):  # type: ignore[no-untyped-def]
    """Positive inside one of five planes: before the source, and to the left, right, top and bottom of the screen."""
    if plane == 0:
        return p[2] - NEAR
    axis, sign = (plane - 1) // 2, 1.0 if plane % 2 else -1.0
    return GUARD * p[2] - sign * p[axis]


@njit(nogil=True, cache=True)
def _cut(corners, n, scratch):  # type: ignore[no-untyped-def]
    """Cuts a polygon to the five planes (Sutherland & Hodgman 1974), in place; the number of its corners."""
    for plane in range(5):
        count = 0
        for i in range(n):
            p, q = corners[i], corners[(i + 1) % n]
            at_p, at_q = _side(p, plane), _side(q, plane)
            if at_p > 0:
                scratch[count] = p
                count += 1
            if (at_p > 0) != (at_q > 0):
                # From inside outwards, whichever way the edge runs: both triangles of an edge get the same corner.
                if at_p > 0:
                    scratch[count] = p + (at_p / (at_p - at_q)) * (q - p)
                else:
                    scratch[count] = q + (at_q / (at_q - at_p)) * (p - q)
                count += 1
        corners[:count] = scratch[:count]
        n = count
    return n


@njit(nogil=True, cache=True)
def _polygon(screen, face, corners, scratch):  # type: ignore[no-untyped-def]
    """The part of a triangle that is in front of the source and near the image; the number of its corners."""
    whole = True
    for i in range(3):
        corners[i] = screen[face[i]]
        for plane in range(5):
            whole = whole and _side(corners[i], plane) > 0
    return 3 if whole else _cut(corners, 3, scratch)


@njit(nogil=True, cache=True)
def _count(screen, faces, counts, first, last):  # type: ignore[no-untyped-def]
    corners, scratch = np.empty((_CORNERS, 3)), np.empty((_CORNERS, 3))
    for i in range(first, last):
        counts[i + 1] = max(0, _polygon(screen, faces[i], corners, scratch) - 2)


@njit(nogil=True, cache=True)
def _fill(screen, faces, starts, shape, triangles, first, last):  # type: ignore[no-untyped-def]
    corners, scratch = np.empty((_CORNERS, 3)), np.empty((_CORNERS, 3))
    x, y = np.empty(3, np.int64), np.empty(3, np.int64)
    for i in range(first, last):
        n = _polygon(screen, faces[i], corners, scratch)
        for part in range(n - 2):
            k = starts[i] + part
            a, b, c = corners[0], corners[part + 1], corners[part + 2]
            for j, p in enumerate((a, b, c)):
                x[j], y[j] = snap(p[0] / p[2]), snap(p[1] / p[2])
            triangles.sign[k] = make_edges(x, y, triangles.edges[k])
            bounds = triangles.bounds[k]
            bounds[0], bounds[1] = max(0, -(-x.min() // SUBPIXEL)), min(shape[1] - 1, x.max() // SUBPIXEL)
            bounds[2], bounds[3] = max(0, -(-y.min() // SUBPIXEL)), min(shape[0] - 1, y.max() // SUBPIXEL)
            if triangles.sign[k] == 0 or bounds[0] > bounds[1]:
                bounds[3] = -1
            _plane(a, b, c, triangles.plane[k])


@njit(nogil=True, cache=True)
def _plane(a, b, c, plane):  # type: ignore[no-untyped-def]
    px, py, pz = b[0] - a[0], b[1] - a[1], b[2] - a[2]
    qx, qy, qz = c[0] - a[0], c[1] - a[1], c[2] - a[2]
    plane[0], plane[1], plane[2] = py * qz - pz * qy, pz * qx - px * qz, px * qy - py * qx
    plane[3] = plane[0] * a[0] + plane[1] * a[1] + plane[2] * a[2]
    plane[4], plane[5] = min(a[2], min(b[2], c[2])), max(a[2], max(b[2], c[2]))


@njit(nogil=True, cache=True)
def _add_crossings(triangles, crossings, v0, v1):  # type: ignore[no-untyped-def]
    for k in range(len(triangles.sign)):
        bounds = triangles.bounds[k]
        if bounds[3] < v0 or bounds[2] >= v1:
            continue
        plane, sign = triangles.plane[k], triangles.sign[k]
        for v in range(max(v0, bounds[2]), min(v1, bounds[3] + 1)):
            low, high = row_span(triangles.edges[k], v, bounds[0], bounds[1])
            for u in range(low, high + 1):
                below = plane[0] * u + plane[1] * v + plane[2]
                # A triangle seen edge on has no certain t, but none beyond its corners.
                t = min(max(plane[3] / below if below != 0.0 else plane[4], plane[4]), plane[5])
                crossings[v, u] += sign * int(math.floor(min(t, 1.0) * FIXED + 0.5))


@njit(nogil=True, cache=True)
def _measure(crossings, camera, image, v0, v1):  # type: ignore[no-untyped-def]
    for v in range(v0, v1):
        for u in range(image.shape[1]):
            dx, dy, dz = pixel_ray(camera, u, v)
            image[v, u] = crossings[v, u] * (math.sqrt(dx * dx + dy * dy + dz * dz) / FIXED)
