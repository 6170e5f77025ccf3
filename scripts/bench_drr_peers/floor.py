"""What no projector that reads every voxel and blends rows slice by slice can beat on this machine.

The volume is read once, and the column pass takes two multiply-adds a pixel and slice at the cores' peak. Reads are
repeated as the projector's runs are, so that both find as much of the volume in the caches.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np
from numba import njit, prange

from bench_drr_peers.measure import THREADS, Array, Others, wait_until_quiet
from bench_drr_peers.scene import SIZE, VIEWS, Scene, View

if TYPE_CHECKING:
    from collections.abc import Callable

_SECONDS = 1.0
_CHAIN, _BLOCK, _ROUNDS = 16, 4096, 400


def floor_rows(scene: Scene, repeat: int) -> list[dict[str, Any]]:
    """Times of reading the volume once, by dtype, and of the column pass, by view."""
    rows = []
    for dtype, volume in (("uint16", scene.stored), ("float32", scene.mu)):
        words = volume.reshape(-1).view(np.uint64)
        seconds, others = _best(lambda words=words: _read(words, 32 * THREADS))
        rate = f"{volume.nbytes / seconds / 1e9:.1f} GB/s"
        rows.append(_row(f"read the volume once, {dtype}", seconds, rate, others, dtype=dtype))
    block = np.ones((THREADS, _BLOCK), np.float32)
    seconds, others = _best(lambda: _multiply_add(block, np.float32(0.999), np.float32(0.001), _ROUNDS))
    peak = block.size * _CHAIN * _ROUNDS / seconds
    for view in VIEWS:
        fmas = 2 * SIZE * SIZE * slices(scene, view)
        rate = f"{fmas / 1e9:.2f} G FMA at {peak / 1e9:.0f} G FMA/s"
        rows.append(_row(f"column pass, {view.name}", fmas / peak, rate, others, view=view.name))
    return rows


def slices(scene: Scene, view: View) -> int:
    """Slices across the axis along which the central ray crosses most of them."""
    return scene.shape[::-1][int(np.argmax(np.abs(view.beam / scene.spacing)))]


def _row(label: str, seconds: float, rate: str, others: float, **more: str) -> dict[str, Any]:
    return {"section": "floor", "label": label, "best_ms": 1e3 * seconds, "rate": rate, "others": others, **more}


def _best(call: Callable[[], Array]) -> tuple[float, float]:
    """The shortest of many calls (s), and the share of the machine that others used meanwhile."""
    call()
    wait_until_quiet()
    others, best, end = Others(), np.inf, time.perf_counter() + _SECONDS
    while time.perf_counter() < end:
        start = time.perf_counter()
        call()
        best = min(best, time.perf_counter() - start)
    return best, others.share()


@njit(parallel=True)
def _read(words, chunks):  # type: ignore[no-untyped-def]
    """Ors all words together, in four streams a chunk: an arithmetic that costs nothing beside the reading."""
    seen = np.zeros(chunks, np.uint64)
    run = words.size // (4 * chunks)
    for chunk in prange(chunks):
        a, b, c, d = [words[(4 * chunk + n) * run : (4 * chunk + n + 1) * run] for n in range(4)]
        bits = np.uint64(0)
        for i in range(run):
            bits |= a[i] | b[i] | c[i] | d[i]
        seen[chunk] = bits
    return seen


@njit(parallel=True, fastmath={"contract"})
def _multiply_add(block, factor, summand, rounds):  # type: ignore[no-untyped-def]
    """Chains of `_CHAIN` dependent multiply-adds, thousands of them independent, in the first-level cache."""
    for thread in prange(block.shape[0]):
        values = block[thread]
        for _ in range(rounds):
            for i in range(values.size):
                value = values[i]
                for _step in range(_CHAIN):
                    value = value * factor + summand
                values[i] = value
    return block
