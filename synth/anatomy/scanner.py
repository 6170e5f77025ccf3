"""How a scanner shows a body: blur and noise.

A phantom is drawn as if by an ideal scanner. Here it gets the blur of a protocol's kernel and slice thickness, and
the noise of its dose: of rays through the body itself, streaky between the shoulders (synth.drr.low_dose).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from synth.core.errors import InputError
from synth.drr.ct_dose import Protocol
from synth.drr.low_dose import low_dose

if TYPE_CHECKING:
    from synth.anatomy.scan import Scan

__all__ = ["Scanner", "scanned"]

_PLENTY_MAS = 10_000.0
"""What is drawn is taken for a scan of this dose: its own noise is nil beside what is added."""


@dataclass(frozen=True)
class Scanner:
    """A scan protocol.

    Attributes:
        protocol: Tube, dose, kernel and slice thickness.
        noise: Whether to add the dose's noise.
    """

    protocol: Protocol = field(default_factory=Protocol)
    noise: bool = True


def scanned(scan: Scan, scanner: Scanner, seed: int) -> Scan:
    """The CT as a scanner of this kind gives it; labels stay.

    The kernel's blur is taken as a Gaussian that passes a half where its Hann window does, slices as boxes of their
    thickness; what the voxels themselves average is taken off.

    Raises:
        InputError: A slice thickness below the voxels' own spacing.
    """
    volume = scan.volume
    sx, sy, sz = volume.spacing
    thick = scanner.protocol.slice_thickness_mm or sz
    if thick < sz - 1e-6:
        raise InputError(f"slices of {thick:g} mm cannot be made of voxels of {sz:g} mm: draw finer ones")
    half = scanner.protocol.cutoff / 2  # passes 1/2: exp(−2π²σ²f²) = 1/2
    across = np.sqrt(np.log(2) / 2) / (np.pi * half)
    sigmas = [np.sqrt((thick**2 - sz**2) / 12) / sz, *(np.sqrt(max(across**2 - s**2 / 12, 0)) / s for s in (sy, sx))]
    blurred = ndimage.gaussian_filter(volume.hu.astype(np.float32), sigmas, mode="nearest", truncate=3)
    seen = replace(volume, hu=blurred)
    if scanner.noise:
        plentiful = replace(scanner.protocol, mas=_PLENTY_MAS)
        seen = low_dose(seen, scanner.protocol.mas / _PLENTY_MAS, seed=seed, protocol=plentiful)
    hu = np.clip(np.rint(seen.hu), -1024, 3071).astype(np.int16)
    return replace(scan, volume=replace(volume, hu=hu))
