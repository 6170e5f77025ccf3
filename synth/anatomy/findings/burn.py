"""Placed objects in a CT: which voxels they fill, and the CT that a scanner would have made of them.

Editors of devices leave the CT's values as they are. `Seen.placed` carries the meshes, which radiographs draw sharply
from the unchanged volume (synth.drr.assembly.Assembly), and `with_devices` gives the CT that shows them.
"""

from __future__ import annotations

import functools
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from synth.anatomy.findings.base import edited
from synth.core.volume import AIR_HU
from synth.drr.materials import ENERGY_KEV, material
from synth.drr.placed import Placed
from synth.kernels.occupancy import mesh_occupancy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from synth.anatomy.scan import Scan
    from synth.core.record import Finding
    from synth.core.volume import Volume
    from synth.drr.mesh import Mesh, Part

__all__ = ["add_device", "device_mask", "material_hu", "with_devices"]

_CT_KEV = 70.0  # effective energy of a CT at 120 kVp behind a body (McCullough 1975, Med Phys 2:307: about 70 keV)
_LARGEST_HU = 3071  # of 12 bits from −1024
_SHARE = 0.1  # of what it fills at most, from which a voxel shows a device
_LINES = 6  # through a voxel, each way


def add_device(scan: Scan, finding: Finding, parts: Sequence[Part]) -> Scan:
    """The scan with a device in it: `placed` and mask; its volume stays as it was.

    Args:
        scan: The scan before.
        finding: Complete; its kind names the object.
        parts: Closed meshes in the world.
    """
    placed = Placed(tuple(parts), np.eye(4), finding.kind or finding.name)
    return edited(scan, finding, device_mask(scan.volume, (placed,)), placed=(placed,))


def device_mask(volume: Volume, placed: Sequence[Placed]) -> NDArray[np.bool_]:
    """(z, y, x) bool: voxels of which the objects fill at least a tenth of what they fill of any voxel."""
    filled = np.zeros(volume.shape, np.float32)
    for thing in placed:
        for body in thing.bodies.values():
            _add_filled(filled, body, volume)
    return np.asarray(filled > _SHARE * min(1.0, float(filled.max())))


def with_devices(scan: Scan) -> Volume:
    """The CT with all devices of its findings burnt in.

    Every voxel is mixed by volume: HU = tissue · (1 − Σf) + Σ f·HU of the material, at most 3071 as 12 bits hold. Do
    not draw `Seen.placed` over a radiograph of this volume: the objects would be there twice.
    """
    objects = [thing for seen in scan.seen for thing in seen.placed]
    if not objects:
        return scan.volume
    total, added = np.zeros(scan.volume.shape, np.float32), np.zeros(scan.volume.shape, np.float32)
    for name in sorted({name for thing in objects for name in thing.bodies}):
        filled = np.zeros(scan.volume.shape, np.float32)
        for thing in objects:
            if name in thing.bodies:
                _add_filled(filled, thing.bodies[name], scan.volume)
        total += filled
        added += filled * np.float32(material_hu(name))
    touched = total > 0
    left = np.clip(1 - total[touched], 0, 1)
    mixed = np.minimum(scan.volume.hu[touched] * left + added[touched], _LARGEST_HU)
    hu = scan.volume.hu.copy()
    hu[touched] = np.rint(mixed) if hu.dtype == np.int16 else mixed
    return replace(scan.volume, hu=hu)


@functools.cache
def material_hu(name: str) -> float:
    """Hounsfield value of a material at 70 keV, the effective energy of a CT: 1000·(μ/μ_water − 1)."""
    own, water = (float(np.interp(_CT_KEV, ENERGY_KEV, material(m).attenuation)) for m in (name, "water"))
    return max(float(AIR_HU), 1000 * (own / water - 1))


def _add_filled(filled: NDArray[np.float32], mesh: Mesh, volume: Volume) -> None:
    """Adds what a closed surface fills of every voxel, in place."""
    local = mesh.moved(np.linalg.inv(volume.affine))
    shape = np.array(filled.shape[::-1])
    low = np.clip(np.floor(local.vertices.min(0) + 0.5), 0, shape).astype(int)
    high = np.clip(np.floor(local.vertices.max(0) + 0.5) + 1, 0, shape).astype(int)
    if (high <= low).any():
        return
    nx, ny, nz = (int(n) for n in high - low)
    part = mesh_occupancy(local.vertices - low, local.faces, (nz, ny, nx), oversample=_LINES)
    filled[low[2] : high[2], low[1] : high[1], low[0] : high[0]] += part
