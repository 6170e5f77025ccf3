"""How calls are timed: a warm-up, a quiet machine, best and median of several, and what others did meanwhile."""

from __future__ import annotations

import os
import resource
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Callable

THREADS = 2
QUIET, QUIET_WAIT_S = 0.1, 5.0
"""Share of the machine that others may use for it to count as quiet, and how long to wait for that."""
LEAST_S, MOST_S, COLD_S = 1.0, 5.0, 5.0
"""Quick calls run for LEAST_S; no run starts after MOST_S; a first call longer than COLD_S counts as a run."""

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Call:
    """One call: its image, wall and CPU time (s). Adapters that start a program return one, with its peak memory."""

    image: Array
    wall_s: float
    cpu_s: float
    peak_mb: float = 0.0


def measure(make: Callable[[], Callable[[], Array | Call]], repeat: int, views_per_call: int = 1) -> dict[str, Any]:
    """Makes a projector and times it.

    Args:
        make: Prepares everything that a projector keeps between views; what it returns is called for every run.
        repeat: Runs to take, more of quick calls and fewer of slow ones.
        views_per_call: Divides the times, for projectors that spread views over the cores.

    Returns:
        A row (times in ms, a view) with the last call's image under "image".
    """
    _forget_peak()
    call = make()
    others, start = Others(), time.perf_counter()
    calls = [timed(call)]
    if calls[0].wall_s < COLD_S:
        calls.clear()
        wait_until_quiet()
        others, start = Others(), time.perf_counter()
    while not calls or _wants_more(time.perf_counter() - start, len(calls) < repeat):
        calls.append(timed(call))
    walls = [1e3 * one.wall_s / views_per_call for one in calls]
    return {
        "best_ms": min(walls),
        "median_ms": median(walls),
        "cpu_ms": 1e3 * median(one.cpu_s for one in calls) / views_per_call,
        "peak_mb": max(_peak_mb(), *(one.peak_mb for one in calls)),
        "runs": len(calls),
        "others": others.share(),
        "image": calls[-1].image,
    }


def _wants_more(elapsed_s: float, too_few: bool) -> bool:
    return elapsed_s < (MOST_S if too_few else LEAST_S)


def timed(call: Callable[[], Array | Call]) -> Call:
    """Runs `call` and times it, unless it has timed itself."""
    cpu, wall = _cpu_s(), time.perf_counter()
    result = call()
    if isinstance(result, Call):
        return result
    return Call(np.asarray(result), time.perf_counter() - wall, _cpu_s() - cpu)


class Others:
    """The share of the machine that other processes use from now on."""

    def __init__(self) -> None:
        self._start = _now()

    def share(self) -> float:
        """0 for none, 1 for all cores all the time; 0 where the system does not tell."""
        wall, cpu, busy = (now - then for now, then in zip(_now(), self._start, strict=True))
        return max(0.0, (busy - cpu) / max(1e-9, wall * (os.cpu_count() or 1)))


def wait_until_quiet(wait_s: float = QUIET_WAIT_S) -> None:
    """Waits, `wait_s` at most, for half a second in which others leave the machine alone."""
    end = time.perf_counter() + wait_s
    while time.perf_counter() < end:
        others = Others()
        time.sleep(0.5)
        if others.share() < QUIET:
            return


def _now() -> tuple[float, float, float]:
    return time.perf_counter(), _cpu_s(), _busy_s()


def _cpu_s() -> float:
    usages = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def _busy_s() -> float:
    with suppress(OSError):
        user, nice, system, _idle, _wait, *interrupts = map(int, Path("/proc/stat").read_text().split()[1:9])
        return (user + nice + system + sum(interrupts)) / os.sysconf("SC_CLK_TCK")
    return 0.0


def _forget_peak() -> None:
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def _peak_mb() -> float:
    with suppress(OSError, StopIteration):
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
