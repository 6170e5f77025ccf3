"""Memory that is used again: a fresh megabyte costs as much in page faults as a pass over it."""

from __future__ import annotations

import math
import threading
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray

__all__ = ["scratch"]

_LARGEST = 64 * 2**20  # bytes that are kept
_kept = threading.local()


def scratch(name: str, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
    """An array of whatever was there before, the calling thread's until it asks for `name` again."""
    wanted, size = np.dtype(dtype), math.prod(shape)
    if size * wanted.itemsize > _LARGEST:
        return np.empty(shape, wanted)
    buffer: NDArray[Any] | None = getattr(_kept, name, None)
    if buffer is None or buffer.nbytes < size * wanted.itemsize:
        buffer = np.empty(size * wanted.itemsize, np.uint8)
        setattr(_kept, name, buffer)
    return buffer[: size * wanted.itemsize].view(wanted).reshape(shape)
