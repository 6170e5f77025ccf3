"""Rib fractures: a fresh one breaks the bone and sets its ends off, a healing one is bridged by callus."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

from synth.anatomy.findings.base import editor
from synth.anatomy.findings.boxes import box_around, positions
from synth.anatomy.findings.courses import points_of, relaxed
from synth.anatomy.findings.geometry import bounding_box, box_affine
from synth.anatomy.findings.noise import draw_seed, noise
from synth.anatomy.findings.tissue import grain, ramp, replaced
from synth.anatomy.scan import Scan, Seen
from synth.core.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from synth.anatomy.findings.base import Box
    from synth.core.record import Finding

__all__ = ["RIB_PLACES", "rib_line"]

RIB_PLACES = {"posterior": (0.12, 0.34), "lateral": (0.40, 0.64), "anterior": (0.72, 0.9)}
"""Where along a rib, as shares of its length from the spine."""

_PLACE_WEIGHTS = (0.3, 0.5, 0.2)
_RIBS, _RIB_WEIGHTS = range(3, 11), (0.06, 0.12, 0.18, 0.2, 0.18, 0.14, 0.08, 0.04)
"""Ribs 4 to 9 break most often, at the side, where they bend most (Liebsch et al. 2019, PLoS One 14:e0224105)."""

_TAPER_MM = 42.0  # over which a set-off end comes back to its course
_REACH_MM = 52.0
_CLOSE_MM = 14.0  # to the rib, where the break is felt
_BLUR_VOXELS = (0.7, 2.0)  # from the label, over which a rib's own partial volume fades
_SOFT_HU = 45.0  # muscle and clotted blood between the ends
_CALLUS_HU = (280.0, 520.0)  # woven bone, between muscle and cortex
_CHANGED_HU = 25.0
_SHOWN_MM = 16.0  # around the break that the mask may reach
_NUMBER = re.compile(r"\d+")
_ALL_RIBS = tuple(f"rib_{side}_{n}" for side in ("left", "right") for n in range(1, 13))


@dataclass(frozen=True, eq=False)
class _Break:
    """A break in a part of the grid.

    Attributes:
        box: Part of the grid.
        rib: (z, y, x) bool, the rib.
        near: (z, y, x) mm to the rib.
        along: (z, y, x) mm along the rib from the break, forwards positive; far away where the rib is not near.
        at: (3,) world.
        up: (3,) unit, across the rib towards the head.
        out: (3,) unit, across the rib, away from the lung.
        ahead: (3,) unit, along the rib towards its front end.
    """

    box: Box
    rib: NDArray[np.bool_]
    near: NDArray[np.float64]
    along: NDArray[np.float64]
    at: NDArray[np.float64]
    up: NDArray[np.float64]
    out: NDArray[np.float64]
    ahead: NDArray[np.float64]


@editor("rib fracture", "healing rib fracture", needs=(_ALL_RIBS,))
def _rib_fracture(scan: Scan, finding: Finding, generator: np.random.Generator) -> Scan:
    """Breaks one rib; location: "lateral 6th rib", or only its place or number."""
    side = finding.laterality or "right"
    place, number = _wish(scan, finding, side, generator)
    fresh = finding.kind == "rib fracture"
    broken = _break(scan, f"rib_{side}_{number}", generator.uniform(*RIB_PLACES[place]), side)
    hu, rib, parts = _set_off(scan, broken, generator, fresh=fresh)
    affine = box_affine(scan, broken.box)
    if fresh:
        hu = _bleed(scan, broken, hu, affine, generator)
    else:
        hu, rib = _callus(broken, hu, rib, affine, scan.volume.spacing[::-1], generator)
    location = f"{place} {_ordinal(number)} rib"
    return _finished(scan, broken, hu, rib, parts, replace(finding, laterality=side, location=location))


def rib_line(scan: Scan, name: str) -> NDArray[np.float64]:
    """(n, 3), 1 mm a point: the middle of a rib from the spine to its front end.

    Args:
        scan: Needs the label.
        name: TotalSegmentator's ("rib_left_5").

    Raises:
        InputError: The label is missing, or too little of it is in the CT.
    """
    points = points_of(scan, name)
    low, high = points.min(0), points.max(0)
    # Seen from a point inside the chest, a rib goes round from the back to the front.
    inner = low[0] if "_left_" in name else high[0]
    angle = np.arctan2(np.abs(points[:, 0] - inner), points[:, 1] - (low[1] + high[1]) / 2)
    radius = np.linalg.norm(points[:, :2] - [inner, (low[1] + high[1]) / 2], axis=1)
    step = 5.0 / float(np.median(radius))
    slab = ((angle - angle.min()) / step).astype(int)
    count = np.bincount(slab)
    sums = np.stack([np.bincount(slab, column) for column in points.T], axis=1)
    line = sums[count >= 3] / count[count >= 3, None]
    if len(line) < 6:
        raise InputError(f"{scan.labels.name}: {name} is cut off; choose a rib that lies in the CT")
    return relaxed(line, 6.0)


def _wish(scan: Scan, finding: Finding, side: str, generator: np.random.Generator) -> tuple[str, int]:
    text = (finding.location or "").lower()
    named = [place for place in RIB_PLACES if place in text]
    number = _NUMBER.search(text)
    if text and not named and not number:
        raise InputError(
            f"{finding.kind}: location {finding.location!r} is not possible; say it as in 'lateral 6th rib' "
            f"({', '.join(RIB_PLACES)})"
        )
    place = named[0] if named else str(generator.choice(list(RIB_PLACES), p=_PLACE_WEIGHTS))
    if number:
        return place, int(number.group())
    names = set(scan.labels.names.values())
    there = [n in names for n in (f"rib_{side}_{n}" for n in _RIBS)]
    if not any(there):
        raise InputError(f"{scan.labels.name}: needs a label rib_{side}_3 to rib_{side}_10; segment the CT with it")
    weights = np.array(_RIB_WEIGHTS) * there
    return place, int(generator.choice(list(_RIBS), p=weights / weights.sum()))


def _break(scan: Scan, name: str, share: float, side: str) -> _Break:
    line = rib_line(scan, name)
    i = int(np.clip(share * len(line), 3, len(line) - 4))
    at, ahead = line[i], _unit(line[i + 3] - line[i - 3])
    up = _unit(np.array([0, 0, 1.0]) - ahead[2] * ahead)
    out = np.cross(ahead, up)
    out = out if out @ (at - line.mean(0) * [1, 1, 0] - at * [0, 0, 1]) > 0 else -out
    box = box_around(scan, at - _REACH_MM, at + _REACH_MM)
    rib = np.isin(scan.labels.array[box], scan.values([name]))
    near = ndimage.distance_transform_edt(~rib, sampling=scan.volume.spacing[::-1])
    close = near < _CLOSE_MM
    points = positions(scan, box)[close]
    _, nearest = cKDTree(line).query(points)
    along = np.full(rib.shape, 2 * _REACH_MM)
    # The nearest point is on a line of 1 mm steps; what is left along the tangent makes it continuous.
    along[close] = nearest - i + ((points - line[nearest]) * np.gradient(line, axis=0)[nearest]).sum(1)
    return _Break(box, rib, near, along, at, up, out, ahead)


def _set_off(
    scan: Scan, broken: _Break, generator: np.random.Generator, *, fresh: bool
) -> tuple[NDArray[np.float32], NDArray[np.bool_], NDArray[Any] | None]:
    """Values, rib and parts in the box with both ends displaced."""
    step = generator.uniform(4.0, 8.0) if fresh else generator.uniform(1.0, 2.5)
    gap = generator.uniform(1.5, 3.0) if fresh else 0.0
    turn = generator.uniform(-0.9, 0.9) + (np.pi if generator.random() < 0.5 else 0.0)
    across = np.cos(turn) * broken.up + np.sin(turn) * broken.out
    slant = generator.uniform(-0.5, 0.5)
    affine = box_affine(scan, broken.box)
    points = positions(scan, broken.box)
    jag = noise(affine, broken.near < _CLOSE_MM, draw_seed(generator), 4.0)
    line = broken.along + slant * ((points - broken.at) @ broken.up) + 1.2 * jag
    edge = float(scan.volume.spacing.min())
    rim = 1 - ramp(broken.near / edge, *_BLUR_VOXELS)
    old = scan.volume.hu[broken.box].astype(np.float32)
    empty = _SOFT_HU + grain(scan, old.shape, generator)
    bone, cover = np.zeros_like(old), np.zeros_like(old)
    rib = np.zeros(broken.rib.shape, bool)
    parts = None if scan.parts is None else scan.parts.array[broken.box].copy()
    inverse = np.linalg.inv(affine[:3, :3])
    for end, share in ((1.0, 0.75), (-1.0, -0.25)):
        own = rim * np.clip(0.5 + end * line / edge, 0, 1).astype(np.float32)
        fade = np.clip(1 - end * broken.along / _TAPER_MM, 0, 1) * (end * broken.along > -8)
        shift = share * step * across + end * gap / 2 * broken.ahead
        source = np.indices(old.shape) - (inverse @ shift)[::-1].reshape(3, 1, 1, 1) * fade
        moved = ndimage.map_coordinates(own, source, order=1, mode="nearest")
        value = ndimage.map_coordinates(old, source, order=1, mode="nearest")
        label = ndimage.map_coordinates(broken.rib & (end * line > 0), source, order=0, mode="nearest") > 0
        bone, cover = bone + moved * value, cover + moved
        rib |= label
        if parts is not None and scan.parts is not None:
            inner = ndimage.map_coordinates(scan.parts.array[broken.box], source, order=0, mode="nearest")
            parts[label] = inner[label]
    if parts is not None:
        parts[broken.rib & ~rib] = 0
    # What neither end covers where the rib was is soft tissue.
    left = np.clip(1 - cover, 0, 1)
    behind = replaced(old, rim, empty)
    hu = bone / np.maximum(cover, 1) + left * behind
    return np.where(np.maximum(rim, cover) > 0, hu, old).astype(np.float32), rib, parts


def _bleed(
    scan: Scan, broken: _Break, hu: NDArray[np.float32], affine: NDArray[np.float64], generator: np.random.Generator
) -> NDArray[np.float32]:
    """A haematoma around the ends, where there is fat or lung."""
    offset = positions(scan, broken.box) - broken.at
    half = generator.uniform([8, 5, 5], [13, 8, 8])
    axes = np.stack([broken.ahead, broken.up, broken.out])
    distance = np.linalg.norm(offset @ axes.T / half, axis=-1)
    wave = noise(affine, distance < 1.5, draw_seed(generator), 7.0)
    cover = 1 - ramp(distance + 0.25 * wave, 0.85, 1.15)
    blood = _SOFT_HU + 10 + grain(scan, hu.shape, generator)
    return np.where(hu < _SOFT_HU, replaced(hu, cover, blood), hu).astype(np.float32)


def _callus(
    broken: _Break, hu: NDArray[np.float32], rib: NDArray[np.bool_], affine: NDArray[np.float64],
    spacing: NDArray[np.float64], generator: np.random.Generator,
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:  # fmt: skip
    """A spindle of woven bone around the break, thickest in its middle."""
    outside = ndimage.distance_transform_edt(~rib, sampling=spacing)
    spindle = np.exp(-((broken.along / generator.uniform(7, 10)) ** 2))
    wave = noise(affine, outside < 10, draw_seed(generator), 8.0)
    thickness = generator.uniform(2.5, 4.5) * spindle * (1 + 0.25 * wave)
    edge = float(spacing.min())
    # The marrow fills less than the collar around the bone, and towards its ends less than in the middle.
    cover = np.clip(0.5 + (thickness - outside) / (1.5 * edge), 0, 1) * np.where(rib, 0.7 * spindle, spindle > 0.1)
    woven = generator.uniform(*_CALLUS_HU) * (1 + 0.15 * wave - 0.3 * np.clip(outside / 4, 0, 1))
    grown = replaced(hu, np.asarray(cover, np.float32), np.asarray(woven, np.float32))
    return np.asarray(np.where(hu < woven, grown, hu), np.float32), rib | (cover > 0.5)


def _finished(
    scan: Scan, broken: _Break, hu: NDArray[np.float32], rib: NDArray[np.bool_], parts: NDArray[Any] | None,
    finding: Finding,
) -> Scan:  # fmt: skip
    """The scan with the box put back, and the mask: a box around what has changed about the break."""
    box = broken.box
    old = scan.volume.hu[box]
    values = scan.volume.hu.copy()
    values[box] = np.rint(hu) if values.dtype == np.int16 else hu
    labels = scan.labels.array.copy()
    number = scan.labels.array[box][broken.rib][0]
    labels[box][broken.rib & ~rib] = 0
    labels[box][rib] = number
    near = np.linalg.norm(positions(scan, box) - broken.at, axis=-1) < _SHOWN_MM
    mask = np.zeros(values.shape, np.bool_)
    mask[box][bounding_box(near & (np.abs(hu - old) > _CHANGED_HU))] = True
    inner = None
    if scan.parts is not None and parts is not None:
        whole = scan.parts.array.copy()
        whole[box] = parts
        inner = replace(scan.parts, array=whole)
    return replace(
        scan,
        volume=replace(scan.volume, hu=values),
        labels=replace(scan.labels, array=labels),
        parts=inner,
        seen=(*scan.seen, Seen(finding, mask)),
    )


def _ordinal(number: int) -> str:
    return f"{number}{ {1: 'st', 2: 'nd', 3: 'rd'}.get(number, 'th') }"


def _unit(vector: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(vector / np.linalg.norm(vector), float)
