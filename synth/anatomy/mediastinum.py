"""The mediastinum: the space between the lungs, and all that lies in it.

The space is what lies between the two mediastinal pleurae, one surface each over the sagittal plane: they cover what
reaches furthest to either side, with fat between, so that every border of the silhouette has its organ behind it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from synth.anatomy.great_vessels import (
    SOFT,
    Places,
    Vessel,
    aorta_plaques,
    artery_ends,
    curve,
    great_vessels,
    pulmonary_fork,
    stroke_of,
)
from synth.anatomy.heart import heart, loft_points, plan_heart
from synth.anatomy.labels import LOBES
from synth.anatomy.solids import Loft, Slab, Stroke, Tubes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from synth.anatomy.frame import Frame
    from synth.anatomy.heart import Heart

__all__ = ["Roots", "mediastinum", "pulmonary_roots"]

_CELL_MM = 3.0
_REACH_MM = 42.0  # from the midline, beyond which vessels run in the lungs, not in the mediastinum
_WALL_MM = 1.6  # of the windpipe
_LINING_MM = 2.5  # of the wall that the lungs' blurred edge may reach into
_NODES_MM = 9.0  # half the width of the space below the carina, at least
_APEX_MM = 31.0  # height of the domes of the pleura beside the neck


@dataclass(frozen=True, eq=False)
class Roots:
    """Where the trees of the lungs begin; (3,) each, world mm.

    Attributes:
        fork: Where the pulmonary trunk divides.
        right_artery: End of the right pulmonary artery at its hilum.
        left_artery: End of the left one.
        ostia: (4, 3) of the pulmonary veins in the left atrium: left superior, left inferior, right superior, right
            inferior.
        trunk_radius: Of the pulmonary trunk, mm.
        vein_radius: Of a pulmonary vein at its ostium, mm.
    """

    fork: NDArray[np.float64]
    right_artery: NDArray[np.float64]
    left_artery: NDArray[np.float64]
    ostia: NDArray[np.float64]
    trunk_radius: float
    vein_radius: float


def pulmonary_roots(frame: Frame) -> Roots:
    """Where the vessels of the lungs join the mediastinum; no random part."""
    shape = plan_heart(frame)
    right, left = artery_ends(frame)
    fork = pulmonary_fork(Places(frame, float(shape.base[2])))
    return Roots(fork, right, left, shape.ostia, frame.build.pulmonary_trunk_mm / 2, 7.5 * shape.scale)


def mediastinum(frame: Frame, hu: Mapping[str, float], generator: np.random.Generator) -> list[Stroke]:
    """Fat, heart, vessels, windpipe, gullet, thyroid, thymus and lymph nodes, in the order of painting.

    Args:
        frame: The plan of the body.
        hu: Mean HU by tissue.
        generator: Draws calibres, plaques, nodes, the gullet's air and how the lungs meet in front.
    """
    shape = plan_heart(frame)
    vessels = great_vessels(frame, shape, generator)
    airway, wall = _windpipe(frame)
    gullet, gullet_strokes = _gullet(frame, hu, generator)
    glands = _thyroid(frame, hu, generator)
    space = _space(frame, shape, vessels, [wall], gullet, generator.choice([-1.0, 1.0]) * generator.uniform(0.1, 1.0))
    over = (*SOFT, "heart", "atrial_appendage_left", "esophagus", *dict.fromkeys(v.label for v in vessels.values()))
    below = (*over, "liver")
    strokes = [Stroke((space,), hu["fat_mediastinal"], "torso_fat", "", LOBES, group="mediastinum")]
    strokes += _lining(frame, space, hu)
    strokes += _nodes(frame, hu, generator)
    strokes += gullet_strokes
    strokes += heart(shape, frame, hu)
    strokes += [stroke_of(vessel, hu, below if name == "inferior" else over) for name, vessel in vessels.items()]
    strokes += aorta_plaques(vessels["aorta"], frame.build.aortic_calcification, hu, generator)
    strokes += glands
    strokes += [
        Stroke(
            (wall,), hu["airway_wall"], "trachea", "airway_wall", (*over, "thyroid_gland", "esophagus"), group="airway"
        ),
        Stroke((airway,), hu["air"], "trachea", "airway_lumen", ("trachea",), group="airway"),
    ]
    return strokes


def _lining(frame: Frame, space: Slab, hu: Mapping[str, float]) -> list[Stroke]:
    """Takes the air out of the wall that the space touches: lungs were painted there before, with a blurred edge.

    The parts of the wall serve as a stencil: marked within the space, painted near the cavity, and wiped.
    """
    wall, marked = ("skeletal_muscle",), "bone_marrow"
    return [
        Stroke((space,), None, None, marked, wall, ("",), group="mediastinum"),
        Stroke((frame.cage.cavity,), hu["muscle"], None, None, wall, (marked,), -_LINING_MM, group="mediastinum"),
        Stroke((space,), None, None, "", wall, (marked,), group="mediastinum"),
    ]


def _windpipe(frame: Frame) -> tuple[Loft, Loft]:
    """Lumen and outside of larynx and trachea, to 90 mm above the cricoid: flat behind, a slit at the vocal cords."""
    top, carina = frame.trachea_top, frame.carina
    dw = 3.0
    length = float(top[2] - carina[2])
    w = np.arange(0.0, length + 90.0, dw)
    x = np.interp(w, [0, length], [carina[0], top[0]]) - 3.5 * np.exp(-(((w - 22) / 20) ** 2))
    y = np.interp(w, [0, length, length + 90], [carina[1], top[1], top[1] - 4.0])
    theta = np.arange(32) * 2 * np.pi / 32
    up = w - length
    half_x = frame.build.trachea_mm / 2 * np.interp(up, [-8, 6, 16, 22, 35, 90], [1, 0.75, 0.3, 0.55, 1.2, 1.6])
    half_y = frame.build.trachea_mm / 2 * np.interp(up, [-8, 6, 16, 22, 35, 90], [1, 1.05, 1.1, 0.8, 0.6, 0.5])
    ellipse = 1 / np.hypot(np.cos(theta) / half_x[:, None], np.sin(theta) / half_y[:, None])
    flat = np.minimum(ellipse, 0.72 * half_y[:, None] / np.maximum(np.sin(theta), 1e-3))
    radius = np.where((up[:, None] < 0) & (theta < np.pi), flat, ellipse)
    solids = [Loft(radius + extra, np.stack([x, y], axis=-1), float(carina[2]), dw) for extra in (0.0, _WALL_MM)]
    return solids[0], solids[1]


def _gullet(frame: Frame, hu: Mapping[str, float], generator: np.random.Generator) -> tuple[Tubes, list[Stroke]]:
    """The oesophagus, collapsed behind the windpipe, then behind the left atrium, at T10 leftward to the stomach."""
    carina, top, spine = frame.carina, frame.trachea_top, frame.spine
    z_end = float(frame.diaphragm.height(22.0, carina[1] - 20.0)) - 14.0
    z_hiatus = max(spine.z(10.3), z_end + 22.0)
    front = Places(frame, 0.0).spine_front
    z_mid = 0.5 * (carina[2] + z_hiatus)
    points = np.array([
        [top[0] + 1, top[1] + 14.0, top[2] + 5],
        [carina[0] + 5, carina[1] + 15.0, carina[2] + 45],
        [carina[0] + 6, carina[1] + 14.0, carina[2]],
        [3.0 + 0.5 * spine.axis(z_mid)[0], float(front(z_mid)) - 9.0, z_mid],
        [9.0, float(front(z_hiatus)) - 18.0, z_hiatus],
        [26.0, float(front(z_end)) - 34.0, z_end],
    ])  # fmt: skip
    points[1:3, 1] = np.minimum(points[1:3, 1], front(points[1:3, 2]) - 5.0)
    line, _ = curve(points)
    tube = Tubes.along(line, 8.0, normal=np.array([0.0, 1.0, 0.3]), flat=0.6)
    strokes = [Stroke((tube,), hu["oesophagus"], "esophagus", "", SOFT, group="mediastinum")]
    for start in generator.uniform(0.15, 0.8, int(generator.integers(1, 4))):
        i = int(start * (len(line) - 4))
        bubble = Tubes.along(line[i : i + 4], generator.uniform(1.5, 3.5), normal=np.array([0.0, 1.0, 0.3]), flat=0.6)
        strokes.append(Stroke((bubble,), hu["gas"], "esophagus", "gas", ("esophagus",), group="mediastinum"))
    return tube, strokes


def _thyroid(frame: Frame, hu: Mapping[str, float], generator: np.random.Generator) -> list[Stroke]:
    """Two lobes beside the windpipe from C6 to T1, joined before it."""
    size = (0.9 if frame.build.female else 1.0) * (1 + 0.08 * np.clip(generator.standard_normal(2), -2, 2))
    middle = frame.trachea_top + 0.28 * (frame.carina - frame.trachea_top)
    lean = (frame.carina - frame.trachea_top) / np.linalg.norm(frame.carina - frame.trachea_top)
    out = frame.build.trachea_mm / 2 + _WALL_MM + 5.5
    steps = np.array([-22.0, -8.0, 8.0, 22.0])
    lobes = []
    for sign, big in ((1.0, size[0]), (-1.0, size[1])):
        line = middle + np.array([sign * out, 2.0, 0]) - np.outer(steps * big, lean)
        lobes.append(Tubes.along(line, np.array([4.0, 7.5, 8.5, 6.0]) * big))
    front = middle + 8.0 * lean + [0, -out + 2.0, 0]
    bridge = Tubes.along(np.array([front - [out, -8, 0], front, front + np.array([out, 8, 0])]), 4.5)
    return [Stroke((*lobes, bridge), hu["thyroid"], "thyroid_gland", "", SOFT, group="mediastinum")]


def _nodes(frame: Frame, hu: Mapping[str, float], generator: np.random.Generator) -> list[Stroke]:
    """Lymph nodes of ordinary size, 3 to 7 mm across, and what is left of the thymus."""
    carina = frame.carina
    sites = np.array([[-14, -12, 18], [-16, -8, 30], [14, -14, 12], [2, -4, -16], [-8, -2, -14], [24, -22, 2]], float)
    places = carina + sites + generator.normal(0, 2.0, sites.shape)
    radii = generator.uniform(1.5, 3.5, len(sites))
    nodes = tuple(
        Tubes.along(np.array([p, p + np.array([1.0, 0, 3.0])]), r) for p, r in zip(places, radii, strict=True)
    )
    z = carina[2] + np.array([32.0, 12.0, -12.0])
    y = frame.cage.front(z) + np.array([16.0, 14.0, 12.0])
    shrink = float(np.interp(frame.build.age, [18, 60], [1.0, 0.6]))
    thymus = Tubes.along(np.stack([np.array([0.0, 3.0, 6.0]), y, z], axis=-1), np.array([9.0, 11.0, 6.0]) * shrink,
                         normal=np.array([0.0, 1.0, 0]), flat=0.5)  # fmt: skip
    return [
        Stroke((thymus,), hu["thymus"], "torso_fat", "", ("torso_fat",), group="mediastinum"),
        Stroke(nodes, hu["lymph_node"], None, None, ("torso_fat",), group="mediastinum"),
    ]


def _space(
    frame: Frame, shape: Heart, vessels: Mapping[str, Vessel], others: list[Loft], gullet: Tubes, slant: float
) -> Slab:
    """The space between the two mediastinal pleurae: over the plane (y, z), from the right one to the left one."""
    fat = 1.0 + 3.0 * frame.build.visceral_fat
    cage = frame.cage
    y = np.arange(float(cage.front(cage.z).min()) - 6, float(cage.back(cage.z).max()) + 6, _CELL_MM)
    z = np.arange(frame.diaphragm.edge_z - 12, cage.top + 9, _CELL_MM)
    reach = _Reach(y, z)
    for solid in shape.outside(frame):
        reach.take(_dense(solid) if isinstance(solid, Loft) else _skin(solid, 0.0))
    for solid in others:
        reach.take(_dense(solid, fat))
    for tubes in (*(vessel.tubes for vessel in vessels.values()), gullet):
        points = _skin(tubes, fat)
        reach.take(points[np.abs(points[:, 0]) < _REACH_MM])
    for points in (_column(frame), _below_carina(frame, shape), *_pads(frame, shape)):
        reach.take(points)
    return reach.slab(_inlet(frame, z), _sheet(frame, y, z, slant), fat)


class _Reach:
    """How far to either side things reach, over the plane (y, z)."""

    def __init__(self, y: NDArray[np.float64], z: NDArray[np.float64]) -> None:
        self._y, self._z = y, z
        self._right = np.full((len(z), len(y)), np.inf)
        self._left = np.full((len(z), len(y)), -np.inf)

    def take(self, points: NDArray[np.float64]) -> None:
        """Widens the space around the points of a surface; what lies beside the plane's table is left out."""
        i = np.rint((points[:, 2] - self._z[0]) / _CELL_MM).astype(int)
        j = np.rint((points[:, 1] - self._y[0]) / _CELL_MM).astype(int)
        within = (i >= 0) & (i < len(self._z)) & (j >= 0) & (j < len(self._y))
        at = (i[within], j[within])
        np.minimum.at(self._right, at, points[within, 0])
        np.maximum.at(self._left, at, points[within, 0])

    def slab(self, least: NDArray[np.float64], middle: NDArray[np.float64], fat: float) -> Slab:
        """The space, clefts filled with fat; at least `least` (n_z,) mm to either side of `middle` (n_z, n_y)."""
        cleft = 2 * round(1 + fat / 3) + 1
        sides = []
        for reach, sheet in ((self._left, middle), (-self._right, -middle)):
            wide = np.maximum(reach, sheet + least[:, None])
            wide = np.maximum(wide, ndimage.grey_closing(wide, size=(cleft, cleft)))
            sides.append(np.maximum(wide, ndimage.gaussian_filter(wide, 1.0)))
        axes = np.array([[0.0, 1, 0], [0, 0, 1], [1, 0, 0]])  # w is x
        return Slab(-sides[1], sides[0], self._y[0], self._z[0], _CELL_MM, _CELL_MM, axes=axes)


def _dense(solid: Loft, grow: float = 0.0) -> NDArray[np.float64]:
    """(n, 3): points of a loft's surface, twice as many as its corners each way."""
    radius, centre = solid.radius + grow, solid.centre
    for _ in range(1):
        radius = np.stack([radius, (radius + np.roll(radius, -1, axis=1)) / 2], axis=2).reshape(len(radius), -1)
        radius, centre = (np.repeat(table, 2, axis=0)[:-1] for table in (radius, centre))
        radius[1::2] = (radius[:-1:2] + radius[2::2]) / 2
        centre[1::2] = (centre[:-1:2] + centre[2::2]) / 2
    dw = solid.dw / 2
    return loft_points(Loft(radius, centre, solid.w0, dw, solid.origin, solid.axes))


def _skin(tubes: Tubes, grow: float) -> NDArray[np.float64]:
    """(n, 3): points of the surface of tubes, taken as round, `grow` mm outside."""
    t = np.array([0.0, 0.5])[:, None, None]
    middle = (tubes.start + t * (tubes.end - tubes.start)).reshape(-1, 3)
    radius = (tubes.start_radius + t[..., 0] * (tubes.end_radius - tubes.start_radius)).reshape(-1) + grow
    z = 1 - 2 * (np.arange(120) + 0.5) / 120  # an even spiral on the sphere
    turn = np.arange(120) * np.pi * (3 - np.sqrt(5.0))
    sphere = np.stack([z, np.sqrt(1 - z**2) * np.cos(turn), np.sqrt(1 - z**2) * np.sin(turn)], axis=-1)
    points: NDArray[np.float64] = (middle[:, None] + radius[:, None, None] * sphere).reshape(-1, 3)
    return points


def _column(frame: Frame) -> NDArray[np.float64]:
    """(n, 3): points beside the vertebral bodies: the paraspinal lines."""
    bones = [frame.spine.vertebrae[f"T{number}"] for number in range(12, 0, -1)]
    heights = np.array([bone.centre[2] for bone in bones])
    z = np.arange(heights[0] - 20, heights[-1] + 14, _CELL_MM)
    width, depth = (np.interp(z, heights, [getattr(bone, name) for bone in bones]) for name in ("width", "depth"))
    middle = frame.spine.axis(z)
    t = np.linspace(-1, 1.6, 24)[:, None]
    half = width / 2 * np.sqrt(np.clip(1 - np.minimum(t, 0) ** 2, 0, 1)) + 2.5
    y = middle[:, 1] + t * depth / 2
    sides = [np.stack(np.broadcast_arrays(middle[:, 0] + sign * half, y, z), axis=-1) for sign in (-1, 1)]
    return np.concatenate(sides).reshape(-1, 3)


def _below_carina(frame: Frame, shape: Heart) -> NDArray[np.float64]:
    """(n, 3): points beside the fat and nodes between carina, left atrium and spine, which part the lungs."""
    carina = frame.carina
    z = np.arange(min(float(shape.left_atrium.centre[2]), carina[2] - 30.0), carina[2] + 12.0, _CELL_MM)
    back = Places(frame, 0.0).spine_front(z)
    y = carina[1] - 10.0 + np.linspace(0, 1, 24) * np.maximum(back - carina[1] + 10.0, 0.0)[:, None]
    sides = [np.stack(np.broadcast_arrays(carina[0] + x, y, z[:, None]), axis=-1) for x in (-_NODES_MM, _NODES_MM)]
    return np.concatenate(sides).reshape(-1, 3)


def _pads(frame: Frame, shape: Heart) -> list[NDArray[np.float64]]:
    """Points of the pads of fat in the angles between heart and diaphragm, before and beside the heart."""
    build = frame.build
    radius = 8.0 + 18.0 * build.visceral_fat
    pads = []
    for x in (-0.31 * build.heart_width_mm + radius, 0.66 * build.heart_width_mm - radius):
        y = float(frame.cage.front(shape.base[2] - 20)) + radius + 8.0
        z = float(frame.diaphragm.height(x, y)) + 4.0
        pads.append(_skin(Tubes.along(np.array([[x, y, z], [0.6 * x, y - 12, z]]), radius), 0.0))
    return pads


def _sheet(frame: Frame, y: NDArray[np.float64], z: NDArray[np.float64], slant: float) -> NDArray[np.float64]:
    """(n_z, n_y): x of where the lungs meet: the anterior junction, down to the left, `slant` mm aside per mm forward.

    A steep one stands edge-on in a frontal film: a line in some, as in life.
    """
    fall = np.clip((frame.carina[2] + 45 - z) / 120.0, 0, 1)[:, None]
    forward = np.clip(frame.cage.front(z)[:, None] + 60.0 - y, 0, 70)
    near = np.clip(forward / 35.0, 0, 1)
    apex = np.clip((frame.cage.top - _APEX_MM - z) / 15.0, 0, 1)[:, None]
    bend: NDArray[np.float64] = apex * near * (14.0 * fall - 5.0 + slant * (forward - 48.0))
    return bend


def _inlet(frame: Frame, z: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n_z,): least half width at height z: two pleurae below, widening behind the manubrium, to the neck above.

    Where the cavity is as narrow as this, the lungs end: as two domes beside the neck.
    """
    below_top = frame.cage.top - z
    manubrium = np.interp(below_top, [_APEX_MM, 2.4 * _APEX_MM], [15.0, 1.4])
    rise = np.clip((_APEX_MM - below_top) / 22.0, 0, 1)
    half: NDArray[np.float64] = manubrium + 24.0 * (1 - np.sqrt(1 - rise**2)) + 30.0 * (below_top < _APEX_MM - 22.0)
    return half
