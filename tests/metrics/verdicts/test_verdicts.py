from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from synth.core.errors import InputError
from synth.metrics.verdicts import (
    Anatomy,
    Artefacts,
    Copies,
    Outliers,
    Verdict,
    condition_verdicts,
    organ_verdicts,
    outcome_of,
    usual_organs,
)
from synth.metrics.verdicts.artefact_measures import measure
from synth.metrics.verdicts.conformal import conformal_threshold, held_out_scores, least_patients
from synth.metrics.verdicts.organs import organ_of
from synth.metrics.verdicts.shrinkage import ledoit_wolf


def test_several_verdicts_of_one_sample():
    def verdicts(*outcomes):
        return [Verdict("check", 1.0, 2.0, outcome, "why") for outcome in outcomes]

    assert outcome_of(verdicts("pass", "undecided", "fail")) == "fail"
    assert outcome_of(verdicts("undecided", "pass")) == "pass"
    assert outcome_of(verdicts("undecided")) == outcome_of([]) == "undecided"
    assert json.loads(json.dumps(verdicts("pass")[0].as_dict()))["threshold"] == 2.0


# Conformal thresholds ------------------------------------------------------------------------------------------------


def test_the_threshold_of_independent_scores_is_an_order_statistic():
    scores, own = np.random.default_rng(0).permutation(99.0 * np.arange(99)), np.arange(99)
    assert conformal_threshold(scores, 0.05, own) == 94 * 99.0  # the 95th of 99: ⌈0.95 · 100⌉
    assert conformal_threshold(scores, 0.01, own) == 98 * 99.0
    assert conformal_threshold(scores, 0.009, own) == np.inf
    assert least_patients(0.01) == 99


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(20, 60), st.sampled_from([0.05, 0.1, 0.3]))
def test_each_patient_weighs_one(seed, patients, rate):
    rng = np.random.default_rng(seed)
    scores = rng.standard_normal(patients)
    repeats = rng.integers(1, 5, patients)
    alone = conformal_threshold(scores, rate, np.arange(patients))
    assert conformal_threshold(np.repeat(scores, repeats), rate, np.repeat(np.arange(patients), repeats)) == alone


def test_fresh_scores_exceed_the_threshold_as_often_as_stated():
    rng = np.random.default_rng(1)
    rates = [(rng.standard_cauchy(500) > conformal_threshold(rng.standard_cauchy(60), 0.1, np.arange(60))).mean()
             for _ in range(300)]  # fmt: skip
    assert 0.085 < np.mean(rates) < 0.105


def test_held_out_scores_come_from_other_patients():
    own = np.repeat(np.arange(7), 3)

    def score(model, rows):
        assert not set(own[model]) & set(own[rows])
        return rows.astype(float)

    assert held_out_scores(lambda rows: rows, score, own, 3).tolist() == list(range(21))


# Outliers ------------------------------------------------------------------------------------------------------------


def test_shrinkage_by_its_formula():
    x = np.random.default_rng(2).standard_normal((40, 12)) * np.linspace(0.5, 3, 12)
    x -= x.mean(0)
    sample, n, d = x.T @ x / 40, 40, 12
    middle = np.trace(sample) / d
    spread = np.square(sample - middle * np.eye(d)).sum() / d
    error = sum(np.square(np.outer(row, row) - sample).sum() for row in x) / n**2 / d
    estimate, share = ledoit_wolf(x)
    assert share == pytest.approx(error / spread)
    assert estimate == pytest.approx(share * middle * np.eye(d) + (1 - share) * sample)
    assert ledoit_wolf(np.zeros((5, 3)))[1] == 1


def test_shrinkage_equals_scikit_learn():
    covariance = pytest.importorskip("sklearn.covariance")
    x = np.random.default_rng(3).standard_normal((30, 50)) * np.linspace(0.1, 5, 50)
    x -= x.mean(0)
    expected = covariance.ledoit_wolf(x, assume_centered=True)
    assert ledoit_wolf(x)[0] == pytest.approx(expected[0])


def heavy(rng, n, d=30):
    """Correlated features with long tails, of units far apart."""
    mixed = rng.standard_normal((n, d)) @ np.tril(np.ones((d, d)))
    return np.exp(mixed / 3) * 10.0 ** np.arange(-5, d - 5)


def test_the_stated_share_of_fresh_samples_is_refused():
    rng = np.random.default_rng(4)
    found = [(judge.values(heavy(rng, 400)) > judge.threshold).mean()
             for judge in (Outliers.fit(heavy(rng, 120), rate=0.1) for _ in range(60))]  # fmt: skip
    assert 0.08 < np.mean(found) < 0.112


def test_an_outlier_is_refused_and_its_feature_named(tmp_path):
    rng = np.random.default_rng(5)
    table = heavy(rng, 150)
    table = np.concatenate([table, np.full((150, 1), 7.0), table[:, :1] * np.nan], axis=1)
    names = [*(f"f{at}" for at in range(30)), "constant", "broken"]
    judge = Outliers.fit(table, names, rate=0.05)
    assert judge.dropped == ("constant", "broken")
    judge.save(tmp_path / "outliers.npz")
    for one in (judge, Outliers.load(tmp_path / "outliers.npz")):
        usual = one.judge(np.median(table, axis=0))
        assert usual.outcome == "pass"
        odd = np.median(table, axis=0)
        odd[12] *= 1e4
        verdict = one.judge(odd)
        assert verdict.outcome == "fail"
        assert verdict.value > verdict.threshold == judge.threshold
        assert "mostly by f12 (high)" in verdict.reason
        odd[3] = np.nan
        assert one.judge(odd).outcome == "undecided"
        assert "f3 is not a finite number" in one.judge(odd).reason
    few = Outliers.fit(table[:40], names, rate=0.01)
    assert few.judge(odd * 0 + 1).outcome == "undecided"
    with pytest.raises(InputError, match="5 features, the reference had 32"):
        judge.judge(np.zeros(5))
    with pytest.raises(InputError, match="at least 20 samples"):
        Outliers.fit(table[:5])
    with pytest.raises(InputError, match=r"rate 2: give the share"):
        Outliers.fit(table, rate=2)


def test_saved_judges_are_no_pickles_and_know_their_kind(tmp_path):
    rng = np.random.default_rng(6)
    copies = Copies.fit(rng.standard_normal((30, 4)), rate=0.1)
    copies.save(tmp_path / "copies.npz")
    with pytest.raises(InputError, match="holds copies version 1, not outliers"):
        Outliers.load(tmp_path / "copies.npz")
    np.savez(tmp_path / "pickle.npz", head=np.array([{"kind": "copies"}], object))
    with pytest.raises(InputError, match="cannot read a saved judge"):
        Copies.load(tmp_path / "pickle.npz")
    (tmp_path / "broken.npz").write_bytes((tmp_path / "copies.npz").read_bytes()[:200])
    with pytest.raises(InputError, match="cannot read a saved judge"):
        Copies.load(tmp_path / "broken.npz")


# Copies --------------------------------------------------------------------------------------------------------------


def test_copies_fail_and_fresh_images_pass_as_stated(tmp_path):
    rng = np.random.default_rng(7)
    scale = np.arange(1, 17) ** -0.5
    train = np.repeat(rng.standard_normal((150, 16)) * scale, 2, 0) + 0.01 * rng.standard_normal((300, 16))
    patients = [str(at // 2) for at in range(300)]
    judge = Copies.fit(train, rate=0.05, patients=patients)
    fresh = rng.standard_normal((2000, 16)) * scale
    assert 0.02 < (judge.values(fresh)[0] < judge.threshold).mean() < 0.09
    judge.save(tmp_path / "copies.npz")
    verdict = Copies.load(tmp_path / "copies.npz").judge(train[77] + 0.02 * rng.standard_normal(16))
    assert verdict.outcome == "fail"
    assert verdict.value < 0.3
    assert "training image 7" in verdict.reason
    assert judge.judge(fresh[0]).outcome == "pass"
    assert Copies.fit(train[:60], rate=0.01).judge(train[0]).outcome == "undecided"
    with pytest.raises(InputError, match="1 training patients"):
        Copies.fit(train, patients=["p"] * 300)


# Artefacts -----------------------------------------------------------------------------------------------------------


def radiograph(rng, size=96):
    smooth = gaussian_filter(rng.standard_normal((size, size)), 8)
    smooth = 120 + 50 * smooth / smooth.std()
    return np.rint((smooth + 2 * rng.standard_normal((size, size))).clip(1, 250)).astype(np.uint8)


def test_measures_by_construction():
    rng = np.random.default_rng(8)
    white = np.rint(30000 + 500 * rng.standard_normal((200, 200))).astype(np.uint16)
    found = measure(white)
    assert found.noise * found.contrast * 65535 == pytest.approx(500, rel=0.02)
    assert found.contrast == pytest.approx(2 * 1.645 * 500 / 65535, rel=0.03)
    assert found.frame == 0
    framed = np.pad(white, ((20, 0), (0, 50)))
    assert measure(framed).frame == pytest.approx(1 - 200**2 / (220 * 250))
    assert measure(np.zeros((32, 32), np.uint8)).frame == 1
    white[:50] = 65535
    assert measure(white).saturated == pytest.approx(0.25, abs=0.01) or measure(white).frame == pytest.approx(0.25)
    with pytest.raises(InputError, match="at least 16 pixels"):
        measure(np.zeros((8, 40), np.uint8))
    with pytest.raises(InputError, match="uint8 or uint16"):
        measure(np.zeros((40, 40)))


def test_each_artefact_is_found(tmp_path):
    rng = np.random.default_rng(9)
    judge = Artefacts.fit((radiograph(rng) for _ in range(250)), rate=0.05)
    judge.save(tmp_path / "artefacts.npz")
    judge = Artefacts.load(tmp_path / "artefacts.npz")
    fresh = [outcome_of(judge.judge(radiograph(rng))) for _ in range(200)]
    assert fresh.count("fail") <= 20
    image = radiograph(rng)
    tiled = image.astype(int)
    tiled[:, 48:] += 14
    bad = {
        "artefact contrast low": np.full((96, 96), 90, np.uint8),
        "artefact saturated high": np.minimum(image, 130).astype(np.uint8),
        "artefact frame high": np.pad(image, 20),
        "artefact seam high": tiled.clip(0, 255).astype(np.uint8),
        "artefact noise low": np.rint(gaussian_filter(image.astype(float), 2)).astype(np.uint8),
        "artefact noise high": (image + 12 * rng.standard_normal(image.shape)).clip(0, 255).astype(np.uint8),
    }
    for name, picture in bad.items():
        verdicts = {one.name: one for one in judge.judge(picture)}
        assert verdicts[name].outcome == "fail", name
    blank = judge.judge(bad["artefact contrast low"])
    assert [one.outcome for one in blank] == ["fail"] + ["undecided"] * 5
    few = Artefacts.fit((radiograph(rng) for _ in range(30)), rate=0.05)
    assert {one.outcome for one in few.judge(image)} == {"undecided", "pass"} or outcome_of(few.judge(image)) != "fail"
    with pytest.raises(InputError, match="3 reference images"):
        Artefacts.fit([image] * 3)


# Anatomy -------------------------------------------------------------------------------------------------------------


def chest(rng, scale=1.0, shift=0.0):
    """Masks of two lungs, and now and then of a device."""
    v, u = np.mgrid[:80, :100]
    centre, size = 40 + 2 * rng.standard_normal(), scale * (1 + 0.05 * rng.standard_normal())
    masks = {}
    for name, at in (("lung_right", 30), ("lung_left", 70)):
        middle = at + shift + 1.5 * rng.standard_normal()
        masks[name] = ((v - centre) / (25 * size)) ** 2 + ((u - middle) / (13 * size)) ** 2 < 1
    if rng.random() < 0.3:
        masks["device"] = np.eye(80, 100, dtype=bool)
    return masks


def test_anatomy_beyond_the_reference_fails(tmp_path):
    rng = np.random.default_rng(10)
    judge = Anatomy.fit((chest(rng) for _ in range(120)), rate=0.05)
    assert (judge.structures, judge.ignored) == (("lung_left", "lung_right"), ("device",))
    judge.save(tmp_path / "anatomy.npz")
    judge = Anatomy.load(tmp_path / "anatomy.npz")
    fresh = [outcome_of(judge.judge(chest(rng))) for _ in range(300)]
    assert 2 <= fresh.count("fail") <= 32

    small, moved, swapped = chest(rng, scale=0.6), chest(rng, shift=12), chest(rng)
    assert [one.outcome for one in judge.judge(small)] == ["fail", "fail"]
    assert "of the image; reference" in judge.judge(small)[0].reason
    assert [one.outcome for one in judge.judge(moved)] == ["fail", "fail"]
    assert "along x" in judge.judge(moved)[0].reason
    swapped["lung_left"], swapped["lung_right"] = swapped["lung_right"], swapped["lung_left"]
    assert [one.outcome for one in judge.judge(swapped)] == ["fail", "fail"]


def test_a_missing_organ_fails():
    rng = np.random.default_rng(11)
    judge = Anatomy.fit([chest(rng) for _ in range(60)], rate=0.1)
    for masks in ({}, {"lung_right": np.zeros((80, 100), bool)}):
        verdict = judge.judge(masks)[1]
        assert (verdict.name, verdict.outcome) == ("anatomy lung_right", "fail")
        assert "is missing" in verdict.reason
    with pytest.raises(InputError, match="a mask of 3 axes"):
        judge.judge({"lung_left": np.ones((4, 4, 4), bool)})
    assert Anatomy.fit([chest(rng) for _ in range(20)], rate=0.01).judge(chest(rng))[0].outcome == "undecided"
    with pytest.raises(InputError, match="no structure is in nearly all"):
        Anatomy.fit([{f"part {at}": np.ones((4, 4))} for at in range(30)])


# Organs --------------------------------------------------------------------------------------------------------------

NAMES = {
    1: "liver",
    2: "kidney_left",
    3: "lung_lower_lobe_left",
    4: "lung_middle_lobe_right",
    5: "rib_left_3",
    6: "spleen",
}


def test_organs_by_their_names():
    assert [organ_of(name) for name in NAMES.values()] == ["liver", "kidney", "lung", "lung", "bone", "spleen"]
    assert [organ_of(name) for name in ("lung_vessels", "kidney_cyst_left", "aorta", "vertebrae_L1")] == [
        None, None, None, "bone",
    ]  # fmt: skip
    assert usual_organs([["liver", "aorta"]] * 19 + [["liver", "spleen"]]) == ("liver",)
    assert usual_organs([]) == ()


def test_medians_missing_organs_and_too_few_voxels():
    labels = np.zeros((10, 10, 10), np.uint8)
    labels[:2], labels[2:4], labels[4:6], labels[6:8], labels[8, :9] = 1, 2, 3, 4, 5
    hu = np.zeros(labels.shape, np.int16)
    for label, value in ((1, 60), (2, 400), (3, -800), (4, -850), (5, 300)):
        hu[labels == label] = value
    found = {one.name: one for one in organ_verdicts(hu, labels, NAMES)}
    assert {name: one.outcome for name, one in found.items()} == {
        "HU liver": "pass", "HU spleen": "fail", "HU kidney": "fail", "HU lung": "pass", "HU bone": "undecided",
    }  # fmt: skip
    assert found["HU spleen"].reason == "spleen is missing"
    assert (found["HU kidney"].value, found["HU kidney"].threshold) == (400, 268)
    assert found["HU lung"].value == -825  # both lobes together, the middle one too
    only = organ_verdicts(hu, labels, NAMES, expected=["liver", "pancreas"])
    assert {one.name: one.outcome for one in only}["HU pancreas"] == "fail"
    assert "HU spleen" not in {one.name for one in only}
    with pytest.raises(InputError, match="no HU range for 'brain'"):
        organ_verdicts(hu, labels, NAMES, expected=["brain"])
    with pytest.raises(InputError, match="on one grid"):
        organ_verdicts(hu[1:], labels, NAMES)


# Conditions ----------------------------------------------------------------------------------------------------------


def test_conditions():
    read = {"sex": {"F": 0.9, "M": 0.1}, "age_group": {"18-39": 0.35, "40-59": 0.4, "60-79": 0.25}}
    stated = {"sex": "F", "age_group": "18-39", "view": "PA", "finding:Edema": None}
    found = condition_verdicts(stated, read)
    assert [(one.name, one.outcome) for one in found] == [
        ("condition sex", "pass"), ("condition age_group", "undecided"), ("condition view", "undecided"),
    ]  # fmt: skip
    wrong = condition_verdicts({"sex": "M"}, read)[0]
    assert (wrong.outcome, wrong.value, wrong.threshold) == ("fail", 0.1, 0.2)
    assert wrong.reason == "asked for M (10%), read as F (90%)"
    assert condition_verdicts({"age_group": "40-59"}, read)[0].outcome == "pass"
    with pytest.raises(InputError, match="give a probability"):
        condition_verdicts(stated, read, least=2)
