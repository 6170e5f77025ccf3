"""How densities change: air space that fills, tissue that takes the place of lung, and the grain that a CT has.

Lung is a mixture of gas and tissue, and its HU are linear in the share of gas: filling a share f of the air space
with something of t HU gives hu + f·(t − hu). What is denser than t, vessels above all, stays.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numba import njit

from synth.anatomy.scan import Seen
from synth.core.volume import AIR_HU

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from synth.anatomy.findings.base import Box
    from synth.anatomy.scan import Scan
    from synth.core.record import Finding
    from synth.core.volume import Labels

__all__ = ["Patch", "compressed", "filled", "grain", "patched", "ramp", "replaced", "strands"]

TISSUE_HU = 35.0
"""Consolidated lung and collapsed lung without contrast agent: like muscle and blood."""


@dataclass(frozen=True, eq=False)
class Patch:
    """What an edit makes of a part of the grid.

    Attributes:
        box: Which part, (z, y, x).
        hu: New values.
        mask: The voxels that show the finding.
        gone: Voxels that are no organ any more (gas and fluid in the pleural space), or None.
    """

    box: Box
    hu: NDArray[np.float32]
    mask: NDArray[np.bool_]
    gone: NDArray[np.bool_] | None = None


def patched(scan: Scan, patches: Sequence[Patch], finding: Finding) -> Scan:
    """The scan with parts renewed and one more finding; voxels whose value is not new keep their bits.

    What is gone has no label, no part, and belongs to no earlier finding.
    """
    hu, labels, parts = scan.volume.hu.copy(), scan.labels, scan.parts
    mask, gone = np.zeros(hu.shape, np.bool_), np.zeros(hu.shape, np.bool_)
    for patch in patches:
        new = np.rint(patch.hu) if hu.dtype == np.int16 else patch.hu
        np.copyto(hu[patch.box], new, where=new != scan.volume.hu[patch.box], casting="unsafe")
        mask[patch.box] |= patch.mask
        if patch.gone is not None:
            gone[patch.box] |= patch.gone
    seen = scan.seen
    if gone.any():
        labels = _cleared(labels, gone)
        parts = None if parts is None else _cleared(parts, gone)
        seen = tuple(replace(earlier, mask=earlier.mask & ~gone) for earlier in seen)
    volume = replace(scan.volume, hu=hu)
    return replace(scan, volume=volume, labels=labels, parts=parts, seen=(*seen, Seen(finding, mask)))


def _cleared(labels: Labels, gone: NDArray[np.bool_]) -> Labels:
    array = labels.array.copy()
    array[gone] = 0
    return replace(labels, array=array)


def filled(
    hu: NDArray[np.floating[Any]], fill: NDArray[np.float32], tissue: NDArray[np.float32] | float = TISSUE_HU
) -> NDArray[np.float32]:
    """HU after a share of the air space has filled; what is denser stays.

    Args:
        hu: Values before.
        fill: Share of the air space, 0 to 1.
        tissue: HU of what fills it.
    """
    return np.asarray(hu + fill * np.maximum(tissue - hu, 0.0), np.float32)


def replaced(
    hu: NDArray[np.floating[Any]], cover: NDArray[np.float32], tissue: NDArray[np.float32] | float
) -> NDArray[np.float32]:
    """HU of voxels of which a share is taken by something else.

    Args:
        hu: Values before.
        cover: Share of the voxel, 0 to 1.
        tissue: HU of what takes it.
    """
    return np.asarray(hu + cover * (tissue - hu), np.float32)


def compressed(hu: NDArray[np.floating[Any]], ratio: NDArray[np.floating[Any]] | float) -> NDArray[np.float32]:
    """HU of lung that takes 1/ratio of its room: its tissue stays, its gas leaves; no denser than tissue.

    Args:
        hu: Values before.
        ratio: Volume before over volume after.
    """
    denser = (hu - AIR_HU) * ratio + AIR_HU
    return np.asarray(np.where(hu < TISSUE_HU, np.minimum(denser, TISSUE_HU), hu), np.float32)


def ramp(value: NDArray[Any], low: float, high: float) -> NDArray[np.float32]:
    """0 below low, 1 above high, a smooth step between; the other way round where low > high."""
    t = np.clip((np.asarray(value, np.float32) - low) / (high - low), 0.0, 1.0)
    return np.asarray(t * t * (3.0 - 2.0 * t), np.float32)


def grain(scan: Scan, shape: tuple[int, ...], generator: np.random.Generator) -> NDArray[np.float32]:
    """Noise as strong as the CT's own in soft tissue, for what is painted into it; 0 for a CT without.

    The deviation is that of differences of neighbours in x between −20 and 120 HU, by their median.
    """
    sample = scan.volume.hu[:: max(1, scan.volume.shape[0] // 8)].astype(np.float32)
    a, b = sample[..., :-1], sample[..., 1:]
    soft = (np.minimum(a, b) > -20) & (np.maximum(a, b) < 120)
    if soft.sum() < 100:
        return np.zeros(shape, np.float32)
    deviation = 1.4826 * float(np.median(np.abs(a - b)[soft])) / np.sqrt(2.0)
    return generator.standard_normal(shape, np.float32) * np.float32(deviation)


def strands(
    affine: NDArray[np.float64],
    shape: tuple[int, ...],
    start: NDArray[np.float64],
    end: NDArray[np.float64],
    radius: NDArray[np.float64],
) -> NDArray[np.float32]:
    """Thin tapering rods: the share of each voxel that they take.

    The profile across a rod is a Gaussian of the rod's own area, widened by the voxel: thinner than a voxel it gets
    fainter, not wider.

    Args:
        affine: (4, 4), voxel index (x, y, z, 1) → world mm.
        shape: (z, y, x).
        start: (n, 3) world mm.
        end: (n, 3) world mm.
        radius: (n, 2) mm, at start and end.
    """
    out = np.zeros(shape, np.float32)
    edge = float(np.prod(np.linalg.norm(affine[:3, :3], axis=0)) ** (1 / 3))
    _strands(affine, np.linalg.inv(affine), start, end, radius, edge, out)
    return out


@njit(nogil=True, cache=True)
def _strands(affine, inverse, start, end, radius, edge, out):  # type: ignore[no-untyped-def]
    nz, ny, nx = out.shape
    low, high = np.empty(3, np.int64), np.empty(3, np.int64)
    for n in range(len(start)):
        reach = 2.0 * max(radius[n, 0], radius[n, 1]) + 1.5 * edge
        for axis in range(3):
            a = b = inverse[axis, 3]
            margin = 0.0
            for c in range(3):
                a += inverse[axis, c] * start[n, c]
                b += inverse[axis, c] * end[n, c]
                margin += abs(inverse[axis, c]) * reach
            low[axis] = max(0, int(np.floor(min(a, b) - margin)))
            high[axis] = min((nx, ny, nz)[axis], int(np.ceil(max(a, b) + margin)) + 1)
        along = end[n] - start[n]
        square = max(np.dot(along, along), 1e-12)
        for k in range(low[2], high[2]):
            for j in range(low[1], high[1]):
                for i in range(low[0], high[0]):
                    distance, t = 0.0, 0.0
                    for c in range(3):
                        p = affine[c, 0] * i + affine[c, 1] * j + affine[c, 2] * k + affine[c, 3] - start[n, c]
                        distance += p * p
                        t += p * along[c]
                    t = min(max(t / square, 0.0), 1.0)
                    distance = 0.0
                    for c in range(3):
                        p = affine[c, 0] * i + affine[c, 1] * j + affine[c, 2] * k + affine[c, 3] - start[n, c]
                        distance += (p - t * along[c]) ** 2
                    r = radius[n, 0] + t * (radius[n, 1] - radius[n, 0])
                    spread = 0.5 * r * r + (0.4 * edge) ** 2
                    cover = r * r / (2.0 * spread) * np.exp(-distance / (2.0 * spread))
                    out[k, j, i] = max(out[k, j, i], cover)
