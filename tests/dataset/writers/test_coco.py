import contextlib
import io
import json
from pathlib import Path

import numpy as np
import pytest
from pycocotools.coco import COCO

from synth.core.errors import InputError
from synth.core.record import Mask
from synth.dataset.writers.coco import encode_masks, read_masks, write_annotations

SHAPE = (40, 60)


def box(top: int, left: int, bottom: int, right: int) -> np.ndarray:
    mask = np.zeros(SHAPE, np.bool_)
    mask[top:bottom, left:right] = True
    return mask


FIRST = (Mask("lung_left", box(2, 30, 20, 50)), Mask("heart", box(10, 20, 30, 40)), Mask("nodule", box(0, 0, 0, 0)))
SECOND = (Mask("aorta", np.random.default_rng(0).random(SHAPE) > 0.5), Mask("heart", box(0, 0, *SHAPE)))


def write(path: Path) -> int:
    images = [{"id": n, "file_name": f"images/00/{n}.png", "width": SHAPE[1], "height": SHAPE[0]} for n in range(3)]
    pairs = [(n, one) for n, masks in enumerate((FIRST, SECOND)) for one in encode_masks(masks, SHAPE)]
    return write_annotations(path, images, [mask.name for mask in FIRST + SECOND], pairs)


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # pycocotools with NumPy 2
def test_pycocotools_reads_the_same_masks_boxes_and_areas(tmp_path: Path) -> None:
    assert write(tmp_path / "masks" / "annotations.json") == 4
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO(str(tmp_path / "masks" / "annotations.json"))
    for image_id, masks in ((0, FIRST), (1, SECOND)):
        found = {coco.cats[one["category_id"]]["name"]: one for one in coco.loadAnns(coco.getAnnIds(image_id))}
        assert set(found) == {mask.name for mask in masks if mask.array.any()}
        for mask in masks:
            if mask.array.any():
                one = found[mask.name]
                np.testing.assert_array_equal(coco.annToMask(one), mask.array)
                assert one["area"] == mask.array.sum()
                assert one["iscrowd"] == 0
    heart = coco.loadAnns(coco.getAnnIds(0, catIds=coco.getCatIds(["heart"])))[0]
    assert heart["bbox"] == [20, 10, 20, 20]  # x, y, width, height
    assert isinstance(heart["segmentation"]["counts"], str)


def test_categories_are_sorted_and_keep_what_is_nowhere_seen(tmp_path: Path) -> None:
    write(tmp_path / "a.json")
    content = json.loads((tmp_path / "a.json").read_text())
    assert [one["name"] for one in content["categories"]] == ["aorta", "heart", "lung_left", "nodule"]
    assert [one["id"] for one in content["categories"]] == [1, 2, 3, 4]
    assert [one["id"] for one in content["annotations"]] == [1, 2, 3, 4]


def test_read_masks_keeps_overlaps_and_images_without_masks(tmp_path: Path) -> None:
    write(tmp_path / "a.json")
    masks = read_masks(tmp_path / "a.json")
    assert list(masks) == [f"images/00/{n}.png" for n in range(3)]
    assert masks["images/00/2.png"] == {}
    first = masks["images/00/0.png"]
    assert (first["heart"] & first["lung_left"]).sum() == 10 * 10
    for mask in FIRST[:2]:
        np.testing.assert_array_equal(first[mask.name], mask.array)
        assert first[mask.name].dtype == np.bool_


def test_several_masks_of_one_structure_are_united(tmp_path: Path) -> None:
    twice = (Mask("nodule", box(0, 0, 4, 4)), Mask("nodule", box(20, 20, 24, 24)))
    pairs = [(0, one) for one in encode_masks(twice, SHAPE)]
    write_annotations(tmp_path / "a.json", [{"id": 0, "file_name": "a.png"}], ["nodule"], pairs)
    np.testing.assert_array_equal(read_masks(tmp_path / "a.json")["a.png"]["nodule"], twice[0].array | twice[1].array)


def test_bytes_are_reproducible(tmp_path: Path) -> None:
    write(tmp_path / "a.json")
    write(tmp_path / "b.json")
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()


@pytest.mark.parametrize("bad", [np.zeros(SHAPE, np.uint8), np.zeros((60, 40), np.bool_)])
def test_masks_of_another_shape_or_dtype_are_refused(bad: np.ndarray) -> None:
    with pytest.raises(InputError, match="mask 'heart': expected a bool array"):
        encode_masks([Mask("heart", bad)], SHAPE)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"images": [], "categories": [], "annotations": [{}]}'])
def test_other_files_are_input_errors(tmp_path: Path, content: str) -> None:
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(InputError, match="not a COCO annotation file"):
        read_masks(tmp_path / "a.json")
    with pytest.raises(InputError, match="cannot read"):
        read_masks(tmp_path / "missing.json")
