"""Progress and warnings of long jobs, on stderr."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TimeRemainingColumn

__all__ = ["Report", "progress"]


@dataclass(frozen=True)
class Report:
    """What a job tells while it runs."""

    _bar: Progress
    _task: TaskID

    def advance(self) -> None:
        """One more sample is done."""
        self._bar.advance(self._task)

    def warn(self, message: str) -> None:
        """Prints a line without breaking the bar."""
        self._bar.console.print("warning:", " ".join(message.split()), markup=False, highlight=False, soft_wrap=True)


@contextmanager
def progress(total: int) -> Iterator[Report]:
    """A bar over `total` samples; on a terminal it moves, elsewhere only warnings are printed."""
    console = Console(stderr=True)
    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        yield Report(bar, bar.add_task("", total=total))
