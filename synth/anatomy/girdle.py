"""How the shoulders are held: where the blade lies on the rib cage, and where the arm goes.

Three postures: standing for a PA film, the shoulders rolled forward and down and the backs of the hands on the hips, so
that the blades leave the lungs; lying on the back, the arms beside; and arms above the head, as in CT. The blade lies
flat on the thorax: its angle to the frontal plane is the smallest that keeps it off the ribs (about 35° at rest and 60°
rolled forward), and it turns up with the arm by a third of the arm's elevation (Inman et al. 1944, J Bone Joint Surg
26:1). Positions are ours, set by looking at radiographs and CT.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from synth.anatomy.frame import Frame

__all__ = ["Shoulder", "gap", "girdle"]

_CLEAR_MM = 17.0
"""From the pleura to the middle of the blade: a rib, serratus anterior and subscapularis."""
_MOST_DEG = 75.0
_PLAY_MM, _FORWARD_MM = 6.0, 30.0
_FEMALE = 0.88
"""A woman's shoulder blade over a man's (Dwight 1894: heights of about 140 and 159 mm)."""


@dataclass(frozen=True, eq=False)
class Shoulder:
    """One shoulder; world mm.

    Attributes:
        side: "left" or "right".
        sign: 1 left, −1 right: x is sign times the distance from the midline.
        head: (3,) middle of the humerus' head.
        radius: Of the head, mm.
        size: Of the blade, relative to the default man's.
        axes: (3, 3), rows: in the blade from its medial border to the socket; in the blade, upward; to its back.
        arm: (3,) unit: from the head along the shaft of the humerus.
    """

    side: str
    sign: float
    head: NDArray[np.float64]
    radius: float
    size: float
    axes: NDArray[np.float64]
    arm: NDArray[np.float64]

    @property
    def socket(self) -> NDArray[np.float64]:
        """(3,) middle of the glenoid cavity."""
        point: NDArray[np.float64] = self.head - (self.radius + 2.5) * self.axes[0]
        return point

    def at(self, lateral: float, up: float, back: float) -> NDArray[np.float64]:
        """(3,) world: a point in the blade's own directions from the socket, mm of the default man's blade."""
        point: NDArray[np.float64] = self.socket + self.size * np.array([lateral, up, back]) @ self.axes
        return point


@dataclass(frozen=True)
class _Posture:
    outward: float  # of the head's middle, as a share of half the biacromial breadth
    forward: float  # of T3's middle, mm
    level: float  # of the spine
    turn_deg: float  # of the blade in its plane, upward
    lean_deg: float  # of its upper edge, forward
    least_deg: float  # of the blade, to the frontal plane
    arm: tuple[float, float, float]  # lateral, back, up


_ROLLED = _Posture(0.88, 56.0, 2.8, 9.0, 14.0, 57.5, (0.26, -0.10, -0.96))
_LYING = _Posture(0.91, 24.0, 2.4, 2.0, 8.0, 30.0, (0.14, -0.02, -0.99))
_RAISED = _Posture(0.74, 30.0, 1.5, 36.0, 8.0, 35.0, (0.62, -0.30, 0.72))


def girdle(frame: Frame) -> tuple[Shoulder, Shoulder]:
    """The left and the right shoulder of a body; no random part."""
    build = frame.build
    posture = _RAISED if build.arms_up else _LYING if build.supine else _ROLLED
    return _shoulder(frame, posture, "left"), _shoulder(frame, posture, "right")


def _shoulder(frame: Frame, posture: _Posture, side: str) -> Shoulder:
    build, sign = frame.build, 1.0 if side == "left" else -1.0
    size = (_FEMALE if build.female else 1.0) * (0.4 + 0.6 * build.trunk_scale)
    t3 = frame.spine.vertebrae["T3"].centre
    head = np.array(
        [sign * posture.outward * build.biacromial_mm / 2, t3[1] - posture.forward, frame.spine.z(posture.level)]
    )
    lateral, back, up = posture.arm
    arm = np.array([sign * lateral, back, up])
    arm /= np.linalg.norm(arm)
    radius = 21.5 if build.female else 24.5

    def held(angle_deg: float, moved: NDArray[np.float64]) -> Shoulder:
        return Shoulder(side, sign, head + moved, radius, size, _axes(angle_deg, posture, sign), arm)

    angle_deg, still = posture.least_deg, np.zeros(3)
    room = _room(frame, held(angle_deg, still))
    while room < 0 and angle_deg < _MOST_DEG:
        angle_deg += 2.5
        room = _room(frame, held(angle_deg, still))
    if room < 0:  # a wide chest between narrow shoulders: pushed out as a whole
        return held(angle_deg, -room * np.array([sign * 0.8, 0.6, 0.0]))
    # Wide shoulders on a narrow chest: forward and inward, until the blade lies on the ribs.
    closer = min(max(room - _PLAY_MM, 0.0), _FORWARD_MM)
    return held(angle_deg, closer * np.array([-sign * 0.3, -0.95, 0.0]))


def _axes(degrees: float, posture: _Posture, sign: float) -> NDArray[np.float64]:
    """Rows lateral, up, back of a blade at an angle to the frontal plane."""
    angle, lean, turn = np.deg2rad([degrees, posture.lean_deg, posture.turn_deg])
    lateral = np.array([sign * np.cos(angle), -np.sin(angle), 0.0])
    back = np.array([sign * np.sin(angle) * np.cos(lean), np.cos(angle) * np.cos(lean), np.sin(lean)])
    up = np.cross(back, lateral) * sign * -1.0
    up *= np.sign(up[2])
    turned = np.cos(turn) * lateral + np.sin(turn) * up
    upward = np.cos(turn) * up - np.sin(turn) * lateral
    return np.stack([turned, upward, back])


_SPOTS = np.array(
    [
        (-88, 41, 2),
        (-104, 12, 2),
        (-100, -30, 2),
        (-92, -75, 2),
        (-78, -108, 2),
        (-60, -70, 8),
        (-70, 0, 8),
        (-40, -20, 5),
    ]
)
"""Points of the blade that come near the ribs: lateral, up, back of the socket, mm."""


def _room(frame: Frame, shoulder: Shoulder) -> float:
    """How far the blade could still come nearer to the ribs, mm; negative: it lies too deep."""
    spots = np.array([shoulder.at(*spot) for spot in _SPOTS])
    return float(gap(frame, spots).min()) - _CLEAR_MM


def gap(frame: Frame, points: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n,) mm: distance of points (n, 3) from the cavity of the chest, along its horizontal radii; negative within."""
    cavity = frame.cage.cavity
    row = np.rint((points[:, 2] - cavity.w0) / cavity.dw).astype(int)
    row = np.clip(row, 0, len(cavity.radius) - 1)
    offset = points[:, :2] - cavity.centre[row]
    n = cavity.radius.shape[1]
    column = np.rint(np.arctan2(offset[:, 1], offset[:, 0]) / (2 * np.pi) * n).astype(int) % n
    distance: NDArray[np.float64] = np.hypot(offset[:, 0], offset[:, 1]) - cavity.radius[row, column]
    return distance
