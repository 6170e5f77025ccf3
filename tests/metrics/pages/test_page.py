from __future__ import annotations

import math
import re
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synth.metrics.gate.page import gate_page
from synth.metrics.gate.policy import Policy
from synth.metrics.gate.result import GateResult, ImageVerdict, ScoreVerdict
from synth.metrics.pages.page import score_page
from synth.metrics.pages.svg import Interval, bar_plot, grouped_bar_plot, interval_plot, scatter_plot, ticks
from synth.metrics.pages.text_table import text_table
from synth.metrics.score_value import Score
from synth.metrics.scoring.card import ALL, Row, Scorecard
from synth.metrics.scoring.meaning import meaning
from synth.metrics.scoring.metrics import METRICS

VOID = {"meta", "link", "br"}
EVIL = '<script>"&'
NAMES = {"svg", "title", "text", "line", "circle", "path", "rect", "g"}


class Checked(HTMLParser):
    """Collects open elements, and complains of those that are closed in the wrong order."""

    def __init__(self, page):
        super().__init__()
        self.open, self.seen = [], []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.seen.append(tag)
        for name, value in attrs:
            assert name not in ("src", "href", "xlink:href"), value
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def card():
    score = Score(2.5, 2.0, 3.0, 1.0, 0.01, 40, 30, ("few",))
    bare = Score(float("inf"), None, None, None, None, 40, 30)
    rows = (
        Row("fd", ALL, "", "radiomics", 40, 30, score),
        Row("kid", ALL, "", "radiomics", 40, 30, bare),
        Row("fd", EVIL, "sex", "radiomics", 20, 10, score),
        Row("kid", EVIL, "sex", "radiomics", 20, 3, None, "needs at least 4"),
    )
    scatter = {"reference": ((0.0, 1.0), (2.0, 3.0)), "generated": ((5.0, 5.0),)}
    return Scorecard(EVIL, "fake", 40, 30, rows, (f"warning {EVIL}",), {"seed": 0}, scatter, (("glcm", 0.7),))


def result(with_card=True):
    scores = (ScoreVerdict("fd", 2.5, "at most 1", "fail", False, "fd is 2.5, not as asked: at most 1"),)
    verdicts = (ImageVerdict("b.png", "repeats", None, None, "fail", f"repeats {EVIL}"),)
    checks, one = {"repeats": 2}, card() if with_card else None
    return GateResult(False, EVIL, "fake", scores, ("a.png", "b.png"), verdicts, checks, one, Policy(), ("few",))


@pytest.mark.parametrize("page", [score_page(card()), gate_page(result()), gate_page(result(with_card=False))])
def test_pages_are_well_formed_and_stand_alone(page):
    checked = Checked(page)
    assert checked.seen[0] == "html"
    assert "script" not in checked.seen
    assert not re.search(r"https?:|url\(|@import|javascript:", page)
    assert "&lt;script&gt;" in page


def test_a_page_says_what_the_card_says():
    page = score_page(card())
    for text in ("2 to 3", "needs at least 4", "fd: few", "By sex", meaning("fd", card()["fd"])):
        assert text in page
    assert page.count("<svg") == 3  # fd, the cloud, the FRD's parts; an infinite KID has no place on an axis


def test_a_gates_page_says_no_and_why():
    page = gate_page(result())
    for text in ('<strong class="fail">Rejected', "1 of 2 images accepted", "not as asked: at most 1", "b.png"):
        assert text in page


def test_scorecard_as_text():
    text = card().table()
    assert "fd ↓" in text
    assert "sex <script>" in text
    assert "kid: needs at least 4" in text
    assert card().all_warnings == (f"warning {EVIL}", "fd: few")
    assert '"value": null' in card().to_json()


@given(
    st.lists(st.tuples(st.floats(-1e9, 1e9), st.floats(0, 1e6), st.one_of(st.none(), st.floats(-1e9, 1e9))), max_size=6)
)
def test_interval_plots_are_xml_with_all_marks_inside(rows):
    plot = interval_plot([Interval(EVIL, value, value - half, value + half, mark) for value, half, mark in rows], EVIL)
    if not rows:
        assert plot == ""
        return
    root = ElementTree.fromstring(plot)
    width, height = map(float, root.get("viewBox").split()[2:])
    assert {element.tag for element in root.iter()} <= NAMES
    points = root.findall("circle")
    assert len(points) == len(rows)
    for element in (*points, *root.findall("line")):
        for name in ("cx", "x1", "x2"):
            assert 0 <= float(element.get(name, 0)) <= width
        assert 0 <= float(element.get("cy", element.get("y1"))) <= height


@given(st.floats(-1e6, 1e6), st.floats(1e-2, 1e9), st.integers(3, 8))
def test_ticks_are_round_and_within(low, span, count):
    found = ticks(low, low + span, count)
    step = found[1] - found[0] if len(found) > 1 else span
    assert 1 <= len(found) <= 2 * count + 1
    assert all(low - 1e-6 * span - 1e-3 * step <= tick <= low + span + 1e-6 * span + 1e-3 * step for tick in found)


def test_plots_without_numbers_are_none():
    assert interval_plot([Interval("a", math.nan)], "") == scatter_plot({}, "") == bar_plot([], "") == ""
    assert ticks(1.0, 1.0) == [1.0]
    assert ticks(0.0, 1.0, 4) == pytest.approx([0, 0.5, 1])


def test_scatter_and_bars():
    cloud = ElementTree.fromstring(scatter_plot({"a": [(0, 0), (1, 1)], "b": [(math.nan, 0), (1, 0)]}, "t"))
    assert [(group.get("class"), len(group)) for group in cloud.findall("g")] == [("cloud0", 2), ("cloud1", 1)]
    low, high = cloud.findall("g")[0]
    assert float(low.get("cy")) > float(high.get("cy"))  # up is up
    bars = ElementTree.fromstring(bar_plot([("a", 2.0), ("b", 1.0)], "t", unit=" %"))
    widths = [float(bar.get("width")) for bar in bars.findall("rect")]
    assert widths[0] == pytest.approx(2 * widths[1], abs=0.2)
    assert "2 %" in [text.text for text in bars.findall("text")]


def test_bars_in_groups():
    rows = [("a", [(0.5, "half"), (0.25, "quarter")]), ("b" * 60, [(1.0, "whole"), (0.0, "none")])]
    plot = ElementTree.fromstring(grouped_bar_plot(rows, "t"))
    bars = zip(("half", "quarter", "whole", "none"), plot.findall("rect"), strict=True)
    widths = {said: float(bar.get("width")) for said, bar in bars}
    assert [bar.get("class") for bar in plot.findall("rect")] == ["series0", "series1"] * 2
    assert (
        widths["whole"] == pytest.approx(2 * widths["half"], abs=0.2) == pytest.approx(4 * widths["quarter"], abs=0.4)
    )
    said = [text.text for text in plot.findall("text")]
    assert {"a", "half", "quarter", "whole", "none"} < set(said)
    assert max(map(len, said)) < 40  # a long label is cut
    assert grouped_bar_plot([], "t") == ""


@pytest.mark.parametrize("metric", METRICS)
def test_every_metric_has_a_sentence(metric):
    full, bare = Score(0.5, 0.4, 0.6, 0.25, 0.01, 40, 40), Score(0.5)
    assert "0.01" in meaning(metric, full)
    assert len(meaning(metric, bare)) > 10
    same = meaning(metric, Score(0.0, floor=0.0, p_value=1.0))
    assert "nan" not in same
    assert "beyond" not in same.replace("no difference beyond", "")


def test_sentences_say_how_much():
    assert meaning("fd", Score(3.0, floor=1.5, p_value=0.01)) == (
        "the sets differ (p 0.01); 2 times what real against real scores"
    )
    assert "2.72 times" in meaning("frd", Score(3.0, floor=2.0))
    assert "no further than real from real" in meaning("frd", Score(1.0, floor=2.0))
    assert "2 standard deviations" in meaning("kid", Score(3.0, floor=1.5))
    assert meaning("precision", Score(0.5, floor=0.9)).startswith("50% of generated images look like")


def test_columns_of_numbers_stand_to_the_right():
    lines = text_table(("name", "n"), [("a", "1"), ("bcdefg", "100")]).splitlines()
    assert lines == ["name      n", "a         1", "bcdefg  100"]
