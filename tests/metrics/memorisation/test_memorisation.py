from __future__ import annotations

import json
from dataclasses import asdict

import numpy as np
import pytest

from synth.core.errors import InputError
from synth.metrics.distances.neighbours import nearest, nearest_in_matrix
from synth.metrics.images.sets import ImageSet
from synth.metrics.memorisation.copying import memorisation, pixel_memorisation
from synth.metrics.memorisation.duplicates import duplicates, exact_duplicates
from synth.metrics.memorisation.likelihood import fld_gap, log_likelihoods
from synth.metrics.memorisation.older_tests import authentic_percentage, c_t
from synth.metrics.memorisation.pixels import aligned_distances
from synth.metrics.memorisation.sets import memorisation_of_sets
from synth.metrics.memorisation.tail_test import largest_p_value
from synth.metrics.patients import codes

DECAY = np.arange(1, 33) ** -0.5


def draw(rng, n):
    return rng.standard_normal((n, 32)) * DECAY


def with_copies(rng, generated, train, holdout, share=0.05, nearness=0.3):
    """Some generated images replaced by training images, moved by a share of their distance to the hold-out."""
    count = round(share * len(generated))
    chosen = rng.choice(len(train), count, replace=False)
    step = rng.standard_normal((count, train.shape[1]))
    step /= np.linalg.norm(step, axis=1, keepdims=True)
    reach = np.linalg.norm(train[chosen, None] - holdout, axis=2).min(1)
    copied = generated.copy()
    copied[:count] = train[chosen] + nearness * reach[:, None] * step
    return copied, chosen


def rejections(rng, n, draws, change):
    found = 0
    for _ in range(draws):
        train, holdout, generated = (draw(rng, n) for _ in range(3))
        found += (
            memorisation(change(generated, train, holdout), train, holdout, rng=rng, permutations=99).p_value <= 0.05
        )
    return found / draws


def test_five_per_cent_copies_are_found():
    rng = np.random.default_rng(1)
    for n, draws in ((50, 15), (200, 5)):
        power = rejections(rng, n, draws, lambda g, t, h: with_copies(rng, g, t, h)[0])
        assert power >= 0.8


def test_fresh_images_and_shrunk_generators_raise_no_alarm():
    rng = np.random.default_rng(2)
    assert rejections(rng, 50, 40, lambda g, t, h: g) <= 0.125  # 5 of 40 at 5 %: beyond with probability 1.4 %
    assert rejections(rng, 50, 40, lambda g, t, h: 0.5 * g) <= 0.125
    assert rejections(rng, 50, 40, lambda g, t, h: g[rng.integers(0, 3, 50)] + 0.02 * g) <= 0.125


def test_c_t_and_auth_pct_cry_wolf_on_a_shrunk_generator_and_are_no_part_of_the_decision():
    rng = np.random.default_rng(3)
    train, holdout, generated = (draw(rng, 200) for _ in range(3))
    found = memorisation(0.5 * generated, train, holdout, rng=rng, permutations=199)
    assert found.c_t < -3
    assert found.authentic_percentage < 25
    assert found.p_value > 0.05


def test_the_worst_pairs_are_the_copies():
    rng = np.random.default_rng(4)
    train, holdout, generated = draw(rng, 80), draw(rng, 60), draw(rng, 100)
    copied, chosen = with_copies(rng, generated, train, holdout, nearness=0.0)
    patients = [f"a{at}" for at in range(80)], [f"b{at}" for at in range(60)]
    found = memorisation(copied, train, holdout, rng=rng, train_patients=patients[0], holdout_patients=patients[1],
                         permutations=99, pairs=7)  # fmt: skip
    assert (found.n_train, found.n_holdout, found.n_generated, len(found.worst)) == (60, 60, 100, 7)
    pairs = {pair.generated: pair.train for pair in found.worst if pair.ratio < 1e-6}
    assert pairs
    assert all(chosen[generated] == train for generated, train in pairs.items())
    assert found.worst[0].distance == 0
    assert [pair.ratio for pair in found.worst] == sorted(pair.ratio for pair in found.worst)
    json.dumps(found.as_dict())


def test_patients_change_sides_as_a_whole():
    # Ten images of each patient are nearly one: by images, any set that resembles one patient would seem to copy.
    rng = np.random.default_rng(5)
    names = np.repeat(np.arange(12), 10)

    def many(prefix):
        return draw(rng, 12)[names] + 0.01 * draw(rng, 120), [f"{prefix}{name}" for name in names]

    alarms = 0
    for _ in range(12):
        (train, a), (holdout, b), (generated, _) = many("a"), many("b"), many("c")
        found = memorisation(generated, train, holdout, rng=rng, train_patients=a, holdout_patients=b, permutations=99)
        alarms += found.p_value <= 0.05
    assert alarms <= 2


def test_bad_input_is_named():
    rng = np.random.default_rng(6)
    x = draw(rng, 20)
    with pytest.raises(InputError, match="1 patients are in the training set and in the hold-out"):
        memorisation(x, x, x, rng=rng, train_patients=["p"] * 20, holdout_patients=["p"] * 20)
    with pytest.raises(InputError, match="hold-out features: 3 image"):
        memorisation(x, x, x[:3], rng=rng)
    with pytest.raises(InputError, match="use the same extractor"):
        memorisation(x[:, :5], x, x, rng=rng)
    with pytest.raises(InputError, match="19 patients for 20 images"):
        memorisation(x, x, x, rng=rng, train_patients=["p"] * 19)


def test_nearest_equals_brute_force_and_leaves_ones_own_patient_out():
    rng = np.random.default_rng(7)
    x, y = 1e3 + rng.standard_normal((31, 3)), 1e3 + rng.standard_normal((57, 3))
    y[4] = x[9]
    whole = np.linalg.norm(x[:, None] - y, axis=2)
    found = nearest(x, y, 6)
    assert found.distances == pytest.approx(np.sort(whole, 1)[:, :6], rel=1e-12, abs=1e-12)
    assert found.distances[9, 0] == 0
    own = rng.integers(0, 4, 31), rng.integers(0, 4, 57)
    whole[own[0][:, None] == own[1]] = np.inf
    for one in (nearest(x, y, 6, own), nearest_in_matrix(whole, 6)):
        assert one.distances == pytest.approx(np.sort(whole, 1)[:, :6], abs=1e-12)
        assert (own[0][:, None] != own[1][one.indices]).all()


def test_patients_without_a_name_are_patients_of_their_own():
    assert codes(["a", "", "a", ""], 4, "set").tolist() == [0, 1, 0, 2]
    assert codes(None, 3, "set").tolist() == [0, 1, 2]


def test_the_tail_test_holds_its_level_for_logistic_values():
    rng = np.random.default_rng(8)
    p = np.array([largest_p_value(rng.logistic(size=50).max(), 50, rng.logistic(size=60)) for _ in range(1500)])
    assert 0.02 < (p <= 0.05).mean() < 0.08
    assert largest_p_value(1.0, 10, np.zeros(50)) == 1
    assert largest_p_value(60.0, 50, rng.logistic(size=60)) < 0.01


def test_likelihoods_and_the_gap_by_hand():
    squares, widths = np.array([[0.0, 4.0], [1.0, 1.0]]), np.log([1.0, 2.0])

    def density(square, width):
        return np.exp(-square / (2 * width)) / (2 * np.pi * width) ** 1.5

    by_hand = [np.log((density(0, 1) + density(4, 2)) / 2), np.log((density(1, 1) + density(1, 2)) / 2)]
    assert log_likelihoods(squares, widths, 3) == pytest.approx(by_hand)
    rng = np.random.default_rng(9)
    train, holdout, fresh = draw(rng, 60), draw(rng, 60), draw(rng, 60)
    assert fld_gap(train, train, holdout) < 10 * fld_gap(fresh, train, holdout) < 0


def test_auth_pct_and_c_t_by_hand():
    train = np.array([[0.0], [1.0], [5.0]])
    itself = np.arange(3)
    near = nearest(train, train, 1, (itself, itself))
    # 0.4 is 0.4 from 0, which is 1 from 1; 7 is 2 from 5, which is 4 from 1; −3 is 3 from 0.
    generated = np.array([[0.4], [7.0], [-3.0]])
    assert authentic_percentage(nearest(generated, train, 1), near) == pytest.approx(100 / 3)
    rng = np.random.default_rng(10)
    x = draw(rng, 150)
    z = np.array([c_t(draw(rng, 150), x, draw(rng, 150), rng) for _ in range(30)])
    assert abs(z.mean()) < 1.5
    assert c_t(x[:100], x, draw(rng, 150), rng) < -5
    assert c_t(x, np.ones((20, 32)), x, rng) is None


def scene(rng, n):
    """Smooth random pictures (n, 32, 32)."""
    from scipy.ndimage import gaussian_filter

    return np.rint(127 + 400 * np.array([gaussian_filter(rng.standard_normal((32, 32)), 3) for _ in range(n)]))


def test_pixels_neither_wrap_nor_mind_brightness_and_shift():
    rng = np.random.default_rng(11)
    images = scene(rng, 3).astype(np.uint8)
    moved = np.roll(images, (2, -3), (1, 2)) // 2 + np.uint8(40)
    distances = aligned_distances(images, moved, 4)
    assert np.diag(distances).max() < 0.05
    assert distances[~np.eye(3, dtype=bool)].min() > 0.3
    assert np.diag(aligned_distances(images, 255 - images, 0)) == pytest.approx([2, 2, 2])
    flat = np.full((1, 32, 32), 200, np.uint8)
    assert aligned_distances(flat, images, 1) == pytest.approx(np.full((1, 3), np.sqrt(2)), abs=1e-6)
    # Nothing comes in again on the other side: a picture turned by half its width is another one.
    assert aligned_distances(images[:1], np.roll(images[:1], 16, 2), 4)[0, 0] > 0.3
    with pytest.raises(InputError, match="allow at most 15"):
        aligned_distances(images, images, 16)


def test_copied_pixels_are_found():
    rng = np.random.default_rng(12)
    train, holdout, generated = (scene(rng, 60) for _ in range(3))
    generated[:3] = np.roll(train[[5, 6, 7]], 1, 2) * 0.8 + rng.standard_normal((3, 32, 32))
    found = pixel_memorisation(generated, train, holdout, rng=rng, permutations=99, shift=2)
    assert {(pair.generated, pair.train) for pair in found.worst[:3]} == {(0, 5), (1, 6), (2, 7)}
    assert found.p_value <= 0.05
    assert (found.fld_gap, found.likelihood_gap, found.c_t) == (None, None, None)
    generated[:3] = scene(rng, 3)
    assert pixel_memorisation(generated, train, holdout, rng=rng, permutations=99, shift=2).p_value > 0.05


def test_image_sets_with_patients(tmp_path):
    rng = np.random.default_rng(13)
    sets = {}
    for name in ("train", "holdout", "generated"):
        np.savez(tmp_path / f"{name}.npz", images=scene(rng, 15).clip(0, 255).astype(np.uint8),
                 patient_id=np.array([f"{name}{at // 2}" for at in range(15)]))  # fmt: skip
        sets[name] = ImageSet.open(tmp_path / f"{name}.npz")
    assert sets["train"].patients[:3] == ("train0", "train0", "train1")
    assert ImageSet.open(np.zeros((2, 4, 4), np.uint8)).patients is None
    found = memorisation_of_sets(sets["generated"], sets["train"], sets["holdout"], rng=rng, cache=False, size=24,
                                 shift=2, permutations=19)  # fmt: skip
    assert set(found) == {"features", "pixels"}
    assert all(one.n_train == one.n_holdout == one.n_generated == 15 for one in found.values())
    with pytest.raises(InputError, match="split by patient"):
        memorisation_of_sets(sets["generated"], sets["train"], sets["train"], rng=rng, cache=False)


def test_duplicates_within_a_set():
    rng = np.random.default_rng(14)
    reference, generated = draw(rng, 80), draw(rng, 60)
    assert duplicates(generated, reference, rng=rng).count <= 4
    generated[10], generated[20] = generated[30], generated[31] + 1e-3
    found = duplicates(generated, reference, rng=rng)
    assert {pair[:2] for pair in found.pairs} >= {(10, 30), (20, 31)}
    assert found.count == round(found.share * 60) >= 4
    assert asdict(found)["n_reference"] == 60
    with pytest.raises(InputError, match="of one patient"):
        duplicates(generated, reference, rng=rng, patients=["p"] * 80)
    assert exact_duplicates(["a", "b", "a", "c", "b", "a"]) == ((0, 2, 5), (1, 4))
