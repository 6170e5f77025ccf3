"""What a dataset will cost, from a few of its cases."""

from __future__ import annotations

import os
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from synth.dataset.source import CannotMakeError
from synth.kernels.threads import thread_count

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from synth.core.record import Sample, ScanSample
    from synth.dataset.job import DatasetJob

__all__ = ["Cost", "estimate"]

_CASES = 3  # the first pays for what is loaded and compiled once, and is not counted where there are others
_THREADS = "SYNTH_THREADS"


@dataclass(frozen=True)
class Cost:
    """What a dataset will cost; a gate's own work, and cases that it has made again, come on top.

    Attributes:
        cases: Cases of the dataset.
        samples: Its samples.
        workers: Processes that share them.
        tried: Cases that were made to measure.
        seconds_a_case: Time of one of them, with a worker's share of the cores.
        bytes_a_case: Its files and its part of the tables.
    """

    cases: int
    samples: int
    workers: int
    tried: int
    seconds_a_case: float
    bytes_a_case: int

    @property
    def seconds(self) -> float:
        """Expected time of the whole."""
        return self.seconds_a_case * self.cases / min(self.workers, self.cases)

    @property
    def bytes(self) -> int:
        """Expected size of the whole."""
        return self.bytes_a_case * self.cases


def estimate(job: DatasetJob, workers: int) -> Cost:
    """Makes a few cases, spread over the dataset, and measures; nothing of them stays.

    Args:
        job: The dataset; its gate is left out.
        workers: Processes that will share it.

    Raises:
        InputError: A case cannot be made.
    """
    n = len(job.requests)
    chosen = sorted({round(at * (n - 1) / (_CASES - 1)) for at in range(_CASES)})
    seconds, sizes = [], []
    with _threads_of(workers):
        for number in chosen:
            began = time.perf_counter()
            (made,) = job.source.make([job.requests[number]])
            size = None if isinstance(made, CannotMakeError) else _size(job, made)
            seconds.append(time.perf_counter() - began)
            sizes += [] if size is None else [size]
    counted = seconds[1:] or seconds
    mean_size = round(sum(sizes) / len(sizes)) if sizes else 0
    return Cost(n, job.n_samples, workers, len(chosen), sum(counted) / len(counted), mean_size)


def _size(job: DatasetJob, made: Sequence[Sample] | Sequence[ScanSample]) -> int:
    """Bytes of a case's files, which are written to a temporary folder."""
    with tempfile.TemporaryDirectory() as place:
        root = Path(place) / "case"
        folder = replace(job, gate=None, shards=None).open(root, resume=False)
        for sample in made:
            folder.write(sample)
        return sum(path.stat().st_size for path in root.rglob("*") if path.is_file())


@contextmanager
def _threads_of(workers: int) -> Iterator[None]:
    """Kernels use as many threads as they will in one of the workers."""
    before = os.environ.get(_THREADS)
    os.environ[_THREADS] = str(max(1, thread_count() // workers))
    try:
        yield
    finally:
        if before is None:
            del os.environ[_THREADS]
        else:
            os.environ[_THREADS] = before
