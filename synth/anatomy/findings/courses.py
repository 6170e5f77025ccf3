"""Where tubes and lines run: centre lines of labelled structures, routes within them, and the skin.

All points are world LPS mm and work on grids of any orientation.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage
from scipy.sparse import coo_array
from scipy.sparse.csgraph import dijkstra

from synth.core.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from synth.anatomy.scan import Scan

__all__ = [
    "body_exit", "carina", "centreline", "inside", "lying_in", "points_of", "relaxed", "resampled", "route",
    "top_of", "voxel_of",
]  # fmt: skip

_AIR_HU = -500.0  # between the least of fat, about −130, and air
_GAP_MM = 8.0  # of air ends the body: folds of skin are narrower
_PITCH_MM = 3.0  # of the graph that routes are searched on
_SAME = 1e-9


def points_of(scan: Scan, *names: str) -> NDArray[np.float64]:
    """(n, 3): the middles of all voxels that bear one of the names.

    Raises:
        InputError: There are none.
    """
    flat = np.flatnonzero(scan.where(*names))
    if not len(flat):
        raise InputError(f"{scan.labels.name}: needs the label {' or '.join(names)}; segment the CT with it")
    return _world(scan, np.array(np.unravel_index(flat, scan.volume.shape)).T)


def voxel_of(scan: Scan, points: ArrayLike) -> NDArray[np.int64]:
    """(n, 3): index (z, y, x) of the voxel that holds each point; may lie outside the grid."""
    affine = scan.volume.affine
    local = (np.asarray(points, float) - affine[:3, 3]) @ np.linalg.inv(affine[:3, :3]).T
    return np.asarray(np.rint(local[..., ::-1]), np.int64)


def inside(scan: Scan, mask: NDArray[np.bool_], points: ArrayLike) -> NDArray[np.bool_]:
    """(n,) bool: whether each point lies in a voxel of the mask; False outside the grid."""
    index = voxel_of(scan, points)
    shape = np.array(mask.shape)
    within = ((index >= 0) & (index < shape)).all(-1)
    z, y, x = np.moveaxis(np.clip(index, 0, shape - 1), -1, 0)
    return np.asarray(within & mask[z, y, x])


def centreline(points: NDArray[np.float64], *, axis: int = 2, step_mm: float = 4.0) -> NDArray[np.float64]:
    """(n, 3): means of the slabs of a structure across an axis, from the highest coordinate down.

    Args:
        points: (n, 3), as from `points_of`.
        axis: 0 x, 1 y, 2 z.
        step_mm: Thickness of the slabs.
    """
    height = points[:, axis]
    slab = ((height.max() - height) / step_mm).astype(int)
    count = np.bincount(slab)
    sums = np.stack([np.bincount(slab, column) for column in points.T], axis=1)
    return np.asarray(sums[count > 0] / count[count > 0, None], float)


def carina(scan: Scan) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Where the trachea divides, and the trachea above.

    From above, the first slab of the label "trachea" that is two beside each other, or 1.7 times as wide as the
    median of those before it, is where it divides.

    Returns:
        (3,) the carina, and (n, 3) the centre line of the trachea from its upper end to the carina.

    Raises:
        InputError: There is no label "trachea".
    """
    points = points_of(scan, "trachea")
    step = max(2.5, 1.01 * float(np.abs(scan.volume.affine[2, :3]).max()))
    edge = float(np.abs(scan.volume.affine[0, :3]).max())
    slab = ((points[:, 2].max() - points[:, 2]) / step).astype(int)
    line: list[NDArray[np.float64]] = []
    widths: list[float] = []
    for i in range(slab.max() + 1):
        chosen = points[slab == i]
        if not len(chosen):
            continue
        x = np.sort(chosen[:, 0])
        width = float(np.ptp(x)) + edge
        divided = len(x) > 1 and np.diff(x).max() > 2.2 * edge
        if len(line) >= 4 and (divided or width > 1.7 * float(np.median(widths))):
            break
        line.append(chosen.mean(0))
        widths.append(width)
    path = np.array(line)
    return path[-1] - [0, 0, step / 2], path


def resampled(path: ArrayLike, step_mm: float) -> NDArray[np.float64]:
    """(n, 3): the same polyline with points evenly spaced in length, about `step_mm`; both ends are kept."""
    path = np.asarray(path, float)
    length = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(path, axis=0), axis=1))])
    keep = np.append(True, np.diff(length) > _SAME)
    n = max(2, round(length[-1] / step_mm) + 1)
    at = np.linspace(0, length[-1], n)
    return np.stack([np.interp(at, length[keep], axis) for axis in path[keep].T], axis=1)


def relaxed(path: ArrayLike, sigma_mm: float) -> NDArray[np.float64]:
    """(n, 3): a polyline, 1 mm a point, smoothed by a Gaussian; both ends stay."""
    fine = resampled(path, 1.0)
    start, end = fine[0].copy(), fine[-1].copy()
    # Reflecting about the ends keeps them where they are and the tangent there.
    reach = min(len(fine) - 1, int(4 * sigma_mm))
    if reach < 1:
        return fine
    long = np.vstack([2 * start - fine[reach:0:-1], fine, 2 * end - fine[-2 : -reach - 2 : -1]])
    smooth = ndimage.gaussian_filter1d(long, sigma_mm, axis=0, mode="nearest")[reach:-reach]
    return np.asarray(smooth, float)


def lying_in(scan: Scan, mask: NDArray[np.bool_], path: ArrayLike, *, sigma_mm: float = 12.0) -> NDArray[np.float64]:
    """(n, 3): a path as smooth as it can be without leaving the mask wherever it began in it."""
    raw = resampled(path, 1.0)
    wanted = inside(scan, mask, raw)
    for sigma in (sigma_mm, 0.6 * sigma_mm, 0.35 * sigma_mm, 0.2 * sigma_mm):
        smooth = relaxed(path, sigma)
        if inside(scan, mask, smooth)[wanted].all():
            return smooth
    return relaxed(path, 0.1 * sigma_mm)


def route(
    scan: Scan, names: tuple[str, ...], start: ArrayLike, end: ArrayLike | None = None, *, length_mm: float = 0.0
) -> NDArray[np.float64]:
    """(n, 3): the way through labelled structures that keeps nearest to their middle.

    The shortest way on a graph of their voxels, about 3 mm apart, where a millimetre costs 1 + (6 mm / depth)², the
    depth being the distance to the structures' surface.

    Args:
        scan: The scan.
        names: Labels that may be passed.
        start: (3,); the way begins at the nearest voxel.
        end: (3,); None: the deepest place about `length_mm` along.
        length_mm: How far to go where no end is given; as far as one can, at most.

    Raises:
        InputError: None of the labels is there, or start and end are not connected.
    """
    points_of(scan, *names)
    mask = scan.where(*names)
    box = ndimage.find_objects(mask.astype(np.uint8))[0]
    stride = np.maximum(1, np.floor(_PITCH_MM / scan.volume.spacing[::-1] + 1e-6)).astype(int)
    part = mask[box]
    depth = ndimage.distance_transform_edt(np.pad(part, 1), sampling=scan.volume.spacing[::-1])[1:-1, 1:-1, 1:-1]
    picked = tuple(slice(None, None, s) for s in stride)
    coarse, depth = part[picked], depth[picked]
    nodes = np.argwhere(coarse)
    places = _world(scan, nodes * stride + [s.start for s in box])
    deep = depth[coarse]
    graph = _graph(coarse, places, deep)
    first = int(np.linalg.norm(places - np.asarray(start, float), axis=1).argmin())
    _, backwards = dijkstra(graph, directed=False, indices=np.array([first]), return_predecessors=True)
    before = backwards[0]
    reached = np.flatnonzero((before >= 0) | (np.arange(len(nodes)) == first))
    if end is not None:
        last = int(np.linalg.norm(places - np.asarray(end, float), axis=1).argmin())
    else:
        last = _deepest(graph, places, deep, first, reached, length_mm)
    if last not in reached:
        raise InputError(f"{scan.labels.name}: {', '.join(names)} are not connected; mend the label map")
    way = [last]
    while way[-1] != first:
        way.append(int(before[way[-1]]))
    return np.asarray(places[way[::-1]], float)


def body_exit(scan: Scan, start: ArrayLike, direction: ArrayLike) -> NDArray[np.float64]:
    """(3,): where a ray from inside the body leaves it for at least 8 mm of air, or the grid.

    Air under a label (lung, trachea, stomach) counts as body.
    """
    start, towards = np.asarray(start, float), np.asarray(direction, float)
    towards = towards / np.linalg.norm(towards)
    along = np.arange(0.0, 600.0)
    index = voxel_of(scan, start + along[:, None] * towards)
    within = ((index >= 0) & (index < scan.volume.shape)).all(1)
    end = len(along) if within.all() else int(within.argmin())
    if end == 0:
        return start
    z, y, x = index[:end].T
    solid = (scan.volume.hu[z, y, x] > _AIR_HU) | (scan.labels.array[z, y, x] != 0)
    gap = int(_GAP_MM)
    # The first point of body with nothing but air in the next 8 mm.
    ahead = np.array([solid[i + 1 : i + 1 + gap].any() for i in range(end)])
    last = np.flatnonzero(solid & ~ahead)
    return np.asarray(start + along[last[0] if len(last) else end - 1] * towards, float)


def top_of(points: NDArray[np.float64], direction: ArrayLike, share: float = 0.02) -> NDArray[np.float64]:
    """(3,): the mean of the share of a structure's points that lies furthest in a direction."""
    reach = points @ np.asarray(direction, float)
    return np.asarray(points[reach >= np.quantile(reach, 1 - share)].mean(0), float)


def _world(scan: Scan, index: NDArray[np.integer]) -> NDArray[np.float64]:
    affine = scan.volume.affine
    # Column by column: five times as fast as a product of whole numbers and a matrix.
    z, y, x = (np.asarray(column, float) for column in index.T)
    return np.stack([a * x + b * y + c * z + d for a, b, c, d in affine[:3]], axis=1)


def _graph(mask: NDArray[np.bool_], places: NDArray[np.float64], depth: NDArray[np.float64]) -> Any:
    """Neighbours, diagonal ones too, with the cost of going from one to the other."""
    number = np.full(np.array(mask.shape) + 2, -1, np.int64)
    number[1:-1, 1:-1, 1:-1][mask] = np.arange(len(places))
    cells = np.argwhere(mask) + 1
    starts, ends = [], []
    for step in itertools.product((-1, 0, 1), repeat=3):
        if step > (0, 0, 0):
            other = number[tuple((cells + step).T)]
            starts.append(np.flatnonzero(other >= 0))
            ends.append(other[other >= 0])
    a, b = np.concatenate(starts), np.concatenate(ends)
    cost = np.linalg.norm(places[a] - places[b], axis=1) * (1 + (12.0 / (depth[a] + depth[b])) ** 2)
    return coo_array((cost, (a, b)), shape=(len(places), len(places)))


def _deepest(
    graph: Any, places: NDArray[np.float64], depth: NDArray[np.float64], first: int,
    reached: NDArray[np.integer], length_mm: float,
) -> int:  # fmt: skip
    """The deepest of the nodes about as far along as wished."""
    steps = coo_array((np.linalg.norm(places[graph.row] - places[graph.col], axis=1), (graph.row, graph.col)),
                      shape=graph.shape)  # fmt: skip
    far = dijkstra(steps, directed=False, indices=np.array([first]))[0, reached]
    wanted = min(length_mm, 0.9 * float(far.max()))
    near = np.abs(far - wanted) <= max(6.0, float(np.abs(far - wanted).min()))
    chosen = reached[near]
    return int(chosen[depth[chosen].argmax()])
