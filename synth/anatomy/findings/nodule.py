"""Nodules and masses of the lung: solid, spiculated, lobulated, calcified, ground-glass, cavitary.

Terms after Hansell et al. 2008 (Fleischner Society glossary, Radiology 246:697): a nodule is up to 3 cm, a mass more.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from synth.anatomy.findings.base import editor
from synth.anatomy.findings.geometry import box_affine, lungs
from synth.anatomy.findings.noise import draw_seed, noise
from synth.anatomy.findings.tissue import Patch, filled, grain, patched, ramp, replaced, strands
from synth.anatomy.labels import LOBES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from synth.anatomy.findings.base import Box
    from synth.anatomy.findings.geometry import Lung
    from synth.anatomy.scan import Scan
    from synth.core.record import Finding

__all__ = ["lesion"]

_GAS_HU = -960.0
_SOLID_HU = 38.0
_PLAIN = 5e-2  # relative height of the small bumps that every surface has
_SHARP_MM, _VAGUE_MM = 0.8, 3.5  # how wide the margin of a solid and of a ground-glass lesion is


@dataclass(frozen=True, eq=False)
class _Shape:
    """A body that is star-shaped about its centre: the radius along u is scale·(1 + Σ heights·exp(k(u·bumps − 1))).

    Attributes:
        axes: (3, 3) maps world directions to those of the body, squeezing: an ellipsoid before its bumps.
        bumps: (n, 3) unit vectors.
        heights: (n,) relative heights of the bumps.
        narrow: k, the larger the narrower the bumps.
        scale: mm.
    """

    axes: NDArray[np.float64]
    bumps: NDArray[np.float64]
    heights: NDArray[np.float64]
    narrow: float
    scale: float

    def depth(self, offset: NDArray[np.float64]) -> NDArray[np.float32]:
        """Approximate distance to the surface, negative inside, mm; offset (..., 3) from the centre."""
        local = offset @ self.axes.T
        length = np.linalg.norm(local, axis=-1)
        unit = local / np.maximum(length, 1e-9)[..., None]
        # Measured along the ray in the world, in which the squeezed length is longer.
        stretch = np.linalg.norm(offset, axis=-1) / np.maximum(length, 1e-9)
        return np.asarray((length - self.radius(unit)) * stretch, np.float32)

    def radius(self, unit: NDArray[np.float64]) -> NDArray[np.float64]:
        """Radius along unit vectors (..., 3) of the body."""
        bumps = np.exp(self.narrow * (unit @ self.bumps.T - 1.0)) @ self.heights
        radius: NDArray[np.float64] = self.scale * (1.0 + bumps)
        return radius


@editor(
    "nodule",
    "spiculated nodule",
    "lobulated nodule",
    "calcified nodule",
    "ground-glass nodule",
    "mass",
    "cavitary mass",
    needs=(LOBES,),
)
def lesion(scan: Scan, finding: Finding, generator: np.random.Generator) -> Scan:
    """A nodule or mass within one lobe.

    Its largest diameter is the finding's size_cm, except where the lobe is too small for it: it ends at pleura and
    fissures. The mask is where it takes at least half a voxel; cavities belong to it.
    """
    kind, size_mm = str(finding.kind), 10.0 * float(finding.size_cm or 1.0)
    lung = lungs(scan, finding.laterality)[0]
    shape = _shape(kind, size_mm, generator)
    centre, label = _place(lung, finding.location, 0.5 * size_mm, generator)
    box = _box_around(scan, centre, 0.95 * size_mm + 8.0)
    affine = box_affine(scan, box)
    index = np.stack(np.meshgrid(*(np.arange(p.stop - p.start) for p in box), indexing="ij"), axis=-1)[..., ::-1]
    offset = index @ affine[:3, :3].T + (affine[:3, 3] - centre)
    inside = scan.labels.array[box] == label
    hu = scan.volume.hu[box].astype(np.float32)

    depth = shape.depth(offset)
    bumpy = noise(affine, np.ones(hu.shape, np.bool_), draw_seed(generator), max(3.0, 0.25 * size_mm), 2)
    depth += np.float32(_PLAIN * size_mm) * bumpy
    width = _width(scan, offset, _VAGUE_MM if kind == "ground-glass nodule" else _SHARP_MM)
    cover = np.clip(0.5 - depth / width, 0.0, 1.0)
    mask = inside & (cover >= 0.5)
    if kind == "spiculated nodule" or (kind == "mass" and generator.random() < 0.5):
        cover = np.maximum(cover, _spicules(shape, affine, hu.shape, centre, size_mm, generator))
    cover *= inside
    if kind == "ground-glass nodule":
        new = filled(hu, cover * (0.42 + 0.1 * bumpy))
    else:
        new = replaced(hu, cover, _tissue(kind, depth, bumpy, generator) + grain(scan, hu.shape, generator))
    if kind == "cavitary mass":
        new = _hollowed(new, depth, offset, inside, width, size_mm, scan.supine, generator, bumpy)
    return patched(scan, [Patch(box, new, mask)], replace(finding, size_cm=round(0.1 * size_mm, 1)))


def _shape(kind: str, size_mm: float, generator: np.random.Generator) -> _Shape:
    """A body whose largest diameter is size_mm."""
    squeeze = np.array([1.0, generator.uniform(1.0, 1.18), generator.uniform(1.05, 1.3)])
    turn = np.linalg.qr(generator.standard_normal((3, 3)))[0]
    count, low, high, narrow = (7, 0.16, 0.42, 9.0) if kind == "lobulated nodule" else (5, -0.05, 0.16, 4.0)
    if kind in ("mass", "cavitary mass"):
        count, low, high, narrow = 9, 0.02, 0.3, 7.0
    bumps = _unit(generator.standard_normal((count, 3)))
    shape = _Shape(squeeze[:, None] * turn, bumps, generator.uniform(low, high, count), narrow, 1.0)
    around = _sphere(400)
    local = around @ shape.axes.T
    length = np.linalg.norm(local, axis=1)
    surface = around * (shape.radius(local / length[:, None]) / length)[:, None]
    reach = (surface @ around.T).max(axis=0)
    opposite = (surface @ -around.T).max(axis=0)
    widest = float((reach + opposite).max())
    return replace(shape, scale=size_mm / widest)


def _place(
    lung: Lung, location: str | None, radius_mm: float, generator: np.random.Generator
) -> tuple[NDArray[np.float64], int]:
    """A point in aerated lung of the zone, as deep in its lobe as the body needs or the lobe allows, and its label."""
    zone = lung.zone(location)
    labels = lung.scan.labels.array[lung.box][tuple(slice(None, None, n) for n in lung.step)]
    room = np.full(lung.mask.shape, -1e3, np.float32)
    for value in lung.scan.values(lung.names):
        room = np.maximum(room, lung.signed(labels == value))
    hu = lung.scan.volume.hu[lung.box][tuple(slice(None, None, n) for n in lung.step)]
    fits = zone & (room >= min(radius_mm + 1.0, 0.9 * float(room[zone].max())))
    aerated = fits & (hu < -600)
    choices = np.argwhere(aerated if aerated.any() else fits)
    z, y, x = choices[generator.integers(len(choices))]
    return lung.points[z, y, x], int(labels[z, y, x])


def _box_around(scan: Scan, centre: NDArray[np.float64], reach_mm: float) -> Box:
    inverse = np.linalg.inv(scan.volume.affine)
    middle = (inverse[:3, :3] @ centre + inverse[:3, 3])[::-1]
    reach = reach_mm * np.linalg.norm(inverse[:3, :3], axis=1)[::-1]
    z, y, x = (
        slice(max(0, int(np.floor(m - r))), min(n, int(np.ceil(m + r)) + 1))
        for m, r, n in zip(middle, reach, scan.volume.shape, strict=True)
    )
    return z, y, x


def _width(scan: Scan, offset: NDArray[np.float64], margin_mm: float) -> NDArray[np.float32]:
    """How wide the margin is on the grid: the voxel's extent along the radius, and the margin's own width."""
    axes = scan.volume.affine[:3, :3]
    unit = offset / np.maximum(np.linalg.norm(offset, axis=-1, keepdims=True), 1e-9)
    across = np.abs(unit @ (axes / np.linalg.norm(axes, axis=0))) @ np.linalg.norm(axes, axis=0)
    return np.asarray(np.hypot(across, margin_mm), np.float32)


def _tissue(
    kind: str, depth: NDArray[np.float32], bumpy: NDArray[np.float32], generator: np.random.Generator
) -> NDArray[np.float32]:
    """HU inside: soft tissue; in a granuloma calcium, densest in the middle."""
    if kind != "calcified nodule":
        return np.asarray(_SOLID_HU + 10.0 * bumpy, np.float32)
    peak, radius = generator.uniform(450.0, 1000.0), float(-depth.min())
    core = ramp(-depth, 0.0, 0.5 * radius)
    return np.asarray(150.0 + (peak - 150.0) * core * (1.0 + 0.25 * bumpy), np.float32)


def _spicules(
    shape: _Shape,
    affine: NDArray[np.float64],
    grid: tuple[int, ...],
    centre: NDArray[np.float64],
    size_mm: float,
    generator: np.random.Generator,
) -> NDArray[np.float32]:
    """Strands that radiate from the surface into the lung, up to a third of the diameter long."""
    count = int(generator.integers(30, 46))
    unit = _unit(_sphere(count) + 0.35 * generator.standard_normal((count, 3)))
    local = unit @ shape.axes.T
    length = np.linalg.norm(local, axis=1)
    surface = (shape.radius(local / length[:, None]) / length)[:, None]
    reach = np.maximum(3.0, size_mm * generator.uniform(0.1, 0.34, count))[:, None]
    bent = _unit(unit + 0.18 * generator.standard_normal((count, 3)))
    root, knee = unit * 0.85 * surface, unit * surface + 0.5 * reach * unit
    tip = knee + 0.5 * reach * bent
    thick = generator.uniform(0.8, 1.3, count) * (size_mm / 20.0) ** 0.4
    return strands(
        affine,
        grid,
        np.concatenate([root, knee]) + centre,
        np.concatenate([knee, tip]) + centre,
        np.concatenate([np.stack([1.5 * thick, thick], 1), np.stack([thick, 0.3 * thick], 1)]),
    )


def _hollowed(
    hu: NDArray[np.float32],
    depth: NDArray[np.float32],
    offset: NDArray[np.float64],
    inside: NDArray[np.bool_],
    width: NDArray[np.float32],
    size_mm: float,
    supine: bool,
    generator: np.random.Generator,
    bumpy: NDArray[np.float32],
) -> NDArray[np.float32]:
    """A cavity within an irregular wall, in one of three with fluid up to a level."""
    wall = size_mm * generator.uniform(0.11, 0.2) * (1.0 + 0.9 * bumpy)
    hollow = np.clip(0.5 - (depth + wall) / width, 0.0, 1.0) * inside
    up = -offset[..., 1] if supine else offset[..., 2]
    level = -0.1 * size_mm if generator.random() < 1 / 3 else -np.inf
    content = np.where(up < level, 15.0, _GAS_HU).astype(np.float32)
    return replaced(hu, hollow.astype(np.float32), content)


def _unit(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    unit: NDArray[np.float64] = vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
    return unit


def _sphere(count: int) -> NDArray[np.float64]:
    """(count, 3) unit vectors evenly over the sphere: a spiral that turns by the golden angle."""
    k = np.arange(count) + 0.5
    z, turn = 1.0 - 2.0 * k / count, np.pi * (1.0 + np.sqrt(5.0)) * k
    across = np.sqrt(1.0 - z * z)
    return np.stack([across * np.cos(turn), across * np.sin(turn), z], axis=1)
