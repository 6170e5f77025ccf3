"""Voxels from plain or deflated files, never more of them than asked for."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from synth.core.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["Inflated", "read_voxels"]

_CHUNK = 1 << 16
_GZIP_OR_ZLIB = 47  # zlib's wbits: tell the two apart by the header


class Inflated:
    """A forward-only reader of gzip or zlib data, of one or several members; compares each member's checksum.

    Raises:
        InputError: From every method, where the data is cut short or corrupted.
    """

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self._path = path
        self._file = file
        self._member = zlib.decompressobj(_GZIP_OR_ZLIB)
        self._ready = memoryview(b"")

    def read(self, count: int) -> bytes:
        """The next `count` bytes, fewer at the end of the data."""
        data = bytearray(count)
        return bytes(data[: self.readinto(memoryview(data))])

    def readinto(self, target: memoryview) -> int:
        """Fills `target`; returns how many bytes there were."""
        filled = 0
        while filled < len(target) and (self._ready or self._refill()):
            part = self._ready[: len(target) - filled]
            target[filled : filled + len(part)] = part
            filled += len(part)
            self._ready = self._ready[len(part) :]
        return filled

    def drain(self) -> None:
        """Reads to the end of the member, so that its checksum is compared; what follows it is ignored."""
        while not self._member.eof and self._refill():
            pass

    def _refill(self) -> bool:
        try:
            return self._next()
        except (zlib.error, EOFError) as error:
            raise InputError(f"{self._path}: cut short or corrupted ({error}); copy it again") from error

    def _next(self) -> bool:
        while True:
            data = self._member.unused_data or self._file.read(_CHUNK)
            if self._member.eof:
                if not data.rstrip(b"\0"):
                    return False
                self._member = zlib.decompressobj(_GZIP_OR_ZLIB)
            elif not data:
                raise EOFError("the compressed data ends too early")
            self._ready = memoryview(self._member.decompress(data))
            if self._ready:
                return True


def read_voxels(
    path: Path, stream: BinaryIO | Inflated, shape: tuple[int, int, int], dtype: np.dtype[Any]
) -> NDArray[Any]:
    """Reads an array (z, y, x) of native byte order from where the stream stands.

    Raises:
        InputError: The stream ends too early.
    """
    array = np.empty(shape, dtype)
    target: memoryview = array.reshape(-1).view(np.uint8).data
    filled = stream.readinto(target)  # type: ignore[union-attr]
    if filled < len(target):
        raise InputError(f"{path}: cut short: {filled} of {len(target)} bytes of voxels; copy it again")
    if isinstance(stream, Inflated):
        stream.drain()
    return array if dtype.isnative else array.byteswap(inplace=True).view(dtype.newbyteorder("="))
