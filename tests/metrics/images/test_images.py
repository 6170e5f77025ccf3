from __future__ import annotations

import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from synth.core.errors import InputError
from synth.core.volume import Volume
from synth.core.writing import write_volume
from synth.metrics.images.sets import ImageSet, content_hash
from synth.metrics.images.stream import ordered_map
from synth.metrics.images.survey import Survey, shared_content

RANDOM = np.random.default_rng(6)
IMAGES = RANDOM.integers(0, 256, (4, 8, 6), dtype=np.uint8)


def write(folder, names, images=IMAGES):
    for name, image in zip(names, images, strict=False):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)
    return folder


def pixels(images):
    return [one.pixels for one in images.stream(workers=2)]


def test_folders_are_searched_recursively_in_order_of_relative_paths(tmp_path):
    write(tmp_path, ["b/2.png", "a.png", "b/10.png", "c.tif"])
    (tmp_path / "notes.txt").write_text("no image")
    write(tmp_path / ".hidden", ["x.png"])
    images = ImageSet.open(tmp_path)
    assert images.names == ("a.png", "b/10.png", "b/2.png", "c.tif")
    assert np.array_equal(pixels(images), IMAGES[[1, 2, 0, 3]])
    assert images.name == tmp_path.name


def test_an_images_folder_beside_masks_is_the_set(tmp_path):
    write(tmp_path, ["images/a.png", "masks/a.png"])
    assert ImageSet.open(tmp_path).names == ("a.png",)


def test_tables_decide_and_give_columns(tmp_path):
    write(tmp_path / "images", ["a.png", "b.png", "c.png"])
    (tmp_path / "metadata.csv").write_text("\ufefffile_name,sex,age\nimages/c.png,F,63\nimages/a.png,M,\n")
    images = ImageSet.open(tmp_path)
    assert images.names == ("images/c.png", "images/a.png")
    assert images.column("sex") == ("F", "M")
    assert np.array_equal(pixels(images), IMAGES[[2, 0]])
    assert [one.row["age"] for one in images.stream()] == ["63", ""]
    (tmp_path / "other.csv").write_text("Image Index,Patient Gender\na.png,F\n")
    other = ImageSet.open(tmp_path / "other.csv")
    assert np.array_equal(pixels(other), IMAGES[:1])
    assert list(other.by("sex")) == ["F"]
    (tmp_path / "odd.csv").write_text("where\nimages/b.png\n")
    assert np.array_equal(pixels(ImageSet.open(tmp_path / "odd.csv", column="where")), IMAGES[1:2])
    with pytest.raises(InputError, match=r"no column file_name.*it has where"):
        ImageSet.open(tmp_path / "odd.csv")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "header"),
        ("file_name\n", "no images"),
        ("file_name\n1.png,2\n", "line 2: more cells"),
        ("file_name,sex\n,F\n", "row 1 has an empty file_name"),
        ("file_name\ngone.png\nlost.png\n", r"2 of 2 files are missing: gone\.png, lost\.png"),
        ("file_name,file_name\na,b\n", "different column names"),
    ],
)
def test_bad_tables_are_explained(tmp_path, text, message):
    (tmp_path / "metadata.csv").write_text(text)
    with pytest.raises(InputError, match=message):
        ImageSet.open(tmp_path)


def test_arrays_of_every_layout(tmp_path):
    colour = np.repeat(IMAGES[..., None], 3, axis=3)
    for source in (IMAGES, list(IMAGES), colour, np.moveaxis(colour, 3, 1), IMAGES[:, None], IMAGES.astype(float)):
        assert np.array_equal(pixels(ImageSet.open(source)), IMAGES)
    np.save(tmp_path / "a.npy", IMAGES)
    assert np.array_equal(pixels(ImageSet.open(tmp_path / "a.npy")), IMAGES)
    np.savez(tmp_path / "a.npz", images=IMAGES, masks=IMAGES > 9, sex=np.array(["F", "M", "F", "M"]))
    images = ImageSet.open(tmp_path / "a.npz", masks="own")
    assert len(images.by("sex")["F"]) == 2
    assert np.array_equal([one.mask for one in images.stream()], IMAGES > 9)


def test_all_arrays_get_one_depth():
    mixed = np.concatenate([IMAGES, IMAGES.astype(np.int64) * 100])
    for source in (mixed, list(mixed), mixed.astype(float), list(mixed.astype(np.float32))):
        read = pixels(ImageSet.open(source))
        assert np.array_equal(read, mixed)
        assert {one.dtype for one in read} == {np.dtype(np.uint16)}


@pytest.mark.parametrize("bad", [IMAGES[0], IMAGES[:0], [], np.zeros((2, 3, 4, 5, 6)), IMAGES / 300, 7])
def test_bad_arrays_are_refused(bad):
    with pytest.raises(InputError):
        pixels(ImageSet.open(bad))


def test_an_open_set_is_returned_and_takes_no_options():
    images = ImageSet.open(IMAGES)
    assert ImageSet.open(images) is images
    with pytest.raises(InputError, match="open already"):
        ImageSet.open(images, resize=8)


def test_pickles_are_not_read(tmp_path):
    np.save(tmp_path / "a.npy", np.array([{}], object))
    with pytest.raises(InputError, match="without pickles"):
        ImageSet.open(tmp_path / "a.npy")


def test_volumes(tmp_path):
    hu = RANDOM.integers(-900, 900, (4, 5, 6)).astype(np.int16)
    write_volume(tmp_path / "a.nii.gz", Volume(hu, np.diag([1.5, 2.0, 3.0, 1.0])))
    one = ImageSet.open(tmp_path).load(0)
    assert np.array_equal(one.pixels, hu)
    assert one.spacing_mm == pytest.approx((3.0, 2.0, 1.5))
    assert np.array_equal(pixels(ImageSet.open([hu, hu])), [hu, hu])
    assert np.array_equal(pixels(ImageSet.open(hu[None, :3, :, :3], volumes=True)), hu[None, :3, :, :3])


def test_folders_that_cannot_be_used(tmp_path):
    with pytest.raises(InputError, match="no such file or folder"):
        ImageSet.open(tmp_path / "gone")
    with pytest.raises(InputError, match="the folder is empty"):
        ImageSet.open(tmp_path)
    (tmp_path / "a.txt").write_text("x")
    with pytest.raises(InputError, match="no PNG"):
        ImageSet.open(tmp_path)
    with pytest.raises(InputError, match="not a format read here"):
        ImageSet.open(tmp_path / "a.txt")


def test_corrupt_files_are_named_or_skipped_and_counted(tmp_path):
    write(tmp_path, ["a.png", "b.png", "c.png"])
    (tmp_path / "b.png").write_bytes((tmp_path / "b.png").read_bytes()[:60])
    with pytest.raises(InputError, match=r"b\.png: cut short"):
        pixels(ImageSet.open(tmp_path))
    survey = Survey("set")
    images = ImageSet.open(tmp_path, on_error="skip")
    assert [one.name for one in images.stream(survey)] == ["a.png", "c.png"]
    assert [name for name, _ in survey.skipped] == ["b.png"]
    assert any("1 files skipped" in line and "b.png" in line for line in survey.warnings)
    for name in ("a.png", "c.png"):
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(InputError, match="none of its 3 images"):
        pixels(images)


def test_resizing_is_a_named_policy(tmp_path):
    write(tmp_path, ["a.png", "b.png"], [IMAGES[0], np.full((20, 30), 77, np.uint8)])
    survey = Survey("set")
    assert [one.pixels.shape for one in ImageSet.open(tmp_path).stream(survey)] == [(8, 6), (20, 30)]
    assert any("mixed sizes" in line and "resize" in line for line in survey.warnings)
    images = ImageSet.open(tmp_path, resize=(10, 12), masks={"a.png": IMAGES[0] > 9, "b": np.ones((20, 30))})
    loaded = [images.load(0), images.load(1)]
    assert [(one.pixels.shape, one.mask.shape) for one in loaded] == [((10, 12), (10, 12))] * 2
    assert (loaded[1].pixels == 77).all()
    assert loaded[1].digest == content_hash(loaded[1].pixels)
    for bad in (0, (1, 2, 3), True, "8"):
        with pytest.raises(InputError, match="resize"):
            ImageSet.open(tmp_path, resize=bad)


def test_survey_says_what_is_odd():
    dark = (IMAGES[0] * np.uint16(16)).astype(np.uint16)
    odd = [IMAGES[0], IMAGES[0].copy(), np.full((8, 6), 3, np.uint8), dark, np.eye(8, 6, dtype=np.uint8)]
    survey = Survey("set")
    list(ImageSet.open(odd).stream(survey))
    text = "\n".join(survey.warnings)
    for part in ("mixed bit depths: 4 × uint8, 1 × uint16", "1 of 5 images repeat", "1 × constant images (image 2)",
                 f"reach only {dark.max()}", "two values"):  # fmt: skip
        assert part in text
    one = Survey("one")
    list(ImageSet.open(IMAGES[:1]).stream(one))
    assert "only one image" in one.warnings[0]


def test_shared_images_are_found_by_content(tmp_path):
    def surveyed(source, name):
        survey = Survey(name)
        list(ImageSet.open(source).stream(survey))
        return survey

    write(tmp_path, ["z.png", "y.png", "x.png", "w.png"])
    ours, copy = surveyed(IMAGES, "real"), surveyed(tmp_path, "fake")
    assert "same 4 images" in str(shared_content(ours, copy))
    assert "2 of 2 images of half" in str(shared_content(ours, surveyed(IMAGES[:2], "half")))
    assert shared_content(ours, surveyed(255 - IMAGES, "other")) is None


@given(hnp.arrays(st.sampled_from([np.uint8, np.uint16]), hnp.array_shapes(min_dims=2, max_dims=2, max_side=5)))
def test_content_hash_tells_values_types_and_shapes_apart(array):
    digest = content_hash(array)
    assert digest == content_hash(np.asfortranarray(array)) == content_hash(array.astype(array.dtype.newbyteorder()))
    changed = array.copy()
    changed.flat[0] ^= 1
    others = [changed, array[None], array.astype(np.int32), array.view(array.dtype.str.replace("u", "i"))]
    assert digest not in [content_hash(other) for other in others]
    assert array.shape[0] == array.shape[1] or digest != content_hash(array.reshape(array.shape[::-1]))


def test_ordered_map_keeps_order_and_stays_close_behind():
    started, lock = [], threading.Lock()

    def work(number):
        with lock:
            started.append(number)
        return number * number

    results = ordered_map(work, range(1000), 4)
    assert [next(results) for _ in range(10)] == [n * n for n in range(10)]
    assert max(started) < 10 + 3 * 4
    results.close()
    assert list(ordered_map(work, range(20), 1)) == [n * n for n in range(20)]
    with pytest.raises(ZeroDivisionError):
        list(ordered_map(lambda n: 1 // (n - 5), range(10), 3))
