"""The Ray engine: samples made by actors of a cluster, which write to the dataset's folder themselves.

Each actor holds the job, and so a source's model, for the whole run. The folder must be on storage that all nodes see.
Lost actors and nodes are made up for: a sample is a pure function of the job and its index, and files are whole or
absent, so that whoever makes a sample again writes the same bytes.
"""

from __future__ import annotations

import importlib
import os
import secrets
import signal
import socket
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synth.core.errors import InputError
from synth.core.files import write_bytes
from synth.dataset.engines.ray_crew import Crew, crew_size
from synth.dataset.engines.ray_worker import Parcel
from synth.kernels.threads import thread_count

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from synth.dataset.engines.engine import Job, Written
    from synth.dataset.folder import DatasetFolder

    Warn = Callable[[str], None]

__all__ = ["RayEngine"]

_MOST_WORKERS = 10_000
_OBJECT_STORE_BYTES = 200 * 2**20  # of a cluster of our own: nothing but the job lies in it
_CONNECT_S = 10.0


@dataclass(frozen=True)
class RayEngine:
    """Actors of a Ray cluster; see `engine.Engine`.

    A job, or its `source`, that has an attribute `gpus` gets as many for each actor.

    Attributes:
        address: HOST:PORT of the cluster's head, or "auto" for one that this machine belongs to. None: what
            RAY_ADDRESS says, or else a cluster of this machine alone that ends with the run. Where the caller has
            already connected Ray, that connection is used.
        workers: Actors; None for one a CPU, or one for every GPU where the job wants GPUs. Those that find no room in
            the cluster start as soon as there is some.
    """

    address: str | None = None
    workers: int | None = None

    def __post_init__(self) -> None:
        if self.workers is not None and not 1 <= self.workers <= _MOST_WORKERS:
            raise InputError(f"workers must be 1 to {_MOST_WORKERS}, got {self.workers}")
        if self.address is not None and self.address not in ("auto", "local"):
            _endpoint(self.address)

    def run(self, job: Job, folder: DatasetFolder, shares: Sequence[Sequence[int]], *, warn: Warn) -> Iterator[Written]:
        """Makes and writes samples; yields every one once it is safe.

        Args:
            job: What makes them; it pickles.
            folder: Where they go, on storage that all nodes see.
            shares: Indices that are best made together, such as those of one patient.
            warn: Called with what a reader mended or doubts.

        Raises:
            InputError: Ray is not installed, no cluster answers, or a node does not see the folder or has other
                versions than the caller.
            SynthError: A share was lost again and again. What a sample raises is raised here, from whichever actor.
        """
        if not shares:
            return
        ray = _ray()
        gpus = float(getattr(getattr(job, "source", job), "gpus", 0))
        with _connected(ray, self.address, self.workers), _shared(job, folder) as parcel:
            nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
            size = crew_size(nodes, workers=self.workers, gpus=gpus, n_shares=len(shares))
            crew = Crew(ray, parcel, size)
            try:
                yield from crew.make(shares, warn)
            finally:
                crew.dismiss()


def _ray() -> Any:
    try:
        return importlib.import_module("ray")
    except ImportError as error:
        raise InputError(f"the Ray engine needs Ray ({error}): pip install 'radsynth[ray]'") from error


@contextmanager
def _shared(job: Job, folder: DatasetFolder) -> Iterator[Parcel]:
    """What actors are sent, with the file by which they know that the folder is the caller's."""
    root = folder.root.absolute()
    absolute = replace(folder, root=root, files=replace(folder.files, root=root))
    absolute.claim()  # once, rather than by all nodes at the same time
    # Named as unfinished files are, which are removed on resuming where a run was killed.
    probe = absolute.parts / f".probe.{os.getpid()}.part"
    token = secrets.token_bytes(16)
    write_bytes(probe, token)
    try:
        yield Parcel(job, absolute, str(Path.cwd()), probe, token)
    finally:
        with suppress(OSError):
            probe.unlink()


@contextmanager
def _connected(ray: Any, address: str | None, workers: int | None) -> Iterator[None]:
    """While Ray is connected; what was begun here is ended here."""
    if ray.is_initialized():
        yield
        return
    with _quiet():
        try:
            _connect(ray, address or os.environ.get("RAY_ADDRESS") or "local", workers)
            yield
        finally:
            ray.shutdown()


def _connect(ray: Any, address: str, workers: int | None) -> None:
    options: dict[str, Any] = {"address": address, "log_to_driver": False, "logging_level": "CRITICAL"}
    if address == "local":
        options |= {"num_cpus": max(thread_count(), workers or 1), "include_dashboard": False}
        options |= {"object_store_memory": _OBJECT_STORE_BYTES}
    elif address != "auto":
        _require_listener(address)
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    main = threading.current_thread() is threading.main_thread()
    handler = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(**options)
    except SystemExit:  # Ray's own answer to SIGTERM
        raise KeyboardInterrupt from None
    except (OSError, RuntimeError, ValueError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(f"address {address}: cannot join the Ray cluster ({reason})") from error
    finally:
        if main:
            signal.signal(signal.SIGTERM, handler)


def _require_listener(address: str) -> None:
    """Refuses an address where nobody listens; Ray would try for many minutes."""
    try:
        socket.create_connection(_endpoint(address), timeout=_CONNECT_S).close()
    except OSError as error:
        raise InputError(f"address {address}: no Ray cluster answers ({error.strerror or error})") from error


def _endpoint(address: str) -> tuple[str, int]:
    host, colon, port = address.rpartition(":")
    if not (colon and host and port.isdigit()) or "/" in address:
        raise InputError(
            f"address {address!r} must be HOST:PORT of the cluster's head, or auto; run on one of its nodes"
        )
    return host.strip("[]"), int(port)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keeps what the cluster reports of its nodes, which Ray prints and has no switch for, out of standard output."""
    worker = importlib.import_module("ray._private.worker")
    printing = getattr(worker, "print_to_stdstream", None)
    if printing is None:
        yield
        return
    worker.__dict__["print_to_stdstream"] = lambda *_, **__: None
    try:
        yield
    finally:
        worker.__dict__["print_to_stdstream"] = printing
