"""The lungs: the inside of the chest, divided into lobes by the fissures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from synth.anatomy.labels import LOBES, LUNG_LEFT
from synth.anatomy.solids import Slab, Stroke

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from synth.anatomy.frame import Frame

__all__ = ["fissures", "lungs"]

_FAR = 400.0
_STEP_MM = 12.0
_FISSURE_MM = 0.5
"""Two layers of visceral pleura, of 0.1 to 0.2 mm each, and what lies between."""

_WAVE_MM = 6.0
_BACK = (3.7, 3.3)
"""Levels of the spine at which the right and left oblique fissure begin, full inspiration apart."""
_FRONT_MM = 30.0
"""How far behind the chest's front they meet the level of the domes."""
_HORIZONTAL, _MIDDLE_MM = 0.368, 55.0
"""Share of the way from the dome to the apex at which the horizontal one lies, so far behind the chest's front."""


def lungs(frame: Frame, hu: Mapping[str, float], generator: np.random.Generator) -> list[Stroke]:
    """The whole inside of the chest as lungs, by lobe; diaphragm and mediastinum are painted over it.

    Args:
        frame: The plan of the body.
        hu: Mean HU by tissue.
        generator: Draws how the fissures are bent.
    """
    oblique_right, oblique_left, horizontal = fissures(frame, generator)
    upper_right, middle, lower_right = LOBES[2:]
    upper_left, lower_left = LUNG_LEFT
    lobes = [
        Stroke((frame.cage.cavity,), hu["lung"], upper_right, part="", group="lungs"),
        _relabel(_half(), upper_left, LOBES),
        _relabel(oblique_left, lower_left, (upper_left,)),
        _relabel(oblique_right, lower_right, (upper_right,)),
        _relabel(horizontal, middle, (upper_right,)),
    ]
    sheets = ((oblique_left, LUNG_LEFT), (oblique_right, LOBES[2:]), (horizontal, (upper_right, middle)))
    pleura = hu["lung"] + 0.5 * (hu["muscle"] - hu["lung"])
    return lobes + [Stroke((_sheet(surface),), pleura, over=over, group="lungs") for surface, over in sheets]


def fissures(frame: Frame, generator: np.random.Generator) -> tuple[Slab, Slab, Slab]:
    """Right oblique, left oblique and right horizontal fissure, as the slabs behind and below them.

    The oblique ones run from the back below T3 (left a little higher) down to the front third of the diaphragm; the
    horizontal one lies at the front end of the fourth rib (Gülsün et al. 2006, Surg Radiol Anat 28:402, for the levels'
    variation). Levels are set so that lobes have their shares of the lungs' volume (Yamada et al. 2020, Respiration
    99:598).
    """
    cage, spine, domes = frame.cage, frame.spine, frame.diaphragm
    drop = 6.0 * frame.build.inspiration
    slabs = []
    for level, dome in ((_BACK[0], domes.right_top), (_BACK[1], domes.left_top)):
        z_back = spine.z(level + generator.normal(0, 0.25)) - drop
        behind = np.array([0.0, float(cage.back(z_back)), z_back])
        z_front = dome[2] - 14.0
        before = np.array([0.0, float(cage.front(z_front)) + _FRONT_MM + generator.normal(0, 5), z_front])
        slabs.append(_surface(behind, (before - behind) / np.linalg.norm(before - behind), generator))
    low = domes.right_top[2]
    z = low + (_HORIZONTAL + generator.normal(0, 0.02)) * (cage.top - low)
    tilt = np.deg2rad(generator.normal(6, 5))
    back = float(cage.back(z))
    start = np.array([0.0, back, z + np.tan(tilt) * (back - float(cage.front(z)) - _MIDDLE_MM)])
    horizontal = _surface(start, np.array([0.0, -np.cos(tilt), -np.sin(tilt)]), generator)
    return slabs[0], slabs[1], horizontal


def _surface(start: NDArray[np.float64], along: NDArray[np.float64], generator: np.random.Generator) -> Slab:
    """A gently bent sheet from `start` forward, `along` a unit vector with x = 0; w points back and down."""
    u = np.arange(-180.0, 181.0, _STEP_MM)
    v = np.arange(-60.0, 361.0, _STEP_MM)
    phases = generator.uniform(0, 2 * np.pi, 4)
    bend = np.sin(u[None] / 70 + phases[0]) * np.cos(v[:, None] / 90 + phases[1])
    bend = bend + 0.5 * np.cos(u[None] / 38 + phases[2]) * np.sin(v[:, None] / 55 + phases[3])
    axes = np.array([[1.0, 0, 0], along, np.cross([1.0, 0, 0], along)])
    lower = _WAVE_MM * bend * generator.uniform(0.6, 1.3)
    return Slab(lower, np.full_like(lower, _FAR), u[0], v[0], _STEP_MM, _STEP_MM, start, axes)


def _sheet(surface: Slab) -> Slab:
    """The fissure itself."""
    return Slab(
        surface.lower - _FISSURE_MM / 2,
        surface.lower + _FISSURE_MM / 2,
        surface.u0, surface.v0, surface.du, surface.dv, surface.origin, surface.axes,
    )  # fmt: skip


def _half() -> Slab:
    """Everything left of the midline."""
    square = np.zeros((2, 2))
    axes = np.array([[0.0, 1, 0], [0, 0, 1], [1, 0, 0]])  # w is x
    return Slab(square, square + _FAR, -_FAR, -_FAR, 2 * _FAR, 2 * _FAR, axes=axes)


def _relabel(solid: Slab, label: str, over: tuple[str, ...]) -> Stroke:
    return Stroke((solid,), None, label, over=over, group="lungs")
