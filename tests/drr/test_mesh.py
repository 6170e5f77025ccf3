"""Meshes and their files."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from synth.core.errors import InputError
from synth.drr.mesh import Mesh, Part, merged, read_mesh
from synth.drr.shapes import ball, box, hollow, plate, rounded, sheet, sweep, tube

if TYPE_CHECKING:
    from pathlib import Path


def binary_stl(mesh: Mesh, header: bytes = b"solid but binary") -> bytes:
    facets = b"".join(struct.pack("<12fH", 0, 0, 0, *mesh.vertices[face].ravel(), 0) for face in mesh.faces)
    return header.ljust(80, b" ") + struct.pack("<I", len(mesh.faces)) + facets


def text_stl(mesh: Mesh) -> bytes:
    lines = ["solid thing"]
    for face in mesh.faces:
        corners = [f"    vertex {x:.7e} {y:.7e} {z:.7e}" for x, y, z in mesh.vertices[face]]
        lines += ["facet normal 0 0 0", "  outer loop", *corners, "  endloop", "endfacet"]
    return "\n".join([*lines, "endsolid thing"]).encode()


def obj(mesh: Mesh) -> bytes:
    lines = [f"v {x:.7f} {y:.7f} {z:.7f}" for x, y, z in mesh.vertices]
    return "\n".join([*lines, "vn 0 0 1", *(f"f {a + 1}//1 {b + 1}//1 {c + 1}//1" for a, b, c in mesh.faces)]).encode()


def write(folder: Path, name: str, content: bytes) -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("name", ["binary.stl", "text.STL", "thing.obj"])
@pytest.mark.parametrize("inside_out", [False, True])
def test_reads_a_closed_surface(tmp_path: Path, name: str, inside_out: bool) -> None:
    mesh = merged([ball([10, 6, 4], sides=16), box([3, 4, 5]).moved(shift(30, 0, -7))])
    given = mesh.turned() if inside_out else mesh
    writer: Any = {"b": binary_stl, "t": text_stl}[name[0]] if name.lower().endswith("stl") else obj
    read = read_mesh(write(tmp_path, name, writer(given)))
    assert read.volume_mm3 == pytest.approx(mesh.volume_mm3, rel=1e-5)
    assert read.open_edges == 0
    assert len(read.vertices) == 16 * 7 + 2 + 8 + 2  # the poles are one vertex each, the box has a middle on two sides
    np.testing.assert_allclose(np.ptp(read.vertices, axis=0), np.ptp(mesh.vertices, axis=0), rtol=1e-6)
    assert read.name == name.split(".")[0]


def test_units_and_polygons_and_backward_indices(tmp_path: Path) -> None:
    corners = [(x, y, z) for x in (0, 1) for y in (0, 1) for z in (0, 1)]
    quads = ["1 2 4 3", "5 7 8 6", "-8 -4 -3 -7", "3 4 8 7", "1 3 7 5", "2/1 6/1 8/1 4/1"]
    text = "\n".join([*(f"v {x} {y} {z}" for x, y, z in corners), "usemtl steel", *(f"f {quad}" for quad in quads)])
    mesh = read_mesh(write(tmp_path, "cube.obj", text.encode()), unit_mm=1000.0)
    assert mesh.volume_mm3 == pytest.approx(1e9)


def test_corners_that_nearly_coincide_are_one(tmp_path: Path) -> None:
    mesh = ball(50.0, sides=12)
    loose = Mesh(mesh.vertices[mesh.faces].reshape(-1, 3), np.arange(3 * len(mesh.faces)).reshape(-1, 3))
    shaken = loose.vertices + np.random.default_rng(0).uniform(-2e-5, 2e-5, loose.vertices.shape)
    read = read_mesh(write(tmp_path, "loose.obj", obj(Mesh(shaken, loose.faces))))
    assert read.open_edges == 0
    assert len(read.vertices) == 12 * 5 + 2


CUBE = box([2, 2, 2])


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("missing.stl", None, "cannot read"),
        ("a.ply", b"ply", "STL or OBJ"),
        ("empty.stl", b"", "too few"),
        ("cut.stl", binary_stl(CUBE)[:-7], "announces 16 faces"),
        ("words.stl", b"solid x facet vertex 1 2\n vertex 1 2\n", "a vertex of 2 numbers"),
        ("text.stl", text_stl(CUBE).replace(b"1.0000000e+00", b"one", 1), "could not convert"),
        ("corner.stl", text_stl(CUBE) + b"\nvertex 1 2 3", "not three a face"),
        ("none.obj", b"v 0 0 0\n", "holds no faces"),
        ("far.obj", b"v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 4\n", "there are 3"),
        ("zero.obj", b"v 0 0 0\nf 0 1 1\n", "vertex number 0"),
        ("line.obj", b"v 0 0 0\nv 1 0 0\nf 1 2\n", "a face of 2 corners"),
        ("nan.obj", b"v 0 0 nan\nv 1 0 0\nv 0 1 0\nf 1 2 3\n", "not a finite position"),
        ("point.obj", b"v 0 0 0\nv 0 0 0\nv 0 0 0\nf 1 2 3\n", "without area"),
        ("open.stl", binary_stl(Mesh(CUBE.vertices, CUBE.faces[1:])), r"not closed, 3 open edges; fill its holes"),
        ("mixed.obj", obj(Mesh(CUBE.vertices, np.vstack([CUBE.faces[:1, ::-1], CUBE.faces[1:]]))),
         "disagree on which side is out, at 3 edges"),
        ("flat.obj", b"v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\nf 1 3 2\n", "no volume"),
    ],
)  # fmt: skip
def test_bad_files(tmp_path: Path, name: str, content: bytes | None, message: str) -> None:
    path = tmp_path / name if content is None else write(tmp_path, name, content)
    with pytest.raises(InputError, match=message) as caught:
        read_mesh(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value) or "point" in str(caught.value)


def test_moved_keeps_volume_and_outside() -> None:
    mesh = ball([3, 2, 1])
    turn = np.array([[0, -1, 0, 5], [1, 0, 0, -2], [0, 0, 1, 9], [0, 0, 0, 1.0]])
    assert mesh.moved(turn).volume_mm3 == pytest.approx(mesh.volume_mm3)
    assert mesh.moved(np.diag([1.0, 1, -1, 1])).volume_mm3 == pytest.approx(mesh.volume_mm3)
    with pytest.raises(InputError, match="4×4"):
        mesh.moved(np.eye(3))


def test_bad_meshes_and_parts() -> None:
    with pytest.raises(InputError, match="do not exist"):
        Mesh(CUBE.vertices, CUBE.faces + 5)
    with pytest.raises(InputError, match="finite"):
        Mesh(CUBE.vertices * np.nan, CUBE.faces)
    with pytest.raises(InputError, match="at least one face"):
        Mesh(CUBE.vertices, CUBE.faces[:0])
    with pytest.raises(InputError, match="unknown material"):
        Part(CUBE, "kryptonite", "cube")


PI = np.pi
STRAIGHT = [[0, 0, 0], [3, 4, 0]]
FLAT = np.stack(np.meshgrid(np.arange(11.0), np.arange(6.0), [0.0], indexing="ij"), -1)[:, :, 0]


@pytest.mark.parametrize(
    ("mesh", "volume", "tolerance"),
    [
        (box([2, 3, 4]), 24, 1e-12),
        (ball([1, 2, 3], sides=96), 4 / 3 * PI * 6, 2e-3),
        (tube(STRAIGHT, 0.5), PI * 0.25 * 5, 1e-12),
        (tube(STRAIGHT, 0.5, round_ends=True), PI * 0.25 * 5 + PI / 6, 0.02),
        (hollow(STRAIGHT, 0.5, 0.3), PI * 0.16 * 5, 1e-12),
        (plate(rounded(20, 10, 2), 3, [(5, 0, 2), (-5, 1, 2)]), 3 * (200 - (4 - PI) * 4 - 8 * PI), 2e-3),
        (sheet(FLAT, 0.1), 5, 1e-9),
        (sweep([[-1, -1], [1, -1], [1, 1], [-1, 1]], [[0, 0, 0], [0, 0, 3]], scale=[1, 0]), 4, 1e-12),
    ],
)  # fmt: skip
def test_shapes_in_closed_form(mesh: Mesh, volume: float, tolerance: float) -> None:
    assert mesh.open_edges == 0
    assert mesh.volume_mm3 == pytest.approx(volume, rel=tolerance)


def test_a_knotted_ring_closes_without_a_seam() -> None:
    t = np.arange(300) * 2 * PI / 300
    knot = np.column_stack([np.sin(t) + 2 * np.sin(2 * t), np.cos(t) - 2 * np.cos(2 * t), -np.sin(3 * t)]) * 10
    ring = sweep([[-1, -0.5], [1, -0.5], [1, 0.5], [-1, 0.5]], knot, closed=True)
    length = np.linalg.norm(np.diff(knot, axis=0, append=knot[:1]), axis=1).sum()
    assert ring.open_edges == 0
    assert ring.volume_mm3 == pytest.approx(2 * length, rel=5e-3)
    edges = ring.vertices.reshape(300, 4, 3)
    assert np.linalg.norm(edges[0] - edges[-1], axis=-1).max() < 2 * length / 300


def test_mean_chord_is_the_thickness_that_a_wall_or_wire_has() -> None:
    assert tube([[0, 0, 0], [0, 0, 1000]], 0.5, sides=64).mean_chord_mm == pytest.approx(1.0, rel=2e-3)
    assert ball(3.0, sides=96).mean_chord_mm == pytest.approx(4.0, rel=2e-3)


@pytest.mark.parametrize("call", [
    lambda: tube(STRAIGHT, 0.0), lambda: tube([[0, 0, 0]], 1.0), lambda: tube([[0, 0, 0], [0, 0, 0]], 1.0),
    lambda: hollow(STRAIGHT, 1.0, 1.0), lambda: sweep([[0, 0], [1, 0]], STRAIGHT),
])  # fmt: skip
def test_shapes_refuse(call: Any) -> None:
    with pytest.raises(InputError):
        call()


def shift(x: float, y: float, z: float) -> Any:
    pose = np.eye(4)
    pose[:3, 3] = x, y, z
    return pose
