from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from synth.metrics.images.sets import ImageSet
from synth.metrics.images.survey import Survey

FIXTURES = Path(__file__).resolve().parents[4] / "shared" / "peers" / "metrics"


@pytest.fixture
def fixtures():
    if not FIXTURES.is_dir():
        pytest.skip(f"the fixtures of the metrics are not there: {FIXTURES}")
    return FIXTURES


def test_a_real_collection_is_split_as_its_readme_counts(shared_data):
    images = ImageSet.open(shared_data / "cxr")
    assert {name: len(group) for name, group in images.by("sex").items()} == {"F": 404, "M": 494, "unknown": 8}
    ages = {"0-17": 72, "18-39": 221, "40-59": 357, "60-79": 166, "80+": 12, "unknown": 78}
    assert {name: len(group) for name, group in images.by("age_group").items()} == ages
    assert len(images.by("finding")["Infiltration"]) == 130


def test_masks_by_column_and_by_folder_agree(shared_data):
    cxr = shared_data / "cxr"
    column = ImageSet.open(cxr, masks="lung_mask", unpaired="drop")
    folder = ImageSet.open(cxr / "images", masks=cxr / "masks" / "lungs", unpaired="drop")
    assert len(column) == len(folder) == 125
    for index in (0, 60, 124):
        one = column.load(index)
        same = folder.load(folder.names.index(Path(one.name).name))
        assert np.array_equal(one.mask, same.mask)
        assert 0.1 < one.mask.mean() < 0.7


def test_pixels_of_the_fixtures_are_those_written(fixtures):
    known = json.loads((fixtures / "images128" / "pixel_sha256.json").read_text())
    survey = Survey("A")
    for image in ImageSet.open(fixtures / "images128" / "A_img").stream(survey):
        digest = hashlib.sha256(image.pixels.tobytes()).hexdigest()
        assert digest in json.dumps(known)
    assert survey.warnings == ()
