"""Strokes as the arrays that synth.kernels.paint takes.

Lengths are rounded to 1/1024 mm, directions and steps to 2⁻²⁰, and all that is derived is made of these numbers by
operations that IEEE 754 rounds alike everywhere. So the last bits of sines and powers, which differ between machines,
do not reach the kernels.
"""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from synth.anatomy.labels import LABELS, PARTS
from synth.anatomy.solids import Loft, Slab
from synth.core.errors import InputError
from synth.kernels.paint import Program
from synth.kernels.solids import LOFT, SEGMENT, SLAB, sector

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import ArrayLike, NDArray

    from synth.anatomy.solids import Solid, Stroke, Tubes

    Floats: TypeAlias = NDArray[np.float64]

__all__ = ["pack"]

_SLACK = 1.0 / 64  # mm, beyond what boxes need
_FAR = 1e5  # mm, beyond which float32 cannot tell voxels apart


def pack(strokes: Iterable[Stroke], shape: tuple[int, int, int], origin: Floats, spacing: Floats) -> Program:
    """The program that paints strokes on a grid; what lies beside the grid is left out.

    Args:
        strokes: In the order of painting.
        shape: Voxels along z, y, x.
        origin: (3,) centre of voxel (0, 0, 0), x, y, z, mm.
        spacing: (3,) mm, along x, y, z.

    Raises:
        InputError: A label or part that there is not, or a solid that is malformed.
    """
    grid = _Grid(shape, origin, spacing)
    rows, values, over = [], [], []
    for stroke in strokes:
        first = grid.count
        label, part = _value(stroke.label, LABELS, "label"), _value(stroke.part, PARTS, "part")
        permits = _permits(stroke.over, stroke.over_parts)
        inset = float(_mm(stroke.inset_mm))
        for solid in stroke.solids:
            _add(grid, solid, inset)
        if grid.count > first:
            rows.append((first, grid.count, label, part))
            values.append((math.nan if stroke.hu is None else stroke.hu, inset))
            over.append(permits)
    solids = np.concatenate(grid.solids) if grid.solids else np.zeros((0, 10), np.int32)
    packed = np.zeros((len(rows), 10), np.int32)
    for row, numbers in zip(packed, rows, strict=True):
        row[:4] = numbers
        boxes = solids[numbers[0] : numbers[1], 4:]
        row[4::2], row[5::2] = boxes[:, ::2].min(0), boxes[:, 1::2].max(0)
    return Program(
        solids,
        np.concatenate(grid.data) if grid.data else np.zeros(0, np.float32),
        packed,
        np.array(values, np.float32).reshape(-1, 2),
        np.array(over, np.uint8).reshape(-1, 2, 256),
    )


class _Grid:
    """A grid, and the solids that touch it."""

    def __init__(self, shape: tuple[int, int, int], origin: Floats, spacing: Floats) -> None:
        self.size = np.array(shape[::-1])
        self.origin, self.spacing = np.asarray(origin, float), np.asarray(spacing, float)
        self.reach = float(self.spacing.max()) / 2
        self.edge = math.sqrt(math.fsum(edge * edge for edge in self.spacing) / 3)
        self.solids: list[NDArray[np.int32]] = []
        self.data: list[NDArray[np.float32]] = []
        self.count = self.length = 0

    def boxes(self, low: Floats, high: Floats, inset: float) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
        """Boxes of voxels (n, 6) that solids between two corners (n, 3) may touch, and whether there are any (n,)."""
        margin = max(self.reach - inset, 0.0) + _SLACK
        first = np.clip(np.ceil((low - margin - self.origin) / self.spacing), 0, self.size)
        end = np.clip(np.floor((high + margin - self.origin) / self.spacing) + 1, 0, self.size)
        boxes = np.empty((len(low), 6), np.int32)
        boxes[:, ::2], boxes[:, 1::2] = first, end
        return boxes, (first < end).all(1)

    def add(self, kind: int, shape: tuple[int, int], boxes: NDArray[np.int32], data: NDArray[np.float32]) -> None:
        """Adds n solids of a kind with their numbers (n, …)."""
        n = len(boxes)
        rows = np.empty((n, 10), np.int32)
        rows[:, 0], rows[:, 2:4], rows[:, 4:] = kind, shape, boxes
        rows[:, 1] = self.length + np.arange(n) * (data.size // n)
        self.solids.append(rows)
        self.data.append(data.ravel())
        self.count, self.length = self.count + n, self.length + data.size


def _add_loft(grid: _Grid, loft: Loft, inset: float) -> None:
    radius, centre = _mm(loft.radius), _mm(loft.centre)
    axes, origin = _fine(loft.axes), _mm(loft.origin)
    first, step = float(_mm(loft.w0)), float(_fine(loft.dw))
    n = len(radius) if radius.ndim == 2 else 0
    if n < 2 or radius.size == 0 or centre.shape != (n, 2) or step <= 0:
        raise InputError(
            f"loft: needs two sections at least, at a distance above 0, with a centre each; got radius {radius.shape}, "
            f"centre {centre.shape}, dw {loft.dw}"
        )
    if radius.min() < 0:
        raise InputError(f"loft: a radius must not be negative, got {loft.radius.min():g} mm")
    largest = radius.max(1)
    w = first + step * np.arange(n, dtype=np.float64)
    points = _outwards(axes, origin, centre[:, 0], centre[:, 1], w)
    wide = np.maximum(largest[:-1], largest[1:])[:, None] * np.sqrt(np.maximum(1 - axes[2] * axes[2], 0))
    low = (np.minimum(points[:-1], points[1:]) - wide).min(0)
    high = (np.maximum(points[:-1], points[1:]) + wide).max(0)
    boxes, touches = grid.boxes(low[None], high[None], inset)
    if not touches[0]:
        return
    inner, outer = grid.reach + inset, grid.reach - inset
    curving, blunt = (grid.edge * grid.edge / 24, grid.edge / 4), radius[[0, -1]].min(1) > 0
    ends = (first, 1 / step, w[-1], inner, outer, *curving, *blunt)
    square = radius * radius
    numbers = (axes, origin, ends, centre, _bounds(radius, centre, step, inner, outer))
    square = np.concatenate([square, square[:, :1]], 1)
    grid.add(LOFT, radius.shape, boxes, _joined(*numbers, square)[None])


def _bounds(radius: Floats, centre: Floats, step: float, inner: float, outer: float) -> Floats:
    """Squared distances (n − 1, 32, 2) from a loft's centre: surely inside up to, outside from; −1 and 0 for never.

    A surface that leans, or radii that change, bring the surface nearer than the radius alone tells. So margins grow
    with the centres' slope, and the neighbours of a sector and all sections within the margin count.
    """
    near = max(inner, outer, 0.0)
    lean = np.diff(centre, axis=0) / step
    slope = _spread(np.append((lean * lean).sum(1), 0.0), near, step, np.maximum)[:-1, None]
    slope = np.sqrt(1 + slope)
    around = radius[:, _sector_columns(radius.shape[1])]
    low = _spread(around.min(2), near, step, np.minimum)
    high = _spread(around.max(2), near, step, np.maximum)
    low, high = np.minimum(low[:-1], low[1:]), np.maximum(high[:-1], high[1:])
    inside = low - (inner * slope if inner > 0 else inner)
    outside = np.maximum(high + (outer * slope if outer > 0 else outer), 0.0)
    return np.stack([np.where(inside > 0, inside * inside, -1.0), outside * outside], -1)


@functools.lru_cache(64)
def _sector_columns(m: int) -> NDArray[np.int64]:
    """(32, k): which of m angles lie in each sector of synth.kernels.solids.sector, its neighbours, or just beyond."""
    middle = (np.arange(32) + 0.5) * (math.tau / 32)
    sectors = np.array([sector(np.float32(math.cos(a)), np.float32(math.sin(a))) for a in middle])
    first = np.floor((np.arange(32) - 1) * m / 32).astype(int)
    columns = np.empty((32, math.ceil(3 * m / 32) + 2), np.int64)
    columns[sectors] = (first[:, None] + np.arange(columns.shape[1])) % m
    return columns


def _spread(values: Floats, reach: float, step: float, extreme: Any) -> Floats:
    """The extreme of values along a line, within a reach and one step more."""
    result = values
    for _ in range(min(1 + math.ceil(reach / step), len(values))):
        result = result.copy()
        extreme(result[:-1], values[1:], out=result[:-1])
        extreme(result[1:], values[:-1], out=result[1:])
        values = result
    return result


def _add_slab(grid: _Grid, slab: Slab, inset: float) -> None:
    lower, upper = _mm(slab.lower), _mm(slab.upper)
    axes, origin = _fine(slab.axes), _mm(slab.origin)
    du, dv = float(_fine(slab.du)), float(_fine(slab.dv))
    if lower.ndim != 2 or min(lower.shape) < 2 or upper.shape != lower.shape or min(du, dv) <= 0:
        raise InputError(
            "slab: needs two tables of one shape, two rows and columns at least, at distances above 0; got "
            f"{lower.shape}, {upper.shape}, du {slab.du}, dv {slab.dv}"
        )
    n, m = lower.shape
    u, v = float(_mm(slab.u0)) + du * np.arange(m), float(_mm(slab.v0)) + dv * np.arange(n)
    low, high = _over_cells(lower, np.minimum), _over_cells(upper, np.maximum)
    # Where the surfaces have crossed, voxels within reach of the edge are covered still; the steeper, the farther.
    steep = np.maximum((_over_cells(lower, np.maximum) - low), (high - _over_cells(upper, np.minimum))) / min(du, dv)
    live = low - high < 2 * max(grid.reach - inset, 0.0) * np.sqrt(1 + 2 * steep * steep)
    if not live.any():
        return
    rows, columns = np.flatnonzero(live.any(1)), np.flatnonzero(live.any(0))
    bottom, top = low[live].min(), high[live].max()
    ends = np.array(
        [[u[columns[0]], u[columns[-1] + 1]], [v[rows[0]], v[rows[-1] + 1]], [min(bottom, top), max(bottom, top)]]
    )
    reaches = axes[:, :, None] * ends[:, None, :]  # local axis, world axis, end
    boxes, touches = grid.boxes((origin + reaches.min(2).sum(0))[None], (origin + reaches.max(2).sum(0))[None], inset)
    if touches[0]:
        depths = max(grid.reach + inset, 0.0), max(grid.reach - inset, 0.0)
        numbers = _joined(axes, origin, (u[0], 1 / du, u[-1], v[0], 1 / dv, v[-1], *depths), lower, upper)
        grid.add(SLAB, (n, m), boxes, numbers[None])


def _over_cells(table: Floats, extreme: Any) -> Floats:
    """The extreme of the four corners of every cell."""
    pairs = extreme(table[:-1], table[1:])
    result: Floats = extreme(pairs[:, :-1], pairs[:, 1:])
    return result


def _add_tubes(grid: _Grid, tubes: Tubes, inset: float) -> None:
    start, end = _mm(tubes.start), _mm(tubes.end)
    radii = np.stack([_mm(tubes.start_radius), _mm(tubes.end_radius)], -1)
    flat, normal = _mm(tubes.flat), _fine(tubes.normal)
    n = len(start)
    if start.shape != (n, 3) or any(a.shape != (n, 3) for a in (end, normal)) or radii.shape != (n, 2):
        raise InputError(
            f"tubes: needs points (n, 3) and radii (n,); got {start.shape}, {end.shape}, {radii.shape[:1]}"
        )
    if n and (radii.min() < 0 or flat.min() <= 0 or flat.max() > 1):
        raise InputError("tubes: radii must not be negative, and flat between 1/1024 and 1")
    wide = radii.max(1, keepdims=True, initial=0)
    boxes, touches = grid.boxes(np.minimum(start, end) - wide, np.maximum(start, end) + wide, inset)
    if not touches.any():
        return
    start, end, radii, flat, normal = (a[touches] for a in (start, end, radii, flat, normal))
    axis, growth = end - start, radii[:, 1] - radii[:, 0]
    square = axis[:, 0] * axis[:, 0] + axis[:, 1] * axis[:, 1] + axis[:, 2] * axis[:, 2]
    per_square = np.divide(1, square, out=np.zeros_like(square), where=square > 0)
    shrinkage = _shrinkage(radii * np.sqrt((1 + flat * flat) / 2)[:, None] - inset, grid.edge)
    size = np.stack([per_square, radii[:, 0], growth], -1)
    shape = np.stack([1 / (flat * flat) - 1, growth * growth * per_square, flat], -1)
    outer = grid.reach - inset
    stretched = outer * np.sqrt(1 / (flat * flat) + growth * growth * per_square)
    change = np.stack([shrinkage[:, 0], shrinkage[:, 1] - shrinkage[:, 0], np.maximum(stretched, outer)], -1)
    numbers = np.concatenate([start, axis, size, normal, shape, change], 1)
    grid.add(SEGMENT, (1, 1), boxes[touches], numbers.astype(np.float32))


def _shrinkage(radius: Floats, edge: float) -> Floats:
    """How much smaller to paint cylinders so that their blurred sections have the area πr², mm.

    A section of radius r' is blurred to the area π(r'² + e²/12) for r' ≥ e/2, and to a cone of π(r' + e/2)³/3e below.
    """
    radius = np.maximum(radius, 0)
    wide = radius * radius - edge * edge / 12
    thin = np.cbrt(3 * edge * radius * radius) - edge / 2
    return _mm(radius - np.where(wide >= edge * edge / 4, np.sqrt(np.maximum(wide, 0)), thin))


def _add(grid: _Grid, solid: Solid, inset: float) -> None:
    if isinstance(solid, Loft):
        _add_loft(grid, solid, inset)
    elif isinstance(solid, Slab):
        _add_slab(grid, solid, inset)
    else:
        _add_tubes(grid, solid, inset)


def _outwards(axes: Floats, origin: Floats, u: Floats, v: Floats, w: Floats) -> Floats:
    """Local points (n,) each → world (n, 3)."""
    result: Floats = origin + u[:, None] * axes[0] + v[:, None] * axes[1] + w[:, None] * axes[2]
    return result


def _joined(*numbers: ArrayLike) -> NDArray[np.float32]:
    return np.concatenate([np.ravel(part) for part in numbers]).astype(np.float32)


def _mm(length: ArrayLike) -> Floats:
    """Rounded to 1/1024 mm."""
    return _rounded(length, 1024.0)


def _fine(numbers: ArrayLike) -> Floats:
    """Rounded to 2⁻²⁰: directions, and steps, the errors of which add up."""
    return _rounded(numbers, 1048576.0)


def _rounded(numbers: ArrayLike, steps: float) -> Floats:
    array = np.asarray(numbers, np.float64)
    if not (np.abs(array) < _FAR).all():  # NaN fails, too
        raise InputError(f"a solid's numbers must be finite and below {_FAR:g} mm")
    result: Floats = np.rint(array * steps) / steps
    return result


def _value(name: str | None, values: Mapping[str, int], kind: str) -> int:
    if name is None:
        return -1
    if name and name not in values:
        raise InputError(f"a stroke's {kind} must be a name of synth.anatomy.labels, got {name!r}")
    return values.get(name, 0)


@functools.lru_cache(1024)
def _permits(over: tuple[str, ...] | None, over_parts: tuple[str, ...] | None) -> NDArray[np.uint8]:
    """(2, 256): whether each label, each part may be painted over."""
    table = np.ones((2, 256), np.uint8)
    for row, names, values, kind in zip(table, (over, over_parts), (LABELS, PARTS), ("label", "part"), strict=True):
        if names is not None:
            row[:] = 0
            row[[_value(name, values, kind) for name in names]] = 1
    return table
