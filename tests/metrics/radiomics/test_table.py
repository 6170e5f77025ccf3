"""Tables of many images."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from synth.core.errors import InputError
from synth.metrics.radiomics.extract import extract
from synth.metrics.radiomics.settings import Settings, frd_settings
from synth.metrics.radiomics.table import feature_table


def images(n: int, shape: Any = (24, 20)) -> list[Any]:
    rng = np.random.default_rng(3)
    return [rng.integers(0, 256, shape).astype(np.uint8) for _ in range(n)]


def test_rows_are_extractions_however_many_workers() -> None:
    pictures = images(7)
    masks = [None, *(picture > 40 for picture in pictures[1:])]
    settings = frd_settings("v1", 2)
    tables = [feature_table(pictures, masks, settings, workers=workers) for workers in (1, 5)]
    assert tables[0].values.tobytes() == tables[1].values.tobytes()
    for row, picture, mask in zip(tables[0].values, pictures, masks, strict=True):
        assert dict(zip(tables[0].names, row, strict=True)) == extract(picture, mask, settings)


def test_spacings_are_of_their_images() -> None:
    volumes = images(2, (8, 9, 7))
    spacings = [(1.0, 1.0, 2.0), None]
    table = feature_table(volumes, spacings=spacings)
    volume = table.columns(["shape_VoxelVolume"]).values[:, 0]
    assert volume.tolist() == [2 * 8 * 9 * 7, 8 * 9 * 7]


def test_columns_are_as_asked_for() -> None:
    table = feature_table(images(2))
    some = table.columns(["glcm_Idn", "firstorder_Mean"])
    assert some.names == ("glcm_Idn", "firstorder_Mean")
    assert np.array_equal(some.values[:, 1], table.values[:, table.names.index("firstorder_Mean")])
    with pytest.raises(InputError, match="no column 'Mean'"):
        table.columns(["Mean"])


def test_bad_input_is_refused() -> None:
    pictures = images(3)
    with pytest.raises(InputError, match="images: there are none"):
        feature_table([])
    with pytest.raises(InputError, match="masks: expected 3, one an image, got 2"):
        feature_table(pictures, pictures[:2])
    with pytest.raises(InputError, match="spacings: expected 3"):
        feature_table(pictures, spacings=[(1, 1)])
    with pytest.raises(InputError, match=r"expected all 2D or all 3D, got images of \[2, 3\]"):
        feature_table([*pictures, pictures[0][None]])
    with pytest.raises(InputError, match="expected all 2D or all 3D"):
        feature_table([np.zeros(3)])
    with pytest.raises(InputError, match="image 1: mask: it holds no voxel"):
        feature_table(pictures, [None, np.zeros((24, 20)), None])
    with pytest.raises(InputError, match="image 2: image: it is constant"):
        feature_table([*pictures[:2], np.ones((5, 5))], settings=Settings(normalise=True))
