"""Tissue texture: its moments and correlation, the same in the world at every voxel size; CPU and CUDA to the bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from synth.kernels import _cuda, texture, threads
from tests.kernels import host_cuda

SHAPE = (64, 96, 96)
LABEL = 7


def noise(
    shape: tuple[int, ...] = SHAPE, *, sd: float = 20.0, correlation: float = 4.0, spacing: Any = 0.5, seed: int = 1,
    origin: Any = (-20.0, 10.0, 3.0),
) -> Any:  # fmt: skip
    """What is added to 0."""
    hu = np.zeros(shape, np.float32)
    texture.texture(
        hu, np.full(shape, LABEL, np.uint8), np.full(256, sd), np.full(256, correlation), seed, origin,
        np.broadcast_to(spacing, 3),
    )  # fmt: skip
    return hu.astype(float)


@pytest.mark.parametrize("correlation", [1.0, 3.0])
def test_moments(correlation: float) -> None:
    values = np.concatenate([noise(correlation=correlation, spacing=correlation / 4, seed=seed) for seed in range(6)])
    assert values.std() == pytest.approx(20.0, rel=0.03)
    assert abs(values.mean()) < 0.03 * 20
    kurtosis = ((values - values.mean()) ** 4).mean() / values.var() ** 2
    assert 2.5 < kurtosis < 3.5
    assert abs(((values - values.mean()) ** 3).mean()) < 0.1 * 20**3


def test_the_spread_is_the_same_everywhere() -> None:
    # Between nodes as at nodes: planes of one phase, over many cells of both octaves.
    values = np.concatenate([noise((8, 8, 2048), correlation=2.0, spacing=2.0 * 1.871 / 8, origin=(0, 0, 0), seed=s)
                             for s in range(24)])  # fmt: skip
    by_phase = values.reshape(-1, 256, 8).std((0, 1))
    assert by_phase.max() / by_phase.min() < 1.06


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_autocorrelation_is_a_half_at_the_correlation(axis: int) -> None:
    values = np.moveaxis(noise((96, 96, 96), correlation=2.0, spacing=0.5), axis, 0)
    for steps, low, high in ((1, 0.93, 1.0), (4, 0.43, 0.57), (16, -0.08, 0.08)):
        assert low < (values[steps:] * values[:-steps]).mean() / values.var() < high


def test_the_same_place_has_the_same_texture() -> None:
    origin = np.array([-20.0, 10.0, 3.0])
    fine = noise((40, 40, 40), spacing=0.25, origin=origin, correlation=6.0)
    shifted = noise((20, 20, 20), spacing=0.25, origin=origin + 0.25 * np.array([5, 7, 11]), correlation=6.0)
    np.testing.assert_allclose(shifted, fine[11:31, 7:27, 5:25], atol=0.01)
    coarse = noise((20, 20, 20), spacing=0.5, origin=origin, correlation=6.0)
    assert np.corrcoef(coarse.ravel(), fine[::2, ::2, ::2].ravel())[0, 1] > 0.9999
    assert np.abs(coarse - fine[::2, ::2, ::2]).max() < 0.05 * 20


@pytest.mark.parametrize("ratio", [2, 4, 8])
def test_coarse_voxels_have_the_spread_of_means(ratio: int) -> None:
    n = 16 * ratio
    fine = np.concatenate([noise((n, n, n), correlation=1.0, spacing=0.5, seed=seed) for seed in range(2)])
    means = fine.reshape(-1, ratio, 16, ratio, 16, ratio).mean((1, 3, 5))
    coarse = np.concatenate([noise((16, 16, 16), correlation=1.0, spacing=0.5 * ratio, seed=seed) for seed in range(2)])
    assert coarse.std() / fine.std() == pytest.approx(means.std() / fine.std(), rel=0.12)


def test_labels_have_their_own() -> None:
    shape = (16, 20, 24)
    labels = np.random.default_rng(0).integers(0, 4, shape).astype(np.uint8)
    sd, correlation = np.zeros(256), np.ones(256)
    sd[1:4], correlation[1:4] = (10, 20, 20), (3, 3, 6)
    mixed, rest = np.zeros(shape, np.float32), (5, (0, 0, 0), (0.5, 0.5, 0.5))
    texture.texture(mixed, labels, sd, correlation, *rest)
    assert not mixed[labels == 0].any()
    for label in (1, 2, 3):
        alone = np.zeros(shape, np.float32)
        texture.texture(alone, np.full(shape, label, np.uint8), sd, correlation, *rest)
        assert np.array_equal(mixed[labels == label], alone[labels == label])


def test_seeds_differ_and_octaves_too() -> None:
    a, b, c = (noise(seed=seed) for seed in (5, 6, 5 + 2**32))
    assert max(abs(np.corrcoef(x.ravel(), y.ravel())[0, 1]) for x, y in ((a, b), (a, c), (b, c))) < 0.1


def test_no_bit_depends_on_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    results = []
    for count in ("1", "3"):
        monkeypatch.setenv("SYNTH_THREADS", count)
        monkeypatch.setattr(threads, "_pool", None)
        results.append(noise((11, 12, 13)).tobytes())
    assert results[0] == results[1]


@pytest.fixture(params=["cuda source", "gpu"])
def cuda(request: pytest.FixtureRequest) -> Any:
    """texture.cu on numpy arrays."""
    if request.param == "cuda source":
        if reason := host_cuda.unavailable():
            pytest.skip(reason)
        return host_cuda.texture
    if reason := _cuda.unavailable():
        pytest.skip(reason)
    cupy = pytest.importorskip("cupy")

    def add(hu: Any, labels: Any, *rest: Any) -> None:
        there = cupy.asarray(hu)
        texture.texture(there, cupy.asarray(labels), *rest)
        hu[:] = there.get()

    return add


@pytest.mark.parametrize("seed", [0, 2**63 + 5])
def test_cuda_adds_the_same_bits(cuda: Any, seed: int) -> None:
    rng = np.random.default_rng(1)
    shape = (9, 37, 41)
    labels = rng.integers(0, 256, shape).astype(np.uint8)
    sd, correlation = rng.uniform(0, 50, 256) * (rng.random(256) < 0.9), rng.uniform(0.3, 9, 256)
    ours = rng.normal(size=shape).astype(np.float32)
    theirs, rest = ours.copy(), (sd, correlation, seed, (-123.4, 56.7, -8.9), (0.7, 0.8, 1.5))
    texture.texture(ours, labels, *rest)
    cuda(theirs, labels, *rest)
    assert ours.tobytes() == theirs.tobytes()


def test_malformed_arguments_are_refused() -> None:
    hu, labels = np.zeros((2, 3, 4), np.float32), np.zeros((2, 3, 4), np.uint8)
    sd, correlation, rest = np.ones(256), np.ones(256), (1, (0, 0, 0), (1, 1, 1))
    with pytest.raises(ValueError, match="labels: expected"):
        texture.texture(hu, labels.astype(int), sd, correlation, *rest)
    with pytest.raises(ValueError, match="hu: expected"):
        texture.texture(hu.astype(float), labels, sd, correlation, *rest)
    with pytest.raises(ValueError, match=r"expected shapes \(256,\)"):
        texture.texture(hu, labels, sd[:5], correlation, *rest)
    with pytest.raises(ValueError, match="correlation above 0"):
        texture.texture(hu, labels, sd, correlation * 0, *rest)


def test_arrays_that_are_not_numpy_go_to_the_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    class Elsewhere:
        ndim, shape, flags = 3, SHAPE, np.zeros(1).flags

        def __init__(self, dtype: Any) -> None:
            self.dtype = np.dtype(dtype)

    calls: list[Any] = []
    monkeypatch.setattr(_cuda, "texture", lambda *args: calls.append(args))
    hu, labels = Elsewhere("f4"), Elsewhere("u1")
    texture.texture(hu, labels, 1, 2, 3, 4, 5)
    assert calls == [(hu, labels, 1, 2, 3, 4, 5)]
