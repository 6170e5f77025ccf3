"""Views in DICOM's words: codes, positioner angles, and which way an image's rows and columns run in the patient.

Angles are those of a C-arm (PS3.3 C.8.7.5) for a patient whose front is at 0: the primary angle turns the detector
about the body's long axis from the front towards the left (LAO +, RAO -, 180 = behind, an AP beam), the secondary angle
tilts it towards the head (CRA +, CAU -).
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from synth.core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["View", "view_of"]

Code = tuple[str, str, str]


@dataclass(frozen=True)
class View:
    """A view.

    Attributes:
        primary_deg: Positioner primary angle, degrees, -180 < a ≤ 180.
        secondary_deg: Positioner secondary angle, degrees.
        code: (value, scheme, meaning) of the view, context group 4010.
        modifier: Code of the beam's tilt, context group 4011, or None.
        position: Defined term of View Position, or "" where there is none.
        patient_orientation: Where the image's rows (to the right) and columns (down) run: letters of L, R, A, P, H, F.
    """

    primary_deg: float
    secondary_deg: float
    code: Code
    modifier: Code | None
    position: str
    patient_orientation: tuple[str, str]


# By the detector's side: (from, to) of the primary angle in degrees, both included; the straight views come first.
_VIEWS: tuple[tuple[float, float, str, Code], ...] = (
    (-1, 1, "PA", ("272479007", "SCT", "postero-anterior")),
    (179, 180, "AP", ("399348003", "SCT", "antero-posterior")),
    (-180, -179, "AP", ("399348003", "SCT", "antero-posterior")),
    (89, 91, "LL", ("399173006", "SCT", "left lateral")),
    (-91, -89, "RL", ("399198007", "SCT", "right lateral")),
    (0, 90, "", ("399135007", "SCT", "left anterior oblique")),
    (-90, 0, "", ("399356000", "SCT", "right anterior oblique")),
    (90, 180, "", ("399006002", "SCT", "left posterior oblique")),
    (-180, -90, "", ("399038007", "SCT", "right posterior oblique")),
)
_CEPHALAD: Code = ("399196006", "SCT", "cephalad")
_CAUDAD: Code = ("399162004", "SCT", "caudad")

_STRAIGHT = {"PA": 0.0, "AP": 180.0, "LATERAL": 90.0}
_TURNS = {"LAO": (0, 1), "RAO": (0, -1), "LPO": (180, -1), "RPO": (180, 1)}
_NAME = re.compile(r"(?:(LAO|RAO|LPO|RPO)(\d+(?:\.\d+)?))?(?:(CRA|CAU)(\d+(?:\.\d+)?))?")

_MIN_COSINE = 0.1  # a direction less than 6° off an axis is named after that axis alone


def view_of(name: str, geometry: Mapping[str, float]) -> View:
    """The view of a record.

    Args:
        name: "PA", "AP", "LATERAL" (left side to the detector), or angles: "LAO45", "RAO30CRA20", "LPO45", "CAU15".
        geometry: "primary_angle_deg" and "secondary_angle_deg" win over the name's angles where given and finite.

    Raises:
        InputError: The name is none of these, and the geometry has no primary angle.
    """
    named = _angles(name)
    primary = geometry.get("primary_angle_deg", math.nan)
    secondary = geometry.get("secondary_angle_deg", math.nan)
    if named is None and not math.isfinite(primary):
        raise InputError(f"view {name!r} is none of PA, AP, LATERAL, or angles such as LAO45, RAO30CRA20")
    primary = primary if math.isfinite(primary) else (named or (0.0, 0.0))[0]
    secondary = secondary if math.isfinite(secondary) else (named or (0.0, 0.0))[1]
    primary = 180.0 - (180.0 - primary) % 360.0
    position, code = next((term, code) for low, high, term, code in _VIEWS if low <= primary <= high)
    modifier = None if abs(secondary) < 1 else _CEPHALAD if secondary > 0 else _CAUDAD
    return View(primary, secondary, code, modifier, position, _patient_orientation(primary, secondary))


def _angles(name: str) -> tuple[float, float] | None:
    if name in _STRAIGHT:
        return _STRAIGHT[name], 0.0
    match = _NAME.fullmatch(name)
    if not name or match is None:
        return None
    turn, primary, tilt, secondary = match.groups()
    start, sign = _TURNS.get(turn, (0, 1))
    return start + sign * float(primary or 0), float(secondary or 0) * (-1 if tilt == "CAU" else 1)


def _patient_orientation(primary_deg: float, secondary_deg: float) -> tuple[str, str]:
    # Seen from the detector towards the source; a detector behind the patient is seen mirrored, so that also there the
    # patient's right is on the image's left. World axes: x to the left, y to the back, z to the head.
    a, b = math.radians(primary_deg), math.radians(secondary_deg)
    mirror = -1 if abs(primary_deg) > 90 else 1
    right = (mirror * math.cos(a), mirror * math.sin(a), 0.0)
    down = (math.sin(a) * math.sin(b), -math.cos(a) * math.sin(b), -math.cos(b))
    return _letters(right), _letters(down)


def _letters(direction: tuple[float, float, float]) -> str:
    named = sorted(zip(direction, ("LR", "PA", "HF"), strict=True), key=lambda pair: -abs(pair[0]))
    return "".join(letters[component < 0] for component, letters in named if abs(component) > _MIN_COSINE)
