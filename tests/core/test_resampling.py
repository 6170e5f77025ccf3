from __future__ import annotations

import numpy as np
import pytest

from synth.core.errors import InputError
from synth.core.resampling import crop, reorient, resample, resample_labels
from synth.core.volume import Labels, Volume
from tests.core.image_files import MARKER, SHAPE, ct_array, oblique_affine, world


def label_map(affine: np.ndarray) -> Labels:
    array = np.zeros(SHAPE, "u1")
    array[1:4, 1:4, 2:7] = 7
    return Labels(array, affine, {7: "box"})


def test_crop_keeps_every_voxel_in_its_place() -> None:
    volume = Volume(ct_array(), oblique_affine(), "name", ("doubt",))
    part = crop(volume, (1, 2, 3), (5, 6, 8))
    assert part.shape == (4, 4, 5)
    assert (part.name, part.warnings) == ("name", ("doubt",))
    index = tuple(m - low for m, low in zip(MARKER, (1, 2, 3), strict=True))
    assert part.hu[index] == volume.hu[MARKER]
    np.testing.assert_allclose(world(part.affine, index), world(volume.affine), atol=1e-9)
    assert crop(label_map(np.eye(4)), (1, 1, 2), (4, 4, 7)).array.min() == 7


@pytest.mark.parametrize(("lower", "upper"), [((-1, 0, 0), (2, 2, 2)), ((0, 0, 0), (7, 2, 2)), ((3, 0, 0), (3, 2, 2))])
def test_crop_outside(lower: tuple, upper: tuple) -> None:
    with pytest.raises(InputError, match="inside the grid"):
        crop(Volume(ct_array(), np.eye(4)), lower, upper)


@pytest.mark.parametrize("spacing", [0.5, 1.3, (0.7, 0.8, 2.5), (2.0, 0.4, 1.25)])
def test_resample_keeps_a_linear_field(spacing: float | tuple[float, float, float]) -> None:
    affine = oblique_affine()
    shape = (12, 24, 26)
    z, y, x = np.indices(shape)
    slope = np.array([1.5, -2.0, 0.75])
    points = affine[:3, :3] @ np.stack([x, y, z]).reshape(3, -1) + affine[:3, 3:]
    volume = Volume((slope @ points).reshape(shape).astype("f4"), affine)
    result = resample(volume, spacing)
    np.testing.assert_allclose(result.spacing, np.broadcast_to(spacing, 3), rtol=1e-12)
    np.testing.assert_allclose(result.centre, volume.centre, atol=1e-9)
    inner = tuple(slice(size // 3, size - size // 3) for size in result.shape)
    z, y, x = (grid[inner] for grid in np.indices(result.shape))
    points = result.affine[:3, :3] @ np.stack([x, y, z]).reshape(3, -1) + result.affine[:3, 3:]
    np.testing.assert_allclose(result.hu[inner].ravel(), slope @ points, atol=0.02)


def test_resample_does_not_alias_and_keeps_the_type() -> None:
    stripes = np.where(np.indices((8, 8, 64))[2] % 2, 1000, -1000).astype("i2")
    coarse = resample(Volume(stripes, np.eye(4)), (4.0, 1.0, 1.0))
    assert coarse.hu.dtype == np.int16
    assert np.abs(coarse.hu[:, :, 2:-2]).max() < 150


def test_resample_labels_takes_the_nearest() -> None:
    fine = resample(label_map(np.eye(4)), 0.5)
    assert set(np.unique(fine.array)) == {0, 7}
    assert (fine.array == 7).sum() == 8 * 45


@pytest.mark.parametrize("spacing", [0, -1, np.nan, 1e-5])
def test_impossible_spacing(spacing: float) -> None:
    with pytest.raises(InputError, match="spacing_mm"):
        resample(Volume(ct_array(), np.eye(4)), spacing)


def test_labels_onto_another_grid() -> None:
    affine = np.diag([0.5, 0.5, 0.5, 1])
    affine[:3, 3] = [-2, 0, 0]
    grid = Volume(np.zeros((12, 14, 20), "i2"), affine)
    result = resample_labels(label_map(np.eye(4)), grid)
    assert result.shape == grid.shape
    z, y, x = np.nonzero(result.array)
    points = affine[:3, :3] @ [x, y, z] + affine[:3, 3:]
    np.testing.assert_allclose(points.min(axis=1), [1.5, 0.5, 0.5], atol=0.51)
    np.testing.assert_allclose(points.max(axis=1), [6.5, 3.5, 3.5], atol=0.51)


def test_reorient_knows_other_grids() -> None:
    volume = Volume(ct_array(), oblique_affine())
    assert reorient(label_map(oblique_affine()), volume) is not None
    assert reorient(label_map(np.eye(4)), volume) is None
    shifted = oblique_affine()
    shifted[:3, 3] += 1
    assert reorient(label_map(shifted), volume) is None
