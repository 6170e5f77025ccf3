"""A CT with things in it: placed objects, further volumes, what they displace, and their masks.

The rule of overlaps:

- A placed object displaces the tissue it lies in. The part of every voxel that it fills is found by supersampling
  (synth.kernels.occupancy), that fraction of the voxel's tissue is taken away, and the object adds its own path length,
  which is exact. Only parts whose mean chord (4·volume/area) exceeds the smallest voxel edge do so unless told to:
  thinner ones simply add, and overstate the line integral by their thickness times the attenuation of the tissue, e.g.
  0.02 for a wire of 1 mm in soft tissue.
- A hollow object displaces its wall; what is in its lumen stays.
- Objects that overlap each other add. They displace the CT only, not inserted volumes.
- An inserted volume replaces what lies in its whole box, its air included, unless told to add.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import gaussian_filter

from synth.core.errors import InputError
from synth.core.record import Mask
from synth.core.volume import AIR_HU, Labels, Volume, same_grid
from synth.drr.materials import ENERGY_KEV, material
from synth.drr.placed import Insert, Placed
from synth.drr.placing import place, pose
from synth.kernels.occupancy import mesh_occupancy

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from synth.drr.geometry import Camera
    from synth.drr.mesh import Mesh

__all__ = ["Assembly", "Insert", "Placed", "mask_box", "place", "pose"]

_SILHOUETTE_MM = 1e-6  # above the rounding of path lengths
_VISIBLE_KEV = 60.0


@dataclass(frozen=True, eq=False)
class Assembly:
    """One CT, objects placed in it, and further volumes.

    Attributes:
        volume: The CT; its world is everybody's.
        labels: Its label maps, on its grid.
        objects: Placed objects.
        inserts: Further volumes.
    """

    volume: Volume
    labels: tuple[Labels, ...] = ()
    objects: tuple[Placed, ...] = ()
    inserts: tuple[Insert, ...] = ()

    def __post_init__(self) -> None:
        for labels in self.labels:
            if not same_grid(self.volume, labels):
                raise InputError(f"{labels.name}: the label map is not on the grid of {self.volume.name}")

    @cached_property
    def displaced(self) -> NDArray[np.float32] | None:
        """(z, y, x), 0 to 1: the fraction of every voxel of the CT that objects and inserts fill; None where none does.

        Scale what was derived from HU (densities, basis channels) by 1 − displaced: that is exact, also where
        materials mix.
        """
        voxel = float(self.volume.spacing.min())
        meshes = [mesh for placed in self.objects for mesh in placed.displacing(voxel)]
        meshes += [insert.outline for insert in self.inserts if insert.displace]
        if not meshes:
            return None
        fraction = np.zeros(self.volume.shape, np.float32)
        for mesh in meshes:
            _add_occupancy(fraction, mesh, self.volume.affine)
        return np.clip(fraction, 0, 1, out=fraction)

    @cached_property
    def tissue(self) -> tuple[Volume, tuple[Labels, ...]]:
        """The CT and its labels without what is displaced: what to project beside objects and inserts.

        A voxel keeps the rest of its attenuation, (HU + 1000)·(1 − displaced) − 1000, whole HU where they were; its
        label goes where more than half of it does.
        """
        if self.displaced is None:
            return self.volume, self.labels
        hu = self.volume.hu
        touched = self.displaced > 0
        left = (np.maximum(hu[touched].astype(np.float32), AIR_HU) - AIR_HU) * (1 - self.displaced[touched]) + AIR_HU
        kept = hu.copy()
        kept[touched] = np.rint(left) if hu.dtype == np.int16 else left
        gone = self.displaced > 0.5
        labels = tuple(replace(one, array=np.where(gone, one.array.dtype.type(0), one.array)) for one in self.labels)
        return replace(self.volume, hu=kept), labels

    def object_lengths(self, camera: Camera, *, oversample: int = 2) -> dict[str, NDArray[np.float32]]:
        """Path length of every ray in the objects, by material.

        Args:
            camera: The view.
            oversample: Rays a pixel along u and along v, whose mean is returned: wires thinner than a pixel would
                break into dots with one.

        Returns:
            Material → (h, w) float32, mm, from source to pixel; no entry for materials that no object has.
        """
        total: dict[str, NDArray[np.float32]] = {}
        for placed in self.objects:
            for name, lengths in placed.lengths(camera, oversample=oversample).items():
                total[name] = total[name] + lengths if name in total else lengths
        return total

    def object_masks(
        self,
        camera: Camera,
        *,
        threshold: float = 0.02,
        background: NDArray[np.floating] | None = None,
        clutter: float = 1.0,
        clutter_mm: float = 5.0,
    ) -> tuple[Mask, ...]:
        """Where every object is: whole, and as visible.

        "object:NAME" is the silhouette: every pixel whose ray meets the object, whatever hides it. Rays are one a
        pixel, through its middle.

        "object:NAME:visible" is the part of it where the object's own attenuation a, the sum of μ(60 keV) times path
        length over its materials (−ln of what it lets through), is at least `threshold` and, where a background is
        given, stands out of it: a ≥ clutter · σ, where σ is how much the background varies nearby: the root mean
        square of its difference from its own mean, both Gaussian-weighted with standard deviation `clutter_mm`. It
        says nothing of noise, scatter or the reader.

        Args:
            camera: The view.
            threshold: Least own attenuation.
            background: (h, w), −ln of the transmission of all else, as the line integral of the tissue.
            clutter: Least ratio of own attenuation to the background's variation.
            clutter_mm: Size of the surroundings, mm at the detector.

        Returns:
            Masks in the order of objects; objects outside the view have none, hidden ones no visible one. Objects of
            one name give masks of one name.
        """
        variation = None if background is None else clutter * _variation(background, camera, clutter_mm)
        masks: list[Mask] = []
        for placed in self.objects:
            lengths = placed.lengths(camera)
            whole = sum(lengths.values()) > np.float32(_SILHOUETTE_MM)
            own = sum(_attenuation(name) * length for name, length in lengths.items())
            visible = whole & (own >= threshold)
            if variation is not None:
                visible &= own >= variation
            found = ((f"object:{placed.name}", whole), (f"object:{placed.name}:visible", visible))
            masks += [Mask(name, np.asarray(array)) for name, array in found if array.any()]
        return tuple(masks)


def mask_box(mask: Mask) -> tuple[int, int, int, int]:
    """COCO's bounding box of a mask: (x, y, width, height), pixels; all 0 for an empty one."""
    rows, columns = np.flatnonzero(mask.array.any(1)), np.flatnonzero(mask.array.any(0))
    if not len(rows):
        return 0, 0, 0, 0
    return int(columns[0]), int(rows[0]), int(np.ptp(columns)) + 1, int(np.ptp(rows)) + 1


def _attenuation(name: str) -> np.float32:
    """Of a material at the energy of `object_masks`, 1/mm."""
    return np.float32(np.interp(_VISIBLE_KEV, ENERGY_KEV, material(name).attenuation))


def _variation(background: NDArray[np.floating], camera: Camera, size_mm: float) -> NDArray[np.float32]:
    if background.shape != camera.shape:
        raise InputError(f"the background must be of the view's shape {camera.shape}, got {background.shape}")
    sigma = [size_mm / pitch for pitch in camera.pitch_mm]
    image = np.asarray(background, np.float32)
    detail = image - gaussian_filter(image, sigma, mode="nearest")
    return np.asarray(np.sqrt(gaussian_filter(detail**2, sigma, mode="nearest")), np.float32)


def _add_occupancy(fraction: NDArray[np.float32], mesh: Mesh, affine: NDArray[np.float64]) -> None:
    """Adds what a mesh fills of every voxel, in place."""
    local = mesh.moved(np.linalg.inv(affine))
    low = np.floor(local.vertices.min(0) + 0.5).astype(int).clip(min=0)
    high = np.minimum(np.floor(local.vertices.max(0) + 0.5).astype(int) + 1, fraction.shape[::-1])
    if (high <= low).any():
        return
    nx, ny, nz = (int(n) for n in high - low)
    # Some eight lines across whatever is thin.
    lines = int(np.clip(np.ceil(8 / max(local.mean_chord_mm, 0.5)), 4, 16))
    try:
        filled = mesh_occupancy(local.vertices - low, local.faces, (nz, ny, nx), oversample=lines)
    except ValueError as error:
        raise InputError(f"{mesh.name}: {error}") from error
    fraction[low[2] : high[2], low[1] : high[1], low[0] : high[0]] += filled
