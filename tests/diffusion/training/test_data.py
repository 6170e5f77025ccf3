"""What a dataset folder says, who trains and validates, and what steps see."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from synth.core.errors import InputError
from synth.diffusion.text.conditions import UNKNOWN, Conditions
from synth.diffusion.text.tokenizer import train_tokenizer
from synth.diffusion.training.augment import Augmentation
from synth.diffusion.training.data import choose_structures, split
from synth.diffusion.training.examples import Examples
from synth.diffusion.training.folder import DatasetExamples
from synth.diffusion.training.joined import Joined
from synth.diffusion.training.order import Share, indices_of, shares
from synth.diffusion.training.words import DRAWS, Dropout, Words
from tests.diffusion.training.sets import NAMES, SIZE, N, opened, write_set

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_set(tmp_path_factory.mktemp("data") / "set")


def test_a_dataset_folder_as_examples(root: Path) -> None:
    examples = DatasetExamples.open(root)
    assert isinstance(examples, Examples)
    assert len(examples) == N
    assert examples.structures() == {"heart": N, "finding:mass": N // 2}
    image = examples.image(1, SIZE)
    assert image.dtype == np.uint16
    assert image[8, 8] == 8000 + 200 * 8 + 20000
    masks = examples.masks(1, SIZE)
    assert set(masks) == set(NAMES)
    assert masks["finding:mass"].sum() == 49
    assert set(examples.masks(0, SIZE)) == {"heart"}


def test_phrasings_share_the_attributes_of_the_record(root: Path) -> None:
    said = DatasetExamples.open(root).conditions(1)
    person = Conditions("F", 40.0, "", "PA")
    assert said == (person.changed(impression="Small mass."), person.changed(impression="Small mass again."))


def test_smaller_images_are_means_of_areas(root: Path) -> None:
    examples = DatasetExamples.open(root)
    full, half = examples.image(3, SIZE).astype(float), examples.image(3, SIZE // 2)
    means = full.reshape(SIZE // 2, 2, SIZE // 2, 2).mean((1, 3))
    np.testing.assert_allclose(half, means, atol=1)


def test_caches_hold_what_the_files_hold(root: Path, tmp_path: Path) -> None:
    data = opened(root, tmp_path)
    examples = data.examples
    where = np.array([5, 2, 17])
    images = data.pixels.images(where)
    expected = np.stack([examples.image(int(k), SIZE) for k in where]) / 65535 * 2 - 1
    np.testing.assert_allclose(images[:, 0], expected, atol=1e-6)
    masks = data.pixels.masks(where)
    for row, index in enumerate(where):
        found = examples.masks(int(index), SIZE)
        for place, name in enumerate(data.structures):
            np.testing.assert_array_equal(masks[row, place], found.get(name, np.zeros((SIZE, SIZE))))


def test_no_patient_is_trained_on_and_validated_with(root: Path, tmp_path: Path) -> None:
    data = opened(root, tmp_path)
    groups = [{data.examples.patient(int(k)) for k in part} for part in (data.train, data.validation)]
    assert not groups[0] & groups[1]
    assert sorted([*data.train, *data.validation]) == list(range(N))
    assert len(groups[1]) == 2


def test_a_split_keeps_whom_it_had_when_others_come() -> None:
    names = [f"p{k}" for k in range(200)]
    before = set(split(names, 0.1, 0)[1])
    after = set(split([*names, "new"], 0.1, 0)[1])
    assert len(before - after) <= 1


def test_joined_sets(root: Path) -> None:
    one = DatasetExamples.open(root)
    both = Joined((one, one))
    assert len(both) == 2 * N
    assert both.structures() == {"heart": 2 * N, "finding:mass": N}
    assert both.conditions(N + 1) == one.conditions(1)
    assert both.patient(1) != both.patient(N + 1)
    np.testing.assert_array_equal(both.image(N + 3, SIZE), one.image(3, SIZE))


def test_rare_structures_are_left_out_and_told(root: Path) -> None:
    told: list[str] = []
    examples = DatasetExamples.open(root)
    assert choose_structures(examples, ("heart", "finding:*"), 20, told.append) == ("heart",)
    assert "finding:mass (12)" in told[0]
    with pytest.raises(InputError, match="structures"):
        choose_structures(examples, ("liver",), 1, told.append)


@pytest.mark.parametrize(("name", "content"), [("metadata.csv", "a,b\n1,2\n"), ("masks/annotations.json", "{}")])
def test_bad_folders_are_named(tmp_path: Path, name: str, content: str) -> None:
    root = write_set(tmp_path / "set", n=3)
    (root / name).write_text(content)
    with pytest.raises(InputError, match=name):
        DatasetExamples.open(root).structures()


def test_a_damaged_image_is_named(tmp_path: Path) -> None:
    root = write_set(tmp_path / "set", n=3)
    (root / "images/00/00000001.png").write_bytes(b"no image")
    with pytest.raises(InputError, match="00000001"):
        DatasetExamples.open(root).image(1, SIZE)


@given(st.integers(1, 40), st.integers(1, 12), st.integers(0, 5))
def test_every_example_is_seen_once_an_epoch(n: int, batch: int, seed: int) -> None:
    seen = np.concatenate([indices_of(seed, step, batch, n) for step in range(n)])
    for epoch in range(batch):
        assert sorted(seen[epoch * n : (epoch + 1) * n]) == list(range(n))


@pytest.mark.parametrize(("ranks", "accumulate"), [(1, 4), (2, 2), (4, 1)])
def test_draws_do_not_depend_on_how_a_batch_is_shared_out(ranks: int, accumulate: int) -> None:
    (whole,) = shares(7, 3, 8, 20, rank=0, ranks=1, accumulate=1, progress=0.0)
    parts = [
        part
        for rank in range(ranks)
        for part in shares(7, 3, 8, 20, rank=rank, ranks=ranks, accumulate=accumulate, progress=0.0)
    ]
    assert np.concatenate([part.indices for part in parts]).tolist() == whole.indices.tolist()
    assert torch.equal(torch.cat([part.normal((2, 3)) for part in parts]), whole.normal((2, 3)))
    assert torch.equal(torch.cat([part.times(0.0, 1.0) for part in parts]), whole.times(0.0, 1.0))


def test_what_is_left_out() -> None:
    asked = [(Conditions("F", 40.0, "WHITE", "PA", "Mass."), Conditions("F", 40.0, "WHITE", "PA", "A mass."))]
    words = Words.of(asked, train_tokenizer(["Mass.", "A mass."], size=300))
    where = np.zeros(4000, np.int64)
    draws = Share.all_of(0, 4000).uniform((DRAWS,), "words")
    ids, attributes = words.drawn(where, draws, Dropout(attribute=0.1, text=0.2, everything=0.3))
    assert float((attributes[:, 0] == UNKNOWN).float().mean()) == pytest.approx(1 - 0.7 * 0.9, abs=0.03)
    empty = (ids == words.table[0]).all(1)
    assert float(empty.float().mean()) == pytest.approx(1 - 0.7 * 0.8, abs=0.03)
    assert float((ids == words.table[1]).all(1).float().mean()) == pytest.approx(0.28, abs=0.03)
    full, told = words.drawn(where, draws, Dropout(attribute=0, text=0, everything=0))
    assert not (full == words.table[0]).all(1).any()
    assert (told == words.first(where)[1]).all()


def test_masks_move_with_their_image() -> None:
    mask = torch.zeros(1, 1, 32, 32)
    mask[..., 10:20, 12:24] = 1
    change = Augmentation(shift=0.125, contrast=0.3)
    draws = torch.tensor([[1.0, 0.0, 0.5, 1.0]])
    moved = change.images(mask * 2 - 1, draws)
    assert torch.equal((moved > 0).float(), change.masks(mask, draws))
    assert torch.equal(change.masks(mask, draws), torch.roll(mask, (4, -4), dims=(2, 3)))
