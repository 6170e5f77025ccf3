"""Work on many items by threads, in order and in bounded memory."""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

from synth.kernels.threads import thread_count

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from concurrent.futures import Future

__all__ = ["ordered_map"]

S = TypeVar("S")
T = TypeVar("T")

_AHEAD = 2  # results that wait per thread: enough to keep every thread busy


def ordered_map(function: Callable[[S], T], items: Iterable[S], workers: int | None = None) -> Iterator[T]:
    """`map` by threads: results in the order of the items, at most 2 a thread ahead of the consumer.

    Args:
        function: Called in threads; decoding of images and hashing release the GIL.
        items: Taken one at a time, as they are needed.
        workers: Threads; 1 works in the caller's; default: SYNTH_THREADS or the cores.

    Raises:
        Exception: What `function` raises, at the item's place in the order.
    """
    workers = thread_count() if workers is None else workers
    if workers <= 1:
        yield from map(function, items)
        return
    with ThreadPoolExecutor(workers, thread_name_prefix="synth-images") as pool:
        pending: deque[Future[T]] = deque()
        try:
            for item in items:
                pending.append(pool.submit(function, item))
                if len(pending) >= _AHEAD * workers:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            for future in pending:
                future.cancel()
