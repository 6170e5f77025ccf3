"""What the channels mean."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from synth.core.errors import InputError
from synth.diffusion.ct.channels import MASKS, from_network, label_map, to_network


def volume() -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    hu = generator.integers(-1000, 1001, (2, 3, 4, 5)).astype(np.int16)
    return hu, generator.random((2, len(MASKS), 3, 4, 5)) > 0.5


def test_there_and_back_is_the_same_volume() -> None:
    hu, masks = volume()
    x = to_network(hu, masks)
    assert x.dtype == torch.float32
    assert x.shape == (2, 1 + len(MASKS), 3, 4, 5)
    assert set(x[:, 1:].unique().tolist()) == {-1.0, 1.0}
    back, found = from_network(x[:, :1], x[:, 1:])
    assert back.dtype == np.int16
    np.testing.assert_array_equal(back, hu)
    np.testing.assert_array_equal(found, masks)


def test_hounsfield_units_are_clipped_to_the_range() -> None:
    masks = np.zeros((1, 1, 1, 1, 5), np.bool_)
    for kind in (np.int16, np.float32):
        x = to_network(np.array([-3000, -1000, 0, 500, 3000], kind).reshape(1, 1, 1, 5), masks)
        assert x[0, 0].flatten().tolist() == [-1, -1, 0, 0.5, 1]
    beyond = torch.tensor([-1.2, 1.2]).reshape(1, 1, 1, 1, 2)
    assert from_network(beyond, beyond)[0].flatten().tolist() == [-1000, 1000]


def test_the_last_of_overlapping_masks_is_the_label() -> None:
    masks = np.zeros((len(MASKS), 1, 1, 4), np.bool_)
    lobe, airway, finding = (MASKS.index(name) for name in ("lung_upper_lobe_left", "lung_airways", "finding"))
    masks[lobe, ..., 1:] = masks[airway, ..., 2:] = masks[finding, ..., 3:] = True
    labels, names = label_map(masks)
    assert labels.dtype == np.uint8
    assert [names.get(value, "") for value in labels.ravel()] == ["", MASKS[lobe], MASKS[airway], MASKS[finding]]
    assert names == {place + 1: name for place, name in enumerate(MASKS)}
    trees = [MASKS.index(name) for name in ("lung_vessels", "lung_airways")]
    lobes = [place for place, name in enumerate(MASKS) if "lobe" in name]
    assert max(lobes) < min(trees)
    assert finding == len(MASKS) - 1


def test_what_does_not_fit_is_refused() -> None:
    hu, masks = volume()
    with pytest.raises(InputError, match="grid of the CT"):
        to_network(hu, masks[..., 1:])
    with pytest.raises(InputError, match="one name each"):
        label_map(masks[0], MASKS[1:])
    with pytest.raises(InputError, match="not finite"):
        from_network(torch.full((1, 1, 1, 1, 1), torch.nan), torch.zeros(1, 1, 1, 1, 1))
