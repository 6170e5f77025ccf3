"""Samples packed into shards, a fixed range of indices each, while a dataset is made.

Samples are first written as loose files, so that a stopped run loses one sample at most. Once all samples of a shard
are there, any process may pack it: the shard is written, then .parts/shards/00000.jsonl with the heads of its samples,
a line each, and only then are the loose files removed. Stopped between any two of these steps, a shard is packed again
to the same bytes, or its leftovers are removed when the dataset is finished.
"""

from __future__ import annotations

import json
import os
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from synth.core.errors import InputError, InterruptedRun
from synth.core.files import write_bytes
from synth.dataset.fragment import read_fragment, sizes
from synth.dataset.writers.shard import Entry, StoredFiles

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from synth.dataset.fragment import Fragments, Head
    from synth.dataset.sample_files import SampleFiles

__all__ = ["Packer", "Shards"]

_SUFFIX = {"webdataset": "tar", "parquet": "parquet"}
_MOST = 1_000_000


@dataclass(frozen=True)
class Shards:
    """How a dataset is packed.

    Attributes:
        kind: "webdataset" (tar) or "parquet".
        size: Places of a shard; the last may have fewer, and places that stay empty are not in it.
    """

    kind: Literal["webdataset", "parquet"]
    size: int = 1000

    def __post_init__(self) -> None:
        if self.kind not in _SUFFIX:
            raise InputError(f"shards: kind {self.kind!r} is none of {', '.join(_SUFFIX)}")
        if not 1 <= self.size <= _MOST:
            raise InputError(f"shards: size must be 1 to {_MOST}, got {self.size}")


@dataclass(frozen=True)
class Packer:
    """Packs the shards of one dataset.

    Attributes:
        shards: How.
        n_samples: Places of the dataset.
        files: The loose files.
        fragments: What is said of them.
    """

    shards: Shards
    n_samples: int
    files: SampleFiles
    fragments: Fragments

    @property
    def n_shards(self) -> int:
        """How many there will be."""
        return -(-self.n_samples // self.shards.size)

    def places(self, number: int) -> range:
        """Indices of a shard."""
        size = self.shards.size
        return range(number * size, min((number + 1) * size, self.n_samples))

    def name(self, number: int) -> str:
        """Path of a shard relative to the dataset's folder."""
        return f"shards/{number:05d}.{_SUFFIX[self.shards.kind]}"

    def packed(self) -> list[int]:
        """Numbers of the shards that are packed, ascending."""
        listed, there = sizes(self._folder), sizes(self.files.root / "shards")
        numbers = sorted(int(name[:5]) for name in listed if name.endswith(".jsonl") and name[:1] != ".")
        return [k for k in numbers if self.name(k).rpartition("/")[2] in there or not any(map(_row, self.heads(k)))]

    def pack_if_complete(self, number: int) -> None:
        """Packs a shard once all of its samples are there, unless another process does.

        Raises:
            InputError: It cannot be written.
        """
        if all(self._written(index) for index in reversed(self.places(number))):  # the last is mostly the missing one
            with self._locked(number) as ours:
                if ours and not self._list(number).exists():
                    self.pack(number)

    def pack(self, number: int) -> None:
        """Packs a shard, whoever else may.

        Raises:
            InterruptedRun: Samples of it are missing.
            InputError: It cannot be written.
        """
        heads: list[str] = []
        entries = self._entries(number, heads)
        first = next(entries, None)
        if first is not None:
            self._write(self.files.root / self.name(number), first, entries)
        write_bytes(self._list(number), "".join(f"{head}\n" for head in heads).encode())
        for index in self.places(number):
            self.fragments.remove(index)
            self.files.remove(index)

    def heads(self, number: int) -> Iterator[Head]:
        """What is said of the places of a packed shard, in order.

        Raises:
            InterruptedRun: It is not packed.
        """
        path = self._list(number)
        try:
            with path.open(encoding="utf-8", newline="\n") as stream:
                yield from map(json.loads, stream)
        except FileNotFoundError as error:
            raise InterruptedRun(f"{path}: vanished; pass --resume") from error

    def remove_locks(self) -> None:
        """Removes the locks of processes that were killed."""
        for path in self._folder.glob("*.lock"):
            path.unlink(missing_ok=True)

    @property
    def _folder(self) -> Path:
        return self.fragments.folder / "shards"

    def _list(self, number: int) -> Path:
        return self._folder / f"{number:05d}.jsonl"

    def _written(self, index: int) -> bool:
        found = self.fragments.find(index)
        if found is None or found[1]:
            return found is not None
        with suppress(OSError):
            return (self.files.root / self.files.image_name(index)).stat().st_size > 0
        return False

    def _entries(self, number: int, heads: list[str]) -> Iterator[Entry]:
        """The entries of a shard, one in memory at a time; `heads` gets a line for every place."""
        for index in self.places(number):
            found = self.fragments.find(index)
            if found is None:
                raise InterruptedRun(f"{self.files.root}: sample {index} is missing; pass --resume")
            head, annotations = read_fragment(found[0])
            kept: Head = {key: head[key] for key in ("rejected", "masks") if key in head}
            if "row" not in head:
                heads.append(_line(kept))
                continue
            key = f"{index:08d}"
            row = head["row"] | {"file_name": f"{key}{self.files.suffix}", "shard": self.name(number)}
            heads.append(_line(kept | {"row": row}))
            yield Entry(key, StoredFiles(self.files.stored(index)), row, annotations)

    def _write(self, path: Path, first: Entry, rest: Iterator[Entry]) -> None:
        def entries() -> Iterator[Entry]:
            yield first
            yield from rest

        if self.shards.kind == "webdataset":
            from synth.dataset.writers.webdataset import write_tar as write
        else:
            from synth.dataset.writers.parquet import write_parquet as write
        write(path, entries())

    @contextmanager
    def _locked(self, number: int) -> Iterator[bool]:
        """Whether this process, and no other, may pack the shard."""
        lock = self._folder / f"{number:05d}.lock"
        lock.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.close(os.open(lock, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
        except FileExistsError:
            yield False
            return
        try:
            yield True
        finally:
            lock.unlink(missing_ok=True)


def _row(head: Head) -> Any:
    return head.get("row")


def _line(head: Head) -> str:
    return json.dumps(head, ensure_ascii=False, separators=(",", ":"))
