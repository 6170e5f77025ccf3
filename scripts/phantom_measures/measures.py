"""Measures of a chest CT, each from a subject to a number; those with a choice return such a function."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from phantom_measures.subject import SPINE, Subject, perimeter
from synth.anatomy.labels import LABELS, LOBES

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "airway_tree",
    "aorta",
    "body_height",
    "capacity_ratio",
    "carina_angle",
    "chest_depth",
    "circumference",
    "dome_difference",
    "dome_level",
    "gas_ml",
    "jang_residual",
    "kyphosis",
    "liver_ratio",
    "lobe_share",
    "lung_hu",
    "lung_litres",
    "main_bronchus",
    "pulmonary_trunk",
    "ribs",
    "subcutaneous",
    "trabecular",
    "windpipe",
]


def lung_litres(s: Subject) -> float:
    return s.ml(*LOBES) / 1000


def lobe_share(name: str) -> Callable[[Subject], float]:
    return lambda s: 100 * s.ml(name) / s.ml(*LOBES)


def capacity_ratio(s: Subject) -> float:
    """Gas in the lungs, by their density, over the total lung capacity that Quanjer et al. 1993 predict."""
    gas = float((-s.scan.volume.hu[s.scan.where(*LOBES)] / 1000).sum()) * s.edge**3 / 1e6
    height = s.person.height_cm / 100
    return gas / (6.60 * height - 5.79 if s.person.sex == "F" else 7.99 * height - 7.08)


def lung_hu(s: Subject) -> float:
    return float(s.scan.volume.hu[s.scan.where(*LOBES)].mean())


def windpipe(axis: int) -> Callable[[Subject], float]:
    """Lumen 2 cm above the carina, from side to side (axis 0) or from front to back (1): the longest row of air."""

    def diameter(s: Subject) -> float:
        plane = s.plane(s.carina[2] + 20.0)
        lumen = s.airway[plane] & (s.labels[plane] == LABELS["trachea"])
        near = ndimage.binary_dilation(lumen) & ~s.scan.where(*LOBES)[plane]
        wall = float(s.scan.volume.hu[plane][near & ~lumen].max(initial=0.0))
        air = np.where(near, np.clip((wall - s.scan.volume.hu[plane]) / (wall + 1000.0), 0, 1), 0.0)
        return float(air.sum(axis=1 - axis).max()) * s.edge

    return diameter


def carina_angle(s: Subject) -> float:
    """Between the axes of the main bronchi, seen from the front, below the carina."""
    left, right = (np.degrees(np.arctan2(s.axis_of(side)[0][0], -s.axis_of(side)[0][2])) for side in ("left", "right"))
    return float(left - right)


def main_bronchus(side: str) -> Callable[[Subject], float]:
    """Lumen of a main bronchus below the carina, as the diameter of its area across the axis."""

    def diameter(s: Subject) -> float:
        axis, area = s.axis_of(side)
        return 2 * float(np.sqrt(area * abs(axis[2]) / np.pi))

    return diameter


def airway_tree(s: Subject) -> tuple[int, int]:
    """Branches and deepest generation of the painted bronchi; the windpipe is generation 0."""
    strokes = [stroke for stroke in s.body.strokes if stroke.group == "trees" and stroke.part == "airway_lumen"]
    tubes = strokes[-1].solids[0]
    at: dict[tuple[float, ...], list[int]] = {}
    for k, start in enumerate(tubes.start):
        at.setdefault(tuple(np.round(start, 6)), []).append(k)
    ends = {tuple(np.round(end, 6)) for end in tubes.end}
    todo = [(k, 0) for start, k_s in at.items() if start not in ends for k in k_s]
    branches, deepest = len(todo), 0
    while todo:
        k, generation = todo.pop()
        deepest = max(deepest, generation)
        following = at.get(tuple(np.round(tubes.end[k], 6)), [])
        parts = len(following) > 1
        branches += len(following) * parts
        todo += [(child, generation + parts) for child in following]
    return branches, deepest


def aorta(which: str) -> Callable[[Subject], float]:
    def diameter(s: Subject) -> float:
        carina = s.carina
        before = which == "ascending"
        return s.section("aorta", s.trunk_plane, lambda x, y: (y < carina[1] - 8) == before)

    return diameter


def pulmonary_trunk(s: Subject) -> float:
    """Least width of the trunk's section 12 mm below the level where it is largest, before it divides."""
    plane = s.plane(s.height(s.trunk_plane) - 6.0)
    return s.section("pulmonary_artery", plane, lambda x, y: x > -5 and y < s.carina[1])


def body_height(name: str) -> Callable[[Subject], float]:
    """Height of a vertebral body with its disc: half the way between the middles of its neighbours, mm."""
    place = SPINE.index(name)

    def height(s: Subject) -> float:
        return float(np.linalg.norm(s.bodies[SPINE[place - 1]] - s.bodies[SPINE[place + 1]])) / 2

    return height


def trabecular(name: str) -> Callable[[Subject], float]:
    """Mean HU of a vertebral body's inside, an ellipse in its middle third."""

    def value(s: Subject) -> float:
        points = s.points(s.vertebra(name)) - s.bodies[name]
        inside = (np.hypot(points[:, 0], points[:, 1]) < 8.0) & (np.abs(points[:, 2]) < 5.0)
        return float(s.scan.volume.hu[s.vertebra(name)][inside].mean())

    return value


def kyphosis(s: Subject) -> float:
    """Between the spine's directions at T4 and at T12, seen from the side: nearly the Cobb angle."""

    def tilt(above: str, below: str) -> float:
        step = s.bodies[above] - s.bodies[below]
        return float(np.degrees(np.arctan2(-step[1], step[2])))

    return tilt("T3", "T5") - tilt("T11", "L1")


def circumference(s: Subject) -> float:
    return perimeter(s.chest) / 10


def chest_depth(s: Subject) -> float:
    return float(np.ptp(s.chest[:, 1])) + s.edge


def ribs(s: Subject) -> float:
    present = {name for value, name in s.scan.labels.names.items() if (s.labels == value).any()}
    return float(sum(name.startswith("rib_") for name in present))


def subcutaneous(s: Subject) -> float:
    """Mean thickness of the fat below the skin at T11: its area over its length, mm."""
    plane = s.plane(s.bodies["T11"][2])
    fat = float((s.labels[plane] == LABELS["subcutaneous_fat"]).sum()) * s.edge**2
    length = perimeter(s.hull(plane))
    # A ring of area A and outer length P is t thick: A = P t − π t².
    return float((length - np.sqrt(max(length**2 - 4 * np.pi * fat, 0.0))) / (2 * np.pi))


def dome_level(s: Subject) -> float:
    """Level of the spine at the top of the right dome."""
    dome = s.points(s.scan.where("liver", "diaphragm"))
    return s.level(float(dome[dome[:, 0] < -25.0][:, 2].max()))


def dome_difference(s: Subject) -> float:
    """How much higher the right dome stands, mm."""
    dome = s.points(s.scan.where("liver", "diaphragm", "stomach", "spleen"))
    left, right = (dome[sign * dome[:, 0] > 45.0][:, 2].max() for sign in (1, -1))
    return float(right - left)


def gas_ml(s: Subject) -> float:
    return float((s.part("gas") & (s.labels == LABELS["stomach"])).sum()) * s.edge**3 / 1000


def liver_ratio(s: Subject) -> float:
    return s.ml("liver") / (1267.28 * s.person.bsa - 794.41)


def jang_residual(s: Subject) -> float:
    return trabecular("L1")(s) - max(226 - 2.5 * (s.person.age - 25), 89.0)
