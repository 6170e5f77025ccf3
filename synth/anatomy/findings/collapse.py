"""How the lobes of a lung move when one of them shrinks: a potential flow within the pleura.

The lobe is an even sink and the rest of the lung an even source of the same strength; the flow is the gradient of a
potential (Poisson's equation) and does not cross the pleura, along which it slides. So fissures move towards the lobe,
and it is pressed against the wall, the spine or the mediastinum that lies behind it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from synth.anatomy.findings.geometry import Lung

__all__ = ["collapse_field"]

_SOLVE_MM = 6.0
_STEPS = 4


def collapse_field(lung: Lung, lobe: NDArray[np.bool_], loss: float) -> NDArray[np.float64]:
    """Displacement for `warp` that takes a share of a lobe's volume and gives it to the rest of the lung.

    Args:
        lung: The lung, which keeps its volume.
        lobe: (z, y, x) coarse, bool.
        loss: Share of the lobe's volume that it loses, below 0.9.

    Returns:
        (n_z, n_y, n_x, 3) mm, on the lattice of the lung's box: the voxel at p shows what lay at p + displacement.
    """
    step = np.maximum(1, np.rint(_SOLVE_MM / lung.spacing)).astype(int)
    cut = tuple(slice(None, None, n) for n in step)
    inside, spacing = lung.mask[cut], lung.spacing * step
    start = lung.signed(lobe)[cut]
    size = _soft_count(start, inside, spacing)
    moved = np.zeros((*inside.shape, 3))  # along the array's axes, mm: where what is here has come from
    for number in range(1, _STEPS + 1):
        wanted = size * (1.0 - loss * number / _STEPS)
        now = _pulled(start, moved, spacing)
        flow = _flow(inside, inside & (now > 0), spacing)
        back = -_duration(now, flow, inside, spacing, wanted) * flow
        moved = back + np.stack([_pulled(moved[..., c], back, spacing) for c in range(3)], axis=-1)
    return _on_lattice(lung, moved, step)


def _duration(
    lobe: NDArray[Any],
    flow: NDArray[np.float64],
    inside: NDArray[np.bool_],
    spacing: NDArray[np.float64],
    wanted: float,
) -> float:
    """How long to follow the flow until the lobe (a signed distance) has the wanted number of nodes."""
    length = 0.0
    count = _soft_count(lobe, inside, spacing)
    for _ in range(4):
        # The flow drains the lobe by its own volume in unit time.
        length += (count - wanted) / max(count, 1.0)
        count = _soft_count(_pulled(lobe, -length * flow, spacing), inside, spacing)
    return length


def _soft_count(signed: NDArray[Any], inside: NDArray[np.bool_], spacing: NDArray[np.float64]) -> float:
    """Nodes inside, with those at the border counted in part."""
    return float((np.clip(signed / spacing.mean() + 0.5, 0.0, 1.0) * inside).sum())


def _pulled(field: NDArray[Any], back: NDArray[np.float64], spacing: NDArray[np.float64]) -> NDArray[Any]:
    """A field at p + back(p)."""
    from scipy import ndimage

    index = np.indices(field.shape, dtype=float)
    at = [index[axis] + back[..., axis] / spacing[axis] for axis in range(3)]
    return np.asarray(ndimage.map_coordinates(field, at, order=1, mode="nearest"))


def _flow(inside: NDArray[np.bool_], lobe: NDArray[np.bool_], spacing: NDArray[np.float64]) -> NDArray[np.float64]:
    """(z, y, x, 3) the gradient of the potential along the array's axes, spread outwards beyond the pleura."""
    from scipy import ndimage, sparse

    number = np.cumsum(inside).reshape(inside.shape) - 1
    source = np.where(lobe, -1.0, lobe[inside].sum() / max((inside & ~lobe).sum(), 1))[inside]
    count = len(source)
    diagonal, entries = np.zeros(count), []
    pairs = []
    for axis in range(3):
        a, b = _neighbours(axis)
        joined = inside[a] & inside[b]
        first, second = number[a][joined], number[b][joined]
        weight = 1.0 / spacing[axis] ** 2
        np.add.at(diagonal, first, weight)
        np.add.at(diagonal, second, weight)
        entries.append((first, second, np.full(len(first), -weight)))
        pairs.append((first, second))
    rows = np.concatenate([np.concatenate([f, s]) for f, s, _ in entries] + [np.arange(count)])
    columns = np.concatenate([np.concatenate([s, f]) for f, s, _ in entries] + [np.arange(count)])
    values = np.concatenate([np.concatenate([w, w]) for _, _, w in entries] + [diagonal + 1e-6])
    matrix = sparse.csr_array((values, (rows, columns)), shape=(count, count))
    potential = _solved(matrix, -source, diagonal + 1e-6)
    flow = np.zeros((*inside.shape, 3))
    for axis, (first, second) in enumerate(pairs):
        slope = (potential[second] - potential[first]) / spacing[axis]
        total = np.bincount(first, slope, count) + np.bincount(second, slope, count)
        flow[inside, axis] = 0.5 * total  # no flow through the faces that are closed
    nearest = ndimage.distance_transform_edt(~inside, spacing, return_distances=False, return_indices=True)
    spread: NDArray[np.float64] = flow[tuple(nearest)]
    return spread


def _solved(matrix: Any, right: NDArray[np.float64], diagonal: NDArray[np.float64]) -> NDArray[np.float64]:
    """Conjugate gradients with Jacobi's preconditioner, to a thousandth.

    Written out for its sums: numpy's dot products share work among BLAS threads, which wait for each other on busy
    machines, and whose number changes the last bits.
    """
    solution, residual = np.zeros_like(right), right.copy()
    search = residual / diagonal
    product = float((residual * search).sum())
    enough = 1e-6 * float((right * right).sum())
    for _ in range(400):
        if float((residual * residual).sum()) <= enough:
            break
        pushed = matrix @ search
        length = product / float((search * pushed).sum())
        solution += length * search
        residual -= length * pushed
        scaled = residual / diagonal
        before, product = product, float((residual * scaled).sum())
        search = scaled + (product / before) * search
    return solution


def _neighbours(axis: int) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    a, b = [slice(None)] * 3, [slice(None)] * 3
    a[axis], b[axis] = slice(None, -1), slice(1, None)
    return tuple(a), tuple(b)


def _on_lattice(lung: Lung, moved: NDArray[np.float64], step: NDArray[np.int_]) -> NDArray[np.float64]:
    """Array-axis displacements on the solver's grid → world displacements on the box's lattice."""
    from scipy import ndimage

    voxels = np.array([part.stop - part.start for part in lung.box])
    every = np.array(lung.step) * step
    axes = [np.linspace(0, n - 1, max(2, int(n // e) + 1)) / e for n, e in zip(voxels, every, strict=True)]
    at = np.meshgrid(*axes, indexing="ij")
    along = [ndimage.map_coordinates(moved[..., c], at, order=1, mode="nearest") for c in range(3)]
    unit = lung.affine[:3, :3] / np.linalg.norm(lung.affine[:3, :3], axis=0)
    field: NDArray[np.float64] = np.stack(along[::-1], axis=-1) @ unit.T
    return field
