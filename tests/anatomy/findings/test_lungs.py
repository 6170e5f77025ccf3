"""Findings of lungs and pleura: where they lie, what they do to HU, how large they are, what they leave alone."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from synth.anatomy.findings.base import EDITORS, add_finding, findings_possible
from synth.anatomy.labels import LOBES
from synth.anatomy.scan import Scan
from synth.anatomy.vocabulary import CHEXPERT_OF, KINDS
from synth.core.errors import InputError
from synth.core.reading import read_labels, read_volume
from synth.core.record import Finding
from synth.core.resampling import resample, resample_labels
from synth.core.volume import Labels, Volume
from tests.anatomy.findings.lung_scans import LUNGS, grown, lung, made, ml, rise, scan, without

if TYPE_CHECKING:
    from pathlib import Path

FILLING = ("consolidation", "pneumonia", "ground-glass opacity", "interstitial edema", "alveolar edema")
SOLID = ("nodule", "spiculated nodule", "lobulated nodule", "calcified nodule", "mass")
LUNG_KINDS = (
    *FILLING,
    *SOLID,
    "ground-glass nodule",
    "cavitary mass",
    "atelectasis",
    "linear atelectasis",
    "pleural effusion",
    "pneumothorax",
    "tension pneumothorax",
    "emphysema",
    "pleural thickening",
    "pleural plaque",
)


def side_of(kind: str, side: str = "right") -> str:
    allowed = KINDS[kind].lateralities
    return side if side in allowed else next(iter(allowed))


def test_every_kind_of_lung_and_pleura_has_an_editor() -> None:
    assert set(LUNG_KINDS) <= set(EDITORS)
    assert set(LUNG_KINDS) <= set(findings_possible(scan()))


@pytest.mark.parametrize("kind", LUNG_KINDS)
@pytest.mark.parametrize("dtype", ["float32", "int16"])
def test_finding_is_complete_inside_its_lung_and_leaves_its_input_alone(kind: str, dtype: str) -> None:
    before = scan(dtype=dtype)
    hu, labels = before.volume.hu.copy(), before.labels.array.copy()
    side = side_of(kind)
    after = made(before, kind, side)

    np.testing.assert_array_equal(before.volume.hu, hu)
    np.testing.assert_array_equal(before.labels.array, labels)
    assert before.seen == ()
    assert after.volume.hu.dtype == before.volume.hu.dtype
    (seen,) = after.seen
    assert seen.finding.kind == kind
    assert seen.finding.name == CHEXPERT_OF[kind]
    assert seen.finding.laterality == side
    assert (seen.finding.location is None) == (not KINDS[kind].locations)
    assert (seen.finding.severity is None) == (not KINDS[kind].severities)
    assert seen.finding.size_cm is not None
    assert seen.finding.size_cm > 0
    assert seen.mask.any()
    home = before.where(*LOBES) if side == "bilateral" else lung(before, side)
    reach = 2 if kind != "tension pneumothorax" else 8  # the mediastinum has moved away
    assert not (seen.mask & ~grown(home, reach)).any()


@pytest.mark.parametrize("kind", LUNG_KINDS)
def test_same_seed_same_bytes_other_seed_others(kind: str) -> None:
    first, again, other = (made(scan(), kind, side_of(kind), seed=seed) for seed in (1, 1, 2))
    assert first.volume.hu.tobytes() == again.volume.hu.tobytes()
    assert first.labels.array.tobytes() == again.labels.array.tobytes()
    assert first.seen[0].mask.tobytes() == again.seen[0].mask.tobytes()
    assert first.volume.hu.tobytes() != other.volume.hu.tobytes()


@pytest.mark.parametrize("kind", [*FILLING, *SOLID, "ground-glass nodule", "linear atelectasis"])
def test_filling_raises_hu_in_its_mask_and_keeps_the_rest_of_the_body(kind: str) -> None:
    before = scan()
    side = side_of(kind)
    after = made(before, kind, side)
    change = rise(before, after)
    mask = after.seen[0].mask
    assert change[mask].mean() > 25
    home = before.where(*LOBES) if side == "bilateral" else lung(before, side)
    outside = ~grown(home, 2)
    np.testing.assert_array_equal(after.volume.hu[outside], before.volume.hu[outside])
    np.testing.assert_array_equal(after.labels.array, before.labels.array)


@pytest.mark.parametrize("kind", FILLING)
def test_filling_never_thins_tissue_and_spares_vessels(kind: str) -> None:
    before = scan()
    vessels = before.where(*LOBES) & (before.volume.hu > 40)
    brighter = before.volume.hu.copy()
    brighter[vessels] = 250.0  # as with contrast agent
    before = replace(before, volume=replace(before.volume, hu=brighter))
    after = made(before, kind, side_of(kind), grade="severe")
    change = rise(before, after)
    np.testing.assert_array_equal(change[vessels], 0)
    if kind in ("consolidation", "pneumonia"):  # airways that stay open are darker than lung
        assert after.volume.hu[change < 0].max(initial=-1000) < -700
    else:
        assert change.min() >= 0


@pytest.mark.parametrize("place", ["upper lobe", "middle lobe", "lower lobe"])
@pytest.mark.parametrize("kind", ["consolidation", "nodule", "mass"])
def test_fissures_stop_it(kind: str, place: str) -> None:
    after = made(scan(), kind, "right", place, grade="severe" if kind == "consolidation" else None)
    lobe = after.where(f"lung_{place.replace(' ', '_')}_right")
    mask = after.seen[0].mask
    assert not (mask & after.where(*LOBES) & ~lobe).any()


@pytest.mark.parametrize(("grade", "share"), [("mild", 0.25), ("moderate", 0.5), ("severe", 0.88)])
def test_consolidation_takes_the_share_of_the_lobe_that_its_grade_says(grade: str, share: float) -> None:
    after = made(scan(), "consolidation", "right", "upper lobe", grade)
    lobe = after.where("lung_upper_lobe_right")
    assert (after.seen[0].mask & lobe).sum() / lobe.sum() == pytest.approx(share, abs=0.12)


def test_lingula_is_the_front_lower_part_of_the_left_upper_lobe() -> None:
    before = scan()
    mask = made(before, "consolidation", "left", "lingula", "moderate").seen[0].mask
    lobe = before.where("lung_upper_lobe_left")
    assert not (mask & before.where("lung_lower_lobe_left")).any()
    assert np.argwhere(mask)[:, 0].mean() < np.argwhere(lobe)[:, 0].mean()  # lower
    assert np.argwhere(mask)[:, 1].mean() < np.argwhere(lobe)[:, 1].mean()  # before


@settings(max_examples=8, deadline=None)
@given(size=st.floats(1.5, 3.0), seed=st.integers(0, 99))
def test_nodule_has_the_asked_diameter_and_does_not_depend_on_the_voxels(size: float, seed: int) -> None:
    volumes = []
    for spacing in ((4.0, 4.0, 4.0), (3.0, 3.0, 5.0)):
        before = scan(spacing)
        after = made(before, "nodule", "right", "upper lobe", size=round(size, 1), seed=seed)
        excess = rise(before, after)[lung(before, "right")].sum() * np.prod(spacing) / 1000
        volumes.append(excess / (38.0 + 850.0))
        reach = np.ptp(np.argwhere(after.seen[0].mask), axis=0) * np.array(spacing[::-1])
        assert reach.max() <= 10 * size + 1.5 * max(spacing)
    assert volumes[0] == pytest.approx(volumes[1], rel=0.35)  # four voxels across, and the lung's own vessels
    assert 0.4 < volumes[0] / (np.pi / 6 * size**3) < 1.05  # a body whose largest diameter is the size


def test_nodule_volume_at_one_and_two_millimetres() -> None:
    volumes = []
    for mm in (1.0, 2.0):
        before = _cube(mm)
        after = made(before, "nodule", "right", "upper lobe", size=2.4, seed=5)
        volumes.append(ml(after.seen[0].mask, after))
    assert volumes[0] == pytest.approx(volumes[1], rel=0.1)


def _cube(mm: float) -> Scan:
    """A cube of lung of 90 mm in muscle."""
    n = round(110 / mm)
    affine = np.diag([mm, mm, mm, 1.0])
    affine[:3, 3] = np.array([-120.0, -55.0, -55.0]) + mm / 2
    at = np.arange(n) * mm + mm / 2
    inside = np.abs(at - 55) < 45
    lobe = inside[:, None, None] & inside[:, None] & inside
    hu = np.where(lobe, -850.0, 50.0).astype(np.float32)
    labels = Labels(np.where(lobe, 12, 0).astype(np.uint8), affine, {12: "lung_upper_lobe_right"})
    return Scan(Volume(hu, affine, "cube"), labels)


def test_kinds_of_nodules_have_their_densities() -> None:
    def deep(kind: str, size: float) -> np.ndarray:
        after = made(_cube(2.0), kind, "right", "upper lobe", size=size, seed=3)
        inner: np.ndarray = after.volume.hu[ndimage.binary_erosion(after.seen[0].mask, iterations=2)]
        return inner

    assert deep("nodule", 2.0).mean() == pytest.approx(38, abs=15)
    assert deep("calcified nodule", 1.5).mean() > 300
    assert -700 < deep("ground-glass nodule", 2.5).mean() < -300
    cavity = deep("cavitary mass", 6.0)
    assert 0.2 < (cavity < -900).mean() < 0.8  # gas within a wall
    assert 0.1 < (np.abs(cavity - 38) < 40).mean()


def test_spicules_reach_beyond_the_body_of_the_nodule() -> None:
    before = _cube(1.0)
    plain = made(before, "nodule", "right", "upper lobe", size=2.0, seed=4)
    spiked = made(before, "spiculated nodule", "right", "upper lobe", size=2.0, seed=4)

    def beyond(after: Scan) -> int:
        far = ~grown(after.seen[0].mask, 3)
        return int(((rise(before, after) > 60) & far).sum())

    assert beyond(plain) == 0
    assert beyond(spiked) > 100


def test_alveolar_edema_is_central_and_interstitial_edema_basal() -> None:
    before = scan()
    wings = rise(before, made(before, "alveolar edema", "bilateral", grade="severe"))
    for side in LUNGS:
        here = lung(before, side)
        depth = ndimage.distance_transform_edt(here) * 4.0
        assert wings[here & (depth > 30)].mean() > 3 * wings[here & (depth < 8)].mean()
    lines = rise(before, made(before, "interstitial edema", "bilateral", grade="severe"))
    here, z = before.where(*LOBES), np.arange(before.volume.shape[0])[:, None, None]
    z = np.broadcast_to(z, here.shape)
    low, high = np.quantile(z[here], 0.2), np.quantile(z[here], 0.8)
    assert lines[here & (z <= low)].mean() > 1.3 * lines[here & (z >= high)].mean()


def test_emphysema_thins_the_upper_lung_most() -> None:
    before = scan()
    mild, severe = (made(before, "emphysema", "bilateral", grade=grade) for grade in ("mild", "severe"))
    low = [float((s.volume.hu[s.where(*LOBES)] < -950).mean()) for s in (before, mild, severe)]
    assert low[0] == 0
    assert low[1] == pytest.approx(0.1, abs=0.05)
    assert low[2] == pytest.approx(0.36, abs=0.1)
    mask = severe.seen[0].mask
    assert np.argwhere(mask)[:, 0].mean() > np.argwhere(severe.where(*LOBES))[:, 0].mean()
    # The domes have gone down: the lungs hold more.
    assert severe.where(*LOBES).sum() > 1.01 * before.where(*LOBES).sum()


@pytest.mark.parametrize("place", ["apex", "base"])
def test_pleural_thickening_lines_the_wall(place: str) -> None:
    before = scan((3.0, 3.0, 3.0))
    after = made(before, "pleural thickening", "left", place, "severe")
    mask, here = after.seen[0].mask, lung(before, "left")
    depth = ndimage.distance_transform_edt(here) * 3.0
    assert np.quantile(depth[mask & here], 0.95) < 16
    assert after.volume.hu[mask].mean() > 0
    assert not (lung(after, "left") & mask).any()
    height = np.argwhere(here)[:, 0]
    assert (np.argwhere(mask)[:, 0].mean() > height.mean()) == (place == "apex")


def test_plaques_are_calcified_and_at_the_surface() -> None:
    before = scan((2.0, 2.0, 2.0))
    after = made(before, "pleural plaque", "bilateral")
    mask = after.seen[0].mask
    assert after.volume.hu[mask].mean() > 200
    depth = ndimage.distance_transform_edt(before.where(*LOBES)) * 2.0
    assert np.quantile(depth[mask], 0.98) < 9


def test_wishes_that_cannot_be_met_are_refused() -> None:
    before, generator = scan(), np.random.default_rng(0)
    cases = [
        (before, Finding("", kind="nodul"), "can be drawn; possible are"),
        (before, Finding("", "middle", kind="nodule"), "laterality 'middle' is not possible; use one of left, right"),
        (before, Finding("", "left", "middle lobe", kind="consolidation"), "location 'middle lobe'"),
        (before, Finding("", "left", severity="huge", kind="consolidation"), "severity 'huge'"),
        (before, Finding("", "left", size_cm=9.0, kind="nodule"), "size_cm=9"),
        (without(before, *LOBES), Finding("", kind="nodule"), "needs one of the labels lung_"),
        (without(before, *LUNGS["left"]), Finding("", "left", kind="pneumothorax"), "left lung is labelled"),
        (
            without(before, "lung_middle_lobe_right"),
            Finding("", "right", "middle lobe", kind="consolidation"),
            "lung_middle_lobe_right",
        ),
    ]
    for of, wish, text in cases:
        with pytest.raises(InputError, match=text):
            add_finding(of, wish, generator)
    assert "nodule" not in findings_possible(without(before, *LOBES))


def test_what_a_wish_leaves_open_is_drawn() -> None:
    seen = {made(scan(), "consolidation", None, seed=seed).seen[0].finding.laterality for seed in range(12)}
    assert seen == {"left", "right", "bilateral"}
    named = add_finding(scan(), Finding("Lung Lesion"), np.random.default_rng(0)).seen[0].finding
    assert CHEXPERT_OF[named.kind or ""] == "Lung Lesion"


def test_findings_add_up_and_earlier_masks_stay() -> None:
    first = made(scan(), "nodule", "right", "upper lobe", size=2.0)
    both = made(first, "consolidation", "left", "lower lobe", "moderate")
    assert [seen.finding.kind for seen in both.seen] == ["nodule", "consolidation"]
    np.testing.assert_array_equal(both.seen[0].mask, first.seen[0].mask)


@pytest.mark.parametrize("kind", ["consolidation", "pleural effusion", "pneumothorax"])
def test_axes_of_the_array_do_not_matter(kind: str) -> None:
    """The same scan stored from head to foot and from left to right gives the same finding."""
    before = scan()
    turn = before.volume.affine @ np.array(
        [[-1, 0, 0, before.volume.shape[2] - 1], [0, 1, 0, 0], [0, 0, -1, before.volume.shape[0] - 1], [0, 0, 0, 1.0]]
    )
    flipped = replace(
        before,
        volume=replace(before.volume, hu=before.volume.hu[::-1, :, ::-1].copy(), affine=turn),
        labels=replace(before.labels, array=before.labels.array[::-1, :, ::-1].copy(), affine=turn),
    )
    a, b = (ml(made(of, kind, "left", grade="moderate").seen[0].mask, of)
            for of in (before, flipped))  # fmt: skip
    assert a == pytest.approx(b, rel=0.35)


def test_real_ct(shared_data: Path) -> None:
    file = shared_data / "ct" / "lidc_idri_0001.nii.gz"
    if not file.is_file():
        pytest.skip(f"not there: {file}")
    volume = read_volume(file)
    labels = read_labels(file.with_name("lidc_idri_0001_seg.nii.gz"), volume)
    small = resample(volume, 4.0)
    before = Scan(small, resample_labels(labels, small))
    for kind, side, place in (("mass", "left", "upper lobe"), ("pneumonia", "right", "lower lobe"),
                              ("pneumothorax", "left", None), ("atelectasis", "left", "lower lobe")):  # fmt: skip
        after = made(before, kind, side, place)
        mask = after.seen[0].mask
        assert ml(mask, after) > 5
        assert not (mask & ~grown(lung(before, side), 5)).any()
