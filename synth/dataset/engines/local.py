"""The local engine: samples made and written by one process or several of this machine.

Workers are fresh interpreters (a process with threads or a GPU's context cannot be forked). Each is handed one share of
the samples at a time and tells of every sample that is safe; samples themselves never travel, so that nothing piles up
however slow the disk or the parent is. Ctrl-C reaches only the parent, which stops the workers; a worker whose parent
has vanished ends at once.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import traceback
from collections import deque
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import wait
from typing import TYPE_CHECKING, Any, cast

from synth.core.errors import InputError, SynthError
from synth.dataset.engines.threads import thread_environment
from synth.kernels.threads import thread_count

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from multiprocessing.connection import Connection
    from multiprocessing.context import SpawnProcess

    from synth.dataset.engines.engine import Job, Written
    from synth.dataset.folder import DatasetFolder

    Warn = Callable[[str], None]

__all__ = ["LocalEngine"]

_PATIENCE_S = 20.0  # for what a worker must finish before it can stop
_STOPPED = 130
_MOST_WORKERS = 512


@dataclass(frozen=True)
class LocalEngine:
    """Processes of this machine; see `engine.Engine`.

    Attributes:
        workers: Processes; 1 works in the caller's. With more the job must pickle, and each has its share of the
            threads.
    """

    workers: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.workers <= _MOST_WORKERS:
            raise InputError(f"workers must be 1 to {_MOST_WORKERS}, got {self.workers}")

    def run(self, job: Job, folder: DatasetFolder, shares: Sequence[Sequence[int]], *, warn: Warn) -> Iterator[Written]:
        """Makes and writes samples; yields every one once it is safe.

        Args:
            job: What makes them.
            folder: Where they go.
            shares: Indices that are best made together, such as those of one patient.
            warn: Called with what a reader mended or doubts.

        Raises:
            SynthError: A worker was killed. What a sample raises is raised here, from whichever worker.
        """
        workers = min(self.workers, len(shares))
        if workers > 1:
            yield from _spread(job, folder, shares, workers, warn)
            return
        # All at once, so that a job may read ahead from one share to the next.
        for sample in job.samples([index for share in shares for index in share], warn=warn):
            written = folder.write(sample)
            folder.seal([written.index])
            yield written


def _spread(
    job: Job, folder: DatasetFolder, shares: Sequence[Sequence[int]], workers: int, warn: Warn
) -> Iterator[Written]:
    crew: dict[Connection, SpawnProcess] = {}
    try:
        with _for_workers(workers):
            for _ in range(workers):
                line, process = _started(job, folder)
                crew[line] = process
        yield from _directed(crew, shares, warn)
        for process in crew.values():
            process.join(_PATIENCE_S)
    finally:
        _dismiss(crew)


def _directed(crew: dict[Connection, SpawnProcess], shares: Sequence[Sequence[int]], warn: Warn) -> Iterator[Written]:
    """Keeps every worker in shares until none is left, and ends those that have none.

    While there are many, each worker has a second one waiting, so that it need not wait for this process; the last ones
    go to whoever is free.
    """
    ahead = deque(shares)
    held = dict.fromkeys(crew, 0)
    for line in crew:
        held[line] = _handed(line, ahead, 0, len(crew))
    while held:
        for line in cast("list[Connection]", wait(list(held))):
            try:
                kind, value = line.recv()
            except (EOFError, ConnectionError):
                raise _lost(crew[line]) from None
            if kind == "done":
                yield value
            elif kind == "warn":
                warn(value)
            elif kind == "failed":
                raise value
            else:
                held[line] = _handed(line, ahead, held[line] - 1, len(crew))
                if not held[line]:
                    del held[line]


def _handed(line: Connection, ahead: deque[Sequence[int]], held: int, workers: int) -> int:
    """How many shares a worker holds, once it has what it should; one that holds none is told to end."""
    with suppress(BrokenPipeError):  # a worker that has died is noticed when it is listened to
        while ahead and held < (2 if len(ahead) > 2 * workers else 1):
            held += 1
            line.send(ahead.popleft())
        if not held:
            line.send(None)
    return held


def _started(job: Job, folder: DatasetFolder) -> tuple[Connection, SpawnProcess]:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_work, args=(job, folder, theirs), name="synth-worker", daemon=True)
    process.start()
    theirs.close()  # so that a worker's end closes the line
    return ours, process


def _dismiss(crew: dict[Connection, SpawnProcess]) -> None:
    """Ends the workers that still run."""
    for process in crew.values():
        if process.is_alive():
            process.terminate()
    for line, process in crew.items():
        process.join(_PATIENCE_S)
        if process.is_alive():
            process.kill()
            process.join()
        line.close()


def _lost(process: SpawnProcess) -> BaseException:
    process.join(_PATIENCE_S)
    if process.exitcode in (_STOPPED, -signal.SIGTERM):  # the whole group was asked to end
        return KeyboardInterrupt()
    code = process.exitcode or 0
    how = f"signal {-code}" if code < 0 else f"exit code {code}"
    return SynthError(
        f"a worker process died ({how}); if memory was short use fewer --workers, and go on with --resume"
    )


@contextmanager
def _for_workers(workers: int) -> Iterator[None]:
    """What processes started here inherit: a share of the threads, and deafness to Ctrl-C."""
    wanted = thread_environment(max(1, thread_count() // workers))
    before = {name: os.environ.get(name) for name in wanted}
    resource_tracker.ensure_running()  # started later, by the first worker, it would undo the mask
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        os.environ.update(wanted)
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _work(job: Job, folder: DatasetFolder, line: Connection) -> None:
    """What a worker does."""
    threading.Thread(target=_follow_parent, daemon=True).start()
    end = _End()
    signal.signal(signal.SIGTERM, end.asked)
    try:
        while (share := line.recv()) is not None:
            for sample in job.samples(share, warn=lambda text: line.send(("warn", text))):
                with end.put_off():
                    written = folder.write(sample)
                line.send(("done", written))
            with end.put_off():
                folder.seal(share)
            line.send(("free", None))
    except (EOFError, BrokenPipeError):
        os._exit(_STOPPED)
    except Exception as error:
        error.add_note(f"In a worker process:\n{traceback.format_exc()}")
        _tell(line, error)


class _End:
    """Ends the process at once when it is asked to, but not amid the files of a sample."""

    def __init__(self) -> None:
        self._writing = self._wanted = False

    def asked(self, _signal: int, _frame: Any) -> None:
        """What the signal calls."""
        self._wanted = True
        if not self._writing:
            os._exit(_STOPPED)

    @contextmanager
    def put_off(self) -> Iterator[None]:
        """Until the block has ended."""
        self._writing = True
        try:
            yield
        finally:
            self._writing = False
            if self._wanted:
                os._exit(_STOPPED)


def _tell(line: Connection, error: Exception) -> None:
    try:
        line.send(("failed", error))
    except BrokenPipeError:
        os._exit(_STOPPED)
    except Exception:  # it does not pickle
        line.send(("failed", RuntimeError("".join(traceback.format_exception(error)))))


def _follow_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(_STOPPED)
