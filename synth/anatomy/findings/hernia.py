"""The hiatal hernia: a part of the stomach above the diaphragm, behind the heart, with a wall, fluid and gas."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from synth.anatomy.findings.base import editor
from synth.anatomy.findings.boxes import box_around, positions, still_faces
from synth.anatomy.findings.courses import centreline, points_of
from synth.anatomy.findings.geometry import box_affine, extent_cm
from synth.anatomy.findings.heart import HEART
from synth.anatomy.findings.noise import draw_seed, noise
from synth.anatomy.findings.tissue import grain, replaced
from synth.anatomy.findings.warp import lattice_points, warp
from synth.anatomy.labels import LOBES
from synth.anatomy.scan import Scan, Seen

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from synth.anatomy.findings.base import Box
    from synth.core.record import Finding

__all__ = ["SIZE_CM"]

SIZE_CM = {"small": (3.2, 4.5), "moderate": (4.8, 7.0), "large": (7.5, 11.0)}
"""Severity → width of the sac."""

_VERTEBRAE = (*(f"vertebrae_T{n}" for n in range(1, 13)), *(f"vertebrae_L{n}" for n in range(1, 6)))
_FAST = (*_VERTEBRAE, "spinal_cord", *(f"rib_{side}_{n}" for side in ("left", "right") for n in range(1, 13)))
"""What the sac is not painted over."""
_HEART_GIVES_MM = 22.0
_HIATUS_MM = 18.0  # above the lower end of the oesophagus (its abdominal part is 1 to 2.5 cm long)
_WALL_MM = (3.0, 4.5)
_WALL_HU, _FLUID_HU, _GAS_HU = 40.0, 12.0, -970.0
_LEVEL = (0.35, 0.7)  # share of the sac's height that is below the fluid's level
_PUSHED_MM = 45.0  # around the sac, over which neighbours make room
_CORE = 0.15  # of its radius that what makes room is pushed from
_STEP_MM = 7.0
_NO_SPINE_MM = 1e4  # stands for a spine that is nowhere near
_WAVES = 0.07  # of the radius, how far folds bulge


@dataclass(frozen=True, eq=False)
class _Sac:
    """An ellipsoid, and the place in it from which it grew.

    Attributes:
        centre: (3,) world.
        half: (3,) half axes along x, y, z, mm.
        root: (3,) world, inside: where the oesophagus was.
    """

    centre: NDArray[np.float64]
    half: NDArray[np.float64]
    root: NDArray[np.float64]

    def distance(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """(…,): 0 in the middle, 1 on the surface."""
        return np.asarray(np.linalg.norm((points - self.centre) / self.half, axis=-1), float)

    def reach(self, ahead: NDArray[np.float64]) -> NDArray[np.float64]:
        """(…,): mm from the root to the surface along unit vectors (…, 3)."""
        d, o = ahead / self.half, (self.root - self.centre) / self.half
        a, b, c = (d * d).sum(-1), (d * o).sum(-1), float(o @ o) - 1
        return np.asarray((np.sqrt(b * b - a * c) - b) / a, float)


@editor("hiatal hernia", needs=(("esophagus",), LOBES))
def _hiatal_hernia(scan: Scan, finding: Finding, generator: np.random.Generator) -> Scan:
    """A sac on the hiatus; severity: its size; its fluid level lies across gravity, as the scan is taken."""
    width = 10 * generator.uniform(*SIZE_CM[finding.severity or "moderate"])
    sac = _sac(scan, width, generator)
    pushed = _pushed(scan, sac)
    return _drawn(pushed, sac, finding, generator)


def _sac(scan: Scan, width: float, generator: np.random.Generator) -> _Sac:
    gullet = centreline(points_of(scan, "esophagus"))
    height = width * generator.uniform(0.85, 1.05)
    z = gullet[-1, 2] + _HIATUS_MM + height / 2 - 8
    root = gullet[np.abs(gullet[:, 2] - z).argmin()].copy()
    root[2] = z
    back = _front(_spine(scan), z, root[1] + 12)
    depth = min(width * generator.uniform(0.75, 0.9), back - _heart_back(scan, root, height) + _HEART_GIVES_MM)
    depth = max(depth, 0.45 * width)
    half = np.array([width, depth, height]) / 2
    # It bulges to the left and, as the spine is behind, to the front.
    centre = np.array([root[0] + 0.1 * width + generator.normal(0, 3), back - half[1] - 2, z])
    within = 0.8 * half
    return _Sac(centre, half, np.clip(root, centre - within * [0.8, 0.85, 0], centre + within * [0.8, 0.85, 0]))


def _heart_back(scan: Scan, root: NDArray[np.float64], height: float) -> float:
    """The y of the heart's hind face before the sac; far in front where there is none."""
    if not scan.where(*HEART).any():
        return -np.inf
    heart = points_of(scan, *HEART)
    near = heart[(np.abs(heart[:, 0] - root[0]) < 25) & (np.abs(heart[:, 2] - root[2]) < height / 2)]
    return float(np.quantile(near[:, 1], 0.95)) if len(near) else -np.inf


def _spine(scan: Scan) -> NDArray[np.float64]:
    """(n, 3): the vertebrae's voxels; none where they have no labels."""
    return points_of(scan, *_VERTEBRAE) if scan.where(*_VERTEBRAE).any() else np.empty((0, 3))


def _front(spine: NDArray[np.float64], z: float, fallback: float) -> float:
    """The y of the spine's front within 20 mm of a height."""
    near = spine[np.abs(spine[:, 2] - z) < 20]
    return float(np.quantile(near[:, 1], 0.02)) if len(near) else fallback


def _pushed(scan: Scan, sac: _Sac) -> Scan:
    """The scan with what lay in the sac's place pushed aside, but for the spine."""
    box = _box(scan, sac, _PUSHED_MM + 8)
    nodes = lattice_points(scan, box, _STEP_MM)
    offset = nodes - sac.root
    length = np.maximum(np.linalg.norm(offset, axis=-1), 1e-6)
    ahead = offset / length[..., None]
    surface = sac.reach(ahead)
    outer, core = surface + _PUSHED_MM, _CORE * surface
    # What lay outside the core comes to lie outside the sac.
    between = core + (length - surface) / _PUSHED_MM * (outer - core)
    source = np.where(length < surface, _CORE * length, np.minimum(between, length))
    shift = np.where(length < outer, source - length, 0.0)
    # Towards the spine nothing gives way, nor does what lies beside it or under the diaphragm.
    spine = _spine(scan)
    levels = np.linspace(nodes[..., 2].min(), nodes[..., 2].max(), 24)
    back = np.interp(nodes[..., 2], levels, [_front(spine, z, _NO_SPINE_MM) for z in levels])
    above = nodes[..., 2] - sac.centre[2] + sac.half[2]
    firm = np.clip((back - _STEP_MM - nodes[..., 1]) / 16, 0, 1) * np.clip(above / 14, 0, 1)
    return warp(scan, still_faces(ahead * (shift * firm)[..., None]), box)


def _drawn(scan: Scan, sac: _Sac, finding: Finding, generator: np.random.Generator) -> Scan:
    """Wall, fluid and gas painted into the box, wherever nothing firm lies."""
    box = _box(scan, sac, 12.0)
    affine = box_affine(scan, box)
    points = positions(scan, box)
    ratio = sac.distance(points)
    wave = _WAVES * noise(affine, ratio < 1.6, draw_seed(generator), 0.7 * float(sac.half.mean()))
    mean = float(sac.half.mean())
    depth = (1 + wave - ratio) * mean  # mm under the surface, about
    edge = float(scan.volume.spacing.min())
    cover = np.clip(0.5 + depth / edge, 0, 1).astype(np.float32)
    firm = np.isin(scan.labels.array[box], scan.values(_FAST))
    # The aorta was pushed aside but where it lies on the spine.
    firm |= np.isin(scan.labels.array[box], scan.values(["aorta"])) & (
        points[..., 1] > sac.centre[1] + 0.4 * sac.half[1]
    )
    cover[firm] = 0
    folds = 1.2 * noise(affine, ratio < 1.6, draw_seed(generator), 9.0)
    lumen = np.clip(0.5 + (depth - generator.uniform(*_WALL_MM) - np.maximum(folds, 0)) / edge, 0, 1)
    down = np.array([0, 1.0, 0]) if scan.supine else np.array([0, 0, -1.0])
    fall = (points - sac.centre) @ down
    reach = float(sac.half @ np.abs(down))
    level = reach * (1 - 2 * generator.uniform(*_LEVEL))
    wet = np.clip(0.5 + (fall - level) / edge, 0, 1)
    content = _GAS_HU + wet * (_FLUID_HU - _GAS_HU)
    noisy = grain(scan, ratio.shape, generator)
    value = _WALL_HU + lumen * (content - _WALL_HU) + noisy
    old = scan.volume.hu[box].astype(np.float32)
    hu = replaced(old, cover, np.asarray(value, np.float32))
    return _put(scan, box, hu, cover > 0.5, finding, affine)


def _put(
    scan: Scan, box: Box, hu: NDArray[np.float32], inside: NDArray[np.bool_], finding: Finding,
    affine: NDArray[np.float64],
) -> Scan:  # fmt: skip
    array, labels = scan.volume.hu.copy(), scan.labels.array.copy()
    array[box] = np.rint(hu) if array.dtype == np.int16 else hu
    labels[box][inside] = (scan.values(["stomach"]) or [0])[0]
    parts = None
    if scan.parts is not None:
        inner = scan.parts.array.copy()
        inner[box][inside] = 0
        parts = replace(scan.parts, array=inner)
    mask = np.zeros(array.shape, np.bool_)
    mask[box] = inside
    complete = replace(finding, size_cm=extent_cm(inside, affine))
    return replace(
        scan,
        volume=replace(scan.volume, hu=array),
        labels=replace(scan.labels, array=labels),
        parts=parts,
        seen=(*scan.seen, Seen(complete, mask)),
    )


def _box(scan: Scan, sac: _Sac, margin: float) -> Box:
    return box_around(scan, sac.centre - sac.half - margin, sac.centre + sac.half + margin)
