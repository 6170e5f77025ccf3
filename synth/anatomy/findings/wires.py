"""Sternal wires: steel loops around the breastbone, as a sternotomy leaves them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from synth.anatomy.findings.base import editor
from synth.anatomy.findings.burn import add_device
from synth.anatomy.findings.courses import points_of
from synth.anatomy.findings.tubing import wire_loop
from synth.core.errors import InputError
from synth.drr.mesh import Part, merged

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from synth.anatomy.scan import Scan
    from synth.core.record import Finding

__all__ = ["sternal_loops"]

_SPACING_MM = (20.0, 26.0)
_WIRE_MM = 0.9  # USP 7
_CLEARANCE_MM = 1.2  # between bone and wire
_HALF_WIDTH_MM, _HALF_DEPTH_MM = (9.0, 24.0), (4.5, 10.0)  # of a breastbone, from least to most
_SLAB_MM = 5.0


@editor("sternal wires", needs=(("sternum",),))
def _sternal_wires(scan: Scan, finding: Finding, generator: np.random.Generator) -> Scan:
    """Five to eight loops from the manubrium down."""
    meshes = []
    for ring in sternal_loops(scan, generator):
        angle = generator.uniform(-1.2, 1.2)
        side = 1.0 if generator.random() < 0.5 else -1.0
        twist = np.array([side * np.cos(angle), -0.25, np.sin(angle)])
        meshes += wire_loop(ring, twist, wire_mm=_WIRE_MM)
    return add_device(scan, finding, [Part(merged(meshes), "steel_316l", "wires")])


def sternal_loops(scan: Scan, generator: np.random.Generator) -> list[NDArray[np.float64]]:
    """Rings around the breastbone, each (n, 3) world mm and not closed, its first point in front.

    Args:
        scan: Needs the label "sternum".
        generator: Draws their distances, tilts and slack.

    Raises:
        InputError: No such label, or less than 60 mm of it.
    """
    points = points_of(scan, "sternum")
    top, bottom = float(np.quantile(points[:, 2], 0.995)), float(np.quantile(points[:, 2], 0.005))
    if top - bottom < 60:
        raise InputError(f"{scan.volume.name}: shows {top - bottom:.0f} mm of sternum, too little for wires")
    spacing = generator.uniform(*_SPACING_MM)
    # The xiphoid's last 30 mm are left alone.
    levels = np.arange(top - 12, bottom + 30, -spacing)
    rings = []
    for z in levels:
        at = float(z + generator.normal(0, 1.5))
        slab = points[np.abs(points[:, 2] - at) < _SLAB_MM]
        if len(slab) < 6:
            continue
        # The bone leans: depth is measured along its own front, not across the slab.
        low, high = np.quantile(slab[:, :2], [0.03, 0.97], axis=0)
        middle = (low + high) / 2
        half = np.clip((high - low) / 2, *np.transpose([_HALF_WIDTH_MM, _HALF_DEPTH_MM]))
        half = (half + _CLEARANCE_MM) * generator.uniform(1.0, 1.08, 2)
        rings.append(_ring(np.array([*middle, at]), half, generator))
    return rings


def _ring(
    middle: NDArray[np.float64], half: NDArray[np.float64], generator: np.random.Generator
) -> NDArray[np.float64]:
    """A rounded rectangle in a nearly horizontal plane, from the front around."""
    angle = -np.pi / 2 + np.linspace(0, 2 * np.pi, 60, endpoint=False)
    flat = np.column_stack([np.cos(angle), np.sin(angle)])
    flat = np.sign(flat) * np.abs(flat) ** 0.7 * half  # a superellipse
    tilt = generator.normal(0, [0.1, 0.25])
    ring = np.column_stack([flat, flat @ tilt])
    ring[:, 0] += generator.normal(0, 1.5)
    return np.asarray(ring + middle, float)
