"""The plan of one trunk: what all organs are placed by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from synth.anatomy.cage import Cage
from synth.anatomy.diaphragm import Diaphragm, diaphragm
from synth.anatomy.spine import Spine, spine

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from synth.anatomy.build import Build

__all__ = ["Frame", "plan"]


@dataclass(frozen=True, eq=False)
class Frame:
    """Spine, cage and diaphragm of a body, and the landmarks of the mediastinum; world mm, T8's middle the origin.

    Attributes:
        build: What the body is drawn from.
        spine: Its vertebrae.
        cage: Its rib cage.
        diaphragm: Its domes.
        carina: (3,) where the trachea divides.
        trachea_top: (3,) where the trachea enters the picture from above.
        right_hilum: (3,) where the right main bronchus meets its lung.
        left_hilum: (3,) where the left one does.
        heart_base: (3,) middle of the plane of the heart's valves.
        heart_apex: (3,) tip of the left ventricle.
    """

    build: Build
    spine: Spine
    cage: Cage
    diaphragm: Diaphragm
    carina: NDArray[np.float64]
    trachea_top: NDArray[np.float64]
    right_hilum: NDArray[np.float64]
    left_hilum: NDArray[np.float64]
    heart_base: NDArray[np.float64]
    heart_apex: NDArray[np.float64]


def plan(build: Build) -> Frame:
    """The plan of a body; deterministic, no random part."""
    column = spine(build)
    cage = Cage(build, column)
    domes = diaphragm(build, cage)

    def before_spine(level: float, x: float, forward: float) -> NDArray[np.float64]:
        z = column.z(level)
        x0, y0 = column.axis(z)
        return np.array([x0 + x, y0 - forward, z])

    drop = 6.0 * build.inspiration  # the bifurcation descends with the breath
    carina = before_spine(5.0, -3.0, 33.0) - np.array([0, 0, drop])
    half = float(cage.half_width(carina[2]))
    base, apex = _heart_axis(build, cage, domes)
    return Frame(
        build=build,
        spine=column,
        cage=cage,
        diaphragm=domes,
        carina=carina,
        trachea_top=before_spine(-1.6, 0.0, 24.0),
        right_hilum=carina + np.array([-0.27 * half, 3.0, -24.0]),
        left_hilum=carina + np.array([0.33 * half, 5.0, -16.0]),
        heart_base=base,
        heart_apex=apex,
    )


def _heart_axis(build: Build, cage: Cage, domes: Diaphragm) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Middle of the base, and the apex: the axis runs left, forward and down, the apex just above the left dome.

    About 0.69 of the silhouette's width lies left of the midline.
    """
    slope = np.tan(np.deg2rad(build.heart_axis_deg))
    left = 0.66 * build.heart_width_mm
    apex_xy = np.array([left - 9.0, 0.0])
    level = float(domes.height(apex_xy[0], domes.left_top[1])) + 17.0
    apex_y = float(cage.front(level)) + 36.0
    apex = np.array([apex_xy[0], apex_y, level])
    base = np.array([2.0, apex_y + 50.0, level + slope * 0.72 * (apex_xy[0] - 2.0)])
    return base, apex
