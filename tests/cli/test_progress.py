"""Progress without a terminal: a line now and then, and nothing of short jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from synth.cli import progress as module
from synth.cli.progress import duration, per_time, progress

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Lets so many seconds pass."""
    now = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])

    def passes(seconds: float) -> None:
        now[0] += seconds

    return passes


def test_a_line_every_half_minute(clock: Callable[[float], None], capsys: pytest.CaptureFixture[str]) -> None:
    with progress(100) as report:
        for _ in range(40):
            clock(2.0)
            report.advance()
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.splitlines() == ["15 of 100, 30.0/min, 3 min left", "30 of 100, 30.0/min, 2 min left"]


def test_short_jobs_say_nothing(clock: Callable[[float], None], capsys: pytest.CaptureFixture[str]) -> None:
    with progress(3) as report:
        for _ in range(3):
            clock(9.0)
            report.advance()
    assert capsys.readouterr() == ("", "")


def test_what_a_gate_accepts(clock: Callable[[float], None], capsys: pytest.CaptureFixture[str]) -> None:
    """Two places a case; refused attempts come with a case's first."""
    with progress(4000) as report:
        for accepted, refused in [(1, 0), (0, 0), (1, 2), (0, 0), (0, 5), (0, 0)]:
            report.advance(accepted=accepted, refused=refused)
        clock(30.0)
        report.advance(accepted=1)
    assert (report.accepted, report.refused) == (3, 7)
    assert capsys.readouterr().err == "7 of 4000, 14.0/min, 4 h 45 min left, 30% accepted\n"


def test_warnings_are_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with progress(1) as report:
        report.warn("of two\nlines [bold]")
    assert capsys.readouterr().err == "warning: of two lines [bold]\n"


def test_a_job_that_has_just_begun(clock: Callable[[float], None]) -> None:
    with progress(5) as report:
        assert report.line() == "0 of 5, 0.0/min"


def test_words() -> None:
    assert [duration(seconds) for seconds in (0.4, 45, 89, 90, 3600, 5400, 12_000, 360_000)] == [
        "0 s", "45 s", "89 s", "2 min", "60 min", "1 h 30 min", "3 h 20 min", "100 h 00 min",
    ]  # fmt: skip
    assert [per_time(rate) for rate in (0.1, 1.0, 250.0)] == ["6.0/min", "1.0/s", "250.0/s"]
