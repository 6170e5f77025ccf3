"""Texture matrices: against brute force, CPU and CUDA alike; and the sums over them."""

from __future__ import annotations

import itertools
from dataclasses import fields
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synth.kernels import _cuda
from synth.kernels.texture_matrices import IN_PLANE, IN_SPACE, TextureMatrices, texture_matrices
from synth.kernels.texture_sums import EPSILON, PAIR_SUMS, SIZE_SUMS, pair_sums, size_sums
from tests.kernels import host_cuda


def brute_force(levels: Any, values: Any, steps: Any) -> dict[str, Any]:
    """Every matrix by its definition."""
    n, ways, longest = len(values), len(steps), max(levels.shape)
    inside = {tuple(at): int(levels[tuple(at)]) for at in np.argwhere(levels)}
    shift = lambda at, step, k=1: tuple(int(a + k * s) for a, s in zip(at, step, strict=True))  # noqa: E731
    both = [*steps, *(tuple(-k for k in step) for step in steps)]
    out = {
        "pairs": np.zeros((ways, n, n)),
        "runs": np.zeros((ways, n, longest)),
        "dependences": np.zeros((n, 2 * ways + 1)),
        "neighbours": np.zeros((n, 2 * ways + 1)),
        "differences": np.zeros((n, 2 * ways + 1)),
    }
    for at, level in inside.items():
        for d, step in enumerate(steps):
            if shift(at, step) in inside:
                out["pairs"][d, level - 1, inside[shift(at, step)] - 1] += 1
            if inside.get(shift(at, step, -1)) != level:
                length = next(k for k in itertools.count(1) if inside.get(shift(at, step, k)) != level)
                out["runs"][d, level - 1, length - 1] += 1
        around = [inside[shift(at, step)] for step in both if shift(at, step) in inside]
        out["dependences"][level - 1, around.count(level)] += 1
        out["neighbours"][level - 1, len(around)] += 1
        difference = len(around) * values[level - 1] - sum(values[k - 1] for k in around)
        out["differences"][level - 1, len(around)] += abs(difference)
    return out | zones(inside, both, shift, n)


def zones(inside: dict[Any, int], both: Any, shift: Any, n: int) -> dict[str, Any]:
    left, found = dict(inside), []
    while left:
        start, level = left.popitem()
        front, size = [start], 0
        while front:
            at = front.pop()
            size += 1
            near = [shift(at, step) for step in both]
            for other in (other for other in near if left.get(other) == level):
                del left[other]
                front.append(other)
        found.append((level, size))
    sizes = sorted({size for _, size in found})
    counts = np.zeros((n, len(sizes)))
    for level, size in found:
        counts[level - 1, sizes.index(size)] += 1
    return {"zones": counts, "zone_sizes": np.array(sizes)}


def example(shape: Any, n: int, seed: int, *, smooth: bool = False) -> tuple[Any, Any]:
    """Levels and values; with a hole, so that runs break and voxels lack neighbours."""
    rng = np.random.default_rng(seed)
    levels = rng.integers(1, n + 1, shape).astype(np.uint16)
    if smooth:
        levels = np.sort(levels, axis=int(rng.integers(3)))
    levels[rng.random(shape) < 0.25] = 0
    return levels, np.sort(rng.choice(300, n, replace=False)) + 1


@pytest.fixture(params=["cpu", "cuda source", "gpu"])
def count(request: pytest.FixtureRequest) -> Any:
    """texture_matrices on numpy arrays."""
    if request.param == "cpu":
        return texture_matrices
    if request.param == "cuda source":
        if reason := host_cuda.unavailable():
            pytest.skip(reason)
        return host_cuda.texture_matrices
    if reason := _cuda.unavailable():
        pytest.skip(reason)
    cupy = pytest.importorskip("cupy")

    def on_gpu(levels: Any, *rest: Any) -> TextureMatrices:
        counted = texture_matrices(cupy.asarray(levels), *rest)
        return TextureMatrices(*(getattr(counted, field.name).get() for field in fields(counted)))

    return on_gpu


@pytest.mark.parametrize("smooth", [False, True])
@pytest.mark.parametrize(
    ("shape", "steps"),
    [((1, 9, 11), IN_PLANE), ((5, 7, 6), IN_SPACE), ((4, 6, 5), IN_PLANE), ((7, 1, 1), IN_SPACE), ((1, 1, 9), IN_PLANE),
     ((3, 2, 40), IN_SPACE[3:7])],
)  # fmt: skip
def test_matrices_are_what_they_count(count: Any, shape: Any, steps: Any, smooth: bool) -> None:
    levels, values = example(shape, 3, 5, smooth=smooth)
    counted, expected = count(levels, values, steps), brute_force(levels, values, steps)
    for name, matrix in expected.items():
        np.testing.assert_array_equal(getattr(counted, name), matrix, err_msg=name)


@given(st.tuples(st.integers(1, 4), st.integers(1, 5), st.integers(1, 5)), st.integers(1, 4), st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=40)
def test_any_volume(shape: Any, n: int, seed: int) -> None:
    levels, values = example(shape, n, seed)
    counted, expected = texture_matrices(levels, values), brute_force(levels, values, IN_SPACE)
    for name, matrix in expected.items():
        np.testing.assert_array_equal(getattr(counted, name), matrix, err_msg=name)


def test_cuda_counts_a_larger_volume_alike() -> None:
    if reason := host_cuda.unavailable():
        pytest.skip(reason)
    levels, values = example((9, 37, 41), 20, 0)
    ours, theirs = texture_matrices(levels, values), host_cuda.texture_matrices(levels, values, IN_SPACE)
    for field in fields(ours):
        np.testing.assert_array_equal(getattr(ours, field.name), getattr(theirs, field.name), err_msg=field.name)


def test_a_winding_zone_is_one() -> None:
    # A snail: unions meet late, from both sides.
    levels = np.ones((1, 31, 31), np.uint16)
    y, x, dy, dx = 0, 0, 0, 1
    levels[0, y, x] = 2
    for length in [30, 30, 30, *[k for k in range(28, 0, -2) for _ in (0, 1)]]:
        for _ in range(length):
            y, x = y + dy, x + dx
            levels[0, y, x] = 2
        dy, dx = dx, -dy
    counted = texture_matrices(levels, [1, 2], ((0, 0, 1), (0, 1, 0)))
    assert counted.zones[1].sum() == 1
    assert counted.zone_sizes[counted.zones[1] > 0] == (levels == 2).sum()


def test_malformed_arguments_are_refused() -> None:
    levels = np.ones((2, 3, 4), np.uint16)
    with pytest.raises(ValueError, match=r"levels: expected .* int64"):
        texture_matrices(levels.astype(np.int64), [1])
    with pytest.raises(ValueError, match="values: expected ascending"):
        texture_matrices(levels, [2, 1])
    with pytest.raises(ValueError, match="steps: expected"):
        texture_matrices(levels, [1], ((0, 0, -1),))
    with pytest.raises(ValueError, match="9000 grey levels are too many"):
        texture_matrices(levels, np.arange(1, 9001))


def test_arrays_that_are_not_numpy_go_to_the_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_cuda, "texture_matrices", lambda *args: args)
    levels: Any = object()
    result: Any = texture_matrices(levels, [1], IN_PLANE)
    assert result == (levels, [1], IN_PLANE)


def test_pair_sums() -> None:
    rng = np.random.default_rng(0)
    pairs = rng.integers(0, 5000, (3, 4, 4)).astype(np.int32) * (rng.random((3, 4, 4)) < 0.7)
    pairs[1] = 0
    values = np.array([1, 2, 5, 9])
    totals, shares, added, apart, sums = pair_sums(pairs.astype(np.int32), values)
    i, j = np.meshgrid(values, values, indexing="ij")
    for d in (0, 2):
        p = pairs[d] + pairs[d].T
        assert totals[d] == p.sum()
        p = p / p.sum()
        np.testing.assert_allclose(shares[d], p.sum(1), rtol=1e-15)
        np.testing.assert_allclose(added[d], np.bincount((i + j).ravel(), p.ravel(), 19), rtol=1e-14)
        np.testing.assert_allclose(apart[d], np.bincount(abs(i - j).ravel(), p.ravel(), 9), rtol=1e-14)
        ratio = p / np.outer(p.sum(1), p.sum(1))
        expected = [(p * p).sum(), p.max(), -(p * np.log2(p + EPSILON)).sum(), ratio.sum()]
        assert len(expected) == len(PAIR_SUMS)
        np.testing.assert_allclose(sums[d], expected, rtol=1e-14)
    assert not any(part[1].any() for part in (shares, added, apart, sums))


def test_size_sums() -> None:
    rng = np.random.default_rng(1)
    c = rng.integers(0, 6000, (3, 5)) * (rng.random((3, 5)) < 0.7)
    sizes, values = np.array([1, 2, 4, 7, 30]), np.array([1, 3, 4])
    i, s = np.meshgrid(values, sizes, indexing="ij")
    n = c.sum()
    p = c / n
    expected = {
        "number": n, "voxels": (c * s).sum(), "short": (p / s**2).sum(), "long": (p * s**2).sum(),
        "low": (p / i**2).sum(), "high": (p * i**2).sum(), "short_low": (p / s**2 / i**2).sum(),
        "short_high": (p / s**2 * i**2).sum(), "long_low": (p * s**2 / i**2).sum(),
        "long_high": (p * s**2 * i**2).sum(), "levels": (c.sum(1) ** 2).sum() / n, "sizes": (c.sum(0) ** 2).sum() / n,
        "level_variance": (p * (i - (p * i).sum()) ** 2).sum(), "size_variance": (p * (s - (p * s).sum()) ** 2).sum(),
        "entropy": -(p * np.log2(p + EPSILON)).sum(),
    }  # fmt: skip
    found = dict(zip(SIZE_SUMS, size_sums(c.astype(np.int32), sizes, values), strict=True))
    assert found == pytest.approx(expected, rel=1e-13)
    assert not size_sums(np.zeros((2, 2), np.int32), sizes[:2], values[:2]).any()
