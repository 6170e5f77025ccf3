"""How patients really stand before the tube: a little turned and bent, off centre, at this or that distance.

The patient turns and the room stays; as voxels cannot turn, the camera is carried the other way about the middle of
the chest. All spreads are ours unless a source is named: what technicians let pass rather than what they aim at. A
film counts as rotated from about 5° on.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from synth.drr.views import fit_camera

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from synth.drr.geometry import Camera
    from synth.drr.views import View

__all__ = ["BEDSIDE", "C_ARM", "UPRIGHT", "Pose", "PoseSpread", "draw_pose", "usual_spread"]

_NARROWEST = 0.93  # to keep a scan's ends out of the picture; a field much smaller would cut lungs


@dataclass(frozen=True)
class PoseSpread:
    """Normal deviations, drawn again beyond a cut; distances are triangular about the usual one.

    Attributes:
        rotation_deg: About the patient's long axis: standard deviation, cut.
        lean_deg: Forwards and backwards: standard deviation, cut.
        tilt_deg: Sideways: standard deviation, cut.
        shift_mm: Of the beam's centre along rows and columns, in the middle of the chest: standard deviation, cut.
        margin_mm: How much farther the field reaches at each end of its longer side than usual: least, most.
        source_detector_mm: Least, usual, most.
    """

    rotation_deg: tuple[float, float] = (3.0, 8.0)
    lean_deg: tuple[float, float] = (2.0, 5.0)
    tilt_deg: tuple[float, float] = (2.0, 5.0)
    shift_mm: tuple[float, float] = (8.0, 20.0)
    margin_mm: tuple[float, float] = (-10.0, 20.0)
    source_detector_mm: tuple[float, float, float] = (1400.0, 1800.0, 2000.0)


UPRIGHT = PoseSpread()
"""At the chest stand; distance 180 (140–200) cm, European Guidelines on Quality Criteria, EUR 16260 (1996)."""

BEDSIDE = PoseSpread(rotation_deg=(4.0, 10.0), shift_mm=(12.0, 25.0), source_detector_mm=(1000.0, 1100.0, 1300.0))
"""Lying, with a mobile unit: freer in all but the distance, which the bed's height limits."""

C_ARM = PoseSpread(source_detector_mm=(950.0, 1000.0, 1200.0))
"""On a table, with the detector on an arm; distances as the usual devices travel."""


@dataclass(frozen=True)
class Pose:
    """How one radiograph is posed.

    Attributes:
        rotation_deg: The patient's turn about the long axis, to the own left positive; first.
        tilt_deg: Then the bend sideways, to the own left positive.
        lean_deg: Then the lean forwards.
        shift_mm: Of the beam's centre, to the picture's right and down, in the plane of the middle of the chest.
        margin_mm: How much farther the field reaches at each end of its longer side than usual, in the same plane.
        source_detector_mm: Distance.
    """

    rotation_deg: float
    tilt_deg: float
    lean_deg: float
    shift_mm: tuple[float, float]
    margin_mm: float
    source_detector_mm: float

    @property
    def turn(self) -> NDArray[np.float64]:
        """(3, 3) rotation, directions of the patient → directions in the room."""
        a, b, c = np.deg2rad([self.rotation_deg, self.tilt_deg, self.lean_deg])
        about_z = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
        about_y = np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
        about_x = np.array([[1, 0, 0], [0, np.cos(c), -np.sin(c)], [0, np.sin(c), np.cos(c)]])
        turn: NDArray[np.float64] = about_x @ about_y @ about_z
        return turn

    @property
    def columns(self) -> dict[str, float]:
        """What a table says of it; the distance is the camera's to tell."""
        return {
            "patient_rotation_deg": self.rotation_deg,
            "patient_tilt_deg": self.tilt_deg,
            "patient_lean_deg": self.lean_deg,
            "beam_shift_u_mm": self.shift_mm[0],
            "beam_shift_v_mm": self.shift_mm[1],
            "field_margin_mm": self.margin_mm,
        }

    def camera(
        self,
        view: View,
        focus: NDArray[np.float64],
        volume_corners: NDArray[np.float64],
        shape: tuple[int, int],
        *,
        source_detector_mm: float | None = None,
        source_isocentre_mm: float | None = None,
        field_of_view_mm: float | None = None,
    ) -> Camera:
        """The camera of a view of the patient so posed, in the patient's world.

        Args:
            view: Where to look from.
            focus: (n, 3), what the field is opened for, world mm; its middle is what the patient turns about. The field
                is as wide as for the patient who stands straight, or up to 7 % narrower and higher or lower where the
            scan's ends would be seen.
            volume_corners: (8, 3), corners of the whole volume, world mm.
            shape: (h, w), pixels.
            source_detector_mm: Instead of the pose's.
            source_isocentre_mm: As in `fit_camera`.
            field_of_view_mm: Longer side of the detector, without margins.

        Raises:
            InputError: As `fit_camera`.
        """
        middle, turn = (focus.min(0) + focus.max(0)) / 2, self.turn
        shift = self.shift_mm[0] * view.right + self.shift_mm[1] * view.down
        fitted = fit_camera(
            view,
            focus,
            middle + (volume_corners - middle) @ turn.T,
            shape,
            source_detector_mm=source_detector_mm or self.source_detector_mm,
            source_isocentre_mm=source_isocentre_mm,
            field_of_view_mm=field_of_view_mm,
            isocentre=middle + shift,
        )
        magnified = fitted.source_detector_mm / (fitted.source_isocentre_mm or fitted.source_detector_mm)
        margin = self.margin_mm * magnified if field_of_view_mm is None else 0.0
        wider = 1 + 2 * margin / (max(shape) * fitted.pitch_mm[1])
        opened = _with_field(fitted, fitted.centre + shift * magnified, wider)
        ends = np.array([[middle[0], y, z] for z in volume_corners[:, 2] for y in focus[:, 1]])
        kept = _within_scan(opened, middle + (ends - middle) @ turn.T, shrink=field_of_view_mm is None)
        return replace(
            kept,
            source=middle + (kept.source - middle) @ turn,
            origin=middle + (kept.origin - middle) @ turn,
            du=kept.du @ turn,
            dv=kept.dv @ turn,
        )


def _with_field(camera: Camera, centre: NDArray[np.float64], wider: float) -> Camera:
    """The camera with its field about another point of the detector, and so much wider."""
    (h, w), du, dv = camera.shape, camera.du * wider, camera.dv * wider
    return replace(camera, origin=centre - du * (w - 1) / 2 - dv * (h - 1) / 2, du=du, dv=dv)


def _within_scan(camera: Camera, ends: NDArray[np.float64], *, shrink: bool) -> Camera:
    """The camera moved up or down, and its field narrowed a little, so that no end of the scan is in the picture.

    Args:
        camera: In the room.
        ends: (n, 3), points in front of and behind the chest where the scan ends, above and below.
        shrink: Whether the field may be narrowed.
    """
    h = camera.shape[0]
    down = camera.to_pixels(ends)[:, 1] - (h - 1) / 2  # from the middle of the picture
    above, below = -down[down < 0].max(initial=-np.inf), down[down > 0].min(initial=np.inf)
    scale = float(np.clip((above + below) / h, _NARROWEST, 1.0)) if shrink else 1.0
    half = h * scale / 2
    up = max(half - below, 0.0) or -min(max(half - above, 0.0), below - half)
    return _with_field(camera, camera.centre - up * camera.dv, scale)


def usual_spread(view: str) -> PoseSpread:
    """How much poses vary for a view, by its name."""
    return {"PA": UPRIGHT, "LATERAL": UPRIGHT, "RLATERAL": UPRIGHT, "AP": BEDSIDE}.get(view, C_ARM)


def draw_pose(spread: PoseSpread, generator: np.random.Generator) -> Pose:
    """A pose at random."""
    return Pose(
        rotation_deg=_within(generator, *spread.rotation_deg),
        tilt_deg=_within(generator, *spread.tilt_deg),
        lean_deg=_within(generator, *spread.lean_deg),
        shift_mm=(_within(generator, *spread.shift_mm), _within(generator, *spread.shift_mm)),
        margin_mm=float(generator.uniform(*spread.margin_mm)),
        source_detector_mm=float(generator.triangular(*spread.source_detector_mm)),
    )


def _within(generator: np.random.Generator, deviation: float, cut: float) -> float:
    value = np.inf
    while abs(value) > cut:
        value = generator.normal(0.0, deviation)
    return float(value)
