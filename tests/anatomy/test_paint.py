"""Painted volumes against closed forms, and what strokes do to values, labels and parts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synth.anatomy.labels import LABELS, PARTS
from synth.anatomy.paint import Canvas, paint
from synth.anatomy.solids import Loft, Slab, Solid, Stroke, Tubes
from synth.core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

ROTATIONS = [
    np.eye(3),
    np.roll(np.eye(3), 1, 0),
    np.array([[0.36, 0.48, -0.8], [-0.8, 0.6, 0.0], [0.48, 0.64, 0.6]]),
]


def air(size: float = 40.0, spacing: Any = 1.0) -> Canvas:
    """A canvas of `size` mm around the origin."""
    spacing = np.broadcast_to(spacing, 3)
    counts = np.ceil(size / spacing).astype(int)
    return Canvas.empty(tuple(counts[::-1].tolist()), -(counts - 1) / 2 * spacing, spacing)


def volume(solid: Solid, *, spacing: Any = 1.0, inset: float = 0.0, size: float = 40.0) -> float:
    """mm³ painted."""
    canvas = air(size, spacing)
    paint(canvas, [Stroke((solid,), 0.0, inset_mm=inset)])
    return float((canvas.hu / 1000 + 1).sum(dtype=float) * np.prod(canvas.spacing))


def ellipsoid(a: float, b: float, c: float, **where: Any) -> Loft:
    w, angles = np.linspace(-c, c, 97), np.arange(96) * 2 * np.pi / 96
    across = a * b / np.hypot(b * np.cos(angles), a * np.sin(angles))
    return Loft(np.sqrt(np.maximum(1 - (w / c) ** 2, 0))[:, None] * across, np.zeros((97, 2)), -c, c / 48, **where)


def cylinder(radius: float, length: float, **where: Any) -> Loft:
    return Loft(np.full((2, 12), radius), np.zeros((2, 2)), -length / 2, length, **where)


def box(u: float, v: float, w: float, **where: Any) -> Slab:
    ends = np.full((3, 4), w / 2)
    return Slab(-ends, ends, -u / 2, -v / 2, u / 3, v / 2, **where)


@pytest.mark.parametrize("axes", ROTATIONS)
@pytest.mark.parametrize("spacing", [1.0, (1.2, 0.8, 1.5)])
def test_volumes_in_closed_form(axes: Any, spacing: Any) -> None:
    where = {"origin": np.array([0.4, -0.3, 0.2]), "axes": axes}
    for solid, expected in (
        (ellipsoid(15, 15, 15, **where), 4 / 3 * np.pi * 15**3),
        (ellipsoid(12, 15, 17, **where), 4 / 3 * np.pi * 12 * 15 * 17),
        (cylinder(9, 21, **where), np.pi * 81 * 21),
        (box(17, 13, 21.3, **where), 17 * 13 * 21.3),
    ):
        assert volume(solid, spacing=spacing) == pytest.approx(expected, rel=0.003)


@pytest.mark.parametrize("direction", [(1, 0, 0), (0, 0, 1), (2, 3, 1)])
def test_volumes_of_rods(direction: Any) -> None:
    along = np.array(direction) / np.linalg.norm(direction)
    ends = np.array([[-10.0], [10.0]]) * along + np.array([0.3, 0.1, 0.2])
    ball = 4 / 3 * np.pi
    assert volume(Tubes.along(ends, 6.0)) == pytest.approx(np.pi * 36 * 20 + ball * 216, rel=0.003)
    taper = Tubes.along(ends, np.array([6.0, 4.0]))
    cone = np.pi * 20 * (36 + 24 + 16) / 3
    assert volume(taper) == pytest.approx(cone + ball / 2 * (216 + 64), rel=0.005)
    normal = np.cross(along, [0.3, -0.5, 0.8])
    flat = Tubes.along(ends, 8.0, normal=normal / np.linalg.norm(normal), flat=0.5)
    assert volume(flat) == pytest.approx(0.5 * (np.pi * 64 * 20 + ball * 512), rel=0.005)


@pytest.mark.parametrize("radius", [0.3, 0.5, 0.8, 1.5])
def test_vessels_thinner_than_voxels_keep_their_volume(radius: float) -> None:
    ends = np.array([[-60.0, 3.7, 0.4], [60.0, -8.3, 9.1]])
    canvas = air(40.0)
    paint(canvas, [Stroke((Tubes.along(ends, radius),), 0.0)])
    across = (canvas.hu / 1000 + 1).sum((0, 1), dtype=float)
    slope = np.linalg.norm(ends[1] - ends[0]) / 120
    assert across.mean() == pytest.approx(np.pi * radius**2 * slope, rel=0.02)


@pytest.mark.parametrize("thickness", [0.125, 0.5, 1.0, 2.25])
def test_plates_thinner_than_voxels_keep_their_volume(thickness: float) -> None:
    assert volume(box(18, 18, thickness)) == pytest.approx(18 * 18 * thickness, rel=0.003)


def test_coverage_at_known_points() -> None:
    canvas = air(21.0)  # voxel centres at whole mm
    paint(canvas, [Stroke((box(10.5, 8.0, 6.5),), 0.0)])
    share = canvas.hu / 1000 + 1
    middle = 10
    np.testing.assert_allclose(share[middle, middle, [4, 5, 6, 14, 15, 16]], [0, 0.75, 1, 1, 0.75, 0], atol=1e-4)
    np.testing.assert_allclose(share[middle, [6, 14, 5, 15], middle], [0.5, 0.5, 0, 0], atol=1e-4)
    np.testing.assert_allclose(share[[7, 13, 6, 14], middle, middle], [0.75, 0.75, 0, 0], atol=1e-4)
    np.testing.assert_allclose(share[13, 14, 15], 0.75 * 0.5 * 0.75, atol=1e-4)


@settings(max_examples=30, deadline=None)
@given(st.floats(3, 9), st.sampled_from([0, 1, 2]), st.tuples(*[st.floats(-1, 1)] * 3))
def test_poles_are_like_the_rest_of_a_sphere(radius: float, turned: int, at: tuple[float, float, float]) -> None:
    canvas = air(24.0)
    origin = np.array(at)
    paint(canvas, [Stroke((ellipsoid(radius, radius, radius, origin=origin, axes=ROTATIONS[turned]),), 0.0)])
    z, y, x = np.indices(canvas.hu.shape)
    points = canvas.origin + np.stack([x, y, z], -1)
    expected = np.clip(0.5 + radius - np.linalg.norm(points - origin, axis=-1), 0, 1)
    assert np.abs(canvas.hu / 1000 + 1 - expected).max() < 0.07


def test_turned_axes_turn_the_solid() -> None:
    solid = {
        "radius": np.array([[3.0, 5, 4, 7], [6, 5, 8, 4], [0, 1, 0, 2]]),
        "centre": np.array([[0, 0], [1, 2], [0, 1]]),
    }
    pictures = []
    for axes in (np.eye(3), np.roll(np.eye(3), 1, 1)):  # u, v, w along x, y, z; along y, z, x
        canvas = air(24.0)
        paint(canvas, [Stroke((Loft(**solid, w0=-6.0, dw=6.0, axes=axes),), 50.0)])
        pictures.append(canvas.hu)
    np.testing.assert_allclose(pictures[1].transpose(2, 0, 1), pictures[0], atol=0.2)


@pytest.mark.parametrize(
    "solid", [ellipsoid(9, 12, 7), box(11, 9, 16), Tubes.along(np.array([[-8.0, 0, 0], [7, 5, 3]]), 4)]
)
def test_volume_does_not_depend_on_the_resolution(solid: Solid) -> None:
    fine, coarse = volume(solid, spacing=0.5), volume(solid, spacing=2.0)
    assert coarse == pytest.approx(fine, rel=0.01)


def test_an_inset_leaves_a_shell() -> None:
    sphere = ellipsoid(15, 15, 15)
    assert volume(sphere, inset=3.0) == pytest.approx(4 / 3 * np.pi * 12**3, rel=0.005)
    assert volume(sphere, inset=-2.0) == pytest.approx(4 / 3 * np.pi * 17**3, rel=0.005)
    assert volume(sphere, inset=16.0) == 0
    assert volume(box(17, 13, 21), inset=2.0) == pytest.approx(13 * 9 * 17, rel=0.003)
    rod = Tubes.along(np.array([[0, 0, -9.0], [0, 0, 9]]), 6.0)
    assert volume(rod, inset=2.0) == pytest.approx(np.pi * 16 * 18 + 4 / 3 * np.pi * 64, rel=0.005)


def test_what_is_painted_over() -> None:
    canvas = air()
    paint(
        canvas,
        [
            Stroke((box(20, 20, 20),), 40.0, "liver", "calcification"),
            Stroke((box(8, 8, 40),), 100.0, "spleen", "gas", over=("liver",)),
            Stroke((box(40, 40, 4),), None, None, "bone_marrow", over=("", "spleen")),
            Stroke((box(40, 2, 40),), 300.0, over_parts=("",)),
            Stroke((box(2, 40, 40),), 200.0, "skin", "", over=(), over_parts=None),
        ],
    )

    def at(x: int, y: int, z: int) -> tuple[float, int, int]:
        place = 19 + z, 19 + y, 19 + x  # half a voxel off the centre
        return float(canvas.hu[place]), int(canvas.labels[place]), int(canvas.parts[place])

    liver, spleen = LABELS["liver"], LABELS["spleen"]
    calcification, gas, marrow = PARTS["calcification"], PARTS["gas"], PARTS["bone_marrow"]
    assert at(7, 7, 7) == (40, liver, calcification)
    assert at(3, 3, 7) == (100, spleen, gas)
    assert at(3, 3, 15) == (-1000, 0, 0)  # the spleen over the liver alone
    assert at(3, 3, 1) == (100, spleen, marrow)  # no value, no label
    assert at(15, 3, 1) == (-1000, 0, marrow)
    assert at(7, 0, 7) == (40, liver, calcification)  # where a part is, nothing is painted
    assert at(15, 0, 7) == (300, 0, 0)
    assert at(15, 0, 1) == (-1000, 0, marrow)
    assert at(0, 15, 15) == (-1000, 0, 0)  # over no label at all


def test_edges_mix_values_and_half_covered_voxels_take_the_label() -> None:
    canvas = Canvas.empty((1, 1, 5), (0, 0, 0), 1.0)
    paint(canvas, [Stroke((box(2.5, 9, 9, origin=np.array([2.0, 0, 0])),), 0.0, "liver")])
    np.testing.assert_allclose(canvas.hu[0, 0], [-1000, -250, 0, -250, -1000], atol=0.1)
    assert (canvas.labels[0, 0] > 0).tolist() == [False, True, True, True, False]
    paint(canvas, [Stroke((box(2.5, 9, 9, origin=np.array([4.25, 0, 0])),), 100.0, "spleen")])
    np.testing.assert_allclose(canvas.hu[0, 0, 3:], [0.5 * -250 + 50, 100], atol=0.2)
    assert canvas.labels[0, 0, 3:].tolist() == [LABELS["spleen"]] * 2


def test_solids_beside_the_grid_paint_nothing() -> None:
    far = np.array([500.0, 0, 0])
    rod = Tubes.along(np.array([[0, 0, 900.0], [0, 0, 950]]), 6.0)
    crossed = Slab(np.full((2, 2), 9.0), np.full((2, 2), 1.0), 0, 0, 5, 5)
    canvas = air()
    paint(
        canvas,
        [Stroke((solid,), 9.0) for solid in (ellipsoid(5, 5, 5, origin=far), box(5, 5, 5, origin=far), rod, crossed)],
    )
    assert (canvas.hu == -1000).all()


def test_grids_that_cut_a_solid_show_its_part() -> None:
    whole = air(30.0)
    part = Canvas.empty((10, 12, 14), whole.origin + np.array([9, 8, 11]), 1.0)
    strokes = [Stroke((ellipsoid(12, 9, 14),), 40.0, "liver"), Stroke((box(9, 30, 2),), None, "spleen")]
    for canvas in (whole, part):
        paint(canvas, strokes)
    np.testing.assert_allclose(part.hu, whole.hu[11:21, 8:20, 9:23], atol=0.01)
    assert np.array_equal(part.labels, whole.labels[11:21, 8:20, 9:23])


def test_the_clock_tells_groups_apart() -> None:
    def strokes() -> Iterator[Stroke]:
        for group in ("ribs", "ribs", "wall", "ribs"):
            yield Stroke((box(5, 5, 5),), 3.0, group=group)

    clock = {"wall": 10.0}
    canvas, other = air(), air()
    paint(canvas, strokes(), clock=clock)
    paint(other, strokes())
    assert set(clock) == {"ribs", "wall"}
    assert clock["wall"] > 10 > clock["ribs"] > 0
    assert np.array_equal(canvas.hu, other.hu)


def test_last_bits_of_a_solid_do_not_matter() -> None:
    solid = ellipsoid(12, 9, 14)
    nearly = Loft(solid.radius * (1 + 1e-15), solid.centre + 1e-15, solid.w0, solid.dw, solid.origin, solid.axes)
    pictures = []
    for shape in (solid, nearly):
        canvas = air()
        paint(canvas, [Stroke((shape,), 40.0)])
        pictures.append(canvas.hu.tobytes())
    assert pictures[0] == pictures[1]


@pytest.mark.parametrize(
    ("stroke", "message"),
    [
        (Stroke((), 0.0, "hart"), "label must be a name.*'hart'"),
        (Stroke((), 0.0, part="bone"), "part must be a name.*'bone'"),
        (Stroke((), 0.0, over=("hart",)), "label must be a name.*'hart'"),
        (Stroke((Loft(np.ones((1, 8)), np.zeros((1, 2)), 0, 1),), 0.0), "loft: needs two sections"),
        (Stroke((Loft(-np.ones((2, 8)), np.zeros((2, 2)), 0, 1),), 0.0), "loft: a radius must not be negative"),
        (Stroke((Loft(np.ones((2, 8)), np.full((2, 2), np.nan), 0, 1),), 0.0), "must be finite"),
        (Stroke((Slab(np.ones((2, 1)), np.ones((2, 1)), 0, 0, 1, 1),), 0.0), "slab: needs two tables"),
        (Stroke((Tubes.along(np.eye(3), -1.0),), 0.0), "tubes: radii must not be negative"),
        (Stroke((Tubes.along(np.eye(3), 1.0, flat=1.5),), 0.0), "flat between 1/1024 and 1"),
        (Stroke((Tubes.along(np.zeros((3, 2)), 1.0),), 0.0), "tubes: needs points"),
    ],
)
def test_malformed_strokes_are_refused(stroke: Stroke, message: str) -> None:
    with pytest.raises(InputError, match=message):
        paint(air(5.0), [stroke])


@pytest.mark.parametrize(
    ("shape", "spacing"), [((0, 2, 2), 1.0), ((2, 2, 2), 0.0), ((2, 2, 2), np.nan), ((2, 2, 2), (1, 1))]
)
def test_canvases_need_voxels(shape: Any, spacing: Any) -> None:
    with pytest.raises(InputError, match="canvas: "):
        Canvas.empty(shape, (0, 0, 0), spacing)
