"""The ribs: head, neck, tubercle, angle and groove."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.interpolate import PchipInterpolator

from synth.anatomy.bone import core, knob, marrow, rod, share_along, shell
from synth.anatomy.solids import Tubes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from synth.anatomy.cage import Rib
    from synth.anatomy.frame import Frame
    from synth.anatomy.solids import Stroke

__all__ = ["RibBone", "rib_bones", "ribs"]

_REACH = (32.0, 30.0, 28.0, 27.5, 27.5, 28.0, 28.0, 28.0, 27.0, 25.0)
"""Distance of the tubercles of ribs 1 to 10 from the midline, mm, in the default man: a little less than that of the
tips of the transverse processes (Panjabi et al. 1991, Spine 16:888)."""
_T8_WIDTH_MM = 31.6  # of the default man
_GROUP = "ribs"


@dataclass(frozen=True, eq=False)
class RibBone:
    """A rib as it is drawn.

    Attributes:
        side: "left" or "right".
        number: 1 to 12.
        line: (n, 3) from the head to the cartilage, world mm.
        normal: (n, 3) unit, outward, along which it is flat.
        half_height: (n,) mm.
        half_thickness: (n,) mm.
        joint: (3,) where the back of the tubercle meets the transverse process; None at ribs 11 and 12.
        cartilage: (m, 3) of the plan.
    """

    side: str
    number: int
    line: NDArray[np.float64]
    normal: NDArray[np.float64]
    half_height: NDArray[np.float64]
    half_thickness: NDArray[np.float64]
    joint: NDArray[np.float64] | None
    cartilage: NDArray[np.float64]

    @property
    def share(self) -> NDArray[np.float64]:
        """(n,) length from the head over the whole length."""
        return share_along(self.line)


def rib_bones(frame: Frame, generator: np.random.Generator) -> tuple[RibBone, ...]:
    """The ribs of a plan, their backs led to the transverse processes.

    Args:
        frame: The plan of the body.
        generator: Draws a few per cent of height and thickness, one number a pair and one a rib.
    """
    pairs = np.repeat([generator.standard_normal(12)], 2, axis=0).ravel()
    own = generator.standard_normal(24)
    sizes = np.exp(0.03 * np.clip(pairs, -2, 2) + 0.01 * np.clip(own, -2, 2))
    if frame.build.female:
        sizes = sizes * 0.88
    return tuple(_bone(frame, rib, float(size)) for rib, size in zip(frame.cage.ribs, sizes, strict=True))


def ribs(bones: tuple[RibBone, ...], cortex_mm: float, hu: Mapping[str, float]) -> list[Stroke]:
    """Strokes of the ribs.

    Args:
        bones: From `rib_bones`.
        cortex_mm: Thickness of their cortex.
        hu: Tissue → mean value.
    """
    return [stroke for bone in bones for stroke in _rib(bone, cortex_mm, hu)]


def _bone(frame: Frame, rib: Rib, size: float) -> RibBone:
    line, normal, at = _led_back(frame, rib)
    share = share_along(line)
    height = (
        rib.half_height * size * np.interp(share, [0.0, 0.05, 0.15, 0.3, 0.8, 1.0], [0.95, 0.72, 0.9, 0.95, 0.95, 1.1])
    )
    thick = (
        rib.half_thickness
        * size
        * np.interp(share, [0.0, 0.05, 0.15, 0.3, 0.9, 1.0], [1.35, 1.05, 1.2, 1.0, 0.95, 1.1])
    )
    if rib.number == 12:
        height = height * np.interp(share, [0.5, 1.0], [1.0, 0.6])
    joint = None
    if at is not None:
        joint = line[at] + frame.spine.vertebrae[f"T{rib.number}"].axes[1] * float(thick[at])
    return RibBone(
        rib.side, rib.number, line, _twisted(rib, normal), height, np.minimum(thick, height), joint, rib.cartilage
    )


def _led_back(frame: Frame, rib: Rib) -> tuple[NDArray[np.float64], NDArray[np.float64], int | None]:
    """Line and normals of a rib whose neck reaches the transverse process, and the tubercle's index.

    The plan's line follows the inner surface of the chest, which near the apex runs inside of the transverse processes.
    """
    if rib.number > 10:
        return rib.line, rib.normal, None
    vertebra = frame.spine.vertebrae[f"T{rib.number}"]
    sign = 1.0 if rib.side == "left" else -1.0
    reach = _REACH[rib.number - 1] * frame.spine.vertebrae["T8"].width / _T8_WIDTH_MM
    local = (rib.line - vertebra.centre) @ vertebra.axes.T * [sign, 1.0, 1.0]
    beyond = int(np.argmax(local[:, 0] > reach))
    back = max(float(local[beyond, 1]), vertebra.depth / 2 + 10.0)
    tubercle = vertebra.at(sign * reach, back, float(np.clip(local[beyond, 2], -2.0, 4.0)))
    after = int(np.argmax(local[:, 0] > reach + 12.0))
    head = vertebra.at(sign * (vertebra.width / 2 - 0.5), vertebra.depth * 0.24, vertebra.height * 0.36)
    neck = (head + tubercle) / 2
    knots = np.vstack([head, neck, tubercle, rib.line[after : after + 3]])
    chord = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(knots, axis=0), axis=1))])
    curve = PchipInterpolator(chord, knots)(
        np.concatenate([np.linspace(0, chord[2], 7), np.linspace(chord[2], chord[4], 7)[1:]])
    )
    line = np.vstack([curve[:-1], rib.line[after + 1 :]])
    normal = np.vstack([np.repeat(rib.normal[after : after + 1], len(curve) - 1, axis=0), rib.normal[after + 1 :]])
    return line, normal, 6


def _twisted(rib: Rib, normal: NDArray[np.float64]) -> NDArray[np.float64]:
    """Normals of a rib: the first lies flat, its faces up and down, the second between it and the others."""
    lying = {1: 2.4, 2: 0.7}.get(rib.number, 0.0)
    turned = normal + np.array([0.0, 0.0, lying])
    unit: NDArray[np.float64] = turned / np.linalg.norm(turned, axis=1, keepdims=True)
    return unit


def _rib(bone: RibBone, cortex_mm: float, hu: Mapping[str, float]) -> list[Stroke]:
    """Cortex around marrow; the cortex is thickest at the angle, and hangs down as the edge of the costal groove."""
    label = f"rib_{bone.side}_{bone.number}"
    shaft = rod(bone.line, bone.half_height, bone.half_thickness, bone.normal)
    middle = (bone.share[:-1] + bone.share[1:]) / 2
    cortex = cortex_mm * (1 + 0.4 * np.exp(-(((middle - 0.2) / 0.12) ** 2)))
    solids: list[Tubes] = [shaft]
    if bone.joint is not None:
        inward = bone.joint - 2.0 * (bone.joint - bone.line[6]) / np.linalg.norm(bone.joint - bone.line[6])
        solids.append(knob(inward, 0.55 * float(bone.half_height[6])))
    if 3 <= bone.number <= 10:
        solids.append(_groove_edge(bone))
    return [
        shell((Tubes.merged(solids),), label, hu["cortical_bone"], _GROUP),
        marrow((core(shaft, cortex),), label, hu["trabecular_rib"], _GROUP),
    ]


def _groove_edge(bone: RibBone) -> Tubes:
    """The thin outer lip below the shaft, from the angle to two thirds of the length."""
    inside = np.flatnonzero((bone.share > 0.16) & (bone.share < 0.7))
    line, normal = bone.line[inside], bone.normal[inside]
    along = np.gradient(line, axis=0)
    down = np.cross(along, normal)
    down *= -np.sign(down[:, 2:]) / np.linalg.norm(down, axis=1, keepdims=True)
    height, thickness = bone.half_height[inside, None], bone.half_thickness[inside, None]
    fade = np.clip(np.minimum(bone.share[inside] - 0.16, 0.7 - bone.share[inside]) / 0.1, 0.2, 1)[:, None]
    lip = line + down * height * (0.7 + 0.25 * fade) + normal * thickness * 0.35
    return rod(lip, 0.28 * height[:, 0], 0.32 * thickness[:, 0], normal)
