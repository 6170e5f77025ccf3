"""Feature vectors kept on disk, by what they were made with and what they were made of.

A vector lies at ROOT/<extractor's version hash>/<first two digits>/<content hash>.feat.

A file holds one vector: "RSFEAT1" and a line feed, the SHA-256 of the rest, the SHA-256 of its key, and float64 values,
little endian; no pickle. A file that is cut short, altered or under another's name fails its checksum, is removed and
computed again. Files appear whole or not at all, so several processes may share a cache; if two compute one vector, the
later replaces the earlier with the same numbers.
"""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from synth.core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

__all__ = ["ENVIRONMENT", "FeatureCache", "default_root"]

ENVIRONMENT = "SYNTH_CACHE"
"""The environment variable that names the cache's folder; "off" turns caching off."""

_MAGIC = b"RSFEAT1\n"
_HEAD = len(_MAGIC) + 32 + 32
_DEFAULT_BYTES = 4 << 30
_TOUCH_AFTER_S = 3600.0  # how stale the time of last use may become: saves a write for every read


class FeatureCache:
    """A folder of feature vectors.

    A cache that cannot be written still reads, and says so in `notes`: a score must not fail for want of a cache.

    Attributes:
        root: The folder; it is made when the first vector is put.
        max_bytes: What `prune` leaves, at most.
        notes: What went wrong, one line each.
    """

    def __init__(self, root: str | Path | None = None, *, max_bytes: int = _DEFAULT_BYTES) -> None:
        if max_bytes < 0:
            raise InputError(f"max_bytes must not be negative, got {max_bytes}")
        self.root = Path(root) if root is not None else default_root()
        self.max_bytes = max_bytes
        self.notes: tuple[str, ...] = ()
        self._written = 0

    def get(self, version: str, key: str) -> NDArray[np.float64] | None:
        """The vector (d,) of that extractor version and image, or None."""
        path = self._path(version, key)
        try:
            data = path.read_bytes()
        except OSError:
            return None
        payload = data[len(_MAGIC) + 32 :]
        whole = data[:_HEAD] == _head(version, key, payload) and len(payload) > 32 and len(payload) % 8 == 0
        if not whole:
            with suppress(OSError):
                path.unlink()
            return None
        _touch(path)
        return np.frombuffer(payload[32:], "<f8").astype(np.float64)

    def put(self, version: str, key: str, vector: NDArray[np.float64]) -> None:
        """Keeps a vector (d,), atomically."""
        path = self._path(version, key)
        payload = _key_digest(version, key) + np.ascontiguousarray(vector, "<f8").tobytes()
        data = _head(version, key, payload)[:-32] + payload
        temporary = None
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".", suffix=".part", delete=False) as file:
                temporary = Path(file.name)
                file.write(data)
            temporary.replace(path)
            self._written += len(data)
        except OSError as error:
            if not self.notes:
                self.notes = (f"{self.root}: cannot keep features ({error.strerror or error}); they are computed anew",)
        finally:
            if temporary is not None:
                with suppress(OSError):
                    temporary.unlink()

    def close(self) -> None:
        """Prunes, where anything was written since the last time."""
        if self._written:
            self.prune()
            self._written = 0

    def prune(self, max_bytes: int | None = None) -> int:
        """Removes the vectors that were longest unused until `max_bytes` are left.

        Args:
            max_bytes: Default: the cache's limit; 0 empties it.

        Returns:
            The bytes removed.
        """
        limit = self.max_bytes if max_bytes is None else max_bytes
        files = sorted(self._files(), reverse=True)
        kept = removed = 0
        for _, size, path in files:
            kept += size
            if kept > limit:
                with suppress(OSError):
                    path.unlink()
                    removed += size
        return removed

    def size(self) -> int:
        """Bytes of all vectors."""
        return sum(size for _, size, _ in self._files())

    def _files(self) -> Iterator[tuple[float, int, Path]]:
        for path in self.root.glob("*/??/*.feat"):
            with suppress(OSError):  # another process may remove it meanwhile
                facts = path.stat()
                yield facts.st_mtime, facts.st_size, path

    def _path(self, version: str, key: str) -> Path:
        for name in (version, key):
            if not name or not name.isalnum():
                raise InputError(f"cache keys are hexadecimal digits, got {name!r}")
        return self.root / version / key[:2].ljust(2, "0") / f"{key}.feat"


def default_root() -> Path:
    """$SYNTH_CACHE/features where set, else a folder in the user's cache."""
    named = os.environ.get(ENVIRONMENT, "")
    if named:
        return Path(named).expanduser() / "features"
    if sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    elif sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "radsynth" / "features"


def _key_digest(version: str, key: str) -> bytes:
    return hashlib.sha256(f"{version}/{key}".encode()).digest()


def _head(version: str, key: str, payload: bytes) -> bytes:
    return _MAGIC + hashlib.sha256(payload).digest() + _key_digest(version, key)


def _touch(path: Path) -> None:
    """Marks a file as used; prune goes by the time of its last change."""
    with suppress(OSError):
        if time.time() - path.stat().st_mtime > _TOUCH_AFTER_S:
            os.utime(path)
