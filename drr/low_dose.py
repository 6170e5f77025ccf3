"""A CT as a lower dose would have given it.

Noise is inserted where it arises (Yu et al. 2012, J Comput Assist Tomogr 36:477; Zeng et al. 2015, IEEE Trans Nucl Sci
62:2226): each slice is projected to learn how many quanta every ray has left, the noise that those lack is drawn, and
filtered back-projection of this noise alone is added to the CT. Anatomy and the CT's own noise stay as they are; what
is added is streaky between shoulders, stronger in the middle, and as fine as the kernel. Beams are parallel and the
tube current constant: fans, spirals and current modulation, which spread noise otherwise, are left out.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numba import njit

from synth.core.errors import InputError
from synth.core.volume import AIR_HU
from synth.drr.ct_dose import Protocol, Rays, bow_tie
from synth.drr.parallel_beam import ParallelBeam
from synth.kernels.noise import standard_normal
from synth.kernels.threads import run_parallel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from synth.core.volume import Volume

__all__ = ["low_dose", "noise_slices", "slice_count"]

_VIEWS, _PITCH_MM = 720, 0.5
_COARSE_VIEWS, _COARSE_RAYS = 360, 2  # attenuation is smooth beside the noise: a quarter of the rays carries it
_LEAST_HU = -1024
_LEAST_DOSE = 0.001
_CONSTANT = 0.9  # of the corners must be one value to be padding
_SCANNED = 0.95  # of the inscribed radius is scanned for certain


def low_dose(
    volume: Volume,
    dose_fraction: float,
    *,
    seed: int,
    protocol: Protocol | None = None,
    advance: Callable[[], None] = lambda: None,
) -> Volume:
    """The same patient at a share of the dose.

    Args:
        volume: The CT, any orientation; its slices are the planes along the index axis closest to the patient's long
            axis.
        dose_fraction: Share of the CT's dose, 0.001 to 1; 1 gives back the same HU.
        seed: 64 bits. A slice's noise depends on the seed, its index and its content.
        protocol: How the CT was taken; default: 120 kVp, 200 mAs, standard kernel.
        advance: Called after every slice.

    Returns:
        A volume of the same grid and dtype. HU do not fall below −1024, or below the CT's lowest. Where the corners of
        a slice, outside its inscribed circle, hold one value nearly everywhere, nothing was scanned there, and that
        padding stays as it is.

    Raises:
        InputError: A share out of range, or slices of fewer than 2×2 pixels.
    """
    if not _LEAST_DOSE <= dose_fraction <= 1:
        raise InputError(f"dose fraction must be {_LEAST_DOSE:g} to 1, got {dose_fraction:g}")
    hu = volume.hu.copy()
    if dose_fraction == 1:
        for _ in range(slice_count(volume)):
            advance()
        return replace(volume, hu=hu)
    slices = np.moveaxis(hu, _slice_axis(volume), 0)  # a view
    lowest, highest = min(_LEAST_HU, float(hu.min())), float(np.iinfo(np.int16).max)
    radius = _radius(slices.shape[1:])
    for plane, noise in zip(slices, noise_slices(volume, dose_fraction, seed=seed, protocol=protocol), strict=True):
        noise[_padding(plane, radius)] = 0
        noisy = np.clip(plane + noise, lowest, highest)
        plane[...] = np.rint(noisy) if hu.dtype == np.int16 else noisy
        advance()
    return replace(volume, hu=hu)


def slice_count(volume: Volume) -> int:
    """Slices across the patient's long axis."""
    return volume.shape[_slice_axis(volume)]


def noise_slices(
    volume: Volume, dose_fraction: float, *, seed: int, protocol: Protocol | None = None
) -> Iterator[NDArray[np.float32]]:
    """What `low_dose` adds, slice by slice: (rows, columns), HU; arguments as there."""
    protocol = protocol or Protocol()
    axis = _slice_axis(volume)
    slices = np.moveaxis(volume.hu, axis, 0)
    distance, dy, dx = volume.spacing[::-1][[axis, *(a for a in range(3) if a != axis)]]
    if min(slices.shape[1:]) < 2:
        raise InputError(f"{volume.name}: slices of {slices.shape[1]}×{slices.shape[2]} pixels are too small")
    beam = ParallelBeam(slices.shape[1:], (float(dy), float(dx)), _VIEWS, _PITCH_MM)
    thickness = protocol.slice_thickness_mm or float(distance)
    added = _Added.of(beam, protocol, Rays(beam.pitch, thickness, beam.views), dose_fraction)
    shares = _row_shares(thickness / float(distance))
    for index, plane in enumerate(slices):
        noise = _draw(beam, seed, index, shares)
        water = np.maximum(plane.astype(np.float32) * np.float32(1e-3) + np.float32(1), np.float32(0))
        added.scale(noise, beam.project(water, _COARSE_VIEWS, _COARSE_RAYS))
        yield beam.reconstruct(noise, protocol.cutoff) * np.float32(-AIR_HU)


@dataclass(frozen=True, eq=False)
class _Added:
    """Standard deviation of the noise that a dose adds to a ray, by the water in it.

    Attributes:
        table: (n,), mm, at 0, 1, … mm of water.
        filter_mm: (bins,), the bow-tie's water.
    """

    table: NDArray[np.float32]
    filter_mm: NDArray[np.float32]

    @classmethod
    def of(cls, beam: ParallelBeam, protocol: Protocol, rays: Rays, dose: float) -> _Added:
        depth = np.arange(protocol.quanta(rays).shape[1], dtype=float)
        variance = protocol.extra_variance(depth, dose, rays)
        return cls(np.sqrt(variance).astype(np.float32), bow_tie(beam.offsets).astype(np.float32))

    def scale(self, noise: NDArray[np.float32], water: NDArray[np.float32]) -> None:
        """Multiplies standard normal numbers (views, bins) by the deviation behind `water` (coarse, coarse), mm."""

        def views(first: int, last: int) -> None:
            _scale(noise, water, self.filter_mm, self.table, _COARSE_RAYS, first, last)

        run_parallel(views, len(noise), 16)


def _draw(beam: ParallelBeam, seed: int, index: int, shares: NDArray[np.float32]) -> NDArray[np.float32]:
    """Standard normal numbers (views, bins) of a slice: a mixture of detector rows that it shares with neighbours."""
    first = index + 1  # stream 0 is that of quanta
    mixed: NDArray[np.float32] = shares[0] * standard_normal((beam.views, beam.bins), seed, first)
    for row, share in enumerate(shares[1:], start=1):
        mixed += share * standard_normal((beam.views, beam.bins), seed, first + row)
    return mixed


def _row_shares(slices_thick: float) -> NDArray[np.float32]:
    """Weights, of squares that sum to 1, of detector rows one spacing wide in a slice `slices_thick` spacings thick.

    The noise of slices k and k + m then correlates as two boxes of that thickness m spacings apart overlap, exactly so
    for whole numbers.
    """
    whole = int(slices_thick)
    weights = np.append(np.ones(whole), slices_thick - whole) if slices_thick > 1 else np.ones(1)
    weights = weights[weights > 1e-6]
    return (weights / np.linalg.norm(weights)).astype(np.float32)


def _slice_axis(volume: Volume) -> int:
    """The array axis closest to the patient's long axis."""
    return 2 - int(np.argmax(np.abs(volume.affine[2, :3]) / volume.spacing))


def _radius(shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Distance of every pixel from the middle, 1 at the inscribed ellipse."""
    y, x = ((np.arange(n) - (n - 1) / 2) / (n / 2) for n in shape)
    radius: NDArray[np.float64] = np.hypot(y[:, None], x)
    return radius


def _padding(plane: NDArray[np.generic], radius: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Pixels that were not scanned: of the corners' one value, and outside a circle that may be a little small."""
    constant: NDArray[np.bool_] = plane == plane[0, 0]
    corners = constant[radius > 1]
    if corners.sum() <= _CONSTANT * corners.size:
        return np.zeros_like(constant)
    return constant & (radius > _SCANNED)


@njit(nogil=True, cache=True, fastmath={"contract"})
def _scale(noise, water, filter_mm, table, every, first, last):  # type: ignore[no-untyped-def]
    views, bins = noise.shape
    steps, middle = water.shape[0] - 1, water.shape[1] // 2
    for i in range(first, last):
        at = i * steps / views
        a = int(at)
        f = np.float32(at - a)
        low, high = water[a], water[a + 1]
        for j in range(bins):
            place = (j - bins // 2) / every + middle
            b = min(int(place), water.shape[1] - 2)
            g = np.float32(place - b)
            before = low[b] + g * (low[b + 1] - low[b])
            after = high[b] + g * (high[b + 1] - high[b])
            depth = min(before + f * (after - before) + filter_mm[j], np.float32(len(table) - 2))
            k = int(depth)
            noise[i, j] *= table[k] + (depth - np.float32(k)) * (table[k + 1] - table[k])
