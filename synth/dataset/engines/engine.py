"""What an engine does: samples made by some processes, somewhere, and written to one folder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from synth.core.record import Sample, ScanSample
    from synth.dataset.folder import DatasetFolder
    from synth.dataset.judged import Judged

    Warn = Callable[[str], None]

__all__ = ["Engine", "Job", "Written"]


@dataclass(frozen=True)
class Written:
    """One sample that is safe.

    Attributes:
        index: Which.
        accepted: Whether it is in the dataset; otherwise its place stays empty.
        refused: Attempts of its case that a gate refused; they count with the case's first sample.
    """

    index: int
    accepted: bool = True
    refused: int = 0


class Job(Protocol):
    """What makes samples."""

    def samples(self, indices: Sequence[int], *, warn: Warn) -> Iterator[Sample | ScanSample | Judged]:
        """The samples of ascending indices, in any order."""


class Engine(Protocol):
    """Makes and writes samples: the same bytes whichever engine, as each depends on the job and its index alone."""

    def run(self, job: Job, folder: DatasetFolder, shares: Sequence[Sequence[int]], *, warn: Warn) -> Iterator[Written]:
        """Yields every sample once it is safe.

        Args:
            job: What makes them; it pickles.
            folder: Where they go.
            shares: Indices that are best made together: of one patient, one batch, one shard. After a share the worker
                calls `folder.seal(share)`.
            warn: Called with what a reader mended or doubts.

        Raises:
            SynthError: A worker was lost for good. What a sample raises is raised here, from whichever worker.
        """
