"""Laws that every phantom obeys, looked up in its maps alone: what lies where, what hangs together, who it is."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from scipy import ndimage

from synth.anatomy.labels import LABELS, LOBES, LUNG_LEFT, LUNG_RIGHT, PARTS, STRUCTURES
from synth.anatomy.person import Person
from synth.anatomy.phantom import Phantom, phantom
from synth.core.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from synth.anatomy.scan import Scan

MM = 3.0
SEED = 5
FULL = np.ones((3, 3, 3))
BODIES: dict[str, tuple[Person, dict[str, Any]]] = {
    "man": (Person("M", 30, 178, 78), {}),
    "slim woman, lying": (Person("F", 30, 166, 56), {"supine": True}),
    "stout woman": (Person("F", 45, 166, 99), {}),
    "old man, half a breath, lying": (Person("M", 85, 178, 78), {"inspiration": 0.4, "supine": True}),
    "bent old woman, lying": (Person("F", 87, 154, 41), {"supine": True}),
}
NAMES = list(BODIES)
BONES = tuple(name for group in ("ribs", "clavicles", "scapulae") for name in STRUCTURES[group])
SPINE = ("C6", "C7", *(f"T{number}" for number in range(1, 13)), "L1", "L2", "L3")
VERTEBRAE = tuple(f"vertebrae_{name}" for name in SPINE)
PAIRS = sorted(name for name in LABELS if name.endswith("_left") or "_left_" in name)
ORGANS = ("liver", "spleen", "stomach", "kidney_left", "kidney_right", "heart", "aorta", "trachea", "esophagus")


@dataclass(frozen=True, eq=False)
class Seen:
    """A scan and what is asked of it."""

    scan: Scan

    @cached_property
    def labels(self) -> NDArray[np.uint8]:
        return self.scan.labels.array

    @cached_property
    def hu(self) -> NDArray[np.int16]:
        return self.scan.volume.hu

    @property
    def edge(self) -> float:
        return float(self.scan.volume.spacing[0])

    def mask(self, *names: str) -> NDArray[np.bool_]:
        return self.scan.where(*names)

    def part(self, *names: str) -> NDArray[np.bool_]:
        return np.isin(self.scan.parts.array, [PARTS[name] for name in names])

    def points(self, mask: NDArray[np.bool_]) -> NDArray[np.float64]:
        """(n, 3) world x, y, z."""
        return np.argwhere(mask)[:, ::-1] * self.edge + self.scan.volume.affine[:3, 3]

    @cached_property
    def middles(self) -> NDArray[np.float64]:
        """(256, 3) world: the middle of every label."""
        at = [np.arange(n) for n in self.labels.shape[::-1]]
        flat = self.labels.ravel()
        sums = [np.bincount(flat, np.broadcast_to(np.expand_dims(index, axes), self.labels.shape).ravel(), 256)
                for index, axes in zip(at, ((0, 1), (0, 2), (1, 2)), strict=True)]  # fmt: skip
        count = np.maximum(np.bincount(flat, minlength=256), 1e-9)
        return np.stack(sums, axis=1) / count[:, None] * self.edge + self.scan.volume.affine[:3, 3]

    def middle(self, name: str) -> NDArray[np.float64]:
        return self.middles[LABELS[name]]

    def ml(self, *names: str) -> float:
        return np.count_nonzero(self.mask(*names)) * self.edge**3 / 1000

    def inside_hu(self, name: str) -> float:
        """Mean away from the edge."""
        inside = ndimage.binary_erosion(self.mask(name) & ~self.part("gas", "calcification"), FULL)
        return float(self.hu[inside].mean())


@cache
def plan_of(name: str) -> Phantom:
    person, posture = BODIES[name]
    return phantom(person, SEED, "law", **posture)


@cache
def seen(name: str) -> Seen:
    return Seen(plan_of(name).voxelise(spacing_mm=MM))


@pytest.fixture(params=NAMES)
def body(request: pytest.FixtureRequest) -> Seen:
    return seen(request.param)


def largest(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    marks, _ = ndimage.label(mask, FULL)
    return marks == np.bincount(marks[mask]).argmax()


def share_in_one(mask: NDArray[np.bool_]) -> float:
    return np.count_nonzero(largest(mask)) / np.count_nonzero(mask)


def digest(scan: Scan) -> str:
    arrays = (scan.volume.hu, scan.labels.array, scan.parts.array, scan.volume.affine)
    return hashlib.sha256(b"".join(np.ascontiguousarray(array).tobytes() for array in arrays)).hexdigest()


def test_every_voxel_has_a_known_label_and_air_is_air(body: Seen) -> None:
    assert set(np.unique(body.labels)) <= {0, *LABELS.values()}
    assert set(np.unique(body.scan.parts.array)) <= {0, *PARTS.values()}
    assert body.hu[ndimage.binary_erosion(body.labels == 0, FULL)].max() <= -990
    assert not body.scan.parts.array[body.labels == 0].any()


def test_every_organ_is_there(body: Seen) -> None:
    names = (
        *LOBES,
        *ORGANS,
        *BONES,
        *VERTEBRAE,
        *STRUCTURES["mediastinum"],
        "sternum",
        "pancreas",
        "colon",
        "skin",
        "diaphragm",
    )
    missing = [name for name in names if not body.mask(name).any()]
    assert not missing


def test_lobes_are_whole_and_on_their_sides(body: Seen) -> None:
    for lobe in LOBES:
        assert share_in_one(body.mask(lobe)) > 0.995, lobe
    for side, lobes in ((1, LUNG_LEFT), (-1, LUNG_RIGHT)):
        x = body.points(body.mask(*lobes))[:, 0]
        assert np.mean(side * x > 0) > 0.99
    right = body.ml(*LUNG_RIGHT) / body.ml(*LOBES)
    assert 0.50 < right < 0.60  # Yamada et al. 2020, Respiration 99:598: 51 to 57 %
    left, rest = (ndimage.binary_dilation(body.mask(*lobes)) for lobes in (LUNG_LEFT, LUNG_RIGHT))
    touching = body.points(left & rest)
    before = touching[:, 1] < body.middle("heart")[1]
    above = touching[:, 2] > body.points(body.mask("trachea"))[:, 2].min()
    assert (before | above).all()  # lungs meet in the anterior and the posterior junction only


def test_lobes_lie_as_they_should(body: Seen) -> None:
    for upper, lower in (("lung_upper_lobe_left", "lung_lower_lobe_left"),
                         ("lung_upper_lobe_right", "lung_lower_lobe_right")):  # fmt: skip
        above, below = body.middle(upper), body.middle(lower)
        assert above[2] > below[2] + 20
        assert above[1] < below[1] - 20
    middle = body.middle("lung_middle_lobe_right")
    assert middle[2] < body.middle("lung_upper_lobe_right")[2] - 30
    assert middle[1] < body.middle("lung_lower_lobe_right")[1] - 30


def test_lungs_have_no_holes_but_vessels_and_airways(body: Seen) -> None:
    lungs = body.mask(*LOBES)
    holes = ndimage.binary_fill_holes(lungs) & ~lungs
    assert np.count_nonzero(holes) < 0.001 * np.count_nonzero(lungs)


def test_the_airway_is_open_from_the_neck_to_the_lungs(body: Seen) -> None:
    lumen = body.part("airway_lumen")
    tree = largest(lumen)
    windpipe = tree & body.mask("trachea")
    assert windpipe[-1].any()
    assert share_in_one(lumen & body.mask("trachea")) == 1
    reached = [lobe for lobe in LOBES if (tree & body.mask(lobe)).any()]
    assert len(reached) >= 4  # a lobe's bronchus may be narrower than a voxel of 3 mm
    height, top = body.points(tree)[:, 2], body.points(windpipe)[:, 2].max()
    assert top - height.min() > 180
    assert body.hu[ndimage.binary_erosion(windpipe)].max() < -900


def test_vessels_hang_together_and_reach_the_heart(body: Seen) -> None:
    names = ("aorta", "superior_vena_cava", "inferior_vena_cava", "pulmonary_artery", "pulmonary_vein")
    around = ndimage.binary_dilation(body.mask("heart"), FULL, iterations=2)
    for name in names:
        assert (body.mask(name) & around).any(), name
    assert share_in_one(body.mask("aorta")) > 0.99
    assert share_in_one(body.mask(*names, "heart", "atrial_appendage_left")) > 0.995
    for start, arteries in (
        ("aorta", ("brachiocephalic_trunk", "common_carotid_artery_left", "subclavian_artery_left")),
        ("superior_vena_cava", ("brachiocephalic_vein_left", "brachiocephalic_vein_right")),
    ):
        root = ndimage.binary_dilation(body.mask(start), FULL, iterations=2)  # fmt: skip
        for artery in arteries:
            assert (body.mask(artery) & root).any(), artery


def test_trees_lie_in_lungs_and_mediastinum(body: Seen) -> None:
    trees = body.part("airway_lumen", "airway_wall", "lung_artery", "lung_vein") & ~body.mask("trachea")
    assert np.isin(body.labels[trees], [LABELS[name] for name in (*LOBES, "torso_fat")]).all()
    points = body.points(trees & body.mask("torso_fat"))  # in the mediastinum and the fat of the hila
    assert np.quantile(np.abs(points[:, 0]), 0.99) < 100
    assert points[:, 2].min() > body.points(body.mask("heart"))[:, 2].min()
    for lobe in LOBES:
        assert np.count_nonzero(body.part("lung_artery", "lung_vein") & body.mask(lobe)) * body.edge**3 > 300, lobe


def test_left_is_left(body: Seen) -> None:
    for left in PAIRS:
        right = left.replace("_left", "_right")
        if right in LABELS and body.mask(left).any() and body.mask(right).any():
            assert body.middle(left)[0] > body.middle(right)[0] + 5, left
    for name, side in (("heart", 1), ("spleen", 1), ("stomach", 1), ("liver", -1), ("superior_vena_cava", -1)):
        assert side * body.middle(name)[0] > 5, name


def test_skin_is_outermost_and_organs_lie_deep(body: Seen) -> None:
    whole = body.labels > 0
    assert share_in_one(whole) > 0.9999
    outermost = body.labels[1:-1][(whole & ndimage.binary_dilation(~whole, np.ones((1, 3, 3))))[1:-1]]
    cover = ("skin", "subcutaneous_fat", "breast_left", "breast_right")  # skin is thinner than a voxel
    assert np.mean(np.isin(outermost, [LABELS[name] for name in cover])) > 0.95
    assert np.mean(outermost == LABELS["skin"]) > 0.5
    depth = ndimage.distance_transform_edt(np.pad(whole, ((0, 0), (1, 1), (1, 1)))) * body.edge
    depth = depth[:, 1:-1, 1:-1]
    for name in (*LOBES, *ORGANS):
        assert depth[body.mask(name)].min() > 8, name


def test_bones_lie_outside_the_lungs(body: Seen) -> None:
    lungs, bones = body.mask(*LOBES), body.mask(*BONES, *VERTEBRAE, "sternum")
    beside = sum(np.roll(lungs, step, axis).astype(int) for axis in range(3) for step in (-1, 1))
    assert not (bones & (beside >= 5)).any()
    hull = body.points(lungs)
    for number in range(4, 10):
        outer = np.abs(body.points(body.mask(f"rib_left_{number}", f"rib_right_{number}"))[:, 0]).max()
        assert outer > np.abs(hull[:, 0]).max() - 25, number


def test_the_heart_lies_between_the_lungs_and_on_the_diaphragm(body: Seen) -> None:
    heart, lungs = body.points(body.mask("heart")), body.points(body.mask(*LOBES))
    assert lungs[:, 0].min() < heart[:, 0].min()
    assert (heart.max(0) < lungs.max(0)).all()
    middle = heart.mean(0)
    left, right = (body.points(body.mask(*lobes)) for lobes in (LUNG_LEFT, LUNG_RIGHT))
    level = [side[np.abs(side[:, 2] - middle[2]) < 10, 0] for side in (left, right)]
    assert level[0].max() > heart[:, 0].max()
    assert level[1].min() < heart[:, 0].min()
    belly, beat = body.mask("diaphragm", "liver", "stomach", "spleen"), body.mask("heart")
    columns = belly.any(0) & beat.any(0)
    top, bottom = len(belly) - 1 - belly[::-1].argmax(0), beat.argmax(0)
    gap = (bottom - top)[columns] * body.edge
    assert np.mean(gap > 0) > 0.9
    assert np.median(gap) < 30


def test_the_diaphragm_parts_lungs_from_the_belly(body: Seen) -> None:
    near = ndimage.binary_dilation(body.mask(*LOBES))
    for name in ("liver", "spleen", "stomach", "kidney_left", "kidney_right", "colon"):
        assert np.count_nonzero(near & body.mask(name)) < 12, name  # the muscle is as thin as a voxel
    muscle, liver, lungs = (body.points(body.mask(*names)) for names in (("diaphragm",), ("liver",), LOBES))
    assert 0 <= muscle[:, 2].max() - liver[:, 2].max() < 45  # the left dome or the crura may reach higher
    assert muscle[:, 2].max() < lungs[:, 2].mean() + 20


def test_no_air_lies_outside_lungs_airways_and_gut(body: Seen) -> None:
    known = body.mask(*LOBES) | (body.labels == 0) | body.part("airway_lumen", "gas")
    stray = (body.hu < -250) & ~ndimage.binary_dilation(known, FULL)
    assert np.count_nonzero(stray) < 60  # of a million: slivers between two half-covered voxels


def test_vertebrae_and_ribs_follow_each_other(body: Seen) -> None:
    heights = [body.middle(f"vertebrae_{name}")[2] for name in SPINE]
    assert (np.diff(heights) < -6).all()
    for side in ("left", "right"):
        backs = []
        for number in range(1, 13):
            points = body.points(body.mask(f"rib_{side}_{number}"))
            near = np.abs(points[:, 0]) < np.abs(points[:, 0]).min() + 25
            backs.append(points[near, 2].mean())
        assert (np.diff(backs) < -8).all(), side
        assert np.abs(np.array(backs) - heights[2:14]).max() < 15, side


RANGES = {
    "liver": (30, 75), "spleen": (35, 62), "kidney_left": (18, 46), "heart": (30, 60), "aorta": (28, 56),
    "skeletal_muscle": (20, 75), "subcutaneous_fat": (-130, -80), "vertebrae_L1": (20, 500), "trachea": (-1000, -850),
    "intervertebral_discs": (40, 200), "spinal_cord": (0, 45), "thyroid_gland": (60, 150),
}  # fmt: skip
"""HU without contrast; sources in synth.anatomy.tissue."""


def test_tissues_have_their_values(body: Seen) -> None:
    for name, (low, high) in RANGES.items():
        assert low <= body.inside_hu(name) <= high, name
    lungs = body.hu[body.mask(*LOBES)].mean()
    assert -900 < lungs < -650
    ribs = body.hu[body.mask(*(name for name in BONES if name.startswith("rib")))]
    assert ribs.mean() > 200
    assert body.hu[body.part("gas")].mean() < -700


def test_same_seed_same_bytes_whatever_the_batch_and_the_race() -> None:
    person, _ = BODIES["man"]
    again = phantom(replace(person, race="Asian"), SEED, "law").voxelise(spacing_mm=MM)
    assert digest(again) == digest(seen("man").scan)


def test_other_seeds_and_ids_are_other_bodies() -> None:
    person, _ = BODIES["man"]
    bodies = (plan_of("man"), phantom(person, SEED, "other"), phantom(person, SEED + 1, "law"))
    assert len({digest(body.voxelise(spacing_mm=5.0, shape=(30, 40, 60))) for body in bodies}) == 3


def test_arms_leave_the_chest_as_it_is() -> None:
    down, up = seen("man"), Seen(phantom(BODIES["man"][0], SEED, "law", arms_up=True).voxelise(spacing_mm=MM))
    assert down.scan.volume.affine[2, 3] == up.scan.volume.affine[2, 3]
    first, second = _around_the_axis(down), _around_the_axis(up)
    blades = int((down.middle("vertebrae_T10")[2] - down.scan.volume.affine[2, 3]) / MM)
    assert (first != second).any()
    assert (first == second)[:blades].all()
    for name in (*LOBES, "heart", "aorta", "trachea", "esophagus", *VERTEBRAE):
        assert ((first == LABELS[name]) == (second == LABELS[name])).all(), name


def _around_the_axis(body: Seen) -> NDArray[np.uint8]:
    """Labels within 105 mm of the midline, from 90 mm before T8 to 40 behind it: grids differ by whole voxels."""
    x, y = (
        round((from_ - start) / MM)
        for from_, start in zip((-105.0, -90.0), body.scan.volume.affine[:2, 3], strict=True)
    )
    return body.labels[:, y : y + 43, x : x + 70]


def test_volumes_do_not_depend_on_the_voxels() -> None:
    fine, coarse = seen("man"), Seen(plan_of("man").voxelise(spacing_mm=4.0))
    for name, tolerance in (("liver", 0.02), ("spleen", 0.04), ("heart", 0.03), ("aorta", 0.05), ("kidney_left", 0.05)):
        assert coarse.ml(name) == pytest.approx(fine.ml(name), rel=tolerance), name
    for lobe in LOBES:
        assert coarse.ml(lobe) == pytest.approx(fine.ml(lobe), rel=0.04), lobe
    mass = [np.add(body.hu, 1000.0, dtype=np.float64).sum() * body.edge**3 for body in (fine, coarse)]
    assert mass[1] == pytest.approx(mass[0], rel=0.02)


def test_a_grid_may_be_given() -> None:
    body = plan_of("man")
    scan = body.voxelise(spacing_mm=(4.0, 5.0, 3.0), shape=(10, 20, 30))
    assert scan.volume.shape == (10, 20, 30)
    assert scan.volume.spacing == pytest.approx([4.0, 5.0, 3.0])
    for spacing in (0.2, 9.0):
        with pytest.raises(InputError, match="voxel edges"):
            body.voxelise(spacing_mm=spacing)


def marrow(body: Seen) -> float:
    """Mean HU in the middle of the body of L1."""
    canal = body.points(body.mask("spinal_cord"))
    bone = body.mask("vertebrae_L1")
    points = body.points(bone)
    front = canal[np.abs(canal[:, 2] - points[:, 2].mean()) < 8, 1].min()
    ahead = points[:, 1] < front
    off = points - points[ahead].mean(0)
    return float(body.hu[bone][ahead & (np.hypot(off[:, 0], off[:, 1]) < 9) & (np.abs(off[:, 2]) < 6)].mean())


def kyphosis(body: Seen) -> float:
    """Between the directions of the spine at T4 and T12, degrees."""
    middles = {name: body.middle(f"vertebrae_{name}") for name in ("T3", "T5", "T11", "L1")}
    steps = (middles["T3"] - middles["T5"], middles["T11"] - middles["L1"])
    tilts = [np.degrees(np.arctan2(-step[1], step[2])) for step in steps]
    return float(tilts[0] - tilts[1])


def test_age_shows_in_spine_and_aorta() -> None:
    young, old = seen("man"), seen("old man, half a breath, lying")
    assert marrow(old) < marrow(young) - 60
    assert kyphosis(old) > kyphosis(young) + 5
    assert old.ml("aorta") > 1.3 * young.ml("aorta")
    assert np.count_nonzero(old.part("calcification")) > np.count_nonzero(young.part("calcification"))


def test_weight_shows_in_fat_and_girth() -> None:
    slim, stout = seen("slim woman, lying"), seen("stout woman")
    assert stout.ml("subcutaneous_fat") > 2.5 * slim.ml("subcutaneous_fat")
    assert stout.ml("breast_left") > 1.5 * slim.ml("breast_left")
    assert stout.ml("torso_fat") > 1.25 * slim.ml("torso_fat")


def test_women_and_men_differ() -> None:
    woman, man = seen("slim woman, lying"), seen("man")
    assert woman.ml("breast_left") > 100
    assert man.ml("breast_left") < 30
    for name in ("heart", "aorta", "skeletal_muscle"):
        assert man.ml(name) > 1.1 * woman.ml(name), name
    assert man.ml(*LOBES) > 1.1 * woman.ml(*LOBES)


def test_a_deep_breath_lowers_the_domes() -> None:
    deep, half = seen("man"), seen("old man, half a breath, lying")
    levels = []
    for body in (deep, half):
        heights = [body.middle(name)[2] for name in VERTEBRAE]
        top = body.points(body.mask("liver"))[:, 2].max()
        levels.append(np.interp(-top, -np.array(heights), np.arange(len(heights)) - 1.0))
    assert levels[0] > levels[1] + 0.4  # vertebrae
    assert deep.hu[deep.mask(*LOBES)].mean() < half.hu[half.mask(*LOBES)].mean() - 30
