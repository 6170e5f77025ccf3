from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from synth.core.errors import InputError
from synth.metrics.extractors import Extractor, extractor, features, stream_features
from synth.metrics.extractors.cache import FeatureCache
from synth.metrics.images.sets import ImageSet
from tests.end_to_end.scene import affine, write_array

RANDOM = np.random.default_rng(2)
IMAGES = RANDOM.integers(0, 256, (11, 12, 10), dtype=np.uint8)


class Moments:
    """Mean and deviation within the mask; counts the images that it sees."""

    name = "moments"
    dimension = 2
    batch_size = 4
    notes = ("an odd extractor",)

    def __init__(self, version="01", *, uses_masks=False):
        self.version_hash, self.uses_masks, self.batches = version, uses_masks, []

    def feature_names(self, ndim=2):
        return ("mean", "deviation")

    def features(self, images, masks=None, spacing_mm=None):
        self.batches.append(len(images))
        where = np.ones(images.shape, bool) if masks is None else masks
        return np.array([[one[inside].mean(), one[inside].std()] for one, inside in zip(images, where, strict=True)])


def expected(images):
    return np.array([[one.mean(), one.std()] for one in images])


def test_features_keep_the_order_of_the_set(tmp_path):
    mixed = [image if number % 3 else image[:, :7] for number, image in enumerate(IMAGES)]
    chosen = Moments()
    found = features(mixed, chosen, cache=False)
    assert isinstance(chosen, Extractor)
    assert np.array_equal(found.values, expected(mixed))
    assert sorted(chosen.batches, reverse=True) == [4, 4, 3]
    assert found.indices.tolist() == list(range(11))
    assert found.feature_names == ("mean", "deviation")
    assert "an odd extractor" in found.warnings
    assert any("mixed sizes" in line for line in found.warnings)


def test_many_sizes_do_not_pile_up():
    class Small(Moments):
        batch_size = 2

    sizes = [np.full((3 + number, 5), number, np.uint8) for number in range(30)]
    chosen = Small()
    pieces = stream_features(ImageSet.open(sizes), chosen, cache=False, workers=1)
    next(pieces)
    assert sum(chosen.batches) == 1  # after 8 that wait, long before the end
    assert len(list(pieces)) == 29


def test_cached_features_are_not_computed_again(tmp_path):
    cache = FeatureCache(tmp_path)
    first, second = Moments(), Moments()
    one = features(IMAGES[:6], first, cache=cache)
    two = features(IMAGES, second, cache=cache)
    assert sum(first.batches) == 6
    assert sum(second.batches) == 5
    assert np.array_equal(one.values, two.values[:6])
    assert np.array_equal(two.values, expected(IMAGES))
    newer = Moments("02")
    features(IMAGES, newer, cache=cache)
    assert sum(newer.batches) == 11
    for path in tmp_path.rglob("*.feat"):
        path.write_bytes(path.read_bytes()[:-1])
    assert np.array_equal(features(IMAGES, Moments(), cache=cache).values, expected(IMAGES))


def test_a_mask_is_part_of_the_key_where_it_matters(tmp_path):
    masks = RANDOM.integers(0, 2, IMAGES.shape).astype(bool)
    cache = FeatureCache(tmp_path)
    whole = features(IMAGES, Moments(uses_masks=True), cache=cache)
    masked = features(ImageSet.open(IMAGES, masks=masks), Moments(uses_masks=True), cache=cache)
    assert np.array_equal(masked.values, [[one[m].mean(), one[m].std()] for one, m in zip(IMAGES, masks, strict=True)])
    blind = Moments()
    assert np.array_equal(features(ImageSet.open(IMAGES, masks=masks), blind, cache=cache).values, whole.values)
    assert blind.batches == []


@pytest.mark.parametrize("flat_first", [True, False])
def test_pictures_and_volumes_in_one_set_are_refused(tmp_path, flat_first):
    names = ("a", "b") if flat_first else ("b", "a")
    Image.fromarray(IMAGES[0]).save(tmp_path / f"{names[0]}.png")
    write_array(tmp_path / f"{names[1]}.nii.gz", np.zeros((4, 5, 6), np.int16), affine())
    cache = FeatureCache(tmp_path / "cache")
    for _ in range(2):  # the second time with what the first has kept
        with pytest.raises(InputError, match=f"{names[0]}.png is a picture and {names[1]}.nii.gz a volume"):
            features(ImageSet.open(tmp_path), extractor("radiomics"), cache=cache)


def test_where_the_cache_is(tmp_path, monkeypatch):
    monkeypatch.setenv("SYNTH_CACHE", str(tmp_path))
    features(IMAGES, Moments())
    assert len(list((tmp_path / "features").rglob("*.feat"))) == 11
    monkeypatch.setenv("SYNTH_CACHE", "off")
    chosen = Moments()
    features(IMAGES, chosen)
    assert sum(chosen.batches) == 11


def test_skipped_files_leave_no_row(tmp_path):
    for number, image in enumerate(IMAGES[:3]):
        Image.fromarray(image).save(tmp_path / f"{number}.png")
    (tmp_path / "1.png").write_bytes(b"broken")
    found = features(ImageSet.open(tmp_path, on_error="skip"), Moments(), cache=False)
    assert found.indices.tolist() == [0, 2]
    assert np.array_equal(found.values, expected(IMAGES[[0, 2]]))
    assert found.images.names == ("0.png", "2.png")
    assert any("1 files skipped" in line for line in found.warnings)
    with pytest.raises(InputError, match=r"1\.png"):
        features(tmp_path, Moments(), cache=False)


def test_features_that_are_not_numbers_are_told():
    class Odd(Moments):
        def features(self, images, masks=None, spacing_mm=None):
            values = super().features(images)
            values[1, 1] = np.nan
            return values

    found = features(IMAGES[:3], Odd(), cache=False)
    assert any(
        "1 features of 1 images are not finite numbers (first deviation of image 1)" in w for w in found.warnings
    )


def test_a_refused_image_is_named(tmp_path):
    class Refuses(Moments):
        def features(self, images, masks=None, spacing_mm=None):
            raise InputError("image 1: is not liked")

    for name in ("a", "b"):
        Image.fromarray(IMAGES[0]).save(tmp_path / f"{name}.png")
    with pytest.raises(InputError, match=r"^b\.png: is not liked"):
        features(tmp_path, Refuses(), cache=False)


def test_radiomics_is_an_extractor_of_images_and_volumes():
    radiomics = pytest.importorskip("synth.metrics.radiomics.table")
    Settings = pytest.importorskip("synth.metrics.radiomics.settings").Settings
    settings = Settings(features=("firstorder_Mean", "firstorder_Energy"))
    chosen = extractor("radiomics", settings=settings)
    assert isinstance(chosen, Extractor)
    found = features(IMAGES, chosen, cache=False)
    assert np.array_equal(found.values, radiomics.feature_table(list(IMAGES), None, settings).values)
    assert np.allclose(found.values[:, 0], IMAGES.mean((1, 2)))
    masks = np.zeros(IMAGES.shape, bool)
    masks[:, 3:8, 2:9] = True
    masked = features(ImageSet.open(IMAGES, masks=masks), chosen, cache=False)
    assert np.allclose(masked.values[:, 0], IMAGES[:, 3:8, 2:9].mean((1, 2)))
    volumes = RANDOM.integers(-500, 500, (2, 5, 6, 7)).astype(np.int16)
    in_space = features(volumes, chosen, cache=False)
    assert np.allclose(in_space.values[:, 0], volumes.mean((1, 2, 3)))
    other = extractor("radiomics", settings=Settings(features=("firstorder_Mean",)))
    assert other.version_hash != chosen.version_hash
    assert (other.dimension, chosen.dimension) == (1, 2)
