"""A cluster makes the dataset that one process makes, whatever becomes of its nodes and workers meanwhile."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from synth.core.errors import InputError, SynthError
from synth.dataset.engines import ray_crew
from synth.dataset.engines.local import LocalEngine
from synth.dataset.engines.ray import RayEngine
from synth.dataset.folder import Shards
from tests.dataset.engines.ray_jobs import PATIENCE_S, SHARES, Demanding, N, Numbers, await_sign, opened, sign
from tests.end_to_end.command import REPOSITORY, tree

if TYPE_CHECKING:
    from synth.dataset.engines.engine import Written
    from synth.dataset.folder import DatasetFolder

pytest.importorskip("ray", reason="Ray is not installed")

# Nodes that are dead are noticed in seconds; slow ones stay.
DETECTION = {"health_check_initial_delay_ms": 0, "health_check_period_ms": 500, "health_check_failure_threshold": 5}


@dataclass
class Nodes:
    """Two nodes of one CPU each, the second of which can be killed and come back."""

    cluster: Any
    second: Any = None

    @property
    def address(self) -> str:
        return str(self.cluster.address)

    def need_second(self) -> str:
        """Name of the sign that a worker of the second node gives."""
        if self.second is None:
            self.second = self.cluster.add_node(num_cpus=1)
        return self.sign_of(self.second)

    def kill_second(self) -> None:
        node, self.second = self.second, None
        self.cluster.remove_node(node, allow_graceful=False)

    def sign_of(self, node: Any) -> str:
        return f"at-{node.all_processes['raylet'][0].process.pid}"


@pytest.fixture(scope="module")
def nodes() -> Iterator[Nodes]:
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    from ray.cluster_utils import Cluster

    temporary = tempfile.mkdtemp(prefix="ray-", dir="/tmp")  # short: a socket's path has 107 characters
    head = {"num_cpus": 1, "temp_dir": temporary, "include_dashboard": False, "_system_config": DETECTION}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    yield Nodes(cluster)
    cluster.shutdown()
    shutil.rmtree(temporary, ignore_errors=True)


@pytest.fixture
def signs(tmp_path: Path) -> Path:
    folder = tmp_path / "signs"
    folder.mkdir()
    return folder


@pytest.fixture
def one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """As workers of one CPU have it; samples tell."""
    for name in ("SYNTH_THREADS", "OMP_NUM_THREADS"):
        monkeypatch.setenv(name, "1")


@pytest.fixture
def expected(tmp_path: Path, one_thread: None) -> dict[str, str]:
    """What one process makes."""
    return alone(tmp_path / "one")


def alone(root: Path, shards: Shards | None = None) -> dict[str, str]:
    signs = root.with_name(f"{root.name}-signs")
    signs.mkdir()
    folder = opened(root, shards=shards)
    list(LocalEngine(1).run(Numbers(signs), folder, SHARES, warn=lambda _: None))
    return finished_tree(folder)


@dataclass
class Handed(Sequence[list[int]]):
    """The shares, and how many have been taken."""

    taken: int = 0
    most: int = 0
    done: Counter[int] = field(default_factory=Counter)

    def __len__(self) -> int:
        return len(SHARES)

    def __getitem__(self, at: Any) -> Any:
        share = SHARES[at]
        self.taken += 1
        return share

    def tell(self, one: Written) -> None:
        self.done[one.index // 3] += 1
        finished = sum(count == 3 for count in self.done.values())
        self.most = max(self.most, self.taken - finished)


def finished_tree(folder: DatasetFolder) -> dict[str, str]:
    assert folder.pending() == []
    folder.finish()
    return tree(folder.root)


def made(engine: RayEngine, job: Numbers, folder: DatasetFolder) -> list[int]:
    return [one.index for one in engine.run(job, folder, SHARES, warn=lambda _: None)]


def test_two_nodes_make_what_one_process_makes(
    nodes: Nodes, tmp_path: Path, signs: Path, expected: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    both = (nodes.sign_of(nodes.cluster.head_node), nodes.need_second())
    told: list[str] = []
    shares = Handed()
    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.chdir(tmp_path)  # a relative folder is the caller's
    folder = opened(Path("two"))
    indices = []
    for one in RayEngine(nodes.address).run(Numbers(signs, "warns", both), folder, shares, warn=told.append):
        shares.tell(one)
        indices.append(one.index)
    assert sorted(indices) == list(range(N))
    assert told == ["seven is odd"]
    assert 3 <= shares.most <= 4  # two for each of two workers, and no more
    assert not list(folder.parts.glob(".probe*"))
    assert finished_tree(folder) == expected
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        ("refuses", InputError, "seven: will not do"),
        (
            "dies",
            SynthError,
            "samples 7 to 8: the worker died 3 times; if memory was short use fewer --workers, and go on with --resume",
        ),
    ],
)
def test_what_goes_wrong_is_raised(
    nodes: Nodes, tmp_path: Path, signs: Path, wrong: str, error: type[Exception], message: str
) -> None:
    folder = opened(tmp_path / "out")
    with pytest.raises(error) as raised:
        made(RayEngine(nodes.address, workers=1), Numbers(signs, wrong), folder)
    assert (type(raised.value), str(raised.value)) == (error, message)
    assert {*range(7)}.isdisjoint(folder.pending())
    assert 7 in folder.pending()


@pytest.mark.usefixtures("one_thread")
def test_a_worker_that_died_is_made_up_for(nodes: Nodes, tmp_path: Path, signs: Path) -> None:
    shards = Shards("webdataset", 3)
    folder = opened(tmp_path / "out", shards=shards)
    indices = made(RayEngine(nodes.address, workers=1), Numbers(signs, "dies once"), folder)
    assert sorted(indices) == list(range(N))
    assert {path.name for path in signs.glob("made-*-1")} == {"made-7-1"}  # what was safe is not made again
    assert finished_tree(folder) == alone(tmp_path / "packed", shards)


def test_a_node_that_is_killed_is_made_up_for(
    nodes: Nodes, tmp_path: Path, signs: Path, expected: dict[str, str], capfd: pytest.CaptureFixture[str]
) -> None:
    both = (nodes.sign_of(nodes.cluster.head_node), nodes.need_second())

    def kill() -> None:
        for name in both:
            await_sign(signs, name)
        nodes.kill_second()
        sign(signs, "go")

    killing = threading.Thread(target=kill)
    killing.start()
    capfd.readouterr()
    folder = opened(tmp_path / "out")
    indices = made(RayEngine(nodes.address), Numbers(signs, waits_for=("go",)), folder)
    killing.join()
    assert nodes.second is None
    assert sorted(indices) == list(range(N))
    assert finished_tree(folder) == expected
    assert capfd.readouterr() == ("", "")


def test_a_node_that_comes_back_is_used(nodes: Nodes, tmp_path: Path, signs: Path, expected: dict[str, str]) -> None:
    if nodes.second is not None:
        nodes.kill_second()
    folder = opened(tmp_path / "out")
    engine = RayEngine(nodes.address, workers=2)
    running = engine.run(Numbers(signs, waits_for=("go",)), folder, SHARES, warn=lambda _: None)
    indices = [next(running).index]
    second = nodes.need_second()

    def go() -> None:
        await_sign(signs, second)
        sign(signs, "go")

    going = threading.Thread(target=go)
    going.start()
    indices += [one.index for one in running]
    going.join()
    assert sorted(indices) == list(range(N))
    assert finished_tree(folder) == expected


class Enough(Exception):
    """What a test ends a run with."""


def test_a_cluster_without_room_is_waited_for_and_it_is_said(
    nodes: Nodes, tmp_path: Path, signs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray_crew, "_SILENCE_S", 1.0)

    def warn(text: str) -> None:
        assert text == "waiting for the Ray cluster: no node has 1 CPU and 2 GPU free for a worker"
        raise Enough

    job = Demanding(signs)
    with pytest.raises(Enough):
        list(RayEngine(nodes.address, workers=1).run(job, opened(tmp_path / "out"), SHARES, warn=warn))
    with pytest.raises(InputError, match="no node of the Ray cluster has a CPU and 2 GPU"):
        list(RayEngine(nodes.address).run(job, opened(tmp_path / "else"), SHARES, warn=warn))


@dataclass
class Run:
    """A run as a process of its own, on a cluster of its own."""

    root: Path
    signs: Path
    process: subprocess.Popen[str]

    @classmethod
    def started(cls, folder: Path) -> Run:
        root, signs = folder / "out", folder / "signs"
        signs.mkdir(parents=True)
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.dataset.engines.ray_jobs", str(root), str(signs)],
            cwd=REPOSITORY,
            env={**os.environ, "SYNTH_TEST": str(root)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        return cls(root, signs, process)

    def processes(self) -> list[int]:
        """Processes that it has started and that still run, itself among them."""
        mark = f"SYNTH_TEST={self.root}\0".encode()
        return [int(path.parent.name) for path in Path("/proc").glob("[0-9]*/environ") if mark in _content(path)]


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:  # it has ended
        return b""


def test_a_run_that_is_interrupted_can_be_resumed(tmp_path: Path, expected: dict[str, str]) -> None:
    runs = {sent: Run.started(tmp_path / sent.name) for sent in (signal.SIGINT, signal.SIGTERM)}
    for sent, run in runs.items():
        await_sign(run.signs, "made-7-0")
        assert len(run.processes()) > 3  # its cluster
        run.process.send_signal(sent)
    for run in runs.values():
        out, err = run.process.communicate(timeout=PATIENCE_S)
        assert (run.process.returncode, err) == (130, "")
        told = [int(index) for index in out.split()]
        assert told == list(range(len(told)))  # the last may be safe before it is told
        assert 4 <= len(told) <= 7
        end = time.monotonic() + PATIENCE_S
        while run.processes() and time.monotonic() < end:
            time.sleep(0.1)
        assert run.processes() == []
        folder = opened(run.root, resume=True)
        pending = folder.pending()
        assert pending == list(range(7, N))
        list(LocalEngine(1).run(Numbers(run.signs), folder, [pending], warn=lambda _: None))
        assert finished_tree(folder) == expected
