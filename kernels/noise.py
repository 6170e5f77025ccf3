"""Quantum and electronic noise, and the detector's blur between the two: numpy arrays here, CuPy's by noise.cu.

Random words come from Philox4x32-10 (Salmon, Moraes, Dror & Shaw 2011, "Parallel random numbers: as easy as 1, 2, 3",
SC'11): a bijection of a counter under a key. The key is the seed, the counter the pixel's index and a stream's number:
a pixel's noise depends on nothing else, least of all on threads. Logarithm, sine and cosine are polynomials of our own,
which the compiler turns into vector code: ten times as fast as the mathematical library.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit

from synth.kernels.threads import run_parallel

__all__ = ["convolve", "philox", "standard_normal", "uniform", "with_quantum_noise"]

EXACT_BELOW = 32.0
"""Mean counts below which quanta are drawn from Poisson's distribution itself."""
_EXACT_BELOW = np.float32(EXACT_BELOW)
_ROWS = 16  # rows of an image that a thread takes at once
_TO_UNIT = np.float32(2.0**-32)


def _coefficients(*values: float) -> tuple[np.float32, ...]:
    return tuple(np.float32(value) for value in values)


# Least squares on Chebyshev nodes, ascending: (ln(1 + f) − f)/f² by f within a third; then, for t within an eighth of
# a turn, sin(2πt)/t and cos(2πt) by t². The ends are 3e-9 off and less.
_LOG = _coefficients(
    -0.5, 0.33333272, -0.24999839, 0.20007323, -0.16678093, 0.14054218, -0.12219618, 0.13756539, -0.12734152
)
_SINE = _coefficients(6.2831855, -41.3417, 81.6052, -76.69787, 41.472893)
_COSINE = _coefficients(1.0, -19.739208, 64.939316, -85.44285, 59.220287)


def with_quantum_noise(energy: Any, energy_squared: Any, seed: int) -> tuple[Any, Any]:
    """Draws what a pixel absorbs, and a standard normal number for each pixel beside it.

    A compound Poisson sum of mean m = ΣN·E and variance v = ΣN·E² is drawn as a Poisson number, of mean n = m²/v, of
    equal quanta v/m. From EXACT_BELOW of those on, the number is n + z√n + (z² − 1)/6, the first terms of an expansion
    by Cornish & Fisher (1938), scaled to Poisson's variance; its third moment is Poisson's as well, to 1/n.

    Args:
        energy: (h, w) float32, mean absorbed energy; where it is 0 nothing is absorbed. numpy, or CuPy to draw on its
            GPU: of the same random words, but rounded differently here and there.
        energy_squared: (h, w) float32, sum of the squared absorbed energies; the same kind of array.
        seed: 64 bits.

    Returns:
        Absorbed energy (h, w) and standard normal numbers (h, w), independent of it; float32, as numpy or CuPy.
    """
    if not isinstance(energy, np.ndarray):
        from synth.kernels import _cuda

        return _cuda.with_quantum_noise(energy, energy_squared, seed)
    drawn, normal = np.empty_like(energy), np.empty_like(energy)
    flat = energy.reshape(-1), energy_squared.reshape(-1), drawn.reshape(-1), normal.reshape(-1)
    low, high = _key(seed)

    def rows(first: int, last: int) -> None:
        width = energy.shape[1]
        _quanta(*flat, low, high, first * width, last * width)

    run_parallel(rows, len(energy), _ROWS)
    return drawn, normal


def standard_normal(shape: tuple[int, int], seed: int, stream: int, like: Any = None) -> Any:
    """Standard normal numbers (h, w) of a stream; stream 0 is the quanta's. On the GPU of `like`, if that is CuPy's."""
    if like is not None and not isinstance(like, np.ndarray):
        from synth.kernels import _cuda

        return _cuda.standard_normal(shape, seed, stream, like)
    out = np.empty(shape, np.float32)
    _normals(out.reshape(-1), *_key(seed), np.uint32(stream))
    return out


def uniform(shape: tuple[int, int], seed: int, stream: int, like: Any = None) -> Any:
    """Numbers (h, w) of [0, 1) of a stream, of 24 bits. On the GPU of `like`, if that is CuPy's."""
    if like is not None and not isinstance(like, np.ndarray):
        from synth.kernels import _cuda

        return _cuda.uniform(shape, seed, stream, like)
    out = np.empty(shape, np.float32)
    _uniforms(out.reshape(-1), *_key(seed), np.uint32(stream))
    return out


def convolve(image: Any, taps: Any, noise: Any, scale: float) -> Any:
    """`image` blurred, plus `scale` · `noise`.

    Args:
        image: (h, w) float32, numpy, or CuPy to compute on its GPU; it goes on beyond its edges as if mirrored at the
            outer faces of its last pixels.
        taps: (2r + 1, 2r + 1) float32, symmetric, r at most h and w.
        noise: (h, w) float32; the same kind of array as image.
        scale: Factor of the noise.

    Returns:
        (h, w) float32, as numpy or CuPy.
    """
    if not isinstance(image, np.ndarray):
        from synth.kernels import _cuda

        return _cuda.convolve(image, taps, noise, scale)
    radius = len(taps) // 2
    padded = np.pad(image, radius, mode="symmetric") if radius else image
    out = np.empty_like(image)

    def rows(first: int, last: int) -> None:
        _convolve_rows(padded, taps, noise, np.float32(scale), out, first, last)

    run_parallel(rows, len(image), _ROWS)
    return out


def _key(seed: int) -> tuple[np.uint32, np.uint32]:
    return np.uint32(seed & 0xFFFFFFFF), np.uint32(seed >> 32 & 0xFFFFFFFF)


@njit(nogil=True, cache=True, inline="always")
def philox(c0, c1, c2, c3, k0, k1):  # type: ignore[no-untyped-def]
    """Ten rounds: four random words from a counter of four words and a key of two, all uint32."""
    for _ in range(10):
        a = np.uint64(c0) * np.uint64(0xD2511F53)
        b = np.uint64(c2) * np.uint64(0xCD9E8D57)
        c0, c1, c2, c3 = (
            np.uint32(b >> np.uint64(32)) ^ c1 ^ k0,
            np.uint32(b & np.uint64(0xFFFFFFFF)),
            np.uint32(a >> np.uint64(32)) ^ c3 ^ k1,
            np.uint32(a & np.uint64(0xFFFFFFFF)),
        )
        k0 = np.uint32(k0 + np.uint32(0x9E3779B9))
        k1 = np.uint32(k1 + np.uint32(0xBB67AE85))
    return c0, c1, c2, c3


@njit(nogil=True, cache=True)
def _box_muller(a, b):  # type: ignore[no-untyped-def]
    """Two independent standard normal numbers from two words (Box & Muller 1958), to 5e-6; none beyond 6.8."""
    # ln u from u = 2^e·(1 + f) with f within a third of 0.
    u = (np.float32(a) + np.float32(0.5)) * _TO_UNIT
    bits = np.float32(u).view(np.int32)
    e = (bits - np.int32(0x3F2AAAAB)) >> np.int32(23)
    f = np.int32(bits - (e << np.int32(23))).view(np.float32) - np.float32(1)
    p = _LOG[8] * f + _LOG[7]
    p = ((p * f + _LOG[6]) * f + _LOG[5]) * f + _LOG[4]
    p = (((p * f + _LOG[3]) * f + _LOG[2]) * f + _LOG[1]) * f + _LOG[0]
    logarithm = (p * f * f + f) + np.float32(e) * np.float32(math.log(2))
    radius = np.sqrt(max(np.float32(-2) * logarithm, np.float32(0)))
    # The angle is k quarters of a turn and t, at most an eighth either way.
    k = np.uint32(b + np.uint32(0x20000000)) >> np.uint32(30)
    t = np.float32(np.int32(np.uint32(b - np.uint32(k << np.uint32(30))))) * _TO_UNIT
    q = t * t
    sine = t * ((((_SINE[4] * q + _SINE[3]) * q + _SINE[2]) * q + _SINE[1]) * q + _SINE[0])
    cosine = (((_COSINE[4] * q + _COSINE[3]) * q + _COSINE[2]) * q + _COSINE[1]) * q + _COSINE[0]
    odd = (k & np.uint32(1)) != 0
    x, y = (sine if odd else cosine), (cosine if odd else sine)
    return (
        x * (radius if (k + np.uint32(1)) & np.uint32(2) == 0 else -radius),
        y * (radius if k & np.uint32(2) == 0 else -radius),
    )


@njit(nogil=True, cache=True, inline="always")
def _poisson(mean, u):  # type: ignore[no-untyped-def]
    """The number of quanta whose distribution function first exceeds u, exactly."""
    share = math.exp(-mean)
    below, k = share, 0
    while u > below and k < 200:
        k += 1
        share *= mean / k
        below += share
    return np.float32(k)


@njit(nogil=True, cache=True, error_model="numpy", fastmath={"contract"})
def _quanta(energy, energy_squared, drawn, normal, k0, k1, first, last):  # type: ignore[no-untyped-def]
    zero = np.uint32(0)
    for i in range(first, last):  # no branch here, for vectors
        w0, w1, _, _ = philox(np.uint32(i), zero, zero, zero, k0, k1)
        z, normal[i] = _box_muller(w0, w1)
        m, v = energy[i], energy_squared[i]
        size = v / m
        n = m / size
        # The quadratic term adds 1/18 to the variance; the linear one gives it back.
        spread = np.sqrt(max(n - np.float32(1.0 / 18.0), np.float32(0)))
        many = size * (n + z * spread + (z * z - np.float32(1.0)) * np.float32(1.0 / 6.0))
        drawn[i] = many if n >= _EXACT_BELOW else np.float32(0)
    for i in range(first, last):
        m, v = energy[i], energy_squared[i]
        if m > 0 and v > 0 and drawn[i] == 0:
            _, _, w2, w3 = philox(np.uint32(i), zero, zero, zero, k0, k1)
            u = (np.float64(w2) * 2097152.0 + np.float64(w3 >> np.uint32(11)) + 0.5) * (1.0 / 9007199254740992.0)
            size = v / m
            drawn[i] = size * _poisson(np.float64(m / size), u)


@njit(nogil=True, cache=True)
def _normals(out, k0, k1, stream):  # type: ignore[no-untyped-def]
    zero = np.uint32(0)
    for i in range(len(out)):
        w0, w1, _, _ = philox(np.uint32(i), zero, stream, zero, k0, k1)
        out[i] = _box_muller(w0, w1)[0]


@njit(nogil=True, cache=True)
def _uniforms(out, k0, k1, stream):  # type: ignore[no-untyped-def]
    zero = np.uint32(0)
    for i in range(len(out)):
        w0, _, _, _ = philox(np.uint32(i), zero, stream, zero, k0, k1)
        out[i] = np.float32(w0 >> np.uint32(8)) * np.float32(2.0**-24)


@njit(nogil=True, cache=True, fastmath={"contract", "reassoc", "nsz"})
def _convolve_rows(padded, taps, noise, scale, out, first, last):  # type: ignore[no-untyped-def]
    size = len(taps)
    width = out.shape[1]
    for v in range(first, last):
        row = out[v]
        for u in range(width):
            row[u] = scale * noise[v, u]
        for i in range(size):
            source = padded[v + i]
            for j in range(size):
                tap = taps[i, j]
                for u in range(width):
                    row[u] += tap * source[u + j]
