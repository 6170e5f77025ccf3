"""Things left behind or used in an operation: sponge, needles, clamp, wires.

Coordinates and conventions: see `synth.drr.objects`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from synth.core.errors import InputError
from synth.drr.mesh import Mesh, Part, merged
from synth.drr.shapes import arc, hollow, rounded, sheet, smooth, sweep, tube

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["clamp", "guide_wire", "k_wire", "needle", "surgical_sponge", "suture_needle"]


def surgical_sponge(
    generator: np.random.Generator, *, size_mm: float = 100.0, layers: int = 4, crumple: float = 1.0
) -> list[Part]:
    """A crumpled gauze sponge with its marker thread.

    Folds of cotton, 0.06 mm of cellulose each (16-ply gauze of 20 g/m² a ply in `layers` folds), and a thread of 1 mm
    along a wandering course: PVC around barium sulfate, 18 % of it by volume (60 % by weight).

    Args:
        generator: Draws folds and the thread's course.
        size_mm: Edge of the folded sponge; 100 mm is 4 × 4 in.
        layers: Folds on top of each other.
        crumple: How far folds rise, in units of 8 mm.
    """
    folds = [_crumpled(generator, size_mm, 8 * crumple, 0.7 * (i - (layers - 1) / 2)) for i in range(layers)]
    middle = folds[layers // 2]
    turns = np.linspace(0, 1, 9)
    across = 0.5 + np.where(np.arange(9) % 2, 0.36, -0.36) * generator.uniform(0.6, 1.0, 9)
    along = 0.12 + 0.76 * turns + generator.normal(0, 0.03, 9)
    course = smooth(np.column_stack([along, across, 0 * turns]), 240)[:, :2]
    n = len(middle) - 1
    i, j = np.clip(np.rint(course.T * n).astype(int), 0, n)
    path = smooth(middle[i, j][::6] + np.array([0, 0.6, 0]), 240)
    return [
        Part(merged([sheet(fold, 0.06) for fold in folds]), "cotton", "gauze"),
        Part(hollow(path, 0.5, 0.21, sides=10), "pvc", "thread jacket"),
        Part(tube(path, 0.21, sides=10), "barium_sulfate", "thread"),
    ]


def _crumpled(generator: np.random.Generator, size: float, rise: float, offset: float) -> NDArray[np.float64]:
    """(41, 41, 3): a square of cloth in the x–z plane, drawn together and folded by a few random waves."""
    a, b = np.meshgrid(np.linspace(-0.5, 0.5, 41), np.linspace(-0.5, 0.5, 41), indexing="ij")
    height, x, z = np.full_like(a, offset), size * a, size * b
    for _ in range(5):
        turn, phase = generator.uniform(0, 2 * np.pi, 2)
        wave = 2 * np.pi * generator.uniform(0.7, 2.2) * (np.cos(turn) * a + np.sin(turn) * b) + phase
        height += 0.45 * rise * generator.uniform(0.4, 1.0) * np.sin(wave)
        x += 0.04 * size * np.cos(turn) * np.cos(wave)
        z += 0.04 * size * np.sin(turn) * np.cos(wave)
    return np.stack([x, height, z], axis=-1)


def suture_needle(
    generator: np.random.Generator, *, chord_mm: float = 22.0, wire_mm: float = 0.9, circle_fraction: float = 0.5
) -> list[Part]:
    """A curved needle: a taper point of 6 mm, a swaged end.

    Args:
        generator: Bends it by up to 4 %.
        chord_mm: Distance from end to point.
        wire_mm: Diameter of the wire, 0.3 to 1.3 mm by size.
        circle_fraction: Part of a circle that it makes: ¼, ⅜, ½ or ⅝.
    """
    if not 0.1 <= circle_fraction <= 0.75:
        raise InputError(f"suture_needle: circle_fraction must be 0.1 to 0.75, got {circle_fraction:g}")
    angle = 360 * circle_fraction * generator.uniform(0.96, 1.04)
    radius = chord_mm / 2 / np.sin(np.deg2rad(angle / 2))
    path = arc(radius, 270 - angle / 2, 270 + angle / 2, 49)
    length = np.deg2rad(angle) * radius * np.linspace(0, 1, 49)
    taper = np.clip((length[-1] - length) / 6.0, 0, 1) ** 0.7
    swage = 1 + 0.15 * (length < 3)
    return [Part(tube(path, 0.5 * wire_mm * taper * swage, sides=12), "steel_316l", "needle")]


def needle(
    generator: np.random.Generator, *, length_mm: float = 40.0, outer_mm: float = 0.82, inner_mm: float = 0.51
) -> list[Part]:
    """A hollow needle along z, its bevelled point down, with a hub of polyethylene.

    Args:
        generator: Bends it by up to a hundredth of its length and turns its bevel.
        length_mm: Length of the cannula.
        outer_mm: Outer diameter; 21 G is 0.82 mm (ISO 9626).
        inner_mm: Inner diameter; 21 G: 0.51 mm.
    """
    s = np.linspace(0, 1, 25)
    bend = generator.uniform(-0.01, 0.01) * length_mm
    cannula = hollow(np.column_stack([bend * s**2, 0 * s, -length_mm * s]), outer_mm / 2, inner_mm / 2, sides=16)
    turn = generator.uniform(0, 2 * np.pi)
    vertices = cannula.vertices.copy()
    end = vertices[:, 2] < -length_mm * (1 - 0.5 / 24)
    aside = (vertices[:, 0] - bend) * np.cos(turn) + vertices[:, 1] * np.sin(turn)
    vertices[end, 2] += 2.7 * aside[end]  # a bevel of 20°
    hub = [[0, 0, 18.0], [0, 0, 16.5], [0, 0, 16.4], [0, 0, 4.0], [0, 0, 0.0]]
    outside = tube(hub, [3.9, 3.9, 3.2, 2.4, 1.2], sides=24)
    inside = tube([[0, 0, 17.9], [0, 0, 5.0]], [2.2, 1.6], sides=24).turned()
    bore = tube([[0, 0, 4.9], [0, 0, 0.1]], outer_mm / 2, sides=16).turned()
    return [
        Part(Mesh(vertices, cannula.faces), "steel_316l", "cannula"),
        Part(merged([outside, inside, bore]), "polyethylene", "hub"),
    ]


def clamp(generator: np.random.Generator, *, length_mm: float = 140.0, opening_deg: float = 8.0) -> list[Part]:
    """A haemostat (Kelly, Crile) along z, its jaws up: two arms crossing at a pivot, finger rings and a ratchet.

    Args:
        generator: Varies the opening by up to 2°.
        length_mm: From tip to rings; 125 to 160 mm is usual.
        opening_deg: Angle between the jaws.
    """
    scale = length_mm / 140
    half = np.deg2rad(max(opening_deg + generator.uniform(-2, 2), 2.0) / 2)
    steel = []
    for side in (-1.0, 1.0):
        # Jaw, pivot and shank of one arm; it lies beside the other along y, so that they cross without meeting.
        points = np.array([[0.8, 0, 42], [1.6, 0, 20], [2.0, 0, 6], [-1.5, 0, -8], [-6, 0, -40], [-9, 0, -76]])
        path = smooth(points * scale * [side, 1, 1], 60)
        wide = np.interp(path[:, 2] / scale, [-80, -40, -8, 6, 20, 42], [1.7, 2.0, 3.0, 3.2, 2.4, 1.1]) * scale
        arm = sweep(rounded(1.0, 0.75, 0.3) * 2 * [0.5, 0.5], path, scale=2 * wide)
        ring = tube(
            (arc(11.0, 0, 360, 41)[:-1] * [1, 1, 1.15] + np.array([-11.5 * side, 0, -88])) * scale,
            1.9 * scale,
            closed=True,
        )
        ratchet = sweep(rounded(3.2, 1.4, 0.4) * scale, np.array([[-9 * side, 0, -70], [1 * side, 0, -70]]) * scale)
        turn = side * half
        pose = np.eye(4)
        pose[:3, :3] = [[np.cos(turn), 0, np.sin(turn)], [0, 1, 0], [-np.sin(turn), 0, np.cos(turn)]]
        pose[1, 3] = side * 1.6 * scale
        steel += [part.moved(pose) for part in (arm, ring, ratchet)]
    pivot = tube(np.array([[0, -4.2, 0], [0, 4.2, 0]]) * scale, 2.2 * scale, sides=20)
    return [Part(merged(steel), "steel_316l", "arms"), Part(pivot, "steel_316l", "pivot")]


def guide_wire(
    generator: np.random.Generator, *, length_mm: float = 400.0, diameter_mm: float = 0.89, j_radius_mm: float = 3.0
) -> list[Part]:
    """A guide wire along z with a J tip below: a spring of steel around a core, drawn as a solid wire of its mass.

    Args:
        generator: Draws gentle bends.
        length_mm: Length.
        diameter_mm: Outer diameter; 0.035 in is 0.89 mm. A wound spring fills four fifths of it.
        j_radius_mm: Radius of the J.
    """
    z = np.linspace(0, -length_mm, 7)
    x = np.cumsum(generator.normal(0, 0.035 * length_mm, 7)) * np.linspace(0, 1, 7)
    y = np.cumsum(generator.normal(0, 0.012 * length_mm, 7)) * np.linspace(0, 1, 7)
    body = smooth(np.column_stack([x, y, z + length_mm / 2]), 160)
    ahead = body[-1] - body[-2]
    ahead /= np.linalg.norm(ahead)
    aside = np.cross(ahead, [0.0, 1.0, 0.0])
    aside /= np.linalg.norm(aside)
    angle = np.linspace(0, 1.15 * np.pi, 25)[1:, None]
    tip = body[-1] + j_radius_mm * (np.sin(angle) * ahead + (1 - np.cos(angle)) * aside)
    path = np.vstack([body, tip])
    return [Part(tube(path, diameter_mm / 2 * np.sqrt(0.8), sides=10, round_ends=True), "steel_316l", "wire")]


def k_wire(generator: np.random.Generator, *, length_mm: float = 150.0, diameter_mm: float = 1.6) -> list[Part]:
    """A Kirschner wire along z with a trocar point below; 0.8 to 2.5 mm thick.

    Args:
        generator: Bends it by up to half a hundredth of its length.
        length_mm: Length.
        diameter_mm: Diameter.
    """
    s = np.linspace(-1, 1, 33)
    bend = generator.uniform(-0.005, 0.005) * length_mm
    path = np.column_stack([bend * s**2, 0 * s, -length_mm / 2 * s])
    path = np.vstack([path, path[-1] + np.array([0, 0, -2.5 * diameter_mm])])
    radius = np.append(np.full(33, diameter_mm / 2), 0.0)
    return [Part(tube(path, radius, sides=16), "steel_316l", "wire")]
