"""The generator against its published vectors, the quanta against Poisson's moments, the blur against scipy's.

The CUDA source, compiled for the host and on a GPU, is compared with the CPU twin: words, uniform numbers and counts of
few quanta to the bit, the rest to the roundings of a few float32 operations.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy.ndimage import convolve as reference_convolve
from scipy.stats import chi2, kstest, poisson

from synth.kernels import _cuda, noise
from tests.kernels import host_cuda

SHAPE = (700, 700)
SEEDS = (0, 2**63 + 5)

POLYNOMIALS = 1e-6
"""Relative: multiplications fused with additions, or not, in logarithm, sine and cosine."""


@pytest.mark.parametrize(
    ("counter", "key", "words"),
    [  # kat_vectors of Random123, philox4x32-10
        ((0,) * 4, (0,) * 2, (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
        ((0xFFFFFFFF,) * 4, (0xFFFFFFFF,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
        (
            (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
            (0xA4093822, 0x299F31D0),
            (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
        ),
    ],
)
def test_philox_gives_the_published_words(
    counter: tuple[int, ...], key: tuple[int, ...], words: tuple[int, ...]
) -> None:
    assert tuple(int(w) for w in noise.philox(*map(np.uint32, counter), *map(np.uint32, key))) == words


@pytest.mark.parametrize("mean", [0.1, 0.5, 1.0, 5.0, 20.0, 31.9, 32.1, 50.0, 1e3, 1e6])
def test_quanta_have_the_moments_of_poisson(mean: float) -> None:
    size = 40.0
    energy = np.full(SHAPE, mean * size, np.float32)
    drawn, _ = noise.with_quantum_noise(energy, energy * np.float32(size), 11)
    n = drawn.size
    centred = drawn.astype(float) / size - mean
    assert abs(centred.mean()) < 4.5 * np.sqrt(mean / n)
    assert abs((centred**2).mean() / mean - 1) < 4.5 * np.sqrt((2 + 1 / mean) / n)
    # The spread of a third moment is about √15 of the cubed deviation, more at low counts.
    assert abs((centred**3).mean() - mean) < 5 * np.sqrt((15 * mean**3 + 25 * mean**2 + mean) / n) + 0.05 * mean


@pytest.mark.parametrize("mean", [0.3, 4.0, 30.0])
def test_few_quanta_are_drawn_from_poisson_itself(mean: float) -> None:
    energy = np.full(SHAPE, mean, np.float32)
    drawn, _ = noise.with_quantum_noise(energy, energy, 12)
    counts = np.bincount(drawn.astype(int).ravel())
    np.testing.assert_array_equal(drawn, np.rint(drawn))
    expected = poisson.pmf(np.arange(len(counts)), float(np.float32(mean))) * drawn.size
    usual = expected > 20
    statistic = ((counts - expected)[usual] ** 2 / expected[usual]).sum()
    assert chi2.sf(statistic, usual.sum() - 1) > 1e-3


def test_mixed_quanta_have_their_mean_and_variance() -> None:
    m, v = np.float32(8e4), np.float32(8e4 * 57)
    drawn, _ = noise.with_quantum_noise(np.full(SHAPE, m), np.full(SHAPE, v), 13)
    assert drawn.mean(dtype=float) == pytest.approx(m, rel=1e-3)
    assert drawn.astype(float).var() == pytest.approx(v, rel=0.01)


def test_nothing_comes_of_nothing() -> None:
    empty = np.zeros((5, 7), np.float32)
    assert not noise.with_quantum_noise(empty, empty, 1)[0].any()


def test_normal_numbers_are_normal_and_independent() -> None:
    energy = np.full(SHAPE, 1e6, np.float32)
    drawn, beside = noise.with_quantum_noise(energy, energy, 14)
    gain = noise.standard_normal(SHAPE, 14, 1)
    for numbers in (beside, gain):
        assert kstest(numbers.ravel(), "norm").pvalue > 1e-3
    bound = 4.5 / np.sqrt(drawn.size)
    assert np.abs(np.corrcoef([a.ravel() for a in (drawn, beside, gain)])[np.triu_indices(3, 1)]).max() < bound
    for shift in ((0, 1), (1, 0), (1, 1)):
        assert abs(np.corrcoef(beside.ravel(), np.roll(beside, shift, (0, 1)).ravel())[0, 1]) < bound


def test_uniform_numbers_are_uniform() -> None:
    numbers = noise.uniform(SHAPE, 15, 2)
    assert 0 <= numbers.min() <= numbers.max() < 1
    assert kstest(numbers.ravel(), "uniform").pvalue > 1e-3


def test_noise_depends_on_seed_and_pixel_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    energy = rng.uniform(0, 5e3, (97, 130)).astype(np.float32)
    drawn, normal = noise.with_quantum_noise(energy, energy * 50, 2**63 + 5)
    monkeypatch.setenv("SYNTH_THREADS", "1")
    again, normal_again = noise.with_quantum_noise(energy, energy * 50, 2**63 + 5)
    assert drawn.tobytes() == again.tobytes()
    assert normal.tobytes() == normal_again.tobytes()
    part, _ = noise.with_quantum_noise(energy[:10], energy[:10] * 50, 2**63 + 5)
    assert part.tobytes() == drawn[:10].tobytes()
    for other in (2**63 + 6, 5):  # both halves of the key count
        changed = noise.with_quantum_noise(energy, energy * 50, other)[1]
        assert abs(np.corrcoef(normal.ravel(), changed.ravel())[0, 1]) < 4.5 / np.sqrt(normal.size)


@pytest.mark.parametrize(("shape", "radius"), [((40, 53), 0), ((40, 53), 1), ((33, 21), 4), ((3, 2), 2)])
def test_blur_is_a_mirrored_convolution(shape: tuple[int, int], radius: int) -> None:
    rng = np.random.default_rng(1)
    image, beside = rng.normal(size=(2, *shape)).astype(np.float32)
    taps = rng.normal(size=(2 * radius + 1,) * 2)
    taps = (taps + taps[::-1])[:, ::-1] + (taps + taps[::-1])  # symmetric
    expected = reference_convolve(image.astype(float), taps, mode="reflect") + 0.5 * beside
    np.testing.assert_allclose(noise.convolve(image, taps.astype(np.float32), beside, 0.5), expected, atol=2e-5)


@pytest.fixture(params=["cuda source", "gpu"])
def cuda(request: pytest.FixtureRequest) -> Any:
    """The functions of noise.cu on numpy arrays."""
    if request.param == "cuda source":
        if reason := host_cuda.unavailable():
            pytest.skip(reason)
        return SimpleNamespace(
            with_quantum_noise=host_cuda.with_quantum_noise,
            standard_normal=lambda *args: host_cuda.standard_normal(*args, None),
            uniform=lambda *args: host_cuda.uniform(*args, None),
            convolve=host_cuda.convolve,
        )
    if reason := _cuda.unavailable():
        pytest.skip(reason)
    cupy = pytest.importorskip("cupy")
    return SimpleNamespace(
        with_quantum_noise=lambda a, b, seed: tuple(
            drawn.get() for drawn in noise.with_quantum_noise(cupy.asarray(a), cupy.asarray(b), seed)
        ),
        standard_normal=lambda *args: noise.standard_normal(*args, cupy.empty(0)).get(),
        uniform=lambda *args: noise.uniform(*args, cupy.empty(0)).get(),
        convolve=lambda image, taps, beside, scale: noise.convolve(
            cupy.asarray(image), cupy.asarray(taps), cupy.asarray(beside), scale
        ).get(),
    )


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(("shape", "stream"), [((97, 131), 0), ((1, 3), 5), ((64, 8), 2**32 - 1)])
def test_cuda_draws_the_same_words(cuda: Any, shape: tuple[int, int], stream: int, seed: int) -> None:
    numbers = cuda.uniform(shape, seed, stream)
    assert numbers.dtype == np.float32
    assert np.array_equal(numbers, noise.uniform(shape, seed, stream))
    if seed == stream == 0:
        assert numbers[0, 0] == (0x6627E8D5 >> 8) / 2**24  # kat_vectors of Random123


@pytest.mark.parametrize("seed", SEEDS)
def test_cuda_draws_the_same_normal_numbers(cuda: Any, seed: int) -> None:
    np.testing.assert_allclose(
        cuda.standard_normal((300, 401), seed, 3), noise.standard_normal((300, 401), seed, 3), rtol=POLYNOMIALS
    )


@pytest.mark.parametrize("size", [1.0, 57.3])
def test_cuda_draws_the_same_quanta(cuda: Any, size: float) -> None:
    mean = np.geomspace(0.01, 1e6, 300 * 401).reshape(300, 401)
    mean[::7] = 0
    energy, energy_squared = (mean * size).astype(np.float32), (mean * size**2).astype(np.float32)
    (ours, beside), (theirs, theirs_beside) = (
        draw(energy, energy_squared, 2**63 + 5) for draw in (noise.with_quantum_noise, cuda.with_quantum_noise)
    )
    np.testing.assert_allclose(theirs_beside, beside, rtol=POLYNOMIALS)
    few = mean < 0.999 * noise.EXACT_BELOW
    assert np.array_equal(theirs[few], ours[few])
    assert not theirs[::7].any()
    assert (np.abs(theirs - ours)[~few] <= POLYNOMIALS * energy[~few]).all()


@pytest.mark.parametrize(("shape", "radius"), [((40, 53), 0), ((33, 21), 4), ((3, 2), 2)])
def test_cuda_blurs_alike(cuda: Any, shape: tuple[int, int], radius: int) -> None:
    rng = np.random.default_rng(2)
    image, beside = rng.normal(size=(2, *shape)).astype(np.float32)
    taps = np.exp(-0.1 * np.add.outer(*2 * [np.arange(-radius, radius + 1) ** 2])).astype(np.float32)
    expected = noise.convolve(image, taps, beside, 0.5)
    np.testing.assert_allclose(cuda.convolve(image, taps, beside, 0.5), expected, atol=1e-6 * taps.sum())


def test_cuda_draws_nothing_of_nothing(cuda: Any) -> None:
    empty = np.zeros((0, 7), np.float32)
    assert [drawn.shape for drawn in cuda.with_quantum_noise(empty, empty, 1)] == [(0, 7)] * 2
    assert cuda.standard_normal((0, 7), 1, 1).shape == cuda.uniform((0, 7), 1, 1).shape == (0, 7)
    assert cuda.convolve(empty, np.ones((1, 1), np.float32), empty, 1.0).shape == (0, 7)


def test_cuda_refuses_shapes_that_differ(cuda: Any) -> None:
    image, taps = np.ones((4, 5), np.float32), np.ones((3, 3), np.float32)
    with pytest.raises(ValueError, match=r"energy, energy_squared: .*\(4, 5\), \(3, 5\)"):
        cuda.with_quantum_noise(image, image[:3], 1)
    with pytest.raises(ValueError, match=r"image, noise: .*\(4, 5\), \(3, 5\)"):
        cuda.convolve(image, taps, image[:3], 1.0)
    for wrong in (taps[:2], np.ones((2, 2), np.float32), np.ones((11, 11), np.float32)):
        with pytest.raises(ValueError, match=r"taps: .* r at most 4"):
            cuda.convolve(image, wrong, image, 1.0)


def test_arrays_that_are_not_numpy_go_to_the_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere: Any = object()
    for name, args in {
        "with_quantum_noise": (elsewhere, elsewhere, 1),
        "standard_normal": ((2, 3), 1, 2, elsewhere),
        "uniform": ((2, 3), 1, 2, elsewhere),
        "convolve": (elsewhere, elsewhere, elsewhere, 1.0),
    }.items():
        monkeypatch.setattr(_cuda, name, lambda *given: given)
        assert getattr(noise, name)(*args) == args
    beside = np.ones((2, 3), np.float32)
    assert np.array_equal(noise.uniform((2, 3), 1, 2, beside), noise.uniform((2, 3), 1, 2))
