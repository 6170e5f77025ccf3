"""Several processes make the dataset that one makes; what goes wrong in one of them is told once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from synth.core.errors import InputError, SynthError
from synth.core.record import Record, Sample
from synth.dataset.engines.local import LocalEngine
from synth.dataset.folder import DatasetFolder
from tests.end_to_end.command import REPOSITORY, tree

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

N = 12
SHARES = [list(range(first, first + 3)) for first in range(0, N, 3)]


@dataclass(frozen=True)
class Numbers:
    """Samples that tell their index; one of them may go wrong."""

    wrong: str = ""

    def samples(self, indices: Sequence[int], *, warn: Callable[[str], None]) -> Iterator[Sample]:
        for index in indices:
            if index == 7:
                self._go_wrong(warn)
            yield Sample(
                index, np.full((4, 4), index, np.uint16), Record(view="PA", source=os.environ["SYNTH_THREADS"])
            )

    def _go_wrong(self, warn: Callable[[str], None]) -> None:
        if self.wrong == "warns":
            warn("seven is odd")
        elif self.wrong == "refuses":
            raise InputError("seven: will not do")
        elif self.wrong == "fails":
            raise ZeroDivisionError("seven")
        elif self.wrong == "dies":
            os.kill(os.getpid(), signal.SIGKILL)
        elif self.wrong == "hangs":
            time.sleep(600)


class Masked:
    """Warns whether Ctrl-C would pass the worker by."""

    def samples(self, indices: Sequence[int], *, warn: Callable[[str], None]) -> Iterator[Sample]:
        for index in indices:
            warn(str(signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, ())))
            yield Sample(index, np.full((4, 4), index, np.uint16), Record(view="PA"))


def opened(root: Path, *, resume: bool = False) -> DatasetFolder:
    return DatasetFolder.open(root, {"seed": 0}, n_samples=N, resume=resume)


def made(job: Numbers, root: Path, workers: int, warnings: list[str] | None = None) -> list[int]:
    told = [] if warnings is None else warnings
    return [written.index for written in LocalEngine(workers).run(job, opened(root), SHARES, warn=told.append)]


def children() -> list[str]:
    return [name for name in _tasks() if name]


def _tasks() -> list[str]:
    return Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()


def test_two_workers_make_what_one_makes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYNTH_THREADS", "1")
    warnings: list[str] = []
    assert made(Numbers(), tmp_path / "one", 1) == list(range(N))
    assert sorted(made(Numbers("warns"), tmp_path / "two", 2, warnings)) == list(range(N))
    assert warnings == ["seven is odd"]
    assert tree(tmp_path / "one") == tree(tmp_path / "two")


def test_many_shares_are_each_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYNTH_THREADS", "1")
    folder = DatasetFolder.open(tmp_path, {"seed": 0}, n_samples=60, resume=False)
    shares = [[index] for index in range(60)]
    found = [written.index for written in LocalEngine(3).run(Numbers(), folder, shares, warn=lambda _: None)]
    assert sorted(found) == list(range(60))
    assert folder.pending() == []


def test_workers_share_the_threads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYNTH_THREADS", "6")
    made(Numbers(), tmp_path / "out", 3)
    assert b'"source":"2"' in (tmp_path / "out/.parts/00/00000000.json").read_bytes()
    assert os.environ["SYNTH_THREADS"] == "6"


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        ("refuses", InputError, "seven: will not do"),
        ("fails", ZeroDivisionError, "seven"),
        ("dies", SynthError, r"a worker process died \(signal 9\)"),
    ],
)
def test_what_goes_wrong_is_raised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wrong: str, error: type[Exception], message: str
) -> None:
    monkeypatch.setenv("SYNTH_THREADS", "1")
    before = set(children())
    with pytest.raises(error, match=message):
        made(Numbers(wrong), tmp_path / "out", 2)
    assert len(set(children()) - before) <= 1  # the tracker of multiprocessing stays
    folder = opened(tmp_path / "out", resume=True)
    pending = folder.pending()
    assert 7 in pending
    list(LocalEngine().run(Numbers(), folder, [pending], warn=lambda _: None))
    assert folder.pending() == []


def test_one_that_is_given_up_stops_its_workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYNTH_THREADS", "1")
    before = set(children())
    running = LocalEngine(2).run(Numbers("hangs"), opened(tmp_path / "out"), SHARES, warn=lambda _: None)
    next(running)
    running.close()
    assert len(set(children()) - before) <= 1


def test_workers_are_deaf_to_ctrl_c(tmp_path: Path) -> None:
    """Also the first, which in a fresh process comes together with multiprocessing's tracker."""
    code = (
        "from pathlib import Path\n"
        "from tests.dataset.engines.test_local import LocalEngine, Masked, opened\n"
        f"folder = opened(Path({str(tmp_path / 'out')!r}))\n"
        "list(LocalEngine(2).run(Masked(), folder, [[0], [1], [2]], warn=print))\n"
    )
    environment = {**os.environ, "SYNTH_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["True"] * 3
