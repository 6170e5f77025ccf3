"""The heart: its chambers as egg-shaped lofts with walls between them, lying on the diaphragm, in a layer of fat.

Sizes are ours and go with the width of the silhouette. Published means at end-diastole in men are about 150 and 165 ml
for left and right ventricle (Maceira et al. 2006, J Cardiovasc Magn Reson 8:417 and Eur Heart J 27:2879; reference
ranges by Petersen et al. 2017, J Cardiovasc Magn Reson 19:18); a heart of 130 mm here has 140 and 130 ml, as between
systole and diastole, and 80 and 95 ml in left and right atrium. The share of the width that lies right of the midline,
and the directions of the axes, are ours, from films and the masks of a CT.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from synth.anatomy.labels import LOBES
from synth.anatomy.solids import Loft, Stroke, Tubes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from synth.anatomy.diaphragm import Diaphragm
    from synth.anatomy.frame import Frame

__all__ = ["Egg", "Heart", "heart", "loft_points", "plan_heart"]

_OVER = (*LOBES, "torso_fat", "pericardial_fat", "heart", "atrial_appendage_left")
_WIDTH_MM = 130.0
_RIGHT_SHARE = 0.31  # of the silhouette's width, right of the midline
_WALLS = {"right_ventricle": 4.0, "right_atrium": 2.5, "left_atrium": 2.0, "left_ventricle": 10.0}
_LENGTH_MM = 101.0  # from the base to the apex
_DEPTH_MM = 110.0  # from the left atrium's back to the right ventricle's front
_EAR = np.array([1.0, 1.0, 0.6])  # how the left atrial appendage tapers
_HANGS_MM = 92.0  # from the carina to the base, at most: the great vessels hold the heart when the domes are low
_CLEAR_MM = 1.5  # between the fat around the heart and the diaphragm's surface
_N_THETA, _N_W = 48, 25
_DEPTHS = np.linspace(0.05, 1.0, 14)


@dataclass(frozen=True, eq=False)
class Egg:
    """Two unlike halves on a common elliptic section.

    Attributes:
        centre: (3,) of that section, world mm.
        axes: (3, 3), rows: the section's two axes and the long one, right-handed.
        half: Half axes of the section, mm.
        behind: Length against the long axis, mm.
        ahead: Length along it, mm.
        blunt: Exponents of the two profiles, behind and ahead: 2 is an ellipsoid, less is more pointed.
    """

    centre: NDArray[np.float64]
    axes: NDArray[np.float64]
    half: tuple[float, float]
    behind: float
    ahead: float
    blunt: tuple[float, float] = (2.0, 2.0)

    def loft(self, grow: float = 0.0, floor: Diaphragm | None = None, gap: float = 0.0) -> Loft:
        """The egg with all half axes `grow` longer, cut off `gap` above the diaphragm; mm."""
        behind, ahead = self.behind + grow, self.ahead + grow
        w = np.linspace(-behind, ahead, _N_W)
        t = np.abs(w) / np.where(w < 0, behind, ahead)
        profile = np.maximum(1 - t ** np.where(w < 0, *self.blunt), 0)
        theta = np.arange(_N_THETA) * 2 * np.pi / _N_THETA
        ellipse = 1 / np.hypot(np.cos(theta) / (self.half[0] + grow), np.sin(theta) / (self.half[1] + grow))
        radius = np.sqrt(profile)[:, None] * ellipse
        solid = Loft(radius, np.zeros((_N_W, 2)), w[0], w[1] - w[0], self.centre, self.axes)
        return solid if floor is None else replace(solid, radius=radius * _share_above(solid, floor, gap))


@dataclass(frozen=True, eq=False)
class Heart:
    """Where the chambers are, and what leaves and enters; world mm.

    Attributes:
        scale: Size relative to a heart of 130 mm.
        base: (3,) middle of the plane of the valves.
        left_ventricle: Its outer surface.
        right_ventricle: Its blood.
        right_atrium: Its blood.
        left_atrium: Its blood.
        appendage: (n, 3) axis of the left atrial appendage.
        outflow: (n, 3) axis of the right ventricle's outflow tract, ending at the pulmonary valve.
        aortic_valve: (3,).
        superior_mouth: (3,) where the superior vena cava enters.
        inferior_mouth: (3,) where the inferior one does.
        ostia: (4, 3) of the pulmonary veins: left superior, left inferior, right superior, right inferior.
        fat_mm: Thickness of the fat under and on the pericardium.
    """

    scale: float
    base: NDArray[np.float64]
    left_ventricle: Egg
    right_ventricle: Egg
    right_atrium: Egg
    left_atrium: Egg
    appendage: NDArray[np.float64]
    outflow: NDArray[np.float64]
    aortic_valve: NDArray[np.float64]
    superior_mouth: NDArray[np.float64]
    inferior_mouth: NDArray[np.float64]
    ostia: NDArray[np.float64]
    fat_mm: float

    @property
    def outlets_mm(self) -> tuple[float, float]:
        """Radius of the outflow tract's and of the appendage's lumen, mm."""
        return 13.5 * self.scale, 10.0 * self.scale

    def outside(self, frame: Frame) -> tuple[Loft | Tubes, ...]:
        """What bounds the silhouette: all chambers with their walls and fat, on the diaphragm."""
        outflow, appendage = self.outlets_mm
        layer = {"left_ventricle": self.fat_mm} | {
            name: self.fat_mm + _WALLS[name] for name in ("right_ventricle", "right_atrium", "left_atrium")
        }
        eggs = [getattr(self, name).loft(grow, frame.diaphragm, _CLEAR_MM) for name, grow in layer.items()]
        ways = [
            Tubes.along(self.outflow, outflow + _WALLS["right_ventricle"] + self.fat_mm),
            Tubes.along(self.appendage, appendage * _EAR + 2),
        ]
        return (*eggs, *ways)


def plan_heart(frame: Frame) -> Heart:
    """Places the chambers between breastbone, spine, carina and diaphragm, so that the silhouette has its width."""
    build, floor = frame.build, frame.diaphragm
    scale = build.heart_width_mm / _WIDTH_MM
    fat = 1.0 + 5.0 * build.visceral_fat
    base, apex, rear, deep = _stand(frame, scale)
    long = float(np.linalg.norm(apex - base))
    d = (apex - base) / long
    p = np.array([-0.55, -0.83, 0.0])  # from the left to the right ventricle
    p = p - (p @ d) * d
    p /= np.linalg.norm(p)
    q = np.cross(p, d)  # upward
    axes = np.stack([q, p, d])
    wide = scale * np.sqrt(scale**0.4 * _LENGTH_MM / long)  # a longer heart is a slimmer one
    left = Egg(apex - 0.70 * long * d, axes, (37 * wide, 36 * wide * deep), 0.36 * long, 0.70 * long, (3.0, 1.6))
    shift = (1 - _RIGHT_SHARE) * build.heart_width_mm - loft_points(left.loft(fat, floor, _CLEAR_MM))[:, 0].max()
    move = np.array([shift, 0.0, 0.0])
    left = replace(left, centre=left.centre + move)
    right = Egg(
        left.centre + p * 22 * wide * deep - q * 5 * wide, axes, (46 * wide, 33 * wide * deep), 0.42 * long, 0.58 * long
    )
    edge = loft_points(right.loft(fat + _WALLS["right_ventricle"], floor, _CLEAR_MM))[:, 0].min()
    inward = max(0.0, -_RIGHT_SHARE * build.heart_width_mm - edge)  # the right border is the atrium's
    right = replace(right, centre=right.centre + np.array([inward, 0, 0]))
    half = 25.0 * scale
    x = half + fat + _WALLS["right_atrium"] - _RIGHT_SHARE * build.heart_width_mm
    y = base[1] - 13 * deep * scale
    bottom = max(float(floor.height(x, y)) + _CLEAR_MM + fat, base[2] - 66 * scale)
    roof = base[2] + 34 * scale
    middle = 0.5 * (bottom + roof)
    right_atrium = Egg(np.array([x, y, middle]), np.eye(3), (half, 27 * deep * scale), roof - middle, roof - middle)
    z = min(base[2] + 29 * scale, frame.carina[2] - 26 - 24 * scale)
    centre = np.array([6.0 * scale, rear - 20 * deep * scale, z])
    left_atrium = Egg(centre, np.eye(3), (33 * scale, 20 * deep * scale), 24 * scale, 24 * scale, (2.4, 2.4))

    def off(origin: NDArray[np.float64], *offsets: tuple[float, float, float]) -> NDArray[np.float64]:
        points: NDArray[np.float64] = origin + np.array(offsets) * [scale, deep * scale, scale]
        return points

    return Heart(
        scale=scale,
        base=base,
        left_ventricle=left,
        right_ventricle=right,
        right_atrium=right_atrium,
        left_atrium=left_atrium,
        appendage=off(centre, (24, -10, 8), (34, -24, 9), (36, -40, 4)),
        outflow=off(base, (18, -58, -10), (16, -52, 10), (14, -40, 30)),
        aortic_valve=off(base, (0, -14, 10))[0],
        superior_mouth=np.array([x - 4 * scale, y + 3, roof - 8 * scale]),
        inferior_mouth=np.array([x - 2 * scale, y + 12 * deep * scale, bottom + 8 * scale]),
        ostia=off(centre, (30, 6, 13), (29, 8, -9), (-28, 6, 12), (-27, 8, -10)),
        fat_mm=fat,
    )


def heart(shape: Heart, frame: Frame, hu: Mapping[str, float]) -> list[Stroke]:
    """Fat, walls and chambers, in the order of painting.

    Args:
        shape: From `plan_heart`.
        frame: The plan of the body.
        hu: Mean HU by tissue.
    """
    floor, wall = frame.diaphragm, _WALLS
    outflow, appendage = shape.outlets_mm

    def egg(name: str, thickness: float) -> Loft:
        chamber: Egg = getattr(shape, name)
        inner = wall[name] if name != "left_ventricle" else 0.0
        gap = _CLEAR_MM + shape.fat_mm + inner - thickness
        return chamber.loft(thickness, floor, gap)

    def stroke(solids: tuple[Loft | Tubes, ...], tissue: str, label: str, part: str) -> Stroke:
        return Stroke(solids, hu[tissue], label, part, _OVER, group="heart")

    rights = ("right_atrium", "left_atrium", "right_ventricle")
    walls = tuple(egg(name, wall[name]) for name in rights)
    way = Tubes.along(shape.outflow, outflow + wall["right_ventricle"])
    ear = Tubes.along(shape.appendage, appendage * _EAR)
    cavity = replace(_hollow(shape.left_ventricle), centre=shape.left_ventricle.centre)
    cavity_gap = _CLEAR_MM + shape.fat_mm + wall["left_ventricle"]
    return [
        stroke(shape.outside(frame), "fat_mediastinal", "pericardial_fat", ""),
        stroke((*walls, way), "myocardium", "heart", "heart_myocardium"),
        stroke((ear,), "blood_left_heart", "atrial_appendage_left", "heart_atrium_left"),
        stroke((egg("right_ventricle", 0), Tubes.along(shape.outflow, outflow)), "blood_right_heart", "heart",
               "heart_ventricle_right"),
        stroke((egg("right_atrium", 0),), "blood_right_heart", "heart", "heart_atrium_right"),
        stroke((egg("left_ventricle", 0),), "myocardium", "heart", "heart_myocardium"),
        stroke((cavity.loft(0, floor, cavity_gap),), "blood_left_heart", "heart", "heart_ventricle_left"),
        stroke((egg("left_atrium", 0),), "blood_left_heart", "heart", "heart_atrium_left"),
    ]  # fmt: skip


def loft_points(solid: Loft) -> NDArray[np.float64]:
    """(n, 3): the corners of a loft's surface in the world, mm."""
    n_w, n_theta = solid.radius.shape
    theta = np.arange(n_theta) * 2 * np.pi / n_theta
    u = solid.centre[:, :1] + solid.radius * np.cos(theta)
    v = solid.centre[:, 1:] + solid.radius * np.sin(theta)
    w = np.broadcast_to((solid.w0 + np.arange(n_w) * solid.dw)[:, None], u.shape)
    points: NDArray[np.float64] = solid.origin + np.stack([u, v, w], axis=-1).reshape(-1, 3) @ solid.axes
    return points


def _hollow(ventricle: Egg) -> Egg:
    """The left ventricle's cavity: its wall is thinner at the apex and open at the base."""
    thick = _WALLS["left_ventricle"]
    a, b = ventricle.half
    return replace(
        ventricle, half=(a - thick, b - thick), behind=ventricle.behind - 4.0, ahead=ventricle.ahead - 0.9 * thick
    )


def _stand(frame: Frame, scale: float) -> tuple[NDArray[np.float64], NDArray[np.float64], float, float]:
    """Base, apex, the left atrium's back (y, mm), and the room from front to back relative to what the heart wants."""
    spine, floor = frame.spine, frame.diaphragm
    apex = frame.heart_apex.copy()
    least = max(float(floor.height(10.0, apex[1])) + 30 * scale, frame.carina[2] - _HANGS_MM * frame.build.trunk_scale)
    z = float(np.clip(frame.heart_base[2] - 8 * scale, least, frame.carina[2] - 58 * scale))
    bodies = [bone for bone in spine.vertebrae.values() if abs(bone.centre[2] - z - 20) < 30]
    rear = min(bone.centre[1] - bone.depth / 2 for bone in bodies) - 11.0
    front = float(frame.cage.front(z - 20)) + 7.0
    # A wide shadow is a broader heart more than a larger one: depth grows with the square root of the width.
    deep = float(np.clip((rear - front) / (_DEPTH_MM * scale), 0.6, 1.08 / np.sqrt(scale)))
    base = np.array([6.0 * scale, rear - 37 * deep * scale, z])
    apex[1] = base[1] - 55 * deep * scale
    apex[2] = max(float(floor.height(apex[0] - 6, apex[1])) + 11 * scale, z - 70 * scale)
    return base, apex, rear, deep


def _share_above(solid: Loft, floor: Diaphragm, gap: float) -> NDArray[np.float64]:
    """(n_w, n_theta): the share of every radius of a loft that is `gap` above the diaphragm."""
    n_w, n_theta = solid.radius.shape
    theta = np.arange(n_theta) * 2 * np.pi / n_theta
    spokes = np.stack([np.cos(theta), np.sin(theta)], axis=-1) @ solid.axes[:2]
    middle = solid.origin + (solid.w0 + np.arange(n_w) * solid.dw)[:, None] * solid.axes[2]
    ends = solid.radius[..., None] * spokes
    tips = middle[:, None] + ends
    share = np.ones((n_w, n_theta))
    i, j = np.nonzero(tips[..., 2] - gap < _height(floor, tips[..., 0], tips[..., 1]))
    points = middle[i, None] + _DEPTHS[:, None] * ends[i, j, None]
    over = points[..., 2] - gap - _height(floor, points[..., 0], points[..., 1])
    first = (over < 0).argmax(axis=-1)
    index, rows = np.maximum(first, 1), np.arange(len(i))
    before, after = over[rows, index - 1], over[rows, index]
    cut = _DEPTHS[index - 1] + (_DEPTHS[1] - _DEPTHS[0]) * before / np.maximum(before - after, 1e-6)
    share[i, j] = np.where(first == 0, 0.0, cut)
    return share


def _height(floor: Diaphragm, x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """The diaphragm's height by its own table, bilinear: many times faster than its interpolator."""
    column = np.clip((x - floor.x[0]) / (floor.x[1] - floor.x[0]), 0, len(floor.x) - 1.001)
    row = np.clip((y - floor.y[0]) / (floor.y[1] - floor.y[0]), 0, len(floor.y) - 1.001)
    j, i = column.astype(int), row.astype(int)
    a, b = column - j, row - i
    low = (1 - a) * floor.z[i, j] + a * floor.z[i, j + 1]
    high = (1 - a) * floor.z[i + 1, j] + a * floor.z[i + 1, j + 1]
    height: NDArray[np.float64] = (1 - b) * low + b * high
    return height
