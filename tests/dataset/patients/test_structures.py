"""Groups in one map: their voxels are the union of their labels' voxels, however maps overlap."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synth.core.errors import InputError
from synth.core.volume import Labels
from synth.dataset.patients import structures
from synth.dataset.patients.structures import GROUPS, combined

SHAPE = (4, 5, 6)


def labels(generator: np.random.Generator, names: dict[int, str], dtype: type = np.uint8) -> Labels:
    return Labels(generator.choice([0, *names, 99], SHAPE).astype(dtype), np.eye(4), names)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n_maps=st.integers(1, 4), wide=st.booleans())
def test_groups_are_unions(seed: int, n_maps: int, wide: bool) -> None:
    generator = np.random.default_rng(seed)
    names = [{value: f"m{number} l{value}" for value in range(1, 5)} for number in range(n_maps)]
    maps = [labels(generator, one, np.uint16 if wide else np.uint8) for one in names]
    every = [name for one in names for name in one.values()]
    groups = {f"g{k}": tuple(generator.choice(every, generator.integers(0, 4), replace=False)) for k in range(5)}
    found, members = combined(maps, groups)
    for group, wanted in groups.items():
        expected = np.zeros(SHAPE, bool)
        for one in maps:
            expected |= np.isin(one.array, [value for value, name in one.names.items() if name in wanted])
        got = np.zeros(SHAPE, bool)
        for one in found:
            got |= np.isin(one.array, [value for value, name in one.names.items() if name in members.get(group, ())])
        assert np.array_equal(got, expected)
    assert all(one.array.dtype == np.uint8 for one in found)


def test_maps_are_left_as_they_were() -> None:
    generator = np.random.default_rng(0)
    maps = [labels(generator, {1: "heart", 2: "aorta"}), labels(generator, {1: "finding 0"})]
    before = [one.array.copy() for one in maps]
    combined(maps, GROUPS | {"finding 0": ("finding 0",)})
    for one, array in zip(maps, before, strict=True):
        assert np.array_equal(one.array, array)


def test_no_group_no_map() -> None:
    assert combined([labels(np.random.default_rng(0), {1: "liver"})], GROUPS) == ((), {})
    assert combined([], GROUPS) == ((), {})


def test_too_many_combinations(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(structures, "_MOST", 2)
    maps = [labels(np.random.default_rng(k), {1: f"a{k}"}) for k in range(2)]
    with pytest.raises(InputError, match="combinations"):
        combined(maps, {"a0": ("a0",), "a1": ("a1",)})
