from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synth.core.errors import InputError
from synth.metrics.distances.gaussian import GaussianStatistics

if TYPE_CHECKING:
    from pathlib import Path


@given(st.lists(st.integers(1, 9), min_size=1, max_size=6), st.integers(0, 99), st.floats(-1e6, 1e6))
@settings(max_examples=30, deadline=None)
def test_batches_give_what_the_whole_set_gives(sizes: list[int], seed: int, offset: float) -> None:
    x = np.random.default_rng(seed).standard_normal((sum(sizes) + 1, 3)) + offset
    ends = np.cumsum(sizes)
    found = GaussianStatistics.of_batches(np.split(x, ends))
    assert found.n == len(x)
    np.testing.assert_allclose(found.mean, x.mean(0), rtol=1e-14)
    np.testing.assert_allclose(found.covariance(), np.cov(x, rowvar=False), rtol=1e-7, atol=1e-9)


def test_a_large_mean_costs_no_digits() -> None:
    x = np.random.default_rng(0).standard_normal((200, 4))
    far = GaussianStatistics.of_batches(np.split(x + 2.0**26, 8))
    np.testing.assert_allclose(far.covariance(), np.cov(x, rowvar=False), atol=1e-7)


def test_ddof_is_what_is_taken_off() -> None:
    x = np.random.default_rng(0).standard_normal((7, 2))
    np.testing.assert_allclose(GaussianStatistics.of(x).covariance(0), np.cov(x, rowvar=False, ddof=0))


def test_is_the_same_after_saving(tmp_path: Path) -> None:
    made = GaussianStatistics.of(np.random.default_rng(0).standard_normal((9, 4)))
    made.save(tmp_path / "deep" / "stats.npz")
    read = GaussianStatistics.load(tmp_path / "deep" / "stats.npz")
    assert read.n == 9
    np.testing.assert_array_equal(read.mean, made.mean)
    np.testing.assert_allclose(read.scatter, made.scatter, rtol=1e-15)


def test_reads_the_files_of_the_peers_once_told_the_count(tmp_path: Path) -> None:
    x = np.random.default_rng(0).standard_normal((9, 4))
    np.savez(tmp_path / "peer.npz", mu=x.mean(0), sigma=np.cov(x, rowvar=False))
    with pytest.raises(InputError, match="of how many images"):
        GaussianStatistics.load(tmp_path / "peer.npz")
    read = GaussianStatistics.load(tmp_path / "peer.npz", n=9)
    np.testing.assert_allclose(read.scatter, GaussianStatistics.of(x).scatter, rtol=1e-14)


def test_never_unpickles(tmp_path: Path) -> None:
    np.savez(tmp_path / "bad.npz", mu=np.array([print], object), sigma=np.eye(1))
    with pytest.raises(InputError, match="no statistics to read"):
        GaussianStatistics.load(tmp_path / "bad.npz")


@pytest.mark.parametrize("content", [b"", b"not a zip", b"PK\x03\x04 torn"])
def test_refuses_broken_files(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "bad.npz").write_bytes(content)
    with pytest.raises(InputError, match=r"bad\.npz"):
        GaussianStatistics.load(tmp_path / "bad.npz")


def test_refuses_what_does_not_fit(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"absent\.npz"):
        GaussianStatistics.load(tmp_path / "absent.npz")
    np.savez(tmp_path / "odd.npz", mu=np.zeros(3), sigma=np.eye(2), n=5)
    with pytest.raises(InputError, match="do not fit together"):
        GaussianStatistics.load(tmp_path / "odd.npz")
    np.savez(tmp_path / "nan.npz", mu=np.zeros(2), sigma=np.full((2, 2), np.nan), n=5)
    with pytest.raises(InputError, match="NaN"):
        GaussianStatistics.load(tmp_path / "nan.npz")
    np.save(tmp_path / "array.npy", np.zeros(3))
    with pytest.raises(InputError, match=r"array\.npy"):
        GaussianStatistics.load(tmp_path / "array.npy")
    one, other = GaussianStatistics.of(np.zeros((2, 3))), GaussianStatistics.of(np.zeros((2, 4)))
    with pytest.raises(InputError, match="3 and 4 features"):
        one.merged(other)
    with pytest.raises(InputError, match="no batch"):
        GaussianStatistics.of_batches([])
    with pytest.raises(InputError, match="at least 2"):
        GaussianStatistics.of(np.zeros((1, 3))).covariance()
