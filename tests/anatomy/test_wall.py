"""Laws of the wall: skin outside, one piece, bones covered, girths within what is published."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from scipy import ndimage

from synth.anatomy.build import Build
from synth.anatomy.constitution import constitution
from synth.anatomy.frame import plan
from synth.anatomy.labels import LABELS
from synth.anatomy.outline import Axes, Balls, covered, inner
from synth.anatomy.paint import Canvas, paint
from synth.anatomy.person import Person
from synth.anatomy.skeleton import skeleton
from synth.anatomy.solids import Loft
from synth.anatomy.tissue import mean_hu, tissues
from synth.anatomy.wall import wall

SPACING = 2.0
BODIES = {
    "man": (Person("M", 30, 176, 75), {}),
    "slim woman": (Person("F", 25, 168, 50), {}),
    "obese man": (Person("M", 50, 178, 128), {}),
    "old woman": (Person("F", 85, 152, 55), {"arms_up": True}),
    "woman in CT": (Person("F", 60, 163, 80), {"supine": True}),
}


def _build(name: str) -> Build:
    person, posture = BODIES[name]
    return constitution(person, np.random.default_rng(3), **posture)


@cache
def _drawn(name: str) -> tuple[Canvas, Canvas]:
    """The wall alone, and its bones alone, from C6 to L2."""
    build = _build(name)
    frame, hu = plan(build), mean_hu(tissues(build))
    low, high = frame.spine.z(14.2), frame.spine.z(-1.2)
    shape = (int((high - low) / SPACING), 230, 310)
    canvases = []
    for strokes in (wall(frame, hu, np.random.default_rng(0)), skeleton(frame, hu, np.random.default_rng(0))):
        canvas = Canvas.empty(shape, (-310.0, -320.0, low), SPACING)
        paint(canvas, strokes)
        canvases.append(canvas)
    return canvases[0], canvases[1]


@pytest.mark.parametrize("name", BODIES)
def test_skin_is_outermost_and_the_body_is_one_piece(name: str) -> None:
    labels = _drawn(name)[0].labels
    body = labels > 0
    assert ndimage.label(body)[1] == 1
    faces = ndimage.generate_binary_structure(2, 1)
    bare = 0
    for section, inside in zip(labels[1:-1], body[1:-1], strict=True):
        rim = inside & ndimage.binary_dilation(~inside, faces)
        bare += np.count_nonzero(section[rim] != LABELS["skin"])
    assert bare <= 2e-3 * np.count_nonzero(labels == LABELS["skin"])


@pytest.mark.parametrize("name", BODIES)
def test_bones_lie_below_four_millimetres_of_tissue(name: str) -> None:
    body, bones = _drawn(name)
    depth = ndimage.distance_transform_edt(body.labels > 0, sampling=SPACING)
    # Above and below, the picture ends and the body does not.
    near = bones.labels[2:-2] > 0
    assert np.quantile(depth[2:-2][near], 1e-4) >= 4.0
    assert depth[2:-2][near].min() > SPACING


@pytest.mark.parametrize(("name", "girth", "depth"), [("man", (900, 1060), (215, 265)),
                                                      ("slim woman", (760, 960), (190, 250)),
                                                      ("obese man", (1120, 1330), (250, 310))])  # fmt: skip
def test_chest_has_published_measures(name: str, girth: tuple[int, int], depth: tuple[int, int]) -> None:
    """Of the trunk's outline at T8: Gordon et al. 2014, ANSUR II, men 106 ± 9 cm and 25 ± 3 cm, women 95 and 25."""
    frame = plan(_build(name))
    hu = mean_hu(tissues(frame.build))
    trunk = next(
        s for s in wall(frame, hu, np.random.default_rng(0)) if s.label == "skin" and len(s.solids) > 2
    ).solids[0]
    assert isinstance(trunk, Loft)
    r = trunk.radius[round((frame.spine.z(8) - trunk.w0) / trunk.dw)]
    theta = np.arange(len(r)) * 2 * np.pi / len(r)
    points = np.stack([r * np.cos(theta), r * np.sin(theta)], axis=-1)
    around = np.linalg.norm(points - np.roll(points, 1, axis=0), axis=1).sum()
    assert girth[0] <= around <= girth[1]
    assert depth[0] <= np.ptp(points[:, 1]) <= depth[1]


def test_breasts_have_their_volume_and_lie_in_front() -> None:
    build = _build("woman in CT")
    canvas, _ = _drawn("woman in CT")
    for side, sign in (("left", 1), ("right", -1)):
        z, y, x = np.nonzero(canvas.labels == LABELS[f"breast_{side}"])
        assert 0.5 * build.breast_ml <= len(z) * SPACING**3 / 1000 <= 1.25 * build.breast_ml
        assert ((canvas.origin[0] + SPACING * x) * sign > 0).all()
        assert canvas.origin[1] + SPACING * y.mean() < plan(build).cage.front(0.0) + 60


def test_fat_is_thicker_in_the_stout() -> None:
    fat = {}
    for name in ("man", "obese man"):
        labels = _drawn(name)[0].labels
        fat[name] = np.count_nonzero(labels == LABELS["subcutaneous_fat"]) / np.count_nonzero(labels > 0)
    assert fat["obese man"] > 1.2 * fat["man"]


def test_muscles_of_the_back_are_on_their_sides() -> None:
    canvas, _ = _drawn("man")
    for side, sign in (("left", 1), ("right", -1)):
        z, _, x = np.nonzero(canvas.labels == LABELS[f"autochthon_{side}"])
        assert ((canvas.origin[0] + SPACING * x) * sign).mean() > 20
        assert np.ptp(z) * SPACING > 350


def test_both_halves_weigh_about_the_same() -> None:
    build = Build()
    canvas, _ = _drawn("man")
    body = canvas.labels > 0
    x = canvas.origin[0] + SPACING * np.arange(body.shape[2])
    left, right = body[..., x > 0].sum(), body[..., x < 0].sum()
    assert left == pytest.approx(right, rel=0.05)
    assert build.breast_ml == 0


def test_the_same_numbers_give_the_same_strokes() -> None:
    frame = plan(Build())
    hu = mean_hu(tissues(frame.build))
    first, second = (wall(frame, hu, np.random.default_rng(5)) for _ in range(2))
    for one, other in zip(first, second, strict=True):
        for a, b in zip(one.solids, other.solids, strict=True):
            for name in a.__dataclass_fields__:
                np.testing.assert_array_equal(getattr(a, name), getattr(b, name))


def test_contours_cover_spheres() -> None:
    frame = plan(Build())
    axes = Axes.of(frame)
    cage = inner(frame, axes)
    centre = axes.point(cage, 70.0, 6.0, 1.0)
    raised = covered(axes, cage, Balls.along(centre, 30.0))
    reach = axes.point(raised, 70.0, 6.0, 1.0) - centre
    assert np.linalg.norm(reach) == pytest.approx(30.0, abs=4.0)
    untouched = axes.point(raised, 70.0, 6.0, -1.0)
    np.testing.assert_allclose(untouched, axes.point(cage, 70.0, 6.0, -1.0), atol=2.0)
