"""Parallel-beam CT of one slice: lines through it, and filtered back-projection.

A ray (θ, s) holds all points with x·cos θ + y·sin θ = s, in mm from the middle of the slice, x from column to column
and y from row to row. Views cover half a turn. Filtered back-projection is that of Kak & Slaney (1988, "Principles of
Computerized Tomographic Imaging", chapter 3): the band-limited ramp of their equation 61, times a window.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numba import njit
from scipy import fft

from synth.kernels.threads import run_parallel, thread_count

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["ParallelBeam", "noise_variance"]

_ROWS = 16


@dataclass(frozen=True)
class ParallelBeam:
    """Where the rays of a slice run.

    Attributes:
        shape: (ny, nx), pixels of the slice.
        spacing: Pixel edges along (y, x), mm.
        views: Angles θ = iπ/views.
        pitch: Distance between rays, mm.
    """

    shape: tuple[int, int]
    spacing: tuple[float, float]
    views: int
    pitch: float

    @cached_property
    def bins(self) -> int:
        """Rays of a view: odd, one through the middle, the outermost beyond the slice's corners."""
        diagonal = math.hypot(self.shape[0] * self.spacing[0], self.shape[1] * self.spacing[1])
        return 2 * math.ceil(diagonal / 2 / self.pitch) + 3

    @cached_property
    def offsets(self) -> NDArray[np.float64]:
        """(bins,), s of the rays, mm."""
        return np.asarray((np.arange(self.bins) - self.bins // 2) * self.pitch, np.float64)

    def project(self, image: NDArray[np.float32], views: int, every: int) -> NDArray[np.float32]:
        """Line integrals through a slice, for `views` + 1 angles from 0 to π, both ends included.

        Linear interpolation between the pixels of each row or column that a ray crosses (Joseph 1982, IEEE Trans Med
        Imaging 1:192).

        Args:
            image: (ny, nx), per mm; nothing lies beyond its edges.
            views: Steps of the half turn.
            every: Takes rays of `every` times the pitch: s = every·pitch·(i − n // 2).

        Returns:
            (views + 1, n), n odd and enough to cover all bins.
        """
        n = 2 * math.ceil((self.bins // 2) / every) + 1
        out = np.empty((views + 1, n), np.float32)

        def some(first: int, last: int) -> None:
            _project(image, *self.spacing, math.pi / views, self.pitch * every, out, first, last)

        run_parallel(some, views + 1, 8)
        return out

    def response(self, cutoff: float) -> NDArray[np.float64]:
        """Ramp times Hann's window, (frequencies,), 1/mm, on the real FFT's frequencies of `padded` samples.

        Args:
            cutoff: Where the window 0.5·(1 + cos(πf/cutoff)) reaches 0, 1/mm.
        """
        n = np.minimum(np.arange(self.padded), self.padded - np.arange(self.padded))
        ramp = np.zeros(self.padded)
        ramp[n % 2 == 1] = -1 / (math.pi * n[n % 2 == 1] * self.pitch) ** 2
        ramp[0] = 1 / (2 * self.pitch) ** 2
        frequency = fft.rfftfreq(self.padded, self.pitch)
        window = np.where(frequency < cutoff, 0.5 + 0.5 * np.cos(math.pi * frequency / cutoff), 0.0)
        response: NDArray[np.float64] = fft.rfft(ramp).real * self.pitch * window
        return response

    @cached_property
    def padded(self) -> int:
        """Length of a view for the FFT: long enough that nothing wraps around."""
        return int(fft.next_fast_len(2 * self.bins, real=True))

    def reconstruct(self, sinogram: NDArray[np.float32], cutoff: float) -> NDArray[np.float32]:
        """Filtered back-projection.

        Args:
            sinogram: (views, bins), dimensionless.
            cutoff: Of the kernel, see `response`.

        Returns:
            (ny, nx), per mm.
        """
        spectrum = fft.rfft(sinogram, self.padded, axis=1, workers=thread_count())
        spectrum *= (self.response(cutoff) * (math.pi / self.views)).astype(np.float32)
        filtered = fft.irfft(spectrum, self.padded, axis=1, workers=thread_count())
        out = np.zeros(self.shape, np.float32)

        def rows(first: int, last: int) -> None:
            _back_project(filtered, self.bins // 2, *self.spacing, self.pitch, out, first, last)

        run_parallel(rows, len(out), _ROWS)
        return out


def noise_variance(beam: ParallelBeam, cutoff: float, variance: float = 1.0) -> float:
    """Variance of a reconstructed pixel, 1/mm², where all rays near it carry independent noise of one variance.

    From the sum that filtered back-projection is: σ² = π²·d/n · var · ∫ f²·W²(f)·(2 + cos 2πfd)/3 df over all
    frequencies below 1/(2d), with n views and the pitch d (Kak & Slaney 1988, section 5.2, with W the window). The last
    factor is what linear interpolation between rays leaves of a frequency's power, on average over positions.
    """
    frequency = fft.rfftfreq(beam.padded, beam.pitch)
    kept = (2 + np.cos(2 * math.pi * frequency * beam.pitch)) / 3
    integral = 2 * (beam.response(cutoff) ** 2 * kept).sum() / (beam.padded * beam.pitch)
    return float(math.pi**2 * beam.pitch / beam.views * variance * integral)


@njit(nogil=True, cache=True, fastmath={"contract", "reassoc", "nsz", "arcp"})
def _project(image, dy, dx, step, pitch, out, first, last):  # type: ignore[no-untyped-def]
    ny, nx = image.shape
    n = out.shape[1]
    for i in range(first, last):
        c, s = math.cos(i * step), math.sin(i * step)
        along_x = abs(s) > abs(c)  # the ray runs along (−s, c)
        for j in range(n):
            offset = (j - n // 2) * pitch
            total = np.float32(0)
            if along_x:
                slope, at = -c * dx / (s * dy), (offset / s + c * dx / s * 0.5 * (nx - 1)) / dy + 0.5 * (ny - 1)
                for x in range(nx):
                    y = at + slope * x
                    k = int(math.floor(y))
                    if 0 <= k < ny - 1:
                        f = np.float32(y - k)
                        total += image[k, x] * (np.float32(1) - f) + image[k + 1, x] * f
                out[i, j] = total * (dx / abs(s))
            else:
                slope, at = -s * dy / (c * dx), (offset / c + s * dy / c * 0.5 * (ny - 1)) / dx + 0.5 * (nx - 1)
                for y in range(ny):
                    x = at + slope * y
                    k = int(math.floor(x))
                    if 0 <= k < nx - 1:
                        f = np.float32(x - k)
                        total += image[y, k] * (np.float32(1) - f) + image[y, k + 1] * f
                out[i, j] = total * (dy / abs(c))


@njit(nogil=True, cache=True, fastmath={"contract", "reassoc", "nsz", "arcp"})
def _back_project(filtered, middle, dy, dx, pitch, out, first, last):  # type: ignore[no-untyped-def]
    ny, nx = out.shape
    views = filtered.shape[0]
    for i in range(views):
        view = filtered[i]
        c, s = math.cos(math.pi * i / views), math.sin(math.pi * i / views)
        slope = np.float32(c * dx / pitch)
        for y in range(first, last):
            row = out[y]
            at = np.float32(((y - 0.5 * (ny - 1)) * dy * s - 0.5 * (nx - 1) * dx * c) / pitch + middle)
            for x in range(nx):
                t = at + slope * np.float32(x)
                k = np.int32(t)
                f = t - np.float32(k)
                row[x] += view[k] + f * (view[k + 1] - view[k])
