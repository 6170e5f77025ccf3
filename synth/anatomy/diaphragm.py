"""The diaphragm: two domes over the organs of the abdomen, falling steeply to their edge on the chest wall."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.interpolate import RegularGridInterpolator

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from synth.anatomy.build import Build
    from synth.anatomy.cage import Cage

__all__ = ["Diaphragm", "diaphragm"]

_STEP_MM = 4.0
_RISE_MM = 60.0
"""How much higher the domes stand at the end of a quiet breath than at full inspiration (Unal et al. 2000, Eur J Radiol
36:13 measured excursions of 5 to 8 cm from full expiration)."""
_FREE_MM = 16.0
"""How far the domes may stand from where build and breath alone put them."""
_LOWEST_LEVEL = 11.2
"""Level of the spine below which the top of the right dome never stands, in a bent back either (ours)."""
_MEDIASTINUM = (250.0, 0.21)
"""What is not lung above the diaphragm, ml and share of the chest: measured on phantoms."""


def diaphragm(build: Build, cage: Cage) -> Diaphragm:
    """The diaphragm of a body: as high as leaves the lungs the volume that they have at this breath, within limits."""
    usual = cage.top - build.lung_height_mm + _RISE_MM * (1 - build.inspiration) * build.trunk_scale
    usual = max(usual, cage.spine.z(_LOWEST_LEVEL) + _FREE_MM)
    wanted = (1000 * build.lung_litres + _MEDIASTINUM[0]) / (1 - _MEDIASTINUM[1])
    points, each = cage.lattice

    def chest_ml(top: float) -> float:
        domes = Diaphragm(build, cage, top)
        return each * int(np.count_nonzero(points[:, 2] > domes.height(points[:, 0], points[:, 1])))

    low, high = usual - _FREE_MM, usual + _FREE_MM
    for _ in range(6):
        middle = (low + high) / 2
        low, high = (middle, high) if chest_ml(middle) > wanted else (low, middle)
    return Diaphragm(build, cage, (low + high) / 2)


class Diaphragm:
    """Its upper surface, as a height over the plane.

    Attributes:
        x: (nx,) mm, ascending.
        y: (ny,) mm, ascending.
        z: (ny, nx) height of the upper surface, mm.
        right_top: (3,) top of the right dome.
        left_top: (3,) top of the left dome.
        edge_z: Lowest height of the lungs' edge behind, mm.
    """

    def __init__(self, build: Build, cage: Cage, top: float) -> None:
        """Spans the domes over the cage's inner surface, the right one's top at height `top`."""
        spine = cage.spine
        half = float(cage.half_width(top))
        front, back = float(cage.front(top)), float(cage.back(top))
        # In a bent back the wall above stands out behind that at the domes: the table reaches below all of it.
        furthest = max(back, float(cage.back(cage.z[cage.z > top - 60.0]).max()))
        self.x = np.arange(-half - 16, half + 16 + _STEP_MM, _STEP_MM)
        self.y = np.arange(front - 40, furthest + 16 + _STEP_MM, _STEP_MM)
        middle = front + 0.52 * (back - front)
        self.right_top = np.array([-0.47 * half, middle - 4, top])
        self.left_top = np.array([0.50 * half, middle + 2, top - build.dome_difference_mm])
        x, y = np.meshgrid(self.x, self.y)
        # The crown is level between the domes, with a saddle below the heart.
        share = 1 / (1 + np.exp(-x / 22.0))
        crown = (1 - share) * self.right_top[2] + share * self.left_top[2] - 7.0 * np.exp(-(((x - 14) / 30.0) ** 2))
        edge = self._edge(x, y - middle, top, cage, spine.z(12.7))
        self.edge_z = float(edge.min())
        for dome, spread in ((self.right_top, 60.0), (self.left_top, 58.0)):
            away = np.hypot(x - dome[0], (y - dome[1]) * 1.1)
            near = np.where(x * dome[0] > 0, 1.0, 0.0)
            crown = crown - near * 9.0 * np.clip(away / spread, 0, 1.6) ** 2
        self.z = crown - (crown - edge) * self._fall(x, y, cage, top)
        self._height = RegularGridInterpolator((self.y, self.x), self.z, bounds_error=False, fill_value=None)

    def height(self, x: ArrayLike, y: ArrayLike) -> NDArray[np.float64]:
        """Height of the upper surface at (x, y), mm."""
        points = np.stack(np.broadcast_arrays(np.asarray(y, float), np.asarray(x, float)), axis=-1)
        return np.asarray(self._height(points)).reshape(points.shape[:-1])

    @staticmethod
    def _edge(
        x: NDArray[np.float64], y: NDArray[np.float64], top: float, cage: Cage, behind: float
    ) -> NDArray[np.float64]:
        """Where the lung ends on the chest wall: low behind and at the sides, high in front."""
        front = min(cage.sternum.xiphisternal[2] - 6.0, top - 12.0)
        back = min(behind, top - 60.0)
        side = min(0.62 * back + 0.38 * front, top - 45.0)
        turn = np.arctan2(y, np.abs(x)) / (np.pi / 2)  # −1 in front, 1 behind
        there, how = np.where(turn > 0, back, front), np.where(turn > 0, np.abs(turn), np.abs(turn) ** 1.2)
        edge: NDArray[np.float64] = side + (there - side) * how
        return edge

    @staticmethod
    def _fall(x: NDArray[np.float64], y: NDArray[np.float64], cage: Cage, top: float) -> NDArray[np.float64]:
        """0 over the domes, 1 at the chest wall and beyond: how near (x, y) is to the wall."""
        section = cage.point(np.linspace(0, 2 * np.pi, 181)[:-1], np.full(180, top - 30.0))
        centre = np.array([0.0, (section[:, 1].min() + section[:, 1].max()) / 2])
        angle = np.unwrap(np.arctan2(section[:, 1] - centre[1], section[:, 0]))
        wall = np.interp(np.arctan2(y - centre[1], x), angle, np.hypot(section[:, 0], section[:, 1] - centre[1]),
                         period=2 * np.pi)  # fmt: skip
        near = np.hypot(x, y - centre[1]) / wall
        # Behind the heart and in the midline there is no sulcus to fall into.
        fall: NDArray[np.float64] = np.clip(near, 0, 1.15) ** 6.5
        return np.clip(fall, 0, 1.25)
