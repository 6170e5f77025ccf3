"""Closed triangle meshes in the patient's world, and their files: STL and Wavefront OBJ."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from synth.core.errors import InputError
from synth.drr.materials import material

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from numpy.typing import ArrayLike, NDArray

__all__ = ["Mesh", "Part", "merged", "read_mesh"]

_WELD = 1e-6  # of the mesh's diagonal: nearer corners are one
_STL_HEADER, _STL_FACET = 80, np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])


@dataclass(frozen=True, eq=False)
class Mesh:
    """A surface of triangles.

    Attributes:
        vertices: (n, 3) float64, mm.
        faces: (m, 3) int32, indices of vertices, counter-clockwise seen from outside.
        name: What to call it in messages.
    """

    vertices: NDArray[np.float64]
    faces: NDArray[np.int32]
    name: str = "mesh"

    def __post_init__(self) -> None:
        vertices, faces = np.asarray(self.vertices, np.float64), np.asarray(self.faces)
        if vertices.ndim != 2 or vertices.shape[1:] != (3,) or not (np.abs(vertices) <= 1e9).all():
            raise InputError(f"{self.name}: vertices must be (n, 3), finite and within 1e9 mm of the origin")
        if faces.ndim != 2 or faces.shape[1:] != (3,) or faces.dtype.kind not in "iu" or not len(faces):
            raise InputError(f"{self.name}: faces must be (m, 3) whole numbers, at least one face")
        if faces.min() < 0 or faces.max() >= len(vertices):
            raise InputError(f"{self.name}: faces name vertices that do not exist (there are {len(vertices)})")
        object.__setattr__(self, "vertices", np.ascontiguousarray(vertices))
        object.__setattr__(self, "faces", np.ascontiguousarray(faces, np.int32))

    @property
    def volume_mm3(self) -> float:
        """Volume inside, by the divergence theorem; negative for a surface turned inside out."""
        a, b, c = np.moveaxis((self.vertices - self.vertices.mean(0))[self.faces], 1, 0)
        return float((a * np.cross(b, c)).sum() / 6)

    @property
    def area_mm2(self) -> float:
        """Area of all triangles."""
        a, b, c = np.moveaxis(self.vertices[self.faces], 1, 0)
        return float(np.linalg.norm(np.cross(b - a, c - a), axis=1).sum() / 2)

    @property
    def mean_chord_mm(self) -> float:
        """How thick it is: the mean length of straight lines through it, 4·volume/area (Cauchy)."""
        return 4 * self.volume_mm3 / self.area_mm2 if self.area_mm2 > 0 else 0.0

    @property
    def open_edges(self) -> int:
        """Edges that are not run through as often in one direction as in the other; 0 where the surface is closed."""
        return int(np.abs(self._edge_balance()[0]).sum())

    def moved(self, object_to_world: ArrayLike) -> Mesh:
        """The mesh under an affine map (4, 4), mm; one that mirrors turns the faces over, so that out stays out."""
        pose = np.asarray(object_to_world, float)
        if pose.shape != (4, 4) or not np.isfinite(pose).all() or np.abs(pose[3] - [0, 0, 0, 1]).max() > 1e-9:
            raise InputError(f"{self.name}: the pose must be a finite 4×4 matrix with the last row 0 0 0 1")
        moved = replace(self, vertices=self.vertices @ pose[:3, :3].T + pose[:3, 3])
        return moved.turned() if np.linalg.det(pose[:3, :3]) < 0 else moved

    def turned(self) -> Mesh:
        """The same surface inside out."""
        return replace(self, faces=np.ascontiguousarray(self.faces[:, ::-1]))

    def _edge_balance(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """For every edge: runs in its one direction minus those in the other, and all runs."""
        starts, ends = self.faces.ravel().astype(np.int64), np.roll(self.faces, -1, axis=1).ravel().astype(np.int64)
        proper = starts != ends
        starts, ends = starts[proper], ends[proper]
        key = np.minimum(starts, ends) * len(self.vertices) + np.maximum(starts, ends)
        _, inverse = np.unique(key, return_inverse=True)
        balance = np.bincount(inverse, np.where(starts < ends, 1.0, -1.0)).astype(np.int64)
        return balance, np.bincount(inverse)


@dataclass(frozen=True, eq=False)
class Part:
    """A closed surface filled with one material.

    Attributes:
        mesh: The surface, mm, in the coordinates of the object it is part of.
        material: A name of synth.drr.materials.MATERIALS.
        name: What it is ("shaft").
    """

    mesh: Mesh
    material: str
    name: str

    def __post_init__(self) -> None:
        material(self.material)


def merged(meshes: Iterable[Mesh], name: str | None = None) -> Mesh:
    """All meshes in one; named as the first unless told otherwise."""
    meshes = list(meshes)
    starts = np.cumsum([0, *(len(mesh.vertices) for mesh in meshes[:-1])])
    faces = np.concatenate([mesh.faces + start for mesh, start in zip(meshes, starts, strict=True)])
    vertices = np.concatenate([mesh.vertices for mesh in meshes])
    return Mesh(vertices, faces.astype(np.int32), meshes[0].name if name is None else name)


def read_mesh(path: Path, *, unit_mm: float = 1.0) -> Mesh:
    """A closed surface from a file.

    Args:
        path: STL, binary or text, or OBJ (faces of any number of corners; materials and normals are passed over).
        unit_mm: Length of the file's unit, mm; neither format says.

    Returns:
        Corners that coincide are one (within a millionth of the diagonal), faces without area are dropped, and the
        whole is turned so that its volume is positive.

    Raises:
        InputError: The file cannot be read, is none of these formats, is damaged, holds no face, is not closed, or its
            faces disagree on which side is out.
    """
    if not (np.isfinite(unit_mm) and unit_mm > 0):
        raise InputError(f"{path}: the unit must be a positive length in mm, got {unit_mm}")
    readers = {".stl": _read_stl, ".obj": _read_obj}
    if path.suffix.lower() not in readers:
        raise InputError(f"{path}: expected a mesh in STL or OBJ (.stl, .obj), got {path.suffix or 'no suffix'!r}")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot read ({error.strerror})") from error
    try:
        vertices, faces = readers[path.suffix.lower()](content)
    except (ValueError, IndexError, OverflowError) as error:
        raise InputError(f"{path}: not a valid {path.suffix[1:].upper()} file ({error})") from error
    if not len(faces):
        raise InputError(f"{path}: holds no faces")
    if not (np.abs(vertices) * unit_mm <= 1e9).all():
        raise InputError(f"{path}: a vertex is not a finite position")
    mesh = _checked(_welded(Mesh(vertices * unit_mm, faces, path.stem)), str(path))
    return mesh if mesh.volume_mm3 > 0 else mesh.turned()


def _checked(mesh: Mesh, path: str) -> Mesh:
    balance, runs = mesh._edge_balance()
    odd = int((runs % 2 == 1).sum())
    if odd:
        raise InputError(
            f"{path}: the surface is not closed, {odd} open edges; fill its holes in a mesh editor "
            "(Blender: Mesh ▸ Clean Up ▸ Fill Holes; MeshLab: Close Holes)"
        )
    if balance.any():
        raise InputError(
            f"{path}: neighbouring faces disagree on which side is out, at {int((balance != 0).sum())} edges; "
            "turn them alike in a mesh editor (Blender: Mesh ▸ Normals ▸ Recalculate Outside)"
        )
    if abs(mesh.volume_mm3) < 1e-9 * mesh.area_mm2**1.5:
        raise InputError(f"{path}: the surface encloses no volume")
    return mesh


def _welded(mesh: Mesh) -> Mesh:
    """One vertex for corners that coincide; no faces without area."""
    vertices, first = np.unique(mesh.vertices, axis=0, return_inverse=True)
    faces = np.asarray(first.reshape(-1)[mesh.faces], np.int64)
    reach = _WELD * float(np.linalg.norm(np.ptp(vertices, axis=0)))
    pairs = cKDTree(vertices).query_pairs(reach, output_type="ndarray") if reach > 0 else np.empty((0, 2), int)
    if len(pairs):
        n = len(vertices)
        graph = coo_array((np.ones(len(pairs), bool), (pairs[:, 0], pairs[:, 1])), shape=(n, n))
        groups = connected_components(graph, directed=False)[1]
        _, kept = np.unique(groups, return_index=True)
        vertices, faces = vertices[kept], np.asarray(groups[faces], np.int64)
    proper = (faces[:, 0] != faces[:, 1]) & (faces[:, 1] != faces[:, 2]) & (faces[:, 2] != faces[:, 0])
    if not proper.any():
        raise InputError(f"{mesh.name}: every face is without area")
    return replace(mesh, vertices=vertices, faces=faces[proper].astype(np.int32))


def _read_stl(content: bytes) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
    """Three vertices of its own for every face."""
    body = content[_STL_HEADER + 4 :]
    announced = int.from_bytes(content[_STL_HEADER : _STL_HEADER + 4], "little")
    if len(content) >= _STL_HEADER + 4 and len(body) == announced * _STL_FACET.itemsize:
        corners = np.frombuffer(body, _STL_FACET)["corners"].reshape(-1, 3).astype(float)
    elif content.lstrip()[:5].lower() == b"solid" and b"facet" in content:
        lines = (line.split() for line in content.decode("utf-8", "replace").lower().splitlines())
        corners = np.array([_position(words) for words in lines if words and words[0] == "vertex"]).reshape(-1, 3)
    elif len(content) < _STL_HEADER + 4:
        raise ValueError(f"{len(content)} bytes are too few")
    else:
        expected = _STL_HEADER + 4 + announced * _STL_FACET.itemsize
        raise ValueError(f"its header announces {announced} faces, {expected} bytes, but it has {len(content)}")
    if len(corners) % 3:
        raise ValueError(f"{len(corners)} corners are not three a face")
    return corners, np.arange(len(corners), dtype=np.int32).reshape(-1, 3)


def _read_obj(content: bytes) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
    vertices: list[list[float]] = []
    faces: list[list[int]] = []
    for line in content.decode("utf-8", "replace").replace("\\\n", " ").splitlines():
        words = line.split()
        if words and words[0] == "v":
            vertices.append(_position(words))
        elif words and words[0] == "f":
            corners = [_index(word, len(vertices)) for word in words[1:]]
            if len(corners) < 3:
                raise ValueError(f"a face of {len(corners)} corners")
            faces += [[corners[0], *corners[i : i + 2]] for i in range(1, len(corners) - 1)]
    if faces and not (0 <= np.min(faces) and np.max(faces) < len(vertices)):
        raise ValueError(f"a face names a vertex that does not exist; there are {len(vertices)}")
    return np.array(vertices, float).reshape(-1, 3), np.array(faces, np.int32).reshape(-1, 3)


def _position(words: Sequence[str]) -> list[float]:
    if len(words) < 4:
        raise ValueError(f"a vertex of {len(words) - 1} numbers")
    return [float(word) for word in words[1:4]]


def _index(word: str, count: int) -> int:
    """From 0; OBJ counts from 1, or backwards from the last vertex."""
    number = int(word.split("/")[0])
    if number == 0:
        raise ValueError("vertex number 0")
    return number - 1 if number > 0 else count + number
