"""The great vessels of the chest and of the root of the neck, as tubes along smooth curves.

Points are given as (x, depth, height): x in mm from the midline, for a cage 284 mm wide; depth 0 on the front of the
spine, 1 on the back of the breastbone; height 0 at the base of the heart, 1 at the carina, above it 0.0125 to the mm
for the default trunk. Positions are our reading of Gray's Anatomy (mediastinum, plates of the transverse planes at T4
to T6), checked against the masks of a CT; diameters that Build does not give are round means of adults.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.interpolate import CubicSpline

from synth.anatomy.labels import LOBES
from synth.anatomy.solids import Stroke, Tubes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import ArrayLike, NDArray

    from synth.anatomy.frame import Frame
    from synth.anatomy.heart import Heart

__all__ = [
    "SOFT",
    "Places",
    "Vessel",
    "aorta_plaques",
    "artery_ends",
    "curve",
    "great_vessels",
    "pulmonary_fork",
    "stroke_of",
]

SOFT = (*LOBES, "torso_fat", "pericardial_fat", "skeletal_muscle", "subcutaneous_fat", "diaphragm")
"""What the organs of the mediastinum may be painted over, on their way from the neck to the belly."""

_ABOVE_MM = 80.0  # one unit of height above the carina
_ARCH_SPREAD = 6.0  # steps to either side of the arch's top within which most plaques lie
_STEP_MM = 5.0


class Places:
    """Turns (x, depth, height) into points of a body."""

    def __init__(self, frame: Frame, base_z: float) -> None:
        self._frame, self._base_z = frame, base_z
        self.size = (frame.build.cavity_width_mm / 284.0) ** 0.7
        """Breadth of the upper mediastinum relative to the default."""

    def z(self, height: ArrayLike) -> NDArray[np.float64]:
        """World z of heights, mm."""
        height, top = np.asarray(height, float), self._frame.carina[2]
        below = self._base_z + height * (top - self._base_z)
        above = top + (height - 1) * _ABOVE_MM * self._frame.build.trunk_scale
        return np.asarray(np.where(height < 1, below, above), np.float64)

    def spine_front(self, z: ArrayLike) -> NDArray[np.float64]:
        """The y of the front of the vertebral bodies at z, mm."""
        bones = list(self._frame.spine.vertebrae.values())[::-1]
        heights = [bone.centre[2] for bone in bones]
        return np.asarray(np.interp(np.asarray(z, float), heights, [bone.centre[1] - bone.depth / 2 for bone in bones]))

    def at(self, *points: tuple[float, float, float]) -> NDArray[np.float64]:
        """(n, 3) world: points of the mediastinum, mm."""
        x, depth, height = np.array(points).T
        z = self.z(height)
        front, back = self._frame.cage.front(z), self.spine_front(z)
        return np.stack([x * self.size, back + depth * (front - back), z], axis=-1)


@dataclass(frozen=True, eq=False)
class Vessel:
    """One vessel.

    Attributes:
        label: Name in LABELS.
        tissue: Of its blood.
        line: (n, 3) world mm.
        radius: (n,) mm.
    """

    label: str
    tissue: str
    line: NDArray[np.float64]
    radius: NDArray[np.float64]

    @property
    def tubes(self) -> Tubes:
        """The solid."""
        return Tubes.along(self.line, self.radius)


def great_vessels(frame: Frame, heart: Heart, generator: np.random.Generator) -> dict[str, Vessel]:
    """All vessels by name, in the order of painting.

    Args:
        frame: The plan of the body.
        heart: From `plan_heart`.
        generator: Draws by how much the calibres of the smaller vessels differ from the mean.
    """
    places = Places(frame, float(heart.base[2]))
    calibre = places.size * (1 + 0.06 * np.clip(generator.standard_normal(8), -2, 2))
    return {
        **_veins(frame, heart, places, calibre),
        **_pulmonary(frame, heart, places),
        **_branches(frame, places, calibre),
        "aorta": _aorta(frame, heart, places),
    }


def aorta_plaques(aorta: Vessel, share: float, hu: Mapping[str, float], generator: np.random.Generator) -> list[Stroke]:
    """Calcified plaques of the aorta's wall, thin arcs, most in the arch.

    Args:
        aorta: From `great_vessels`.
        share: Of the wall that is calcified, 0 to 1.
        hu: Mean HU by tissue; plaques differ by 30 % from it.
        generator: Draws them.
    """
    arch = np.argmax(aorta.line[:, 2])
    distance = np.abs(np.arange(len(aorta.line)) - arch)
    weights = np.exp(-((distance / _ARCH_SPREAD) ** 2)) + 0.12
    weights = weights[:-1] / weights[:-1].sum()
    strokes = []
    for _ in range(int(generator.poisson(45 * share))):
        i = int(generator.choice(len(weights), p=weights))
        along = aorta.line[i + 1] - aorta.line[i]
        along /= np.linalg.norm(along)
        side = np.cross(along, generator.standard_normal(3))
        side /= np.linalg.norm(side)
        across = np.cross(along, side)
        turn = np.linspace(-1, 1, 4) * generator.uniform(0.12, 0.45)
        spokes = np.cos(turn)[:, None] * side + np.sin(turn)[:, None] * across
        arc = aorta.line[i] + (aorta.radius[i] - 1.0) * spokes + np.linspace(-2, 2, 4)[:, None] * along
        plaque = Tubes.along(arc, generator.uniform(1.2, 3.0), normal=spokes, flat=0.4)
        value = hu["calcification"] * generator.uniform(0.75, 1.3)
        strokes.append(Stroke((plaque,), value, "aorta", "calcification", ("aorta",), group="great vessels"))
    return strokes


def stroke_of(vessel: Vessel, hu: Mapping[str, float], over: Sequence[str]) -> Stroke:
    """The stroke that paints a vessel."""
    return Stroke((vessel.tubes,), hu[vessel.tissue], vessel.label, "", tuple(over), group="great vessels")


def curve(points: NDArray[np.float64], values: ArrayLike = 0.0) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """A smooth line through points, in steps of 5 mm, and values that go with them.

    Args:
        points: (n, 3) world mm, n ≥ 2.
        values: (n,) or one number.

    Returns:
        (m, 3) and (m,).
    """
    chord = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
    t = np.linspace(0, chord[-1], max(2, round(chord[-1] / _STEP_MM)))
    line = (
        CubicSpline(chord, points, bc_type="natural")(t)
        if len(points) > 2
        else points[:1] + (t / chord[-1])[:, None] * (points[1:] - points[:1])
    )
    return line, np.interp(t, chord, np.broadcast_to(values, len(points)))


def _vessel(label: str, tissue: str, points: NDArray[np.float64], radius: ArrayLike) -> Vessel:
    return Vessel(label, tissue, *curve(points, radius))


def _aorta(frame: Frame, heart: Heart, places: Places) -> Vessel:
    """From the valve over the left main bronchus, then down at the left front of the spine, at T12 before it."""
    build = frame.build
    u = build.aortic_unfolding
    wide, narrow = build.ascending_aorta_mm / 2, build.descending_aorta_mm / 2
    root = heart.aortic_valve
    right = 9.0 + 9.0 * u + 0.5 * (wide - 15.5)
    top = _arch_height(frame)
    left = max(17.0, 21.0 + narrow - 12.5) + 7.0 * u
    bow = places.at(
        (-right, 0.64, 0.66), (-right, 0.64, 0.98), (1.0, 0.52, top - 0.03), (left, 0.30, top),
        (left + 5, 0.10, top - 0.14),
    )  # fmt: skip
    levels = np.array([6.0, 7.0, 8.0, 9.0, 10.0, 11.0, 12.0, 13.0, 14.5])
    down = _beside_spine(frame, levels, narrow, u)
    down = down[down[:, 2] < bow[-1, 2] - 18]
    radius = [0.95 * wide, wide, wide, 0.5 * (wide + narrow) + 0.6, narrow + 1, narrow + 0.4]
    points = np.vstack([root, bow, down])
    return _vessel("aorta", "blood_aorta", points, [*radius, *np.linspace(narrow, 0.88 * narrow, len(down))])


def _arch_height(frame: Frame) -> float:
    """Height of the arch's axis: the higher the more unfolded, its rim not above the notch of the breastbone."""
    rim = frame.build.descending_aorta_mm / 2 + 3.0
    room = float(frame.cage.sternum.notch[2] - rim - frame.carina[2]) / (_ABOVE_MM * frame.build.trunk_scale)
    return max(1.18, min(1.25 + 0.13 * frame.build.aortic_unfolding, 1.0 + room))


def _beside_spine(frame: Frame, levels: NDArray[np.float64], radius: float, unfolding: float) -> NDArray[np.float64]:
    """(n, 3): a vessel's axis that touches the vertebrae, from their left side at T6 to their front at T12."""
    z = np.array([frame.spine.z(level) for level in levels])
    middle = frame.spine.axis(z)
    bones = list(frame.spine.vertebrae.values())
    index = np.clip(np.rint(levels).astype(int) + 2, 0, len(bones) - 1)
    half = np.array([(bones[i].width + bones[i].depth) / 4 for i in index]) + radius + 1.5
    angle = np.deg2rad(np.interp(levels, [5, 8, 10, 12, 15], [58, 54, 42, 12, 6]))
    swing = unfolding * 16.0 * np.exp(-(((levels - 8) / 1.8) ** 2))
    sway = unfolding * 7.0 * np.sin((levels - 6) * 1.3)
    return np.stack(
        [middle[:, 0] + half * np.sin(angle) + swing, middle[:, 1] - half * np.cos(angle) + sway, z], axis=-1
    )


def _pulmonary(frame: Frame, heart: Heart, places: Places) -> dict[str, Vessel]:
    """Trunk, left and right pulmonary artery, and the stems of the four veins."""
    trunk = frame.build.pulmonary_trunk_mm / 2
    fork = pulmonary_fork(places)
    valve = heart.outflow[-1]
    bend = 0.5 * (valve + fork) + [11.0 * places.size, -6.0, 2.0]
    right, left = artery_ends(frame)
    under = places.at((-14.0, 0.37, 0.74))[0]
    over = 0.5 * (fork + left) + [2.0, 2.0, 5.0]
    blood, label = "blood_pulmonary_artery", "pulmonary_artery"
    taper = trunk * np.array([0.8, 0.76, 0.6])
    arteries = {
        "pulmonary_trunk": _vessel(label, blood, np.vstack([valve - [0, 0, 6], valve, bend, fork]),
                                   trunk * np.array([0.95, 1, 1, 0.92])),
        "pulmonary_artery_right": _vessel(label, blood, np.vstack([fork, under, right]), taper),
        "pulmonary_artery_left": _vessel(label, blood, np.vstack([fork, over, left]), taper),
    }  # fmt: skip
    veins = {}
    hila = (frame.left_hilum, frame.left_hilum, frame.right_hilum, frame.right_hilum)
    names = ("left_superior", "left_inferior", "right_superior", "right_inferior")
    drops = ([0, -12, -16], [0, 4, -38], [0, -14, -14], [0, 4, -34])
    for name, ostium, hilum, drop in zip(names, heart.ostia, hila, drops, strict=True):
        out = ostium + 0.45 * (hilum + np.array(drop, float) - ostium)
        into = ostium + 6.0 * (heart.left_atrium.centre - ostium) / np.linalg.norm(heart.left_atrium.centre - ostium)
        veins[f"vein_{name}"] = _vessel(
            "pulmonary_vein",
            "blood_pulmonary_vein",
            np.vstack([into, ostium, out]),
            np.array([8.0, 7.5, 6.5]) * heart.scale,
        )
    return veins | arteries


def pulmonary_fork(places: Places) -> NDArray[np.float64]:
    """(3,) world: where the pulmonary trunk divides, below and left of the carina."""
    fork: NDArray[np.float64] = places.at((21.0, 0.45, 0.80))[0]
    return fork


def artery_ends(frame: Frame) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(3,) world each: where right and left pulmonary artery come to their hila: before the bronchus, and over it."""
    return frame.right_hilum + np.array([11.0, -17.0, -3.0]), frame.left_hilum + np.array([-5.0, -5.0, 13.0])


def _branches(frame: Frame, places: Places, calibre: NDArray[np.float64]) -> dict[str, Vessel]:
    """The arch's three branches: to the right arm and head, to the left side of the head, to the left arm."""
    top = _arch_height(frame)
    first, second, third = places.at((-1.0, 0.54, top - 0.01), (9.0, 0.44, top), (19.0, 0.30, top))
    parting = places.at((-16.0, 0.50, 1.66))[0]
    head = frame.trachea_top + np.array([0, 6.0, 45.0])
    neck = places.at((22.0, 0.52, 1.75), (-21.0, 0.52, 1.78))
    left_neck, right_neck = (np.vstack([neck[k], head + np.array([s * 25.0, 2.0, 0])]) for k, s in ((0, 1), (1, -1)))
    trunk, carotid, subclavian = 6.2 * calibre[0], 3.4 * calibre[1], 4.4 * calibre[2]
    blood = "blood_aorta"
    way = np.vstack([first, 0.5 * (first + parting) + [-2, -2, 0], parting])
    right_arm = _to_arm(frame, parting, "right", 8.0)
    return {
        "trunk": _vessel("brachiocephalic_trunk", blood, way, trunk),
        "carotid_right": _vessel("common_carotid_artery_right", blood, np.vstack([parting, right_neck]), carotid),
        "carotid_left": _vessel("common_carotid_artery_left", blood, np.vstack([second, left_neck]), carotid),
        "subclavian_right": _vessel("subclavian_artery_right", blood, right_arm, subclavian),
        "subclavian_left": _vessel(
            "subclavian_artery_left", blood,
            _to_arm(frame, np.vstack([third, places.at((25.0, 0.34, 1.62))]), "left", 8.0), subclavian,
        ),
    }  # fmt: skip


def _to_arm(frame: Frame, start: NDArray[np.float64], side: str, above: float) -> NDArray[np.float64]:
    """(n, 3): from the chest over the middle of the first rib to the armpit."""
    rib = next(rib for rib in frame.cage.ribs if rib.side == side and rib.number == 1)
    crest = rib.line[int(0.72 * len(rib.line))] + [0, 0, above + rib.half_height]
    sign = 1.0 if side == "left" else -1.0
    half = frame.build.biacromial_mm / 2
    axilla = np.array([sign * 0.72 * half, crest[1] + 6.0, crest[2] - 22.0])
    return np.vstack([start, crest, axilla])


def _veins(frame: Frame, heart: Heart, places: Places, calibre: NDArray[np.float64]) -> dict[str, Vessel]:
    """What drains into the right atrium, and the azygos vein."""
    blood = "blood_vena_cava_superior"
    meeting = places.at((-23.0, 0.60, 1.34))[0]
    cava, wide = 9.5 * calibre[3], 6.8 * calibre[4]
    mouth = heart.superior_mouth
    above = places.at((-23.0, 0.52, 0.98))[0]
    right = places.at((-27.0, 0.66, 1.72))[0]
    left = places.at((-4.0, 0.74, 1.50), (25.0, 0.66, 1.70))
    before = np.array([0, -11.0, 0])  # the vein crosses the rib in front of the artery
    arms = [_to_arm(frame, start, side, 1.0) + before for start, side in ((right, "right"), (left[1], "left"))]
    azygos = _azygos(frame, places, above)
    below = _inferior(frame, heart)
    return {
        "vein_right": _vessel(
            "brachiocephalic_vein_right", blood, np.vstack([meeting, right, arms[0][1:]]), 0.9 * wide
        ),
        "vein_left": _vessel("brachiocephalic_vein_left", blood, np.vstack([meeting, left, arms[1][1:]]), 0.9 * wide),
        "azygos": _vessel("azygos_vein", "blood_right_heart", azygos, 3.4 * calibre[5]),
        "superior": _vessel("superior_vena_cava", blood, np.vstack([meeting, above, mouth]), cava),
        "inferior": _vessel(
            "inferior_vena_cava", "blood_right_heart", below, 11.0 * heart.scale * calibre[6] / places.size
        ),
    }


def _azygos(frame: Frame, places: Places, end: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n, 3): up the right front of the spine to T4, then forward over the right main bronchus."""
    levels = np.array([12.0, 10.0, 8.0, 6.0])
    z = np.array([frame.spine.z(level) for level in levels])
    x = frame.spine.axis(z)[:, 0] - np.array([3.0, 6.0, 6.0, 6.0])
    column = np.stack([x, places.spine_front(z) - 5.0, z], axis=-1)
    carina = frame.carina
    arch = carina + np.array([[-7.0, 16.0, 3.0], [-17.0, 2.0, 17.0]])
    return np.vstack([column[column[:, 2] < carina[2] - 12], arch, end + np.array([0, 6.0, 8.0])])


def _inferior(frame: Frame, heart: Heart) -> NDArray[np.float64]:
    """(n, 3): from the right atrium back and down through the diaphragm, then at the right front of the spine."""
    mouth = heart.inferior_mouth
    z = np.array([frame.spine.z(level) for level in (12.0, 13.0, 14.5)])
    z = np.minimum(z, mouth[2] - np.array([34.0, 55.0, 85.0]))
    middle = frame.spine.axis(z)
    column = np.stack([middle[:, 0] - [25.0, 21.0, 19.0], middle[:, 1] - [34.0, 32.0, 30.0], z], axis=-1)
    return np.vstack([mouth, mouth + np.array([0, 6.0, -16.0]), column])
