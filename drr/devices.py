"""Tubes, lines and other devices of a ward: airway, stomach and chest tubes, catheters, pacemaker, electrode, stent.

Coordinates and conventions: see `synth.drr.objects`. Courses of tubes are those of a patient of ordinary size.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from synth.drr.mesh import Mesh, Part, merged
from synth.drr.shapes import ball, box, hollow, plate, rounded, smooth, tube

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "central_venous_catheter", "chest_drain", "ecg_electrode", "endotracheal_tube", "nasogastric_tube", "pacemaker",
    "vascular_stent",
]  # fmt: skip


def endotracheal_tube(
    generator: np.random.Generator, *, inner_mm: float = 8.0, length_mm: float = 260.0, cuff_mm: float = 22.0
) -> list[Part]:
    """A cuffed tracheal tube, its tip down: PVC with a line of barium sulfate in its wall (Magill curve, 140 mm).

    Args:
        generator: Varies the curve by up to a tenth.
        inner_mm: Inner diameter, by which tubes are named; the wall is 1.35 mm.
        length_mm: Length.
        cuff_mm: Diameter of the inflated cuff, a film of 0.06 mm.
    """
    bend = 140 * generator.uniform(0.9, 1.1)
    s = np.linspace(0, length_mm, 80)
    curve = np.maximum(s - 60, 0) / bend  # the lower end lies straight in the windpipe
    straight = np.minimum(s, 60)
    path = np.column_stack([0 * s, -bend * (1 - np.cos(curve)), straight + bend * np.sin(curve)])
    outer, inner = inner_mm / 2 + 1.35, inner_mm / 2
    z = np.linspace(20, 50, 21)
    bulge = outer + 0.1 + (cuff_mm / 2 - outer - 0.1) * np.sin(np.pi * (z - 20) / 30) ** 0.6
    axis = np.column_stack([0 * z, 0 * z, z])
    film = merged([tube(axis, bulge, sides=32), tube(axis, bulge - 0.06, sides=32).turned()])
    return [
        Part(hollow(path, outer, inner), "pvc", "tube"),
        Part(tube(path + np.array([0.5 * (outer + inner), 0, 0]), 0.45, sides=10), "barium_sulfate", "line"),
        Part(film, "pvc", "cuff"),
    ]


def nasogastric_tube(generator: np.random.Generator, *, french: float = 16.0, length_mm: float = 420.0) -> list[Part]:
    """A stomach tube: down the gullet along z, then to the patient's left; PVC with a line, its end weighted.

    Args:
        generator: Draws its bends.
        french: Outer diameter in thirds of a millimetre; a third of it is wall.
        length_mm: Length.
    """
    unit = length_mm / 420
    course = np.array(
        [
            [0, -12, 200],
            [-2, -8, 130],
            [2, 0, 60],
            [0, 4, 0],
            [4, 2, -70],
            [16, -6, -120],
            [44, -26, -152],
            [68, -34, -176],
        ]
    )
    course[1:] = course[1:] + generator.normal(0, 4, (len(course) - 1, 3)) * [1, 0.5, 0.3]
    path = smooth(course * unit, 200)
    outer, inner = french / 6, french / 9
    tip = path[-1] + 5 * (path[-1] - path[-2]) / np.linalg.norm(path[-1] - path[-2]) * np.array([[0], [2]])
    return [
        Part(hollow(path, outer, inner), "pvc", "tube"),
        Part(tube(path + np.array([0.5 * (outer + inner), 0, 0]), 0.3, sides=8), "barium_sulfate", "line"),
        Part(tube(tip, inner, round_ends=True), "tungsten" if french < 13 else "barium_sulfate", "weight"),
    ]


def central_venous_catheter(generator: np.random.Generator, *, french: float = 7.0) -> list[Part]:
    """A catheter from the right jugular vein to the superior vena cava; its tip is near the origin.

    Polyurethane around barium sulfate that is drawn as one thin layer, 15 % of the wall by volume.

    Args:
        generator: Draws its course.
        french: Outer diameter in thirds of a millimetre.
    """
    course = np.array(
        [[-46, -52, 170], [-42, -34, 150], [-34, -18, 118], [-24, -6, 80], [-10, 0, 40], [0, 0, 0]], float
    )
    course[:-1] += generator.normal(0, 3, (5, 3))
    path = smooth(course, 140)
    outer = french / 6
    layer = np.sqrt(0.3 * outer**2)
    hub_start, hub = path[0], path[0] + 14 * (path[0] - path[2]) / np.linalg.norm(path[0] - path[2])
    return [
        Part(merged([hollow(path, outer, layer + 0.16, sides=16), hollow(path, layer, 0.4 * outer, sides=16)]),
             "polyurethane", "catheter"),
        Part(hollow(path, layer + 0.14, layer + 0.02, sides=16), "barium_sulfate", "marking"),
        Part(hollow([hub, hub_start + 0.05 * (hub - hub_start)], 3.5, 1.5), "polyurethane", "hub"),
    ]  # fmt: skip


def chest_drain(generator: np.random.Generator, *, french: float = 28.0) -> list[Part]:
    """A drain from the right side of the chest up to its top: PVC with a line that the last side hole interrupts.

    Args:
        generator: Draws its course.
        french: Outer diameter in thirds of a millimetre; a third of it is wall.
    """
    course = np.array([[-70, 0, -70], [-44, 4, -58], [-14, 10, -30], [2, 14, 10], [6, 12, 60], [0, 6, 105]], float)
    course += generator.normal(0, 4, course.shape)
    path = smooth(course, 160)
    outer, inner = french / 6, french / 9
    aside = 0.5 * (outer + inner) * np.array([0, -1.0, 0])
    line = [tube(path[part] + aside, 0.55, sides=10) for part in (slice(0, 86), slice(93, None))]
    return [Part(hollow(path, outer, inner), "pvc", "tube"), Part(merged(line), "barium_sulfate", "line")]


def pacemaker(generator: np.random.Generator, *, can_mm: float = 46.0, leads: int = 2) -> list[Part]:
    """A pulse generator below the left collar bone with leads to the right heart; the can's middle is the origin.

    A titanium can of 0.4 mm and 7 mm thick, a battery and a circuit in it, a header of polyurethane, and leads of
    1.2 mm cobalt alloy in polyurethane, their tips platinum.

    Args:
        generator: Draws the leads' courses.
        can_mm: Width of the can.
        leads: 1 (ventricle) to 3 (with atrium and coronary sinus).
    """
    w, h = can_mm, 0.9 * can_mm
    can = merged([plate(rounded(w, h, 0.4 * h), 7.0), plate(rounded(w - 0.8, h - 0.8, 0.4 * h - 0.4), 6.2).turned()])
    battery = plate(rounded(0.78 * w, 0.36 * h, 0.14 * h), 5.4).moved(_shift(0, 0, -0.22 * h))
    circuit = [plate(rounded(0.52 * w, 0.26 * h, 2.0), 0.5).moved(_shift(-0.05 * w, 0, 0.14 * h))]
    circuit += [box([0.1 * w, 2.5, 0.09 * h]).moved(_shift(x * w, -2.0, 0.16 * h)) for x in (-0.22, -0.08, 0.1)]
    header = plate(rounded(0.62 * w, 10.0, 4.0), 6.5).moved(_shift(-0.05 * w, 0, h / 2 + 5.1))
    ends = np.array([[-150, -20, -150], [-120, -38, -80], [-90, 20, -120]], float)[: max(1, min(leads, 3))]
    parts = [Part(can, "titanium", "can"), Part(battery, "steel_316l", "battery"),
             Part(merged(circuit), "copper", "circuit"), Part(header, "polyurethane", "header")]  # fmt: skip
    for i, end in enumerate(ends):
        port = np.array([-0.33 * w, 1.6 * (i - 0.5), h / 2 + 3.5 + 3 * i])
        path = _lead(generator, port, end, w)
        block = tube([port + np.array([8, 0, 0]), port + np.array([3, 0, 0])], 1.4)
        tips = [tube(path[-4:], 1.0, round_ends=True), tube(path[-22:-18], 1.15)]
        parts += [
            Part(merged([hollow(path[:-4], 1.0, 0.62, sides=12)]), "polyurethane", f"lead {i + 1} jacket"),
            Part(hollow(path[:-4], 0.6, 0.42, sides=12), "cocrmo", f"lead {i + 1}"),
            Part(merged([block, *tips]), "platinum", f"lead {i + 1} electrodes"),
        ]
    return parts


def _lead(
    generator: np.random.Generator, port: NDArray[np.float64], end: NDArray[np.float64], w: float
) -> NDArray[np.float64]:
    """(240, 3): out of the header, around the can, along the subclavian vein and down to its end."""
    loop = [
        port,
        port + np.array([-6, 0, 0]),
        [-0.66 * w, 0, 0.45 * w],
        [-0.6 * w, 4, 0.95 * w],
        [-1.3 * w, 10, 0.75 * w],
    ]
    vein = [[-96, 24, 18], [-116, 26, -12], [-124, 16, -60]]
    middle = 0.4 * np.array(vein[-1]) + 0.6 * end + np.array([-10, 0, -8])
    points = np.vstack([loop, vein, [middle], [end]])
    points[2:-1] += generator.normal(0, 2, (len(points) - 3, 3))
    return smooth(points, 240)


def ecg_electrode(generator: np.random.Generator, *, pad_mm: float = 40.0, lead_mm: float = 180.0) -> list[Part]:
    """An adhesive electrode facing −y, with its snap and a cable.

    Args:
        generator: Draws the cable's course.
        pad_mm: Diameter of the foam pad, 1 mm thick.
        lead_mm: Length of the cable, 1 mm of copper in PVC of 2.4 mm.
    """
    stud = [[0, 0.5, 0], [0, -1.2, 0], [0, -1.3, 0], [0, -3.6, 0], [0, -4.4, 0]]
    snap = merged([tube(stud, [5.0, 5.0, 1.6, 1.8, 0.6], sides=24), tube([[0, -4.0, 0], [0, -3.6, 0]], 3.6, sides=24)])
    angle = generator.uniform(0, 2 * np.pi)
    step = np.array([np.cos(angle), 0, np.sin(angle)]) * lead_mm / 5
    course = np.outer(np.arange(6), step) + np.array([0, -6.0, 0])
    course[2:] += generator.normal(0, 0.07 * lead_mm, (4, 3)) * [1, 0.05, 1]
    path = smooth(course, 120)
    return [
        Part(tube([[0, 0.5, 0], [0, 1.5, 0]], pad_mm / 2, sides=40), "polyethylene", "pad"),
        Part(snap, "steel_316l", "snap"),
        Part(hollow(path, 1.2, 0.5, sides=12), "pvc", "cable"),
        Part(tube(path, 0.45, sides=12), "copper", "conductor"),
        Part(merged([ball([4.5, 1.6, 4.5]).moved(_shift(0, -6.2, 0))]), "pvc", "clip"),
    ]


def vascular_stent(
    generator: np.random.Generator, *, diameter_mm: float = 8.0, length_mm: float = 60.0, strut_mm: float = 0.2
) -> list[Part]:
    """A self-expanding stent along z: rings of nitinol in zigzag, joined by short links.

    Args:
        generator: Bends its axis by up to a twentieth of its length.
        diameter_mm: Diameter.
        length_mm: Length.
        strut_mm: Thickness of the struts.
    """
    radius, waves, pitch = diameter_mm / 2, 8, 0.42 * diameter_mm
    rings = max(2, round(length_mm / pitch))
    angle = np.arange(8 * waves) * 2 * np.pi / (8 * waves)
    zigzag = np.interp(angle * waves / (2 * np.pi) % 1, [0, 0.5, 1], [-1, 1, -1]) * 0.4 * pitch
    bend = generator.uniform(-0.05, 0.05) * length_mm
    struts = []
    for i in range(rings):
        z = (i - (rings - 1) / 2) * pitch
        ring = np.column_stack([radius * np.cos(angle), radius * np.sin(angle), zigzag + z])
        struts.append(tube(ring, strut_mm / 2, sides=6, closed=True))
        if i < rings - 1:
            for turn in angle[4 :: 8 * waves // 4]:
                at = [radius * np.cos(turn), radius * np.sin(turn)]
                struts.append(
                    tube([[*at, z + 0.4 * pitch], [*at, z + 0.6 * pitch + 0.4 * pitch]], strut_mm / 2, sides=6)
                )
    mesh = merged(struts)
    vertices = mesh.vertices.copy()
    vertices[:, 0] += bend * (2 * vertices[:, 2] / length_mm) ** 2
    return [Part(Mesh(vertices, mesh.faces), "nitinol", "struts")]


def _shift(x: float, y: float, z: float) -> NDArray[np.float64]:
    pose = np.eye(4)
    pose[:3, 3] = x, y, z
    return pose
