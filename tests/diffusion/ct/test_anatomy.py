"""Label maps of any grid as masks on the grid of a model."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from synth.core.errors import InputError
from synth.core.volume import Labels
from synth.diffusion.ct.anatomy import centred_affine, halved_masks, masks_of, masks_on_grid, on_grid
from synth.diffusion.ct.channels import MASKS
from synth.diffusion.ct.grid import affine_of

NAMES = {1: "lung_upper_lobe_left", 2: "heart_myocardium", 3: "rib_left_4", 4: "trachea", 5: "liver", 6: "lung_vessels"}


def test_labels_become_the_masks_that_they_belong_to() -> None:
    labels = Labels(np.arange(8, dtype=np.uint8).reshape(2, 2, 2), np.eye(4), NAMES)
    masks = dict(zip(MASKS, masks_of(labels, MASKS), strict=True))
    found = {name: sorted(labels.array[mask].tolist()) for name, mask in masks.items() if mask.any()}
    assert found == {
        "lung_upper_lobe_left": [1], "heart": [2], "bones": [3], "lung_airways": [4], "lung_vessels": [6]
    }  # fmt: skip


def test_a_map_of_other_organs_is_refused() -> None:
    labels = Labels(np.ones((2, 2, 2), np.uint8), np.eye(4), {1: "liver"}, "livers")
    with pytest.raises(InputError, match="livers: no label belongs to"):
        masks_of(labels, MASKS)


@pytest.mark.parametrize("axes", list(itertools.permutations(range(3))))
@pytest.mark.parametrize("signs", [(1, 1, 1), (-1, 1, 1), (1, -1, -1)])
def test_the_world_stays_where_it_is_whatever_the_axes(axes: tuple[int, ...], signs: tuple[int, ...]) -> None:
    size, spacing = (6, 5, 4), (3.0, 2.0, 1.0)
    affine = affine_of(size, spacing)
    array = np.arange(120, dtype=np.uint8).reshape(size)
    # The same voxels in another order: index axes (x, y, z) of the other map run along `axes` with `signs`.
    turned = array.T.transpose(axes)
    other = affine[:, [*axes, 3]].copy()
    for axis, sign in enumerate(signs):
        if sign < 0:
            turned = np.flip(turned, axis)
            other[:, 3] += other[:, axis] * (turned.shape[axis] - 1)
            other[:, axis] *= -1
    given = Labels(np.ascontiguousarray(turned.T), other, {1: "heart"})
    np.testing.assert_array_equal(on_grid(given, size, affine).array, array)


def test_a_finer_grid_repeats_and_what_lies_outside_is_background() -> None:
    labels = Labels(np.array([[[1, 2]]], np.uint8), affine_of((1, 1, 2), (4, 4, 4)), {1: "heart"})
    fine = on_grid(labels, (2, 2, 8), affine_of((2, 2, 8), (2, 2, 2)))
    np.testing.assert_array_equal(fine.array, np.tile(np.array([0, 0, 1, 1, 2, 2, 0, 0], np.uint8), (2, 2, 1)))


def test_a_grid_is_laid_about_the_middle_of_a_map() -> None:
    away = affine_of((3, 3, 3), (2, 2, 2))
    away[:3, 3] += [100, -50, 7]
    labels = Labels(np.ones((3, 3, 3), np.uint8), away, {1: "heart"})
    size = (4, 6, 8)
    moved = centred_affine(affine_of(size, (1, 1, 1)), size, labels)
    middle = (moved @ [(8 - 1) / 2, (6 - 1) / 2, (4 - 1) / 2, 1])[:3]
    np.testing.assert_allclose(middle, [100, -50, 7])


def test_a_coarse_voxel_needs_half_of_it_or_a_quarter_where_the_mask_is_thin() -> None:
    names = ("heart", "lung_airways")
    for filled in range(9):
        masks = np.zeros((2, 8), np.bool_)
        masks[:, :filled] = True
        assert halved_masks(masks.reshape(2, 2, 2, 2), names).ravel().tolist() == [filled >= 4, filled >= 2]


def test_masks_come_to_a_coarse_grid_alike_directly_and_by_finer_ones() -> None:
    masks = np.random.default_rng(0).random((2, 24, 16, 32)) < 0.3
    names, source = ("bones", "lung_vessels"), affine_of(masks.shape[1:], (1.5, 1.5, 1.5))
    halves = halved_masks(masks, names)
    for mm, size, expected in ((3.0, (12, 8, 16), halves), (6.0, (6, 4, 8), halved_masks(halves, names))):
        assert expected.any((1, 2, 3)).all()
        found = masks_on_grid(masks, names, source, size, affine_of(size, (mm,) * 3))
        np.testing.assert_array_equal(found, expected)
    same = masks_on_grid(masks, names, source, masks.shape[1:], source)
    np.testing.assert_array_equal(same, masks)
