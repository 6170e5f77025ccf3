"""The widened mediastinum: the pleura of both sides pushed outwards from the neck to the heart, and filled behind."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from synth.anatomy.findings.base import editor
from synth.anatomy.findings.boxes import box_around, still_faces
from synth.anatomy.findings.courses import carina, points_of
from synth.anatomy.findings.geometry import LUNGS, box_affine
from synth.anatomy.findings.noise import draw_seed, noise
from synth.anatomy.findings.tissue import grain, ramp
from synth.anatomy.findings.warp import lattice_points, warp
from synth.anatomy.labels import LUNG_LEFT, LUNG_RIGHT
from synth.anatomy.scan import Scan, Seen
from synth.core.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from synth.anatomy.findings.base import Box
    from synth.core.record import Finding

__all__ = ["WIDTH_CM", "mediastinal_width"]

WIDTH_CM = {"mild": (8.2, 9.2), "moderate": (9.2, 10.6), "severe": (10.6, 12.8)}
"""Severity → width at the aortic arch; above 8 cm is wide (Marsh & Sturm 1976, Ann Thorac Surg 21:327)."""

_FILLINGS = {"fluid": (50.0, 0.65), "fat": (-85.0, 0.35)}
"""What fills it → HU and how often: blood, nodes or an ectatic vessel look alike, lipomatosis is less dense."""
_LEAST_GAIN_MM = 12.0
_ARCH_MM = 6.0  # half the height of the slab in which width is measured
_FRONT_MM, _BACK_MM = 30.0, 18.0  # of the trachea, between which the pleura counts as mediastinal
_BELOW_TOP_MM = 15.0  # from the top of the arch to its middle
_ABOVE_CARINA_MM = 25.0  # the arch, where the aorta has no label
_UP_MM, _DOWN_MM = 75.0, 60.0  # over which the widening fades, to the neck and to the heart
_STEP_MM = 6.0
_ROOM = 0.6  # of the lung's width that may be taken


@dataclass(frozen=True, eq=False)
class _Side:
    """One lung's inner face.

    Attributes:
        sign: −1 right, 1 left.
        inner: (n_z, n_y, 1) x · sign of the lung's inner face, mm.
        outer: (n_z, n_y, 1) x · sign of its outer face, mm.
    """

    sign: float
    inner: NDArray[np.float64]
    outer: NDArray[np.float64]


@editor("enlarged mediastinum", needs=(("trachea",), LUNG_LEFT, LUNG_RIGHT))
def _enlarged_mediastinum(scan: Scan, finding: Finding, generator: np.random.Generator) -> Scan:
    """Widens the upper mediastinum to a width drawn from the severity's range, more on one side than the other."""
    arch = _arch(scan)
    now = 10 * _width_cm(scan, *arch)
    target = max(10 * generator.uniform(*WIDTH_CM[finding.severity or "moderate"]), now + _LEAST_GAIN_MM)
    share = generator.uniform(0.35, 0.65)
    kinds = list(_FILLINGS)
    filling = kinds[int(generator.choice(len(kinds), p=[weight for _, weight in _FILLINGS.values()]))]
    push = {1.0: share * (target - now), -1.0: (1 - share) * (target - now)}
    wide = _widened(scan, push)
    # Lungs taper off: what the first push misses is made good once.
    missed = target - 10 * _width_cm(wide, *arch)
    if abs(missed) > 1.5:
        wide = _widened(scan, {sign: value * (target - now + missed) / (target - now) for sign, value in push.items()})
    size = round(_width_cm(wide, *arch), 1)
    return _filled(scan, wide, _FILLINGS[filling][0], replace(finding, size_cm=size), generator)


def mediastinal_width(scan: Scan) -> float:
    """Width of the mediastinum at the aortic arch, cm: from pleura to pleura, furthest out on either side.

    The arch is 15 mm below the top of the label "aorta" or, without it, 25 mm above the carina; what counts are the
    inner faces of the lungs from 30 mm in front of the trachea's middle to 18 mm behind.

    Raises:
        InputError: The labels of trachea or lungs are missing, or show no lung at that height.
    """
    return _width_cm(scan, *_arch(scan))


def _width_cm(scan: Scan, level: float, middle: NDArray[np.float64]) -> float:
    low = np.array([-np.inf, middle[1] - _FRONT_MM, level - _ARCH_MM])
    high = np.array([np.inf, middle[1] + _BACK_MM, level + _ARCH_MM])
    edges = []
    for side, names in LUNGS.items():
        sign = 1.0 if side == "left" else -1.0
        slab = _points_in(scan, names, box_around(scan, low, high))
        slab = slab[((slab > low) & (slab < high)).all(1)]
        if len(slab) < 5:
            raise InputError(
                f"{scan.volume.name}: no {side} lung beside the aortic arch; the CT must show the whole chest"
            )
        # Row by row the innermost voxel, of all rows the outermost.
        step = max(2.0, float(np.abs(scan.volume.affine[1, :3]).max()))
        row = np.rint((slab[:, 1] - slab[:, 1].min()) / step).astype(int)
        inner = np.full(row.max() + 1, np.inf)
        np.minimum.at(inner, row, slab[:, 0] * sign)
        edges.append(float(inner[np.isfinite(inner)].max()) - 0.5 * float(np.abs(scan.volume.affine[0, :3]).max()))
    return sum(edges) / 10


def _arch(scan: Scan) -> tuple[float, NDArray[np.float64]]:
    """Height of the aortic arch, and the trachea's middle there."""
    division, line = carina(scan)
    level = division[2] + _ABOVE_CARINA_MM
    if scan.where("aorta").any():
        level = max(float(points_of(scan, "aorta")[:, 2].max()) - _BELOW_TOP_MM, division[2])
    return float(level), line[np.abs(line[:, 2] - level).argmin()]


def _widened(scan: Scan, push: dict[float, float]) -> Scan:
    """The scan with each lung's inner face moved outwards by so many mm at the arch; its outer face stays."""
    level, middle = _arch(scan)
    box = _box(scan, level)
    nodes = lattice_points(scan, box, _STEP_MM)
    field = np.zeros(nodes.shape)
    for side, names in LUNGS.items():
        sign = 1.0 if side == "left" else -1.0
        face = _faces(_points_in(scan, names, box, step=2), sign, nodes)
        z, y = nodes[..., 2], nodes[..., 1] - middle[1]
        fade = np.where(z > level, 1 - (z - level) / _UP_MM, 1 - (level - z) / _DOWN_MM).clip(0, 1)
        # In front of the trachea the pleura gives way, beside the spine it does not.
        depth = np.clip((_BACK_MM + 25 - y) / 22, 0, 1)
        shift = push[sign] * ramp(fade, 0, 1) * ramp(depth, 0, 1)
        inner, outer = face.inner, face.outer
        wide = outer - inner
        shift = np.minimum(shift, _ROOM * np.clip(wide, 0, None))
        x = nodes[..., 0] * sign
        # inner + shift shows what lay at inner, outer stays: linear in between.
        between = shift * np.clip((outer - x) / np.maximum(wide - shift, 1e-3), 0, 1)
        # From the middle of the body to the face everything is stretched: each half moves its own way.
        start = np.minimum(middle[0] * sign, inner - 4)
        stretched = shift * np.clip((x - start) / (inner + shift - start), 0, 1)
        field[..., 0] -= sign * np.where(x > inner + shift, between, stretched)
    return warp(scan, still_faces(field), box)


def _faces(points: NDArray[np.float64], sign: float, nodes: NDArray[np.float64]) -> _Side:
    """Inner and outer face of a lung's points for every row of nodes along x, smoothed."""
    origin = nodes[0, 0, 0]
    shape = nodes.shape[:3]
    steps = (nodes[-1, -1, -1] - origin) / (np.array(shape[::-1]) - 1)
    cell = np.rint((points - origin) / steps).astype(int)
    z, y = np.clip(cell[:, 2], 0, shape[0] - 1), np.clip(cell[:, 1], 0, shape[1] - 1)
    inner, outer = np.full(shape[:2], np.inf), np.full(shape[:2], -np.inf)
    np.minimum.at(inner, (z, y), points[:, 0] * sign)
    np.maximum.at(outer, (z, y), points[:, 0] * sign)
    known = np.isfinite(inner)
    # Rows without lung take the nearest row's faces.
    near = ndimage.distance_transform_edt(~known, return_distances=False, return_indices=True)
    inner, outer = (ndimage.gaussian_filter(face[tuple(near)], 1.4) for face in (inner, outer))
    return _Side(sign, inner[..., None], outer[..., None])


def _filled(scan: Scan, wide: Scan, hu: float, finding: Finding, generator: np.random.Generator) -> Scan:
    """The old mediastinum in its place, the lungs where they were pushed to, and the room between filled."""
    box = _box(scan, _arch(scan)[0])
    old, new = (_lung(each, box) for each in (scan, wide))
    moved = (wide.volume.hu[box] != scan.volume.hu[box]) | (wide.labels.array[box] != scan.labels.array[box])
    gap = old & ~new & moved
    kept = ~old & moved
    affine = box_affine(scan, box)
    airway = np.isin(scan.labels.array[box], scan.values(["trachea"]))
    edge = ndimage.binary_dilation(gap, iterations=1) & kept & ~airway
    shown = gap | edge
    wave = noise(affine, shown, draw_seed(generator), 12.0)
    paint = hu + 8 * wave + grain(scan, gap.shape, generator)
    values = wide.volume.hu[box].astype(np.float32)
    before = scan.volume.hu[box].astype(np.float32)
    values[kept] = before[kept]
    # Where the pleura was, voxels were half lung.
    values[edge] = np.maximum(values[edge], paint[edge])
    values[gap] = paint[gap]
    array = wide.volume.hu.copy()
    array[box] = np.rint(values) if array.dtype == np.int16 else values
    labels, parts = wide.labels.array.copy(), None
    labels[box][kept] = scan.labels.array[box][kept]
    labels[box][gap] = 0
    if scan.parts is not None and wide.parts is not None:
        inner = wide.parts.array.copy()
        inner[box][kept] = scan.parts.array[box][kept]
        inner[box][gap] = 0
        parts = replace(wide.parts, array=inner)
    mask = np.zeros(array.shape, np.bool_)
    mask[box] = gap
    return replace(
        wide,
        volume=replace(wide.volume, hu=array),
        labels=replace(wide.labels, array=labels),
        parts=parts,
        seen=(*wide.seen, Seen(finding, mask)),
    )


def _lung(scan: Scan, box: Box) -> NDArray[np.bool_]:
    return np.asarray(np.isin(scan.labels.array[box], scan.values(LUNG_LEFT + LUNG_RIGHT)))


def _box(scan: Scan, level: float) -> Box:
    """From below the carina to the top of the lungs, as wide and deep as the grid."""
    return box_around(
        scan, np.array([-np.inf, -np.inf, level - _DOWN_MM - 8]), np.array([np.inf, np.inf, level + _UP_MM + 8])
    )


def _points_in(scan: Scan, names: tuple[str, ...], box: Box, step: int = 1) -> NDArray[np.float64]:
    """(n, 3): as `points_of`, within a box; of every so many slices and rows one."""
    picked = (slice(box[0].start, box[0].stop, step), slice(box[1].start, box[1].stop, step), box[2])
    index = np.argwhere(np.isin(scan.labels.array[picked], scan.values(names)))
    index = index * [step, step, 1] + [part.start for part in box]
    affine = scan.volume.affine
    return np.asarray(index[:, ::-1] @ affine[:3, :3].T + affine[:3, 3], float)
