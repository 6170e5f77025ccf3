"""What of the Ray engine needs no cluster: how many workers there are, and what each makes sure of."""

from __future__ import annotations

import pickle
import socket
import sys
import threading
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import pytest

from synth.core.errors import InputError
from synth.core.files import write_bytes
from synth.dataset import manifest
from synth.dataset.engines import ray_worker
from synth.dataset.engines.ray import RayEngine
from synth.dataset.engines.ray_crew import CrewSize, crew_size
from synth.dataset.engines.ray_worker import Parcel, Told, Worker
from synth.dataset.folder import Shards
from tests.dataset.engines.ray_jobs import N, Numbers, opened

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from synth.core.record import Sample

LAPTOP = [{"CPU": 8.0}]
MIXED = [{"CPU": 0.0}, {"CPU": 4.0}, {"CPU": 10.0, "GPU": 2.0}]


@pytest.mark.parametrize(
    ("nodes", "workers", "gpus", "n_shares", "size"),
    [
        (LAPTOP, None, 0.0, 100, CrewSize(8, 1)),
        (LAPTOP, 3, 0.0, 100, CrewSize(3, 2)),
        (LAPTOP, None, 0.0, 2, CrewSize(2, 4)),
        (LAPTOP, 20, 0.0, 100, CrewSize(20, 1)),  # twelve of them wait for more nodes
        (MIXED, None, 0.0, 100, CrewSize(14, 1)),
        (MIXED, 3, 0.0, 100, CrewSize(3, 4)),  # one and two
        (MIXED, 4, 0.0, 100, CrewSize(4, 3)),  # one and three
        (MIXED, None, 1.0, 100, CrewSize(2, 5, 1.0)),
        (MIXED, None, 0.5, 100, CrewSize(4, 2, 0.5)),
        ([], 5, 0.0, 100, CrewSize(5, 1)),
    ],
)
def test_workers_fill_the_nodes(
    nodes: Sequence[dict[str, float]], workers: int | None, gpus: float, n_shares: int, size: CrewSize
) -> None:
    assert crew_size(nodes, workers=workers, gpus=gpus, n_shares=n_shares) == size


@pytest.mark.parametrize(("nodes", "gpus"), [([{"CPU": 0.0}], 0.0), (LAPTOP, 1.0), ([], 0.0)])
def test_a_cluster_without_room_is_refused(nodes: Sequence[dict[str, float]], gpus: float) -> None:
    with pytest.raises(InputError, match="no node of the Ray cluster has a CPU"):
        crew_size(nodes, workers=None, gpus=gpus, n_shares=1)


def parcel(tmp_path: Path, wrong: str = "") -> Parcel:
    folder = opened(tmp_path / "out")
    probe = folder.parts / ".probe.1.part"
    write_bytes(probe, b"token")
    (tmp_path / "signs").mkdir()
    return Parcel(Numbers(tmp_path / "signs", wrong), folder, str(tmp_path), probe, b"token")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker goes to its caller's working directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(ray_worker, "_PAUSE_S", 0.0)


@pytest.mark.usefixtures("here")
def test_a_worker_tells_of_every_sample(tmp_path: Path) -> None:
    worker = Worker()
    assert worker.begin(pickle.dumps(parcel(tmp_path, "warns"))) is None
    told = list(worker.make([6, 7, 8], [7, 8]))
    assert [(one.written and one.written.index, one.warnings) for one in told] == [(7, ("seven is odd",)), (8, ())]
    assert opened(tmp_path / "out", resume=True).pending() == [index for index in range(N) if index not in (7, 8)]


@pytest.mark.usefixtures("here")
def test_a_share_that_lacks_nothing_is_sealed(tmp_path: Path) -> None:
    sent = parcel(tmp_path)
    folder = opened(tmp_path / "packed", shards=Shards("webdataset", 3))
    worker = Worker()
    worker.begin(pickle.dumps(sent))
    worker._parcel = replace(sent, folder=folder)
    for sample in sent.job.samples([0, 1, 2], warn=lambda _: None):
        folder.write(sample)
    assert list(worker.make([0, 1, 2], [])) == []
    assert (tmp_path / "packed/shards/00000.tar").is_file()


@pytest.mark.usefixtures("here")
def test_a_worker_tells_what_a_sample_raised(tmp_path: Path) -> None:
    worker = Worker()
    worker.begin(pickle.dumps(parcel(tmp_path, "fails")))
    *_, last = worker.make([6, 7, 8], [6, 7, 8])
    assert (type(last.error), str(last.error)) == (ZeroDivisionError, "seven")
    assert "In a worker process" in last.error.__notes__[0]  # type: ignore[union-attr]


class Unsendable(Exception):
    def __init__(self, first: str, second: str) -> None:
        super().__init__(f"{first} {second}")


class Failing:
    def samples(self, indices: Sequence[int], *, warn: object) -> list[Sample]:
        raise Unsendable("cannot", "travel")


@pytest.mark.usefixtures("here")
def test_an_error_that_cannot_be_sent_is_told_in_words(tmp_path: Path) -> None:
    worker = Worker()
    worker.begin(pickle.dumps(replace(parcel(tmp_path), job=Failing())))
    (told,) = worker.make([0], [0])
    assert type(told.error) is RuntimeError
    assert "cannot travel" in str(told.error)
    assert isinstance(pickle.loads(pickle.dumps(told)), Told)


@pytest.mark.usefixtures("here")
def test_a_node_that_does_not_see_the_folder_is_refused(tmp_path: Path) -> None:
    elsewhere = replace(parcel(tmp_path), token=b"another run's")
    error = Worker().begin(pickle.dumps(elsewhere))
    assert type(error) is InputError
    assert str(error).endswith(f"node {socket.gethostname()} does not see this folder; it must be on storage that all"
                               " nodes of the cluster share")  # fmt: skip
    elsewhere.probe.unlink()
    assert "does not see this folder" in str(Worker().begin(pickle.dumps(replace(elsewhere, token=b"token"))))


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(("name", "found"), [("radsynth", "0."), ("numpy", r"\d+\."), ("nothing", "not installed")])
def test_a_node_with_other_versions_is_refused(tmp_path: Path, name: str, found: str) -> None:
    sent = parcel(tmp_path)
    recipe = manifest.load(sent.folder.parts / "recipe.json") or {}
    recipe["versions"][name] = "99.0"
    write_bytes(sent.folder.parts / "recipe.json", manifest.dump(recipe))
    with pytest.raises(InputError, match=rf"^node \S+: has {name} {found}\S*.*; the dataset is made with 99\.0$"):
        raise Worker().begin(pickle.dumps(sent)) or AssertionError


@pytest.mark.usefixtures("here")
def test_a_worker_whose_job_cannot_be_loaded_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    sent = pickle.dumps(parcel(tmp_path))
    monkeypatch.setitem(sys.modules, "tests.dataset.engines.ray_jobs", None)
    assert isinstance(Worker().begin(sent), ImportError)


@dataclass
class Slow:
    """A folder during whose writing the worker is asked to stop."""

    worker: Worker
    left: list[int] = field(default_factory=list)
    asking: threading.Thread | None = None

    def write(self, sample: Sample) -> int:
        self.asking = threading.Thread(target=self.worker.stop, args=(self.left.append,))
        self.asking.start()
        self.asking.join(0.05)
        assert not self.left
        return sample.index


@pytest.mark.usefixtures("here")
def test_a_worker_stops_between_the_files_of_two_samples(tmp_path: Path) -> None:
    worker = Worker()
    worker._parcel = replace(parcel(tmp_path), folder=Slow(worker))  # type: ignore[arg-type]
    making = worker.make([0, 1], [0, 1])
    assert next(making).written == 0
    asking = worker._parcel.folder.asking  # type: ignore[attr-defined]
    asking.join(10)
    assert worker._parcel.folder.left == [0]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("ray://head:10001", "must be HOST:PORT of the cluster's head, or auto; run on one of its nodes"),
        ("head", "'head' must be HOST:PORT"),
        ("http://head:8265", "must be HOST:PORT"),
    ],
)
def test_addresses_are_looked_at_before_anything_is_made(address: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        RayEngine(address)


@pytest.mark.parametrize("workers", [0, -1, 10**6])
def test_a_number_of_workers_makes_sense(workers: int) -> None:
    with pytest.raises(InputError, match=f"workers must be 1 to 10000, got {workers}"):
        RayEngine(workers=workers)


def test_without_ray_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    folder = opened(tmp_path / "out")
    with pytest.raises(InputError, match=r"pip install 'radsynth\[ray\]'"):
        list(RayEngine().run(Numbers(tmp_path), folder, [[0]], warn=lambda _: None))
    assert list(RayEngine().run(Numbers(tmp_path), folder, [], warn=lambda _: None)) == []


def test_an_address_where_nobody_listens_is_told_at_once(tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="Ray is not installed")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, but not listening
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        engine = RayEngine(address)
        with pytest.raises(InputError, match=rf"^address {address}: no Ray cluster answers \(Connection refused\)$"):
            list(engine.run(Numbers(tmp_path), opened(tmp_path / "out"), [[0]], warn=lambda _: None))
