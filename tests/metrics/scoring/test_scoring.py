from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from synth.core.errors import InputError
from synth.metrics.distances.frechet import frechet_distance
from synth.metrics.distances.mmd import kid as kid_of_features
from synth.metrics.extractors import extractor
from synth.metrics.images.sets import ImageSet
from synth.metrics.scoring.inputs import Extraction
from synth.metrics.scoring.metrics import DEFAULT, METRICS, metric_names
from synth.metrics.scoring.scores import fid, kid, prdc, score
from tests.metrics.picture_sets import pictures, write_pictures

N = 40


@pytest.fixture(scope="module")
def real():
    return pictures(11, N)


@pytest.fixture(scope="module")
def alike():
    return pictures(12, N)


@pytest.fixture(scope="module")
def card(real, alike):
    return score(real, alike)


class Means:
    """An extractor of three numbers; the last is NaN for images that begin with 255."""

    name, dimension, version_hash, batch_size, uses_masks, notes = "means", 3, "0" * 64, 8, False, ()

    def feature_names(self, ndim=2):
        return ("mean", "spread", "corner")

    def features(self, images, masks=None, spacing_mm=None):
        values = images.reshape(len(images), -1).astype(float)
        corner = np.where(values[:, 0] == 255, np.nan, values[:, 0])
        return np.column_stack([values.mean(1), values.std(1), corner])


def test_two_sets_of_one_distribution_are_not_told_apart(card):
    assert tuple(card) == DEFAULT
    assert all(card[name].p_value > 0.01 for name in card)
    assert card["frd"].value < card["frd"].floor + 0.7
    assert card["fd"].value < 2 * card["fd"].floor
    assert card["precision"].value > 0.7
    assert (card["fd"].n_reference, card["fd"].n_generated) == (N, N)


def test_scores_rise_with_severity(real):
    cards = [score(real, pictures(12, N, blur=blur), "frd,fd,kid,precision,coverage") for blur in (0.0, 0.7, 1.4)]
    for name in ("frd", "fd", "kid"):
        values = [one[name].value for one in cards]
        assert values == sorted(values)
        assert cards[1][name].p_value <= 0.05
    assert cards[0]["coverage"].value > cards[1]["coverage"].value >= cards[2]["coverage"].value


def test_contrast_is_seen_by_all_but_the_frd(real):
    card = score(real, pictures(12, N, contrast=0.8), "frd,fd")
    assert card["fd"].p_value <= 0.05 < card["frd"].p_value
    assert any("does not see it" in line for line in card.all_warnings)


def test_a_score_does_not_depend_on_what_else_is_asked_and_is_repeatable(real, alike, card):
    assert score(real, alike, ["vendi", "kid"])["kid"] == card["kid"]
    assert score(real, alike, "kid", seed=1)["kid"].p_value != card["kid"].p_value


def test_fd_is_the_frechet_distance_in_standard_deviations_of_the_reference(real, alike, card):
    pair = Extraction().pair(ImageSet.open(real), ImageSet.open(alike))
    np.testing.assert_allclose(pair.x.mean(0), 0, atol=1e-9)
    np.testing.assert_allclose(pair.x.std(0), 1)
    assert card["fd"].value == pytest.approx(frechet_distance(pair.x, pair.y))
    assert len(pair.names) + len(pair.dropped) == 102


def test_one_liners(real, alike, card, tmp_path):
    means = [Means().features(images) for images in (real, alike)]
    assert kid(real, alike, extractor=Means()).value == pytest.approx(kid_of_features(*means))
    assert prdc(real, alike) == {name: card[name] for name in ("precision", "recall", "density", "coverage")}
    with pytest.raises(InputError, match=r"inception-2015-12-05\.pt: no such file"):
        fid(real, alike, weights=tmp_path)


def test_fid_is_of_inception_whatever_the_extractor(real, alike, card, monkeypatch):
    asked = {}

    def find(name, **options):
        asked[name] = options
        return Means() if name == "inception" else extractor(name)

    monkeypatch.setattr("synth.metrics.scoring.inputs.find_extractor", find)
    both = score(real, alike, "fid,fd", weights="inception.pt")
    means = [Means().features(images) for images in (real, alike)]
    assert both["fid"].value == pytest.approx(frechet_distance(*means))
    assert both["fd"].value == card["fd"].value
    assert asked["inception"]["weights"] == "inception.pt"
    assert fid(real, alike).value == both["fid"].value


def test_folders_score_as_arrays(real, alike, tmp_path):
    folders = write_pictures(tmp_path / "real", real), write_pictures(tmp_path / "fake", alike)
    card = score(*folders, "fd,ms-ssim")
    assert (card.reference, card.generated, card.n_reference, card.n_generated) == ("real", "fake", N, N)
    assert card["fd"].value == score(real, alike, "fd")["fd"].value
    assert "reference  real, 40 images: the real set that the other is judged by" in card.table()


def test_the_same_folder_twice_is_zero_with_a_warning(real, tmp_path):
    folder = write_pictures(tmp_path / "real", real)
    card = score(folder, folder, "frd,fd,kid")
    assert [card[name].value for name in card] == [0, 0, 0]
    assert any("hold the same 40 images" in line for line in card.all_warnings)
    assert (card.reference, card.generated) == ("real [reference]", "real [generated]")


def test_few_images_are_said_to_be_few(card):
    assert any("below 2 images a feature" in line and line.startswith("fd, fd-inf") for line in card.all_warnings)
    assert card["fd-inf"].low is None


def test_subgroups(real, alike, tmp_path):
    sexes, ages = ["F", "M"] * (N // 2), [30, 30, 70, 70] * (N // 4)
    first = write_pictures(tmp_path / "real", real, {"sex": sexes, "age": ages})
    women = ["F"] * (N - 3) + ["male"] * 3
    second = write_pictures(tmp_path / "fake", alike, {"sex": women, "age": [30] * N})
    card = score(first, second, "fd,kid", by="sex,sex+age_group")
    groups = card.groups("sex")
    assert list(groups) == ["F", "M"]
    only_women = [ImageSet.open(folder).by("sex")["F"] for folder in (first, second)]
    assert groups["F"]["kid"].n_generated == len(only_women[1]) == N - 3
    assert set(groups["M"]) == {"fd"}  # KID needs four images
    assert list(card.groups("sex+age_group")) == ["F, 18-39", "F, 60-79", "M, 18-39", "M, 60-79"]
    assert any(line.startswith("sex F: only 20 reference and 37 generated images") for line in card.warnings)
    text = card.table()
    assert "sex M, kid: " in text
    assert "this score needs at least 4" in text


def test_deeper_and_coloured_pictures_score_as_the_same_values(real, alike, tmp_path):
    plain = score(real, alike, "fd,ms-ssim")
    deep = score(real, alike.astype(np.uint16) * 257, "fd,ms-ssim")
    assert deep["fd"].value == plain["fd"].value
    assert any("holds uint8, arrays [generated] uint16" in line for line in deep.all_warnings)
    coloured = write_pictures(tmp_path / "rgb", np.repeat(alike[..., None], 3, 3))
    assert score(real, coloured, "fd")["fd"].value == plain["fd"].value


def test_mixed_sizes(real, alike):
    mixed = [image if k % 2 else image[:32, :32] for k, image in enumerate(alike)]
    card = score(real, mixed)
    assert any("mixed sizes" in line for line in card.all_warnings)
    with pytest.raises(InputError, match=r"ms-ssim: .* of one size; resize all images"):
        score(real, mixed, "ms-ssim")
    assert "resize all images to one size" in card.table()
    assert score(real, mixed, "ms-ssim", resize=32)["ms-ssim"].value > 0


def test_other_sizes_are_told(real):
    card = score(real, pictures(12, N, 32), "kid")
    assert any("share no image size (40 × 40, 32 × 32)" in line for line in card.all_warnings)


def test_constant_pictures_do_not_stop_a_set(real, alike):
    flat = alike.copy()
    flat[3] = 7
    card = score(real, flat, "frd,fd")
    assert np.isfinite(card["fd"].value)
    assert any("constant images (image 3)" in line for line in card.all_warnings)
    with pytest.raises(InputError, match=r"do not differ|no image has all features"):
        score(np.full_like(real, 9), alike, "fd")


def test_features_that_are_no_numbers_are_refused(real, alike):
    odd = alike.copy()
    odd[5, 0, 0] = 255
    with pytest.raises(InputError, match=r"1 features of 1 images are not finite .*image 5\); leave these"):
        score(np.minimum(real, 254), odd, "fd", extractor=Means())


def test_masks(real, alike):
    masks = np.zeros(real.shape, np.uint8)
    masks[:, 8:30, 8:30] = 1
    card = score(real, alike, "frd,fd", reference_masks=masks, generated_masks=masks)
    assert card["fd"].value != score(real, alike, "fd")["fd"].value
    empty = masks.copy()
    empty[4] = 0
    card = score(real, alike, "frd,fd", reference_masks=masks, generated_masks=empty)
    assert card["fd"].n_generated == card["frd"].n_generated == N - 1
    assert any("empty masks (image 4)" in line for line in card.all_warnings)
    with pytest.raises(InputError, match=r"image 0.*mask"):
        score(real, alike, "fd", reference_masks=masks, generated_masks=masks[:, :30])
    unseen = score(real, alike, "kid", extractor=Means(), reference_masks=masks, generated_masks=masks)
    assert unseen["kid"].value == score(real, alike, "kid", extractor=Means())["kid"].value
    assert "means does not look at masks: its features are of whole images" in unseen.all_warnings
    with pytest.raises(InputError, match="masks are given for the other set alone"):
        score(real, alike, "fd", reference_masks=masks)


def test_volumes(tmp_path):
    rng = np.random.default_rng(0)
    volumes = [np.rint(rng.normal(0, 300, (10, 12, 14, 16))).astype(np.int16) for _ in range(2)]
    card = score(*volumes, "fd,kid")
    assert card["fd"].n_reference == 10
    with pytest.raises(InputError, match="volumes, the other 2D images"):
        score(volumes[0], pictures(11, 6), "kid")
    with pytest.raises(InputError, match="MS-SSIM takes 2D images"):
        score(*volumes, "ms-ssim")


def test_sets_that_are_none(real, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="the folder is empty"):
        score(real, tmp_path / "empty")
    with pytest.raises(InputError, match="one image is no distribution; give the generated set at least 2"):
        score(real, real[:1])
    folder = write_pictures(tmp_path / "broken", real)
    (folder / "007.png").write_bytes(b"no picture")
    with pytest.raises(InputError, match=r"007\.png"):
        score(real, folder, "kid")
    card = score(pictures(12, N), folder, "kid", on_error="skip")
    assert card["kid"].n_generated == N - 1
    assert any("1 files skipped" in line for line in card.all_warnings)


def test_unknown_names_are_answered_with_the_nearest(real):
    with pytest.raises(InputError, match="unknown metric 'fidd'; did you mean 'fid'"):
        score(real, real, "fidd")
    with pytest.raises(InputError, match="no metric is named"):
        score(real, real, " , ")
    with pytest.raises(InputError, match="unknown extractor 'radiomic': did you mean 'radiomics'"):
        score(real, real, "fd", extractor="radiomic")
    with pytest.raises(InputError, match="no column 'sex'"):
        score(real, real, "fd", by="sex")
    with pytest.raises(InputError, match="a column is empty"):
        score(real, real, "fd", by="sex,")


def test_names_of_metrics():
    assert metric_names("FID, fd_inf,prdc") == ("fid", "fd-inf", "precision", "recall", "density", "coverage")
    assert metric_names("default") == DEFAULT
    assert set(DEFAULT) <= set(METRICS)


def test_json_is_plain(card):
    told = json.loads(card.to_json())
    assert [one["metric"] for one in told["scores"]] == list(DEFAULT)
    assert all(one["says"] for one in told["scores"])
    assert told["reference"] == "arrays [reference]"
    assert told["frd_explanation"][0]["share"] > 0
    with pytest.raises(InputError, match="no score 'fid'"):
        card["fid"]


def test_an_unreadable_mode_is_named(tmp_path, real):
    folder = write_pictures(tmp_path / "float", real[:4])
    Image.fromarray(np.full((40, 40), 0.5, np.float32)).save(folder / "000.tif")
    with pytest.raises(InputError, match=r"000\.tif: values 0\.5\.\.0\.5 are not whole"):
        score(real, folder, "kid")
