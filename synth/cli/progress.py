"""Progress and warnings of long jobs, on stderr."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TaskID, TimeRemainingColumn
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Report", "duration", "per_time", "progress"]

_EVERY_S = 30.0  # between two lines where no bar moves


@dataclass
class Report:
    """What a job tells while it runs.

    Attributes:
        total: Samples to come.
        done: Samples that are done.
        accepted: Attempts that a gate accepted.
        refused: Attempts that it refused.
    """

    total: int
    _bar: Progress
    _task: TaskID
    done: int = 0
    accepted: int = 0
    refused: int = 0
    _began: float = field(default_factory=lambda: time.monotonic())
    _told: float = field(default_factory=lambda: time.monotonic())

    def advance(self, *, accepted: int = 0, refused: int = 0) -> None:
        """One more sample is done.

        Args:
            accepted: Attempts that a gate has accepted with it.
            refused: Attempts that it has refused.
        """
        self.done += 1
        self.accepted += accepted
        self.refused += refused
        self._bar.update(self._task, advance=1, ratio=self.ratio)
        if self._bar.disable and time.monotonic() - self._told >= _EVERY_S:
            self._told = time.monotonic()
            self._print(self.line())

    @property
    def ratio(self) -> str:
        """Share of the attempts that were accepted, in words; "" where there is no gate."""
        attempts = self.accepted + self.refused
        return f"{self.accepted / attempts:.0%} accepted" if attempts else ""

    def line(self) -> str:
        """Where the job stands."""
        passed = time.monotonic() - self._began
        rate = self.done / passed if passed > 0 else 0.0
        left = [f"{duration((self.total - self.done) / rate)} left"] if rate > 0 else []
        return ", ".join([f"{self.done} of {self.total}", per_time(rate), *left, *filter(None, [self.ratio])])

    def warn(self, message: str) -> None:
        """Prints a line without breaking the bar."""
        self._print("warning:", " ".join(message.split()))

    def _print(self, *words: str) -> None:
        self._bar.console.print(*words, markup=False, highlight=False, soft_wrap=True)


class _Rate(ProgressColumn):
    """Samples in a second, or in a minute; and how many of a gate's answers were yes."""

    def render(self, task: Task) -> Text:
        """What stands beside the bar."""
        speed = task.finished_speed or task.speed
        return Text("  ".join(filter(None, [per_time(speed) if speed else "", task.fields.get("ratio", "")])))


@contextmanager
def progress(total: int) -> Iterator[Report]:
    """A bar over `total` samples; it moves on a terminal, elsewhere a line tells now and then where the job stands."""
    console = Console(stderr=True)
    columns = (BarColumn(), MofNCompleteColumn(), _Rate(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        yield Report(total, bar, bar.add_task("", total=total, ratio=""))


def per_time(rate: float) -> str:
    """A rate, samples a second, in words."""
    return f"{rate:.1f}/s" if rate >= 1 else f"{rate * 60:.1f}/min"


def duration(seconds: float) -> str:
    """A time in words: "45 s", "12 min", "3 h 20 min"."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"
