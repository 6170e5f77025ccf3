from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from synth.core.errors import InputError
from synth.metrics.frd.distance import frd
from synth.metrics.frd.features import FrdTable
from synth.metrics.images.sets import ImageSet
from tests.metrics.frd.frd_images import pictures, table

if TYPE_CHECKING:
    from pathlib import Path

ONLY: dict[str, Any] = {"permutations": 0, "repeats": 0, "intervals": False, "cache": False}


@pytest.fixture(scope="module")
def real() -> Any:
    return pictures(0, 16)


@pytest.fixture(scope="module")
def other() -> Any:
    return pictures(1, 14)


def test_does_not_depend_on_the_order_of_images(real: Any, other: Any) -> None:
    for version in ("v0", "v1"):
        one = frd(real, other, version=version, **ONLY).value  # type: ignore[arg-type]
        assert frd(real[::-1], other[::-1], version=version, **ONLY).value == pytest.approx(one, abs=1e-9)  # type: ignore[arg-type]


def test_does_not_depend_on_the_format_of_files(real: Any, other: Any, tmp_path: Path) -> None:
    for ending in ("png", "tiff", "bmp"):
        (tmp_path / ending).mkdir()
        for k, picture in enumerate(real):
            Image.fromarray(picture).save(tmp_path / ending / f"{k:02}.{ending}")
    values = [frd(tmp_path / ending, other, **ONLY).value for ending in ("png", "tiff", "bmp")]
    assert values == [frd(real, other, **ONLY).value] * 3
    assert frd(real.astype(np.uint16), other, **ONLY).value == values[0]


def test_a_set_against_itself_is_0_and_says_so(real: Any) -> None:
    score = frd(real, real[::-1], permutations=9, cache=False)
    assert (score.value, score.interval, score.distance, score.p_value) == (0, (0, 0), pytest.approx(0, abs=1e-9), 1)
    assert score.floor is not None
    assert score.floor > 0
    assert any("−∞, which is reported as 0" in note for note in score.warnings)
    assert any("compares a set with itself" in note for note in score.warnings)
    assert (score.reference, score.generated) == ("arrays [1]", "arrays [2]")


def test_says_which_set_is_the_reference(real: Any, other: Any) -> None:
    a, b = ImageSet.open(real, name="hospital"), ImageSet.open(pictures(2, 14, smooth=1.5), name="model")
    there, back = frd(a, b, **ONLY), frd(b, a, **ONLY)
    assert "of model against hospital (the reference)" in str(there)
    assert "of hospital against model (the reference)" in str(back)
    assert abs(there.value - back.value) > 0.1
    v0 = [frd(*sets, version="v0", **ONLY).value for sets in ((a, b), (b, a))]
    assert v0[0] == pytest.approx(v0[1])


@pytest.mark.parametrize("version", ["v0", "v1"])
def test_rises_with_blur_and_with_noise(version: Any, real: Any, other: Any) -> None:
    noise = np.random.default_rng(5).standard_normal(other.shape)
    blurred = [ndimage.gaussian_filter(other.astype(float), (0, s, s)) for s in (0.5, 1, 2)]
    noisy = [other + s * noise for s in (3, 8, 20)]
    for changed in (blurred, noisy):
        sets = [other, *(np.clip(np.rint(images), 0, 255).astype(np.uint8) for images in changed)]
        values = [frd(real, images, version=version, **ONLY).value for images in sets]
        assert values == sorted(values)
        assert values[-1] - values[0] > (1 if version == "v1" else 100)


def test_a_crop_of_two_pixels_changes_little(real: Any, other: Any) -> None:
    whole, cropped = frd(real, other, **ONLY), frd(real, other[:, 1:-1, 1:-1], **ONLY)
    assert cropped.value == pytest.approx(whole.value, abs=0.5)
    assert any(note.startswith("sizes differ: reference 48×48, generated 46×46") for note in cropped.warnings)
    assert any("follows from the number of voxels" in note for note in cropped.warnings)
    assert "firstorder_Energy" in cropped.dropped
    assert "firstorder_Energy" not in whole.dropped
    assert frd(real, other[:, 1:-1, 1:-1], mode="compat", **ONLY).value > 60  # what frd-score makes of it
    assert frd(real, other[:, 1:-1, 1:-1], resize=48, **ONLY).value < 60


def test_columns_of_rounding_noise_are_dropped_and_named(real: Any, other: Any) -> None:
    clean, compat = frd(real, other, **ONLY), frd(real, other, mode="compat", **ONLY)
    noise = {f"wavelet-{band}_firstorder_Mean" for band in ("LH", "HL", "HH")}
    assert noise <= set(clean.dropped)
    assert "wavelet-LH_firstorder_Mean" in str(clean)
    assert set(compat.normalised.noise) <= noise
    assert not any(name.startswith("diagnostics") for name in clean.normalised.names)
    assert len(clean.normalised.names) + len(clean.dropped) == 398


def test_degenerate_columns() -> None:
    x, y = table(0, 20).values, table(1, 20).values
    x[:, 1], y[:, 1] = 7, 7 + 1e-12
    x[:, 2] = 3 + 1e-13 * x[:, 2]
    names = table(0, 1).names
    score = frd(FrdTable.of("a", names, x), FrdTable.of("b", names, y), **ONLY)
    assert score.dropped[names[1]] == "constant in the reference"
    assert score.dropped[names[2]] == "constant in the reference, but not so in the generated set"
    assert any(names[2] in note for note in score.warnings)
    with pytest.raises(InputError, match="no feature varies"):
        frd(FrdTable.of("a", names[:1], np.ones((5, 1))), FrdTable.of("b", names[:1], x[:, :1]), **ONLY)


def test_undefined_features() -> None:
    x, y = table(0, 20, name="a"), table(1, 20, name="b")
    x.values[:15, 1] = np.nan
    y.values[3, 4] = np.nan
    score = frd(x, y, **ONLY)
    assert score.dropped == {x.names[1]: "undefined in most images of a set"}
    assert (score.score.n_reference, score.score.n_generated) == (20, 19)
    assert any("1 of 20 images left out" in note and "image 3" in note for note in score.warnings)
    v0 = frd(x, y, version="v0", mode="compat", **ONLY)
    assert (v0.score.n_generated, v0.dropped) == (20, {})


def test_a_constant_image_is_left_out_and_named(real: Any, other: Any) -> None:
    blank = other.copy()
    blank[3] = 9
    score = frd(real, blank, **ONLY)
    assert score.score.n_generated == len(other) - 1
    assert any("left out" in note and "image 3" in note for note in score.warnings)
    assert score.value == pytest.approx(frd(real, np.delete(other, 3, 0), **ONLY).value)


def test_contrast_that_v1_does_not_see_is_said(real: Any) -> None:
    wide = pictures(2, 14).astype(np.uint16)
    stretched = wide * 2 + 5
    plain, hidden = frd(real, wide, **ONLY), frd(real, stretched, **ONLY)
    assert hidden.value == pytest.approx(plain.value, abs=1e-6)
    assert hidden.grey is not None
    assert hidden.grey.contrast == pytest.approx(2 * plain.grey.contrast)  # type: ignore[union-attr]
    assert any("v1 normalises every image and does not see it" in note for note in hidden.warnings)
    assert not any("does not see" in note for note in plain.warnings)
    seen = frd(real, stretched, contrast=True, **ONLY)
    assert seen.value > hidden.value + 1
    assert seen.explain().by("class")[0].name == "grey"
    assert frd(real, stretched, version="v0", **ONLY).value > 3 * frd(real, wide, version="v0", **ONLY).value
    with pytest.raises(InputError, match="not frd-score's"):
        frd(real, wide, mode="compat", contrast=True, **ONLY)


def test_masks_are_paired_by_name(real: Any, other: Any, tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("images", "masks")]
    rng = np.random.default_rng(0)
    masks = ndimage.gaussian_filter(rng.standard_normal(real.shape), (0, 6, 6)) > 0
    for folder in folders:
        folder.mkdir()
    for k, (picture, mask) in enumerate(zip(real, masks, strict=True)):
        Image.fromarray(picture).save(folders[0] / f"{k:02}.png")
        Image.fromarray(mask.astype(np.uint8) * 255).save(folders[1] / f"{k:02}_mask.png")
    options: dict[str, Any] = {"generated_masks": [np.ones(one.shape) for one in other], **ONLY}
    by_name = frd(folders[0], other, reference_masks=folders[1], **options)
    assert by_name.value == pytest.approx(frd(real, other, reference_masks=masks, **options).value)
    assert by_name.value != pytest.approx(frd(real, other, reference_masks=masks[::-1], **options).value, abs=1e-3)
    assert any("only the reference set is looked at" in note for note in frd(
        real, other, reference_masks=masks, **ONLY).warnings)  # fmt: skip
    (folders[1] / "04_mask.png").unlink()
    with pytest.raises(InputError, match=r"04\.png"):
        frd(folders[0], other, reference_masks=folders[1], **options)
    empty = masks.copy()
    empty[5] = False
    left = frd(real, other, reference_masks=empty, **options)
    assert left.score.n_reference == len(real) - 1


def test_volumes(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    a, b = (
        (100 * ndimage.gaussian_filter(rng.standard_normal((4, 12, 16, 16)), (0, s, s, s))).astype(np.int16)
        for s in (1, 2)
    )
    score = frd(a, b, **ONLY)
    assert any(name.startswith("log-sigma") for name in score.normalised.names)
    with pytest.raises(InputError, match="has 3D images, arrays 2D ones"):
        frd(a, pictures(0, 4), **ONLY)


def test_refuses_too_few(real: Any) -> None:
    with pytest.raises(InputError, match=r"1 image\(s\) with features; FRD needs at least 2"):
        frd(real, real[:1], **ONLY)
    with pytest.raises(InputError, match=r"0 of 3 image\(s\) with features"):
        frd(real, np.full((3, 48, 48), 7, np.uint8), **ONLY)
    two = frd(real[:2], real[2:4], permutations=9, cache=False)
    assert np.isfinite(two.value)
    assert two.interval == (None, None)
    assert two.floor is None


def test_refuses_unknown_options(real: Any, other: Any) -> None:
    wrong: Any = "v2"
    with pytest.raises(InputError, match="version must be 'v0' or 'v1', got 'v2'"):
        frd(real, other, version=wrong, **ONLY)
    with pytest.raises(InputError, match="mode must be 'clean' or 'compat'"):
        frd(real, other, mode=wrong, **ONLY)
    with pytest.raises(InputError, match="different columns"):
        frd(table(0, 5), table(0, 5, d=4), **ONLY)
    with pytest.raises(InputError, match="columns are there already"):
        frd(table(0, 5), table(1, 5), reference_masks="masks", **ONLY)


def test_is_the_same_every_time_and_prints_readably(real: Any, other: Any) -> None:
    scores = [frd(real, other, permutations=19, cache=False) for _ in range(2)]
    assert scores[0].score == scores[1].score
    text = str(scores[0])
    for part in ("FRD v1 (clean)", "95 % interval", "floor", "16 reference, 14 generated", "grey values"):
        assert part in text
    assert float(scores[0]) == scores[0].as_dict()["value"]
    assert scores[0].as_dict()["reference"] == "arrays [1]"
