"""Tubes, catheters, leads and wires along a given course: meshes with the materials of synth.drr.materials.

Courses are (n, 3) world mm, about 1 mm a point, from the tip outwards. Dimensions are those of common products; a
stripe of plastic filled with barium sulfate, some 40 % by weight and thus 17 % by volume, is drawn as a thinner
thread of the pure salt, which absorbs alike.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from synth.drr.mesh import Mesh, Part, merged
from synth.drr.shapes import ball, hollow, tube

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["catheter", "cuffed_tube", "drain", "lead", "stomach_tube", "wire_loop"]

_CUFF_FILM_MM = 0.06
_FIRST_PORT_MM = 60.0  # from a stomach tube's tip to its uppermost side hole; our choice


def cuffed_tube(path: NDArray[np.float64], *, inner_mm: float, cuff_mm: float) -> list[Part]:
    """A tracheal tube of PVC with an opaque line and an inflated cuff 20 to 50 mm above the tip.

    Args:
        path: Course.
        inner_mm: Inner diameter, by which tubes are named; the wall is 1.35 mm.
        cuff_mm: Diameter of the cuff.
    """
    outer, inner = inner_mm / 2 + 1.35, inner_mm / 2
    rise = np.arange(len(path))
    cuffed = slice(*np.searchsorted(rise, [20, 51]))
    bulge = outer + 0.1 + (max(cuff_mm / 2 - outer - 0.1, 0.2)) * np.sin(np.linspace(0, np.pi, 31)) ** 0.6
    axis = path[cuffed]
    bulge = bulge[: len(axis)]
    film = merged([tube(axis, bulge, sides=32), tube(axis, bulge - _CUFF_FILM_MM, sides=32).turned()])
    return [
        Part(_bevelled(hollow(path[::2], outer, inner), path), "pvc", "tube"),
        Part(tube(_beside(path[::2], 0.5 * (outer + inner)), 0.22, sides=8), "barium_sulfate", "line"),
        Part(film, "pvc", "cuff"),
    ]


def stomach_tube(path: NDArray[np.float64], *, french: float) -> list[Part]:
    """A stomach tube of PVC; its opaque line is interrupted at the uppermost side hole, 60 mm from the tip.

    Args:
        path: Course.
        french: Outer diameter in thirds of a millimetre; a third of it is wall.
    """
    outer, inner = french / 6, french / 9
    at = int(_FIRST_PORT_MM)
    beside = _beside(path, 0.5 * (outer + inner))
    pieces = [piece for piece in (beside[: at - 2], beside[at + 3 :]) if len(piece) > 3]
    return [
        Part(hollow(path[::2], outer, inner), "pvc", "tube"),
        Part(merged([tube(piece[::2], 0.26, sides=8) for piece in pieces]), "barium_sulfate", "line"),
    ]


def drain(path: NDArray[np.float64], *, french: float) -> list[Part]:
    """A chest drain of PVC; its opaque line is interrupted at the outermost side hole, 50 mm from the tip."""
    outer, inner = french / 6, french / 9
    beside = _beside(path, 0.5 * (outer + inner))
    pieces = [piece for piece in (beside[:48], beside[54:]) if len(piece) > 3]
    return [
        Part(hollow(path[::2], outer, inner), "pvc", "tube"),
        Part(merged([tube(piece[::2], 0.36, sides=8) for piece in pieces]), "barium_sulfate", "line"),
    ]


def catheter(path: NDArray[np.float64], *, french: float, tails: tuple[NDArray[np.float64], ...] = ()) -> list[Part]:
    """A venous catheter of opaque polyurethane, with the hub and extension lines outside.

    The barium sulfate in the wall, 20 % by weight and 6 % by volume, is drawn as one thin layer.

    Args:
        path: Course.
        french: Outer diameter in thirds of a millimetre.
        tails: Courses of the extension lines, from the hub; none where it lies outside the picture.
    """
    outer, lumen = french / 6, 0.4 * french / 6
    middle = 0.5 * (outer + lumen)
    layer = 0.06 * (outer**2 - lumen**2) / (2 * middle) / 2
    wall = [
        hollow(path[::2], outer, middle + layer, sides=16),
        hollow(path[::2], middle - layer, lumen, sides=16),
    ]
    parts = [
        Part(merged(wall), "polyurethane", "catheter"),
        Part(hollow(path[::2], middle + layer, middle - layer, sides=16), "barium_sulfate", "marking"),
    ]
    if tails:
        hub = path[-1] + (path[-1] - path[-4]) / np.linalg.norm(path[-1] - path[-4]) * np.array([[0.0], [12.0]])
        lines = [hollow(tail, 1.1, 0.6, sides=12) for tail in tails]
        ends = [hollow(tail[-1] + (tail[-1] - tail[-3]) * np.array([[0.1], [4.0]]), 3.2, 2.0) for tail in tails]
        parts.append(Part(merged([hollow(hub, 4.0, 1.5), *lines, *ends]), "polyurethane", "hub and extensions"))
    return parts


def lead(path: NDArray[np.float64], name: str, *, ring_mm: float = 12.0) -> list[Part]:
    """A bipolar pacing lead: a conductor of cobalt alloy in polyurethane, with platinum tip and ring.

    Args:
        path: Course.
        name: What to call it.
        ring_mm: From the tip to the ring's middle.
    """
    at = int(ring_mm)
    tips = [tube(path[:4], 1.0, round_ends=True), tube(path[at - 2 : at + 2], 1.15)]
    return [
        Part(hollow(path[3::2], 1.0, 0.62, sides=12), "polyurethane", f"{name} jacket"),
        Part(hollow(path[3::2], 0.6, 0.42, sides=12), "cocrmo", name),
        Part(merged(tips), "platinum", f"{name} electrodes"),
    ]


def wire_loop(ring: NDArray[np.float64], twist: ArrayLike, *, wire_mm: float) -> list[Mesh]:
    """A closed steel loop, its ends twisted together over 9 mm.

    Args:
        ring: (n, 3), the loop, not closed; the twist begins at its first point.
        twist: (3,), where the twisted ends point.
        wire_mm: Diameter.
    """
    towards = np.asarray(twist, float) / np.linalg.norm(twist)
    aside = np.cross(towards, [0.0, 1.0, 0.0])
    aside /= np.linalg.norm(aside)
    across = np.cross(towards, aside)
    turns = np.linspace(0, 1, 40)
    meshes = [tube(ring, wire_mm / 2, sides=8, closed=True)]
    for phase in (0.0, np.pi):
        angle = 2 * np.pi * 3.5 * turns[:, None] + phase
        helix = 9.0 * turns[:, None] * towards + 0.55 * wire_mm * (np.cos(angle) * aside + np.sin(angle) * across)
        meshes.append(tube(ring[0] + helix, wire_mm / 2, sides=6, round_ends=True))
    meshes.append(ball(0.7 * wire_mm, sides=12).moved(_shift(ring[0])))
    return meshes


def _beside(path: NDArray[np.float64], offset: float) -> NDArray[np.float64]:
    """A course beside another, on its side that is nearest to the patient's left."""
    ahead = np.gradient(path, axis=0)
    ahead /= np.linalg.norm(ahead, axis=1, keepdims=True)
    aside = np.array([1.0, 0, 0]) - ahead[:, :1] * ahead
    # Along x there is no such side: turn towards the front.
    aside += 0.2 * (np.array([0, -1.0, 0]) + ahead[:, 1:2] * ahead)
    return np.asarray(path + offset * aside / np.linalg.norm(aside, axis=1, keepdims=True), float)


def _bevelled(mesh: Mesh, path: NDArray[np.float64]) -> Mesh:
    """A tube with its tip cut at 45°, the opening to the patient's left, as tracheal tubes have it."""
    ahead = (path[2] - path[0]) / np.linalg.norm(path[2] - path[0])
    from_tip = mesh.vertices - path[0]
    first = np.abs(from_tip @ ahead) < 0.5
    vertices = mesh.vertices.copy()
    vertices[first] += np.maximum(from_tip[first, 0], -0.2)[:, None] * ahead
    return Mesh(vertices, mesh.faces, mesh.name)


def _shift(at: NDArray[np.float64]) -> NDArray[np.float64]:
    pose = np.eye(4)
    pose[:3, 3] = at
    return pose
