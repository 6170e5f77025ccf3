"""A job that tests can watch and stop from outside, and a run of it as a process of its own."""

from __future__ import annotations

import os
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from synth.core.errors import InputError
from synth.core.record import Record, Sample
from synth.dataset.engines.ray import RayEngine
from synth.dataset.folder import DatasetFolder, Shards

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

N = 24
SHARES = [list(range(first, first + 3)) for first in range(0, N, 3)]
PATIENCE_S = 120.0


@dataclass(frozen=True)
class Numbers:
    """Images of noise, each from its index; what goes on is seen in a folder of empty files.

    Attributes:
        signs: That folder: at-PID of every node's raylet for which a worker has made something, made-INDEX-ATTEMPT.
        wrong: What happens at sample 7.
        waits_for: Names in `signs` without which only the first share is made.
    """

    signs: Path
    wrong: str = ""
    waits_for: tuple[str, ...] = ()

    def samples(self, indices: Sequence[int], *, warn: Callable[[str], None]) -> Iterator[Sample]:
        sign(self.signs, f"at-{os.getppid()}")
        for name in self.waits_for if indices[0] else ():
            await_sign(self.signs, name)
        for index in indices:
            attempt = next(k for k in range(99) if sign(self.signs, f"made-{index}-{k}"))
            if index == 7:
                self._go_wrong(attempt, warn)
            noise = np.random.default_rng(index).integers(2**16, size=(16, 16), dtype=np.uint16)
            yield Sample(index, noise, Record(view="PA", source=os.environ.get("OMP_NUM_THREADS", "")))

    def _go_wrong(self, attempt: int, warn: Callable[[str], None]) -> None:
        if self.wrong == "warns":
            warn("seven is odd")
        elif self.wrong == "refuses":
            raise InputError("seven: will not do")
        elif self.wrong == "fails":
            raise ZeroDivisionError("seven")
        elif self.wrong == "dies" or (self.wrong == "dies once" and attempt == 0):
            os.kill(os.getpid(), signal.SIGKILL)
        elif self.wrong == "hangs":
            await_sign(self.signs, "never")


@dataclass(frozen=True)
class Demanding(Numbers):
    """A job whose workers need GPUs."""

    gpus: int = 2


def sign(signs: Path, name: str) -> bool:
    """Puts an empty file down; whether there was none."""
    try:
        (signs / name).touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


def await_sign(signs: Path, name: str) -> None:
    """Until there is a file of that name; a * stands for anything."""
    end = time.monotonic() + PATIENCE_S
    while not any(signs.glob(name)):
        if time.monotonic() > end:
            raise TimeoutError(f"no {name} in {sorted(path.name for path in signs.iterdir())}")
        time.sleep(0.02)


def opened(root: Path, *, resume: bool = False, shards: Shards | None = None) -> DatasetFolder:
    return DatasetFolder.open(root, {"seed": 0}, n_samples=N, resume=resume, shards=shards)


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def main() -> int:
    """Arguments: folder, signs; tells every sample on standard output, sample 7 never comes."""
    signal.signal(signal.SIGTERM, _interrupt)
    root, signs = map(Path, sys.argv[1:])
    try:
        for one in RayEngine(workers=1).run(Numbers(signs, "hangs"), opened(root), SHARES, warn=print):
            print(one.index, flush=True)
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
