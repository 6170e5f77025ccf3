"""What a Ray actor does: makes shares of samples, writes them itself, and tells of every one that is safe.

Nothing here imports Ray, so that the class also works without a cluster.
"""

from __future__ import annotations

import os
import pickle
import socket
import threading
import time
import traceback
from contextlib import suppress
from dataclasses import dataclass
from importlib import metadata
from typing import TYPE_CHECKING

import synth
from synth.core.errors import InputError
from synth.dataset import manifest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from synth.dataset.engines.engine import Job, Written
    from synth.dataset.folder import DatasetFolder

__all__ = ["Parcel", "Told", "Worker"]

_LOOKS = 20  # for a file that another machine has just written: a network disk may take seconds to show it
_PAUSE_S = 0.5


@dataclass(frozen=True)
class Parcel:
    """What an actor is sent once.

    Attributes:
        job: What makes samples.
        folder: Where they go; its root is absolute.
        cwd: The caller's working directory, from which relative paths in the job are meant.
        probe: A file that the caller has put into the folder.
        token: What is in it.
    """

    job: Job
    folder: DatasetFolder
    cwd: str
    probe: Path
    token: bytes


@dataclass(frozen=True)
class Told:
    """What an actor tells while it makes a share.

    Attributes:
        warnings: What a reader mended or doubts.
        written: A sample that is safe.
        error: What a sample has raised; nothing more comes of this share.
    """

    warnings: tuple[str, ...] = ()
    written: Written | None = None
    error: Exception | None = None


class Worker:
    """One actor: `begin`, then `make` for one share after the other; `stop` comes from another thread."""

    def __init__(self) -> None:
        self._writing = threading.Lock()  # held amid the files of a sample

    def begin(self, packed: bytes) -> Exception | None:
        """Takes the pickled Parcel and makes sure that this node can do the work; what is wrong is returned."""
        try:
            self._parcel: Parcel = pickle.loads(packed)
            with suppress(OSError):
                os.chdir(self._parcel.cwd)
            _require_shared(self._parcel)
            _require_versions(self._parcel.folder)
        except Exception as error:
            return _portable(error)
        return None

    def make(self, share: Sequence[int], left: Sequence[int]) -> Iterator[Told]:
        """Makes and writes those samples of a share that are left, ascending; then the share is sealed.

        None is left where another actor died between the last sample and the sealing.
        """
        warnings: list[str] = []
        folder = self._parcel.folder
        error = None
        try:
            for sample in self._parcel.job.samples(left, warn=warnings.append) if left else ():
                with self._writing:
                    written = folder.write(sample)
                yield Told(_taken(warnings), written)
            with self._writing:
                folder.seal(share)
        except Exception as failure:
            failure.add_note(f"In a worker process:\n{traceback.format_exc()}")
            error = _portable(failure)
        if warnings or error is not None:
            yield Told(_taken(warnings), error=error)

    def stop(self, leave: Callable[[int], object] = os._exit) -> None:
        """Ends the process, once the files of the sample that it may be writing are whole."""
        with self._writing:
            leave(0)


def _taken(warnings: list[str]) -> tuple[str, ...]:
    taken = tuple(warnings)
    warnings.clear()
    return taken


def _require_shared(parcel: Parcel) -> None:
    """Refuses a node that does not see the caller's folder."""
    for look in range(_LOOKS):
        with suppress(OSError):
            if parcel.probe.read_bytes() == parcel.token:
                return
        if look < _LOOKS - 1:
            time.sleep(_PAUSE_S)
    raise InputError(
        f"{parcel.folder.root}: node {socket.gethostname()} does not see this folder; "
        "it must be on storage that all nodes of the cluster share"
    )


def _require_versions(folder: DatasetFolder) -> None:
    """Refuses a node whose libraries are other releases than those that the dataset is said to be made with."""
    said: Mapping[str, str] = (manifest.load(folder.parts / "recipe.json") or {}).get("versions", {})
    for name, wanted in said.items():
        found = synth.__version__ if name == "radsynth" else _installed(name)
        if found != wanted:
            raise InputError(f"node {socket.gethostname()}: has {name} {found}; the dataset is made with {wanted}")


def _installed(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"


def _portable(error: Exception) -> Exception:
    """The error itself, or its text where it does not survive being sent."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError("".join(traceback.format_exception(error)))
    return error
