"""Lines in the veins: central venous catheter and pacemaker, through the superior vena cava to the right heart."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from synth.anatomy.findings.base import editor
from synth.anatomy.findings.boxes import grid_ends
from synth.anatomy.findings.burn import add_device
from synth.anatomy.findings.courses import (
    body_exit,
    centreline,
    inside,
    points_of,
    relaxed,
    resampled,
    route,
    top_of,
)
from synth.anatomy.findings.heart import HEART
from synth.anatomy.findings.tubing import catheter, lead
from synth.core.errors import InputError
from synth.drr.devices import pacemaker
from synth.drr.mesh import Part
from synth.drr.shapes import smooth

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from synth.anatomy.scan import Scan
    from synth.core.record import Finding

__all__ = ["CATHETER_TIPS", "PACING_SITES", "catheter_course", "pacing_courses", "venous_course"]

CATHETER_TIPS = ("cavoatrial junction", "superior vena cava", "right atrium")
"""Where a central venous catheter may end, Finding.location; the first two are right."""
PACING_SITES = ("right atrium and right ventricle", "right ventricle")
"""Where a pacemaker's leads may end, Finding.location."""

_VEINS = (("superior_vena_cava",), ("brachiocephalic_vein_left", "brachiocephalic_vein_right", "clavicula_left",
                                   "clavicula_right"))  # fmt: skip
_INNER_MM, _ARM_MM = 22.0, 62.0  # outside the collar bone's inner end: the confluence, and where a line enters
_ABOVE_JUNCTION_MM = {"cavoatrial junction": (0.0, 12.0), "superior vena cava": (22.0, 38.0)}
_INTO_ATRIUM_MM = (25.0, 40.0)
_APEX = np.array([0.55, -0.45, -0.70])  # where the right ventricle's floor lies: left, in front and below
_WALL_MM = 8.0  # of the ventricle and fat between a lead's tip and the silhouette
_SKIN_MM = 6.5  # from the skin to the front of a generator


@dataclass(frozen=True, eq=False)
class _Venous:
    """Axes of the way in: from outside the great veins to the right atrium.

    Attributes:
        arm: (n, 3), the subclavian vein from below the middle of the collar bone inwards.
        confluence: (3,), where jugular and subclavian vein meet.
        trunk: (n, 3), from there to the lower end of the superior vena cava.
        collar: (n, 3), the collar bone from its inner end outwards.
        side: −1 right, 1 left.
    """

    arm: NDArray[np.float64]
    confluence: NDArray[np.float64]
    trunk: NDArray[np.float64]
    collar: NDArray[np.float64] | None
    side: float


@editor("central venous catheter", needs=_VEINS)
def _central_venous_catheter(scan: Scan, finding: Finding, generator: np.random.Generator) -> Scan:
    """By the right internal jugular or a subclavian vein; laterality: the side it enters; location: its tip."""
    place = finding.location or CATHETER_TIPS[int(generator.random() < 0.35)]
    if place not in CATHETER_TIPS:
        raise InputError(f"{finding.kind}: location {place!r} is not possible; use one of {', '.join(CATHETER_TIPS)}")
    path = catheter_course(scan, finding.laterality or "right", place, generator)
    tails = () if path[-1, 2] > grid_ends(scan)[1][2] - 5 else _tails(path, generator)
    return add_device(scan, replace(finding, location=place), catheter(path, french=7.0, tails=tails))


@editor("pacemaker", needs=(*_VEINS, HEART))
def _pacemaker(scan: Scan, finding: Finding, generator: np.random.Generator) -> Scan:
    """A generator below the collar bone, and leads; laterality: the generator's; location: where the leads end."""
    place = finding.location or PACING_SITES[int(generator.random() < 0.3)]
    if place not in PACING_SITES:
        raise InputError(f"{finding.kind}: location {place!r} is not possible; use one of {', '.join(PACING_SITES)}")
    veins = venous_course(scan, finding.laterality or "left")
    pose = _pocket(scan, veins, generator)
    can = [part for part in pacemaker(generator, leads=1) if not part.name.startswith("lead")]
    parts = [Part(part.mesh.moved(pose), part.material, part.name) for part in can]
    for i, path in enumerate(pacing_courses(scan, veins, pose, place, generator)):
        parts += lead(path, f"lead {i + 1}")
    return add_device(scan, replace(finding, location=place), parts)


def venous_course(scan: Scan, laterality: str) -> _Venous:
    """The way from the confluence of the neck's and the arm's vein to the right atrium.

    Where the brachiocephalic vein has no label, the confluence is taken behind the inner end of the collar bone.

    Raises:
        InputError: Neither the vein nor the collar bone of the side, or no superior vena cava.
    """
    side = 1.0 if laterality == "left" else -1.0
    cava = centreline(points_of(scan, "superior_vena_cava"))
    bone, vein = f"clavicula_{laterality}", f"brachiocephalic_vein_{laterality}"
    collar = None
    if scan.where(bone).any():
        points = points_of(scan, bone) * [side, 1, 1]
        collar = centreline(points, axis=0, step_mm=5.0)[::-1] * [side, 1, 1]
    if scan.where(vein).any():
        points = points_of(scan, vein)
        way = route(scan, (vein,), top_of(points, [0.7 * side, 0, 0.7]), cava[0])
        # Some maps call the subclavian vein by the same name: what lies beyond the collar bone's inner end.
        inner = top_of(points, [0, 0, 1])[0] if collar is None else collar[0, 0]
        beyond = side * (way[:, 0] - inner)
        first = int((beyond < _INNER_MM).argmax())
        arm, trunk = way[:first][beyond[:first] < _ARM_MM], way[first:]
    elif collar is not None:
        outer = collar[0] + [2 * side, 22, -6]
        arm, trunk = cava[:0], np.vstack([outer, 0.4 * outer + 0.6 * cava[0] + [0, -2, 4]])
    else:
        raise InputError(f"{scan.labels.name}: needs the label {vein} or {bone}; segment the CT with it")
    if len(arm) < 4:
        arm = _under_collar(trunk[0], collar, side)
    return _Venous(arm, trunk[0], relaxed(np.vstack([trunk, cava]), 5.0), collar, side)


def catheter_course(scan: Scan, laterality: str, place: str, generator: np.random.Generator) -> NDArray[np.float64]:
    """(n, 3), 1 mm a point, from the tip to the hub on the skin, or to the upper end of the CT.

    Args:
        scan: Needs the label "superior_vena_cava", and that of a brachiocephalic vein or a collar bone.
        laterality: "right": by the internal jugular vein. "left": by the subclavian vein.
        place: One of CATHETER_TIPS.
        generator: Draws the tip's place and the entry's.

    Raises:
        InputError: A label is missing.
    """
    veins = venous_course(scan, laterality)
    trunk = veins.trunk
    if place == "right atrium":
        trunk = np.vstack([trunk, _atrial_axis(scan, trunk, generator.uniform(*_INTO_ATRIUM_MM))])
    else:
        trunk = trunk[: -max(1, int(generator.uniform(*_ABOVE_JUNCTION_MM[place])))]
    outside = _jugular(scan, veins, generator) if laterality == "right" else _subclavian(scan, veins, generator)
    path = relaxed(np.vstack([outside, trunk]), 5.0)[::-1]
    above = path[:, 2] > grid_ends(scan)[1][2]
    return path[: int(above.argmax())] if above.any() else path


def pacing_courses(
    scan: Scan, veins: _Venous, pose: NDArray[np.float64], place: str, generator: np.random.Generator
) -> list[NDArray[np.float64]]:
    """Courses of the leads, 1 mm a point, from the tip to the header of the generator at `pose`."""
    ends = [_ventricular(scan, veins)]
    if place == PACING_SITES[0]:
        ends.append(_atrial(scan, veins))
    paths = []
    for i, end in enumerate(ends):
        # In the generator's own coordinates its header looks towards −x: once around the can, then up to the vein.
        w = 46.0
        loop = np.array([
            [-0.33 * w, 1.6 * (i - 0.5), 0.45 * w + 3.5 + 3 * i], [-0.5 * w, 0, 0.45 * w + 4 + 3 * i],
            [-0.72 * w, 4, 0.1 * w], [-0.45 * w, 6, -0.5 * w], [0.2 * w, 6, -0.56 * w], [0.66 * w, 5, -0.05 * w],
            [0.5 * w, 5, 0.72 * w],
        ])  # fmt: skip
        loop[2:] += generator.normal(0, 1.5, (5, 3)) * [1, 0.3, 1]
        loop = loop @ pose[:3, :3].T + pose[:3, 3]
        inner = resampled(veins.trunk, 18.0)[:-1] + generator.normal(0, 0.6, 3)
        way = np.vstack([loop, _few(veins.arm), inner, end])
        paths.append(resampled(smooth(way, 400), 1.0)[::-1])
    return paths


def _jugular(scan: Scan, veins: _Venous, generator: np.random.Generator) -> NDArray[np.float64]:
    """(n, 3): from the skin of the neck down to the confluence."""
    entry = generator.uniform(45, 60)
    vein = veins.confluence + np.array([[-11.0, 0, entry], [-7.0, 0, 0.6 * entry], [-2.0, 0, 0.25 * entry]])
    skin = body_exit(scan, vein[0], [-0.45, -0.75, 0.35])
    fall = skin + np.array([[-24.0, -10, -14], [-10.0, -8, 3]])
    return np.vstack([fall, skin + np.array([-0.5, -0.8, 1]), vein])


def _subclavian(scan: Scan, veins: _Venous, generator: np.random.Generator) -> NDArray[np.float64]:
    """(n, 3): from the skin below the collar bone to the confluence."""
    arm = _few(veins.arm)
    inner = arm[0] + [6 * veins.side, -6, -14]
    skin = body_exit(scan, inner, [0.25 * veins.side, -0.9, -0.35])
    outer = skin + np.array([[26.0 * veins.side, -4, -22 + generator.normal(0, 4)], [9.0 * veins.side, -4, -8]])
    return np.vstack([outer, skin, inner, arm])


def _under_collar(
    confluence: NDArray[np.float64], collar: NDArray[np.float64] | None, side: float
) -> NDArray[np.float64]:
    """(2, 3): the subclavian vein where it passes behind and below the collar bone, from outside inwards."""
    if collar is None:
        return np.asarray(confluence + np.array([[48 * side, -4, 4], [22 * side, -3, 6]]), float)
    at = np.abs(collar[:, 0] - collar[0, 0])
    outer, inner = (collar[int(np.abs(at - far).argmin())] for far in (55.0, 28.0))
    return np.asarray(np.array([outer, inner]) + np.array([[0, 8, -16], [0, 12, -9]]), float)


def _few(arm: NDArray[np.float64]) -> NDArray[np.float64]:
    """Points far enough apart to bend a stiff line through: about 25 mm."""
    return arm if len(arm) < 3 else resampled(arm, 25.0)


def _tails(path: NDArray[np.float64], generator: np.random.Generator) -> tuple[NDArray[np.float64], ...]:
    """Three extension lines that fan out from the hub, as long as an adult's, and fall."""
    ahead = path[-1] - path[-4]
    ahead = ahead / np.linalg.norm(ahead)
    start = path[-1] + 12 * ahead
    side = np.sign(ahead[0]) or 1.0
    tails = []
    for spread in (-0.35, 0.0, 0.35):
        turn = spread + generator.normal(0, 0.08)
        towards = np.array([side * np.cos(0.9 + turn), -0.06, -np.sin(0.9 + turn)])
        points = start + np.array([[0.0], [6.0]]) * ahead
        bend = points[-1] + 22 * (0.5 * ahead + 0.5 * towards) + generator.normal(0, 1.0, 3)
        tails.append(resampled(smooth(np.vstack([points, bend, bend + 34 * towards]), 80), 1.0))
    return tuple(tails)


def _pocket(scan: Scan, veins: _Venous, generator: np.random.Generator) -> NDArray[np.float64]:
    """(4, 4): a generator's pose below the skin, 50 mm below the middle of the collar bone, its header inwards."""
    base = veins.confluence + np.array([60 * veins.side, -20, 10])
    if veins.collar is not None:
        base = veins.collar[int(np.abs(np.abs(veins.collar[:, 0] - veins.collar[0, 0]) - 62).argmin())]
    middle = base + np.array([generator.normal(0, 3), 40, -50 + generator.normal(0, 4)])
    around = np.array([[0, 0, 0], [18, 0, 0], [-18, 0, 0], [0, 0, 18], [0, 0, -18]], float)
    skin = np.array([body_exit(scan, middle + shift, [0, -1, 0]) for shift in around])
    slope = [(skin[1, 1] - skin[2, 1]) / 36, (skin[3, 1] - skin[4, 1]) / 36]
    inwards = np.array([-slope[0], 1.0, -slope[1]])
    inwards /= np.linalg.norm(inwards)
    tilt = generator.normal(0, 0.15)
    x = np.array([np.cos(tilt), 0, np.sin(tilt)])
    x -= (x @ inwards) * inwards
    x /= np.linalg.norm(x)
    turn = np.column_stack([x, inwards, np.cross(x, inwards)])
    if veins.side < 0:
        turn = turn @ np.diag([-1.0, -1.0, 1.0])  # turned over, its header looks inwards on the right as well
    pose = np.eye(4)
    pose[:3, :3] = turn
    pose[:3, 3] = np.median(skin, axis=0) * [0, 1, 0] + middle * [1, 0, 1] + (_SKIN_MM + 3.5) * inwards
    return pose


def _atrial_axis(scan: Scan, trunk: NDArray[np.float64], length: float) -> NDArray[np.float64]:
    """(n, 3): on from the superior vena cava towards the inferior, through the right atrium."""
    if scan.where("inferior_vena_cava").any():
        towards = top_of(points_of(scan, "inferior_vena_cava"), [0, 0, 1]) - trunk[-1]
    else:
        towards = np.array([0.0, 0.0, -1.0])
    towards = towards / np.linalg.norm(towards)
    return np.asarray(trunk[-1] + np.arange(8.0, length, 4.0)[:, None] * towards, float)


def _ventricular(scan: Scan, veins: _Venous) -> NDArray[np.float64]:
    """(n, 3): through the atrium and the tricuspid valve along the right ventricle's floor to its apex."""
    heart = points_of(scan, *HEART)
    chamber = heart
    if scan.where("heart_ventricle_right").any():
        chamber = points_of(scan, "heart_ventricle_right")
    tip = top_of(chamber, _APEX, 0.01) - _WALL_MM * _APEX
    atrium = _atrial_axis(scan, veins.trunk, 46.0)[[3, -1]]
    atrium[1] += [-3, 0, 0]
    sag = 0.45 * atrium[-1] + 0.55 * tip + [0, 0, -7.0]
    return np.vstack([atrium, _kept(scan, np.vstack([sag, tip]), heart)])


def _atrial(scan: Scan, veins: _Venous) -> NDArray[np.float64]:
    """(n, 3): down into the atrium, then forwards and up into its appendage, a J."""
    axis = _atrial_axis(scan, veins.trunk, 36.0)
    hook = np.vstack([axis[-1] + [3, -14, -2], axis[2] + [7, -24, 2]])
    return np.vstack([axis[2], axis[-2] + [-1, -3, 0], _kept(scan, hook, points_of(scan, *HEART))])


def _kept(scan: Scan, points: NDArray[np.float64], heart: NDArray[np.float64]) -> NDArray[np.float64]:
    """Points drawn towards the middle of the heart until they lie in it."""
    mask, middle = scan.where(*HEART), heart.mean(0)
    kept = points.copy()
    for _ in range(30):
        out = ~inside(scan, mask, kept)
        kept[out] += 0.06 * (middle - kept[out])
    return kept
