"""What patients wear, swallow or have in their pockets: coin, necklace, clasps, buttons.

Coordinates and conventions: see `synth.drr.objects`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from synth.core.errors import InputError
from synth.drr.mesh import Mesh, Part, merged
from synth.drr.shapes import arc, circle, plate, rounded, smooth, sweep, tube

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["bra_clasp", "button", "coin", "necklace"]


def coin(generator: np.random.Generator, *, diameter_mm: float = 24.3, thickness_mm: float = 1.75) -> list[Part]:
    """A coin in the x–z plane with a raised rim, of copper; the sizes are a quarter dollar's.

    Args:
        generator: Turns its corners, which no one sees.
        diameter_mm: Diameter.
        thickness_mm: Thickness of its rim; its field is a fifth thinner.
    """
    r, half = diameter_mm / 2, thickness_mm / 2
    turn = generator.uniform(0, 2 * np.pi)
    profile = circle(1.0, 72) @ np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    body = sweep(profile, [[0, 0.8 * half, 0], [0, -0.8 * half, 0]], scale=0.93 * r)
    rim = merged([sweep(profile, [[0, half, 0], [0, -half, 0]], scale=r),
                  sweep(profile, [[0, half, 0], [0, -half, 0]], scale=0.93 * r).turned()])  # fmt: skip
    return [Part(merged([body, rim]), "copper", "coin")]


def necklace(
    generator: np.random.Generator,
    *,
    width_mm: float = 130.0,
    drop_mm: float = 110.0,
    link_mm: float = 5.0,
    material: str = "gold",
) -> list[Part]:
    """A chain of links with a pendant, hanging in the x–z plane.

    Args:
        generator: Makes it hang unevenly.
        width_mm: Between its upper ends.
        drop_mm: How far it hangs down.
        link_mm: Length of a link; its wire is a sixth of it.
        material: "gold" or "silver"; any name of MATERIALS.
    """
    s = np.linspace(-1, 1, 15)
    hang = np.column_stack([width_mm / 2 * s, -25 + 25 * np.abs(s), drop_mm * (np.abs(s) ** 1.7 - 0.5)])
    hang[1:-1] += generator.normal(0, 0.012 * width_mm, (13, 3))
    fine = smooth(hang, 2000)
    length = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(fine, axis=0), axis=1))])
    count = int(length[-1] / (0.72 * link_mm))
    if not 4 <= count <= 400:
        raise InputError(f"necklace: {count} links of {link_mm:g} mm; choose a size that makes 4 to 400")
    at = np.stack([np.interp(np.linspace(0, length[-1], count + 1), length, axis) for axis in fine.T], axis=1)
    links = []
    for i in range(count):
        ahead = (at[i + 1] - at[i]) / np.linalg.norm(at[i + 1] - at[i])
        aside = np.cross(ahead, [0.0, 1.0, 0.0])
        aside /= np.linalg.norm(aside)
        across = aside if i % 2 else np.cross(ahead, aside)
        angle = np.arange(14)[:, None] * 2 * np.pi / 14
        oval = link_mm / 2 * (0.84 * np.cos(angle) * ahead + 0.5 * np.sin(angle) * across)
        links.append(tube((at[i] + at[i + 1]) / 2 + oval, link_mm / 12, sides=6, closed=True))
    lowest = at[at[:, 2].argmin()]
    pendant = plate(_heart(14.0), 1.2)
    pendant = Mesh(pendant.vertices + lowest + np.array([0, 0, -6.0]), pendant.faces)
    return [Part(merged(links), material, "chain"), Part(pendant, material, "pendant")]


def _heart(size: float) -> NDArray[np.float64]:
    """(48, 2): a heart's outline about the origin, counter-clockwise."""
    t = np.arange(48) * 2 * np.pi / 48
    x = 16 * np.sin(t) ** 3
    z = 13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t)
    return size / 32 * np.column_stack([x, z])[::-1]


def bra_clasp(generator: np.random.Generator, *, hooks: int = 3, spacing_mm: float = 18.0) -> list[Part]:
    """Hooks and eyes of steel wire in a column along z, and the slide and ring of a strap.

    Args:
        generator: Shifts hooks against eyes.
        hooks: Number of hooks.
        spacing_mm: Between hooks.
    """
    wires = []
    for i in range(hooks):
        z = ((hooks - 1) / 2 - i) * spacing_mm
        shift = generator.normal(0, 0.4, 3)
        hook = np.array(
            [[-9, 0, 2.6], [-3, 0, 2.2], [2, -0.4, 1.2], [4.2, -1.4, 0], [2, -2.4, -1.2], [-3, 0, -2.2], [-9, 0, -2.6]]
        )
        eye = np.array([[10, 0, 3.4], [5, 0, 2.4], [2.2, 0, 0], [5, 0, -2.4], [10, 0, -3.4]])
        wires += [tube(smooth(hook + np.array([0, 0, z]) + shift, 50), 0.5, sides=8, round_ends=True)]
        wires += [tube(smooth(eye + np.array([0, 0.2, z]), 30), 0.5, sides=8, round_ends=True)]
    top = (hooks + 1) / 2 * spacing_mm + 8
    slide = [
        tube(
            np.column_stack([rounded(14, 11, 2)[:, 0], np.zeros(32), rounded(14, 11, 2)[:, 1]]) + np.array([0, 0, top]),
            0.9,
            sides=10,
            closed=True,
        ),
        tube([[-6.2, 0, top], [6.2, 0, top]], 0.8, sides=10),
        tube(arc(6.5, 0, 360, 33)[:-1] + np.array([0, 0, top + 26]), 0.9, sides=10, closed=True),
    ]
    return [Part(merged(wires), "steel_316l", "hooks and eyes"), Part(merged(slide), "steel_316l", "strap hardware")]


def button(
    generator: np.random.Generator, *, diameter_mm: float = 11.5, thickness_mm: float = 2.6, material: str = "pvc"
) -> list[Part]:
    """A shirt's button in the x–z plane: a rim, a thinner field and four holes.

    Args:
        generator: Turns the holes.
        diameter_mm: Diameter.
        thickness_mm: Thickness of the rim.
        material: Any name of MATERIALS: "pmma" for polyester, "steel_316l" for a stud.
    """
    r, turn = diameter_mm / 2, generator.uniform(0, 2 * np.pi)
    angle = turn + np.arange(4) * np.pi / 2
    holes = [(0.28 * r * np.cos(a), 0.28 * r * np.sin(a), 0.14 * r) for a in angle]
    field = plate(circle(0.76 * r, 40), 0.6 * thickness_mm, holes)
    rim = plate(circle(r, 40), thickness_mm, [])
    opening = plate(circle(0.76 * r, 40), thickness_mm, []).turned()
    return [Part(merged([field, rim, opening]), material, "button")]
