"""Which samples are shown, and what is counted."""

from __future__ import annotations

import json
from collections import Counter

import numpy as np
import pytest

from synth.report.groups import age_group, findings_of, groups_of, survey
from synth.report.items import in_words
from synth.report.sampling import choose
from tests.report.datasets import row_of


def rare(n):
    """Rows of whom one in 500 is Black and one in 1000 has a pneumothorax."""
    for index in range(n):
        finding = "Pneumothorax" if index % 1000 == 7 else "Edema" if index % 2 else ""
        findings = json.dumps([{"name": finding}]) if finding else ""
        yield {
            "file_name": f"{index}.png", "sex": "FM"[index % 2], "age": str(20 + index % 60), "view": "PA",
            "race": "Black" if index % 500 == 3 else "White", "findings": findings,
        }  # fmt: skip


def test_small_subgroups_are_seen():
    counted = survey(rare(5000))
    chosen = choose(counted, 60)
    rows = [row for number, row in enumerate(rare(5000)) if number in set(chosen)]
    assert len(rows) == 60 == len(set(chosen))
    assert chosen == sorted(chosen)
    races = Counter(row["race"] for row in rows)
    assert races["Black"] == 10  # all there are
    findings = Counter(groups_of(row)[4][0] for row in rows)
    assert findings["Pneumothorax"] == 5
    assert Counter(row["sex"] for row in rows)["F"] == pytest.approx(30, abs=6)
    assert set(Counter(groups_of(row)[1][0] for row in rows)) == {f"{k}0-{k}9" for k in range(2, 8)}


def test_the_same_rows_every_time_and_not_the_first():
    first, again = (choose(survey(rare(5000)), 60) for _ in range(2))
    assert first == again
    assert np.mean(first) == pytest.approx(2500, abs=500)


def test_all_where_there_are_few():
    assert choose(survey(rare(5)), 60) == [0, 1, 2, 3, 4]
    assert choose(survey([]), 60) == []


def test_counts():
    counted = survey(row_of(index) for index in range(60))
    assert len(counted) == 60
    assert counted.totals["sex"] == {"F": 30, "M": 30}
    assert counted.totals["race"] == {"Asian": 20, "Black": 20, "unknown": 20}
    assert counted.totals["finding"] == {"Edema": 15, "Pneumothorax": 15, "Cardiomegaly": 15, "No Finding": 15}
    assert counted.models == {"ab" * 32}


def test_an_image_of_two_findings_counts_for_both():
    both = json.dumps([{"name": "Edema"}, {"name": "Pneumothorax"}, {"name": "Edema"}])
    assert survey([{"findings": both}]).totals["finding"] == {"Edema": 1, "Pneumothorax": 1}


@pytest.mark.parametrize(
    ("cell", "group"),
    [
        ("0", "0-9"),
        ("39.9", "30-39"),
        ("40", "40-49"),
        ("", "unknown"),
        ("x", "unknown"),
        ("inf", "unknown"),
        ("-1", "unknown"),
    ],
)
def test_age_groups(cell, group):
    assert age_group(cell) == group


@pytest.mark.parametrize("cell", ["", "no JSON", "[1, 2]", "{}", "null"])
def test_cells_without_findings(cell):
    assert findings_of({"findings": cell}) == []


def test_findings_in_words():
    assert in_words({"name": "Edema", "laterality": "left", "kind": "interstitial edema", "size_cm": 2}) == (
        "Edema: left, interstitial edema, 2 cm"
    )
    assert in_words({"name": "Fracture"}) == "Fracture"
