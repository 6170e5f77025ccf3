from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from synth.core.errors import InputError
from synth.metrics.images.windowing import check_window, resize_grey, resize_mask, resize_to_type, to_8_bits

RANDOM = np.random.default_rng(8)


def bicubic(n_in: int, n_out: int) -> np.ndarray:
    """The interpolation matrix of Keys' cubic (a = −0.5), widened by the scale when shrinking, edges renormalised."""
    scale = n_in / n_out
    width = max(scale, 1.0)
    x = np.abs((np.arange(n_in) + 0.5 - (np.arange(n_out)[:, None] + 0.5) * scale) / width)
    weights = np.where(x < 1, (1.5 * x - 2.5) * x * x + 1, np.where(x < 2, ((-0.5 * x + 2.5) * x - 4) * x + 2, 0))
    return weights / weights.sum(1, keepdims=True)


@pytest.mark.parametrize("shape", [(31, 400), (299, 299), (640, 512), (8, 9)])
def test_resizing_is_the_antialiased_bicubic_of_float_channels(shape):
    image = RANDOM.integers(0, 256, shape, dtype=np.uint8)
    exact = bicubic(shape[0], 299) @ image @ bicubic(shape[1], 299).T
    # Pillow sums in float64 and rounds to float32 after each axis.
    assert np.abs(resize_grey(image, (299, 299)) - exact).max() < 1e-4
    picture = Image.fromarray(image.astype(np.float32)).resize((299, 299), Image.Resampling.BICUBIC)
    assert np.array_equal(resize_grey(image, (299, 299)), np.asarray(picture))


def test_full_window_is_the_range_of_the_type():
    deep = RANDOM.integers(0, 65536, (2, 5, 6), dtype=np.uint16)
    assert np.array_equal(to_8_bits(deep), np.rint(deep / 257.0))
    shallow = (deep >> 8).astype(np.uint8)
    assert np.array_equal(to_8_bits(shallow), shallow)
    assert np.array_equal(to_8_bits(shallow * np.uint16(257)), shallow)


def test_minmax_stretches_each_image_by_itself():
    images = np.array([[[100, 200], [300, 400]], [[7, 7], [7, 7]]], np.uint16)
    assert np.array_equal(to_8_bits(images, "minmax"), [[[0, 85], [170, 255]], [[0, 0], [0, 0]]])


def test_a_window_clips():
    images = np.array([[[0, 1000, 2000, 3000, 65535]]], np.uint16)
    assert np.array_equal(to_8_bits(images, (1000, 3000)), [[[0, 0, 128, 255, 255]]])
    assert check_window([0, 4095]) == (0.0, 4095.0)
    for bad in ("all", (3, 3), (1, 2, 3), None, 5):
        with pytest.raises(InputError, match="window must be"):
            check_window(bad)
    with pytest.raises(InputError, match="uint8 or uint16"):
        to_8_bits(np.zeros((1, 2, 2)))


def test_resizing_keeps_type_range_and_constants():
    edge = np.zeros((20, 20), np.uint16)
    edge[:, 10:] = 65535
    resized = resize_to_type(edge, (33, 47))
    assert (resized.dtype, resized.shape) == (np.uint16, (33, 47))
    assert (resized.min(), resized.max()) == (0, 65535)
    assert resize_to_type(edge, (20, 20)) is edge
    mask = resize_mask(edge > 0, (40, 40))
    assert mask.dtype == np.bool_
    assert np.array_equal(mask, np.repeat(np.repeat(edge > 0, 2, 0), 2, 1))
    with pytest.raises(InputError, match="unknown filter 'cubic'"):
        resize_grey(edge, (3, 3), "cubic")
