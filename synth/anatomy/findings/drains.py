"""The chest drain: between two ribs into the pleural space, along the lung to its top or its base."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from synth.anatomy.findings.base import editor
from synth.anatomy.findings.burn import add_device
from synth.anatomy.findings.courses import body_exit, centreline, inside, points_of, relaxed
from synth.anatomy.findings.geometry import LUNGS
from synth.anatomy.findings.tubing import drain
from synth.anatomy.labels import LUNG_LEFT, LUNG_RIGHT
from synth.core.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from synth.anatomy.scan import Scan
    from synth.core.record import Finding

__all__ = ["DRAIN_TIPS", "drain_course", "intercostal_point"]

DRAIN_TIPS = ("apex", "base")
"""Where a drain ends, Finding.location: at the top for air, at the base for fluid."""

_SPACES = (4, 5)
"""Intercostal spaces of the safe triangle (Laws et al. 2003, Thorax 58 Suppl II:53); 5 is between ribs 5 and 6."""
_SLAB_MM = 6.0
_FAN_DEG = 12.0  # around a direction in which the lung's surface is looked for
_OUTSIDE_MM = 55.0
_WALL_MM = 8.0  # from a rib's middle to either side
_TURN_MM = 10  # from the wall to where a drain follows the lung
_STIFFNESS_MM = 11.0  # over which a drain's bends are spread
_FRENCH = (20.0, 24.0, 28.0)


@editor(
    "chest drain",
    needs=(
        tuple(f"rib_{side}_{n}" for side in ("left", "right") for n in range(4, 7)),
        LUNG_LEFT + LUNG_RIGHT,
    ),
)
def _chest_drain(scan: Scan, finding: Finding, generator: np.random.Generator) -> Scan:
    """A drain from the mid-axillary line; location: where its tip is; laterality: the side of the chest."""
    place = finding.location or DRAIN_TIPS[int(generator.random() < 0.35)]
    if place not in DRAIN_TIPS:
        raise InputError(f"{finding.kind}: location {place!r} is not possible; use one of {', '.join(DRAIN_TIPS)}")
    french = float(generator.choice(_FRENCH))
    path = drain_course(scan, finding.laterality or "right", place, generator, radius_mm=french / 6)
    return add_device(scan, replace(finding, location=place), drain(path, french=french))


def intercostal_point(scan: Scan, laterality: str, space: int) -> NDArray[np.float64]:
    """(3,): the middle of an intercostal space in the mid-axillary line, on the ribs' centres.

    Args:
        scan: Needs the labels of the ribs above and below.
        laterality: "left" or "right".
        space: Number of the rib above.

    Raises:
        InputError: One of the ribs has no label.
    """
    side = 1.0 if laterality == "left" else -1.0
    ribs = [points_of(scan, f"rib_{laterality}_{space + i}") for i in (0, 1)]
    # The ribs' outermost fifths, and of those what lies at one depth, so that one is above the other.
    outer = [rib[side * rib[:, 0] >= np.quantile(side * rib[:, 0], 0.8)] for rib in ribs]
    y = float(np.mean([rib[:, 1].mean() for rib in outer]))
    near = [rib[np.argsort(np.abs(rib[:, 1] - y))[: max(4, len(rib) // 5)]].mean(0) for rib in outer]
    return np.asarray(np.mean(near, axis=0), float)


def drain_course(
    scan: Scan, laterality: str, place: str, generator: np.random.Generator, *, radius_mm: float = 4.0
) -> NDArray[np.float64]:
    """(n, 3), 1 mm a point, from the tip to 55 mm outside the skin.

    Args:
        scan: Needs ribs 4 to 6 and the lobes of the side.
        laterality: Side of the chest.
        place: One of DRAIN_TIPS.
        generator: Draws the intercostal space and where the tip ends.
        radius_mm: Of the drain.

    Raises:
        InputError: A label is missing.
    """
    side = 1.0 if laterality == "left" else -1.0
    lung = points_of(scan, *LUNGS[laterality])
    entry = intercostal_point(scan, laterality, int(generator.choice(_SPACES)))
    raw = _pleural(lung, entry, side, place, generator, radius_mm)
    within = _within(scan, lung, scan.where(*LUNGS[laterality]), raw)[_TURN_MM:]
    # Between the ribs it runs level, so as to touch neither.
    through = entry + np.array([[_WALL_MM * side, 0, -1], [0, 0, 0], [-_WALL_MM * side, 0, 1]])
    # Towards the top a drain comes from below, towards the base from above, so that it bends little.
    skin = body_exit(scan, through[0], [side, 0.05, -0.45 if place == "apex" else 0.35])
    outwards = np.array([0.6 * side, 0.03, -0.8]) if place == "apex" else np.array([0.97 * side, 0, 0.22])
    outside = skin + np.linspace(_OUTSIDE_MM, 4, 5)[:, None] * outwards
    return relaxed(np.vstack([outside, through, within]), 0.6 * _STIFFNESS_MM)[::-1]


def _pleural(
    lung: NDArray[np.float64], entry: NDArray[np.float64], side: float, place: str, generator: np.random.Generator,
    radius: float,
) -> NDArray[np.float64]:  # fmt: skip
    """(n, 3): along the lung's surface, turning from the side to the back, and at the top inwards."""
    up = place == "apex"
    end = lung[:, 2].max() - generator.uniform(18, 30) if up else lung[:, 2].min() + generator.uniform(12, 25)
    levels = np.arange(entry[2] + (14 if up else -14), end, _SLAB_MM if up else -_SLAB_MM)
    if len(levels) < 3:
        levels = np.linspace(entry[2] + (14 if up else -14), end, 3)
    share = np.linspace(0, 1, len(levels))
    # 0° points to the side, 90° to the back.
    turn = np.deg2rad((20 + 50 * share) if up else (15 + 65 * share))
    middles, ahead, reaches = [], [], []
    for z, angle in zip(levels, turn, strict=True):
        slab = lung[np.abs(lung[:, 2] - z) < _SLAB_MM / 2 + 1]
        if len(slab) < 10:
            continue
        middle = slab.mean(0)
        across = np.array([side * np.cos(angle), np.sin(angle)])
        offset = slab[:, :2] - middle[:2]
        along = offset @ across
        aside = np.abs(offset @ [-across[1], across[0]])
        fan = along[(along > 0) & (aside < np.tan(np.deg2rad(_FAN_DEG)) * along + 2)]
        middles.append([*middle[:2], z])
        ahead.append([*across, 0.0])
        reaches.append(float(fan.max()) if len(fan) else 0.0)
    # Where ribs bulge into the lung, the drain keeps clear of them from some way before.
    reach = ndimage.gaussian_filter1d(ndimage.minimum_filter1d(reaches, 5), 1.5)
    depth = np.maximum(reach - radius - 2.0, 0.3 * reach)
    return np.asarray(np.array(middles) + depth[:, None] * np.array(ahead), float)


def _within(
    scan: Scan, lung: NDArray[np.float64], mask: NDArray[np.bool_], path: NDArray[np.float64]
) -> NDArray[np.float64]:
    """A course smoothed, and drawn inwards wherever ribs or the chest's wall bulge into it."""
    path = relaxed(path, _STIFFNESS_MM)
    axis = centreline(lung, step_mm=_SLAB_MM)[::-1]
    for _ in range(20):
        out = ~inside(scan, mask, path)
        if not out.any():
            break
        pull = np.column_stack([np.interp(path[:, 2], axis[:, 2], axis[:, i]) for i in (0, 1)]) - path[:, :2]
        pull /= np.maximum(np.linalg.norm(pull, axis=1, keepdims=True), 1.0)
        # Neighbours give way as well, so that the course stays smooth.
        share = ndimage.gaussian_filter1d(ndimage.maximum_filter1d(out.astype(float), 21), 12.0)
        path[:, :2] += 1.5 * share[:, None] * pull
    return path
