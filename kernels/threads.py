"""Threads for kernels that release the GIL."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["run_parallel", "thread_count"]

_pool: ThreadPoolExecutor | None = None


def thread_count() -> int:
    """Threads that kernels use: SYNTH_THREADS where set, else the cores this process may run on."""
    wanted = os.environ.get("SYNTH_THREADS", "")
    return max(1, int(wanted)) if wanted.isdigit() else len(os.sched_getaffinity(0))


def run_parallel(task: Callable[[int, int], None], n: int, chunk: int) -> None:
    """Calls `task(start, stop)` over range(n) in pieces of `chunk`, on all threads; returns when all are done."""
    global _pool
    pieces: Sequence[tuple[int, int]] = [(start, min(n, start + chunk)) for start in range(0, n, chunk)]
    if thread_count() == 1 or len(pieces) == 1:
        for start, stop in pieces:
            task(start, stop)
        return
    if _pool is None:
        _pool = ThreadPoolExecutor(thread_count(), thread_name_prefix="synth-kernel")
    for future in [_pool.submit(task, start, stop) for start, stop in pieces]:
        future.result()


def _forget_pool() -> None:
    global _pool
    _pool = None


os.register_at_fork(after_in_child=_forget_pool)  # threads do not survive a fork
