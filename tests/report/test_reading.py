"""What the page reads: annotations line by line, shards, CTs."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from synth.core.errors import InputError
from synth.core.volume import Labels, Volume
from synth.core.writing import write_labels, write_volume
from synth.dataset.writers.coco import encode_masks
from synth.dataset.writers.parquet import write_parquet
from synth.dataset.writers.shard import Entry
from synth.dataset.writers.webdataset import write_tar
from synth.report.annotations import masks_of
from synth.report.gallery import pictures_of
from synth.report.pictures import Picture, encoded
from synth.report.shards import read_members
from synth.report.structures import GROUPS
from tests.report.datasets import SIDE, picture, row_of, write_dataset


def test_masks_of_some_images_are_those_that_were_written(tmp_path):
    path = write_dataset(tmp_path, 5) / "masks" / "annotations.json"
    found = masks_of(path, [row_of(index)["file_name"] for index in (0, 4)])
    assert set(found) == {"images/00/00000000.png", "images/00/00000004.png"}
    for index in (0, 4):
        written = {one["name"]: one["segmentation"] for one in encode_masks(picture(index)[1], (SIDE, SIDE))}
        assert dict(found[row_of(index)["file_name"]]) == written
    assert masks_of(path, ["images/none.png"]) == {}


def test_only_what_is_wanted_is_parsed(tmp_path):
    path = write_dataset(tmp_path, 3) / "masks" / "annotations.json"
    lines = path.read_text().splitlines()
    broken = [
        line.replace('"segmentation":{', '"segmentation":{{') if '"image_id":1,' in line else line for line in lines
    ]
    path.write_text("\n".join(broken))
    assert len(masks_of(path, [row_of(0)["file_name"]])) == 1
    with pytest.raises(InputError, match=r"annotations\.json: not as this toolkit writes it"):
        masks_of(path, [row_of(1)["file_name"]])


@pytest.mark.parametrize("text", ["{}\nnothing", '{}\n"images":[\n{"id":0', '{}\n"images":[\n{"id":0},\n'])
def test_other_annotations_are_refused(tmp_path, text):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(InputError, match="not as this toolkit writes it"):
        masks_of(tmp_path / "a.json", ["a"])


def entries(indices):
    for index in indices:
        image, masks = picture(index)
        stream = io.BytesIO()
        Image.fromarray(image).save(stream, "PNG")
        row = row_of(index, f"{index:08d}.png") | {"shard": "shards/00000"}
        yield Entry(f"{index:08d}", {"png": stream.getvalue()}, row, encode_masks(masks, (SIDE, SIDE)))


@pytest.mark.parametrize(("write", "suffix"), [(write_tar, "tar"), (write_parquet, "parquet")])
def test_pictures_out_of_shards_are_those_of_loose_files(tmp_path, write, suffix):
    if suffix == "parquet":
        pytest.importorskip("pyarrow", reason="pyarrow reads Parquet")
    loose = pictures_of(write_dataset(tmp_path / "loose", 8), [row_of(index) for index in (1, 5, 6)])
    for number in (0, 1):
        write(tmp_path / f"shards/0000{number}.{suffix}", entries(range(4 * number, 4 * number + 4)))
    rows = [row_of(index, f"{index:08d}.png") | {"shard": f"shards/0000{index // 4}.{suffix}"} for index in (1, 5, 6)]
    for one, other in zip(loose, pictures_of(tmp_path, rows), strict=True):
        assert np.array_equal(one.pixels, other.pixels)
        assert one.outlines == other.outlines
        assert len(one.outlines) == 4
    with pytest.raises(InputError, match=r"00000002\.png is not in its shard"):
        pictures_of(tmp_path, [row_of(2, "00000002.png") | {"shard": f"shards/00001.{suffix}"}])


@pytest.mark.parametrize("name", ["broken.tar", "broken.parquet", "none.tar"])
def test_broken_shards_are_one_line(tmp_path, name):
    if name.startswith("broken"):
        (tmp_path / name).write_bytes(b"no shard" * 200)
    if name.endswith("parquet"):
        pytest.importorskip("pyarrow", reason="pyarrow reads Parquet")
    with pytest.raises(InputError, match=name):
        list(read_members(tmp_path / name, ["0"], ["png"]))


def volume(flips):
    """Air with bone at the patient's right, top and middle, on a grid whose axes may point against the world's."""
    hu = np.full((20, 9, 15), -1000, np.int16)  # z, y, x with x to the left, z up
    hu[15:, 3:7, :5] = 400
    lung = np.zeros(hu.shape, np.uint8)
    lung[:5, :, 10:] = 1
    affine = np.diag([4.0, 2.0, 3.0, 1.0])
    for axis, flip in enumerate(flips):
        if flip:
            hu, lung = np.flip(hu, 2 - axis), np.flip(lung, 2 - axis)
            affine[axis, axis] *= -1
    return Volume(np.ascontiguousarray(hu), affine), Labels(np.ascontiguousarray(lung), affine, {1: "lung_left"})


@pytest.mark.parametrize("flips", [(0, 0, 0), (1, 0, 0), (0, 1, 1), (1, 1, 1)])
def test_a_ct_stands_upright_with_its_right_on_the_left(tmp_path, flips):
    ct, lung = volume(flips)
    write_volume(tmp_path / "volumes/00/00000000.nii.gz", ct)
    write_labels(tmp_path / "masks/00/00000000_total.nii.gz", lung)
    write_labels(tmp_path / "masks/00/00000000_findings.nii.gz", replace(lung, names={1: "atelectasis"}))
    (found,) = pictures_of(tmp_path, [{"file_name": "volumes/00/00000000.nii.gz"}])
    assert found.pixels.shape == (512, 512)  # 20 × 3 mm by 15 × 4 mm
    assert found.pixels[:100, :150].min() == 255
    assert found.pixels[150:].max() == found.pixels[:, 200:].max() == 0
    (finding, (group, _, path)) = found.outlines
    assert (GROUPS[finding.group].key, finding.name, finding.path) == ("findings", "atelectasis", path)
    assert (GROUPS[group].key, path) == ("lungs", "M170 192l86 0 0 64-86 0z")


def test_turned_axes_are_set_right(tmp_path):
    ct, _ = volume((0, 0, 0))
    turned = ct.affine[:, [2, 0, 1, 3]]  # index axes along z, x, y
    write_volume(tmp_path / "a.nii.gz", ct)
    write_volume(tmp_path / "b.nii.gz", Volume(np.ascontiguousarray(ct.hu.transpose(1, 2, 0)), turned))
    one, other = pictures_of(tmp_path, [{"file_name": "a.nii.gz"}, {"file_name": "b.nii.gz"}])
    assert np.array_equal(one.pixels, other.pixels)


def test_pictures_keep_within_their_budget():
    noise = np.random.default_rng(0).integers(0, 256, (512, 512)).astype(np.uint8)
    pictures = [Picture(noise)] * 5
    large, small = encoded(pictures, 10_000_000), encoded(pictures, 100_000)
    assert sum(map(len, large)) > 500_000
    assert 30_000 < sum(map(len, small)) <= 100_000
    assert len(encoded(pictures, 10)) == 5


def test_a_name_does_not_lead_out_of_the_dataset(tmp_path):
    (tmp_path / "set").mkdir()
    Image.new("L", (8, 8)).save(tmp_path / "secret.png")
    with pytest.raises(InputError, match="lies outside the dataset"):
        pictures_of(tmp_path / "set", [{"file_name": "../secret.png"}])


def test_a_shard_does_not_lead_out_of_the_dataset(tmp_path):
    (tmp_path / "set").mkdir()
    write_tar(tmp_path / "out.tar", entries([0]))
    with pytest.raises(InputError, match="lies outside the dataset"):
        pictures_of(tmp_path / "set", [row_of(0, "00000000.png") | {"shard": "../out.tar"}])
