"""Things at their places in the world of a CT: objects made of meshes, and further volumes."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from synth.core.errors import InputError
from synth.core.volume import Labels, Volume, same_grid
from synth.drr.mesh import Mesh, Part, merged
from synth.drr.shapes import box
from synth.kernels.mesh import mesh_lengths

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from synth.drr.geometry import Camera

__all__ = ["Insert", "Placed"]


@dataclass(frozen=True, eq=False)
class Placed:
    """An object at its place.

    Attributes:
        parts: Closed meshes with materials, in the object's own coordinates, mm.
        pose: (4, 4) rigid, object → world, mm.
        name: What to call it in masks: "sponge" gives "object:sponge".
        displace: Whether it displaces tissue; None: its parts thicker than a voxel do.
    """

    parts: Sequence[Part]
    pose: NDArray[np.float64]
    name: str
    displace: bool | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "pose", _rigid(self.pose, f"object {self.name}"))
        if not self.parts:
            raise InputError(f"object {self.name}: has no parts")
        for part in self.parts:
            if part.mesh.open_edges:
                raise InputError(f"object {self.name}: {part.name} is not closed, {part.mesh.open_edges} open edges")

    @cached_property
    def bodies(self) -> dict[str, Mesh]:
        """Material → all parts of it as one mesh, world mm."""
        names = sorted({part.material for part in self.parts})
        chosen = {name: [part.mesh for part in self.parts if part.material == name] for name in names}
        return {name: merged(meshes).moved(self.pose) for name, meshes in chosen.items()}

    def lengths(self, camera: Camera, *, oversample: int = 1) -> dict[str, NDArray[np.float32]]:
        """Material → (h, w) float32, path length along each ray, mm; see `Assembly.object_lengths`."""
        return {name: _lengths(mesh, camera, oversample) for name, mesh in self.bodies.items()}

    def displacing(self, voxel_mm: float) -> list[Mesh]:
        """Parts that displace tissue on a grid whose smallest voxel edge is `voxel_mm`; world mm."""
        return [
            part.mesh.moved(self.pose)
            for part in self.parts
            if (part.mesh.mean_chord_mm > voxel_mm if self.displace is None else self.displace)
        ]


@dataclass(frozen=True, eq=False)
class Insert:
    """A further volume in the world of the first.

    Attributes:
        volume: The volume, in a world of its own.
        pose: (4, 4) rigid, its world → the first's world, mm.
        labels: Its label map, on its grid.
        displace: Whether it replaces what lies in its box; else it adds.
    """

    volume: Volume
    pose: NDArray[np.float64] = field(default_factory=lambda: np.eye(4))
    labels: Labels | None = None
    displace: bool = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "pose", _rigid(self.pose, f"insert {self.volume.name}"))
        if self.labels is not None and not same_grid(self.volume, self.labels):
            raise InputError(f"{self.labels.name}: the label map is not on the grid of {self.volume.name}")

    @property
    def placed(self) -> tuple[Volume, Labels | None]:
        """Volume and labels in the first's world."""
        affine = self.pose @ self.volume.affine
        labels = None if self.labels is None else replace(self.labels, affine=self.pose @ self.labels.affine)
        return replace(self.volume, affine=affine), labels

    @property
    def outline(self) -> Mesh:
        """The box of its voxels, in the first's world."""
        nz, ny, nx = self.volume.shape
        corners = box([nx, ny, nz])
        middle = (np.array([nx, ny, nz]) - 1) / 2
        return replace(corners, vertices=corners.vertices + middle).moved(self.pose @ self.volume.affine)


def _lengths(mesh: Mesh, camera: Camera, oversample: int) -> NDArray[np.float32]:
    if oversample < 1:
        raise InputError(f"oversample must be 1 or more, got {oversample}")
    h, w = camera.shape
    packed = camera.packed
    packed[2:] /= oversample
    packed[1] -= (oversample - 1) / 2 * (packed[2] + packed[3])
    try:
        fine = mesh_lengths(mesh.vertices, mesh.faces, packed[None], (h * oversample, w * oversample))[0]
    except ValueError as error:
        raise InputError(f"view {camera.name}: {error}") from error
    if oversample == 1:
        return np.asarray(fine, np.float32)
    return np.asarray(fine.reshape(h, oversample, w, oversample).mean(axis=(1, 3)), np.float32)


def _rigid(pose: Iterable[object], what: str) -> NDArray[np.float64]:
    matrix = np.asarray(pose, float)
    rigid = matrix.shape == (4, 4) and np.isfinite(matrix).all() and np.abs(matrix[3] - [0, 0, 0, 1]).max() < 1e-9
    R = matrix[:3, :3] if rigid else np.zeros((3, 3))
    if np.abs(R @ R.T - np.eye(3)).max() > 1e-6 or np.linalg.det(R) < 0:
        raise InputError(f"{what}: the pose must be a rigid 4×4 matrix [R | t]")
    return matrix
