"""The vertebrae, their discs, and the canal: bodies with a waist, arches, joints and processes.

Pedicles and canal after Panjabi et al. 1991 and 1992 (Spine 16:861, 16:888, 17:299) and Zindrick et al. 1987 (Spine
12:160), processes after the same and Gray's Anatomy, rounded by us, for the default man; other bodies scale with the
width of T8.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from synth.anatomy.bone import core, marrow, rod, shell
from synth.anatomy.solids import Loft, Stroke, Tubes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from synth.anatomy.frame import Frame
    from synth.anatomy.ribs import RibBone
    from synth.anatomy.spine import Vertebra

__all__ = ["vertebrae"]


class _Arch(NamedTuple):
    """Measures of what stands behind a body, mm and degrees, for the default man."""

    pedicle_width: float
    pedicle_height: float
    canal_width: float
    canal_depth: float
    reach: float  # of the transverse process from the midline
    spinous: float  # length behind the laminae
    slope: float  # of the spinous process below the vertebra's backward direction
    edge: float  # half height of the spinous process


_ARCHES: Mapping[str, _Arch] = {
    "C5": _Arch(5.5, 7.0, 24.5, 15.5, 26.0, 15.0, 15.0, 4.0),
    "C6": _Arch(6.0, 7.5, 25.0, 15.5, 28.0, 20.0, 15.0, 4.0),
    "C7": _Arch(6.8, 8.0, 24.0, 15.5, 34.0, 29.0, 16.0, 4.5),
    "T1": _Arch(8.0, 9.8, 21.5, 16.0, 37.0, 32.0, 22.0, 4.8),
    "T2": _Arch(6.8, 11.2, 19.0, 16.0, 34.0, 32.0, 32.0, 5.0),
    "T3": _Arch(5.6, 11.8, 18.0, 16.2, 31.5, 32.0, 38.0, 5.0),
    "T4": _Arch(5.0, 11.9, 17.5, 16.4, 30.5, 34.0, 44.0, 5.0),
    "T5": _Arch(5.0, 11.9, 17.3, 16.6, 30.5, 36.0, 50.0, 5.0),
    "T6": _Arch(5.2, 12.2, 17.4, 16.8, 31.0, 38.0, 54.0, 5.2),
    "T7": _Arch(5.6, 12.6, 17.5, 16.8, 31.0, 39.0, 55.0, 5.4),
    "T8": _Arch(6.0, 13.0, 17.8, 16.8, 31.0, 38.0, 52.0, 5.6),
    "T9": _Arch(6.6, 14.2, 18.0, 16.8, 30.0, 34.0, 45.0, 6.0),
    "T10": _Arch(7.2, 15.2, 18.4, 16.8, 27.0, 29.0, 36.0, 6.8),
    "T11": _Arch(8.4, 16.8, 19.6, 17.0, 23.0, 25.0, 26.0, 8.0),
    "T12": _Arch(8.4, 16.8, 22.0, 18.0, 21.0, 25.0, 17.0, 9.5),
    "L1": _Arch(8.8, 16.0, 23.5, 18.5, 37.0, 29.0, 11.0, 11.0),
    "L2": _Arch(9.0, 15.4, 23.8, 18.2, 42.0, 31.0, 10.0, 12.0),
    "L3": _Arch(10.4, 15.0, 24.2, 17.8, 47.0, 32.0, 10.0, 12.0),
}
_T8_WIDTH_MM = 31.6  # of the default man

_N_THETA, _N_W = 48, 13
_WAIST = 0.10
"""How much narrower a body is at mid height than at its ends (ours; about 2 mm a side)."""
_SHELL_MM, _ARCH_SHELL_MM = 0.45, 0.6
"""Cortex of bodies (0.4 mm: Silva et al. 1994, Spine 19:1467, and a little for what CT blurs into it) and of arches."""
_HOLLOW_MM = 1.6
"""How deep the endplates are hollowed in the middle, in youth (Lakshmanan et al. 2012, Eur Spine J 21 Suppl 2:160)."""
_GROUP = "spine"


def vertebrae(
    frame: Frame, hu: Mapping[str, float], generator: np.random.Generator, ribs: tuple[RibBone, ...]
) -> list[Stroke]:
    """Strokes of the spine from C5 to L3, of its discs and of its canal.

    Args:
        frame: The plan of the body.
        hu: Tissue → mean value.
        generator: Draws osteophytes and small differences between bones.
        ribs: Those of the same body: transverse processes reach their tubercles.
    """
    bones = list(frame.spine.vertebrae.values())
    scale = frame.spine.vertebrae["T8"].width / _T8_WIDTH_MM
    joints = {(rib.number, rib.side): rib.joint for rib in ribs if rib.joint is not None}
    strokes = [_disc_filler(*pair, hu) for pair in itertools.pairwise(bones)]
    arches = []
    for bone in bones:
        spurs = _spurs(frame.build.osteophytes, bone, generator)
        parts = _arch(bone, scale * float(np.exp(0.03 * np.clip(generator.standard_normal(), -2, 2))), joints)
        body, label = _body(bone, spurs), f"vertebrae_{bone.name}"
        strokes += [
            shell((body, parts), label, hu["cortical_bone"], _GROUP),
            marrow((body,), label, hu["trabecular"], _GROUP, _SHELL_MM),
        ]
        inner = core(parts, _ARCH_SHELL_MM)
        arches.append(marrow((inner,), label, hu["trabecular"], _GROUP))
    strokes += arches
    for pair in itertools.pairwise(bones):
        strokes += _endplates(*pair, frame.build.osteophytes, frame.build.age, hu)
    return strokes + _canal(bones, scale, hu)


def _outline(bone: Vertebra) -> NDArray[np.float64]:
    """(n_theta,) radii of a body's rim: an ellipse cut flat behind, hollowed a little by the canal."""
    theta = np.arange(_N_THETA) * 2 * np.pi / _N_THETA
    cos, sin = np.cos(theta), np.sin(theta)
    ellipse = (np.abs(cos / (bone.width / 2)) ** 2.3 + np.abs(sin / (bone.depth / 2)) ** 2.3) ** (-1 / 2.3)
    hollow = bone.depth / 2 * (0.97 - 0.08 * np.exp(-((cos / 0.35) ** 2)))
    back = np.where(sin > 0.2, hollow / np.maximum(sin, 0.2), np.inf)
    return np.minimum(ellipse, back)


def _body(bone: Vertebra, spurs: NDArray[np.float64]) -> Loft:
    """A body; `spurs` (2, n_theta) mm widen its lower and upper rim."""
    w = np.linspace(-1, 1, _N_W)
    waist = 1 - _WAIST * (1 - np.abs(w) ** 2.5)
    rounded = np.where(np.abs(w) == 1, 0.965, 1.0)
    radius = _outline(bone) * (waist * rounded * (1 - 0.02 * w))[:, None]
    from_end = (1 - np.abs(w)) * bone.height / 2
    ends = np.where(w[:, None] < 0, spurs[0], spurs[1])
    radius = radius + ends * np.exp(-from_end / 2.2)[:, None]
    return Loft(radius, np.zeros((_N_W, 2)), -bone.height / 2, bone.height / (_N_W - 1), bone.centre, bone.axes)


def _spurs(osteophytes: float, bone: Vertebra, generator: np.random.Generator) -> NDArray[np.float64]:
    """(2, n_theta) mm: how far osteophytes stand out from the lower and upper rim.

    In the thorax they grow on the right and in front, the beating aorta holding those on the left back (Goldberg &
    Carter 1978, J Comput Assist Tomogr 2:12); elsewhere on both sides.
    """
    theta = np.arange(_N_THETA) * 2 * np.pi / _N_THETA
    centres = np.array([1.30, 1.05, 1.5, 1.72, 1.95]) * np.pi  # right and front, right, front, left and front, left
    left = 0.35 if bone.name.startswith("T") else 1.0
    weights = np.array([1.0, 0.9, 0.6, 0.6 * left, 0.9 * left])
    drawn = generator.gamma(2.0, 0.5, (2, len(centres)))
    turn = np.mod(theta - centres[:, None] + np.pi, 2 * np.pi) - np.pi
    lobes = np.exp(-((turn / 0.36) ** 2))
    out: NDArray[np.float64] = np.minimum(osteophytes * 4.0 * (drawn * weights) @ lobes, 9.0)
    return out


def _arch(bone: Vertebra, scale: float, joints: Mapping[tuple[int, str], NDArray[np.float64]]) -> Tubes:
    """Pedicles, laminae, articular, transverse and spinous processes of one vertebra."""
    arch = _Arch(*(value * scale for value in _ARCHES[bone.name]))._replace(slope=_ARCHES[bone.name].slope)
    # Points of an arch (left, back, up) by what they are named for; the right side mirrors them.
    px = arch.canal_width / 2 + arch.pedicle_width / 2
    py = bone.height / 2 - arch.pedicle_height / 2 + 0.5
    pillar = bone.depth / 2 + 0.72 * arch.canal_depth + 2.5
    behind = bone.depth / 2 + arch.canal_depth + 3.0
    parts = [_spinous(bone, arch, behind, scale)]
    for side in ("left", "right"):
        sign = 1.0 if side == "left" else -1.0
        from_x = min(px, bone.width / 2 - arch.pedicle_width / 2)
        pedicle = _points(bone, sign, (from_x, bone.depth / 2 - 3.0, py), (px, pillar - 2.0, py))
        parts += [
            rod(pedicle, arch.pedicle_height / 2, arch.pedicle_width / 2, bone.axes[0]),
            _lamina(bone, sign, px, pillar, behind, scale),
            *_joints(bone, sign, px, pillar, scale),
            _transverse(bone, sign, arch, px, pillar, scale, joints.get((_level(bone.name), side))),
        ]
    return Tubes.merged(parts)


def _points(bone: Vertebra, sign: float, *points: tuple[float, float, float]) -> NDArray[np.float64]:
    """(n, 3) world: points (left, back, up) of a vertebra, mirrored for sign −1."""
    return np.array([bone.at(sign * left, back, up) for left, back, up in points])


def _level(name: str) -> int:
    """Number of the rib at a vertebra, 0 where there is none."""
    return int(name[1:]) if name.startswith("T") else 0


def _lamina(bone: Vertebra, sign: float, px: float, pillar: float, behind: float, scale: float) -> Tubes:
    """The plate from an articular pillar to the root of the spinous process, like a shingle over the next."""
    flat = sign * (behind - pillar) * bone.axes[0] + px * bone.axes[1] + 0.35 * px * bone.axes[2]
    line = _points(bone, sign, (px, pillar, -1.0), (1.0, behind, -0.16 * bone.height))
    height = min(0.42 * bone.height, 9.5 * scale)
    return rod(line, height, 2.8 * scale, flat)


def _joints(bone: Vertebra, sign: float, px: float, pillar: float, scale: float) -> list[Tubes]:
    """The upper and the lower articular process: in a frontal plane in the thorax, a sagittal one in the loins."""
    lumbar = bone.name.startswith("L") or bone.name == "T12"
    up, down = bone.height / 2 + 0.5 * bone.disc + 3.0, -bone.height / 2 - 0.5 * bone.disc - 4.0
    above = _points(bone, sign, (px, pillar, 0.0), (px + 1.0, pillar - 1.8, up))
    if lumbar:
        below = _points(bone, sign, (px - 1.0, pillar + 2.0, 0.0), (px - 3.5, pillar + 4.0, down))
        return [
            rod(above, [6.0 * scale, 5.5 * scale], 3.0 * scale, bone.axes[0] - sign * 0.6 * bone.axes[1]),
            rod(below, [6.0 * scale, 5.5 * scale], 3.2 * scale, bone.axes[0] - sign * 0.6 * bone.axes[1]),
        ]
    below = _points(bone, sign, (px - 1.0, pillar + 1.5, 0.0), (px - 2.0, pillar + 3.4, down))
    return [
        rod(above, [5.2 * scale, 4.6 * scale], 2.0 * scale, bone.axes[1]),
        rod(below, [5.2 * scale, 4.6 * scale], 2.2 * scale, bone.axes[1]),
    ]


def _transverse(
    bone: Vertebra,
    sign: float,
    arch: _Arch,
    px: float,
    pillar: float,
    scale: float,
    joint: NDArray[np.float64] | None,
) -> Tubes:
    """A transverse process: to the tubercle of its rib, short at T11 and T12, a thin blade in the loins."""
    if joint is not None:
        root = _points(bone, sign, (px, pillar, 1.0))[0]
        tip = joint + 4.2 * scale * bone.axes[1]
        return rod([root, 0.4 * root + 0.6 * tip, tip], np.array([5.0, 3.6, 4.6]) * scale)
    if bone.name.startswith("T"):
        return rod(_points(bone, sign, (px, pillar, 1.0), (arch.reach, pillar + 4.0, -1.0)), [6.0 * scale, 4.0 * scale])
    if bone.name.startswith("L"):
        line = _points(bone, sign, (px, pillar - 6.0, 1.0), (arch.reach, pillar - 5.0, 2.0))
        return rod(line, [6.0 * scale, 4.5 * scale], 2.4 * scale, bone.axes[1])
    line = _points(bone, sign, (px - 2.0, pillar - 5.0, 0.0), (arch.reach, 0.6 * pillar, -1.0))
    return rod(line, [4.8 * scale, 3.6 * scale])


def _spinous(bone: Vertebra, arch: _Arch, behind: float, scale: float) -> Tubes:
    """The spinous process: a blade on edge, thicker at its tip."""
    slope = np.deg2rad(arch.slope)
    t = np.array([0.0, 0.35, 0.75, 1.0])
    line = [
        bone.at(
            0.0, behind - 2.0 + arch.spinous * s * np.cos(slope), -0.12 * bone.height - arch.spinous * s * np.sin(slope)
        )
        for s in t
    ]
    return rod(line, arch.edge * np.array([1.15, 1.0, 0.9, 0.95]), scale * np.array([3.0, 2.0, 2.4, 3.6]), bone.axes[0])


def _between(above: Vertebra, below: Vertebra) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Middle of the disc between two vertebrae, and its axes."""
    top = below.at(0, 0, below.height / 2)
    middle = (top + above.at(0, 0, -above.height / 2)) / 2
    up = above.axes[2] + below.axes[2]
    up /= np.linalg.norm(up)
    left = above.axes[0] - (above.axes[0] @ up) * up
    left /= np.linalg.norm(left)
    return middle, np.stack([left, np.cross(up, left), up])


def _disc_filler(above: Vertebra, below: Vertebra, hu: Mapping[str, float]) -> Stroke:
    """The disc as a short column, painted before the bones it lies between."""
    middle, axes = _between(above, below)
    rim = (_outline(above) + _outline(below)) / 2 * 0.985
    half = above.disc / 2 + 1.0
    column = Loft(np.stack([rim, rim]), np.zeros((2, 2)), -half, 2 * half, middle, axes)
    return Stroke((column,), hu["disc"], "intervertebral_discs", "", group=_GROUP)


def _endplates(
    above: Vertebra, below: Vertebra, osteophytes: float, age: float, hu: Mapping[str, float]
) -> list[Stroke]:
    """Hollows the facing ends of two vertebrae, lined with a plate of cortex, and fills them with the disc.

    Plates thicken where the disc has worn; vertebrae that have lost bone are hollowed deeper.
    """
    middle, axes = _between(above, below)
    rim = (_outline(above) + _outline(below)) / 2 * 0.90
    hollow = _HOLLOW_MM * (1 + 0.5 * max(age - 60, 0) / 35) * above.height / 20
    half = above.disc / 2 + hollow
    w = np.linspace(-half, half, 15)
    cap = np.clip((half - np.abs(w)) / hollow, 0, 1)
    lens = Loft(rim * np.sqrt(cap)[:, None], np.zeros((15, 2)), -half, float(w[1] - w[0]), middle, axes)
    bones = (f"vertebrae_{above.name}", f"vertebrae_{below.name}")
    plate = 0.6 + 0.7 * osteophytes
    return [
        Stroke((lens,), hu["cortical_bone"], None, "", over=bones, inset_mm=-plate, group=_GROUP),
        Stroke((lens,), hu["disc"], "intervertebral_discs", "", over=(*bones, "intervertebral_discs"), group=_GROUP),
    ]


def _canal(bones: list[Vertebra], scale: float, hu: Mapping[str, float]) -> list[Stroke]:
    """The vertebral canal, filled with fluid, and the cord in it, which ends at L1."""
    arches = [_ARCHES[bone.name] for bone in bones]
    width = np.array([arch.canal_width for arch in arches]) * scale / 2
    depth = np.array([arch.canal_depth for arch in arches]) * scale / 2
    line = np.array([bone.at(0, bone.depth / 2 - 0.6 + half, 0) for bone, half in zip(bones, depth, strict=True)])
    normal = np.array([bone.axes[1] for bone in bones])
    canal = rod(line, width, depth - 0.5, normal)
    end = [bone.name for bone in bones].index("L1") + 1
    cord = rod(line[:end], np.linspace(6.5, 4.2, end) * scale, np.linspace(4.2, 3.6, end) * scale, normal[:end])
    return [
        Stroke((canal,), hu["csf"], "spinal_cord", "", group=_GROUP),
        Stroke((cord,), hu["spinal_cord"], None, None, over=("spinal_cord",), group=_GROUP),
    ]
