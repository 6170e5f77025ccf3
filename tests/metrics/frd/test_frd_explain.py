from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synth.core.errors import InputError
from synth.metrics.distances.frechet import frechet_distance
from synth.metrics.frd.distance import frd
from synth.metrics.frd.explain import FrdExplanation, explain
from synth.metrics.frd.parts import column_parts
from tests.metrics.frd.frd_images import table

if TYPE_CHECKING:
    from pathlib import Path

SIZES = [(8, 6, 20), (40, 30, 12), (40, 6, 12), (13, 40, 12)]


@given(st.integers(0, 10_000), st.sampled_from(SIZES), st.floats(0, 3))
@settings(max_examples=25, deadline=None)
def test_parts_add_up_to_the_distance(seed: int, size: tuple[int, int, int], shift: float) -> None:
    n, m, d = size
    rng = np.random.default_rng(seed)
    x, y = rng.standard_normal((n, d)), shift + rng.standard_normal((m, d)) @ rng.standard_normal((d, d)) / 3
    parts = column_parts(x, y)
    assert parts.total.sum() == pytest.approx(frechet_distance(x, y), rel=1e-7)
    assert parts.mean.sum() == pytest.approx(np.square(x.mean(0) - y.mean(0)).sum())
    assert (parts.covariance >= 0).all()


@pytest.mark.parametrize("size", SIZES)
def test_a_part_is_half_the_derivative_by_the_columns_scale(size: tuple[int, int, int]) -> None:
    n, m, d = size
    rng = np.random.default_rng(1)
    x, y = rng.standard_normal((n, d)), 0.4 + rng.standard_normal((m, d))
    parts, step = column_parts(x, y).total, 1e-4
    for k in (0, d - 1):
        scale = np.ones(d)
        scale[k] = np.exp(step)
        slope = (frechet_distance(x * scale, y * scale) - frechet_distance(x / scale, y / scale)) / (2 * step)
        assert parts[k] == pytest.approx(slope / 2, rel=1e-3)


def test_independent_columns_have_the_textbook_parts() -> None:
    rng = np.random.default_rng(0)
    q, _ = np.linalg.qr(rng.standard_normal((50, 5)) - 0)
    q -= q.mean(0)
    q, _ = np.linalg.qr(q)
    x = q * np.sqrt(49)  # uncorrelated, of variance 1
    parts = column_parts(x, x * [1, 2, 3, 1, 1] + [0, 0, 0, 5, 0])
    assert parts.mean == pytest.approx([0, 0, 0, 25, 0], abs=1e-9)
    assert parts.covariance == pytest.approx([0, 1, 4, 0, 0], abs=1e-9)


@pytest.fixture
def explained() -> FrdExplanation:
    x, y = table(0, 60, name="real"), table(1, 60, name="fake")
    y.values[:, 4] += 9
    return frd(x, y, permutations=0, repeats=0, intervals=False).explain()


def test_ranks_what_was_changed_first(explained: FrdExplanation) -> None:
    first = explained.by("column")[0]
    assert first.name == explained.names[4] == "wavelet-HH_glcm_1"
    assert first.mean > 20 * first.covariance
    assert [one.name for one in explained.by("filter")] == ["wavelet-HH", "original"]
    assert explained.by("class and filter")[0].name == "glcm of wavelet-HH"
    for grouping in ("class", "filter", "class and filter", "column"):
        shares = explained.by(grouping)  # type: ignore[arg-type]
        assert sum(one.total for one in shares) == pytest.approx(explained.distance)
        assert sum(one.share for one in shares) == pytest.approx(1)
        assert sum(one.columns for one in shares) == 6
    with pytest.raises(InputError, match="grouping must be"):
        explained.by("colour")  # type: ignore[arg-type]


def test_the_table_names_the_reference_and_the_shift(explained: FrdExplanation) -> None:
    lines = str(explained).splitlines()
    assert "fake from real (the reference)" in lines[0]
    row = next(line for line in lines if "wavelet-HH_glcm_1" in line)
    assert float(row.split()[4]) == pytest.approx(9, abs=2)
    assert "glcm (co-occurrence)" in str(explained)
    assert explained.as_dict()["by class"][0]["name"] == "glcm"


def test_the_picture_is_svg_with_bars_as_long_as_their_parts(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((30, 3))
    made = explain(x, x * 2 + 1, ("glcm_a", "glcm_b", "ngtdm_c"), "real & <old>", "fake")
    made.save_svg(tmp_path / "frd.svg")
    root = ElementTree.fromstring((tmp_path / "frd.svg").read_text())
    texts = [node.text or "" for node in root.iter("{http://www.w3.org/2000/svg}text")]
    assert "FRD of fake from real & <old> (reference): where it comes from" in texts
    assert "glcm_a" in texts
    boxes = [node for node in root.iter("{http://www.w3.org/2000/svg}rect") if float(node.get("x", 0)) >= 400]
    widths = [float(node.get("width", 0)) for node in boxes]
    first = made.by("class")[0]
    assert widths[0] / widths[1] == pytest.approx(first.mean / first.covariance, rel=0.01)
    assert len(boxes) == 2 * (2 + 1 + 3)


def test_nothing_to_explain() -> None:
    x = np.random.default_rng(0).standard_normal((9, 4))
    nothing = explain(x, x, ("glcm_a", "glcm_b", "glcm_c", "glcm_d"), "a", "b")
    assert nothing.distance == pytest.approx(0, abs=1e-12)
    assert "squared distance" in str(nothing)
    assert nothing.svg().endswith("</svg>\n")
