"""How a scanner shows a body: blur, noise, and the couch below.

A phantom is drawn as if by an ideal scanner. Here it gets the blur of a protocol's kernel and slice thickness, and
the noise of its dose: of rays through the body itself, streaky between the shoulders (synth.drr.low_dose).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from synth.anatomy.solids import Slab, Stroke
from synth.core.errors import InputError
from synth.drr.ct_dose import Protocol
from synth.drr.low_dose import low_dose

if TYPE_CHECKING:
    from collections.abc import Mapping

    from synth.anatomy.scan import Scan

__all__ = ["Scanner", "couch", "scanned"]

_BEYOND = 100.0
"""What is drawn is taken for a scan of so many times the dose: its own noise is nil beside what is added."""


@dataclass(frozen=True)
class Scanner:
    """A scan protocol.

    Attributes:
        protocol: Tube, dose, kernel and slice thickness.
        noise: Whether to add the dose's noise.
        couch: Whether the couch is in the picture; for patients who lie.
    """

    protocol: Protocol = field(default_factory=Protocol)
    noise: bool = True
    couch: bool = True


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
        plentiful = replace(scanner.protocol, mas=scanner.protocol.mas * _BEYOND)
        seen = low_dose(seen, 1 / _BEYOND, seed=seed, protocol=plentiful)
    hu = np.clip(np.rint(seen.hu), -1024, 3071).astype(np.int16)
    return replace(scan, volume=replace(volume, hu=hu))


def couch(back_y: float, z: tuple[float, float], hu: Mapping[str, float]) -> list[Stroke]:
    """A curved couch below someone who lies: a shell of carbon fibre around foam.

    Args:
        back_y: How far back the body reaches, mm.
        z: Lower and upper end of the picture, mm.
        hu: Mean HU by tissue.
    """
    x = np.arange(-220.0, 221.0, 10.0)
    top = back_y - 18.0 + 18.0 * (1 - (x / 220) ** 2) + 2.0
    under = top[0] + 40.0 + 12.0 * (1 - (x / 220) ** 2)
    lower, upper = (np.tile(surface, (2, 1)) for surface in (top, under))
    # w = y, so u must run to the right for the axes to be right-handed.
    axes = np.array([[-1.0, 0, 0], [0, 0, 1], [0, 1, 0]])
    slab = Slab(lower, upper, float(x[0]), z[0] - 50, 10.0, z[1] - z[0] + 100, axes=axes)
    air = ("",)
    return [
        Stroke((slab,), hu["couch_shell"], "couch", over=air, group="couch"),
        Stroke((slab,), hu["couch_core"], None, over=("couch",), inset_mm=2.0, group="couch"),
    ]
