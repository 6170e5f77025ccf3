"""Devices: their tips, their courses inside the lumens, and the CT and the mask that show them."""

from __future__ import annotations

import functools
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from synth.anatomy.findings.base import add_finding
from synth.anatomy.findings.boxes import box_around, positions, still_faces
from synth.anatomy.findings.burn import device_mask, material_hu, with_devices
from synth.anatomy.findings.courses import body_exit, carina, centreline, inside, points_of, relaxed, route
from synth.anatomy.findings.drains import DRAIN_TIPS, drain_course, intercostal_point
from synth.anatomy.findings.heart import HEART
from synth.anatomy.findings.lines import CATHETER_TIPS, PACING_SITES, catheter_course
from synth.anatomy.findings.tubes import TIPS, endotracheal_course, nasogastric_course
from synth.anatomy.findings.wires import sternal_loops
from synth.anatomy.labels import LUNG_LEFT, LUNG_RIGHT
from synth.anatomy.scan import Scan, Seen
from synth.core.errors import InputError
from synth.core.reading import read_labels, read_volume
from synth.core.record import Finding
from synth.core.resampling import resample
from synth.core.volume import Labels, Volume
from synth.drr.analytic import thorax
from synth.drr.mesh import Part
from synth.drr.placed import Placed
from synth.drr.shapes import ball

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

EDGE_MM = 2.5
KINDS = (
    "endotracheal tube",
    "nasogastric tube",
    "central venous catheter",
    "chest drain",
    "pacemaker",
    "sternal wires",
)


@functools.cache
def chest() -> Scan:
    affine = np.diag([EDGE_MM, EDGE_MM, EDGE_MM, 1.0])
    affine[:3, 3] = -175, -125, -190
    return Scan(*thorax().voxelise((152, 100, 140), affine))


@functools.cache
def patient(folder: Path) -> Scan:
    ct = read_volume(folder / "ct" / "lidc_idri_0001.nii.gz")
    labels = read_labels(folder / "ct" / "lidc_idri_0001_seg.nii.gz", ct)
    return Scan(resample(ct, EDGE_MM), resample(labels, EDGE_MM), supine=True)


def numbers(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def device(
    kind: str, *, scan: Scan | None = None, side: str | None = None, place: str | None = None, seed: int = 1
) -> Scan:
    return add_finding(scan or chest(), Finding("Support Devices", side, place, kind=kind), numbers(seed))


def lumen(scan: Scan, *names: str) -> NDArray[np.bool_]:
    return np.asarray(ndimage.binary_dilation(scan.where(*names)))


@pytest.mark.parametrize("kind", KINDS)
def test_mask_covers_the_object_and_the_volume_stays_until_it_is_burnt_in(kind: str) -> None:
    scan = chest()
    after = device(kind)
    seen = after.seen[-1]
    assert (seen.finding.kind, seen.finding.name) == (kind, "Support Devices")
    assert after.volume.hu is scan.volume.hu
    assert seen.mask.any()
    burnt = with_devices(after)
    changed = burnt.hu != scan.volume.hu
    assert changed[seen.mask].mean() > 0.95
    assert not changed[~ndimage.binary_dilation(seen.mask, iterations=3)].any()
    assert burnt.hu.max() <= 3071
    assert (burnt.hu[seen.mask] > 300).any()


@pytest.mark.parametrize("kind", KINDS)
def test_same_seed_same_bytes(kind: str) -> None:
    one, two, other = device(kind, seed=5), device(kind, seed=5), device(kind, seed=6)
    assert one.seen[-1].finding == two.seen[-1].finding
    assert one.seen[-1].mask.tobytes() == two.seen[-1].mask.tobytes()
    a, b = (part for scan in (one, two) for part in scan.seen[-1].placed[0].parts[:1])
    assert a.mesh.vertices.tobytes() == b.mesh.vertices.tobytes()
    assert one.seen[-1].mask.tobytes() != other.seen[-1].mask.tobytes()


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_endotracheal_tip_is_3_to_5_cm_above_the_carina(seed: int) -> None:
    scan = chest()
    path = endotracheal_course(scan, "mid trachea", numbers(seed))
    division, line = carina(scan)
    assert 29 < path[0, 2] - division[2] < 52
    assert (np.diff(path[:40, 2]) > 0).all()
    below = path[:, 2] < line[0, 2]
    assert inside(scan, scan.where("trachea"), path[below]).mean() > 0.98


def test_endotracheal_tube_out_of_place() -> None:
    division, _ = carina(chest())
    high = endotracheal_course(chest(), "high", numbers())[0]
    assert high[2] - division[2] > 68
    deep = endotracheal_course(chest(), "right main bronchus", numbers())[0]
    assert deep[2] < division[2]
    assert deep[0] < division[0] - 5
    assert inside(chest(), lumen(chest(), "trachea"), deep[None]).all()


def test_carina_of_a_y_is_where_it_divides() -> None:
    array = np.zeros((60, 20, 60), np.uint8)
    array[30:, 7:13, 27:33] = 1
    for i in range(20):
        array[29 - i, 7:13, 27 - i - 3 : 33 - i - 3] = array[29 - i, 7:13, 27 + i + 3 : 33 + i + 3] = 1
    labels = Labels(array, np.diag([2.0, 2, 2, 1]), {1: "trachea"})
    division, line = carina(Scan(Volume(np.zeros(array.shape, np.int16), labels.affine), labels))
    np.testing.assert_allclose(division, [59, 19, 58], atol=4)
    np.testing.assert_allclose(line[:-1, :2], [[59, 19]] * (len(line) - 1), atol=0.1)
    assert line[0, 2] > line[-1, 2]


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_nasogastric_tip_is_in_the_stomach_and_the_tube_in_the_gullet(seed: int) -> None:
    scan = chest()
    path = nasogastric_course(scan, "stomach", numbers(seed))
    assert inside(scan, scan.where("stomach"), path[:3]).all()
    gullet = points_of(scan, "esophagus")
    between = (path[:, 2] > gullet[:, 2].min() + 5) & (path[:, 2] < gullet[:, 2].max() - 5)
    assert inside(scan, scan.where("esophagus"), path[between]).mean() > 0.97
    high = nasogastric_course(scan, "distal esophagus", numbers(seed))
    assert inside(scan, lumen(scan, "esophagus"), high[:3]).all()
    assert high[0, 2] > path[0, 2]


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), side=st.sampled_from(["left", "right"]))
def test_catheter_ends_where_it_should(seed: int, side: str) -> None:
    scan = chest()
    cava = points_of(scan, "superior_vena_cava")
    low = cava[:, 2].min()
    path = {place: catheter_course(scan, side, place, numbers(seed)) for place in CATHETER_TIPS}
    assert -3 < path["cavoatrial junction"][0, 2] - low < 18
    assert 18 < path["superior vena cava"][0, 2] - low < 45
    assert 10 < low - path["right atrium"][0, 2] < 45
    assert inside(scan, scan.where(*HEART), path["right atrium"][:3]).all()
    for place in ("cavoatrial junction", "superior vena cava"):
        within = path[place][: int((path[place][:, 2] > cava[:, 2].max() - 30).argmax())]
        assert inside(scan, lumen(scan, "superior_vena_cava"), within).mean() > 0.97
        # It enters on its side.
        assert (path[place][-1, 0] > 0) == (side == "left")


@pytest.mark.parametrize("side", ["left", "right"])
def test_generator_lies_under_the_skin_of_its_side_and_leads_end_in_the_heart(side: str) -> None:
    scan = device("pacemaker", side=side, place=PACING_SITES[0])
    parts = {part.name: part.mesh for part in scan.seen[-1].placed[0].parts}
    can = parts["can"].vertices.mean(0)
    assert (can[0] > 40) == (side == "left")
    assert (can[0] < -40) == (side == "right")
    skin = body_exit(chest(), can, [0, -1, 0])
    assert 4 < can[1] - skin[1] < 20
    collar = points_of(chest(), f"clavicula_{side}")
    assert can[2] < collar[:, 2].mean()
    assert inside(chest(), chest().where("lung_upper_lobe_left", "lung_upper_lobe_right"), can[None]).sum() == 0
    ends = {}
    for i in (1, 2):
        electrodes = parts[f"lead {i} electrodes"].vertices
        assert inside(chest(), lumen(chest(), *HEART), electrodes).mean() > 0.95
        ends[i] = electrodes.mean(0)
    # The ventricle's is further to the left and lower than the atrium's.
    assert ends[1][0] > ends[2][0] + 15
    assert ends[1][2] < ends[2][2]
    one = device("pacemaker", side=side, place=PACING_SITES[1])
    assert len(one.seen[-1].placed[0].parts) == len(parts) - 3


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), side=st.sampled_from(["left", "right"]), place=st.sampled_from(DRAIN_TIPS))
def test_drain_passes_between_ribs_and_ends_in_its_side_of_the_chest(seed: int, side: str, place: str) -> None:
    scan = chest()
    lung = LUNG_LEFT if side == "left" else LUNG_RIGHT
    path = drain_course(scan, side, place, numbers(seed))
    assert inside(scan, scan.where(*lung), path[:5]).all()
    ribs = scan.where(*(f"rib_{side}_{n}" for n in range(3, 8)))
    assert inside(scan, ribs, path).mean() < 0.05
    height = points_of(scan, *lung)[:, 2]
    share = (path[0, 2] - height.min()) / np.ptp(height)
    assert share > 0.8 if place == "apex" else share < 0.2
    # Outside, it has left the body.
    assert not inside(scan, scan.volume.hu > -500, path[-20:]).any()


def test_intercostal_point_lies_between_its_ribs() -> None:
    for side, sign in (("left", 1), ("right", -1)):
        point = intercostal_point(chest(), side, 5)
        above, below = (points_of(chest(), f"rib_{side}_{n}") for n in (5, 6))
        near = [rib[np.linalg.norm(rib[:, :2] - point[:2], axis=1) < 12][:, 2].mean() for rib in (above, below)]
        assert near[0] > point[2] > near[1]
        assert sign * point[0] > 90


def test_wires_go_around_the_breastbone() -> None:
    rings = sternal_loops(chest(), numbers())
    assert 5 <= len(rings) <= 9
    bone = points_of(chest(), "sternum")
    for ring in rings:
        slab = bone[np.abs(bone[:, 2] - ring[:, 2].mean()) < 4]
        assert ring[:, 1].min() < slab[:, 1].min() + 2
        assert ring[:, 1].max() > slab[:, 1].max() - 2
        assert (ring[0, 1] - ring[:, 1].min()) < 1


def test_burning_in_keeps_the_mass() -> None:
    affine = np.diag([2.0, 1.5, 3.0, 1.0])
    labels = Labels(np.zeros((20, 30, 30), np.uint8), affine, {})
    pose = np.eye(4)
    pose[:3, 3] = 28, 22, 30
    sphere = Placed([Part(ball(9.0, sides=64), "pmma", "it")], pose, "sphere")
    scan = Scan(Volume(np.full((20, 30, 30), 40.0, np.float32), affine), labels)
    held = replace(scan, seen=(Seen(Finding("Support Devices"), np.zeros(labels.shape, bool), (sphere,)),))
    burnt = with_devices(held)
    gained = (burnt.hu - 40.0).sum() * 9.0
    assert gained == pytest.approx(sphere.parts[0].mesh.volume_mm3 * (material_hu("pmma") - 40), rel=0.02)
    # The mask takes every voxel of which a tenth is filled: more than half of the surface's.
    ratio = device_mask(scan.volume, (sphere,)).sum() * 9.0 / sphere.parts[0].mesh.volume_mm3
    assert 1.05 < ratio < 1.4
    assert with_devices(scan) is scan.volume


def test_materials_have_their_hounsfield_values() -> None:
    assert material_hu("water") == pytest.approx(0, abs=1e-6)
    assert material_hu("air") == pytest.approx(-999, abs=1)
    assert 100 < material_hu("pmma") < 150  # measured: about 120
    assert material_hu("titanium") > 3071


def test_route_through_a_bent_pipe_keeps_to_its_middle() -> None:
    z, y, x = np.indices((40, 12, 40)) * 2.0
    pipe = (np.hypot(np.hypot(z, x) - 50, y - 11) < 8).astype(np.uint8)
    labels = Labels(pipe, np.diag([2.0, 2, 2, 1]), {1: "esophagus"})
    scan = Scan(Volume(np.zeros(pipe.shape, np.int16), labels.affine), labels)
    way = route(scan, ("esophagus",), [50, 11, 0], [0, 11, 50])
    assert np.abs(np.hypot(way[:, 0], way[:, 2]) - 50)[2:-2].max() < 4
    smooth = relaxed(way, 6.0)
    assert np.linalg.norm(np.diff(smooth, axis=0), axis=1).sum() == pytest.approx(np.pi / 2 * 50, rel=0.05)
    np.testing.assert_allclose(smooth[[0, -1]], way[[0, -1]], atol=1e-9)
    half = route(scan, ("esophagus",), [50, 11, 0], length_mm=40.0)
    assert np.rad2deg(np.arctan2(half[-1, 2], half[-1, 0])) == pytest.approx(np.rad2deg(40 / 50), abs=14)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(-200, 200), min_size=6, max_size=6), st.floats(-40, 40))
def test_a_box_holds_what_it_is_around(ends: list[float], turn: float) -> None:
    c, s = np.cos(np.deg2rad(turn)), np.sin(np.deg2rad(turn))
    affine = np.array([[2 * c, -1.5 * s, 0, -20], [2 * s, 1.5 * c, 0, -30], [0, 0, -3, 40], [0, 0, 0, 1.0]])
    labels = Labels(np.zeros((20, 30, 25), np.uint8), affine, {})
    scan = Scan(Volume(np.zeros((20, 30, 25), np.int16), affine), labels)
    low, high = np.sort(np.reshape(ends, (2, 3)), axis=0)
    box = box_around(scan, low, high)
    whole = positions(scan, (slice(0, 20), slice(0, 30), slice(0, 25)))
    wanted = ((whole >= low) & (whole <= high)).all(-1)
    held = np.zeros(wanted.shape, bool)
    held[box] = True
    assert not (wanted & ~held).any()
    np.testing.assert_allclose(positions(scan, box), whole[box], atol=1e-9)


def test_faces_of_a_field_stand_still() -> None:
    field = still_faces(np.ones((4, 5, 6, 3)))
    assert field[1:-1, 1:-1, 1:-1].all()
    assert field.sum() == 2 * 3 * 4 * 3


def test_centreline_goes_down() -> None:
    line = centreline(points_of(chest(), "esophagus"))
    assert (np.diff(line[:, 2]) < 0).all()


@pytest.mark.parametrize(
    ("kind", "label"),
    [
        ("endotracheal tube", "trachea"),
        ("nasogastric tube", "stomach"),
        ("central venous catheter", "superior_vena_cava"),
        ("sternal wires", "sternum"),
        ("pacemaker", "heart"),
    ],
)
def test_missing_labels_are_named(kind: str, label: str) -> None:
    names = {value: name for value, name in chest().labels.names.items() if name != label}
    bare = replace(chest(), labels=replace(chest().labels, names=names))
    with pytest.raises(InputError, match=label):
        device(kind, scan=bare)


@pytest.mark.parametrize("kind", [*TIPS, "central venous catheter", "chest drain", "pacemaker"])
def test_impossible_places_are_refused(kind: str) -> None:
    with pytest.raises(InputError, match="use one of"):
        device(kind, place="left ear")


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_real_patient_takes_all_of_them(shared_data: Path, side: str) -> None:
    scan = patient(shared_data)
    for kind in KINDS:
        scan = device(kind, scan=scan, side=side if kind.split()[0] in {"central", "chest", "pacemaker"} else None)
    division, _ = carina(scan)
    placed = [thing for seen in scan.seen for thing in seen.placed]
    assert len(placed) == len(KINDS)
    tube = placed[0].bodies["barium_sulfate"].vertices
    assert 25 < tube[:, 2].min() - division[2] < 55
    assert inside(scan, scan.where("stomach"), nasogastric_course(scan, "stomach", numbers())[:2]).all()
    path = catheter_course(scan, side, "cavoatrial junction", numbers())
    cava = points_of(scan, "superior_vena_cava")
    within = path[: int((path[:, 2] > cava[:, 2].max() - 30).argmax())]
    assert inside(scan, lumen(scan, "superior_vena_cava"), within).mean() > 0.97
    assert (with_devices(scan).hu != scan.volume.hu).sum() > 2000
