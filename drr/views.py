"""Clinical views by name, and a beam that fits the body.

Angles are DICOM's positioner angles (PS3.3 C.8.7.5): the primary angle turns the detector about the patient's long
axis, 0° in front of the patient and +90° at the patient's left; the secondary angle tilts it towards the head. The
direction from the patient to the detector is R_z(primary)·R_x(secondary) applied to "forwards" (−y): tilt first, then
turn. Images are seen as a radiologist reads them: from in front of the patient, or for side views from the detector.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from synth.core.errors import InputError
from synth.drr.geometry import Camera

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["View", "fit_camera", "parse_view"]

_FIXED = {"pa": (0.0, 0.0), "ap": (180.0, 0.0), "lateral": (90.0, 0.0), "rlateral": (-90.0, 0.0)}
_STANDING_MM, _NEAR_MM = 1800.0, 1000.0  # usual source–detector distances: upright chest stand; bedside and C-arm
_TURN = {"lao": lambda a: a, "rao": lambda a: -a, "lpo": lambda a: 180 - a, "rpo": lambda a: a - 180}
_ANGLES = re.compile(r"(?:(lao|rao|lpo|rpo)(\d+(?:\.\d+)?))?(?:(cra|cau)(\d+(?:\.\d+)?))?")
_GAP_MM = 10.0  # between the volume and the detector
_MARGIN = 1.03  # field of view over the body's shadow


@dataclass(frozen=True)
class View:
    """A direction to look from.

    Attributes:
        name: Upper case, as it stands in the Record.
        primary_deg: DICOM positioner primary angle.
        secondary_deg: DICOM positioner secondary angle.
        source_detector_mm: Usual distance for this view.
    """

    name: str
    primary_deg: float
    secondary_deg: float
    source_detector_mm: float

    @property
    def towards_detector(self) -> NDArray[np.float64]:
        """Unit vector from the patient to the detector, LPS."""
        return self._rotation() @ [0.0, -1.0, 0.0]

    @property
    def right(self) -> NDArray[np.float64]:
        """Unit vector along image columns (u), LPS."""
        # Seen from the detector; beyond the sides that would be from behind the patient, so seen from the source.
        seen_from_source = abs(self.primary_deg) > 90
        return self._rotation() @ [-1.0 if seen_from_source else 1.0, 0.0, 0.0]

    @property
    def down(self) -> NDArray[np.float64]:
        """Unit vector along image rows (v), LPS."""
        return self._rotation() @ [0.0, 0.0, -1.0]

    def _rotation(self) -> NDArray[np.float64]:
        a, b = np.deg2rad([self.primary_deg, -self.secondary_deg])
        turn = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
        tilt = np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
        rotation: NDArray[np.float64] = turn @ tilt
        return rotation


def parse_view(text: str) -> View:
    """A view from its name.

    Args:
        text: "pa", "ap", "lateral" (left side at the detector), "rlateral"; or C-arm angles: "lao45", "rao30cra20",
            "lpo30", "cau15" (left/right, anterior/posterior oblique; cranial, caudal; degrees). Case does not matter.

    Raises:
        InputError: Unknown name, or an angle above 90°.
    """
    name = text.strip().lower()
    if name in _FIXED:
        near = name == "ap"
        return View(name.upper(), *_FIXED[name], _NEAR_MM if near else _STANDING_MM)
    match = _ANGLES.fullmatch(name)
    if not name or match is None:
        known = ", ".join(_FIXED)
        raise InputError(f"unknown view {text!r}: use {known}, or angles such as lao45, rao30cra20, lpo30, cau15")
    turn, degrees, tilt, tilt_degrees = match.groups()
    primary = _TURN[turn](float(degrees)) if turn else 0.0
    secondary = float(tilt_degrees or 0) * (1 if tilt == "cra" else -1)
    if float(degrees or 0) > 90 or abs(secondary) > 90:
        raise InputError(f"view {text!r}: angles run from 0 to 90 degrees")
    return View(name.upper(), primary, secondary, _NEAR_MM)


def fit_camera(
    view: View,
    body: NDArray[np.float64],
    volume_corners: NDArray[np.float64],
    shape: tuple[int, int],
    *,
    source_detector_mm: float | None = None,
    source_isocentre_mm: float | None = None,
    field_of_view_mm: float | None = None,
    isocentre: NDArray[np.float64] | None = None,
) -> Camera:
    """Source and detector for a view: the body in the middle of the field, the detector just behind the volume.

    Args:
        view: Where to look from.
        body: (n, 3), points that must be in the picture, world mm.
        volume_corners: (8, 3), corners of the whole volume, world mm.
        shape: (h, w), pixels.
        source_detector_mm: Default: the view's usual distance.
        source_isocentre_mm: Default: as far as the detector's place behind the volume leaves.
        field_of_view_mm: Longer side of the detector; default: what the body's shadow needs.
        isocentre: (3,), the point the central ray passes; default: the middle of the body.

    Raises:
        InputError: Distances that contradict each other or put source or detector inside the body.
    """
    middle = (body.min(0) + body.max(0)) / 2 if isocentre is None else isocentre
    towards = view.towards_detector
    sdd = view.source_detector_mm if source_detector_mm is None else source_detector_mm
    behind = float(((volume_corners - middle) @ towards).max()) + _GAP_MM
    sid = sdd - behind if source_isocentre_mm is None else source_isocentre_mm
    if not (sdd > 0 and 0 < sid < sdd):
        raise InputError(
            f"view {view.name}: the source–isocentre distance ({sid:.0f} mm) must lie between 0 and the "
            f"source–detector distance ({sdd:.0f} mm); set --sdd above {behind + 100:.0f}"
        )
    if -((body - middle) @ towards).min() >= sid:
        raise InputError(f"view {view.name}: the source would be inside the body; set --sid or --sdd larger")
    if ((body - middle) @ towards).max() >= sdd - sid:
        raise InputError(f"view {view.name}: the detector would be inside the body; set --sid smaller or --sdd larger")
    source = middle - sid * towards
    centre = source + sdd * towards
    unit = Camera.looking(source, centre, view.right, view.down, pitch_mm=1.0, shape=(1, 1), name=view.name)
    shadow = unit.to_pixels(body)  # mm from the central ray
    low, high = shadow.min(0), shadow.max(0)
    (h, w), (width, height) = shape, (high - low) * _MARGIN
    pitch = max(width / w, height / h) if field_of_view_mm is None else field_of_view_mm / max(h, w)
    centre = unit.to_world((low + high) / 2)
    camera = Camera.looking(source, centre, view.right, view.down, pitch_mm=float(pitch), shape=shape, name=view.name)
    return replace(camera, source_isocentre_mm=float(sid))
