"""Arteries and veins of the lungs.

Arteries run beside the airways, each beside its bronchus up to the last one drawn, a little wider than its lumen, then
go on alone. Veins run between the two, in the planes between segments, and gather at the four ostia of the left atrium
(Gray's Anatomy; Yamashita 1978, Roentgenologic Anatomy of the Lung).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from synth.anatomy.airways import wall_mm
from synth.anatomy.growing import VESSEL_POWER, Scaffold, Targets, grow_tree, unit
from synth.anatomy.labels import LOBES, LUNG_LEFT
from synth.anatomy.solids import Tubes
from synth.core.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from synth.anatomy.trees import LungRegion, Tree

__all__ = ["grow_arteries", "grow_veins"]

_END_MM = 3.5  # depth of ends on the lattice
_DOOR_MM = 3.0  # depth at which a vein has entered its lobe, and room around it
_STRETCH_MM = 24.0  # from an ostium to where the vein of a lobe divides
_LEAST_MM = 1.0  # depth of arteries beside airways
_SIDES = 8  # of a bronchus where its artery may lie
_RATIO = 1.3  # artery to lumen of its bronchus: above 1 but in the old (Matsuoka et al. 2003, AJR 180:513)
_STEADY = 1.0  # of its distance from the bronchus: the room that staying on the same side is worth
_LATERAL, _UP = np.array([0.8, 0.0, 0.0]), np.array([0.0, 0.0, 0.6])  # the usual side of the left lung
_NEVER_ALONG = 1e-6  # keeps a side where airways run the usual side's way
_GAP_MM = 0.5  # between artery and bronchus
_WIDE_MM, _VEIN_WIDE_MM = 1.3, 2.0  # lumen of airways that arteries keep clear of, of both that veins do
_GAP_LESS_MM = -1.0  # axes keep off their surface by this and the 2 mm of depth that every segment keeps
_BERTH = 1.5  # veins keep off these as if they were so many times as wide, for wide veins run near wide arteries


def grow_arteries(
    lungs: LungRegion,
    pulmonary_root: NDArray[np.float64],
    airways: Tree,
    generator: np.random.Generator,
    *,
    hila: NDArray[np.float64] | None = None,
    trunk_mm: float = 12.0,
    n_branches: int = 1600,
) -> Tree:
    """The pulmonary arteries, from where the trunk divides.

    Args:
        lungs: The region.
        pulmonary_root: (3,) world, where the pulmonary trunk divides.
        airways: What they accompany, from `grow_airways`.
        generator: Draws the ends and how branches sway.
        hila: (2, 3) world, where left and right main artery come to their bronchi; default from the bronchi: the left
            above its main bronchus, the right in front of it.
        trunk_mm: Radius of the trunk's lumen.
        n_branches: About how many branches, 100 to 10000.

    Raises:
        InputError: A number out of range.
    """
    _check("arteries", trunk_mm, n_branches)
    beside = _Beside(lungs, airways)
    scaffold = Scaffold()
    root = scaffold.add(-1, pulmonary_root)
    for left in (True, False):
        lobes = [lobe for lobe in lungs.lobes if (LOBES[lobe] in LUNG_LEFT) == left and lobe in beside.door]
        if lobes:
            end = None if hila is None else hila[0 if left else 1]
            (_left_artery if left else _right_artery)(scaffold, root, lobes, beside, end)
    beside.follow(scaffold)
    ends = Targets.fill(beside.free, n_branches // 2, _END_MM, generator)
    return grow_tree(scaffold, ends, beside.free, trunk_mm, VESSEL_POWER, generator)


def grow_veins(
    lungs: LungRegion,
    ostia: NDArray[np.float64],
    airways: Tree,
    arteries: Tree,
    generator: np.random.Generator,
    *,
    trunk_mm: float = 12.0,
    n_branches: int = 1600,
) -> Tree:
    """The pulmonary veins, each tree from an ostium of the left atrium outwards.

    Args:
        lungs: The region.
        ostia: (4, 3) world: left superior, left inferior, right superior, right inferior.
        airways: From `grow_airways`.
        arteries: From `grow_arteries`.
        generator: Draws the ends and how branches sway.
        trunk_mm: Radius of one vein that would carry all.
        n_branches: About how many branches, 100 to 10000.

    Raises:
        InputError: A number out of range.
    """
    _check("veins", trunk_mm, n_branches)
    free = lungs.clear_of(_wide(airways, arteries, _BERTH, _VEIN_WIDE_MM), _GAP_LESS_MM)
    scaffold = Scaffold()
    for number, ostium in enumerate(np.asarray(ostia, float)):
        names = LUNG_LEFT if number < 2 else LOBES[len(LUNG_LEFT) :]
        wanted = names[:-1] if number % 2 == 0 else names[-1:]
        lobes = [lobe for lobe in lungs.lobes if LOBES[lobe] in wanted]
        if not lobes:
            continue
        cells = {lobe: free.cells(lobe, _DOOR_MM) for lobe in lobes}
        doors = [_towards(ostium, cells[lobe].mean(0)) for lobe in lobes]
        fork = scaffold.add(scaffold.add(-1, ostium), ostium + 0.4 * (np.mean(doors, 0) - ostium))
        for lobe, door in zip(lobes, doors, strict=True):
            scaffold.enter(fork, lungs, lobe, door, cells[lobe])
    ends = Targets.fill(free, n_branches // 2, _END_MM, generator)
    return grow_tree(scaffold, ends, free, trunk_mm, VESSEL_POWER, generator)


def _towards(start: NDArray[np.float64], goal: NDArray[np.float64]) -> NDArray[np.float64]:
    """The point a vein's first stretch from `start` on the way to `goal`."""
    return start + _STRETCH_MM * (goal - start) / max(float(np.linalg.norm(goal - start)), _STRETCH_MM)


def _check(what: str, trunk_mm: float, n_branches: int) -> None:
    if not 2 <= trunk_mm <= 30:
        raise InputError(f"{what}: trunk_mm must be from 2 to 30, got {trunk_mm}")
    if not 100 <= n_branches <= 10000:
        raise InputError(f"{what}: n_branches must be from 100 to 10000, got {n_branches}")


def _wide(airways: Tree, arteries: Tree | None = None, scale: float = 1.0, least_mm: float = _WIDE_MM) -> Tubes:
    """Airways with their walls and arteries, as far as they are wide."""
    trees = [airways] if arteries is None else [airways, arteries]
    wall = wall_mm(airways.end_radius)
    both = Tubes.merged([tree.tubes(scale, wall if tree is airways else 0.0) for tree in trees])
    wide = np.concatenate([tree.start_radius for tree in trees]) >= least_mm
    return Tubes(*(getattr(both, name)[wide] for name in Tubes.__dataclass_fields__))


def _right_artery(
    scaffold: Scaffold, root: int, lobes: list[int], beside: _Beside, end: NDArray[np.float64] | None
) -> None:
    """In front of the right main bronchus; one branch up, the other down beside the bronchus intermedius."""
    hilum, around = beside.common(lobes)
    start = scaffold.position[root]
    front = hilum + np.array([-2.0, -around, -5.0]) if end is None else end
    fork = scaffold.add(root, start + 0.75 * (front - start))
    upper = [lobe for lobe in lobes if LOBES[lobe] == "lung_upper_lobe_right"]
    lower = [lobe for lobe in lobes if lobe not in upper]
    for lobe in upper:
        beside.enter(scaffold, fork, lobe)
    if lower:
        middle, around = beside.common(lower)
        beside_stem = scaffold.add(scaffold.add(fork, front), middle + np.array([-1.05 * around, -2.0, 6.0]))
        for lobe in lower:
            beside.enter(scaffold, beside_stem, lobe)


def _left_artery(
    scaffold: Scaffold, root: int, lobes: list[int], beside: _Beside, end: NDArray[np.float64] | None
) -> None:
    """Over the left main bronchus, then down behind and lateral to it."""
    hilum, around = beside.common(lobes)
    arch = scaffold.add(root, hilum + np.array([-6.0, -2.0, around]) if end is None else end)
    for lobe in lobes:
        upper = LOBES[lobe] == "lung_upper_lobe_left"
        behind = hilum + around * np.array([0.85, 0.55, 0.0])
        beside.enter(scaffold, arch if upper else scaffold.add(arch, behind), lobe)


class _Beside:
    """Where arteries lie beside airways: at the ends of their pieces, above and lateral, if there is room."""

    def __init__(self, lungs: LungRegion, airways: Tree) -> None:
        self.lungs, self.airways = lungs, airways
        self.free = lungs.clear_of(_wide(airways), _GAP_LESS_MM)
        self.door = {
            int(lobe): int(np.flatnonzero(airways.lobe == lobe)[0]) for lobe in np.unique(airways.lobe) if lobe >= 0
        }
        self.place = self._places()
        self.node: dict[int, int] = {}

    def common(self, lobes: list[int]) -> tuple[NDArray[np.float64], float]:
        """Where the bronchi of some lobes part, and how far from there their artery has its axis."""
        ways = [self.airways.path(self.door[lobe])[:-1] for lobe in lobes]
        shared = [pieces[0] for pieces in zip(*ways, strict=False) if len(set(pieces)) == 1]
        return self.airways.end[shared[-1]], float(_distance(self.airways.start_radius[shared[-1:]])[0])

    def enter(self, scaffold: Scaffold, parent: int, lobe: int) -> None:
        """Leads from a node to the artery beside a lobe's bronchus."""
        piece = self.door[lobe]
        self.node[piece] = scaffold.enter(parent, self.lungs, lobe, self.place[piece], self.free.cells(lobe, _END_MM))

    def follow(self, scaffold: Scaffold) -> None:
        """Adds an artery beside every bronchus of the lobes entered."""
        for piece in map(int, np.flatnonzero(self.airways.lobe >= 0)):
            before = self.node.get(int(self.airways.parent[piece]))
            if before is not None and piece not in self.node:
                lobe = int(self.airways.lobe[piece])
                line = np.linspace(scaffold.position[before], self.place[piece], 5)[1:]
                if (self.lungs.depth_at(line, lobe) >= _LEAST_MM).all():
                    scaffold.open[before] = False
                    self.node[piece] = scaffold.add(before, self.place[piece], lobe, is_open=True)

    def _places(self) -> NDArray[np.float64]:
        """(n, 3): of eight sides one with room inside the lobe and off other airways, rather the one before's."""
        airways = self.airways
        along = unit(airways.end - airways.start)
        usual = np.where(np.isin(airways.lobe, [LOBES.index(name) for name in LUNG_LEFT])[:, None], 1, -1) * _LATERAL
        side = _across(usual + _UP, along)
        other = np.cross(along, side)
        away = _distance(airways.end_radius)
        turn = np.arange(_SIDES)[:, None] * (2 * np.pi / _SIDES)
        sides = np.cos(turn) * side[:, None] + np.sin(turn) * other[:, None]
        room = self._room(airways.end[:, None] + away[:, None, None] * sides)
        room = np.minimum(room, np.maximum(_END_MM, _RATIO * airways.end_radius)[:, None])
        chosen = side.copy()
        for piece in np.flatnonzero(airways.lobe >= 0):
            before = airways.parent[piece]
            wanted = chosen[before] if airways.lobe[before] >= 0 else side[piece]
            worth = room[piece] + _STEADY * away[piece] * (sides[piece] @ wanted)
            best = sides[piece, np.round(worth, 6).argmax()]
            chosen[piece] = _across((best + 0.5 * wanted)[None], along[piece][None])[0]  # turns by and by
        places: NDArray[np.float64] = airways.end + away[:, None] * chosen
        return places

    def _room(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n, k): distance of points (n, k, 3) beside each piece from the lobe's surface and from airways."""
        free = self.lungs.clear_of(_wide(self.airways), 0.0)
        room = np.zeros(points.shape[:2])
        for lobe in self.lungs.lobes:
            here = self.airways.lobe == lobe
            room[here] = free.depth_at(points[here].reshape(-1, 3), lobe).reshape(-1, points.shape[1])
        return room


def _across(vectors: NDArray[np.float64], along: NDArray[np.float64]) -> NDArray[np.float64]:
    """Unit vectors nearest to (n, 3) that are perpendicular to unit vectors (n, 3)."""
    return unit(vectors - (vectors * along).sum(1, keepdims=True) * along + _NEVER_ALONG)


def _distance(radius_mm: NDArray[np.float64]) -> NDArray[np.float64]:
    """From the axis of an airway to that of its artery."""
    return (1 + _RATIO) * radius_mm + wall_mm(radius_mm) + _GAP_MM
