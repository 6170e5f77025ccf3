"""The lungs' trees, and the region that they fill."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from synth.anatomy.labels import LOBES
from synth.anatomy.solids import Tubes
from synth.core.errors import InputError
from synth.kernels.growth import clearance, farthest_points, interpolate

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["LungRegion", "Tree"]

_LEAST_CELLS = 30  # that make a lobe


@dataclass(frozen=True, eq=False)
class LungRegion:
    """Where the lungs of one person are, lobe by lobe, on a coarse lattice.

    Attributes:
        lobe: (nz, ny, nx) int8, index into synth.anatomy.labels.LOBES, −1 outside the lungs; a lobe may be missing.
        origin: (3,) world LPS mm of the centre of cell [0, 0, 0]; axes are parallel to the world's.
        spacing_mm: Edge of the cells, 3 to 8 mm.
        free_mm: (nz, ny, nx) distance from what has to be kept clear of besides, mm, negative inside it.

    Raises:
        InputError: Not such a lattice, or no lobe of at least 30 cells in it.
    """

    lobe: NDArray[np.int8]
    origin: NDArray[np.float64]
    spacing_mm: float
    free_mm: NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        if self.lobe.ndim != 3 or self.lobe.dtype != np.int8:
            raise InputError(f"lungs: lobe must be (nz, ny, nx) int8, got {self.lobe.dtype} {self.lobe.shape}")
        if not 3 <= self.spacing_mm <= 8:
            raise InputError(f"lungs: spacing_mm must be from 3 to 8, got {self.spacing_mm}")
        if np.shape(self.origin) != (3,) or not np.isfinite(self.origin).all():
            raise InputError(f"lungs: origin must be three finite numbers, got {self.origin}")
        if not -1 <= self.lobe.min(initial=-1) <= self.lobe.max(initial=-1) < len(LOBES):
            raise InputError(f"lungs: lobe must hold −1 to {len(LOBES) - 1}")
        if not self.lobes:
            raise InputError(f"lungs: no lobe has {_LEAST_CELLS} cells; fill in the lobes or use a finer lattice")

    @cached_property
    def lobes(self) -> tuple[int, ...]:
        """The lobes that are there, of 30 cells or more."""
        counts = np.bincount(self.lobe[self.lobe >= 0], minlength=len(LOBES))
        return tuple(np.flatnonzero(counts >= _LEAST_CELLS).tolist())

    @cached_property
    def surface(self) -> NDArray[np.float32]:
        """(lobes, nz, ny, nx): depth of every cell's centre under the surface of each lobe, mm; negative outside."""
        half = self.spacing_mm / 2
        depth = np.full((len(LOBES), *self.lobe.shape), -half, np.float32)
        for lobe, box in enumerate(ndimage.find_objects(self.lobe + 1, len(LOBES))):
            if box is not None:
                inside = np.pad(self.lobe[box] == lobe, 1)
                distance = ndimage.distance_transform_edt(inside)[1:-1, 1:-1, 1:-1] * self.spacing_mm
                depth[lobe][box] = distance - half
        return depth

    @cached_property
    def depth(self) -> NDArray[np.float32]:
        """The same, or the distance from what is kept clear of where that is less."""
        return self.surface if self.free_mm is None else np.minimum(self.surface, self.free_mm)

    def clear_of(self, tubes: Tubes, gap_mm: float) -> LungRegion:
        """The same lungs with a depth that also counts from rods, as from a surface that leaves them the gap."""
        radius = np.maximum(tubes.start_radius, tubes.end_radius) + gap_mm
        reach, origin = 4 * self.spacing_mm, np.asarray(self.origin, float)
        free = clearance(tubes.start, tubes.end, radius, self.lobe.shape, origin, self.spacing_mm, reach)
        free[free >= reach] = np.inf
        region = replace(self, free_mm=free)
        region.__dict__["surface"] = self.surface  # where cached_property keeps it
        return region

    def cells(self, lobe: int, least_mm: float = 0.0) -> NDArray[np.float64]:
        """(n, 3) world: centres of a lobe's cells that lie so deep; the deepest ones if none does."""
        depth = self.depth[lobe]
        index = np.argwhere(depth >= min(least_mm, float(depth.max())))
        points: NDArray[np.float64] = self.origin + self.spacing_mm * index[:, ::-1]
        return points

    def depth_at(self, points: NDArray[np.float64], lobe: int) -> NDArray[np.float64]:
        """(n,) depth of points (n, 3) under a lobe's surface, mm; negative outside."""
        at: NDArray[np.float64] = interpolate(
            self.depth[lobe], np.asarray(self.origin, float), self.spacing_mm, -1e9, np.ascontiguousarray(points)
        )
        return at

    def share(self, lobe: int) -> float:
        """A lobe's part of the lungs' volume."""
        return float((self.lobe == lobe).sum() / np.isin(self.lobe, self.lobes).sum())

    def spread(self, lobe: int, count: int, margin_mm: float, generator: np.random.Generator) -> NDArray[np.float64]:
        """(≤ count, 3): points that fill a lobe evenly but for a jitter, far ones first, so deep under its surface."""
        cells = self.cells(lobe, margin_mm)
        cells = cells + (generator.random(cells.shape) - 0.5) * self.spacing_mm
        cells = cells[self.depth_at(cells, lobe) >= min(margin_mm, float(self.depth[lobe].max()) / 2)]
        first = int(generator.integers(len(cells)))
        cells[[0, first]] = cells[[first, 0]]
        spread: NDArray[np.float64] = cells[farthest_points(cells, min(count, len(cells)))]
        return spread


@dataclass(frozen=True, eq=False)
class Tree:
    """A branching tube in straight pieces, every parent before its children.

    Attributes:
        start: (n, 3) world, the parent's end.
        end: (n, 3) world.
        start_radius: (n,) of the lumen, mm.
        end_radius: (n,) mm.
        parent: (n,) index of the piece before, −1 for a root.
        generation: (n,) number of branchings since the root.
        lobe: (n,) index into synth.anatomy.labels.LOBES, −1 outside the lobes.
    """

    start: NDArray[np.float64]
    end: NDArray[np.float64]
    start_radius: NDArray[np.float64]
    end_radius: NDArray[np.float64]
    parent: NDArray[np.int64]
    generation: NDArray[np.int64]
    lobe: NDArray[np.int64]

    @property
    def first(self) -> NDArray[np.bool_]:
        """(n,): whether the piece is the first of a branch; so many branches there are."""
        return (self.parent < 0) | (self.generation[self.parent] < self.generation)

    @property
    def tip(self) -> NDArray[np.bool_]:
        """(n,): whether nothing follows the piece."""
        tip = np.ones(len(self.parent), bool)
        tip[self.parent[self.parent >= 0]] = False
        return tip

    def path(self, piece: int) -> list[int]:
        """The pieces from the root to this one."""
        way = [int(piece)]
        while self.parent[way[-1]] >= 0:
            way.append(int(self.parent[way[-1]]))
        return way[::-1]

    def tubes(self, scale: float = 1.0, extra_mm: NDArray[np.float64] | float = 0.0) -> Tubes:
        """What to paint: radius · scale + extra_mm, the latter one for all or (n,)."""
        n = len(self.parent)
        normal = np.tile([0.0, 0.0, 1.0], (n, 1))
        radii = (self.start_radius * scale + extra_mm, self.end_radius * scale + extra_mm)
        return Tubes(self.start, self.end, *radii, normal, np.ones(n))
