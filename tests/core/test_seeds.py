from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from synth.core.seeds import sample_generator


def test_golden_numbers() -> None:
    """The stream of a sample never changes: datasets can be made again."""
    assert sample_generator(42, 7, "noise").integers(0, 1 << 32, 3).tolist() == [2239805831, 991435591, 791477273]


def test_streams_differ() -> None:
    keys = [(1, 0), (2, 0), (1 << 32, 0), (1, 1), (1, "a"), (1, 0, "noise"), (1, 0, "pose"), (1, "0noise")]
    assert len({sample_generator(*key).random() for key in keys}) == len(keys)


@given(st.integers(0, 2**64 - 1), st.integers(0, 10**9))
def test_same_key_same_stream(seed: int, index: int) -> None:
    one, two = sample_generator(seed, index, "pose"), sample_generator(seed, index, "pose")
    np.testing.assert_array_equal(one.random(4), two.random(4))
