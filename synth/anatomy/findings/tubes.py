"""Tubes through the neck: the endotracheal tube and the nasogastric tube, at their place and out of it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from synth.anatomy.findings.base import editor
from synth.anatomy.findings.boxes import grid_ends
from synth.anatomy.findings.burn import add_device
from synth.anatomy.findings.courses import (
    carina,
    centreline,
    lying_in,
    points_of,
    relaxed,
    resampled,
    route,
)
from synth.anatomy.findings.tubing import cuffed_tube, stomach_tube
from synth.core.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from synth.anatomy.scan import Scan
    from synth.core.record import Finding

__all__ = ["TIPS", "endotracheal_course", "nasogastric_course"]

TIPS = {
    "endotracheal tube": ("mid trachea", "high", "right main bronchus"),
    "nasogastric tube": ("stomach", "distal esophagus"),
}
"""Kind → where its tip may be, Finding.location; the first is right and is taken where nothing is said."""

_ABOVE_CARINA_MM = {"mid trachea": (30.0, 50.0), "high": (70.0, 85.0)}
"""5 ± 2 cm with the neck in neutral position (Goodman et al. 1976, AJR 127:433); here the half towards the carina."""
_INTO_BRONCHUS_MM = (12.0, 25.0)
_TUBE_MM = 230.0  # from tip to teeth, 21 to 23 cm in adults
_MAGILL_MM = 140.0  # radius of the moulded curve (ISO 5361)
_PAST_CARDIA_MM = (90.0, 140.0)  # the last side hole, 6 cm from the tip, has to lie in the stomach
_ABOVE_CARDIA_MM = (20.0, 50.0)
_FRENCH = (14.0, 16.0, 18.0)
_INNER_MM = (7.0, 7.5, 8.0)


@editor("endotracheal tube", needs=(("trachea",),))
def _endotracheal_tube(scan: Scan, finding: Finding, generator: np.random.Generator) -> Scan:
    """A cuffed tube down the middle of the trachea; location: where its tip is."""
    place = _place(finding)
    path = endotracheal_course(scan, place, generator)
    inner = float(generator.choice(_INNER_MM))
    # The cuff fills the trachea: as wide as a circle of its section's area 35 mm above the tip.
    points = points_of(scan, "trachea")
    at = path[min(35, len(path) - 1)]
    voxel = float(np.prod(scan.volume.spacing))
    section = (np.abs(points[:, 2] - at[2]) < 5).sum() * voxel / 10
    cuff = float(np.clip(2 * np.sqrt(section / np.pi), inner + 4, 28))
    return add_device(scan, replace(finding, location=place), cuffed_tube(path, inner_mm=inner, cuff_mm=cuff))


@editor("nasogastric tube", needs=(("esophagus",), ("stomach",)))
def _nasogastric_tube(scan: Scan, finding: Finding, generator: np.random.Generator) -> Scan:
    """A tube down the oesophagus into the stomach; location: where its tip is."""
    place = _place(finding)
    path = nasogastric_course(scan, place, generator)
    return add_device(
        scan, replace(finding, location=place), stomach_tube(path, french=float(generator.choice(_FRENCH)))
    )


def endotracheal_course(scan: Scan, place: str, generator: np.random.Generator) -> NDArray[np.float64]:
    """(n, 3), 1 mm a point, from the tip upwards, to the teeth or the upper end of the CT.

    Args:
        scan: Needs the label "trachea".
        place: One of TIPS["endotracheal tube"].
        generator: Draws the tip's place.

    Raises:
        InputError: The trachea that the CT shows is too short for the tip.
    """
    division, line = carina(scan)
    if place == "right main bronchus":
        line = np.vstack([line, _right_bronchus(scan, division, generator.uniform(*_INTO_BRONCHUS_MM))])
        below = 0.0
    else:
        below = generator.uniform(*_ABOVE_CARINA_MM[place])
    line = lying_in(scan, scan.where("trachea"), line, sigma_mm=10.0)[::-1]
    length = np.arange(len(line)) * float(np.linalg.norm(line[1] - line[0]))
    inside = line[length >= below - 1e-6]
    if len(inside) < 15:
        raise InputError(
            f"{scan.volume.name}: shows {length[-1]:.0f} mm of trachea, too little for a tip {below:.0f} mm above "
            "the carina"
        )
    return _cut(scan, _curved(inside, _TUBE_MM))


def nasogastric_course(scan: Scan, place: str, generator: np.random.Generator) -> NDArray[np.float64]:
    """(n, 3), 1 mm a point, from the tip upwards, to the nose or the upper end of the CT.

    Args:
        scan: Needs the labels "esophagus" and "stomach".
        place: One of TIPS["nasogastric tube"].
        generator: Draws the tip's place.

    Raises:
        InputError: A label is missing.
    """
    gullet = centreline(points_of(scan, "esophagus"))
    if place == "distal esophagus":
        gullet = resampled(gullet, 1.0)[: -int(generator.uniform(*_ABOVE_CARDIA_MM))]
        return _cut(scan, _curved(lying_in(scan, scan.where("esophagus"), gullet)[::-1], _TUBE_MM + 150))
    past = generator.uniform(*_PAST_CARDIA_MM)
    # The cardia is where the oesophagus comes nearest to the stomach.
    stomach = points_of(scan, "stomach")
    near = stomach[np.linalg.norm(stomach - gullet[-1], axis=1).argmin()]
    within = route(scan, ("stomach",), near, length_mm=past)
    whole = np.vstack([gullet, within])
    path = lying_in(scan, scan.where("esophagus", "stomach"), whole)
    return _cut(scan, _curved(path[::-1], _TUBE_MM + 250))


def _right_bronchus(scan: Scan, division: NDArray[np.float64], depth: float) -> NDArray[np.float64]:
    """(n, 3): from below the carina into the right main bronchus."""
    points = points_of(scan, "trachea")
    right = points[(points[:, 0] < division[0] - 2) & (points[:, 2] < division[2] + 2)]
    far = np.linalg.norm(right - division, axis=1)
    rings = [right[np.abs(far - r) < 3].mean(0) for r in np.arange(8.0, depth + 3, 4.0) if (np.abs(far - r) < 3).any()]
    if not rings:
        raise InputError(
            f"{scan.labels.name}: the label trachea ends at the carina, the right main bronchus is missing"
        )
    return np.array(rings)


def _curved(path: NDArray[np.float64], length_mm: float) -> NDArray[np.float64]:
    """A course up the throat, continued to its full length: 30 mm straight on, then forwards in an arc."""
    path = resampled(path, 1.0)
    ahead = path[-1] - path[-min(len(path), 20)]
    ahead /= np.linalg.norm(ahead)
    rest = np.arange(1.0, max(length_mm - len(path), 1) + 1)
    turned = np.minimum(np.maximum(rest - 30, 0) / _MAGILL_MM, np.pi / 2)
    front = np.array([0, -1.0, 0]) + ahead[1] * ahead
    front /= np.linalg.norm(front)
    steps = np.cos(turned)[:, None] * ahead + np.sin(turned)[:, None] * front
    return relaxed(np.vstack([path, path[-1] + np.cumsum(steps, axis=0)]), 3.0)


def _cut(scan: Scan, path: NDArray[np.float64]) -> NDArray[np.float64]:
    """What of a course lies below the upper face of the grid."""
    above = path[:, 2] > grid_ends(scan)[1][2]
    return path[: int(above.argmax())] if above.any() else path


def _place(finding: Finding) -> str:
    places = TIPS[finding.kind or ""]
    if finding.location is not None and finding.location not in places:
        raise InputError(
            f"{finding.kind}: location {finding.location!r} is not possible; use one of {', '.join(places)}"
        )
    return finding.location or places[0]
