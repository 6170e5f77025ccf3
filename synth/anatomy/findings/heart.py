"""The enlarged heart: a deformation in which it grows about the great vessels, mostly to the left and down."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage
from scipy.optimize import brentq

from synth.anatomy.findings.base import edited, editor
from synth.anatomy.findings.boxes import box_around, still_faces
from synth.anatomy.findings.courses import points_of, voxel_of
from synth.anatomy.findings.warp import lattice_points, warp
from synth.anatomy.labels import LOBES
from synth.core.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from synth.anatomy.findings.base import Box
    from synth.anatomy.scan import Scan
    from synth.core.record import Finding

__all__ = ["CTR", "HEART", "cardiothoracic_ratio"]

HEART = (
    "heart", "heart_myocardium", "heart_atrium_left", "heart_ventricle_left", "heart_atrium_right",
    "heart_ventricle_right", "atrial_appendage_left",
)  # fmt: skip
"""Labels that make up the heart, whole or by chambers."""

CTR = {"mild": (0.51, 0.55), "moderate": (0.555, 0.60), "severe": (0.61, 0.67)}
"""Severity → range of the cardiothoracic ratio; above 0.5 is enlarged (Danzer 1919, Am J Med Sci 157:513)."""

_MOVABLE = (*LOBES, *HEART, "pericardial_fat", "pulmonary_vein", "pulmonary_artery")
_YIELDING = (
    "inferior_vena_cava", "liver", "spleen", "stomach", "colon", "diaphragm", "pancreas",
    "portal_vein_and_splenic_vein", "torso_fat", "small_bowel",
)  # fmt: skip
_ANCHORED = (
    *(f"rib_{side}_{n}" for side in ("left", "right") for n in range(1, 13)),
    *(f"vertebrae_T{n}" for n in range(1, 13)), *(f"vertebrae_L{n}" for n in range(1, 6)),
    "sternum", "costal_cartilages", "aorta", "trachea", "esophagus", "spinal_cord", "superior_vena_cava",
)  # fmt: skip
_COARSE_MM = 5.0  # grid on which what may move is found
_CLOSING_MM = 10.0  # fat of the mediastinum, unlabelled, is no wider
_REACH_MM = 75.0  # beyond the heart that anything moves
_DOME_MM = 16.0  # that the heart takes from the abdomen at most
_SQUEEZE = 0.85  # of the way to what stands fast that the heart may take
_STEP_MM = 7.0
_TABLE = (24, 48)  # directions: polar angle from the head, azimuth from the left towards the back
_MARGIN_MM = 20.0
_LARGEST_GROWTH, _LEAST_GROWTH = 2.0, -0.3
_TOLERANCE = 0.004  # of the ratio: a voxel of 1 mm


@dataclass(frozen=True, eq=False)
class _Space:
    """The heart and its surroundings, seen from its middle: tables over directions.

    Attributes:
        middle: (3,) world.
        heart: (n_polar, n_azimuth), mm to its surface.
        room: (n_polar, n_azimuth), mm from there to what stands fast.
        weight: (n_polar, n_azimuth), how much it grows there relative to other directions.
    """

    middle: NDArray[np.float64]
    heart: NDArray[np.float64]
    room: NDArray[np.float64]
    weight: NDArray[np.float64]

    def scale(self, growth: float) -> NDArray[np.float64]:
        """(n_polar, n_azimuth): ratio of the new radius to the old; never beyond the room there is."""
        limit = _SQUEEZE * self.room / self.heart
        wanted = growth * self.weight
        # A smooth minimum: growth slows down as room runs out.
        grown = np.where(wanted > 0, limit * np.tanh(wanted / np.maximum(limit, 1e-6)), wanted)
        return 1 + _smoothed(grown, 1.3)


@editor("cardiomegaly", needs=(HEART, LOBES))
def _cardiomegaly(scan: Scan, finding: Finding, generator: np.random.Generator) -> Scan:
    """Grows the heart to a cardiothoracic ratio drawn from the severity's range; the mask is the heart.

    A heart that is already larger shrinks to the ratio, so that the severity holds.
    """
    least, most = CTR[finding.severity or "moderate"]
    target = generator.uniform(least, most)
    heart = points_of(scan, *HEART)
    space = _space(scan, heart, generator)
    chest = _chest_width(scan)
    growth, target = _growth(scan, space, heart, chest, least, target)
    # Labels move by whole voxels: what the first growth misses is made good, and the nearest of three is kept.
    near = max(_TOLERANCE, 0.55 * _edge(scan, 0) / chest)
    best, miss, aim = scan, np.inf, target
    for _ in range(3):
        grown = _grown(scan, space, growth)
        error = target - _heart_width(scan, points_of(grown, *HEART)) / chest
        if abs(error) < miss:
            best, miss = grown, abs(error)
        if miss <= near:
            break
        aim += 0.6 * error
        growth, _ = _growth(scan, space, heart, chest, 0.0, aim)
    return edited(best, finding, best.where(*HEART))


def cardiothoracic_ratio(scan: Scan) -> float:
    """Transverse width of the heart over the inner width of the chest, both greatest, from the labels.

    The chest's is the widest distance across both lungs in one transverse plane. No magnification: a PA radiograph at
    1.8 m shows about 0.01 more.

    Raises:
        InputError: Heart or lungs have no label.
    """
    return _heart_width(scan, points_of(scan, *HEART)) / _chest_width(scan)


def _heart_width(scan: Scan, heart: NDArray[np.float64]) -> float:
    return float(np.ptp(heart[:, 0])) + _edge(scan, 0)


def _chest_width(scan: Scan) -> float:
    """Greatest distance across both lungs in one transverse plane, mm."""
    lungs = points_of(scan, *LOBES)
    level = np.rint((lungs[:, 2] - lungs[:, 2].min()) / max(2.0, _edge(scan, 2))).astype(int)
    widest = np.full((2, level.max() + 1), -np.inf)
    np.maximum.at(widest[0], level, lungs[:, 0])
    np.maximum.at(widest[1], level, -lungs[:, 0])
    return float(widest.sum(0).max()) + _edge(scan, 0)


def _edge(scan: Scan, axis: int) -> float:
    """How far a voxel reaches along an axis of the world, mm."""
    return float(np.abs(scan.volume.affine[axis, :3]).max())


def _space(scan: Scan, heart: NDArray[np.float64], generator: np.random.Generator) -> _Space:
    # The base, where the vessels hang, is at the heart's top on the right and at the back.
    middle = heart.mean(0) + 0.12 * np.ptp(heart, axis=0) * [-1, 0.5, 1]
    ahead = _directions()
    surface, wall = _radii(scan, middle, ahead)
    surface = _smoothed(surface, 1.2)
    room = np.clip(wall - surface, 0, _REACH_MM)
    room = _smoothed(ndimage.minimum_filter(room, size=3, mode=("nearest", "wrap")), 1.2)
    down = generator.uniform(0.4, 0.7)
    main = np.array([0.8, -0.2, -down])
    cosine = ahead @ (main / np.linalg.norm(main))
    right = generator.uniform(0.25, 0.5) * np.clip(-ahead[..., 0], 0, 1)
    lifted = np.clip((ahead[..., 2] - 0.2) / 0.6, 0, 1)  # nothing grows up along the vessels
    weight = (0.15 + 0.85 * np.clip(cosine, 0, 1) + right) * (1 - lifted)
    return _Space(middle, np.maximum(surface, 5.0), room, weight)


def _directions() -> NDArray[np.float64]:
    """(n_polar, n_azimuth, 3): unit vectors of the tables; polar angles are those of the bands' middles."""
    polar = (np.arange(_TABLE[0]) + 0.5) * np.pi / _TABLE[0]
    azimuth = np.arange(_TABLE[1]) * 2 * np.pi / _TABLE[1]
    p, a = np.meshgrid(polar, azimuth, indexing="ij")
    return np.stack([np.sin(p) * np.cos(a), np.sin(p) * np.sin(a), np.cos(p)], axis=-1)


def _radii(
    scan: Scan, middle: NDArray[np.float64], ahead: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Along every direction: mm to the heart's last voxel, and to the first place beyond that does not give way."""
    stride = np.maximum(1, np.rint(_COARSE_MM / scan.volume.spacing[::-1])).astype(int)
    picked = tuple(slice(None, None, s) for s in stride)
    edge = scan.volume.spacing[::-1] * stride
    turns = max(1, round(_CLOSING_MM / float(edge.mean())))
    fast = scan.where(*_ANCHORED)[picked]
    chest = _closed(scan.where(*_MOVABLE)[picked], turns) & ~fast
    trunk = _closed(scan.where(*_MOVABLE, *_YIELDING)[picked], turns) & ~fast
    heart = scan.where(*HEART)[picked]
    along = np.arange(0.0, 260.0, 2.0)
    index = voxel_of(scan, middle + along[:, None, None, None] * ahead) / stride
    cell = np.rint(index).astype(int)
    shape = np.array(heart.shape)
    within = ((cell >= 0) & (cell < shape)).all(-1)
    z, y, x = np.moveaxis(np.clip(cell, 0, shape - 1), -1, 0)
    in_heart = within & heart[z, y, x]
    last = np.where(in_heart.any(0), len(along) - 1 - in_heart[::-1].argmax(0), 0)
    beyond = np.arange(len(along))[:, None, None] > last

    def stop(free: NDArray[np.bool_]) -> NDArray[np.float64]:
        stopped = beyond & ~(within & free[z, y, x])
        return along[np.where(stopped.any(0), stopped.argmax(0), len(along) - 1)]

    wall = np.minimum(stop(trunk), stop(chest) + _DOME_MM / _SQUEEZE)
    return along[last], wall


def _closed(mask: NDArray[np.bool_], turns: int) -> NDArray[np.bool_]:
    padded = ndimage.binary_closing(np.pad(mask, turns), iterations=turns)
    return np.asarray(padded[turns:-turns, turns:-turns, turns:-turns], bool)


def _smoothed(table: NDArray[np.float64], sigma: float) -> NDArray[np.float64]:
    return np.asarray(ndimage.gaussian_filter(table, sigma, mode=("nearest", "wrap")), float)


def _at(table: NDArray[np.float64], ahead: NDArray[np.float64]) -> NDArray[np.float64]:
    """A table at unit vectors (…, 3), linear between its directions."""
    polar = np.arccos(np.clip(ahead[..., 2], -1, 1)) / np.pi * _TABLE[0] - 0.5
    azimuth = np.arctan2(ahead[..., 1], ahead[..., 0]) / (2 * np.pi) * _TABLE[1]
    # One more column on either side closes the circle.
    ring = np.concatenate([table[:, -1:], table, table[:, :1]], axis=1)
    where = np.stack([np.clip(polar, 0, _TABLE[0] - 1), azimuth % _TABLE[1] + 1])
    return np.asarray(ndimage.map_coordinates(ring, where, order=1, mode="nearest"), float)


def _growth(
    scan: Scan, space: _Space, heart: NDArray[np.float64], chest: float, least: float, target: float
) -> tuple[float, float]:
    """How much the heart must grow for a ratio; only its voxels' places are moved, not the CT.

    Returns:
        The growth and its ratio: the target, or what there is room for.

    Raises:
        InputError: There is not even room for the least ratio.
    """
    offset = heart - space.middle
    radius = np.linalg.norm(offset, axis=1)
    ahead = offset / np.maximum(radius, 1e-6)[:, None]
    # Only what is outermost to the sides can be the widest.
    outer = (radius > 0.6 * _at(space.heart, ahead)) & (np.abs(ahead[:, 0]) > 0.3)
    ahead, radius = ahead[outer], radius[outer]
    surface, room = _at(space.heart, ahead), _at(space.room, ahead)

    def missing(growth: float) -> float:
        grown = surface * _at(space.scale(growth), ahead)
        moved = ahead[:, 0] * _pushed(radius, surface, grown, surface + room)
        return (float(np.ptp(moved)) + _edge(scan, 0)) / chest - target

    top = missing(_LARGEST_GROWTH) + target
    if top < least:
        raise InputError(
            f"{scan.volume.name}: the heart cannot reach a cardiothoracic ratio of {least:.2f}, {top:.2f} at most; "
            "choose a lesser severity"
        )
    if top <= target:
        return _LARGEST_GROWTH, top
    if missing(_LEAST_GROWTH) >= 0:
        return _LEAST_GROWTH, missing(_LEAST_GROWTH) + target
    return float(brentq(missing, _LEAST_GROWTH, _LARGEST_GROWTH, xtol=1e-3)), target


def _grown(scan: Scan, space: _Space, growth: float) -> Scan:
    """The scan with the heart's radius scaled, and all between it and what stands fast squeezed along the radius."""
    box = _box(scan, space)
    offset = lattice_points(scan, box, _STEP_MM) - space.middle
    radius = np.linalg.norm(offset, axis=-1)
    ahead = offset / np.maximum(radius, 1e-6)[..., None]
    heart, room = _at(space.heart, ahead), _at(space.room, ahead)
    grown = heart * _at(space.scale(growth), ahead)
    source = _pushed(radius, grown, heart, heart + room)
    field = still_faces(ahead * (source - radius)[..., None])
    return warp(scan, field, box)


def _pushed(
    radius: NDArray[np.float64], before: NDArray[np.float64], after: NDArray[np.float64], fast: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Where a radius goes as the surface goes from `before` to `after` and what lies beyond `fast` stands still.

    Linear in three pieces: within the surface, between it and what stands fast, beyond.
    """
    share = (radius - before) / np.maximum(fast - before, 1e-3)
    between = after + share * (fast - after)
    return np.asarray(np.where(radius < before, radius * after / before, np.where(radius < fast, between, radius)))


def _box(scan: Scan, space: _Space) -> Box:
    """Part of the grid that the growth can touch, with a margin where nothing moves."""
    reach = space.middle + _directions().reshape(-1, 3) * (space.heart + space.room + _MARGIN_MM).reshape(-1, 1)
    return box_around(scan, reach.min(0), reach.max(0))
