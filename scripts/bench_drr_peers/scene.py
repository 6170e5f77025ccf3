"""The one CT and the two views that every projector of the benchmark sees.

World: millimetres, x to the patient's right, y to the front, z to the head; its origin, the isocentre, is the middle of
the volume. Arrays are (z, y, x) and grow along these axes. Attenuation is linear in HU, 0.02/mm in water, never
negative, and zero in the outermost shell of voxels, so that every rule of what lies outside the volume agrees.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

SDD, SID, PITCH, SIZE = 1800.0, 1500.0, 0.8, 512
"""Source to detector and to isocentre, pixel pitch (mm); pixels along a side."""
MU_WATER = 0.02
"""1/mm; what makes line integrals of the HU scale dimensionless."""
UNIT = MU_WATER / 1000
"""Attenuation (1/mm) of one stored unit where voxels are kept as uint16: stored = HU + 1000."""

LPS = np.array([-1, -1, 1])
"""What turns this world into that of DICOM and ITK, and back."""

_SHARED = Path(__file__).resolve().parents[3] / "shared"
DEFAULT_CT = _SHARED / "data" / "ct" / "lidc_idri_0001.nii.gz"
DEFAULT_REFERENCES = _SHARED / "peers" / "drr" / "ref"
_NAMES_THERE = {"box": "siddon", "trilinear": "trilinear", "frontal": "ap", "oblique": "oblique"}

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class View:
    """A source, a detector centre (world mm) and the unit vectors of its columns (u) and rows (v)."""

    name: str
    source: Array
    centre: Array
    u: Array
    v: Array

    @classmethod
    def turned(cls, name: str, turn: Array) -> Self:
        """The frontal view (source before the patient, head up, its right on the left) turned about the isocentre."""
        source, beam = turn @ [0, SID, 0], turn @ [0, -1, 0]
        return cls(name, source, source + SDD * beam, turn @ [-1, 0, 0], turn @ [0, 0, -1])

    @property
    def beam(self) -> Array:
        """Unit vector from the source to the detector's centre."""
        return (self.centre - self.source) / SDD

    @property
    def camera(self) -> Array:
        """(4, 3): the source, the centre of pixel (0, 0), the steps to the next column and to the next row, mm."""
        corner = self.centre - (SIZE - 1) / 2 * PITCH * (self.u + self.v)
        return np.array([self.source, corner, PITCH * self.u, PITCH * self.v])

    @property
    def pixels(self) -> Array:
        """(h, w, 3): the pixels' centres, mm."""
        _, corner, u, v = self.camera
        steps = np.arange(SIZE)
        return corner + steps[:, None, None] * v + steps[:, None] * u


def rotation(axis: str, degrees: float) -> Array:
    """(3, 3): right-handed rotation about a world axis."""
    c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    about = {"x": [[1, 0, 0], [0, c, -s], [0, s, c]], "z": [[c, -s, 0], [s, c, 0], [0, 0, 1]]}
    return np.array(about[axis])


VIEWS = (View.turned("frontal", np.eye(3)), View.turned("oblique", rotation("z", 35) @ rotation("x", 20)))


class Scene:
    """A scene kept in a folder, so that every projector's process loads no more of it than it needs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        about = json.loads((folder / "scene.json").read_text())
        self.name: str = about["name"]
        self.spacing = np.array(about["spacing"])
        self.shape: tuple[int, int, int] = tuple(about["shape"])
        self.has_labels = (folder / "labels.npy").exists()

    @cached_property
    def mu(self) -> Array:
        """(z, y, x) float32: attenuation, 1/mm."""
        return np.load(self.folder / "mu.npy")

    @cached_property
    def stored(self) -> Array:
        """(z, y, x) uint16: attenuation in `UNIT`s."""
        return np.load(self.folder / "stored.npy")

    @cached_property
    def labels(self) -> Array:
        """(z, y, x) uint8: the label map."""
        return np.load(self.folder / "labels.npy")

    @property
    def origin(self) -> Array:
        """World position of the first voxel's centre, mm."""
        return -(np.array(self.shape[::-1]) - 1) / 2 * self.spacing

    @property
    def affine(self) -> Array:
        """(4, 4): voxel index (x, y, z, 1) to world mm."""
        affine = np.diag([*self.spacing, 1.0])
        affine[:3, 3] = self.origin
        return affine

    def reference(self, view: View, model: str) -> Array:
        """(h, w) float64: exact line integrals of a voxel model, "box" or "trilinear"."""
        return np.load(self.folder / f"{model}_{view.name}.npy")

    def error(self, image: Array, view: View, model: str) -> float:
        """Relative L2 difference from the exact line integrals."""
        exact = self.reference(view, model)
        return float(np.linalg.norm(image.astype(np.float64) - exact) / np.linalg.norm(exact))


def make_scene(folder: Path, ct: Path | None) -> Scene:
    """Fills `folder` with the volume of a CT file, or an analytic one, and with its exact references."""
    hu, labels, spacing = _read(ct) if ct else _ellipsoids()
    shell = np.ones(hu.shape, bool)
    shell[1:-1, 1:-1, 1:-1] = False
    hu = np.where(shell, np.float32(-1000), hu)
    np.save(folder / "mu.npy", np.maximum(MU_WATER * (1 + hu / 1000), 0).astype(np.float32))
    np.save(folder / "stored.npy", np.clip(np.rint(hu + 1000), 0, 65535).astype(np.uint16))
    if labels is not None:
        np.save(folder / "labels.npy", labels)
    name = ct.name if ct else "analytic ellipsoids"
    (folder / "scene.json").write_text(json.dumps({"name": name, "spacing": spacing, "shape": hu.shape}))
    scene = Scene(folder)
    for view in VIEWS:
        for model in ("box", "trilinear"):
            np.save(folder / f"{model}_{view.name}.npy", _reference(scene, view, model, ct))
    return scene


def _reference(scene: Scene, view: View, model: str, ct: Path | None) -> Array:
    there = DEFAULT_REFERENCES / f"ref_{_NAMES_THERE[model]}_{_NAMES_THERE[view.name]}.npy"
    if ct and ct.resolve() == DEFAULT_CT and there.exists():
        return np.load(there)
    from bench_drr_peers.exact import line_integrals

    return line_integrals(scene.mu, scene.affine, view.camera, (SIZE, SIZE), model)


def _read(ct: Path) -> tuple[Array, Array | None, list[float]]:
    """HU, the label map of the same stem where there is one, and the spacing (x, y, z) in mm."""
    import SimpleITK

    image = SimpleITK.DICOMOrient(SimpleITK.ReadImage(str(ct)), "RAS")
    beside = ct.with_name(ct.name.replace(".nii", "_seg.nii"))
    labels = None
    if beside != ct and beside.exists():
        oriented = SimpleITK.DICOMOrient(SimpleITK.ReadImage(str(beside)), "RAS")
        labels = np.ascontiguousarray(SimpleITK.GetArrayFromImage(oriented), np.uint8)
    return SimpleITK.GetArrayFromImage(image).astype(np.float32), labels, list(image.GetSpacing())


def _ellipsoids() -> tuple[Array, Array, list[float]]:
    """Body, lungs, heart and spine of a chest, on the grid of a usual chest CT."""
    spacing, shape = [0.703125, 0.703125, 2.5], (133, 512, 512)
    z, y, x = np.ogrid[tuple(slice(-1, 1, n * 1j) for n in shape)]
    hu, labels = np.full(shape, -1000, np.float32), np.zeros(shape, np.uint8)
    organs = (  # HU, centre and half axes (x, y, z) in halves of the volume
        (20, (0, 0, 0), (0.85, 0.62, 1.4)),
        (-850, (0.38, 0.02, 0), (0.3, 0.42, 0.85)),
        (-850, (-0.38, 0.02, 0), (0.3, 0.42, 0.85)),
        (45, (-0.12, 0.12, -0.2), (0.24, 0.26, 0.4)),
        (400, (0, -0.42, 0), (0.1, 0.12, 1.4)),
    )
    for label, (value, (cx, cy, cz), (ax, ay, az)) in enumerate(organs, 1):
        inside = ((x - cx) / ax) ** 2 + ((y - cy) / ay) ** 2 + ((z - cz) / az) ** 2 < 1
        hu[inside], labels[inside] = value, label
    return hu, labels, spacing
