from pathlib import Path

import numpy as np
import pytest

from synth.core.errors import InputError
from synth.dataset.writers.arrays import write_npz


def test_round_trip_of_shapes_and_dtypes(tmp_path: Path) -> None:
    arrays = {
        "line_integral": np.random.default_rng(0).random((1, 20, 30), np.float32),
        "thickness": np.pad(np.ones((3, 4, 5), np.float32), 9),
        "labels": np.asfortranarray(np.arange(12, dtype=np.int16).reshape(3, 4)),
        "scalar": np.float64(3.5) * np.ones(()),
    }
    write_npz(tmp_path / "a.npz", arrays)
    with np.load(tmp_path / "a.npz") as loaded:
        assert sorted(loaded) == sorted(arrays)
        for name, array in arrays.items():
            np.testing.assert_array_equal(loaded[name], array)
            assert loaded[name].dtype == array.dtype


def test_bytes_depend_on_the_arrays_alone(tmp_path: Path) -> None:
    a, b = np.random.default_rng(1).random((8, 9)), np.arange(4)
    write_npz(tmp_path / "1.npz", {"a": a, "b": b})
    write_npz(tmp_path / "2.npz", {"b": b, "a": np.asfortranarray(a)})
    assert (tmp_path / "1.npz").read_bytes() == (tmp_path / "2.npz").read_bytes()


def test_mostly_empty_stacks_are_small_and_line_integrals_stored(tmp_path: Path) -> None:
    stack = np.zeros((20, 64, 64), np.float32)
    stack[3, 20:30, 20:30] = 2.5
    write_npz(tmp_path / "stack.npz", {"thickness": stack})
    write_npz(tmp_path / "line.npz", {"line_integral": np.ones((64, 64), np.float32)})
    assert (tmp_path / "stack.npz").stat().st_size < stack.nbytes / 20
    assert (tmp_path / "line.npz").stat().st_size > 64 * 64 * 4


@pytest.mark.parametrize("arrays", [{"../a": np.ones(1)}, {"a": np.array([None])}])
def test_what_cannot_be_read_back_is_refused(tmp_path: Path, arrays: dict[str, np.ndarray]) -> None:
    with pytest.raises(InputError, match="a"):
        write_npz(tmp_path / "a.npz", arrays)
    assert not any(tmp_path.iterdir())
