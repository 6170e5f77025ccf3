"""Techniques: presets, changes from plain data, and those drawn from a seed."""

from __future__ import annotations

import copy
import json
import pickle
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synth.core.errors import InputError
from synth.drr.detector import Detector
from synth.drr.presentation import Processing
from synth.drr.scatter import GRIDS
from synth.drr.spectrum import Tube
from synth.drr.technique import PRESETS, Technique, random_technique, technique

SEEDS = st.integers(0, 2**64 - 1)


def drawn(seed: int) -> Technique:
    return random_technique(np.random.default_rng(seed))


def test_presets_are_listed_and_found() -> None:
    assert list(PRESETS) == ["chest-pa", "chest-lateral", "chest-ap-portable", "fluoroscopy", "raw"]
    for name, preset in PRESETS.items():
        assert technique(name) is preset
    with pytest.raises(
        InputError, match="unknown preset 'chest': use one of chest-pa, chest-lateral, chest-ap-portable"
    ):
        technique("chest")


def test_presets_follow_the_european_guidelines() -> None:
    for name in ("chest-pa", "chest-lateral"):
        chest = PRESETS[name]
        assert 100 <= chest.tube.kvp <= 150
        assert chest.tube.filtration_mm["aluminium"] >= 3
        assert 10 <= GRIDS[chest.grid].ratio <= 12
        assert chest.source_detector_mm == 1800
    assert PRESETS["chest-ap-portable"].grid == "none"
    assert PRESETS["fluoroscopy"].detector_kerma_ugy < PRESETS["chest-pa"].detector_kerma_ugy / 50
    raw = PRESETS["raw"]
    assert (raw.processing.contrast, raw.processing.curve, raw.processing.gamma) == (0, "linear", 1)
    assert raw.tube == PRESETS["chest-pa"].tube


def test_changes_from_plain_data() -> None:
    base = PRESETS["chest-pa"]
    changed = base.changed(
        {
            "tube": {"kvp": 100, "filtration_mm": {"aluminium": 4, "copper": 0.2}},
            "detector": {"material": "selenium", "bits": 14, "saturation_kev": 1e6},
            "grid": "8:1",
            "noise": False,
            "detector_kerma_ugy": None,
            "processing": {"percentiles": [1, 99], "gamma": 2},
        }
    )
    assert changed.tube == Tube(100, filtration_mm={"aluminium": 4, "copper": 0.2})
    assert changed.detector == Detector(material="selenium", bits=14, saturation_kev=1e6)
    assert (changed.grid, changed.noise, changed.scatter, changed.detector_kerma_ugy) == ("8:1", False, True, None)
    assert changed.processing == replace(base.processing, percentiles=(1, 99), gamma=2)
    assert base == PRESETS["chest-pa"]
    assert base.changed({}) == base


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"tubes": {}}, "technique: unknown key 'tubes'; did you mean 'tube'?"),
        ({"tube": {"kv": 100}}, "technique.tube: unknown key 'kv'; did you mean 'kvp'?"),
        ({"processing": {"zzz": 1}}, "known are percentiles, curve, contrast, gamma"),
        ({"tube": {"kvp": "high"}}, "technique.tube.kvp must be a number, got 'high'"),
        ({"tube": {"kvp": 300}}, "tube: kvp must be 40 to 150, got 300"),
        ({"tube": 100}, "technique.tube: expected key: value pairs, got 100"),
        ({"tube": {"filtration_mm": 3}}, "technique.tube.filtration_mm must be key: value pairs, got 3"),
        ({"tube": {"filtration_mm": {"aluminium": "3"}}}, "technique.tube: "),
        ({"tube": {"filtration_mm": {"cheese": 3}}}, "unknown material 'cheese'"),
        ({"noise": 1}, "technique.noise must be true or false, got 1"),
        ({"noise": "no"}, "technique.noise must be true or false, got 'no'"),
        ({"grid": 8}, "technique.grid must be text, got 8"),
        ({"grid": "9:1"}, "grid must be one of none, 6:1, 8:1"),
        ({"detector_kerma_ugy": 0}, "detector_kerma_ugy must be 0.0001 to 10000, got 0"),
        ({"detector_kerma_ugy": True}, "technique.detector_kerma_ugy must be a number, got True"),
        ({"source_detector_mm": 50}, "source_detector_mm must be 100 to 10000, got 50"),
        ({"source_detector_mm": "far"}, "technique"),
        ({"detector": {"bits": "many", "saturation_kev": 1e6}}, "technique.detector"),
        ({"detector": {"material": "cheese"}}, "unknown material 'cheese'"),
        ({"processing": {"percentiles": [99, 1]}}, "percentiles must be two numbers, 0 ≤ low < high ≤ 100"),
        ({"processing": {"percentiles": 5}}, "technique.processing"),
        ({"processing": {"curve": "wavy"}}, "curve must be sigmoid or linear, got 'wavy'"),
        ({"processing": {"contrast": float("nan")}}, "contrast must be 0 to 1"),
        ("chest-pa", "technique: expected key: value pairs, got 'chest-pa'"),
    ],
)
def test_changes_that_are_none(values: Any, message: str) -> None:
    with pytest.raises(InputError) as caught:
        PRESETS["chest-pa"].changed(values)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def through_json(of: Technique) -> Technique:
    """Every value written out, and read into a technique that has none of them."""
    other = Technique(tube=Tube(41), source_detector_mm=777.0, processing=Processing(gamma=9), grid="15:1")
    return other.changed(json.loads(json.dumps(of.plain(), allow_nan=False)))


@pytest.mark.parametrize("name", PRESETS)
def test_plain_data_says_all_of_a_preset(name: str) -> None:
    preset = PRESETS[name]
    assert through_json(preset) == preset
    for again in (copy.deepcopy(preset), pickle.loads(pickle.dumps(preset))):
        assert again == preset
        assert again.plain() == preset.plain()


def test_plain_data_is_named_as_the_fields_are() -> None:
    plain = PRESETS["chest-pa"].plain()
    assert plain["tube"]["filtration_mm"] == {"aluminium": 3.0, "copper": 0.1}
    assert plain["processing"]["percentiles"] == list(PRESETS["chest-pa"].processing.percentiles)
    plain["tube"]["filtration_mm"]["lead"] = 1.0  # a copy
    assert "lead" not in PRESETS["chest-pa"].tube.filtration_mm


@settings(max_examples=60, deadline=None)
@given(SEEDS)
def test_a_drawn_technique_is_valid_and_the_seed_s_own(seed: int) -> None:
    one = drawn(seed)
    assert one == drawn(seed)
    assert through_json(one) == one
    assert 60 <= one.tube.kvp <= 140
    assert 2.5 <= one.tube.filtration_mm["aluminium"] <= 4
    assert 0.3 < one.detector_kerma_ugy < 20.1
    assert one.processing.percentiles[0] < one.processing.percentiles[1]
    assert all(type(value) in (int, float, bool, str) for value in (one.tube.kvp, one.tube.heel, one.grid, one.noise))


def test_draws_differ_and_reach_what_they_may() -> None:
    many = [drawn(seed) for seed in range(200)]
    assert len({one.tube.kvp for one in many}) == 200
    assert {one.grid for one in many} == {"none", "6:1", "8:1", "10:1", "12:1"}
    assert {one.detector.material for one in many} == {"cesium_iodide", "selenium"}
    assert {one.processing.curve for one in many} == {"linear", "sigmoid"}
    assert {one.tube.heel for one in many} == {True, False}
    dose = np.log10([one.detector_kerma_ugy for one in many])
    assert dose.max() - dose.min() > 1.6
