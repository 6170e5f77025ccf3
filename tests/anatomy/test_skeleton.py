import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from synth.anatomy.bone import core, rod, share_along
from synth.anatomy.build import Build
from synth.anatomy.cartilage import cartilages
from synth.anatomy.frame import plan
from synth.anatomy.girdle import gap, girdle
from synth.anatomy.labels import LABELS, PARTS
from synth.anatomy.paint import Canvas, paint
from synth.anatomy.ribs import rib_bones
from synth.anatomy.skeleton import skeleton
from synth.anatomy.solids import Stroke, Tubes
from synth.anatomy.tissue import TISSUES

HU = {name: tissue.hu for name, tissue in TISSUES.items()}
SPINE = ["C5", "C6", "C7", *(f"T{n}" for n in range(1, 13)), "L1", "L2", "L3"]
SIDES = ("left", "right")
STEP_MM = 2.0

MAN = Build()
WOMAN = Build(
    female=True,
    age=84.0,
    trunk_scale=0.86,
    cavity_width_mm=238.0,
    cavity_depth_mm=120.0,
    lung_height_mm=195.0,
    biacromial_mm=345.0,
    kyphosis_deg=62.0,
    scoliosis_mm=9.0,
    inspiration=0.3,
    trabecular_hu=80.0,
    cortex_mm=0.6,
    cartilage_calcification=0.4,
    osteophytes=0.7,
)
IN_CT = replace(MAN, age=55.0, arms_up=True, supine=True, inspiration=0.7, cavity_width_mm=310.0, biacromial_mm=430.0)
LYING = replace(WOMAN, supine=True, kyphosis_deg=40.0)
BODIES = {"man": MAN, "woman": WOMAN, "arms up": IN_CT, "lying": LYING}


class Body:
    def __init__(self, build):
        self.frame = plan(build)
        self.strokes = skeleton(self.frame, HU, np.random.default_rng(5))
        self.canvas = Canvas.empty((290, 210, 300), (-300.0, -260.0, -290.0), STEP_MM)
        paint(self.canvas, self.strokes)

    def where(self, name):
        return self.canvas.labels == LABELS[name]

    def millilitres(self, name):
        return np.count_nonzero(self.where(name)) * STEP_MM**3 / 1000

    def touching(self, name, other, steps):
        """Voxels of one bone within some voxels of another."""
        box = ndimage.find_objects(self.canvas.labels)[LABELS[name] - 1]
        box = tuple(slice(max(side.start - steps, 0), side.stop + steps) for side in box)
        labels = self.canvas.labels[box]
        near = ndimage.binary_dilation(labels == LABELS[name], iterations=steps)
        return np.count_nonzero(near & (labels == LABELS[other]))

    def points(self, name):
        k, j, i = np.nonzero(self.where(name))
        return self.canvas.origin + STEP_MM * np.stack([i, j, k], axis=1)


@pytest.fixture(scope="module", params=list(BODIES))
def body(request):
    return Body(BODIES[request.param])


def bones():
    yield from (f"vertebrae_{name}" for name in SPINE)
    yield from (f"rib_{side}_{number}" for side in SIDES for number in range(1, 13))
    yield from (f"{name}_{side}" for name in ("clavicula", "scapula", "humerus") for side in SIDES)
    yield "sternum"


def test_every_bone_is_there_in_one_piece(body):
    boxes = ndimage.find_objects(body.canvas.labels)
    for name in bones():
        box = boxes[LABELS[name] - 1]
        assert box is not None, name
        pieces, _ = ndimage.label(body.canvas.labels[box] == LABELS[name], np.ones((3, 3, 3)))
        sizes = np.bincount(pieces.ravel())[1:]
        assert sizes.max() > 0.99 * sizes.sum(), (name, sizes)


def test_bones_have_the_volumes_of_bones(body):
    """Ranges around what segmented CT of adults gives."""
    small = body.frame.build.female
    for name, low, high in (
        ("vertebrae_T7", 10, 40),
        ("vertebrae_L2", 25, 80),
        ("rib_left_1", 2.5, 14),
        ("rib_right_7", 9, 32),
        ("sternum", 25, 90),
        ("clavicula_left", 9, 45),
        ("scapula_right", 28, 110),
        ("costal_cartilages", 40, 170),
        ("spinal_cord", 50, 150),
    ):
        assert low < body.millilitres(name) < high * (0.8 if small else 1.0), name


def test_left_and_right_agree(body):
    for name in ("rib_{}_4", "rib_{}_9", "clavicula_{}", "scapula_{}", "humerus_{}"):
        left, right = (body.points(name.format(side)) for side in SIDES)
        assert left[:, 0].min() > 0 > right[:, 0].max()
        assert len(left) == pytest.approx(len(right), rel=0.15)


def test_ribs_and_shoulders_leave_the_chest_free(body):
    cavity = Canvas.empty(body.canvas.labels.shape, body.canvas.origin, STEP_MM)
    paint(cavity, [Stroke((body.frame.cage.cavity,), 0.0, "skin", inset_mm=3.0)])
    within = cavity.labels == LABELS["skin"]
    # The heads of the ribs lie beside the spine, in the back of the mediastinum.
    within[:, :, np.abs(np.arange(-300.0, 300.0, STEP_MM)) < 40] = False
    inside = np.bincount(body.canvas.labels[within], minlength=256)
    total = np.bincount(body.canvas.labels.ravel(), minlength=256)
    for name in bones():
        if name.startswith("vertebrae"):
            continue
        assert inside[LABELS[name]] <= 0.005 * total[LABELS[name]], name


def test_tubercles_meet_the_transverse_processes(body):
    for side in SIDES:
        for number in range(1, 11):
            assert body.touching(f"rib_{side}_{number}", f"vertebrae_T{number}", 1) > 10, (side, number)


def test_clavicles_join_sternum_and_blade(body):
    for side in SIDES:
        for other in ("sternum", f"scapula_{side}"):
            assert body.touching(f"clavicula_{side}", other, 3) > 0, (side, other)


def test_the_canal_is_open_from_end_to_end(body):
    canal = body.where("spinal_cord")
    pieces, number = ndimage.label(canal)
    assert number == 1
    vertebrae = body.frame.spine.vertebrae
    for name, vertebra in vertebrae.items():
        middle = vertebra.at(0, vertebra.depth / 2 + 6, 0)
        i, j, k = np.rint((middle - body.canvas.origin) / STEP_MM).astype(int)
        assert pieces[k, j, i] == 1, name
        assert body.canvas.hu[k, j, i] < 60, name


def test_bodies_and_discs_are_as_high_as_planned(body):
    for above, below in itertools.pairwise(SPINE[3:]):
        bone, under = (body.frame.spine.vertebrae[name] for name in (above, below))
        steps = np.arange(0, np.linalg.norm(bone.centre - under.centre), 0.25)
        down = (under.centre - bone.centre) / np.linalg.norm(under.centre - bone.centre)
        index = np.rint((bone.centre + steps[:, None] * down - body.canvas.origin) / STEP_MM).astype(int)
        found = body.canvas.labels[index[:, 2], index[:, 1], index[:, 0]]
        disc = 0.25 * np.count_nonzero(found == LABELS["intervertebral_discs"])
        hollow = disc - bone.disc  # of both endplates together
        assert -1.0 < hollow < 8.5, (above, disc, bone.disc)
        assert set(np.unique(found)) <= {
            LABELS[f"vertebrae_{above}"],
            LABELS[f"vertebrae_{below}"],
            LABELS["intervertebral_discs"],
        }


def test_marrow_lies_within_cortex(body):
    marrow = body.canvas.parts == PARTS["bone_marrow"]
    for name in ("vertebrae_T9", "humerus_left", "sternum"):
        bone = body.where(name)
        rim = bone & ~ndimage.binary_erosion(bone)
        assert body.canvas.hu[rim].mean() > body.canvas.hu[bone & marrow].mean() + 50, name
    assert np.count_nonzero(marrow & body.where("vertebrae_T9")) > 0.5 * np.count_nonzero(body.where("vertebrae_T9"))


def test_arms_go_where_they_are_held():
    up, down = (plan(replace(MAN, arms_up=raised)) for raised in (True, False))
    assert all(shoulder.arm[2] > 0.5 for shoulder in girdle(up))
    assert all(shoulder.arm[2] < -0.8 for shoulder in girdle(down))


def test_shoulders_rolled_forward_clear_the_lungs():
    """On a good PA film the medial borders stand further out than lying on the back."""
    rolled, lying = (girdle(plan(replace(MAN, supine=supine)))[0] for supine in (False, True))
    border = (-102.0, -20.0, 2.0)
    assert rolled.at(*border)[0] > lying.at(*border)[0] + 20
    assert rolled.at(*border)[0] > 0.7 * MAN.cavity_width_mm / 2


@settings(max_examples=25, deadline=None)
@given(
    width=st.floats(215, 340),
    biacromial=st.floats(310, 450),
    kyphosis=st.floats(20, 70),
    scale=st.floats(0.82, 1.15),
    posture=st.sampled_from([(False, False), (False, True), (True, True)]),
)
def test_the_blade_never_enters_the_ribs(width, biacromial, kyphosis, scale, posture):
    arms_up, supine = posture
    build = Build(
        cavity_width_mm=width,
        biacromial_mm=biacromial,
        kyphosis_deg=kyphosis,
        trunk_scale=scale,
        arms_up=arms_up,
        supine=supine,
    )
    frame = plan(build)
    for shoulder in girdle(frame):
        assert np.allclose(shoulder.axes @ shoulder.axes.T, np.eye(3))
        border = np.array([shoulder.at(x, y, 2.0) for x, y in ((-100, -30), (-90, -75), (-80, -105), (-88, 38))])
        assert gap(frame, border).min() > 9


@given(
    a=st.floats(2, 15),
    ratio=st.floats(0.2, 1.0),
    cortex=st.floats(0.1, 3.0),
    direction=st.tuples(*[st.floats(-1, 1)] * 3).filter(lambda v: np.linalg.norm(v) > 0.3),
)
def test_cores_are_thinner_by_the_cortex_on_every_side(a, ratio, cortex, direction):
    along = np.array(direction)
    shell = rod(np.array([0 * along, 10 * along]), a, a * ratio, np.array([0.3, 0.5, 0.8]) + 2 * along)
    assert np.allclose((shell.normal * along).sum(axis=1), 0, atol=1e-9)
    inner = core(shell, cortex)
    half_width, half_thickness = inner.start_radius[0], inner.start_radius[0] * inner.flat[0]
    if a * ratio - cortex > 0.1 * a:
        assert half_width == pytest.approx(a - cortex)
        assert half_thickness == pytest.approx(a * ratio - cortex)
    else:
        assert 0 < half_thickness <= max(0.1 * a, 0.06)


def test_share_along_a_line():
    line = np.array([[0.0, 0, 0], [3, 4, 0], [3, 4, 15]])
    assert share_along(line) == pytest.approx([0, 0.25, 1])


def calcium(build, seed=3):
    """Number, of 12, → middle of every calcified bit in units of the cartilage's half height, and the bits."""
    frame = plan(build)
    bones_ = rib_bones(frame, np.random.default_rng(1))
    strokes = cartilages(bones_, build, HU, np.random.default_rng(seed))
    return [
        (whole.solids[0], bits.solids[0]) for whole, bits in itertools.pairwise(strokes) if bits.part == "calcification"
    ]


def offset(whole: Tubes, bits: Tubes):
    """Mean distance of the bits from the axis of their cartilage over its half height."""
    middle = (bits.start + bits.end) / 2
    axis = np.linspace(whole.start, whole.end, 12).reshape(-1, 3)
    nearest = np.linalg.norm(middle[:, None] - axis, axis=-1).min(axis=1)
    return float(nearest.mean() / whole.start_radius.mean())


def test_calcium_lies_at_the_margins_in_men_and_within_in_women():
    men, women = (calcium(replace(MAN, age=70.0, female=f, cartilage_calcification=0.3)) for f in (False, True))
    assert np.mean([offset(*pair) for pair in men]) > 2 * np.mean([offset(*pair) for pair in women])


def test_calcium_grows_from_none_and_first_in_the_first_cartilage():
    def amounts(age, share):
        return [len(bits.start) for _, bits in calcium(replace(MAN, age=age, cartilage_calcification=share))]

    assert amounts(20.0, 0.0) == []
    assert len(amounts(45.0, 0.0)) == 2  # the first on either side, alone
    few, many = amounts(50.0, 0.1), amounts(80.0, 0.5)
    assert len(many) == 20
    assert sum(many) > 2 * sum(few)
    assert min(many[0], many[10]) > max(many[1:10])


def test_osteophytes_widen_the_ends_of_vertebrae():
    def ends(amount):
        strokes = skeleton(plan(replace(MAN, osteophytes=amount)), HU, np.random.default_rng(2))
        lofts = [stroke.solids[0] for stroke in strokes if (stroke.label or "").startswith("vertebrae")]
        return np.array([loft.radius[[0, -1]].max(axis=1) - loft.radius[6].max() for loft in lofts])

    healthy, worn = ends(0.0), ends(1.0)
    assert healthy.max() < 4
    assert 2 < (worn - healthy).mean() < 8
    assert (worn >= healthy).all()


def test_the_same_numbers_give_the_same_skeleton():
    frame = plan(MAN)
    first, again, other = (skeleton(frame, HU, np.random.default_rng(seed)) for seed in (4, 4, 5))
    assert len(first) == len(again) == len(other)
    same = [np.array_equal(a.solids[0].start, b.solids[0].start) for a, b in tubes(first, again)]
    assert all(same)
    assert not all(np.array_equal(a.solids[0].start_radius, b.solids[0].start_radius) for a, b in tubes(first, other))


def tubes(strokes, others):
    pairs = list(zip(strokes, others, strict=True))
    return [(a, b) for a, b in pairs if isinstance(a.solids[0], Tubes) and a.part != "calcification"]
