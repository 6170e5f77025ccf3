"""PLAN.csv, PLAN.json and PLAN.svg."""

import json
import xml.etree.ElementTree as ET

import pytest

from synth.core.errors import InputError
from synth.core.record import Finding
from synth.dataset.plan import PlanSettings, make_plan, read_plan, read_reference, write_plan
from synth.dataset.plan.files import PLAN_COLUMNS, plan_csv
from synth.dataset.plan.picture import draw_picture
from synth.dataset.plan.summary import summary
from synth.dataset.request import Request
from tests.dataset.plan.label_files import write

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def plan(tmp_path_factory):
    rows = [["F", "30", "Effusion|Mass", "PA"]] * 3 + [["M", "70", "none", "AP"]] * 5 + [["", "", "", ""]]
    path = write(tmp_path_factory.mktemp("plan") / "a<b.csv", ["sex", "age", "finding", "view"], rows)
    return make_plan(read_reference(path), PlanSettings(("sex", "finding"), total=20))


def test_a_plan_reads_back(plan, tmp_path):
    write_plan(plan, tmp_path / "p.csv")
    assert {path.name for path in tmp_path.iterdir()} == {"p.csv", "p.json", "p.svg"}
    assert read_plan(tmp_path / "p.csv") == list(plan.requests)
    told = json.loads((tmp_path / "p.json").read_text())
    assert told == summary(plan)
    assert set(told) == {"columns", "samples", "cells", "marginals", "unknown", "reference", "settings"}
    assert told["columns"] == ["sex", "finding"]
    assert set(told["cells"][0]) == {"values", "before", "target", "made", "after"}
    assert told["unknown"] == {"sex": 1, "age_group": 1, "view": 1, "finding": 1}
    assert (tmp_path / "p.svg").read_text() == draw_picture(told)


def test_no_path_is_told(plan, tmp_path):
    write_plan(plan, tmp_path / "p.csv")
    for path in tmp_path.iterdir():
        assert str(tmp_path.parent) not in path.read_text()


def test_every_kind_of_wish_reads_back(tmp_path):
    mass = Finding("Lung Lesion", "left", "upper lobe", 3.5, kind="mass")
    requests = [
        Request(0, 2**63 - 1, "a", "F", 40.0, "Black, or other", "PA", (mass,), 'say "mass",\nplease'),
        Request(1, 0, "b", findings=()),
        Request(2, 7, "c", age=0.25),
    ]
    path = tmp_path / "p.csv"
    path.write_text(plan_csv(requests), newline="")
    assert path.read_text().splitlines()[0] == ",".join(PLAN_COLUMNS)
    assert read_plan(path) == requests
    write(path, ["seed", "id"], [["3", "x"]])
    assert read_plan(path) == [Request(0, 3, "x")]


@pytest.mark.parametrize(
    ("columns", "row", "words"),
    [
        (["id"], ["a"], r"p\.csv: has no column 'seed'"),
        (["id", "seed", "sx"], ["a", "1", "F"], "has an unknown column 'sx'"),
        (["id", "seed"], ["a", "-1"], "line 2: seed '-1' is not a whole number below 2"),
        (["id", "seed"], ["a", str(2**64)], "is not a whole number below 2"),
        (["id", "seed"], ["", "1"], "line 2: the id is empty"),
        (["id", "seed"], ["a", "1", "2"], "line 2: has more cells"),
        (["id", "seed", "sex"], ["a", "1", "X"], "line 2: sex 'X': use F, M"),
        (["id", "seed", "view"], ["a", "1", "up"], "line 2: view 'up': use PA, AP, LATERAL"),
        (["id", "seed", "age"], ["a", "1", "old"], "line 2: age 'old' is not a number of years"),
        (["id", "seed", "age"], ["a", "1", "nan"], "line 2: age 'nan' is not a number of years"),
        (["id", "seed", "findings"], ["a", "1", "Edema"], "line 2: findings must be a JSON list"),
        (["id", "seed", "findings"], ["a", "1", '[{"kind": "mass"}]'], "line 2: findings must be a JSON list"),
        (["id", "seed", "findings"], ["a", "1", '[{"name": "Edema", "side": "left"}]'], "a finding has no 'side'"),
        (["id", "seed", "findings"], ["a", "1", '[{"name": 3}]'], "name 3 is not text"),
        (["id", "seed", "findings"], ["a", "1", '[{"name": "Edema", "size_cm": "3"}]'], "size_cm '3' is not a number"),
    ],
)
def test_what_is_wrong_with_a_plan_is_said(tmp_path, columns, row, words):
    with pytest.raises(InputError, match=words) as caught:
        read_plan(write(tmp_path / "p.csv", columns, [row]))
    assert "\n" not in str(caught.value)


def test_plans_that_are_none(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_plan(tmp_path / "none.csv")
    with pytest.raises(InputError, match="no rows below the header"):
        read_plan(write(tmp_path / "p.csv", ["id", "seed"], []))
    with pytest.raises(InputError, match="the id 'a' stands there twice"):
        read_plan(write(tmp_path / "p.csv", ["id", "seed"], [["a", "1"], ["a", "2"]]))
    (tmp_path / "p.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="cannot be read as CSV"):
        read_plan(tmp_path / "p.csv")


def test_the_picture_shows_the_counts(plan):
    """Bars of a panel are as long as the numbers at their ends, and lie inside the picture."""
    told = summary(plan)
    root = ET.fromstring(draw_picture(told))
    width, height = (float(root.get(side)) for side in ("width", "height"))
    bars = [bar for bar in root.iter(f"{SVG}rect") if bar.get("height") == "13"]
    for name in ("before", "after", "made"):
        shown = [float(bar.get("width")) for bar in bars if bar.get("class") == name]
        there = "before" if name == "after" else name
        counts = [row[there] for rows in told["marginals"].values() for row in rows if row[there]]
        assert len(shown) == len(counts)
    assert all(float(bar.get("x")) + float(bar.get("width")) <= width for bar in bars)
    assert all(float(bar.get("y")) + 13 <= height for bar in bars)
    sexes = {row["value"]: row for row in told["marginals"]["sex"]}
    texts = [text.text for text in root.iter(f"{SVG}text")]
    assert f"{sexes['F']['after']} ({100 * sexes['F']['after'] / 29:.0f} %)" in texts
    labels = {text.text: float(text.get("y")) for text in root.iter(f"{SVG}text")}
    lengths = {
        label: max(
            float(bar.get("width")) for bar in bars if bar.get("class") == "before" and _beside(bar, labels[label])
        )
        for label in ("F", "M")
    }
    assert lengths["M"] / lengths["F"] == pytest.approx(5 / 3, abs=0.01)


def _beside(bar, y):
    return abs(float(bar.get("y")) - y) < 20
