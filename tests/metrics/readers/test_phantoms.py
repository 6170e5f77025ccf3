from __future__ import annotations

import json
import pickle
import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from synth.core.errors import InputError
from synth.metrics.alignment.conditions import ConditionReader
from synth.metrics.readers.phantoms import FILES, WEIGHTS, PhantomReader, find_reader, prepared

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


@pytest.fixture(scope="module")
def images() -> list[NDArray[Any]]:
    """Smooth pictures of several sizes, 12 bits of 16."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 4096, (3, 8, 8))
    return [
        np.kron(one, np.ones((h, w))).astype(np.uint16)
        for one, (h, w) in zip(coarse, ((8, 8), (20, 16), (64, 64)), strict=True)
    ]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return shutil.copytree(WEIGHTS, tmp_path / "reader")


def test_the_shipped_reader_is_one(images: list[NDArray[Any]]) -> None:
    reader = find_reader("phantoms")
    assert isinstance(reader, ConditionReader)
    assert reader.name.startswith("phantoms-")
    assert reader.views == ("PA", "AP")
    assert "sex" in reader.attributes
    read = reader.read(images)
    assert set(read) == set(reader.attributes)
    for name, values in reader.attributes.items():
        assert read[name].shape == (3, len(values))
        np.testing.assert_allclose(read[name].sum(1), 1)


def test_what_it_tells_is_measured_to_be_told_well() -> None:
    facts = PhantomReader().facts
    assert all(one["area"] >= 0.85 for one in facts["attributes"].values())
    assert all(area is None or area < 0.85 for area in facts["left_out"].values())
    assert sum((WEIGHTS / name).stat().st_size for name in FILES) <= 1_500_000


def test_grey_values_by_another_rule_read_alike(images: list[NDArray[Any]]) -> None:
    reader = PhantomReader()
    shifted = [(3 * image.astype(np.int64) + 700).astype(np.uint16) for image in images]
    for name, chances in reader.read(shifted).items():
        np.testing.assert_allclose(chances, reader.read(images)[name], atol=0.02)


def test_batches_do_not_matter(images: list[NDArray[Any]]) -> None:
    reader = PhantomReader()
    together = reader.read(images)
    for row, image in enumerate(images):
        for name, chances in reader.read([image]).items():
            np.testing.assert_allclose(chances[0], together[name][row], atol=1e-5)
    assert all(not len(chances) for chances in reader.read([]).values())


def test_it_pickles_before_and_after_reading(images: list[NDArray[Any]]) -> None:
    reader = PhantomReader()
    before = pickle.dumps(reader)
    read = reader.read(images)
    after = pickle.dumps(reader)
    assert len(after) == len(before) < 1000
    again = pickle.loads(after)
    assert again == reader
    assert again.name == reader.name
    for name, chances in again.read(images).items():
        np.testing.assert_array_equal(chances, read[name])


def test_the_name_follows_the_weights(copy: Path) -> None:
    assert PhantomReader(copy).name == PhantomReader().name
    facts = json.loads((copy / "reader.json").read_text())
    facts["attributes"]["sex"]["scale"] *= 2
    (copy / "reader.json").write_text(json.dumps(facts))
    assert PhantomReader(copy).name != PhantomReader().name


def test_no_reader_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="neither phantoms nor a folder"):
        find_reader(str(tmp_path / "none"))
    with pytest.raises(InputError, match=r"no reader, reader.json is missing"):
        find_reader(str(tmp_path))


@pytest.mark.parametrize("content", ["{", "[]", '{"format": "other", "version": 1}'])
def test_a_file_that_is_no_reader(copy: Path, content: str) -> None:
    (copy / "reader.json").write_text(content)
    with pytest.raises(InputError, match=r"reader.json: (cannot read|is no radsynth reader)"):
        PhantomReader(copy)


def test_damaged_facts_and_weights(copy: Path, images: list[NDArray[Any]]) -> None:
    (copy / "network.safetensors").write_bytes((WEIGHTS / "network.safetensors").read_bytes()[:1000])
    with pytest.raises(InputError, match="cannot load"):
        PhantomReader(copy).read(images)
    facts = json.loads((copy / "reader.json").read_text())
    (copy / "reader.json").write_text(json.dumps({**facts, "attributes": {"sex": {}}}))
    with pytest.raises(InputError, match="damaged"):
        PhantomReader(copy)


def test_preparation() -> None:
    ramp = np.linspace(100, 3000, 64).astype(np.uint16)[:, None] * np.ones((1, 32), np.uint16)
    small = prepared(ramp, 16)
    assert (small.shape, small.dtype) == ((16, 16), np.uint8)
    assert (small.min(), small.max()) == (0, 255)
    with pytest.raises(InputError, match="2D"):
        prepared(np.zeros((4, 4, 4), np.uint16), 16)
