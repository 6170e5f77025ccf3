"""Threads for kernels that release the GIL."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["run_parallel", "thread_count"]

_pool: ThreadPoolExecutor | None = None


def thread_count() -> int:
    """Threads that kernels use: SYNTH_THREADS where set, else the cores this process may run on."""
    wanted = os.environ.get("SYNTH_THREADS", "")
    return max(1, int(wanted)) if wanted.isdigit() else len(os.sched_getaffinity(0))


def run_parallel(task: Callable[[int, int], None], n: int, chunk: int) -> None:
    """Calls `task(start, stop)` over range(n) in pieces of `chunk`, on all threads; returns when all are done.

    The caller's thread works too, and each thread takes the next piece when it is ready for one.
    """
    starts = iter(range(0, n, chunk))

    def work() -> None:
        for start in starts:
            task(start, min(n, start + chunk))

    others = min(thread_count(), -(-n // chunk)) - 1
    helpers = [_executor().submit(work) for _ in range(others)]
    try:
        work()
    finally:
        wait(helpers)
    for helper in helpers:
        helper.result()


def _executor() -> ThreadPoolExecutor:
    global _pool
    if _pool is None:
        _pool = ThreadPoolExecutor(thread_count(), thread_name_prefix="synth-kernel")
    return _pool


def _forget_pool() -> None:
    global _pool
    _pool = None


os.register_at_fork(after_in_child=_forget_pool)  # threads do not survive a fork
