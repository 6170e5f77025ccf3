"""MAISI's classes, and label maps of them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from synth.anatomy.labels import LABELS
from synth.core.errors import InputError
from synth.core.label_names import totalsegmentator_names
from synth.core.volume import Labels
from synth.diffusion.ct.maisi.classes import BODY, CLASSES, MASK_CLASSES, TUMOURS, common_name
from synth.diffusion.ct.maisi.defaults import prompt_regions
from synth.diffusion.ct.maisi.labels import bit_planes, maisi_labels, masks_of, regions_of, without_tumours

SHAPE = (6, 7, 8)


def test_classes_are_those_of_the_published_table() -> None:
    assert len(CLASSES) == 125
    for name, value in (
        ("liver", 1), ("spleen", 3), ("brain", 22), ("left lung upper lobe", 28), ("vertebrae L5", 33),
        ("vertebrae T12", 38), ("vertebrae C7", 50), ("vertebrae C1", 56), ("trachea", 57), ("left rib 1", 63),
        ("right rib 12", 86), ("left humerus", 87), ("right hip", 96), ("left gluteus maximus", 98),
        ("right iliopsoas", 107), ("heart", 115), ("superior vena cava", 125), ("vertebrae S1", 127),
        ("bone lesion", 128), ("airway", 132), ("body", 200),
    ):  # fmt: skip
        assert CLASSES[name] == value


def test_every_class_of_totalsegmentator_has_one() -> None:
    names = {common_name(name) for name in CLASSES}
    assert set(totalsegmentator_names().values()) <= names
    assert len(names) == len(CLASSES)
    assert common_name("left rib 7") == "rib_left_7"
    assert common_name("right lung middle lobe") == "lung_middle_lobe_right"
    assert common_name("right iliac vena") == "iliac_vena_right"
    assert common_name("hepatic tumor") == "hepatic_tumor"


def test_masks_and_tumours_name_classes_that_exist() -> None:
    for names in (*MASK_CLASSES.values(), *TUMOURS.values(), tuple(TUMOURS)):
        assert names
        assert set(names) <= set(CLASSES)
    assert len(MASK_CLASSES["bones"]) == 25 + 24 + 10 + 3 + 1  # vertebrae, ribs, pairs, single ones, lesions


@given(st.lists(st.integers(0, 255), min_size=1, max_size=20))
def test_bit_planes_add_up_to_the_label(values: list[int]) -> None:
    planes = bit_planes(torch.tensor([values], dtype=torch.uint8))
    assert planes.shape == (1, 8, len(values))
    assert set(planes.unique().tolist()) <= {0.0, 1.0}
    powers = torch.tensor([1.0, 2, 4, 8, 16, 32, 64, 128])
    torch.testing.assert_close((planes[0] * powers[:, None]).sum(0), torch.tensor(values).float())


def test_body_is_in_planes_three_six_and_seven() -> None:
    planes = bit_planes(torch.full((1, 1, 1, 1), BODY, dtype=torch.uint8))
    assert planes.flatten().tolist() == [0, 0, 0, 1, 0, 0, 1, 1]


def test_masks() -> None:
    maps = np.zeros((2, *SHAPE), np.uint8)
    maps[0, 0], maps[0, 1], maps[1, 2], maps[1, 3] = 57, 132, 128, 115
    names, masks = masks_of(maps)
    found = dict(zip(names, masks.swapaxes(0, 1), strict=True))
    np.testing.assert_array_equal(found["lung_airways"], (maps == 57) | (maps == 132))
    np.testing.assert_array_equal(found["bones"], maps == 128)
    np.testing.assert_array_equal(found["finding"], maps == 128)  # masks may overlap
    np.testing.assert_array_equal(found["heart"], maps == 115)


def test_regions() -> None:
    maps = np.zeros(SHAPE, np.uint8)
    maps[0] = 32
    assert regions_of(maps) == ("chest", "chest")
    maps[1], maps[2] = 120, 14
    assert regions_of(maps) == ("head", "abdomen")
    maps[3] = 93
    assert regions_of(maps) == ("head", "pelvis")


def test_tumours_become_what_they_grow_in() -> None:
    maps = np.full(SHAPE, BODY, np.uint8)
    maps[:, :, :4], maps[:, :, 4:] = 28, 31
    maps[2:4, 2:4, 1], maps[2:4, 2:4, 6], maps[5, 0, 0] = 23, 23, 26
    healthy = without_tumours(maps)
    np.testing.assert_array_equal(healthy[2:4, 2:4, 1], 28)
    np.testing.assert_array_equal(healthy[2:4, 2:4, 6], 31)
    assert healthy[5, 0, 0] == BODY  # a tumour of the liver, of which nothing is there
    kept = (maps != 23) & (maps != 26)
    np.testing.assert_array_equal(healthy[kept], maps[kept])
    assert (maps == 23).sum() == 8  # the map that was given is as it was


def test_phantoms_labels_become_theirs() -> None:
    array = np.zeros(SHAPE, np.uint8)
    array[1], array[2], array[3] = LABELS["heart"], LABELS["subcutaneous_fat"], LABELS["lung_upper_lobe_left"]
    names = {value: name for name, value in LABELS.items()}
    found = maisi_labels(Labels(array, np.eye(4), names))
    assert [found[z, 0, 0] for z in range(5)] == [0, CLASSES["heart"], BODY, 28, 0]
    body = np.ones(SHAPE, np.bool_)
    body[0] = False
    assert [maisi_labels(Labels(array, np.eye(4), names), body)[z, 0, 0] for z in range(5)] == [0, 115, BODY, 28, BODY]
    with pytest.raises(InputError, match="body: expected"):
        maisi_labels(Labels(array, np.eye(4), names), body[:3])
    with pytest.raises(InputError, match="none of its names"):
        maisi_labels(Labels(array, np.eye(4), {1: "a", 2: "b"}))


def test_regions_of_prompts() -> None:
    assert prompt_regions(" ") is None
    assert prompt_regions("Thorax") == ("chest", "chest")
    assert prompt_regions("pelvis, chest and abdomen.") == ("chest", "pelvis")
    assert prompt_regions("head to lower") == ("head", "pelvis")
    for text in ("chest with a mass", "abdomen 2", "no"):
        with pytest.raises(InputError, match="read no text"):
            prompt_regions(text)
