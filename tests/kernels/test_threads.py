"""Threads: every piece once, errors come back, and no bit depends on how many there are."""

from __future__ import annotations

import os
import threading
from typing import Any

import numpy as np
import pytest

from synth.kernels import threads
from synth.kernels.project import prepare, project, project_labels


@pytest.fixture(params=["1", "2", "5"])
def count(request: Any, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setenv("SYNTH_THREADS", request.param)
    monkeypatch.setattr(threads, "_pool", None)
    return int(request.param)


@pytest.mark.parametrize(("n", "chunk"), [(0, 3), (1, 1), (10, 3), (9, 3), (2, 50)])
def test_every_piece_once(count: int, n: int, chunk: int) -> None:
    assert threads.thread_count() == count
    seen = np.zeros(n, int)
    lock = threading.Lock()

    def task(start: int, stop: int) -> None:
        assert 0 < stop - start <= chunk
        with lock:
            seen[start:stop] += 1

    threads.run_parallel(task, n, chunk)
    assert (seen == 1).all()


def test_errors_come_back(count: int) -> None:
    def task(start: int, stop: int) -> None:
        if start >= 4:
            raise RuntimeError(f"piece {start}")

    with pytest.raises(RuntimeError, match=r"piece [46]"):
        threads.run_parallel(task, 8, 2)


@pytest.mark.parametrize("wanted", ["", "many", "-3", "0"])
def test_a_count_that_is_none(monkeypatch: pytest.MonkeyPatch, wanted: str) -> None:
    monkeypatch.setenv("SYNTH_THREADS", wanted)
    assert threads.thread_count() == (1 if wanted == "0" else len(os.sched_getaffinity(0)))


def test_no_bit_depends_on_the_count(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    volume = rng.normal(size=(2, 21, 37, 30)).astype(np.float32)
    labels = rng.integers(0, 4, volume.shape[1:]).astype(np.uint8)
    affine, shape = np.eye(4), (75, 40)
    straight = [[15.0, -90.0, 10.0], [-20.0, 60.0, 40.0], [1.7, 0.0, 0.0], [0.0, 0.0, -0.8]]
    oblique = [[15.0, -90.0, 10.0], [-20.0, 60.0, 40.0], [1.6, 0.4, 0.0], [0.1, 0.0, -0.8]]
    views = np.array([straight, oblique])
    results = []
    for count in (1, 2, 3):
        monkeypatch.setenv("SYNTH_THREADS", str(count))
        monkeypatch.setattr(threads, "_pool", None)
        prepared = prepare(volume, affine)
        images = [project(prepared, views, shape, method=method) for method in ("slices", "rays")]
        results.append([*images, project_labels(labels, affine, views, shape, 4)])
    assert all(image.any() for image in results[0])
    for others in results[1:]:
        for image, other in zip(results[0], others, strict=True):
            np.testing.assert_array_equal(image, other)
