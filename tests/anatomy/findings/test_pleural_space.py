"""Fluid and gas in the pleural space, collapse, and the bending behind them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy import ndimage

from synth.anatomy.findings.effusion import fluid
from synth.anatomy.findings.geometry import lungs
from synth.anatomy.findings.shift import shifted
from synth.anatomy.labels import LOBES
from synth.core.record import Finding
from tests.anatomy.findings.lung_scans import LUNGS, grown, lung, made, ml, rise, scan

if TYPE_CHECKING:
    from synth.anatomy.scan import Scan

WISH = Finding("Pleural Effusion", "right", None, None, None, "pleural effusion")


def heights(mask: np.ndarray, axis: int) -> float:
    """Mean index along an axis."""
    return float(np.argwhere(mask)[:, axis].mean())


@pytest.mark.parametrize("supine", [False, True])
@pytest.mark.parametrize("amount", [150.0, 600.0, 1500.0])
def test_effusion_has_its_volume_and_takes_it_from_the_lung(amount: float, supine: bool) -> None:
    before = scan(supine=supine)
    after = fluid(before, WISH, {"right": amount}, np.random.default_rng(0))
    mask = after.seen[0].mask
    assert ml(mask, after) == pytest.approx(amount, rel=0.15)
    water = after.volume.hu[ndimage.binary_erosion(mask)]
    assert 0 <= water.mean() <= 20
    assert not (mask & lung(after, "right")).any()
    if amount < 700:  # larger ones push the mediastinum, and the other lung gives way
        lost = ml(lung(before, "right"), before) - ml(lung(after, "right"), after)
        assert lost == pytest.approx(amount, rel=0.15)
        away = ~grown(lung(before, "right"), 2)
        np.testing.assert_array_equal(after.volume.hu[away], before.volume.hu[away])


def test_effusion_keeps_the_mass_of_the_lung() -> None:
    """The lung above is squeezed, not cut: what is left weighs what all of it did."""
    before = scan()
    after = fluid(before, WISH, {"right": 300.0}, np.random.default_rng(0))

    def grams(of: Scan) -> float:
        inside = lung(of, "right")
        return float(((of.volume.hu[inside] + 1000) / 1000).sum() * 0.064)

    assert grams(after) == pytest.approx(grams(before), rel=0.12)


def test_effusion_lies_where_gravity_takes_it_and_climbs_the_wall() -> None:
    upright = fluid(scan(), WISH, {"right": 600.0}, np.random.default_rng(0)).seen[0].mask
    supine = fluid(scan(supine=True), WISH, {"right": 600.0}, np.random.default_rng(0)).seen[0].mask
    here = lung(scan(), "right")
    assert heights(upright, 0) < heights(here, 0) - 8
    assert heights(supine, 1) > heights(here, 1) + 4
    # The highest fluid of the upright patient is at the wall, not in the middle of the lung.
    depth = ndimage.distance_transform_edt(here) * 4.0
    top = np.argwhere(upright)[:, 0].max()
    assert depth[upright & (np.arange(len(upright)) > top - 4)[:, None, None]].max() < 15


def test_effusion_lifts_labels_and_masks_of_what_it_displaces() -> None:
    before = made(scan(), "nodule", "right", "lower lobe", size=2.5, seed=1)
    after = fluid(before, WISH, {"right": 900.0}, np.random.default_rng(0))
    assert len(after.seen) == 2
    assert after.seen[0].mask.any()
    assert not (after.seen[0].mask & after.seen[1].mask).any()
    assert heights(after.seen[0].mask, 0) >= heights(before.seen[0].mask, 0)


def test_bilateral_effusion_is_on_both_sides() -> None:
    mask = made(scan(), "pleural effusion", "bilateral", grade="moderate").seen[0].mask
    volumes = [ml(mask & grown(lung(scan(), side)), scan()) for side in LUNGS]
    assert min(volumes) > 150


@pytest.mark.parametrize(
    ("grade", "least", "most"), [("small", 0.05, 0.16), ("moderate", 0.18, 0.4), ("large", 0.45, 0.75)]
)
def test_pneumothorax_takes_its_share_and_holds_gas_without_vessels(grade: str, least: float, most: float) -> None:
    before = scan((3.0, 3.0, 3.0))
    after = made(before, "pneumothorax", "left", grade=grade)
    mask, here = after.seen[0].mask, lung(before, "left")
    assert least < mask.sum() / here.sum() < most
    assert after.volume.hu[ndimage.binary_erosion(mask, iterations=2)].max() < -900
    left = lung(after, "left")
    assert not (mask & left).any()
    assert left.sum() + mask.sum() == pytest.approx(here.sum(), rel=1e-6)
    assert after.volume.hu[left].mean() > before.volume.hu[here].mean()
    other = lung(before, "right")
    np.testing.assert_array_equal(after.volume.hu[other], before.volume.hu[other])


def test_pneumothorax_rises() -> None:
    here = lung(scan(), "left")
    upright = made(scan(), "pneumothorax", "left", grade="small").seen[0].mask
    supine = made(scan(supine=True), "pneumothorax", "left", grade="small").seen[0].mask
    assert heights(upright, 0) > heights(here, 0) + 5
    assert heights(supine, 1) < heights(here, 1) - 4


def test_tension_pushes_the_heart_away_and_the_dome_down() -> None:
    before = scan()
    after = made(before, "tension pneumothorax", "right")
    assert 4.0 * (heights(after.where("heart"), 2) - heights(before.where("heart"), 2)) > 8  # mm, to the left
    assert heights(after.where("liver"), 0) < heights(before.where("liver"), 0)
    bones = [name for name in before.labels.names.values() if name.startswith(("rib_", "vertebrae"))]
    moved = (before.where(*bones) ^ after.where(*bones)).sum() / before.where(*bones).sum()
    assert moved < 0.06


@pytest.mark.parametrize(("grade", "loss"), [("mild", 0.3), ("moderate", 0.5), ("severe", 0.7)])
@pytest.mark.parametrize(("side", "place"), [("right", "upper lobe"), ("left", "lower lobe")])
def test_atelectasis_loses_the_asked_volume_and_the_neighbours_gain(
    side: str, place: str, grade: str, loss: float
) -> None:
    before = scan()
    after = made(before, "atelectasis", side, place, grade)
    name = f"lung_{place.replace(' ', '_')}_{side}"
    lobes = [before.where(name).sum(), after.where(name).sum()]
    assert 1 - lobes[1] / lobes[0] == pytest.approx(loss, abs=0.07)
    others = [lung(of, side).sum() - lobe for of, lobe in zip((before, after), lobes, strict=True)]
    assert others[1] > others[0]
    mask = after.seen[0].mask
    assert (mask & after.where(name)).sum() / mask.sum() > 0.99
    dense = after.volume.hu[ndimage.binary_erosion(mask)].mean()
    assert dense > {"mild": -600, "moderate": -350, "severe": -100}[grade]


def test_upper_lobe_collapse_lifts_the_fissure() -> None:
    before = scan()
    after = made(before, "atelectasis", "right", "upper lobe", "severe")
    lowest = [np.quantile(np.argwhere(of.where("lung_upper_lobe_right"))[:, 0], 0.05) for of in (before, after)]
    assert 4.0 * (lowest[1] - lowest[0]) > 10  # mm


def test_shift_moves_the_heart_by_what_is_asked_and_leaves_bones() -> None:
    before = scan()
    after = shifted(before, left_mm=16.0)
    assert 4.0 * (heights(after.where("heart"), 2) - heights(before.where("heart"), 2)) == pytest.approx(14, abs=4)
    np.testing.assert_array_equal(after.where("sternum"), before.where("sternum"))
    same = shifted(before)
    np.testing.assert_array_equal(same.volume.hu, before.volume.hu)


def test_dome_goes_down() -> None:
    before = scan()
    after = shifted(before, lowered_mm={"right": 12.0})
    assert lung(after, "right").sum() > lung(before, "right").sum()
    assert lung(after, "left").sum() == pytest.approx(lung(before, "left").sum(), rel=0.01)


def test_hilum_is_medial_and_behind_the_front_half() -> None:
    for part in lungs(scan(), "bilateral"):
        x = part.points[part.mask][:, 0]
        assert abs(part.hilum[0]) < np.abs(x).mean()
        assert np.sign(part.hilum[0]) == part.outward
        assert 0.35 < (part.hilum[2] - part.points[part.mask][:, 2].min()) / np.ptp(part.points[part.mask][:, 2]) < 0.8


def test_real_noise_is_continued_in_fluid() -> None:
    noisy = scan()
    hu = noisy.volume.hu + np.random.default_rng(0).normal(0, 20, noisy.volume.shape).astype(np.float32)
    noisy = replace(noisy, volume=replace(noisy.volume, hu=hu))
    after = fluid(noisy, WISH, {"right": 500.0}, np.random.default_rng(0))
    deep = ndimage.binary_erosion(after.seen[0].mask)
    assert after.volume.hu[deep].std() == pytest.approx(20, rel=0.25)
    assert rise(noisy, after)[~grown(noisy.where(*LOBES), 3)].max() == 0
