"""Patients of several images: how they are dealt, and that intervals and p-values by patients hold."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synth.core.errors import InputError
from synth.metrics.distances.diversity_score import ms_ssim_diversity_score, vendi_diversity_score
from synth.metrics.distances.frechet_score import frechet_infinity_score, frechet_score
from synth.metrics.distances.kernel_sums import kernel_sums, unbiased_distance
from synth.metrics.distances.mmd import Polynomial, Rbf, kid
from synth.metrics.distances.mmd_score import cmmd_score, kid_score
from synth.metrics.distances.pair_variance import mmd_variance
from synth.metrics.distances.prdc_score import prdc_scores
from synth.metrics.frd.uncertainty import frd_floor, frd_interval, frd_p_value
from synth.metrics.images.sets import ImageSet
from synth.metrics.patients import (
    codes,
    comparable,
    cut,
    dense,
    design_effect,
    exchanged,
    few_patients,
    one_of_each,
    repeated,
    shuffled,
    thinned,
    totals,
)
from synth.metrics.scoring.scores import score
from synth.metrics.uncertainty import disjoint_variance, group_jackknife, influence_variance, real_floor, split_masks
from tests.metrics.picture_sets import pictures, write_pictures

CODES = st.lists(st.integers(0, 6), min_size=2, max_size=40).map(
    lambda names: codes([str(one) for one in names], len(names), "x")
)


def people(rng, counts, d=6, alike=0.9):
    """Features (n, d) and patients (n,): standard normal, with a correlation within a patient."""
    of = np.repeat(np.arange(len(counts)), counts)
    centres, own = rng.standard_normal((len(counts), d)), rng.standard_normal((len(of), d))
    return np.sqrt(alike) * centres[of] + np.sqrt(1 - alike) * own, of


@given(CODES, st.integers(0, 99), st.integers(2, 5))
def test_parts_hold_every_image_once_and_no_patient_twice(own, seed, parts):
    found = cut(shuffled(len(own), own, np.random.default_rng(seed)), own, parts)
    assert sorted(np.concatenate(found).tolist()) == list(range(len(own)))
    assert 1 <= len(found) <= parts
    if own.max() > 0:
        seen = [set(own[part].tolist()) for part in found]
        assert sum(map(len, seen)) == own.max() + 1


@given(CODES, CODES, st.integers(0, 99))
def test_patients_change_sides_as_a_whole(first, second, seed):
    rng = np.random.default_rng(seed)
    one, other = exchanged(len(first), len(second), (first, second), rng)
    both = np.concatenate([first, second + first.max() + 1])
    assert sorted([*one, *other]) == list(range(len(both)))
    assert len(one)
    assert len(other)
    assert not set(both[one]) & set(both[other])
    masks = split_masks(len(first), len(second), 3, rng, np.bincount(both).astype(float))
    assert set(np.unique(masks)) == {0, 1}
    assert abs(np.bincount(both) @ masks - len(first)).max() <= np.bincount(both).max()


@given(CODES, st.integers(1, 40), st.integers(0, 99))
def test_thinning_takes_images_of_as_many_patients_as_possible(own, most, seed):
    rows = thinned(own, most, np.random.default_rng(seed))
    count = np.bincount(own[rows], minlength=own.max() + 1)
    assert len(set(rows.tolist())) == len(rows) == min(most, len(own))
    assert len(np.unique(own[rows])) == min(most, own.max() + 1)
    assert (count[count < np.bincount(own)] >= count.max() - 1).all()
    assert sorted(own[one_of_each(len(own), own, np.random.default_rng(seed))]) == list(range(own.max() + 1))


def test_sets_are_thinned_until_an_exchange_is_fair():
    rng = np.random.default_rng(0)
    fives, ones = np.repeat(np.arange(20), 5), np.arange(300)
    first, second, left = comparable(100, 300, (fives, ones), rng)
    assert (len(first), len(second)) == (100, 100)
    assert left is not None
    first, second, left = comparable(100, 15, (fives, ones[:15]), rng)
    assert (len(first), len(second), left) == (20, 15, None)  # one a patient, and no fewer
    first, second, left = comparable(100, 40, (fives, np.repeat(ones[:20], 2)), rng)
    assert (len(first), len(second)) == (40, 40)
    assert [one.max() + 1 for one in left] == [20, 20]
    assert [len(one) for one in comparable(7, 9, None, rng)[:2]] == [7, 9]


def test_names_become_codes_and_empty_ones_are_patients_of_their_own():
    assert repeated((["a", "b"], None), 2, 3) is None
    assert [one.tolist() for one in repeated((["a", "", "a", ""], None), 4, 2)] == [[0, 1, 0, 2], [0, 1]]
    assert dense(np.array([5, 2, 5])).tolist() == [1, 0, 1]
    assert totals(np.array([[1.0], [2], [4]]), np.array([1, 0, 1])).tolist() == [[2], [5]]
    with pytest.raises(InputError, match="reference: 1 patients for 2 images"):
        repeated((["a"], None), 2, 2)
    assert "3 patient(s)" in few_patients((np.array([0, 0, 1, 2]), np.arange(9)))
    assert few_patients(None) is None


def test_the_patients_of_a_table(tmp_path):
    images = np.zeros((3, 4, 4), np.uint8)
    assert ImageSet.open(images).patients is None
    folder = write_pictures(tmp_path / "a", images, {"sex": list("FFM"), "subject_id": ["p1", "p1", "unknown"]})
    assert ImageSet.open(folder).patients == ("p1", "p1", "")


def test_one_image_a_patient_changes_nothing():
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((40, 5)), rng.standard_normal((30, 5))
    for of in (frechet_score, frechet_infinity_score, kid_score, cmmd_score, vendi_diversity_score, prdc_scores):
        alone, named = (
            of(x, y, rng=np.random.default_rng(1), permutations=9, patients=patients)
            for patients in (None, (np.arange(40), None))
        )
        assert alone == named


def test_what_images_of_patients_stand_for():
    rng = np.random.default_rng(0)
    x, own = people(rng, [5] * 400, alike=1.0)
    assert design_effect(x, own) == pytest.approx(5, rel=0.02)
    assert design_effect(rng.standard_normal((2000, 6)), own) == pytest.approx(1, abs=0.1)
    assert design_effect(np.ones((4, 2)), np.array([0, 0, 1, 1])) == 1


def test_variances_are_those_of_a_mean_of_patients():
    rng = np.random.default_rng(0)
    counts = [1, 2, 3, 6] * 8
    found, means = [], []
    for _ in range(150):
        (x, own), (y, other) = people(rng, counts, 1), people(rng, [2] * 30, 1)
        x, y, pair = x[:, 0], y[:, 0], (own, other)

        def gap(i, j, x=x, y=y):
            return float(x[i].mean() - y[j].mean())

        n, m = len(x), len(y)
        found.append(
            (
                influence_variance(x - x.mean(), y - y.mean(), patients=pair),
                float(group_jackknife(gap, n, m, rng, patients=pair)),
                float(group_jackknife(gap, n, m, rng, 99, pair)),
                float(disjoint_variance(gap, n, m, rng, repeats=10, patients=pair)),
            )
        )
        means.append(gap(slice(None), slice(None)))
    np.testing.assert_allclose(np.mean(found, 0), np.var(means), rtol=0.3)
    assert influence_variance(x - x.mean(), y - y.mean()) < 0.5 * np.var(means)


def test_kernel_sums_of_patients_are_those_of_the_whole_matrix():
    rng = np.random.default_rng(0)
    (x, own), (y, other) = people(rng, [3, 1, 2], 3), people(rng, [1, 4, 1, 2], 3)
    x, y, own, other = x[::-1], y[::-1], own[::-1], other[::-1]
    masks = rng.integers(0, 2, (7, 5)).astype(float)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("synth.metrics.distances.kernel_sums._CELLS", 9)
        sums = kernel_sums(x, y, Rbf(1.5), masks, (own, other))
    z, both = np.concatenate([x, y]), np.concatenate([own, other + 3])
    member = (both == np.arange(7)[:, None]).astype(float)
    blocks = member @ np.exp(-((z[:, None] - z) ** 2).sum(-1) / (2 * 1.5**2)) @ member.T
    np.testing.assert_allclose(sums.diagonal, blocks.diagonal())
    np.fill_diagonal(blocks, 0)
    sides = np.repeat(np.eye(2), [3, 4], axis=0)
    np.testing.assert_allclose(sums.rows, blocks @ sides)
    np.testing.assert_allclose(sums.weighted, blocks @ (sides * member.sum(1)[:, None]))
    np.testing.assert_allclose(sums.squares, blocks**2 @ sides)
    np.testing.assert_allclose(sums.within, [mask @ blocks @ mask for mask in masks.T])


def test_kid_of_patients_is_right_on_average_and_so_is_its_variance():
    runs, plain = [], []
    for seed in range(400):
        rng = np.random.default_rng(seed)
        (x, own), (y, other) = people(rng, [2] * 8 + [5] * 4, 3), people(rng, [3] * 12, 3)
        runs.append(kernel_sums(x, y, Polynomial(3), None, (own, other)))
        plain.append(kid(x, y))
    found = np.array([unbiased_distance(one) for one in runs])
    assert found.mean() == pytest.approx(0, abs=4 * found.std() / 20)
    assert np.mean(plain) > 0.4 * found.std()
    assert np.mean([mmd_variance(one) for one in runs]) == pytest.approx(found.var(), rel=0.35)


SCORES = ("FD∞", "FD", "KID", "precision", "coverage")
DRAWS = 40


@pytest.fixture(scope="module")
def simulated():
    """(draws, 2, scores) of value, low, high and p, images taken as independent and by patients; n = 100 of 25."""
    found = []
    for seed in range(DRAWS):
        rng = np.random.default_rng(seed)
        (x, own), (y, other) = people(rng, [4] * 25, 4), people(rng, [4] * 25, 4)
        runs = []
        for patients in (None, (own, other)):
            options = {"rng": rng, "permutations": 19, "patients": patients}
            prdc = prdc_scores(x, y, k=2, repeats=10, **options)
            few = {**options, "repeats": 0}
            scores = (frechet_infinity_score(x, y, splits=3, **few), frechet_score(x, y, **few), kid_score(x, y, **few))
            runs.append([(one.value, one.low, one.high, one.p_value) for one in (*scores, *map(prdc.get, SCORES[3:]))])
        found.append(runs)
    return np.array(found, float)


@pytest.mark.parametrize("name", SCORES)
def test_intervals_by_patients_cover(simulated, name):
    value, low, high, _ = np.moveaxis(simulated[:, :, SCORES.index(name)], -1, 0)
    truth = 0.0 if name in ("FD∞", "KID") else value[:, 1].mean()
    naive, grouped = ((low <= truth) & (truth <= high)).mean(0)
    assert grouped >= 0.88
    if name in ("FD∞", "KID"):
        assert naive < 0.5


@pytest.mark.parametrize("name", SCORES)
def test_p_values_by_patients_do_not_cry_wolf(simulated, name):
    naive, grouped = (simulated[:, :, SCORES.index(name), 3] <= 0.05).mean(0)
    assert grouped <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / DRAWS)
    assert naive > 0.5


def test_p_values_hold_for_patients_against_single_images_and_see_a_shift():
    p = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        x, own = people(rng, [5] * 16, 4)
        y = rng.standard_normal((150, 4))
        options = {"rng": rng, "permutations": 19, "patients": (own, None)}
        vendi = vendi_diversity_score(x, y, **options).p_value
        p.append(
            (frechet_score(x, y, repeats=0, **options).p_value, kid_score(x, y, repeats=0, **options).p_value,
             frd_p_value(x, y, rng, 19, (own, None)), vendi)
        )  # fmt: skip
    assert (np.mean(np.array(p) <= 0.05, axis=0) <= 0.14).all()
    y[:, 0] += 2
    assert kid_score(x, y, **options).p_value == 0.05


def test_floors_hold_no_patient_on_both_sides():
    def apart(i, j):
        assert not set(own[i]) & set(own[j])
        return 1.0

    own = codes(np.repeat(np.arange(9), [1, 2, 3, 1, 2, 3, 9, 5, 1]).astype(str), 27, "x")
    for m in (4, 27, 500):
        real_floor(apart, 27, m, np.random.default_rng(0), patients=own)
    rng = np.random.default_rng(0)
    x, own = people(rng, [6] * 20, 4)
    naive, grouped = (
        frechet_score(x, x + 1, rng=rng, permutations=0, patients=one).floor for one in (None, (own, own))
    )
    assert grouped > 2 * naive
    assert frd_floor(x, 120, "v0", rng, 5, own) > frd_floor(x, 120, "v0", rng, 5)
    narrow, wide = (frd_interval(x, x[::-1] + 1, "v0", rng, 1.0, one) for one in (None, (own, own)))
    assert wide[1] - wide[0] > 1.3 * (narrow[1] - narrow[0])


def test_too_few_patients_have_a_value_alone():
    rng = np.random.default_rng(0)
    x, own = people(rng, [20] * 3, 4)
    y = rng.standard_normal((60, 4))
    options = {"rng": rng, "patients": (own, None)}
    found = [of(x, y, **options) for of in (frechet_score, frechet_infinity_score, kid_score, cmmd_score)]
    found += [vendi_diversity_score(x, y, **options), *prdc_scores(x, y, **options).values()]
    images = pictures(0, 8)
    found.append(ms_ssim_diversity_score(images, images, rng=rng, patients=(["a"] * 8, None)))
    for one in found:
        assert np.isfinite(one.value)
        assert (one.low, one.high, one.floor, one.p_value) == (None, None, None, None)
        assert any("patient(s): no interval" in line for line in one.warnings)


def test_likeness_is_that_of_different_patients():
    images = np.repeat(pictures(0, 8), 2, axis=0)
    own = np.repeat(np.arange(8), 2)
    rng = np.random.default_rng(0)
    found = ms_ssim_diversity_score(images, images, rng=rng, permutations=0, patients=(own, own))
    once = ms_ssim_diversity_score(images[::2], images[::2], rng=rng, permutations=0)
    assert found.value == pytest.approx(once.value, abs=1e-6)
    assert found.high - found.low == pytest.approx(once.high - once.low, rel=1e-3)


def test_a_column_of_patients_reaches_every_score(tmp_path):
    real, fake = (np.repeat(pictures(seed, 16, 24), 3, axis=0) for seed in (11, 12))
    for images in (real, fake):
        images += np.random.default_rng(0).integers(0, 3, images.shape, np.uint8)
    names = [f"p{k // 3}" for k in range(48)]
    named = [
        write_pictures(tmp_path / name, images, {"Patient ID": names}) for name, images in (("a", real), ("b", fake))
    ]
    wanted = "frd,kid,ms-ssim"
    plain, found = score(real, fake, wanted), score(*named, wanted)
    for metric in ("frd", "kid"):
        assert plain[metric].p_value <= 0.05 < found[metric].p_value
    assert found["frd"].value == plain["frd"].value
    assert found["frd"].high - found["frd"].low > plain["frd"].high - plain["frd"].low
    assert found["ms-ssim"].value < plain["ms-ssim"].value
    said = (
        "48 images of 16 patients in a and 48 images of 16 patients in b: intervals, floors and p-values go by patients"
    )
    assert said in found.warnings
    assert not any("go by patients" in line for line in plain.all_warnings)
