"""Checks of single CTs: what is sound passes, and every kind of damage is named."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synth.core.errors import InputError
from synth.metrics.volumes.checks import volume_verdicts
from synth.metrics.volumes.lobes import lung_litres
from synth.metrics.volumes.rules import VolumeRules
from synth.metrics.volumes.structures import MaskedCt
from synth.metrics.volumes.trees import connected_share, tree_of_trachea
from tests.metrics.volumes.bodies import chest, files, whole

SMOOTH = VolumeRules(seams=0)
"""A chest of boxes has flat faces, which are what a seam looks like."""


def failed(ct: MaskedCt, rules: VolumeRules = SMOOTH) -> set[str]:
    return {one.name for one in volume_verdicts(ct, rules) if one.outcome == "fail"}


def test_a_sound_chest_passes_all_checks_that_its_masks_allow() -> None:
    verdicts = volume_verdicts(whole(*chest(), sex="M"), SMOOTH)
    assert [one for one in verdicts if one.outcome != "pass"] == []
    names = {one.name for one in verdicts}
    assert {"HU range", "HU airways", "HU vessels", "HU bones", "HU lung_lower_lobe_left", "volume lungs"} <= names
    assert {"volume lung_middle_lobe_right", "airways connected", "airways reach", "vessel density"} <= names


def test_a_map_of_one_label_a_voxel_says_the_same_as_masks() -> None:
    volume, labels = files()
    ct = MaskedCt.of(volume, [labels])
    assert ct.spacing_mm == (3, 3, 3)
    assert ct.upwards
    assert failed(ct) == set()


def test_without_masks_only_the_ct_is_judged() -> None:
    assert {one.name for one in volume_verdicts(whole(chest()[0], {}))} == {"HU range", "seams"}


def test_rules_turn_checks_off() -> None:
    assert volume_verdicts(whole(*chest()), VolumeRules.none()) == ()
    for rules in ({"airways": 1.5}, {"seams": 1}, {"seams": -0.1}):
        with pytest.raises(InputError):
            VolumeRules(**rules)  # type: ignore[arg-type]


def test_values_of_no_scanner_are_refused() -> None:
    hu, _ = chest()
    assert "HU range" in failed(whole(hu + 4000, {}))
    assert "HU range" in failed(whole(hu / np.float32(1000), {}))  # −1 to 1, as networks have it
    assert "HU range" in failed(whole(np.zeros_like(hu), {}))
    assert "HU range" in failed(whole(np.full(hu.shape, np.nan, np.float32), {}))
    padded = hu.copy()
    padded[:, :2] = -2000  # outside a scanner's circle
    assert "HU range" not in failed(whole(padded, {}))


@pytest.mark.parametrize(
    ("structure", "value", "check"),
    [
        ("lung_airways", 40, "HU airways"),
        ("lung_vessels", -850, "HU vessels"),
        ("bones", 30, "HU bones"),
        ("lung_upper_lobe_left", 40, "HU lung_upper_lobe_left"),
    ],
)
def test_masks_must_agree_with_hu(structure: str, value: int, check: str) -> None:
    hu, masks = chest()
    hu[masks[structure]] = value
    assert check in failed(whole(hu, masks))


def test_masks_turned_over_against_the_ct_are_seen() -> None:
    hu, masks = chest()
    assert failed(whole(hu, {name: mask[::-1] for name, mask in masks.items()})) & {"HU airways", "HU vessels"}


def test_lobes_of_wrong_size_or_missing() -> None:
    hu, masks = chest()
    small = dict(masks)
    small["lung_middle_lobe_right"] = masks["lung_middle_lobe_right"] & (np.arange(96) < 20)
    assert "volume lung_middle_lobe_right" in failed(whole(hu, small))
    assert "volume lung_middle_lobe_right" not in failed(whole(hu, small, ill=True))  # collapsed
    del small["lung_middle_lobe_right"]
    assert failed(whole(hu, small)) == {"volume lung_middle_lobe_right"}
    half = MaskedCt(hu, masks, (1.5, 1.5, 1.5))
    assert "volume lungs" in failed(half)


def test_lobes_that_the_field_of_view_cuts_are_not_judged_by_size() -> None:
    hu, masks = chest()
    cut = MaskedCt(hu[:50], {name: mask[:50] for name, mask in masks.items()}, (3, 3, 3))
    found = {one.name: one.outcome for one in volume_verdicts(cut)}
    assert found["volume lungs"] == "undecided"


def test_predicted_capacity_is_that_of_quanjer() -> None:
    low, high = lung_litres("M", 180)
    assert (low, high) == pytest.approx((0.5 * 7.302, 1.3 * 7.302))
    assert lung_litres("F", 160)[1] == pytest.approx(1.3 * 4.77)
    assert lung_litres(None) == (lung_litres("F")[0], lung_litres("M")[1])


def test_airways_in_pieces_are_refused_at_the_share_asked_for() -> None:
    hu, masks = chest()
    broken = dict(masks)
    broken["lung_airways"] = masks["lung_airways"].copy()
    broken["lung_airways"][:, :, 54:57] = False  # the left bronchus is cut off
    whole_share = connected_share(masks["lung_airways"])
    share = connected_share(broken["lung_airways"])
    assert whole_share == 1
    lost = np.count_nonzero(broken["lung_airways"][:, :, 57:])
    assert share == pytest.approx(1 - lost / np.count_nonzero(broken["lung_airways"]))
    assert "airways connected" in failed(whole(hu, broken), VolumeRules(airways=share + 0.01, seams=0))
    assert "airways connected" not in failed(whole(hu, broken), VolumeRules(airways=share - 0.01, seams=0))
    assert "airways reach" not in failed(whole(hu, broken))  # its end still touches the lung
    broken["lung_airways"][:, :, 48:] = False
    assert "airways reach" in failed(whole(hu, broken))


def test_the_windpipe_is_what_reaches_highest() -> None:
    airways = np.zeros((20, 9, 9), bool)
    airways[10:20, 1:3, 1:3] = True
    airways[0:12, 5:9, 5:9] = True
    assert tree_of_trachea(airways)[19, 1, 1]
    assert tree_of_trachea(airways, upwards=False)[0, 6, 6]
    airways[19, 8, 8] = True  # a speck above is no windpipe
    assert not tree_of_trachea(airways)[19, 8, 8]


def test_vessels_too_few_too_many_and_too_thin_to_tell() -> None:
    hu, masks = chest()
    none = dict(masks, lung_vessels=np.zeros_like(masks["bones"]))
    none["lung_vessels"][20:22, 20:24, 20:24] = True
    assert "vessel density" in failed(whole(hu, none))
    many = dict(masks, lung_vessels=masks["lung_lower_lobe_left"])
    assert "vessel density" in failed(whole(hu, many))
    coarse = MaskedCt(hu, masks, (6.0, 6.0, 6.0))
    found = {one.name: one.outcome for one in volume_verdicts(coarse)}
    assert found["vessel density"] == found["airways connected"] == "undecided"


@given(st.integers(0, 2), st.booleans())
@settings(max_examples=6, deadline=None)
def test_the_verdicts_do_not_depend_on_which_way_z_runs(seed: int, sick: bool) -> None:
    hu, masks = chest(seed)
    turned = MaskedCt(hu[::-1], {k: m[::-1] for k, m in masks.items()}, (3, 3, 3), upwards=False, ill=sick)
    straight = whole(hu, masks, ill=sick)
    values = [{one.name: one.value for one in volume_verdicts(ct, SMOOTH)} for ct in (straight, turned)]
    assert values[0] == values[1]


def test_masks_on_another_grid_are_an_error() -> None:
    hu, masks = chest()
    with pytest.raises(InputError, match="one grid"):
        whole(hu[:-1], masks)
