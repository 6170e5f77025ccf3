"""A volume prepared for the CPU kernels: one zero voxel all around, and a turned copy for views from the side."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np
from numba import njit

from synth.kernels.lerp import SLACK
from synth.kernels.threads import run_parallel

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["PaddedVolume", "Stack"]

Values: TypeAlias = "NDArray[np.uint16] | NDArray[np.float32]"
_BLOCK = 64


class Stack(NamedTuple):
    """Slices whose rows are contiguous in memory."""

    flat: Values
    starts: list[int]  # offset of each channel's first slice, margin included in rows and columns
    strides: tuple[int, int]  # from slice to slice, and from row to row
    counts: tuple[int, int, int]  # slices, voxels in a row, rows; without the margin


class PaddedVolume:
    """Values on a grid with a margin of zeros, so that no kernel tests for borders.

    Attributes:
        channels: Number of channels C.
        shape: Voxels along (z, y, x), without the margin.
        array: (C, z + 2, y + 2, x + 2), float32 or uint16.
    """

    def __init__(self, values: Values) -> None:
        """Copies `values`, (C, z, y, x), float32 or uint16."""
        self.channels = values.shape[0]
        self.shape: tuple[int, int, int] = values.shape[1:]
        self._flat, self.array = _empty((self.channels, *(n + 2 for n in self.shape)), values.dtype)
        source, target = values, self.array
        run_parallel(lambda z0, z1: _pad(source, target, z0, z1), target.shape[1], 8)

    def stack(self, axis: int) -> Stack:
        """The slices across `axis` (0 x, 1 y, 2 z), rows contiguous: y and z slices hold rows of x, x slices of y."""
        nz, ny, nx = self.shape
        line, plane = (nx + 2, (ny + 2) * (nx + 2)) if axis else (ny + 2, (ny + 2) * (nx + 2))
        starts = [channel * (nz + 2) * plane for channel in range(self.channels)]
        if axis == 2:
            return Stack(self._flat, [start + plane for start in starts], (plane, line), (nz, nx, ny))
        if axis == 1:
            return Stack(self._flat, [start + line for start in starts], (line, plane), (ny, nx, nz))
        return Stack(self._turned, [start + line for start in starts], (line, plane), (nx, ny, nz))

    @cached_property
    def _turned(self) -> Values:
        c, z, y, x = self.array.shape
        flat, turned = _empty((c, z, x, y), self.array.dtype)
        source = self.array.reshape(c * z, y, x)
        target = turned.reshape(c * z, x, y)
        run_parallel(lambda z0, z1: _transpose(source, target, z0, z1), c * z, 4)
        return flat


def _empty(shape: tuple[int, ...], dtype: np.dtype[np.generic]) -> tuple[Values, Values]:
    """An array, and the flat buffer below it that runs on for SLACK zeros."""
    size = int(np.prod(shape))
    flat = np.empty(size + SLACK, dtype)
    flat[size:] = 0
    return flat, flat[:size].reshape(shape)


@njit(nogil=True, cache=True)
def _pad(source, target, z0, z1):  # type: ignore[no-untyped-def]
    channels, nz, ny, nx = source.shape
    for channel in range(channels):
        for z in range(z0, z1):
            if z in (0, nz + 1):
                target[channel, z] = 0
                continue
            target[channel, z, 0] = 0
            target[channel, z, ny + 1] = 0
            for y in range(ny):
                row = target[channel, z, y + 1]
                row[0] = 0
                row[1 : nx + 1] = source[channel, z - 1, y]
                row[nx + 1] = 0


@njit(nogil=True, cache=True)
def _transpose(source, target, z0, z1):  # type: ignore[no-untyped-def]
    ny, nx = source.shape[1:]
    for z in range(z0, z1):
        for y0 in range(0, ny, _BLOCK):
            for x0 in range(0, nx, _BLOCK):
                for x in range(x0, min(nx, x0 + _BLOCK)):
                    for y in range(y0, min(ny, y0 + _BLOCK)):
                        target[z, x, y] = source[z, y, x]
