"""Windows, shutters and pictures."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from synth.core.errors import InputError
from synth.drr.presentation import Collimation, Window, present

RAMP = np.linspace(0, 4, 60, dtype=np.float32).reshape(6, 10)


def test_a_window_maps_low_to_black_and_high_to_white() -> None:
    values = np.array([[0, 1, 1.5, 2, 3, 9]], np.float32)
    picture, window = present(values, Window(1, 3))
    assert picture.dtype == np.uint16
    assert window == Window(1, 3)
    np.testing.assert_array_equal(picture, [[0, 0, 16384, 32768, 65535, 65535]])


def test_brighter_is_more_attenuation_over_all_16_bits() -> None:
    picture, window = present(RAMP)
    assert picture.min() == 0
    assert picture.max() == 65535
    assert (np.diff(picture.ravel().astype(int)) >= 0).all()
    met = RAMP[RAMP > 0.05]
    assert (window.low, window.high) == pytest.approx(tuple(np.percentile(met, (2, 99.7))))


def test_beam_that_met_nothing_does_not_decide_the_window() -> None:
    half = np.where(np.arange(10) < 8, 0, RAMP + 1).astype(np.float32)
    assert present(half)[1] == present(np.ascontiguousarray(half[:, 8:]))[1]


@pytest.mark.parametrize("value", [0.0, 0.3, 2.0, 40.0])
def test_a_constant_image(value: float) -> None:
    picture, window = present(np.full((4, 5), value, np.float32))
    assert len(np.unique(picture)) == 1
    assert window.low < window.high


def test_a_field_is_black_outside_and_alone_decides_the_window() -> None:
    field = np.zeros(RAMP.shape, bool)
    field[2:4, 3:8] = True
    picture, window = present(RAMP, field=field)
    assert not picture[~field].any()
    assert window == present(np.ascontiguousarray(RAMP[2:4, 3:8]))[1]
    assert picture[field].max() == 65535


@pytest.mark.parametrize("ends", [(1.0, 1.0), (2.0, 1.0), (0.0, np.inf), (np.nan, 1.0)])
def test_windows_that_are_none(ends: Any) -> None:
    with pytest.raises(InputError, match="window must be two finite numbers, low < high"):
        Window(*ends)


def test_blades_cover_millimetres_of_each_side() -> None:
    field = Collimation(left=2, right=4, top=3, bottom=0).open_field((5, 8), (3.0, 2.0))
    expected = np.zeros((5, 8), bool)
    expected[1:, 1:6] = True
    np.testing.assert_array_equal(field, expected)
    assert Collimation().open_field((5, 8), (3.0, 2.0)).all()


def test_a_pixel_is_open_where_its_middle_is() -> None:
    assert Collimation(left=0.9).open_field((1, 4), (2.0, 2.0)).tolist() == [[True] * 4]
    assert Collimation(left=1.1).open_field((1, 4), (2.0, 2.0)).tolist() == [[False, True, True, True]]


def test_blades_that_cover_everything_or_less_than_nothing() -> None:
    with pytest.raises(InputError, match="cover the whole 16×15 mm detector"):
        Collimation(left=9, right=8).open_field((5, 8), (3.0, 2.0))
    with pytest.raises(InputError, match="not negative"):
        Collimation(top=-1).open_field((5, 8), (3.0, 2.0))
