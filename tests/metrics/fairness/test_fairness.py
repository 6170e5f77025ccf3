from __future__ import annotations

import json

import numpy as np
import pytest

from synth.core.errors import InputError
from synth.metrics.distances.mmd_score import kid_score
from synth.metrics.fairness.by_group import score_by_group
from synth.metrics.fairness.classifier_table import ClassifierTable
from synth.metrics.fairness.underdiagnosis import RATES, rate_gap, underdiagnosis
from synth.metrics.score_value import Score


def mean_shift(x, y):
    return Score(float(y.mean() - x.mean()), n_reference=len(x), n_generated=len(y))


def test_a_score_by_groups_and_intersections():
    reference, generated = np.zeros((6, 1)), np.array([[1.0], [1.0], [5.0], [5.0], [7.0]])
    reference_rows = [{"Gender": sex, "age": age} for sex, age in zip("FFFMM", (30, 30, 50, 50, 50), strict=True)]
    reference_rows.append({"Gender": "", "age": ""})
    generated_rows = [{"sex": sex, "age": "50"} for sex in ("F", "female", "M", "M", "X")]
    reference_rows = [{key: str(cell) for key, cell in row.items()} for row in reference_rows]
    found = {one.group: one for one in score_by_group(mean_shift, reference, reference_rows, generated, generated_rows,
                                                      "sex", few=3)}  # fmt: skip
    assert list(found) == ["all", "F", "M", "X", "unknown"]
    assert [found[name].score.value for name in ("all", "F", "M")] == pytest.approx([3.8, 1, 5])
    assert (found["F"].n_reference, found["F"].n_generated) == (3, 2)
    assert found["F"].warnings == ("small group: 3 reference and 2 generated images",)
    assert found["all"].warnings == ()
    assert found["X"].score is None
    assert found["X"].warnings == ("no reference image of this group",)
    assert found["unknown"].warnings == ("no generated image of this group",)
    both = score_by_group(mean_shift, reference, reference_rows, generated, generated_rows, "sex", "age_group")
    assert "F, 18-39" in {one.group for one in both}
    json.dumps([one.as_dict() for one in both])


def test_groups_too_small_for_a_score_do_not_stop_the_others():
    rng = np.random.default_rng(0)
    x, rows = rng.standard_normal((21, 3)), [{"sex": "F"}] * 20 + [{"sex": "M"}]
    found = score_by_group(lambda a, b: kid_score(a, b, rng=rng, permutations=0), x, rows, x + 1, rows, "sex")
    scores = {one.group: one.score for one in found}
    assert scores["M"] is None
    assert scores["F"].low < scores["F"].value < scores["F"].high
    with pytest.raises(InputError, match="2 rows of metadata for 21 images"):
        score_by_group(mean_shift, x, rows[:2], x, rows, "sex")
    with pytest.raises(InputError, match="no column 'race'"):
        score_by_group(mean_shift, x, rows, x, rows, "race")


TRUTH = [0, 0, 0, 0, 1, 1, 0, 0, 1, 1, 1, 0]
SAID = [1, 1, 0, 0, 1, 0, 0, 1, 1, 1, 0, 0]
SEX = list("FFFFFF") + list("MMMMMM")


def test_rates_by_hand():
    table = ClassifierTable.of(TRUTH, SAID, {"sex": SEX})
    by_hand = {"fpr": (2 / 4, 1 / 3), "tnr": (2 / 4, 2 / 3), "tpr": (1 / 2, 2 / 3), "fnr": (1 / 2, 1 / 3),
               "accuracy": (3 / 6, 4 / 6), "selection_rate": (3 / 6, 3 / 6), "prevalence": (2 / 6, 3 / 6)}  # fmt: skip
    for rate in RATES:
        gap = rate_gap(table, rate, "sex", rng=np.random.default_rng(0), few=1, draws=200)
        rates = {one.group: one.rate for one in gap.groups}
        assert (rates["F"], rates["M"]) == pytest.approx(by_hand[rate])
        assert gap.value == pytest.approx(abs(by_hand[rate][0] - by_hand[rate][1]))
        assert gap.low <= gap.value <= gap.high
    gap = underdiagnosis(table, "sex", rng=np.random.default_rng(0), few=1, draws=50)
    assert (gap.name, gap.most, gap.least, gap.overall) == ("fpr", "F", "M", 3 / 7)
    assert gap.p_value > 0.2
    missed = underdiagnosis(table, "sex", rng=np.random.default_rng(0), label="finding", few=1, draws=50)
    assert missed.name == "fnr"
    assert table.warnings[0] in gap.warnings
    json.dumps(gap.as_dict())


def test_rates_equal_fairlearn():
    metrics = pytest.importorskip("fairlearn.metrics")
    rng = np.random.default_rng(1)
    truth, said = rng.integers(0, 2, (2, 400))
    groups = {"sex": rng.choice(["F", "M"], 400).tolist(), "race": rng.choice(["A", "B", "C"], 400).tolist()}
    frame = metrics.MetricFrame(
        metrics=metrics.false_positive_rate, y_true=truth, y_pred=said, sensitive_features=groups
    )
    gap = rate_gap(ClassifierTable.of(truth, said, groups), "fpr", "sex", "race", rng=rng, few=1, draws=10)
    assert gap.value == pytest.approx(frame.difference())
    assert {one.group: one.rate for one in gap.groups} == pytest.approx(
        {", ".join(group): rate for group, rate in frame.by_group.items()}
    )


def many(rng, patients, rates, images=3):
    """Patients of two groups, of whom all images are judged alike."""
    sex = rng.choice(["F", "M"], patients)
    wrong = rng.random(patients) < np.where(sex == "F", *rates)
    of = np.repeat(np.arange(patients), images)
    return ClassifierTable.of(np.zeros(len(of)), wrong[of], {"sex": sex[of].tolist()}, patients=of.tolist())


def test_intervals_and_p_values_go_by_patients():
    rng = np.random.default_rng(2)
    covered = alarms = 0
    for _ in range(60):
        gap = underdiagnosis(many(rng, 80, (0.3, 0.3)), "sex", rng=rng, draws=100)
        rate = next(one for one in gap.groups if one.group == "F")
        covered += rate.low <= 0.3 <= rate.high
        alarms += gap.p_value <= 0.05
    assert covered >= 52
    assert alarms <= 8
    gap = underdiagnosis(many(rng, 300, (0.5, 0.2)), "sex", rng=rng, draws=200)
    assert gap.p_value < 0.02
    assert gap.most == "F"
    assert 0 < gap.floor < gap.value
    assert gap.low < 0.3 < gap.high


def test_small_groups_are_shown_and_left_out_of_the_gap():
    truth, said = [0] * 102, [0, 1] * 50 + [1, 1]
    table = ClassifierTable.of(truth, said, {"sex": ["F"] * 50 + ["M"] * 50 + ["X"] * 2}, patients=list(range(102)))
    gap = underdiagnosis(table, "sex", rng=np.random.default_rng(0), draws=50)
    small = next(one for one in gap.groups if one.group == "X")
    assert (small.rate, small.warnings) == (1.0, ("small group: a rate of 2 images",))
    assert small.low < 0.9 < small.high
    assert gap.value == 0
    assert gap.warnings == ("1 groups of fewer than 30 images are not in the gap",)
    alone = underdiagnosis(table, "sex", rng=np.random.default_rng(0), few=60, draws=50)
    assert alone.value is None
    healthy = rate_gap(table, "tpr", "sex", rng=np.random.default_rng(0), draws=50)
    assert healthy.overall is None
    assert healthy.groups[0].rate is None


def test_tables_are_read_and_bad_ones_refused(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("y_true,y_prob,sex,patient_id\n1,0.7,F,a\n0,0.5,F,a\n0,0.2,M,b\n")
    table = ClassifierTable.read(path)
    assert table.truth.tolist() == [True, False, False]
    assert table.prediction.tolist() == [True, True, False]
    assert table.patients.tolist() == [0, 0, 1]
    assert len(table) == 3
    assert table.groups("sex") == {("F",): [0, 1], ("M",): [2]}
    with pytest.raises(InputError, match="no column 'y_pred'"):
        ClassifierTable.read(path, prediction="y_pred")
    path.write_text("y_true,y_prob,patient_id\nmaybe,0.7,a\n")
    with pytest.raises(InputError, match="'maybe' is no number"):
        ClassifierTable.read(path)
    with pytest.raises(InputError, match="pass threshold="):
        ClassifierTable.of([0, 1], [0.2, 0.7], {})
    with pytest.raises(InputError, match="sex: 1 values for 2"):
        ClassifierTable.of([0, 1], [0, 1], {"sex": ["F"]})
    with pytest.raises(InputError, match="unknown rate 'ppv'"):
        rate_gap(table, "ppv", "sex", rng=np.random.default_rng(0))
