"""A gated, packed dataset job that is stopped at twenty random moments, and one whose disk fills up.

The job is real but for its source, which draws noise: two worker processes, a fitted gate, shards, scores, report. It
runs as a process of its own, as the command line runs it; signals go to the whole group, as a terminal's Ctrl-C and a
cluster's time limit do.
"""

from __future__ import annotations

import os
import random
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from synth.cli.main import _interrupt
from synth.core.errors import SynthError
from synth.dataset.engines.local import LocalEngine
from synth.dataset.folder import Shards
from synth.dataset.job import DatasetJob
from synth.dataset.request import DrawnRequests
from synth.dataset.sample_gate import GateSettings
from synth.metrics.gate.policy import policy_from
from tests.dataset.toys import Toys
from tests.end_to_end.command import REPOSITORY, tree

CASES = 60
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
WHILE_MAKING, WHILE_FINISHING = 14, 6
SOME_SECONDS = 1.0


def job(reference: Path) -> DatasetJob:
    policy = policy_from({"report": [], "scores": None, "samples": {"outlier": 0, "artefacts": 0.3, "anatomy": 0}})
    gate = GateSettings(reference, policy, attempts=3, keep_rejected=True)
    source = Toys(batch=2, seconds=0.01)
    return DatasetJob(source, DrawnRequests(CASES, 7), {}, 7, shards=Shards("webdataset", 9), gate=gate)


def started(root: Path, reference: Path, *, workers: int = 2, most_bytes: int = 0) -> subprocess.Popen[bytes]:
    """This file as a program; it prints how many samples are left to make, then a line for every one."""
    return subprocess.Popen(
        [sys.executable, __file__, str(root), str(reference), str(workers), str(most_bytes)],
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), "SYNTH_THREADS": "1", "SYNTH_CACHE": "off"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("reference") / "real"
    asked = DatasetJob(Toys(blank=0, none=0), DrawnRequests(20, 1), {}, 1)
    list(asked.run(root, engine=LocalEngine(), resume=False, warn=lambda _: None))
    return root


@pytest.fixture(scope="module")
def clean(reference: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What one process makes without a stop."""
    root = tmp_path_factory.mktemp("clean") / "data"
    process = started(root, reference, workers=1)
    out, err = process.communicate(timeout=300)
    assert (process.returncode, err) == (0, b"")
    assert out.count(b"\n") == 1 + 2 * CASES
    return root


def stopped(process: subprocess.Popen[bytes], how: signal.Signals, samples: int, seconds: float) -> bool:
    """Sends a signal some time after so many samples, or all that are left, are made; whether it met a running one."""
    assert process.stdout is not None
    left = int(process.stdout.readline() or 0)
    for _ in range(min(samples, left)):
        process.stdout.readline()
    time.sleep(seconds)
    met = process.poll() is None
    if met:
        os.killpg(process.pid, how)
    _, err = process.communicate(timeout=300)
    if process.returncode not in (0, -signal.SIGKILL):  # it may have been done when the signal came
        assert (process.returncode, err.count(b"\n")) == (130, 1), err
    return met and process.returncode != 0


def test_stopped_at_twenty_moments_and_resumed(reference: Path, clean: Path, tmp_path: Path) -> None:
    root, rng = tmp_path / "data", random.Random(6)
    for moment in range(WHILE_MAKING):
        process = started(root, reference, workers=1 + moment % 2)
        assert stopped(process, SIGNALS[moment % 3], rng.randrange(7), rng.uniform(0, 0.05))
        assert not (root / "dataset.json").exists()
    for moment in range(WHILE_FINISHING):
        stopped(started(root, reference), SIGNALS[moment % 3], 2 * CASES, rng.uniform(0, SOME_SECONDS))
    process = started(root, reference)
    _, err = process.communicate(timeout=300)
    assert (process.returncode, err) == (0, b"")
    assert tree(root) == tree(clean)


def test_a_disk_that_fills_up_is_one_line_and_can_be_gone_on_with(reference: Path, clean: Path, tmp_path: Path) -> None:
    """A limit on the size of files that pictures keep and shards do not."""
    root = tmp_path / "data"
    largest = max(path.stat().st_size for path in clean.rglob("*.png"))
    assert min(path.stat().st_size for path in clean.glob("shards/*.tar")) > 2 * largest
    process = started(root, reference, most_bytes=2 * largest)
    _, err = process.communicate(timeout=300)
    assert process.returncode == 2
    assert err.count(b"\n") == 1
    assert b"cannot write (File too large)" in err
    assert not list(root.rglob(".*.part"))
    process = started(root, reference, workers=1)
    _, err = process.communicate(timeout=300)
    assert (process.returncode, err) == (0, b"")
    assert tree(root) == tree(clean)


def main(root: str, reference: str, workers: str, most_bytes: str) -> int:
    """What the processes do that the tests stop."""
    signal.signal(signal.SIGTERM, _interrupt)
    if int(most_bytes):
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(most_bytes), int(most_bytes)))
    try:
        asked = job(Path(reference))
        print(len(asked.open(Path(root), resume=True).pending()), flush=True)
        engine = LocalEngine(int(workers))
        for written in asked.run(Path(root), engine=engine, resume=True, warn=lambda _: None):
            print(written.index, flush=True)
    except SynthError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    from tests.end_to_end.test_dataset_kill import main as run  # so that workers find what they are sent

    sys.exit(run(*sys.argv[1:]))
