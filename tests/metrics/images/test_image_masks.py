from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as rle

from synth.core.errors import InputError
from synth.core.volume import Labels, Volume
from synth.core.writing import write_labels, write_volume
from synth.metrics.images.sets import ImageSet
from synth.metrics.images.survey import Survey

RANDOM = np.random.default_rng(7)
IMAGES = RANDOM.integers(0, 256, (3, 8, 6), dtype=np.uint8)
MASKS = RANDOM.integers(0, 2, (3, 8, 6)).astype(bool)


def write(folder, arrays):
    for name, array in arrays.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(array).save(path)
    return folder


def masks_of(images):
    return {one.name: one.mask for one in images.stream()}


@pytest.mark.parametrize("pattern", ["{}.png", "{}_mask.png", "{}-seg.tif", "deep/{}.png"])
def test_masks_are_paired_by_name(tmp_path, pattern):
    images = write(tmp_path / "images", dict(zip(("b.png", "a.png", "c.png"), IMAGES, strict=True)))
    masks = {pattern.format(name): mask for name, mask in zip("bac", MASKS, strict=True)}
    found = masks_of(ImageSet.open(images, masks=write(tmp_path / "m", masks)))
    for name, mask in zip("bac", MASKS, strict=True):
        assert np.array_equal(found[f"{name}.png"], mask)


def test_order_never_pairs_and_the_unpaired_are_named(tmp_path):
    images = write(tmp_path / "images", {"a.png": IMAGES[0], "b.png": IMAGES[1], "c.png": IMAGES[2]})
    masks = write(tmp_path / "m", {"a.png": MASKS[0], "c.png": MASKS[2], "z.png": MASKS[1]})
    with pytest.raises(InputError, match=r"1 of 3 images have no mask: b\.png"):
        ImageSet.open(images, masks=masks)
    kept = masks_of(ImageSet.open(images, masks=masks, unpaired="drop"))
    assert list(kept) == ["a.png", "c.png"]
    assert np.array_equal(kept["c.png"], MASKS[2])
    other = write(tmp_path / "n", {"y.png": MASKS[0]})
    with pytest.raises(InputError, match="3 of 3 images have no mask"):
        ImageSet.open(images, masks=other, unpaired="drop")


def test_folders_of_patients_are_not_mixed_up(tmp_path):
    images = write(tmp_path / "images", {"p1/1.png": IMAGES[0], "p2/1.png": IMAGES[1]})
    masks = write(tmp_path / "m", {"p1/1.png": MASKS[0]})
    with pytest.raises(InputError, match=r"no mask: p2/1\.png"):
        ImageSet.open(images, masks=masks)
    with pytest.raises(InputError, match="one mask could be that of"):
        ImageSet.open(images, masks=write(tmp_path / "flat", {"1.png": MASKS[0]}))
    write(tmp_path / "m", {"p1/1_mask.png": MASKS[0], "p2/1_mask.png": MASKS[0], "p2/1_seg.png": MASKS[1]})
    with pytest.raises(InputError, match=r"2 masks could be that of p2/1\.png"):
        ImageSet.open(images, masks=masks)


def test_masks_of_another_size_are_refused(tmp_path):
    images = write(tmp_path / "images", {"a.png": IMAGES[0]})
    opened = ImageSet.open(images, masks=write(tmp_path / "m", {"a.png": MASKS[0, :5]}))
    with pytest.raises(InputError, match=r"the mask of a\.png measures 5×6, the image 8×6"):
        opened.load(0)


def test_a_column_of_the_table_names_masks(tmp_path):
    write(tmp_path, {"a.png": IMAGES[0], "b.png": IMAGES[1], "lungs/x.png": MASKS[0]})
    (tmp_path / "metadata.csv").write_text("file_name,lung_mask\nb.png,\na.png,lungs/x.png\n")
    with pytest.raises(InputError, match=r"no mask: b\.png"):
        ImageSet.open(tmp_path, masks="lung_mask")
    found = masks_of(ImageSet.open(tmp_path, masks="lung_mask", unpaired="drop"))
    assert np.array_equal(found["a.png"], MASKS[0])
    with pytest.raises(InputError, match="nor a column of file_name, lung_mask"):
        ImageSet.open(tmp_path, masks="heart_mask")


def coco(path, names, segmentations):
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {
        "images": [{"id": i, "file_name": name} for i, name in enumerate(names, 1)],
        "categories": [{"id": 1, "name": "heart"}, {"id": 2, "name": "lung"}],
        "annotations": [
            {"image_id": image, "category_id": category, "segmentation": segmentation}
            for image, category, segmentation in segmentations
        ],
    }
    path.write_text(json.dumps(content))
    return path


def encoded(mask):
    runs = rle.encode(np.asfortranarray(mask.view(np.uint8)))
    return {"size": runs["size"], "counts": runs["counts"].decode()}


def test_datasets_of_ours_bring_coco_masks(tmp_path):
    names = ["images/00/00000000.png", "images/00/00000001.png", "images/00/00000002.png"]
    write(tmp_path, dict(zip(names, IMAGES, strict=True)))
    (tmp_path / "metadata.csv").write_text("file_name\n" + "".join(f"{name}\n" for name in reversed(names)))
    box = [[1.0, 1.0, 4.0, 1.0, 4.0, 5.0, 1.0, 5.0]]
    coco(
        tmp_path / "masks" / "annotations.json", names,
        [(1, 1, encoded(MASKS[0])), (1, 2, encoded(MASKS[1])), (2, 2, box)],
    )  # fmt: skip
    found = masks_of(ImageSet.open(tmp_path, masks="own"))
    assert np.array_equal(found[names[0]], MASKS[0] | MASKS[1])
    assert found[names[1]][2:5, 2:4].all()
    survey = Survey("set")
    hearts = {one.name: one.mask for one in ImageSet.open(tmp_path, masks="own", structures=["heart"]).stream(survey)}
    assert np.array_equal(hearts[names[0]], MASKS[0])
    assert not hearts[names[2]].any()
    assert any("2 × empty masks" in line for line in survey.warnings)
    with pytest.raises(InputError, match="no structure 'liver'; it has heart, lung"):
        ImageSet.open(tmp_path, masks="own", structures=["liver"])
    (tmp_path / "masks" / "annotations.json").write_text("{}")
    with pytest.raises(InputError, match="not a COCO annotation file"):
        ImageSet.open(tmp_path, masks="own")


def test_label_maps_of_volumes(tmp_path):
    affine = np.diag([1.0, 1.0, 2.0, 1.0])
    hu = RANDOM.integers(-900, 900, (4, 5, 6)).astype(np.int16)
    array = RANDOM.integers(0, 3, (4, 5, 6)).astype(np.uint8)
    write_volume(tmp_path / "ct" / "a.nii.gz", Volume(hu, affine))
    write_labels(tmp_path / "m" / "a.nii.gz", Labels(array, affine, {1: "heart", 2: "aorta"}))
    (tmp_path / "m" / "a_labels.csv").write_text("label,name\n1,heart\n2,aorta\n")
    whole = ImageSet.open(tmp_path / "ct", masks=tmp_path / "m").load(0)
    assert np.array_equal(whole.mask, array > 0)
    aorta = ImageSet.open(tmp_path / "ct", masks=tmp_path / "m", structures=["aorta"]).load(0)
    assert np.array_equal(aorta.mask, array == 2)


def test_arrays_pair_with_arrays_only(tmp_path):
    assert np.array_equal([one.mask for one in ImageSet.open(IMAGES, masks=MASKS).stream()], MASKS)
    images = write(tmp_path / "images", {"a.png": IMAGES[0], "b.png": IMAGES[1]})
    for source, masks in ((IMAGES, MASKS[:2]), (images, MASKS[:2])):
        with pytest.raises(InputError, match="mapping from an image's name"):
            ImageSet.open(source, masks=masks)
    found = masks_of(ImageSet.open(images, masks={"b": MASKS[1], "a.png": MASKS[0]}))
    assert np.array_equal(found["b.png"], MASKS[1])
    with pytest.raises(InputError, match="no masks of its own"):
        ImageSet.open(images, masks="own")
