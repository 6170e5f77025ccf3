"""The bronchial tree: windpipe, main, lobar and segmental bronchi where anatomy has them, then what fills the lobes.

The scaffold's lengths and directions are those of an adult (Gray's Anatomy; Boyden 1955, Segmental Anatomy of the
Lungs): the right main bronchus 2.2 cm long and 25° off the vertical, the left one 4.5 cm and 45°, the bronchus
intermedius 2.2 cm. Segmental bronchi set out for the middle of the territory that their direction from the lobe's
bronchus is nearest to, so that they fit lobes of any shape. Below, the tree divides at the least volume, as airways do
(Hess 1917; Murray 1926): cf. the volume-filling trees of Kitaoka et al. 1999 (J Appl Physiol 87:2207) and Tawhai et
al. 2000 (Ann Biomed Eng 28:793).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from synth.anatomy.growing import AIRWAY_POWER, Scaffold, Targets, grow_tree
from synth.anatomy.labels import LOBES, LUNG_LEFT
from synth.core.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from synth.anatomy.trees import LungRegion, Tree

__all__ = ["grow_airways", "hila_of", "wall_mm"]

Offset = tuple[float, float, float]


class _Lobar(NamedTuple):
    """A lobe's bronchi; offsets in mm of an adult, LPS."""

    origin: str  # where its bronchus leaves
    entry: Offset  # from there to where it divides
    trunk: Offset | None  # from there to where the second group of segments leaves
    groups: tuple[tuple[Offset, ...], ...]  # directions of the segments, first of the entry, then of the trunk


_LOBAR = {
    "lung_upper_lobe_right": _Lobar(
        "hilum", (-14, 1, 3), None, (((-0.3, 0.05, 1), (-0.6, 0.75, 0.35), (-0.5, -0.85, 0.1)),)
    ),
    "lung_middle_lobe_right": _Lobar(
        "intermedius", (-8, -14, -8), None, (((-0.85, -0.35, -0.3), (-0.2, -0.85, -0.5)),)
    ),
    "lung_lower_lobe_right": _Lobar(
        "intermedius",
        (-4, 5, -8),
        (-4, 3, -16),
        (((-0.2, 0.95, 0.25),), ((0.4, -0.1, -0.9), (-0.5, -0.55, -0.75), (-0.75, 0.15, -0.7), (-0.15, 0.6, -0.85))),
    ),
    "lung_upper_lobe_left": _Lobar(
        "hilum",
        (12, -8, 3),
        (5, -8, -8),
        (((0.2, 0.25, 1), (0.4, -0.85, 0.4)), ((0.75, -0.5, -0.3), (0.35, -0.75, -0.6))),
    ),
    "lung_lower_lobe_left": _Lobar(
        "hilum",
        (5, 6, -13),
        (5, 3, -15),
        (((0.2, 0.95, 0.25),), ((0.4, -0.6, -0.75), (0.75, 0.1, -0.7), (0.15, 0.6, -0.85))),
    ),
}
"""B1 to B3; B4 and B5; B6, then B7 to B10; on the left B1+2 and B3, then B4 and B5; B6, then B7+8, B9, B10."""

_INTERMEDIUS = (-10.0, 5.0, -20.0)
_MAIN_LEFT = 45.0 * np.array([np.sin(np.deg2rad(45)), 0.16, -np.cos(np.deg2rad(45))])
_MAIN_RIGHT = 22.0 * np.array([-np.sin(np.deg2rad(25)), 0.12, -np.cos(np.deg2rad(25))])
_ADULT_MM = 230.0  # height of the lungs for which the offsets hold
_ENTRY_MM = 7.0  # depth of the point where a lobe's bronchus divides
_END_MM = 11.0  # depth of the last bronchi that are drawn
_SEGMENT_SHARE = 0.55  # of the way to its territory's middle that a segmental bronchus is drawn towards


def grow_airways(
    lungs: LungRegion,
    carina: NDArray[np.float64],
    trachea_top: NDArray[np.float64],
    generator: np.random.Generator,
    *,
    radius_mm: float = 9.0,
    hila: NDArray[np.float64] | None = None,
    n_branches: int = 400,
) -> Tree:
    """The airways of one person, from the windpipe to bronchi of about 1 mm radius.

    Args:
        lungs: The region.
        carina: (3,) world, where the windpipe divides.
        trachea_top: (3,) world, its upper end.
        generator: Draws the ends and how branches sway.
        radius_mm: Lumen of the windpipe.
        hila: (2, 3) world, left and right end of the main bronchi; default by length and angle from the carina.
        n_branches: About how many branches, 50 to 5000.

    Returns:
        The lumen.

    Raises:
        InputError: A lumen or a number of branches out of range.
    """
    if not 2 <= radius_mm <= 20:
        raise InputError(f"airways: radius_mm must be from 2 to 20, got {radius_mm}")
    if not 50 <= n_branches <= 5000:
        raise InputError(f"airways: n_branches must be from 50 to 5000, got {n_branches}")
    hila = hila_of(lungs, carina) if hila is None else hila
    scaffold = Scaffold()
    fork = scaffold.add(scaffold.add(-1, trachea_top), carina)
    segments: list[NDArray[np.float64]] = []
    owners: list[int] = []
    for side, hilum in enumerate(hila):
        nodes = {"hilum": scaffold.add(fork, hilum)}
        for lobe in (lobe for lobe in lungs.lobes if (LOBES[lobe] in LUNG_LEFT) == (side == 0)):
            plan = _LOBAR[LOBES[lobe]]
            if plan.origin not in nodes:
                nodes[plan.origin] = scaffold.add(nodes["hilum"], hilum + _scale(lungs) * np.array(_INTERMEDIUS))
            middles = _lobar(scaffold, nodes[plan.origin], plan, lungs, lobe)
            segments += middles
            owners += [lobe] * len(middles)
    ends = Targets.fill(lungs, n_branches // 2 - len(owners), _END_MM, generator)
    return grow_tree(
        scaffold, ends.after(np.array(segments), np.array(owners)), lungs, radius_mm, AIRWAY_POWER, generator
    )


def hila_of(lungs: LungRegion, carina: NDArray[np.float64]) -> NDArray[np.float64]:
    """(2, 3) left and right ends of main bronchi of the usual length and angle."""
    return np.asarray(carina) + _scale(lungs) * np.stack([_MAIN_LEFT, _MAIN_RIGHT])


def wall_mm(radius_mm: NDArray[np.float64]) -> NDArray[np.float64]:
    """Thickness of the wall of airways with a lumen of such a radius, mm.

    A straight line from 1.5 mm at main bronchi (lumen radius 6.5 mm) to 1.0 mm at segmental ones (2.6 mm) and 0.8 mm at
    a lumen of 1 mm, chosen so that the wall is 34, 49 and 70 % of the whole section; measurements by generation are in
    Montaudon et al. 2007, J Anat 211:579.
    """
    return 0.7 + 0.125 * np.minimum(radius_mm, 8.0)


def _scale(lungs: LungRegion) -> float:
    rows = np.flatnonzero((lungs.lobe >= 0).any((1, 2)))
    return float((rows[-1] - rows[0] + 1) * lungs.spacing_mm / _ADULT_MM)


def _lobar(scaffold: Scaffold, origin: int, plan: _Lobar, lungs: LungRegion, lobe: int) -> list[NDArray[np.float64]]:
    """Adds a lobe's bronchus; the first ends its segmental bronchi make for."""
    scale = _scale(lungs)
    entry = scaffold.enter(
        origin, lungs, lobe, scaffold.position[origin] + scale * np.array(plan.entry), lungs.cells(lobe, _ENTRY_MM)
    )
    leaves = [scaffold.position[entry]] * len(plan.groups)
    if plan.trunk is not None:
        leaves[1] = leaves[0] + scale * np.array(plan.trunk)
        if (lungs.depth_at(np.linspace(leaves[0], leaves[1], 8), lobe) > _ENTRY_MM / 2).all():
            scaffold.open[entry] = False
            scaffold.add(entry, leaves[1], lobe, is_open=True)
    directions = np.array([direction for group in plan.groups for direction in group])
    sources = np.array([leaf for leaf, group in zip(leaves, plan.groups, strict=True) for _ in group])
    return _segments(lungs.cells(lobe), sources, directions / np.linalg.norm(directions, axis=1, keepdims=True))


def _segments(
    cells: NDArray[np.float64], sources: NDArray[np.float64], directions: NDArray[np.float64]
) -> list[NDArray[np.float64]]:
    """On the way to the middles of the territories of directions (n, 3) from sources (n, 3), if they have any."""
    away = cells[:, None] - sources
    cosine = (away * directions).sum(2) / np.maximum(np.linalg.norm(away, axis=2), 1e-6)
    nearest = np.round(cosine, 6).argmax(1)
    middles = {k: cells[nearest == k].mean(0) for k in range(len(sources)) if (nearest == k).any()}
    return [np.asarray(sources[k] + _SEGMENT_SHARE * (middle - sources[k])) for k, middle in middles.items()]
