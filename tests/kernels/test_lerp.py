"""Sixteen interpolations at a time: the vector code and the plain loop."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numba import njit

from synth.kernels import lerp
from synth.kernels.lerp import HAS_AVX512, LANES, MAX_STEP, SLACK, lerp16


@njit
def plain(source, start, pairs, fraction, i, out, o):  # type: ignore[no-untyped-def]
    lerp._lerp16_plain(source, start, 8, pairs, fraction, i, out, o)


@njit
def chosen(source, start, pairs, fraction, i, out, o):  # type: ignore[no-untyped-def]
    lerp16(source, start, 8, pairs, fraction, i, out, o)


def row(dtype: str, seed: int) -> Any:
    rng = np.random.default_rng(seed)
    if dtype == "uint16":
        return rng.integers(0, 65536, 40 + SLACK, dtype=np.uint16)
    return rng.normal(size=40 + SLACK).astype(np.float32)


@pytest.mark.parametrize("dtype", ["uint16", "float32"])
@pytest.mark.parametrize("seed", range(5))
def test_both_do_what_is_said(dtype: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    source = row(dtype, seed)
    offsets = np.concatenate([[0] * 3, rng.integers(0, 31, LANES - 4), [30]]).astype(np.int32)
    pairs, fraction = np.zeros(3 + LANES, np.int32), np.zeros(3 + LANES, np.float32)
    pairs[3:] = offsets | (offsets + 1) << 16
    fraction[3:] = rng.uniform(0, 1, LANES).astype(np.float32)
    fraction[[3, 18]] = 0, 1
    start = 7
    a, b = (source[start + offsets + k].astype(float) for k in (0, 1))
    expected = a + fraction[3:] * (b - a)
    results = []
    for run in (plain, chosen):
        out = np.full(5 + LANES + 2, -1, np.float32)
        run(source, start, pairs, fraction, 3, out, 5)
        assert (out[:5] == -1).all()
        assert (out[5 + LANES :] == -1).all()
        np.testing.assert_allclose(out[5 : 5 + LANES], expected, rtol=0, atol=2e-7 * np.abs(source).max())
        results.append(out)
    if HAS_AVX512:
        # To the last bit of the larger neighbour: either may or may not fuse the multiplication and the addition.
        np.testing.assert_allclose(results[0], results[1], rtol=0, atol=1.2e-7 * np.abs(source).max())


def test_sixteen_steps_of_the_largest_fit_the_run() -> None:
    for phase in np.linspace(0, 1, 21):
        first = int(phase)
        last = int(phase + MAX_STEP * (LANES - 1))
        assert last - first <= 30


def test_the_plain_loop_serves_where_there_is_no_avx512() -> None:
    assert HAS_AVX512 or lerp16 is lerp._lerp16_plain
