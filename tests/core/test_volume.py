from __future__ import annotations

import numpy as np
import pytest

from synth.core.errors import InputError
from synth.core.volume import Labels, Volume, same_grid
from tests.core.image_files import ct_array, oblique_affine


def test_spacing_and_centre() -> None:
    volume = Volume(ct_array(), oblique_affine((0.7, 0.8, 2.5)))
    np.testing.assert_allclose(volume.spacing, [0.7, 0.8, 2.5])
    expected = oblique_affine() @ [3.5, 3.0, 2.5, 1]
    np.testing.assert_allclose(volume.centre, expected[:3])
    assert volume.shape == (6, 7, 8)


@pytest.mark.parametrize(
    ("array", "affine", "said"),
    [
        (ct_array(dtype="f8"), np.eye(4), "int16 or float32"),
        (ct_array()[0], np.eye(4), "3D"),
        (ct_array()[:, :, ::2], np.eye(4), "C-contiguous"),
        (ct_array(), np.eye(3), "4×4"),
        (ct_array(), np.full((4, 4), np.nan), "finite"),
        (ct_array(), np.diag([1.0, 0, 1, 1]), "singular"),
        (ct_array(), np.array([[1.0, 1, 0, 0], [0, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]), "singular"),
    ],
)
def test_impossible_volumes(array: np.ndarray, affine: np.ndarray, said: str) -> None:
    with pytest.raises(InputError, match=said):
        Volume(array, affine, "case")


def test_labels_are_unsigned() -> None:
    with pytest.raises(InputError, match="uint8 or uint16"):
        Labels(ct_array(), np.eye(4), {})  # type: ignore[arg-type]


def test_same_grid() -> None:
    volume = Volume(ct_array(), np.eye(4))
    labels = Labels(np.zeros((6, 7, 8), "u1"), np.eye(4), {})
    assert same_grid(volume, labels)
    near, far = np.eye(4), np.eye(4)
    near[0, 3], far[0, 3] = 0.005, 0.05
    assert same_grid(volume, Volume(ct_array(), near))
    assert not same_grid(volume, Volume(ct_array(), far))
    assert not same_grid(volume, Volume(ct_array((6, 7, 9)), np.eye(4)))
