"""Painted solids against their definition and float64 references; CPU and CUDA to the bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synth.anatomy.packing import pack
from synth.anatomy.solids import Loft, Slab, Solid, Stroke, Tubes
from synth.kernels import _cuda, solids, threads
from synth.kernels.paint import Program, paint
from tests.kernels import host_cuda, paint_reference

SHAPE = (26, 29, 33)
ORIGIN, SPACING = np.array([-17.0, -14.0, -16.0]), np.array([1.0, 0.9, 1.25])
KINDS = ("loft", "slab", "tubes")


def rotation(rng: np.random.Generator) -> Any:
    """A random rotation, or one of the grid's."""
    if rng.random() < 0.3:
        return np.roll(np.eye(3), int(rng.integers(3)), 0)
    q = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    q[2] *= np.sign(np.linalg.det(q))
    return q


def make(kind: str, rng: np.random.Generator) -> Solid:
    """A random solid near the middle: smooth, so that first-order distances mean something."""
    if kind == "loft":
        n, m = int(rng.integers(2, 9)), int(rng.integers(8, 30))
        angles = np.arange(m) * 2 * np.pi / m
        radius = (
            rng.uniform(5, 9) + rng.uniform(-1, 1, (n, 1)) + rng.uniform(0, 2) * np.cos(2 * angles + rng.uniform(0, 6))
        )
        step = rng.uniform(2, 5)
        centre = np.cumsum(rng.uniform(-0.4, 0.4, (n, 2)) * step, 0)
        return Loft(radius, centre, -step * (n - 1) / 2, step, rng.uniform(-5, 5, 3), rotation(rng))
    if kind == "slab":
        n, m = rng.integers(2, 7, 2)
        lower = rng.uniform(-1.5, 1.5, (n, m)) - 3
        upper = lower + rng.uniform(-1, 8, (n, m))
        return Slab(lower, upper, -9.0, -8.0, 18 / (m - 1), 16 / (n - 1), rng.uniform(-3, 3, 3), rotation(rng))
    n = int(rng.integers(1, 5))
    start = rng.uniform(-12, 12, (n, 3))
    axis = rng.normal(size=(n, 3)) * rng.choice([3.0, 8.0], (n, 1))
    normal = np.cross(axis, rng.normal(size=(n, 3)))
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    radii = rng.uniform(1, 5, (2, n))
    return Tubes(start, start + axis, *radii, normal, np.where(rng.random(n) < 0.5, 1.0, rng.uniform(0.4, 1, n)))


def cover(strokes: list[Stroke], painter: Any = paint) -> Any:
    """Coverages: values painted on 0."""
    hu, labels, parts = canvas()
    painter(hu, labels, parts, ORIGIN, SPACING, pack(strokes, SHAPE, ORIGIN, SPACING))
    return hu


def canvas() -> tuple[Any, Any, Any]:
    return np.zeros(SHAPE, np.float32), np.zeros(SHAPE, np.uint8), np.zeros(SHAPE, np.uint8)


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(KINDS), st.integers(0, 2**32), st.sampled_from([0.0, 1.2, -0.7]))
def test_coverage_equals_the_float64_reference(kind: str, seed: int, inset: float) -> None:
    solid = make(kind, np.random.default_rng(seed))
    painted = cover([Stroke((solid,), 1.0, inset_mm=inset)])
    expected = paint_reference.coverage(solid, paint_reference.grid(SHAPE, ORIGIN, SPACING), SPACING, inset)
    error = np.abs(painted - expected)
    assert np.quantile(error, 0.995) < 4e-3  # lengths are rounded to 1/1024 mm
    assert (error > 0.02).mean() < 1e-3  # at sharp edges: bounds know what the first order does not


@pytest.mark.parametrize("kind", KINDS)
def test_coverage_is_the_share_of_points_inside(kind: str) -> None:
    steps = (np.arange(5) + 0.5) / 5 - 0.5
    within = np.stack(np.meshgrid(steps, steps, steps), -1).reshape(-1, 3) * SPACING
    for seed in range(4):
        rng = np.random.default_rng(seed)
        solid = make(kind, rng)
        some = rng.choice(np.prod(SHAPE), 4000, replace=False)
        painted = cover([Stroke((solid,), 1.0)]).ravel()[some]
        points = paint_reference.grid(SHAPE, ORIGIN, SPACING).reshape(-1, 3)[some]
        share = paint_reference.inside(solid, points[:, None] + within).mean(1)
        edge = (share > 0) & (share < 1)
        assert np.abs(painted - share)[edge].mean() < 0.05
        assert np.abs(painted - share)[~edge].mean() < 0.002
        assert painted.sum() == pytest.approx(share.sum(), rel=0.02)


@settings(max_examples=200, deadline=None)
@given(st.floats(-300, 300, width=32), st.floats(-300, 300, width=32))
def test_turn_is_the_angle(x: float, y: float) -> None:
    if abs(x) + abs(y) < 1e-20:
        x = y = 0.0
    expected = np.arctan2(y, x) / (2 * np.pi) % 1
    error = abs(float(solids.turn(np.float32(x), np.float32(y))) - expected)
    assert min(error, 1 - error) < 2e-7


def test_sectors_are_of_one_size() -> None:
    angles = (np.arange(3200) + 0.5) * 2 * np.pi / 3200
    sectors = [solids.sector(np.float32(np.cos(a)), np.float32(np.sin(a))) for a in angles]
    assert np.bincount(sectors).tolist() == [100] * 32
    assert np.count_nonzero(np.diff(sectors)) == 31  # each in one piece


def test_a_union_does_not_depend_on_order() -> None:
    rng = np.random.default_rng(3)
    parts = [make(kind, rng) for kind in KINDS for _ in range(3)]
    tubes = Tubes.merged([solid for solid in parts if isinstance(solid, Tubes)])
    backwards = Tubes(*(getattr(tubes, name)[::-1] for name in Tubes.__dataclass_fields__))
    others = [solid for solid in parts if not isinstance(solid, Tubes)]
    once = cover([Stroke((*others, tubes), 1.0, "heart")])
    again = cover([Stroke((backwards, *others[::-1]), 1.0, "heart")])
    assert once.tobytes() == again.tobytes()
    each = np.max([cover([Stroke((solid,), 1.0)]) for solid in (*others, tubes)], axis=0)
    assert once.tobytes() == each.tobytes()


def test_no_bit_depends_on_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    program = random_program(5)
    results = []
    for count in ("1", "3"):
        monkeypatch.setenv("SYNTH_THREADS", count)
        monkeypatch.setattr(threads, "_pool", None)
        arrays = canvas()
        paint(*arrays, ORIGIN, SPACING, program)
        results.append([array.tobytes() for array in arrays])
    assert results[0] == results[1]


def random_program(seed: int, n: int = 60) -> Program:
    """Strokes of all kinds: unions, insets, restrictions, values, labels and parts or none."""
    rng = np.random.default_rng(seed)
    strokes = [
        Stroke(
            tuple(make(str(rng.choice(KINDS)), rng) for _ in range(rng.integers(1, 4))),
            None if rng.random() < 0.2 else float(rng.uniform(-900, 900)),
            [None, "", "heart", "liver"][rng.integers(4)],
            [None, "", "gas"][rng.integers(3)],
            ("heart", "") if rng.random() < 0.3 else None,
            ("gas",) if rng.random() < 0.1 else None,
            float(rng.choice([0, 1, -1, 3])),
        )
        for _ in range(n)
    ]
    # Rough ones, too: radii of 0, steps between sections, surfaces that cross, segments without a length.
    wild = Loft(rng.uniform(0, 9, (6, 7)) * (rng.random((6, 7)) < 0.7), rng.normal(size=(6, 2)), -6.0, 2.0)
    torn = Slab(rng.normal(size=(5, 6)) * 4, rng.normal(size=(5, 6)) * 4, -8, -8, 3, 4, axes=rotation(rng))
    dots = Tubes(
        *2 * [rng.uniform(-9, 9, (4, 3))], *rng.uniform(0, 2, (2, 4)), np.eye(3)[[0, 1, 2, 0]], np.full(4, 0.5)
    )
    strokes += [Stroke((solid,), 77.0, "skin") for solid in (wild, torn, dots)]
    return pack(strokes, SHAPE, ORIGIN, SPACING)


@pytest.fixture(params=["cuda source", "gpu"])
def cuda(request: pytest.FixtureRequest) -> Any:
    """paint.cu on numpy arrays."""
    if request.param == "cuda source":
        if reason := host_cuda.unavailable():
            pytest.skip(reason)
        return host_cuda.paint
    if reason := _cuda.unavailable():
        pytest.skip(reason)
    cupy = pytest.importorskip("cupy")

    def painter(hu: Any, labels: Any, parts: Any, *rest: Any) -> None:
        there = [cupy.asarray(array) for array in (hu, labels, parts)]
        paint(*there, *rest)
        for array, result in zip((hu, labels, parts), there, strict=True):
            array[:] = result.get()

    return painter


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_cuda_paints_the_same_bits(cuda: Any, seed: int) -> None:
    program = random_program(seed)
    ours, theirs = canvas(), canvas()
    paint(*ours, ORIGIN, SPACING, program)
    cuda(*theirs, ORIGIN, SPACING, program)
    assert len(np.unique(ours[0])) > 1000
    for a, b in zip(ours, theirs, strict=True):
        assert a.tobytes() == b.tobytes()


def test_cuda_paints_nothing(cuda: Any) -> None:
    arrays = canvas()
    cuda(*arrays, ORIGIN, SPACING, pack([], SHAPE, ORIGIN, SPACING))
    assert not any(array.any() for array in arrays)


def test_malformed_arrays_are_refused() -> None:
    hu, labels, parts = canvas()
    program = pack([], SHAPE, ORIGIN, SPACING)
    with pytest.raises(ValueError, match=r"labels: expected .* uint8"):
        paint(hu, labels.astype(int), parts, ORIGIN, SPACING, program)
    with pytest.raises(ValueError, match=r"parts: expected .*hu's shape"):
        paint(hu, labels, parts[1:], ORIGIN, SPACING, program)
    with pytest.raises(ValueError, match="hu: expected a C-contiguous"):
        paint(hu.T, labels.T, parts.T, ORIGIN, SPACING, program)


def test_arrays_that_are_not_numpy_go_to_the_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    class Elsewhere:
        ndim, shape, flags = 3, SHAPE, np.zeros(1).flags

        def __init__(self, dtype: Any) -> None:
            self.dtype = np.dtype(dtype)

    given_arrays = Elsewhere("f4"), Elsewhere("u1"), Elsewhere("u1")
    calls: list[Any] = []
    monkeypatch.setattr(_cuda, "paint", lambda *args: calls.append(args))
    program = pack([], SHAPE, ORIGIN, SPACING)
    paint(*given_arrays, ORIGIN, SPACING, program)
    assert calls[0][:3] == given_arrays
    assert calls[0][5] is program
