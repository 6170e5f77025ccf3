from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from synth.core.errors import InputError
from synth.metrics.gate.bounds import Bound, Limit
from synth.metrics.gate.policy import DEFAULT_BOUNDS, Policy, policy_from, read_policy
from synth.metrics.score_value import Score


def test_what_a_file_leaves_out_keeps_its_default(tmp_path):
    path = tmp_path / "policy.yaml"
    path.write_text(
        "scores:\n  frd: {max_above_floor: 1.5}\n  recall: null\n  coverage: {min: 0.5}\n"
        "window: [0, 4095]\nresize: [64, 48]\nreport: [kid]\nsamples: {repeats: false}\nleast_accepted: 0.5\n"
    )
    policy = read_policy(path)
    assert policy.scores == {
        "precision": DEFAULT_BOUNDS["precision"],
        "vendi": DEFAULT_BOUNDS["vendi"],
        "frd": Bound(max_above_floor=1.5),
        "coverage": Bound(min=0.5),
    }
    assert policy.metrics == ("precision", "vendi", "frd", "coverage", "kid")
    assert (policy.window, policy.resize, policy.least_accepted) == ((0.0, 4095.0), (64, 48), 0.5)
    assert not policy.samples.repeats
    assert policy.samples.copies == 0.01
    path.write_text("")
    assert read_policy(path) == Policy()
    path.write_text("scores: null")
    assert not read_policy(path).scores


def test_a_policy_told_as_plain_values_reads_as_itself():
    policy = policy_from({"scores": {"fd": {"max": 3}}, "undecided": "reject"})
    assert policy_from(policy.as_dict()) == policy


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"score": {}}, "unknown key 'score'; did you mean 'scores'"),
        ({"scores": {"precison": {"min": 1}}}, "scores: unknown key 'precison'; did you mean 'precision'"),
        ({"scores": {"fd": {"maximum": 1}}}, "scores.fd: unknown key 'maximum'; did you mean 'max'"),
        ({"scores": {"fd": {"max": "low"}}}, "scores.fd: max must be a number, got 'low'"),
        ({"scores": {"fd": {"max": True}}}, "max must be a number"),
        ({"scores": {"fd": {}}}, "scores.fd: a bound needs one of max, min"),
        ({"scores": {"fd": 3}}, "scores.fd: expected thresholds"),
        ({"scores": {"fd": {"max_of_floor": 0}}}, "max_of_floor must be above 0"),
        ({"scores": ["fd"]}, "scores: expected a metric: its thresholds"),
        ({"samples": {"repeat": True}}, "policy.samples: unknown key 'repeat'; did you mean 'repeats'"),
        ({"samples": {"repeats": "yes"}}, "policy.samples.repeats must be true or false"),
        ({"samples": {"outlier": 2}}, "outlier must be a share"),
        ({"samples": {"outlier": "few"}}, "policy.samples.outlier must be a number"),
        ({"structures": "heart"}, "structures must be a list"),
        ({"memorisation": -1}, "memorisation must be a share"),
        ({"least_accepted": 90}, "least_accepted must be a share"),
        ({"undecided": "maybe"}, "undecided must be value, accept, reject"),
        ({"window": [9, 1]}, "window must be"),
        ({"window": "wide"}, "window must be"),
        ({"resize": [64]}, "resize must be"),
        ({"resize": "64"}, "resize must be"),
        ({"report": ["fidd"]}, "unknown metric 'fidd'; did you mean 'fid'"),
        ({"report": "kid"}, "report must be a list"),
        (["fd"], "expected key: value pairs"),
    ],
)
def test_bad_policies_say_what_is_wrong(values, said):
    with pytest.raises(InputError) as caught:
        policy_from(values)
    assert said in str(caught.value)


@pytest.mark.parametrize(("content", "said"), [("a: [", "not YAML"), ("- 1", "key: value"), (b"\xff", "not YAML")])
def test_bad_files_are_named(tmp_path, content, said):
    path = tmp_path / "policy.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InputError, match=rf"policy\.yaml: .*{said}"):
        read_policy(path)
    with pytest.raises(InputError, match=r"none\.yaml: cannot read"):
        read_policy(tmp_path / "none.yaml")


def test_limits_beside_the_floor():
    bound = Bound(max=9, max_of_floor=2, max_above_floor=0.5)
    assert [limit.at for limit in bound.limits(3.0)] == [9, 6, 3.5]
    assert [limit.at for limit in bound.limits(None)] == [9]
    assert bound.needs_floor
    assert not Bound(min=0).needs_floor
    (least,) = Bound(min_of_floor=0.8).limits(0.5)
    assert (least.at, least.upper) == (0.4, False)


@pytest.mark.parametrize(
    ("low", "value", "high", "sure"),
    [(0.1, 0.2, 0.3, True), (0.6, 0.7, 0.8, False), (0.4, 0.45, 0.6, None), (None, 0.4, None, True)],
)
def test_an_interval_decides_where_it_is_on_one_side(low, value, high, sure):
    assert Limit(0.5, True, "").surely(Score(value, low, high)) is sure
    assert Limit(-0.5, False, "").surely(Score(-value, low and -high, high and -low)) is sure


def test_a_value_that_is_no_number_keeps_no_limit():
    assert not Limit(1, True, "").kept(float("nan"))
    assert not Limit(1, False, "").kept(float("nan"))


def test_the_manual_shows_the_default():
    text = (Path(__file__).resolve().parents[3] / "docs" / "scoring.md").read_text()
    shown = re.search(r"```yaml\n(.*?)```", text, re.DOTALL)[1]
    policy = policy_from(yaml.safe_load(shown))
    assert policy == Policy()
    assert set(yaml.safe_load(shown)) == set(vars(Policy()))
    assert set(yaml.safe_load(shown)["samples"]) == set(Policy().samples.as_dict())
