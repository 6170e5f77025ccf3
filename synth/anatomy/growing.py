"""From a scaffold to a tree: growth into the lobes, radii, and curved pieces.

Airways, arteries and veins alike are a scaffold of what anatomy fixes, from which synth.kernels.growth fills each lobe
at the least lumen volume. Radii follow one law: a power of the radius is proportional to the number of ends served, and
so is conserved at every branching (Murray 1926, whose power is 3). In vessels it is 7/3, found in the trees of many
organs and species (Huo & Kassab 2009, Biophys J 96:347); CT of pulmonary arteries gives 2.9 ± 1.1 (Dong et al. 2020,
Am J Physiol Heart 319:H432). In airways it is chosen: 2.4 leads from a windpipe of 18 mm to main bronchi of 14 and
13 mm, an upper lobe's bronchus of 9, a segment's of 5 and, at the 200th part of the lungs, 2 mm.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from synth.anatomy.trees import LungRegion, Tree
from synth.kernels.growth import grow

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

__all__ = ["AIRWAY_POWER", "VESSEL_POWER", "Scaffold", "Targets", "grow_tree", "unit"]

AIRWAY_POWER, VESSEL_POWER = 2.4, 7 / 3
"""Power of the radius that is conserved at branchings."""

_TIP = 0.7  # radius at an end relative to the same branch's start: the side branches too small to be drawn
_INSIDE_MM = 2.0  # depth that straight segments keep on the lattice
_CURVED_MM = 1.0  # the same for their curves
_SWAY = 0.035  # sideways deviation of a branch relative to its length, at most
_PIECE_MM = 6.0  # length of the straight pieces that curves are made of
_PIECES = 4  # at most
_GRAIN = 1024  # positions are multiples of 1/1024 mm


class Scaffold:
    """What anatomy fixes of a tree; nodes are numbered as they are added."""

    def __init__(self) -> None:
        self.position: list[NDArray[np.float64]] = []
        self.parent: list[int] = []
        self.lobe: list[int] = []
        self.open: list[bool] = []

    def add(self, parent: int, position: Iterable[float], lobe: int = -1, *, is_open: bool = False) -> int:
        """A node joined to an earlier one, −1 for a root; where `is_open`, the tree may go on from it."""
        self.position.append(np.asarray(position, float))
        self.parent.append(parent)
        self.lobe.append(lobe)
        self.open.append(is_open)
        return len(self.parent) - 1

    def enter(
        self, parent: int, lungs: LungRegion, lobe: int, ideal: NDArray[np.float64], cells: NDArray[np.float64]
    ) -> int:
        """Leads into a lobe: a node at its surface and one at the cell nearest to `ideal`; the latter's number."""
        source = self.position[parent]
        inner = cells[np.argmin(((cells - ideal) ** 2).sum(1))]
        s = np.linspace(1, 0, 64)[:, None]
        line = source + s * (inner - source)
        within = lungs.depth_at(line, lobe) >= _CURVED_MM
        last = max(int(np.argmin(within)) - 1, 1) if not within.all() else len(s) // 2
        door = self.add(parent, line[last])
        return self.add(door, inner, lobe, is_open=True)


@dataclass(frozen=True, eq=False)
class Targets:
    """End points to be served, in the order of joining.

    Attributes:
        position: (n, 3) world.
        lobe: (n,) index into LOBES.
        open: (n,): whether one further end may be joined as the continuation.
    """

    position: NDArray[np.float64]
    lobe: NDArray[np.int64]
    open: NDArray[np.bool_]

    @classmethod
    def fill(cls, lungs: LungRegion, count: int, margin_mm: float, generator: np.random.Generator) -> Targets:
        """About `count` ends all over the lungs, by the lobes' volumes, two a lobe at least."""
        spread = [
            lungs.spread(lobe, max(2, round(count * lungs.share(lobe))), margin_mm, generator) for lobe in lungs.lobes
        ]
        lobe = np.repeat(lungs.lobes, [len(points) for points in spread])
        return cls(np.concatenate(spread), lobe, np.zeros(len(lobe), bool))

    def after(self, position: NDArray[np.float64], lobe: NDArray[np.int64]) -> Targets:
        """The same after others that may be gone on from."""
        first = np.ones(len(lobe), bool)
        return Targets(
            np.concatenate([position, self.position]),
            np.concatenate([lobe, self.lobe]),
            np.concatenate([first, self.open]),
        )


def grow_tree(
    scaffold: Scaffold,
    targets: Targets,
    lungs: LungRegion,
    root_radius_mm: float,
    power: float,
    generator: np.random.Generator,
) -> Tree:
    """Fills the lobes from a scaffold.

    Args:
        scaffold: What is fixed; parts of it that nothing is joined to are left out.
        targets: The ends.
        lungs: The region.
        root_radius_mm: Lumen of a trunk that would serve all ends.
        power: Of the radius, conserved at branchings.
        generator: Draws how branches sway.
    """
    ends = len(targets.lobe) + len(scaffold.parent)
    weight = np.maximum(np.arange(ends + 2), 1) ** (2 / power)  # volume of a mm of lumen
    weight = np.round(weight * (1 << 20)) / (1 << 20)
    nodes = (
        np.array(scaffold.position),
        np.array(scaffold.parent),
        np.array(scaffold.lobe),
        np.ones(len(scaffold.parent), bool),
        np.array(scaffold.open),
    )
    lattice = (lungs.depth, lungs.surface, np.asarray(lungs.origin, float), lungs.spacing_mm)
    position, parent, lobe, _, served = grow(
        nodes, (targets.position, targets.lobe, targets.open), lattice, _INSIDE_MM, weight
    )
    order = _parents_first(parent, served)
    number = np.full(len(parent) + 1, -1)
    number[order] = np.arange(len(order))
    skeleton = _Skeleton(position[order], number[parent[order]], lobe[order], served[order])
    return _drawn(skeleton, lungs, _radii(skeleton, root_radius_mm, power), generator)


@dataclass(frozen=True, eq=False)
class _Skeleton:
    """Nodes, parents first: position (n, 3), parent (n,), lobe (n,), ends served (n,)."""

    position: NDArray[np.float64]
    parent: NDArray[np.int64]
    lobe: NDArray[np.int64]
    served: NDArray[np.int64]


def _parents_first(parent: NDArray[np.int64], served: NDArray[np.int64]) -> NDArray[np.int64]:
    """The used nodes, each generation of nodes after the one before."""
    used = served > 0
    rounds = [np.flatnonzero(used & (parent < 0))]
    left = used & (parent >= 0)
    known = np.zeros(len(parent), bool)
    known[rounds[0]] = True
    while left.any():
        rounds.append(np.flatnonzero(left & known[parent]))
        known[rounds[-1]] = True
        left[rounds[-1]] = False
    return np.concatenate(rounds)


def _radii(bones: _Skeleton, root_radius_mm: float, power: float) -> NDArray[np.float64]:
    """(n,) lumen at the start of the branch to each node."""
    radii: NDArray[np.float64] = root_radius_mm * (bones.served / bones.served[bones.parent < 0].sum()) ** (1 / power)
    return radii


def _drawn(bones: _Skeleton, lungs: LungRegion, radius: NDArray[np.float64], generator: np.random.Generator) -> Tree:
    """Curved, tapering pieces along the skeleton."""
    n, parent = len(bones.parent), bones.parent
    branch = np.flatnonzero(parent >= 0)  # a branch is known by its far node
    origin = parent[branch]
    children = np.bincount(origin, minlength=n)
    largest = np.zeros(n)
    np.maximum.at(largest, origin, radius[branch])
    goal = np.where(children == 0, _TIP * radius, np.where(bones.lobe < 0, radius, (radius + largest) / 2))
    generation = np.zeros(n, int)
    for node in branch:
        generation[node] = generation[parent[node]] + (children[parent[node]] > 1 and parent[parent[node]] >= 0)
    span = np.linalg.norm(bones.position[branch] - bones.position[origin], axis=1)
    pieces = np.clip(np.ceil(span / _PIECE_MM).astype(int), 1, _PIECES)
    points = _curves(bones, branch, radius, generator)
    last = np.cumsum(pieces) - 1
    owner = np.repeat(np.arange(len(branch)), pieces)
    step = np.arange(len(owner)) - (last - pieces + 1)[owner]
    s0, s1 = step / pieces[owner], (step + 1) / pieces[owner]
    start, end = _along(points, bones, lungs, branch, owner, s0), _along(points, bones, lungs, branch, owner, s1)
    slot = np.full(n, -1)
    slot[branch] = last
    before = np.where(step > 0, np.arange(len(owner)) - 1, slot[origin][owner])
    thick, thin = radius[branch][owner], goal[branch][owner]
    return Tree(
        start,
        end,
        thick + s0 * (thin - thick),
        thick + s1 * (thin - thick),
        before,
        generation[branch][owner],
        bones.lobe[branch][owner],
    )


def _curves(
    bones: _Skeleton, branch: NDArray[np.int64], radius: NDArray[np.float64], generator: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Tangents at both ends of every branch and its sway, each (n, 3): the larger branch of a fork goes on smoothly."""
    origin = bones.parent[branch]
    chord = np.zeros_like(bones.position)
    chord[branch] = bones.position[branch] - bones.position[origin]
    along = unit(chord)
    order = np.argsort(radius[branch], kind="stable")
    heir = np.full(len(radius), -1)
    heir[origin[order]] = branch[order]  # the thickest is written last
    share = np.where(heir >= 0, radius[heir] / radius, 0.0)[:, None]
    tangent = unit(along + share * along[heir])
    goes_on = (heir[origin] == branch)[:, None]
    leaving = unit(along[branch] + np.where(bones.parent[origin][:, None] >= 0, 0.4 * tangent[origin], 0))
    leaving = np.where(goes_on & (bones.parent[origin][:, None] >= 0), tangent[origin], leaving)
    length = np.linalg.norm(chord[branch], axis=1, keepdims=True)
    sway = (generator.random((len(branch), 3)) * 2 - 1) * _SWAY * length * (bones.lobe[branch] >= 0)[:, None]
    return leaving * length, tangent[branch] * length, sway


def _along(
    curves: tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]],
    bones: _Skeleton,
    lungs: LungRegion,
    branch: NDArray[np.int64],
    owner: NDArray[np.int64],
    s: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Points (n, 3) at fraction s of branches (cubic Hermite); on the chord where the curve would leave the lobe."""
    leaving, arriving, sway = (array[owner] for array in curves)
    node = branch[owner]
    a, b = bones.position[bones.parent[node]], bones.position[node]
    s = s[:, None]
    straight = a + s * (b - a)
    bend = s * (1 - s) * ((1 - s) * (leaving - (b - a)) - s * (arriving - (b - a)))
    curved = straight + bend + 4 * s * (1 - s) * sway
    for lobe in lungs.lobes:
        here = np.flatnonzero(bones.lobe[node] == lobe)
        out = here[lungs.depth_at(curved[here], lobe) < _CURVED_MM]
        curved[out] = straight[out]
    rounded: NDArray[np.float64] = np.round(curved * _GRAIN) / _GRAIN
    return rounded


def unit(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Vectors (n, 3) at length 1; those of no length stay as they are."""
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    result: NDArray[np.float64] = vectors / np.where(length > 0, length, 1)
    return result
