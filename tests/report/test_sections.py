"""What the sections of the page say."""

from __future__ import annotations

import json

import numpy as np
import pytest

from synth.core.errors import InputError
from synth.core.files import write_bytes
from synth.metrics.scoring.meaning import meaning
from synth.report.contents import Contents, open_contents
from synth.report.groups import survey
from synth.report.judgement import Ratio, gate_part, ratios, skew_warnings
from synth.report.provenance import head_part, provenance_part
from synth.report.scores import card_of, scores_part
from synth.report.spread import plan_part, spread_part
from tests.metrics.pages.test_page import card
from tests.report.datasets import EVIL, PLAN, counts, gate_json, row_of, write_gated, write_manifest


def contents(tmp_path, scores=None, plan=None, gate=None):
    return Contents(tmp_path, {"gate": gate} if gate else {}, scores, plan)


def test_an_interval_of_a_ratio_is_wilsons():
    # 81 of 263: Wilson's interval of Newcombe (1998), table I.
    low, high = Ratio("x", 263, 81, 263).interval()
    assert (round(low, 4), round(high, 4)) == (0.2553, 0.3662)


def test_a_gate_that_skews_is_told_and_a_fair_one_is_not():
    whole = Ratio("all", 200, 200, 300)
    skewed = [Ratio("F", 100, 100, 190), Ratio("M", 100, 100, 110)]
    less, more = skew_warnings("sex", skewed, whole)
    assert less.startswith("sex F: accepted less often than the others, 53% of 190 attempts")
    assert more.startswith("sex M: accepted more often")
    assert skew_warnings("sex", [Ratio("F", 100, 100, 155), Ratio("M", 100, 100, 145)], whole) == []
    assert skew_warnings("sex", [Ratio("F", 90, 80, 120)], whole) == []
    unfilled = Ratio("all", 200, 190, 300)
    assert skew_warnings("sex", [Ratio("F", 90, 80, 120)], unfilled) == ["sex: cases that were filled: F 80 of 90"]


def test_a_fair_gate_is_seldom_called_skewed():
    """Of 12 groups with one ratio, at most some 5 in 100 sets have a group that is warned of."""
    rng = np.random.default_rng(0)
    warned = 0
    for _ in range(400):
        taken = rng.binomial(200, 0.7, 12)
        groups = [Ratio(str(k), 0, int(one), 200) for k, one in enumerate(taken)]
        warned += bool(skew_warnings("finding", groups, Ratio("all", 0, int(taken.sum()), 2400)))
    assert warned / 400 < 0.08


def test_groups_without_an_attempt_have_no_ratio():
    assert ratios({"F": counts(3, 0, 0), "M": counts(3, 2, 4)}) == [Ratio("M", 3, 2, 4)]


def test_what_the_gate_accepted_and_why_not(tmp_path):
    root = write_gated(tmp_path, 12)
    part = gate_part(open_contents(root), [])
    assert "59 of 60 cases were filled, in 131 attempts: 45.0% of the attempts were accepted" in part
    assert "sex F: accepted less often than the others, 29% of 100 attempts" in part
    assert "sex: cases that were filled: F 29 of 30" in part
    assert '<td>artefacts</td><td class="number">10</td><td class="number">100%</td>' in part
    assert '<td>outlier</td><td class="number">5</td><td class="number">50%</td>' in part
    assert part.index(">artefacts</h3>") < part.index(">outlier</h3>")
    assert EVIL not in part


def test_a_gate_without_an_attempt_says_nothing(tmp_path):
    said = {"accepted": True, "cases": 3, "accepted_cases": 0, "attempts": 0, "by": {}}
    assert gate_part(contents(tmp_path, gate=said), []) == gate_part(contents(tmp_path), []) == ""


def test_a_scorecard_comes_back_from_json():
    before = card()
    after = card_of(json.loads(before.to_json()))
    assert after["fd"] == before["fd"]
    assert after.rows[3] == before.rows[3]
    assert after.all_warnings == before.all_warnings
    assert (after.reference, after.n_reference, after.explanation) == (before.reference, 40, (("glcm", 0.7),))


def test_scores_are_told_with_their_meaning(tmp_path):
    part = scores_part(contents(tmp_path, scores=gate_json()))
    for text in ("at most 3", "2 to 3", meaning("fd", card()["fd"]), "<h2>By sex</h2>", "fd: few"):
        assert text in part
    assert "nan" not in part
    assert "Asked of the set" not in scores_part(contents(tmp_path, scores=card().as_dict()))
    assert scores_part(contents(tmp_path)) == ""


@pytest.mark.parametrize(
    "scores",
    [
        {},
        {"scores": 3},
        {"scores": [{"metric": "fd"}]},
        {"scores": [{"metric": "none"}], "warnings": [], "settings": {}},
    ],
)
def test_other_scores_are_refused(tmp_path, scores):
    with pytest.raises(InputError, match="its scores are not as synth gate writes them"):
        scores_part(contents(tmp_path, scores=scores))


def test_before_and_after(tmp_path):
    part = plan_part(contents(tmp_path, plan=PLAN))
    for text in ("25.0% (10)", "75.0% (30)", "50.0% (40)"):
        assert part.count(text) == 2
    marginals = {"any_finding": [{"value": "Edema", "before": 20, "made": 4, "after": 24}]}
    assert "50.0% (20)" in plan_part(contents(tmp_path, plan=PLAN | {"marginals": marginals}))
    assert plan_part(contents(tmp_path)) == ""
    with pytest.raises(InputError, match=r"plan\.json: not as synth plan writes it"):
        plan_part(contents(tmp_path, plan={"columns": ["sex"]}))


def test_the_sets_own_subgroups():
    part = spread_part(survey(row_of(index) for index in range(60)))
    for text in ("33.3% (20)", "25.0% (15)", "No Finding", "20-29"):
        assert text in part
    assert "<h3>Gate" not in part
    many = spread_part(survey({"race": f"r{index}"} for index in range(40)))
    assert "; 16 groups more" in many
    assert spread_part(survey([])) == ""


def test_head_and_provenance(tmp_path):
    root = write_gated(tmp_path, 12)
    opened = open_contents(root)
    counted = survey(opened.rows())
    head, foot = head_part(opened, counted), provenance_part(opened, counted)
    for text in (
        "These images are synthetic",
        "<b>12</b>",
        "<b>7</b>",
        "CC0-1.0",
        '<strong class="pass">accepted</strong>: fake',
    ):
        assert text in head
    for text in ("ab" * 32, "version of numpy", "<summary>Recipe</summary>", "count of samples"):
        assert text in foot
    assert EVIL not in head + foot
    write_manifest(root, 12, gate={"accepted": False, "answer": "rejected: fd is 9"})
    assert '<strong class="fail">rejected</strong>: fd is 9' in head_part(open_contents(root), counted)
    write_manifest(root, 12)
    (root / "gate.json").unlink()
    assert "No gate was asked" in head_part(open_contents(root), counted)


def test_a_long_recipe_is_cut(tmp_path):
    said = {"recipe": {"rows": ["x" * 50] * 10_000}}
    part = provenance_part(Contents(tmp_path, said, None, None), survey([]))
    assert len(part) < 100_000
    assert "dataset.json has all of it" in part


def test_damaged_gate_is_one_line(tmp_path):
    root = write_gated(tmp_path, 4)
    write_bytes(root / "gate.json", b"{")
    with pytest.raises(InputError, match=r"gate\.json: damaged"):
        open_contents(root)
    with pytest.raises(InputError, match=r"dataset\.json: what it says of the gate"):
        gate_part(contents(tmp_path, gate={"accepted": True}), [])
