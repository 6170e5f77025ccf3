"""Implants of bone: screw, plate, hip stem, spinal rods, sternal wires.

Coordinates and conventions: see `synth.drr.objects`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from synth.core.errors import InputError
from synth.drr.mesh import Mesh, Part, merged
from synth.drr.shapes import ball, box, circle, plate, rounded, smooth, sweep, tube

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["bone_plate", "hip_stem", "pedicle_screw", "spinal_rods", "sternal_wires"]


def pedicle_screw(
    generator: np.random.Generator, *, length_mm: float = 45.0, diameter_mm: float = 6.5, tilt_deg: float = 15.0
) -> list[Part]:
    """A polyaxial screw along z, its point down: thread of 2.7 mm pitch, and a U-shaped head open for a rod along x.

    Args:
        generator: Turns its head about the shaft.
        length_mm: Length of the thread.
        diameter_mm: Diameter of the thread.
        tilt_deg: Largest angle of the shaft to its head.
    """
    tilt = np.deg2rad(generator.uniform(-tilt_deg, tilt_deg))
    shaft = merged([_thread(length_mm, diameter_mm, 2.7), ball(3.6).moved(_pose(z=2.5))])
    shaft = shaft.moved(_pose(turn_y=tilt))
    return [Part(shaft, "ti6al4v", "shaft"), Part(_tulip(), "ti6al4v", "head")]


def bone_plate(
    generator: np.random.Generator, *, length_mm: float = 100.0, holes: int = 7, screws: int = 5, screw_mm: float = 24.0
) -> list[Part]:
    """A compression plate along z in the x–z plane, 11 × 3.6 mm, with cortical screws of 3.5 mm towards +y.

    Args:
        generator: Chooses the holes that stay empty and tilts screws by up to 5°.
        length_mm: Length of the plate.
        holes: Number of holes.
        screws: How many of them hold a screw.
        screw_mm: Length of the screws.
    """
    if not 0 <= screws <= holes or length_mm < 10 * holes:
        raise InputError(f"bone_plate: needs 10 mm a hole and no more screws than holes, got {holes} and {screws}")
    at = (np.arange(holes) - (holes - 1) / 2) * length_mm / holes
    outline = rounded(11.0, length_mm, 5.4)
    parts = [Part(plate(outline, 3.6, [(0.0, z, 2.6) for z in at]), "titanium", "plate")]
    chosen = np.sort(generator.choice(holes, screws, replace=False))
    bodies = []
    for z in at[chosen]:
        head = tube([[0, 0, 2.6], [0, 0, 1.6], [0, 0, -0.6]], [2.4, 2.5, 1.7], sides=20)
        body = merged([head, _thread(screw_mm, 3.5, 1.25)])
        lean = np.deg2rad(generator.uniform(-5, 5))
        bodies.append(body.moved(_pose(turn_y=lean)).moved(_pose(turn_x=np.pi / 2, z=float(z))))
    return parts + ([Part(merged(bodies), "titanium", "screws")] if bodies else [])


def hip_stem(generator: np.random.Generator, *, length_mm: float = 140.0, head_mm: float = 32.0) -> list[Part]:
    """An uncemented stem in the x–z plane, its point down, with a cobalt–chromium ball on its neck towards +x.

    Args:
        generator: Varies the neck's angle, 127 to 135° to the stem.
        length_mm: Length of the stem below the neck.
        head_mm: Diameter of the ball: 22 to 36 mm.
    """
    if not 20 <= head_mm <= 60:
        raise InputError(f"hip_stem: head_mm must be 20 to 60 mm, got {head_mm:g}")
    unit = length_mm / 140
    curve = smooth(np.array([[0, 0, -140], [0, 0, -80], [1, 0, -40], [6, 0, -12], [12, 0, 0]]) * unit, 50)
    height = curve[:, 2] / unit
    wide = np.interp(height, [-140, -132, -80, -40, -10, 0], [2.0, 4.5, 6.5, 9.0, 13.5, 12.0]) * unit
    deep = np.interp(height, [-140, -132, -80, -40, -10, 0], [1.8, 4.0, 5.2, 6.2, 7.0, 6.5]) * unit
    corners = circle(1.0, 24)
    radius = 1 / np.hypot(corners[:, 0] / wide[:, None], corners[:, 1] / deep[:, None])
    stem = sweep(corners / np.linalg.norm(corners, axis=1, keepdims=True), curve, scale=radius)
    angle = np.deg2rad(generator.uniform(127, 135) - 90)
    ahead = np.array([np.cos(angle), 0, np.sin(angle)])
    base = curve[-1] - 1 * ahead
    centre = base + 38 * ahead
    neck = tube([base, base + 11 * ahead, centre + 2 * ahead], [8.5, 6.4, 5.6], sides=24)
    depth = 0.98 * np.sqrt(head_mm**2 / 4 - 6.4**2)
    bore = tube([centre - depth * ahead, centre + 2.1 * ahead], 6.4, sides=24).turned()
    head = merged([ball(head_mm / 2, sides=48).moved(_pose(*centre)), bore])
    return [Part(stem, "ti6al4v", "stem"), Part(neck, "ti6al4v", "neck"), Part(head, "cocrmo", "head")]


def spinal_rods(
    generator: np.random.Generator, *, levels: int = 4, spacing_mm: float = 32.0, width_mm: float = 40.0
) -> list[Part]:
    """Two rods of 5.5 mm along z, bent to a lordosis, with pedicle screws towards −y and a cross-link.

    Args:
        generator: Draws small differences of screws' positions and angles.
        levels: Vertebrae that are held.
        spacing_mm: Between vertebrae.
        width_mm: Between the rods.
    """
    half = 0.5 * spacing_mm * (levels - 1) + 12
    z = np.linspace(-half, half, 40)
    bend = 0.12 * half
    rods, screws, heads = [], [], []
    for side in (-1.0, 1.0):
        x = side * width_mm / 2 + generator.normal(0, 0.8)
        rods.append(tube(np.column_stack([0 * z + x, bend * ((z / half) ** 2 - 0.5), z]), 2.75, round_ends=True))
        for level in range(levels):
            height = (level - (levels - 1) / 2) * spacing_mm + generator.normal(0, 1)
            at = np.array([x, bend * ((height / half) ** 2 - 0.5), height])
            inwards = np.deg2rad(side * generator.uniform(8, 18))
            body = merged([_thread(45.0, 6.5, 2.7), ball(3.6).moved(_pose(z=2.5))]).moved(
                _pose(turn_y=generator.normal(0, 0.04))
            )
            forwards = _pose(*(at + np.array([0, -7.5, 0])), turn_x=-np.pi / 2) @ _pose(turn_y=inwards)
            screws.append(body.moved(forwards))
            heads.append(
                _tulip().moved(_pose(*(at + np.array([0, -7.5, 0])), turn_x=-np.pi / 2) @ _pose(turn_z=np.pi / 2))
            )
    link = box([width_mm - 6.5, 3.0, 6.0]).moved(_pose(y=-0.4 * bend + 1.0, z=0.5 * spacing_mm))
    return [
        Part(merged(rods), "ti6al4v", "rods"),
        Part(merged(screws), "ti6al4v", "screws"),
        Part(merged(heads), "ti6al4v", "heads"),
        Part(link, "ti6al4v", "cross-link"),
    ]


def sternal_wires(
    generator: np.random.Generator, *, wires: int = 6, spacing_mm: float = 22.0, wire_mm: float = 0.9
) -> list[Part]:
    """Steel loops around the breastbone, one below the other along z, twisted in front (−y).

    Args:
        generator: Varies size, place and tilt of each.
        wires: Number of loops; 6 or 7 are usual.
        spacing_mm: Between loops.
        wire_mm: Diameter; USP 5 to 7 are 0.7 to 0.9 mm.
    """
    loops = []
    for i in range(wires):
        width, depth = generator.uniform(22, 34), generator.uniform(11, 15)
        angle = np.deg2rad(np.linspace(-82, 262, 60))
        tilt, shift = generator.normal(0, 0.12), generator.normal(0, 2.5)
        ring = np.column_stack([0.5 * width * np.cos(angle), 0.5 * depth * np.sin(angle), 0 * angle])
        ring[:, :2] = (
            np.sign(ring[:, :2]) * np.abs(ring[:, :2] / [width / 2, depth / 2]) ** 0.75 * [width / 2, depth / 2]
        )
        ring[:, 2] = tilt * ring[:, 0]
        loops.append(
            tube(_distinct(ring) + np.array([shift, 0, ((wires - 1) / 2 - i) * spacing_mm]), wire_mm / 2, sides=8)
        )
        along = generator.uniform(-1, 1) * np.pi / 2.5
        turns = np.linspace(0, 1, 50)
        reach = 9.0 * turns
        base = np.array([shift, -0.5 * depth - 0.6, ((wires - 1) / 2 - i) * spacing_mm])
        for phase in (0.0, np.pi):
            twist = 2 * np.pi * 3.5 * turns + phase
            helix = np.column_stack([reach, 0.55 * wire_mm * np.cos(twist), 0.55 * wire_mm * np.sin(twist)])
            turned = helix @ np.array(
                [[np.sin(along), 0, -np.cos(along)], [0, 1, 0], [np.cos(along), 0, np.sin(along)]]
            )
            loops.append(tube(base + turned, wire_mm / 2, sides=8, round_ends=True))
    return [Part(merged(loops), "steel_316l", "wires")]


def _distinct(ring: NDArray[np.float64]) -> NDArray[np.float64]:
    """The same curve without points that coincide."""
    keep = np.append(True, np.linalg.norm(np.diff(ring, axis=0), axis=1) > 1e-6)
    return np.asarray(ring[keep], float)


def _thread(length: float, diameter: float, pitch: float) -> Mesh:
    """A screw's shaft from z = 0 down, with a core of 0.7 of its diameter and a blunt point."""
    sides = 16
    z = np.arange(0, length + 1e-9, pitch / 6)
    turn = (z[:, None] / pitch - np.arange(sides) / sides) % 1
    ridge = np.clip(1.6 - 4.5 * np.abs(turn - 0.5), 0, 1)
    radius = diameter / 2 * (0.7 + 0.3 * ridge)
    radius *= np.clip((length - z) / (1.2 * diameter) + 0.15, 0.15, 1)[:, None]
    return sweep(circle(1.0, sides), np.column_stack([0 * z, 0 * z, -z]), scale=radius)


def _tulip() -> Mesh:
    """The head of a pedicle screw: a base and two walls that leave a channel of 6 mm along x, and a nut in it."""
    walls = [box([9.0, 3.0, 12.0]).moved(_pose(y=side * 4.6, z=9.0)) for side in (-1.0, 1.0)]
    base = tube([[0, 0, 0.0], [0, 0, 2.9]], [5.2, 6.2], sides=24)
    nut = tube([[0, 0, 10.6], [0, 0, 15.0]], 3.05, sides=20)
    return merged([base, *walls, nut])


def _pose(
    x: float = 0, y: float = 0, z: float = 0, *, turn_x: float = 0, turn_y: float = 0, turn_z: float = 0
) -> NDArray[np.float64]:
    """(4, 4): turns about one axis, in radians, then a shift."""
    a, b, c = (np.array([[np.cos(t), -np.sin(t)], [np.sin(t), np.cos(t)]]) for t in (turn_x, turn_y, turn_z))
    pose = np.eye(4)
    about_x, about_y, about_z = np.eye(3), np.eye(3), np.eye(3)
    about_x[1:, 1:], about_z[:2, :2] = a, c
    about_y[::2, ::2] = b.T
    pose[:3, :3] = about_z @ about_y @ about_x
    pose[:3, 3] = x, y, z
    return pose
