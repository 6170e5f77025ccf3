from __future__ import annotations

import numpy as np
import pytest

from synth.core.errors import InputError
from synth.metrics.images.sets import ImageSet
from synth.metrics.images.subgroups import age_group, memberships

ROWS = [
    "a.png,female,63Y,Edema|Pneumonia",
    "b.png,M,17,No Finding",
    "c.png,,,",
    'd.png,F,80.5,"[{""name"": ""Edema""}]"',
]


@pytest.fixture
def images(tmp_path):
    from PIL import Image

    for name in "abcd":
        Image.fromarray(np.eye(4, dtype=np.uint8)).save(tmp_path / f"{name}.png")
    (tmp_path / "metadata.csv").write_text("\n".join(["file_name,Gender,anchor_age,findings", *ROWS]))
    return ImageSet.open(tmp_path)


def test_groups_partition_the_set(images):
    groups = images.by("sex")
    assert {name: group.names for name, group in groups.items()} == {
        "F": ("a.png", "d.png"),
        "M": ("b.png",),
        "unknown": ("c.png",),
    }
    assert groups["F"].name.endswith("[F]")
    assert {name: group.names for name, group in images.by("age_group").items()} == {
        "0-17": ("b.png",),
        "60-79": ("a.png",),
        "80+": ("d.png",),
        "unknown": ("c.png",),
    }


def test_an_image_is_in_the_group_of_each_finding(images):
    groups = images.by("finding")
    assert groups["Edema"].names == ("a.png", "d.png")
    assert groups["Pneumonia"].names == ("a.png",)
    assert groups["unknown"].names == ("c.png",)


def test_intersections(images):
    assert {name: group.names for name, group in images.by("sex", "age_group").items()} == {
        "F, 60-79": ("a.png",),
        "F, 80+": ("d.png",),
        "M, 0-17": ("b.png",),
        "unknown, unknown": ("c.png",),
    }


def test_unknown_columns_are_named(images):
    with pytest.raises(InputError, match="no column 'race': it has file_name, Gender"):
        images.by("race")
    with pytest.raises(InputError, match="at least one column"):
        images.by()
    with pytest.raises(InputError, match=r"no table"):
        ImageSet.open(np.zeros((2, 4, 4), np.uint8)).by("sex")


@pytest.mark.parametrize(
    ("cell", "group"),
    [("0", "0-17"), ("17.9", "0-17"), ("18", "18-39"), ("40", "40-59"), ("059Y", "40-59"), ("060Y", "60-79"),
     ("80", "80+"), ("216M", "18-39"), ("215M", "0-17"), ("2000W", "18-39"), ("", "unknown"), ("nan", "unknown"),
     ("300", "unknown"), ("-3", "unknown"), ("old", "unknown")],
)  # fmt: skip
def test_age_groups(cell, group):
    assert age_group(cell) == group


def test_numbers_and_unknowns_are_one_group_however_written():
    rows = [{"view": cell} for cell in ("1", "1.0", "NA", "nan", "", "PA")]
    assert memberships(rows, "view") == [("1",), ("1",), ("unknown",), ("unknown",), ("unknown",), ("PA",)]
