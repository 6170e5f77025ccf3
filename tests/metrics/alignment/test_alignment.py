from __future__ import annotations

import json

import numpy as np
import pytest

from synth.core.errors import InputError
from synth.metrics.alignment.conditions import ConditionReader, agreement_table, asked_of, stated_conditions
from synth.metrics.alignment.image_text import alignment_score, cosines, retrieval_rate
from synth.metrics.alignment.model import ClipModel


def test_cosines_by_hand():
    assert cosines([[1, 0], [3, 4]], [[0, 2], [6, 8]]) == pytest.approx([0, 1])
    with pytest.raises(InputError, match="row 1 has length 0"):
        cosines([[1, 0], [0, 0]], [[1, 0], [1, 0]])
    with pytest.raises(InputError, match="give a text an image"):
        cosines(np.ones((3, 2)), np.ones((2, 2)))


def test_matching_texts_score_above_the_floor():
    rng = np.random.default_rng(0)
    common, own = rng.standard_normal(16), rng.standard_normal((60, 16))
    images, texts = (3 * common + own + 0.5 * rng.standard_normal((60, 16)) for _ in range(2))
    score = alignment_score(images, texts, rng=rng, permutations=199)
    every = np.array([cosines(images, np.roll(texts, shift, 0)) for shift in range(60)])
    assert score.value == pytest.approx(every[0].mean())
    assert score.floor == pytest.approx(every[1:].mean())
    assert score.low < score.value < score.high
    assert score.p_value < 0.01
    assert retrieval_rate(images, texts, rng=rng, candidates=20) > 0.8


def test_texts_dealt_at_random_are_not_told_apart():
    rng = np.random.default_rng(1)
    p = [alignment_score(*rng.standard_normal((2, 30, 8)), rng=rng, permutations=99).p_value for _ in range(60)]
    assert np.mean(np.array(p) <= 0.05) <= 0.12
    rate = retrieval_rate(*rng.standard_normal((2, 400, 8)), rng=rng, candidates=10)
    assert 0.05 < rate < 0.15
    same = alignment_score(rng.standard_normal((5, 8)), np.ones((5, 8)), rng=rng, prompts=["chest"] * 5)
    assert same.p_value == 1
    assert same.warnings == ("all texts are one: which text an image has cannot be tested",)
    assert retrieval_rate(rng.standard_normal((5, 8)), np.ones((5, 8)), rng=rng) == pytest.approx(0.2)


def test_a_model_that_is_not_there_is_told(tmp_path):
    with pytest.raises(InputError, match="no such folder"):
        ClipModel(tmp_path / "clip")
    with pytest.raises(InputError, match="no weights in it"):
        ClipModel(tmp_path)


ROWS = [
    {"sex": "F", "age": "63", "finding": '[{"name": "Pleural Effusion", "laterality": "left"}]'},
    {"sex": "M", "age": "20", "finding": "Edema|Pneumonia"},
    {"sex": "", "age": "", "finding": ""},
    {"sex": "male", "age": "63", "finding": "No Finding"},
]
ATTRIBUTES = {
    "sex": ("F", "M"),
    "age_group": ("0-17", "18-39", "40-59", "60-79", "80+"),
    "finding:edema": ("yes", "no"),
    "side:Pleural Effusion": ("left", "right", "bilateral"),
}


class Oracle:
    name = "oracle"
    attributes = ATTRIBUTES

    def read(self, images):
        return {key: np.tile(np.eye(len(values))[0], (len(images), 1)) for key, values in ATTRIBUTES.items()}


def test_what_rows_ask_for():
    stated = stated_conditions(ROWS, ATTRIBUTES)
    assert [row["sex"] for row in stated] == ["F", "M", None, "M"]
    assert [row["age_group"] for row in stated] == ["60-79", "18-39", None, "60-79"]
    assert [row["finding:edema"] for row in stated] == ["no", "yes", None, "no"]
    assert [row["side:Pleural Effusion"] for row in stated] == ["left", None, None, None]
    with pytest.raises(InputError, match="no column 'race'"):
        stated_conditions(ROWS, {"race": ("A",)})


def test_two_findings_of_one_name_on_both_sides_are_bilateral():
    cells = ['[{"name": "Edema", "laterality": "left"}, {"name": "Edema", "laterality": "right"}]',
             '[{"name": "Edema", "laterality": "left"}, {"name": "Edema", "laterality": "left"}]',
             '[{"name": "Edema", "laterality": "left"}, {"name": "Edema"}]']  # fmt: skip
    stated = stated_conditions([{"finding": cell} for cell in cells], {"side:Edema": ("left", "right", "bilateral")})
    assert [row["side:Edema"] for row in stated] == ["bilateral", "left", None]


def test_a_reader_is_asked_what_the_table_has_and_of_its_own_views():
    reader = Oracle()
    reader.views = ("PA", "AP")
    rows = [{"sex": "F", "View Position": view} for view in ("PA", " ap", "", "LATERAL", "RAO30")]
    asked = asked_of(reader, rows)
    assert [row["sex"] for row in asked] == ["F", "F", "F", None, None]
    assert all(row[name] is None for row in asked for name in ATTRIBUTES if name != "sex")
    assert asked_of(Oracle(), rows[3:4])[0]["sex"] == "F"
    assert asked_of(reader, ROWS) == stated_conditions(ROWS, ATTRIBUTES)
    with pytest.raises(InputError, match="no column"):
        asked_of(reader, [{"race": "A"}])


def test_the_table_of_agreement():
    reader = Oracle()
    assert isinstance(reader, ConditionReader)
    table = agreement_table(stated_conditions(ROWS, ATTRIBUTES), reader.read([None] * 4), ATTRIBUTES)
    found = {(one.attribute, one.asked): one for one in table}
    assert (found["sex", "all"].n, found["sex", "all"].agreed, found["sex", "F"].share) == (3, 1, 1.0)
    assert found["sex", "M"].share == 0
    assert found["sex", "all"].kappa == pytest.approx(0)
    assert ("age_group", "0-17") not in found
    one = found["side:Pleural Effusion", "left"]
    assert (one.agreed, one.high) == (1, 1.0)
    assert one.low == pytest.approx(1 / (1 + 1.959964**2))  # Wilson's for 1 of 1
    assert one.warnings == ("only 1 images asked for it",)
    json.dumps([one.as_dict() for one in table])
    with pytest.raises(InputError, match=r"sex: probabilities of shape \(3, 2\)"):
        agreement_table(stated_conditions(ROWS, ATTRIBUTES), Oracle().read([None] * 3), ATTRIBUTES)


def test_kappa_by_hand():
    # 20 yes/yes, 5 yes/no, 10 no/yes, 15 no/no: κ = (0.7 − 0.5)/(1 − 0.5).
    stated = [{"sex": "F"}] * 25 + [{"sex": "M"}] * 25
    given = np.array([0] * 20 + [1] * 5 + [0] * 10 + [1] * 15)
    first = agreement_table(stated, {"sex": np.eye(2)[given]}, {"sex": ("F", "M")})[0]
    assert first.kappa == pytest.approx(0.4)
    assert first.share == pytest.approx(0.7)
