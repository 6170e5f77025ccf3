"""The mediastinum of many bodies: plausible sizes, sides and levels, nothing where it does not belong."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from synth.anatomy.build import Build
from synth.anatomy.constitution import constitution
from synth.anatomy.frame import Frame, plan
from synth.anatomy.great_vessels import great_vessels
from synth.anatomy.heart import loft_points, plan_heart
from synth.anatomy.labels import LABELS, LOBES, PARTS
from synth.anatomy.lungs import lungs
from synth.anatomy.mediastinum import mediastinum, pulmonary_roots
from synth.anatomy.paint import Canvas, paint
from synth.anatomy.person import Person, draw_person
from synth.anatomy.solids import Loft, Slab, Stroke
from synth.anatomy.tissue import TISSUES

HU = {name: tissue.hu for name, tissue in TISSUES.items()}
STEP = 2.0
PEOPLE = {
    "default": Build(),
    "old woman": constitution(Person("F", 80, 155, 60), np.random.default_rng(0)),
    "obese man": constitution(Person("M", 60, 172, 115), np.random.default_rng(1)),
    "small woman": constitution(Person("F", 20, 148, 44), np.random.default_rng(2)),
    "shallow breath": constitution(Person("M", 40, 190, 85), np.random.default_rng(3), inspiration=0.1),
}


class Body:
    """A chest of muscle with lungs, a belly of liver, and the mediastinum."""

    def __init__(self, build: Build) -> None:
        self.frame = plan(build)
        z0, z1 = self.frame.spine.z(14.0), self.frame.trachea_top[2] + 60
        shape = (int((z1 - z0) / STEP), 160, 180)
        self.canvas = Canvas.empty(shape, [-180.0, -240.0, z0], STEP)
        self.canvas.labels[:] = LABELS["skeletal_muscle"]
        self.canvas.hu[:] = HU["muscle"]
        domes = self.frame.diaphragm
        below = Slab(np.full(domes.z.shape, z0 - 50), domes.z, domes.x[0], domes.y[0], 4.0, 4.0)
        paint(self.canvas, lungs(self.frame, HU, np.random.default_rng(0)))
        paint(self.canvas, [Stroke((below,), HU["liver"], "liver", over=LOBES)])
        self.before = self.canvas.labels.copy()
        self.strokes = mediastinum(self.frame, HU, np.random.default_rng(5))
        paint(self.canvas, self.strokes)

    def mask(self, *names: str) -> np.ndarray:
        return np.isin(self.canvas.labels, [LABELS[name] for name in names])

    def part(self, name: str) -> np.ndarray:
        return self.canvas.parts == PARTS[name]

    def points(self, mask: np.ndarray) -> np.ndarray:
        return np.argwhere(mask)[:, ::-1] * STEP + self.canvas.origin

    def ml(self, mask: np.ndarray) -> float:
        return float(mask.sum()) * STEP**3 / 1000


@pytest.fixture(scope="module", params=PEOPLE, ids=list(PEOPLE))
def body(request: pytest.FixtureRequest) -> Body:
    return Body(PEOPLE[request.param])


def silhouette(frame: Frame) -> np.ndarray:
    solids = plan_heart(frame).outside(frame)
    return np.concatenate([loft_points(solid)[:, 0] for solid in solids if isinstance(solid, Loft)])


@pytest.mark.parametrize("name", PEOPLE)
def test_the_silhouette_has_the_hearts_width(name: str) -> None:
    x = silhouette(plan(PEOPLE[name]))
    width = PEOPLE[name].heart_width_mm
    assert x.max() - x.min() == pytest.approx(width, rel=0.03)
    assert -x.min() == pytest.approx(0.31 * width, rel=0.05)


def test_the_width_holds_for_anybody() -> None:
    generator = np.random.default_rng(4)
    for number in range(24):
        build = constitution(draw_person(generator), generator, inspiration=(0.0, 0.5, 1.0)[number % 3])
        x = silhouette(plan(build))
        assert np.ptp(x) == pytest.approx(build.heart_width_mm, rel=0.03)
        assert -x.min() == pytest.approx(0.31 * build.heart_width_mm, rel=0.05)


def test_the_shadow_above_the_domes_is_as_wide_as_the_heart(body: Body) -> None:
    chest = body.points(body.mask("heart", "pericardial_fat", "atrial_appendage_left", "torso_fat"))
    top = body.frame.diaphragm.right_top[2]
    chest = chest[(chest[:, 2] > top) & (chest[:, 2] < plan_heart(body.frame).base[2])]
    assert np.ptp(chest[:, 0]) == pytest.approx(body.frame.build.heart_width_mm, abs=6 + 2 * STEP)


def test_chambers_have_plausible_volumes(body: Body) -> None:
    """Bounds are ours, wide enough for small women and tall men, at any point of the heart's beat."""
    ranges = {
        "ventricle_left": (55, 200),
        "ventricle_right": (55, 220),
        "atrium_left": (30, 130),
        "atrium_right": (30, 140),
    }
    for name, (low, high) in ranges.items():
        assert low < body.ml(body.part(f"heart_{name}")) < high, name
    whole = body.ml(body.mask("heart", "atrial_appendage_left"))
    low, high = (340, 720) if body.frame.build.female else (470, 950)
    assert low < whole < high
    assert 0.2 * whole < body.ml(body.part("heart_myocardium")) < 0.5 * whole


def test_the_heart_is_whole_and_above_the_diaphragm(body: Body) -> None:
    heart = body.mask("heart", "atrial_appendage_left", "pericardial_fat")
    parts, _ = ndimage.label(heart)
    assert np.bincount(parts.ravel())[1:].max() > 0.97 * heart.sum()
    points = body.points(heart)
    assert (points[:, 2] > body.frame.diaphragm.height(points[:, 0], points[:, 1]) - STEP).all()


def test_chambers_are_on_their_sides(body: Body) -> None:
    middle = {name: body.points(body.part(f"heart_{name}")).mean(axis=0) for name in (
        "ventricle_left", "ventricle_right", "atrium_left", "atrium_right",
    )}  # fmt: skip
    assert middle["atrium_right"][0] < middle["atrium_left"][0] < middle["ventricle_left"][0]
    assert middle["ventricle_right"][1] < middle["ventricle_left"][1] < middle["atrium_left"][1]
    assert middle["ventricle_left"][2] < middle["atrium_left"][2]


def test_nothing_of_the_chest_is_painted_into_wall_or_belly(body: Body) -> None:
    changed = body.canvas.labels != body.before
    outside = changed & ~np.isin(body.before, [LABELS[name] for name in LOBES])
    vessels = ("subclavian_artery", "brachiocephalic_vein", "common_carotid_artery")
    allowed = [f"{name}_{side}" for name in vessels for side in ("left", "right")]
    allowed += [
        "trachea",
        "thyroid_gland",
        "esophagus",
        "inferior_vena_cava",
        "aorta",
        "azygos_vein",
        "brachiocephalic_trunk",
    ]
    assert not (outside & ~body.mask(*allowed)).any()


def test_every_organ_is_there(body: Body) -> None:
    for name in (
        "heart", "aorta", "trachea", "esophagus", "thyroid_gland", "pulmonary_vein", "pulmonary_artery", "azygos_vein",
        "superior_vena_cava", "inferior_vena_cava", "brachiocephalic_trunk", "brachiocephalic_vein_left",
        "brachiocephalic_vein_right", "subclavian_artery_left", "subclavian_artery_right", "common_carotid_artery_left",
        "common_carotid_artery_right", "atrial_appendage_left", "pericardial_fat",
    ):  # fmt: skip
        assert body.mask(name).any(), name


def test_the_airway_is_open_from_top_to_carina(body: Body) -> None:
    lumen = body.part("airway_lumen")
    _, count = ndimage.label(lumen)
    assert count == 1
    z = body.points(lumen)[:, 2]
    assert z.min() == pytest.approx(body.frame.carina[2], abs=2 * STEP)
    assert body.canvas.hu[lumen].mean() < -850


def test_the_arch_lies_left_and_below_the_notch(body: Body) -> None:
    aorta = great_vessels(body.frame, plan_heart(body.frame), np.random.default_rng(5))["aorta"]
    top = int(np.argmax(aorta.line[:, 2]))
    rim = aorta.line[top, 2] + aorta.radius[top]
    assert 5 < body.frame.cage.sternum.notch[2] - rim + 10 * body.frame.build.aortic_unfolding < 32
    assert 15 < aorta.line[top, 2] - body.frame.carina[2] < 45
    knob = (aorta.line[:, 0] + aorta.radius)[top : top + 8].max()
    assert 24 < knob < 60
    start, middle, end = aorta.line[:top, 0].min(), aorta.line[top + 12, 0], aorta.line[-1, 0]
    assert start < 0 < end < middle


def test_vessels_stay_before_the_vertebrae(body: Body) -> None:
    vessels = great_vessels(body.frame, plan_heart(body.frame), np.random.default_rng(5))
    for name in ("aorta", "azygos", "superior", "inferior"):
        line = vessels[name].line
        for bone in body.frame.spine.vertebrae.values():
            near = line[np.abs(line[:, 2] - bone.centre[2]) < bone.height / 2]
            inside = (
                np.hypot((near[:, 0] - bone.centre[0]) / bone.width, (near[:, 1] - bone.centre[1]) / bone.depth) < 0.5
            )
            assert not inside.any(), (name, bone.name)


def test_the_lungs_are_apart(body: Body) -> None:
    """Fat, organs and pleura part them everywhere, and their tips stand beside the neck."""
    lung = body.mask(*LOBES)
    parts, _ = ndimage.label(lung)
    sizes = np.bincount(parts.ravel())
    sizes[0] = 0
    first, second = np.argsort(sizes)[::-1][:2]
    assert sizes[first] < 1.8 * sizes[second]
    for part in (first, second):
        points = body.points(parts == part)
        tip = points[points[:, 2] > points[:, 2].max() - 4, 0].mean()
        assert 18 < abs(tip) < 50


def test_unfolding_raises_and_widens_the_arch() -> None:
    frames = [plan(Build(aortic_unfolding=value)) for value in (0.0, 1.0)]
    young, old = (great_vessels(f, plan_heart(f), np.random.default_rng(0))["aorta"] for f in frames)
    assert old.line[:, 2].max() > young.line[:, 2].max() + 5
    assert old.line[:, 0].max() > young.line[:, 0].max() + 5
    assert old.line[:, 0].min() < young.line[:, 0].min() - 5


def test_plaques_follow_the_share_of_calcification() -> None:
    counts = []
    for share in (0.0, 0.2, 0.8):
        strokes = mediastinum(plan(Build(aortic_calcification=share)), HU, np.random.default_rng(3))
        plaques = [stroke for stroke in strokes if stroke.part == "calcification"]
        assert all(stroke.hu is not None and 400 <= stroke.hu <= 900 for stroke in plaques)
        counts.append(len(plaques))
    assert counts[0] == 0 < counts[1] < counts[2]


def test_same_seed_same_strokes() -> None:
    frame = plan(Build(aortic_calcification=0.3))
    one, two = (mediastinum(frame, HU, np.random.default_rng(9)) for _ in range(2))
    assert [stroke.hu for stroke in one] == [stroke.hu for stroke in two]
    assert np.array_equal(one[-3].solids[0].start, two[-3].solids[0].start)  # type: ignore[union-attr]


def test_roots_lie_where_the_trees_begin(body: Body) -> None:
    roots, frame = pulmonary_roots(body.frame), body.frame
    assert roots.fork[2] < frame.carina[2]
    assert roots.right_artery[0] < roots.fork[0] < roots.left_artery[0]
    assert (roots.ostia[:2, 0] > 0).all()
    assert (roots.ostia[2:, 0] < 0).all()
    assert (roots.ostia[[0, 2], 2] > roots.ostia[[1, 3], 2]).all()
    index = np.rint((roots.ostia - body.canvas.origin) / STEP).astype(int)
    for x, y, z in index:
        around = body.canvas.labels[z - 2 : z + 3, y - 2 : y + 3, x - 2 : x + 3]
        assert np.isin(around, [LABELS["heart"], LABELS["pulmonary_vein"]]).mean() > 0.5
