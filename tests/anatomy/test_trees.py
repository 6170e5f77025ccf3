"""Trees of the lungs: laws that hold for any lungs, and the anatomy of ordinary ones."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import cKDTree

from synth.anatomy.airways import grow_airways, hila_of, wall_mm
from synth.anatomy.growing import AIRWAY_POWER, VESSEL_POWER
from synth.anatomy.labels import LOBES
from synth.anatomy.trees import LungRegion, Tree
from synth.anatomy.vessels import grow_arteries, grow_veins
from synth.core.errors import InputError
from synth.kernels.growth import clearance, farthest_points, grow, interpolate

CARINA, TOP, ROOT = np.array([0.0, 10.0, 20.0]), np.array([0.0, -5.0, 105.0]), np.array([18.0, -22.0, 8.0])
OSTIA = np.array([[30.0, 5, -10], [32, 15, -28], [-22.0, 5, -14], [-24, 15, -32]])
POWERS = (AIRWAY_POWER, VESSEL_POWER, VESSEL_POWER)


class Trees(NamedTuple):
    airways: Tree
    arteries: Tree
    veins: Tree


def make_lungs(
    width: float = 48, depth: float = 75, height: float = 115, gap: float = 66, spacing: float = 5.0, tilt: float = 0.8
) -> LungRegion:
    """Two half ellipsoids cut by oblique planes."""
    edge = gap + width + 8
    x, y, z = (np.arange(-half, half + spacing, spacing) for half in (edge, depth + 8, height + 8))
    Z, Y, X = np.meshgrid(z, y, x, indexing="ij")
    inside = ((np.abs(X) - gap) / width) ** 2 + (Y / depth) ** 2 + (Z / height) ** 2 < 1
    inside &= np.abs(X) > 0.4 * gap
    lower = Z < -tilt * (-Y) * 1.0 - 5
    middle = ~lower & (Z < -5)
    lobe = np.where(X > 0, np.where(lower, 1, 0), np.where(lower, 4, np.where(middle, 3, 2)))
    return LungRegion(np.where(inside, lobe, -1).astype(np.int8), np.array([x[0], y[0], z[0]]), spacing)


def make_trees(lungs: LungRegion, seed: int = 0, n_branches: int = 800) -> Trees:
    rng = np.random.default_rng(seed)
    airways = grow_airways(lungs, CARINA, TOP, rng)
    arteries = grow_arteries(lungs, ROOT, airways, rng, n_branches=n_branches)
    return Trees(airways, arteries, grow_veins(lungs, OSTIA, airways, arteries, rng, n_branches=n_branches))


@pytest.fixture(scope="module")
def lungs() -> LungRegion:
    return make_lungs()


@pytest.fixture(scope="module")
def trees(lungs: LungRegion) -> Trees:
    return make_trees(lungs)


def sampled(tree: Tree, lobe: int, looks: int = 5) -> np.ndarray:
    here = tree.lobe == lobe
    s = np.linspace(0, 1, looks)[:, None, None]
    return (tree.start[here] + s * (tree.end[here] - tree.start[here])).reshape(-1, 3)


def check_laws(lungs: LungRegion, trees: Trees) -> None:
    for tree, power in zip(trees, POWERS, strict=True):
        child = np.flatnonzero(tree.parent >= 0)
        before = tree.parent[child]
        assert (before < child).all()
        assert np.array_equal(tree.start[child], tree.end[before])
        assert (tree.start_radius[child] <= tree.end_radius[before] * (1 + 1e-9)).all()
        assert (tree.end_radius <= tree.start_radius * (1 + 1e-9)).all()
        assert (tree.end_radius > 0.1).all()
        assert set(tree.generation[child] - tree.generation[before]) <= {0, 1}
        for lobe in lungs.lobes:
            assert ((tree.lobe == lobe) & tree.tip).any(), f"nothing in {LOBES[lobe]}"
            assert lungs.depth_at(sampled(tree, lobe), lobe).min() > 0
        assert (tree.lobe[tree.tip] >= 0).all()
        check_balance(tree, power)


def check_balance(tree: Tree, power: float) -> None:
    """Where a branch begins, the radii of all that leave add up to that of the branch before, at its start."""
    first = np.flatnonzero(tree.first & (tree.parent >= 0))
    leaving = np.zeros(len(tree.parent))
    np.add.at(leaving, tree.parent[first], tree.start_radius[first] ** power)
    for piece in np.flatnonzero(leaving):
        start = piece
        while not tree.first[start]:
            start = tree.parent[start]
        assert leaving[piece] == pytest.approx(tree.start_radius[start] ** power, rel=1e-9)


def test_laws(lungs: LungRegion, trees: Trees) -> None:
    check_laws(lungs, trees)


@settings(max_examples=6, deadline=None)
@given(
    width=st.floats(36, 60),
    depth=st.floats(55, 85),
    height=st.floats(85, 130),
    spacing=st.floats(4, 6),
    tilt=st.floats(0.5, 1.5),
    seed=st.integers(0, 1000),
)
def test_laws_hold_in_any_lungs(
    width: float, depth: float, height: float, spacing: float, tilt: float, seed: int
) -> None:
    lungs = make_lungs(width, depth, height, 0.6 * width + 35, spacing, tilt)
    check_laws(lungs, make_trees(lungs, seed, 300))


@pytest.mark.parametrize("missing", [(3,), (0, 1), (2, 3), (1, 2, 3, 4)])
def test_lobes_may_be_missing(lungs: LungRegion, missing: tuple[int, ...]) -> None:
    fewer = LungRegion(np.where(np.isin(lungs.lobe, missing), -1, lungs.lobe).astype(np.int8), lungs.origin, 5.0)
    trees = make_trees(fewer, n_branches=300)
    check_laws(fewer, trees)
    for tree in trees:
        assert not np.isin(tree.lobe, missing).any()


def test_counts_and_generations(trees: Trees) -> None:
    airways, arteries, veins = trees
    assert 300 <= airways.first.sum() <= 420
    assert airways.generation.max() >= 8
    assert np.median(airways.generation[airways.tip]) >= 7
    assert 750 <= arteries.first.sum() <= 820
    assert 750 <= veins.first.sum() <= 820
    assert (veins.parent < 0).sum() == 4


def test_published_diameters(trees: Trees) -> None:
    airways, arteries, _ = trees
    right, left = (
        airways.start_radius[(airways.generation == 1) & (airways.lobe < 0) & side].max() * 2
        for side in (airways.end[:, 0] < 0, airways.end[:, 0] > 0)
    )
    assert 12 <= left < right <= 15
    lobar = [2 * airways.start_radius[airways.lobe == lobe][0] for lobe in (0, 1, 2, 4)]
    assert 7.5 <= min(lobar)
    assert max(lobar) <= 11.5
    mains = 2 * arteries.start_radius[arteries.parent < 0]
    assert 14 <= mains.max() <= 20
    assert 0.4 <= arteries.end_radius.min() <= 0.8


def test_main_bronchi_lie_as_they_should(lungs: LungRegion) -> None:
    left, right = hila_of(lungs, CARINA) - CARINA
    assert right[0] < 0 < left[0]
    angle = [np.rad2deg(np.arctan2(abs(way[0]), -way[2])) for way in (right, left)]
    assert angle == pytest.approx([25, 45], abs=1e-6)
    assert np.linalg.norm(right) < 0.6 * np.linalg.norm(left)


def test_arteries_pass_the_hila_they_are_given(lungs: LungRegion, trees: Trees) -> None:
    hila = np.array([[30.0, 6, 14], [-22, -6, 2]])
    arteries = grow_arteries(lungs, ROOT, trees.airways, np.random.default_rng(0), hila=hila, n_branches=300)
    for hilum, lobe in zip(hila, (1, 4), strict=True):
        way = arteries.path(np.flatnonzero(arteries.tip & (arteries.lobe == lobe))[0])
        assert np.linalg.norm(arteries.end[way] - hilum, axis=1).min() < 1e-2
    check_balance(arteries, VESSEL_POWER)


def test_sides_are_kept_apart(trees: Trees) -> None:
    for tree in trees:
        assert (tree.end[np.isin(tree.lobe, (0, 1)), 0] > 0).all()
        assert (tree.end[np.isin(tree.lobe, (2, 3, 4)), 0] < 0).all()
    veins = trees.veins
    for lobe, ostium in ((0, 0), (1, 1), (2, 2), (3, 2), (4, 3)):
        tip = np.flatnonzero(veins.tip & (veins.lobe == lobe))[0]
        assert np.allclose(veins.start[veins.path(tip)[0]], OSTIA[ostium], atol=1e-3)


def test_lobes_are_supplied_by_their_volume(lungs: LungRegion, trees: Trees) -> None:
    for tree in trees[1:]:
        count = np.bincount(tree.lobe[tree.tip], minlength=5)
        assert count / count.sum() == pytest.approx([lungs.share(lobe) for lobe in range(5)], abs=0.03)


def test_vessels_fill_the_lungs_and_stay_below_the_pleura(lungs: LungRegion, trees: Trees) -> None:
    vessels = cKDTree(np.concatenate([sampled(tree, lobe) for tree in trees[1:] for lobe in lungs.lobes]))
    cells = np.concatenate([lungs.cells(lobe) for lobe in lungs.lobes])
    distance = vessels.query(cells)[0]
    assert np.percentile(distance, 95) < 12
    assert distance.max() < 25
    for tree in trees[1:]:
        for lobe in lungs.lobes:
            tips = lungs.depth_at(tree.end[tree.tip & (tree.lobe == lobe)], lobe)
            assert tips.min() >= 3
            assert np.percentile(tips, 40) < 15


def test_arteries_run_beside_airways_and_veins_between(lungs: LungRegion, trees: Trees) -> None:
    airways = trees.airways
    bronchi = cKDTree(np.concatenate([sampled(airways, lobe) for lobe in lungs.lobes]))
    near = []
    for tree in trees[1:]:
        wide = (tree.lobe >= 0) & (tree.start_radius > 1.2)
        near.append(np.median(bronchi.query(tree.end[wide])[0]))
    assert near[0] < 10
    assert near[1] > 1.3 * near[0]


def test_wide_tubes_seldom_overlap(trees: Trees) -> None:
    airways, arteries, veins = trees
    for one, other in ((airways, arteries), (airways, veins), (arteries, veins)):
        a, b = ((tree.lobe >= 0) & (tree.start_radius > 2) for tree in (one, other))
        distance, which = cKDTree(one.end[a]).query(other.end[b])
        assert (distance < 0.8 * (one.end_radius[a][which] + other.end_radius[b])).mean() < 0.12


def test_branches_are_gently_curved(trees: Trees) -> None:
    for tree in trees:
        later = np.flatnonzero(~tree.first & (tree.lobe >= 0))
        ways = [tree.end[index] - tree.start[index] for index in (later, tree.parent[later])]
        a, b = (way / np.linalg.norm(way, axis=1, keepdims=True) for way in ways)
        turn = np.rad2deg(np.arccos(np.clip((a * b).sum(1), -1, 1)))
        assert 1 < np.median(turn) < 20
        assert np.percentile(turn, 95) < 60


def test_same_generator_same_trees(lungs: LungRegion, trees: Trees) -> None:
    for tree, again in zip(trees, make_trees(lungs), strict=True):
        for name in Tree.__dataclass_fields__:
            assert np.array_equal(getattr(tree, name), getattr(again, name))
    other = make_trees(lungs, seed=1, n_branches=300)
    assert not np.array_equal(other.airways.end[:50], trees.airways.end[:50])


def test_moved_lungs_have_moved_trees(lungs: LungRegion, trees: Trees) -> None:
    shift = np.array([16.0, -32.0, 64.0])
    moved = LungRegion(lungs.lobe, lungs.origin + shift, 5.0)
    airways = grow_airways(moved, CARINA + shift, TOP + shift, np.random.default_rng(0))
    assert np.allclose(airways.end, trees.airways.end + shift, atol=1e-6)


def test_tubes(trees: Trees) -> None:
    tubes = trees.airways.tubes(scale=2.0, extra_mm=wall_mm(trees.airways.end_radius))
    assert np.array_equal(tubes.start, trees.airways.start)
    assert np.allclose(tubes.end_radius, 2 * trees.airways.end_radius + wall_mm(trees.airways.end_radius))
    assert (tubes.flat == 1).all()
    assert np.allclose(np.linalg.norm(tubes.normal, axis=1), 1)


def test_walls_are_thin_and_grow_with_the_lumen() -> None:
    radius = np.linspace(0.5, 9, 50)
    wall = wall_mm(radius)
    assert (np.diff(wall) >= 0).all()
    assert wall_mm(np.array([6.5]))[0] == pytest.approx(1.5, abs=0.1)
    assert 0.2 <= wall_mm(np.array([2.6]))[0] / 2.6 <= 0.45


def test_bad_input_is_named(lungs: LungRegion, trees: Trees) -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(InputError, match="int8"):
        LungRegion(lungs.lobe.astype(int), lungs.origin, 5.0)
    with pytest.raises(InputError, match="spacing_mm"):
        LungRegion(lungs.lobe, lungs.origin, 50.0)
    with pytest.raises(InputError, match="origin"):
        LungRegion(lungs.lobe, np.array([np.nan, 0, 0]), 5.0)
    with pytest.raises(InputError, match="−1 to 4"):
        LungRegion(np.full((9, 9, 9), 7, np.int8), lungs.origin, 5.0)
    with pytest.raises(InputError, match="no lobe"):
        LungRegion(np.full((9, 9, 9), -1, np.int8), lungs.origin, 5.0)
    with pytest.raises(InputError, match="radius_mm"):
        grow_airways(lungs, CARINA, TOP, rng, radius_mm=90)
    with pytest.raises(InputError, match="airways: n_branches"):
        grow_airways(lungs, CARINA, TOP, rng, n_branches=3)
    with pytest.raises(InputError, match="arteries: trunk_mm"):
        grow_arteries(lungs, ROOT, trees.airways, rng, trunk_mm=0)
    with pytest.raises(InputError, match="veins: n_branches"):
        grow_veins(lungs, OSTIA, trees.airways, trees.arteries, rng, n_branches=3)


def test_depth_of_a_ball() -> None:
    axis = np.arange(-60.0, 61, 5)
    distance = np.sqrt(axis[:, None, None] ** 2 + axis[:, None] ** 2 + axis**2)
    ball = LungRegion(np.where(distance < 50, 2, -1).astype(np.int8), np.full(3, -60.0), 5.0)
    assert ball.lobes == (2,)
    assert ball.share(2) == 1
    points = np.random.default_rng(0).normal(size=(200, 3))
    points *= np.linspace(5, 45, 200)[:, None] / np.linalg.norm(points, axis=1, keepdims=True)
    expected = 50 - np.linalg.norm(points, axis=1)
    assert np.abs(ball.depth_at(points, 2) - expected).max() < 4
    assert (ball.depth_at(np.array([[500.0, 0, 0]]), 2) < 0).all()
    assert (np.linalg.norm(ball.cells(2, 20), axis=1) < 34).all()


def test_interpolation_is_exact_for_linear_fields() -> None:
    k, j, i = np.meshgrid(np.arange(4.0), np.arange(5.0), np.arange(6.0), indexing="ij")
    field = (2 * i - 3 * j + 0.5 * k + 1).astype(np.float32)
    points = np.random.default_rng(0).random((50, 3)) * [10, 8, 6] + [1, 2, 3]
    value = interpolate(field, np.array([1.0, 2, 3]), 2.0, -9.0, points)
    u = (points - [1, 2, 3]) / 2
    assert value == pytest.approx(2 * u[:, 0] - 3 * u[:, 1] + 0.5 * u[:, 2] + 1, abs=1e-5)
    assert interpolate(field, np.zeros(3), 2.0, -9.0, np.array([[-0.1, 0, 0]])) == -9


def test_farthest_points_come_in_order_of_shrinking_distance() -> None:
    points = np.random.default_rng(0).random((300, 3))
    chosen = points[farthest_points(points, 40)]
    gaps = [np.linalg.norm(chosen[:k] - chosen[k], axis=1).min() for k in range(1, 40)]
    assert all(a >= b - 1e-12 for a, b in pairwise(gaps))
    assert len(np.unique(chosen, axis=0)) == 40


def test_clearance_is_the_distance_from_a_capsule() -> None:
    shape = (20, 21, 22)
    field = clearance(
        np.array([[20.0, 50, 40]]), np.array([[80.0, 50, 40]]), np.array([4.0]), shape, np.zeros(3), 5.0, 30.0
    )
    k, j, i = np.meshgrid(*(5.0 * np.arange(n) for n in shape), indexing="ij")
    expected = np.sqrt((i - np.clip(i, 20, 80)) ** 2 + (j - 50) ** 2 + (k - 40) ** 2) - 4
    assert np.minimum(expected, 30) == pytest.approx(field, abs=1e-4)


def test_growth_balances_three_pulls() -> None:
    """Where a branch leaves a segment that may move, the three directions times their costs add up to nothing."""
    ways = np.array([[0.0, 0, 0], [-50.0, 0, 100]])
    nodes = (ways, np.array([-1, 0]), np.array([0, 0]), np.zeros(2, bool), np.zeros(2, bool))
    ends = (np.array([[50.0, 0, 100]]), np.array([0]), np.array([False]))
    field = np.full((1, 40, 40, 40), 50, np.float32)
    lattice = (field, field, np.full(3, -100.0), 6.0)
    position, parent, _, _, served = grow(nodes, ends, lattice, 1.0, np.array([1.0, 1.0, 1.6]))
    assert parent.tolist() == [-1, 2, 0, 2]
    assert served.tolist() == [1, 0, 1, 1]
    pulls = [(end - position[2]) / np.linalg.norm(end - position[2]) for end in position[[0, 1, 3]]]
    assert np.linalg.norm(sum(pulls)) < 0.1


def test_growth_goes_on_at_open_ends_and_around_obstacles() -> None:
    nodes = (
        np.array([[0.0, 0, 0], [0, 0, 20]]),
        np.array([-1, 0]),
        np.array([0, 0]),
        np.ones(2, bool),
        np.ones(2, bool),
    )
    ends = (np.array([[0.0, 0, 50], [90, 0, 10]]), np.array([0, 0]), np.zeros(2, bool))
    blocked = np.full((1, 40, 40, 40), 50, np.float32)
    blocked[..., 24:] = -1  # x > 41
    free = np.full_like(blocked, 50)
    grown = [
        grow(nodes, ends, (blocked, spare, np.full(3, -100.0), 6.0), 1.0, np.array([1.0, 1, 1.7, 2.4]))
        for spare in (blocked, free)
    ]
    assert [len(parent) for _, parent, *_ in grown] == [3, 5]
    assert grown[0][1].tolist() == [-1, 0, 1]
