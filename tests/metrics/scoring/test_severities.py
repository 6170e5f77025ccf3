"""Scores of synthetic pictures rise in order of severity; what decides that, and draws it, is right."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image

from scripts.severities.corruptions import (
    LEVELS,
    blurred,
    compressed,
    corruptions,
    flattened,
    mirrored,
    noisy,
    repeated,
    replaced,
)
from scripts.severities.drawing import drawing
from scripts.severities.order import order_of
from scripts.severities.people import SIDE, People, read_people
from scripts.severities.run import Run
from synth.core.errors import InputError
from synth.metrics.score_value import Score
from synth.metrics.scoring import score
from tests.metrics.picture_sets import pictures

N = 40
NAMES = ("fd", "kid", "precision", "density", "coverage")
SPOILT = {
    "blur": lambda real, k: blurred(real, (0.5, 0.8, 1.2)[k]),
    "noise": lambda real, k: noisy(real, (4, 8, 16)[k], seed=0),
    "contrast": lambda real, k: flattened(real, (0.85, 0.7, 0.5)[k]),
    "JPEG": lambda real, k: compressed(real, (75, 25, 5)[k]),
    "others": lambda real, k: replaced(real, np.arange((13, 26, 40)[k]), pictures(13, N, blur=1.0)),
}


@pytest.fixture(autouse=True)
def no_cache(monkeypatch):
    monkeypatch.setenv("SYNTH_CACHE", "off")


@pytest.fixture(scope="module")
def real():
    return pictures(11, N)


@pytest.fixture(scope="module")
def fresh():
    return pictures(12, N)


@pytest.fixture(scope="module")
def unchanged(real, fresh):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SYNTH_CACHE", "off")
        return score(real, fresh, (*NAMES, "recall", "vendi"))


@pytest.mark.parametrize("name", SPOILT)
def test_scores_rise_in_order(name, real, fresh, unchanged):
    cards = [unchanged, *(score(real, SPOILT[name](fresh, k), NAMES) for k in range(3))]
    for metric in ("fd", "kid"):
        order = order_of(metric, [card[metric] for card in cards], [])
        assert order.rises, metric
        assert order.rho == pytest.approx(1), metric
        assert cards[-1][metric].p_value <= 0.05, metric
    for metric in ("density", "coverage"):
        values = [card[metric].value for card in cards]
        assert values == sorted(values, reverse=True), metric
        assert values[-1] < 0.8 * values[0], metric


def test_repeats_cost_recall_and_diversity_but_not_precision(real, fresh, unchanged):
    order = np.random.default_rng(0).permutation(N)
    cards = [score(real, repeated(fresh, order, times), "fd,precision,recall,vendi") for times in (2, 4, 8)]
    for metric in ("recall", "vendi"):
        values = [unchanged[metric].value, *(card[metric].value for card in cards)]
        assert values == sorted(values, reverse=True)
        assert values[-1] < 0.6 * values[0]
    assert cards[-1]["precision"].value > 0.7  # of five different images, one may lie outside
    assert cards[-1]["fd"].value > 2 * unchanged["fd"].value


def test_radiomics_do_not_see_mirroring(real, fresh, unchanged):
    card = score(real, mirrored(fresh, np.arange(N)), "fd")
    assert card["fd"].value == pytest.approx(unchanged["fd"].value, rel=1e-6)


def people() -> People:
    rng = np.random.default_rng(0)
    reference, generated, men, children, elsewhere = (
        rng.integers(0, 256, (n, 24, 24), dtype=np.uint8) for n in (16, 16, 5, 0, 20)
    )
    return People("here", reference, generated, np.arange(0, 16, 2), men, children, elsewhere)


def test_every_corruption_goes_from_mild_to_harsh():
    found = {one.name: one for one in corruptions(people(), seed=3)}
    real = people().generated.astype(float)
    assert "children" not in found  # there are none to take
    for name, one in found.items():
        copies = [one.make(level) for level in range(1, LEVELS + 1)]
        assert len(one.labels) == LEVELS
        assert all(copy.shape == real.shape and copy.dtype == np.uint8 for copy in copies)
        assert np.array_equal(copies[1], corruptions(people(), seed=3)[list(found).index(name)].make(2))
        changes = [np.abs(copy - real).mean() for copy in copies]
        assert changes[0] > 0
        if name != "repeats":
            assert changes == sorted(changes)
    assert [len(np.unique(found["repeats"].make(k), axis=0)) for k in range(1, LEVELS + 1)] == [8, 4, 2, 1]
    assert found["men only"].labels == ("6%", "12%", "25%", "31%")  # 1, 2, 4 and 5 of 16: all the men there are


def test_milder_copies_lie_on_the_way_to_harsher_ones():
    real = people().generated
    for one in corruptions(people(), seed=3):
        if one.name in ("mirrored", "other hospital", "men only"):
            changed = [set(np.flatnonzero((one.make(k) != real).any((1, 2)))) for k in range(1, LEVELS + 1)]
            assert all(mild < harsh for mild, harsh in pairwise(changed))
            if one.name == "men only":
                assert changed[-1] <= set(people().women)


def test_contrast_is_about_each_images_mean():
    images = np.stack([np.full((8, 8), 40, np.uint8), np.arange(64, dtype=np.uint8).reshape(8, 8) * 2])
    flat = flattened(images, 0.5)
    assert np.array_equal(flat[0], images[0])
    assert flat[1].mean() == pytest.approx(images[1].mean(), abs=0.5)
    assert flat[1].std() == pytest.approx(images[1].std() / 2, rel=0.02)


def values(*numbers: float, floor: float = 1.0) -> list[Score]:
    return [Score(number, floor=floor) for number in numbers]


@pytest.mark.parametrize(
    ("metric", "scores", "real", "first", "kept", "better"),
    [
        ("fd", (1, 1.5, 3, 4, 9), (0.9, 2), 2, True, False),
        ("fd", (1, 3, 2.5, 4, 9), (0.9, 2), 1, False, False),
        ("fd", (1, 1, 1, 1, 1), (0.9, 2), None, False, False),
        ("fd", (3, 3.00001, 3, 3, 3), (1, 2), None, False, False),  # the unchanged set is real, too; rounding
        ("fd", (1, 1, 0.9, 0.8, 0.7), (0.9, 2), None, False, True),
        ("precision", (0.9, 0.5, 0.1, 0, 0), (0.8, 0.95), 1, True, False),
        ("precision", (0.9, 0.5, 0.5, 0.1, 0), (0.8, 0.95), 1, False, False),
        ("vendi", (1.1, 0.8, 0.6, 0.5, 0.2), (0.9, 1.15), 1, True, False),
        ("vendi", (1.1, 1.3, 0.8, 1.5, 2.2), (0.9, 1.15), 1, False, False),
    ],
)
def test_order(metric, scores, real, first, kept, better):
    found = order_of(metric, values(*scores), values(*real))
    assert (found.first, found.kept, found.better) == (first, kept, better)
    assert found.rises == kept


def test_rank_correlation_has_the_sign_of_worse():
    assert order_of("fd", values(1, 2, 3, 4, 5), []).rho == pytest.approx(1)
    assert order_of("recall", values(1, 0.5, 0, 0, 0), []).rho == pytest.approx(1)
    assert order_of("coverage", values(0.1, 0.2, 0.3, 0.4, 0.5), []).rho == pytest.approx(-1)
    assert order_of("fd", values(1, 1, 1, 1, 1), []).rho == 0


def test_the_picture_has_a_panel_for_each_metric_and_a_line_for_each_corruption():
    found = corruptions(people(), seed=0)
    scores = {
        "fd": [Score(10.0**k, 10.0**k - 3, 10.0**k + 3) for k in range(LEVELS + 1)],
        "fd-inf": [Score(k - 1.0) for k in range(LEVELS + 1)],
        "precision": [Score(1 - k / 4, 0.0, 1.0) for k in range(LEVELS + 1)],
    }
    trace = tuple({name: some[k] for name, some in scores.items()} for k in range(LEVELS + 1))
    real = tuple({name: Score(value) for name in scores} for value in (0.7, 0.9))
    text = drawing(Run(found, (trace,) * len(found), real), "A & B")
    root = ET.fromstring(text)
    panels = [node for node in root if node.tag.endswith("}g")]
    lines = [[node for node in panel if node.tag.endswith("}polyline")] for panel in panels]
    assert [len(some) for some in lines] == [len(found)] * (len(scores) + 1)  # and the legend
    heights = [float(point.split(",")[1]) for point in lines[2][0].get("points", "").split()]
    assert heights == sorted(heights)  # precision falls: down on the page
    assert np.allclose(np.diff(heights), np.diff(heights)[0], atol=0.11)  # on a linear axis
    assert "nan" not in text


def write_people(folder, adults, children=2, elsewhere=3):
    rows = [
        *((f"a{k}", "FM"[k % 2], "40", "big") for k in range(adults)),
        *((f"c{k}", "M", "9", "big") for k in range(children)),
        *((f"e{k}", "F", "", "small") for k in range(elsewhere)),
    ]
    lines = ["file_name,patient_id,sex,age,source"]
    for k, row in enumerate(rows):
        lines.append(",".join((f"{k}.png", *row)))
        Image.fromarray(np.full((20 + k % 3, 20), k, np.uint8)).save(folder / f"{k}.png")
    (folder / "metadata.csv").write_text("\n".join(lines) + "\n")


def test_halves_share_no_patient_and_others_are_others(tmp_path):
    write_people(tmp_path, adults=12)
    found = read_people(tmp_path, 4, seed=1)

    def numbers(images):
        return set(images[:, 0, 0].tolist())

    halves = [numbers(found.reference), numbers(found.generated)]
    assert found.reference.shape == (4, SIDE, SIDE)
    assert [len(half) for half in halves] == [4, 4]
    assert not halves[0] & halves[1]
    assert halves[0] | halves[1] <= set(range(12))
    assert all(k % 2 == 0 for k in found.generated[found.women, 0, 0])
    assert numbers(found.men) == {k for k in range(12) if k % 2} - halves[0] - halves[1]
    assert (numbers(found.children), numbers(found.elsewhere)) == ({12, 13}, {14, 15, 16})


def test_too_few_people_or_columns_are_named(tmp_path):
    write_people(tmp_path, adults=7)
    with pytest.raises(InputError, match="7 adults in big; two halves of 4 need 8"):
        read_people(tmp_path, 4, seed=0)
    (tmp_path / "metadata.csv").write_text("file_name,sex\n0.png,F\n")
    with pytest.raises(InputError, match="no column patient_id, age, source"):
        read_people(tmp_path, 4, seed=0)
