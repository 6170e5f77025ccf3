"""Analytic scenes: solids of which a later one replaces what lies below it, with exact line integrals and thicknesses.

The semantics of the FORBILD phantoms (Lauritsch & Bruder): no densities add up; the last solid of the list that holds a
point decides its value. Along a ray the ends of all intervals are sorted, and each piece belongs to its last solid.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numba import njit

from synth.core.errors import InputError
from synth.core.label_names import totalsegmentator_names
from synth.core.volume import AIR_HU, Labels, Volume
from synth.drr.attenuation import water_attenuation
from synth.drr.solids import PackedSolids, Solid, box, interval, pack
from synth.kernels.threads import run_parallel

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from synth.drr.geometry import Camera

__all__ = ["Scene"]

_ROWS = 8  # rows a task takes


@dataclass(frozen=True)
class Scene:
    """Solids in air.

    Attributes:
        solids: In order: where two overlap, the later replaces the earlier.
        name: What to call it.
        bounds: ((x, y, z), (x, y, z)), lowest and highest corner, world mm, of the box outside of which all is air;
            None for no such box.
    """

    solids: tuple[Solid, ...]
    name: str = "scene"
    bounds: tuple[tuple[float, float, float], tuple[float, float, float]] | None = None

    @cached_property
    def label_names(self) -> dict[int, str]:
        """Label → structure: TotalSegmentator's labels for its names, numbers above them for others."""
        known = {name: label for label, name in totalsegmentator_names().items()}
        names = dict.fromkeys(solid.name for solid in self.solids if solid.name)
        others = [name for name in names if name not in known]
        known |= {name: max(known.values()) + 1 + i for i, name in enumerate(others)}
        return dict(sorted((known[name], name) for name in names))

    def line_integral(self, camera: Camera, *, energy_kev: float = 60.0) -> NDArray[np.float64]:
        """∫μ dl from the source to every pixel, exact: (h, w), dimensionless.

        HU become attenuation as in `Projector`: μ = μ_water · (HU + 1000) / 1000, not below 0.

        Raises:
            InputError: An energy out of range.
        """
        scale = water_attenuation(energy_kev) / 1000
        values = np.array([scale * max(0.0, solid.hu - AIR_HU) for solid in self.solids])
        integral: NDArray[np.float64] = self._lengths(camera, values, np.zeros(len(self.solids), np.int64), 1)[0]
        return integral

    def thickness(self, camera: Camera) -> dict[str, NDArray[np.float64]]:
        """Structure → (h, w), mm of every ray inside it, exact; structures that the view does not meet are 0."""
        names = list(self.label_names.values())
        groups = np.array([names.index(solid.name) if solid.name else -1 for solid in self.solids], np.int64)
        lengths = self._lengths(camera, (groups >= 0).astype(float), np.maximum(groups, 0), max(1, len(names)))
        return dict(zip(names, lengths, strict=False))

    def voxelise(
        self, shape: tuple[int, int, int], affine: NDArray[np.float64], *, supersample: int = 2
    ) -> tuple[Volume, Labels]:
        """The scene on a grid.

        Args:
            shape: Voxels along (z, y, x).
            affine: (4, 4), voxel index (x, y, z, 1) → world LPS, mm.
            supersample: n: a voxel's value is the mean along n × n lines through it, exact along x.

        Returns:
            HU, float32, and labels: the structure at the voxel's centre.

        Raises:
            InputError: A shape or supersample below 1, or a singular affine.
        """
        if supersample < 1 or min(shape) < 1:
            raise InputError(f"supersample and shape must be at least 1; got {supersample}, {shape}")
        hu = np.zeros(shape, np.float32)
        labels = np.zeros(shape, np.uint8 if max(self.label_names, default=0) < 256 else np.uint16)
        volume, label_map = Volume(hu, affine, self.name), Labels(labels, affine, self.label_names, self.name)
        numbers = {name: label for label, name in self.label_names.items()}
        solids, inside = self._packed
        values = np.array([max(0.0, solid.hu - AIR_HU) for solid in self.solids])
        label = np.array([numbers.get(solid.name, 0) for solid in self.solids], np.int64)
        low, high = self._reach(affine)

        def fill(z0: int, z1: int) -> None:
            _fill(solids, inside, values, label, low, high, affine, supersample, hu, labels, z0, z1)

        run_parallel(fill, shape[0], _ROWS)
        return volume, label_map

    @cached_property
    def _packed(self) -> tuple[PackedSolids, PackedSolids]:
        """All solids, and the box around the scene, if any."""
        if self.bounds is None:
            return pack(self.solids), pack(())
        low, high = np.array(self.bounds, float)
        return pack(self.solids), pack([box((low + high) / 2, (high - low) / 2, AIR_HU)])

    @cached_property
    def _stretched(self) -> NDArray[np.float64]:
        """Half axes of a box around every solid, as columns: (n, 3, 3), world mm."""
        return np.array([solid.axes * [1, 1, 1 + solid.reach] for solid in self.solids]).reshape(-1, 3, 3)

    def _lengths(
        self, camera: Camera, values: NDArray[np.float64], groups: NDArray[np.int64], n: int
    ) -> NDArray[np.float64]:
        """Path lengths of the last solid times its value, summed by group: (n, h, w)."""
        out = np.zeros((n, *camera.shape))
        packed = camera.packed
        radius = np.sqrt((self._stretched**2).sum((1, 2)))

        def rows(v0: int, v1: int) -> None:
            _rows(*self._packed, radius, values, groups, packed, out, v0, v1)

        run_parallel(rows, camera.shape[0], _ROWS)
        return out

    def _reach(self, affine: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Lowest and highest voxel coordinate (x, y, z) of every solid's bounding box: (n, 3) each."""
        inverse = np.linalg.inv(affine[:3, :3])
        half = np.abs(inverse @ self._stretched).sum(2)
        centre = (self._packed[0].centre - affine[:3, 3]) @ inverse.T
        return centre - half, centre + half


@njit(nogil=True, cache=True)
def _intervals(solids, chosen, sx, sy, sz, dx, dy, dz, t0, t1, spans, owners):  # type: ignore[no-untyped-def]
    """Writes the intervals of the chosen solids that meet the line to spans (n, 2) and owners; returns how many."""
    n = 0
    for i in chosen:
        a, b = interval(solids, i, sx, sy, sz, dx, dy, dz, t0, t1)
        if a < b:
            spans[n, 0], spans[n, 1], owners[n] = a, b, i
            n += 1
    return n


@njit(nogil=True, cache=True)
def _pieces(spans, owners, n, ends):  # type: ignore[no-untyped-def]
    """Sorts the ends of n intervals and finds the last solid of every piece between them, −1 for none, in owners[n:].

    Returns the number of ends; piece k runs from ends[k] to ends[k + 1] and belongs to owners[n + k].
    """
    for k in range(n):
        ends[2 * k], ends[2 * k + 1] = spans[k, 0], spans[k, 1]
    ends[: 2 * n].sort()
    for k in range(2 * n - 1):
        middle = 0.5 * (ends[k] + ends[k + 1])
        owners[n + k] = -1
        for m in range(n - 1, -1, -1):
            if spans[m, 0] < middle < spans[m, 1]:
                owners[n + k] = owners[m]
                break
    return 2 * n


@njit(nogil=True, cache=True)
def _rows(solids, inside, radius, values, groups, camera, out, v0, v1):  # type: ignore[no-untyped-def]
    count = len(solids.kind)
    chosen = np.empty(count, np.int64)
    spans, owners, ends = np.empty((count, 2)), np.empty(3 * count, np.int64), np.empty(2 * count)
    sx, sy, sz = camera[0]
    for v in range(v0, v1):
        # The rays of a row lie in a plane, which most solids do not meet.
        normal = np.cross(camera[2], camera[1] + v * camera[3] - camera[0])
        normal /= np.sqrt((normal * normal).sum())
        met = 0
        for i in range(count):
            if abs(((solids.centre[i] - camera[0]) * normal).sum()) <= radius[i]:
                chosen[met] = i
                met += 1
        for u in range(out.shape[2]):
            dx, dy, dz = camera[1] + u * camera[2] + v * camera[3] - camera[0]
            t0, t1 = 0.0, 1.0
            if len(inside.kind):
                t0, t1 = interval(inside, 0, sx, sy, sz, dx, dy, dz, t0, t1)
            n = _intervals(solids, chosen[:met], sx, sy, sz, dx, dy, dz, t0, t1, spans, owners)
            length = np.sqrt(dx * dx + dy * dy + dz * dz)
            for k in range(_pieces(spans, owners, n, ends) - 1):
                i = owners[n + k]
                if i >= 0:
                    out[groups[i], v, u] += (ends[k + 1] - ends[k]) * length * values[i]


@njit(nogil=True, cache=True)
def _fill(solids, inside, values, label, low, high, affine, parts, hu, labels, z0, z1):  # type: ignore[no-untyped-def]
    """The slices z0 … z1: HU + 1000 averaged along parts² lines a row, less 1000; labels along the line of centres."""
    _, ny, nx = hu.shape
    count = len(solids.kind)
    chosen = np.empty(count, np.int64)
    spans, owners, ends = np.empty((count, 2)), np.empty(3 * count, np.int64), np.empty(2 * count)
    dx, dy, dz = affine[0, 0] * nx, affine[1, 0] * nx, affine[2, 0] * nx
    for z in range(z0, z1):
        for y in range(ny):
            met = 0
            for i in range(count):
                if low[i, 1] < y + 0.5 and high[i, 1] > y - 0.5 and low[i, 2] < z + 0.5 and high[i, 2] > z - 0.5:
                    chosen[met] = i
                    met += 1
            for line in range(parts * parts + 1 if met else 0):
                centre = line == parts * parts
                oy = 0.0 if centre else (line % parts + 0.5) / parts - 0.5
                oz = 0.0 if centre else (line // parts + 0.5) / parts - 0.5
                sx, sy, sz = affine[:3, 3] - 0.5 * affine[:3, 0] + (y + oy) * affine[:3, 1] + (z + oz) * affine[:3, 2]
                t0, t1 = 0.0, 1.0
                if len(inside.kind):
                    t0, t1 = interval(inside, 0, sx, sy, sz, dx, dy, dz, t0, t1)
                n = _intervals(solids, chosen[:met], sx, sy, sz, dx, dy, dz, t0, t1, spans, owners)
                for k in range(_pieces(spans, owners, n, ends) - 1):
                    i = owners[n + k]
                    a, b = ends[k] * nx, ends[k + 1] * nx
                    if i < 0 or a >= b:
                        continue
                    if centre:
                        for x in range(max(0, int(np.ceil(a - 0.5))), min(nx, int(np.ceil(b - 0.5)))):
                            labels[z, y, x] = label[i]
                    else:
                        _spread(hu[z, y], a, b, values[i] / (parts * parts))
            hu[z, y] -= np.float32(1000)


@njit(nogil=True, cache=True, inline="always")
def _spread(row, a, b, value):  # type: ignore[no-untyped-def]
    """Adds value × the part of every voxel covered by [a, b], voxel x spanning [x, x + 1]."""
    first, last = int(a), min(int(b), row.size - 1)
    if first == last:
        row[first] += value * (b - a)
        return
    row[first] += value * (first + 1 - a)
    row[last] += value * (b - last)
    row[first + 1 : last] += np.float32(value)
