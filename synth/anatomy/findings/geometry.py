"""Where things lie in a lung: depth under the pleura, height, the hilum, lobes and zones.

Shapes are measured on a coarse grid (every n-th voxel, about 2.5 mm) and brought to the CT's own grid by linear
interpolation: distances are smooth, and a distance transform of the fine grid would cost seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numba import njit

from synth.anatomy.findings.distance import distance_to
from synth.anatomy.labels import LUNG_LEFT, LUNG_RIGHT
from synth.core.errors import InputError
from synth.kernels.threads import run_parallel

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from synth.anatomy.findings.base import Box
    from synth.anatomy.scan import Scan

__all__ = ["LUNGS", "Lung", "bounding_box", "box_affine", "extent_cm", "lungs", "refined", "sides_of"]

LUNGS = {"left": LUNG_LEFT, "right": LUNG_RIGHT}
"""Laterality → labels of the lobes."""

_COARSE_MM = 2.5
_MARGIN_MM = 6.0
_HILAR = ("pulmonary_vein", "pulmonary_artery", "heart_atrium_left", "atrial_appendage_left")

_GASSY = (*LUNG_LEFT, *LUNG_RIGHT, "trachea", "esophagus", "stomach", "duodenum", "small_bowel", "colon")


@dataclass(frozen=True, eq=False)
class Lung:
    """One lung of a scan, on a coarse grid.

    Attributes:
        scan: The scan it lies in.
        side: "left" or "right", of the patient.
        box: The part of the scan's grid around it.
        step: Voxels of the scan from one coarse node to the next, (z, y, x).
        mask: (z, y, x) coarse, bool: inside the lung.
    """

    scan: Scan
    side: str
    box: Box
    step: tuple[int, int, int]
    mask: NDArray[np.bool_]

    @cached_property
    def affine(self) -> NDArray[np.float64]:
        """Coarse index (x, y, z, 1) → world."""
        affine = box_affine(self.scan, self.box)
        affine[:3, :3] *= self.step[::-1]
        return affine

    @cached_property
    def spacing(self) -> NDArray[np.float64]:
        """Coarse edges along (z, y, x), mm."""
        return np.array(self.step) * self.scan.volume.spacing[::-1]

    @cached_property
    def points(self) -> NDArray[np.float64]:
        """(z, y, x, 3) world positions of the coarse nodes, mm."""
        z, y, x = (np.arange(n, dtype=np.float64) for n in self.mask.shape)
        points = np.empty((*self.mask.shape, 3))
        for axis in range(3):
            a, b, c, d = self.affine[axis]
            points[..., axis] = (c * z + d)[:, None, None] + (b * y)[:, None] + a * x
        return points

    @cached_property
    def depth(self) -> NDArray[np.float32]:
        """Distance to the surface of the lung, negative outside, mm, coarse."""
        return self.signed(self.mask)

    @cached_property
    def costal(self) -> NDArray[np.float32]:
        """Distance to the chest wall at the side and back, mm, coarse: what lies outward or behind the lung."""
        out = self.outward
        front, back = _beyond(self.mask, *self._axis(1))
        beside = _beyond(self.mask, *self._axis(0))[1 if out > 0 else 0]
        wall = (beside | back | (front & ~self._medial)) & ~self.mask
        return distance_to(wall, self.spacing)

    @cached_property
    def _medial(self) -> NDArray[np.bool_]:
        """What lies nearer to the middle of the body than the lung's own middle."""
        x = self.points[..., 0]
        middle = np.median(x[self.mask])
        return np.asarray((x - middle) * self.outward < 0)

    def _axis(self, world: int) -> tuple[int, bool]:
        """The array axis that runs most along a world axis (0 x, 1 y, 2 z), and whether it runs the same way."""
        column = self.affine[world, :3]
        k = int(np.abs(column).argmax())
        return 2 - k, bool(column[k] > 0)

    @property
    def outward(self) -> float:
        """Sign of x away from the middle of the body."""
        return 1.0 if self.side == "left" else -1.0

    @cached_property
    def height(self) -> NDArray[np.float32]:
        """0 at the lowest point of the lung, 1 at its apex, coarse."""
        z = self.points[..., 2]
        low, high = z[self.mask].min(), z[self.mask].max()
        return np.asarray((z - low) / max(high - low, 1e-6), np.float32)

    @cached_property
    def hilum(self) -> NDArray[np.float64]:
        """World position where bronchi and vessels enter.

        The middle of the lung's surface that lies near pulmonary veins, arteries or the left atrium; without such
        labels the upper part of what touches the heart; without a heart the medial surface a little above half height.
        """
        z = self.points[..., 2]
        near = self._near(self._sampled(_HILAR), 9.0)
        if near.sum() < 8:
            near = self._near(self._sampled(("heart",)), 6.0)
            if near.any():
                near &= z > np.quantile(z[near], 0.7)
        if not near.any():
            inner = self.points[..., 0] * self.outward
            near = self.mask & (np.abs(self.height - 0.55) < 0.06)
            near &= inner < np.quantile(inner[near], 0.05)
        # The outer half: what lies before the spine, beside the left atrium, is lung without a gate.
        across = self.points[..., 0] * self.outward
        near &= across >= np.median(across[near])
        centre: NDArray[np.float64] = self.points[near].mean(axis=0)
        return centre

    @cached_property
    def hilar(self) -> NDArray[np.float32]:
        """Distance to the hilum, mm, coarse."""
        distance: NDArray[np.float32] = np.linalg.norm(self.points - self.hilum, axis=-1).astype(np.float32)
        return distance

    @property
    def names(self) -> tuple[str, ...]:
        """Labels of the lung's lobes that the scan has."""
        present = set(self.scan.labels.names.values())
        return tuple(name for name in LUNGS[self.side] if name in present)

    def lobe(self, name: str) -> NDArray[np.bool_]:
        """(z, y, x) coarse, bool: inside a lobe ("upper lobe", "middle lobe" or "lower lobe")."""
        label = f"lung_{name.replace(' ', '_')}_{self.side}"
        inside = self._sampled((label,))
        if inside.sum() < 20:
            raise InputError(f"{self.side} {name}: {self.scan.volume.name} has no label {label}")
        return inside

    def zone(self, location: str | None) -> NDArray[np.bool_]:
        """(z, y, x) coarse, bool: the lung's part that a location of the vocabulary names; None is all of it.

        The lingula is the front lower part of the left upper lobe; apex and base are the uppermost and lowest tenths
        and fifths of the lung's height; central is within 45 mm of the hilum.

        Raises:
            InputError: There is nothing of it in this scan.
        """
        if location is None:
            zone = self.mask
        elif location.endswith("lobe"):
            zone = self.lobe(location)
        elif location == "lingula":
            lobe = self.lobe("upper lobe")
            below, before = (np.quantile(self.points[lobe][:, k], share) for k, share in ((2, 0.42), (1, 0.65)))
            zone = lobe & (self.points[..., 2] < below) & (self.points[..., 1] < before)
        else:
            zone = (
                self.mask
                & {"apex": self.height > 0.87, "base": self.height < 0.3, "hilum": self.hilar < 45.0}[location]
            )
        if zone.sum() < 20:
            raise InputError(f"{location}: there is none of the {self.side} lung there in {self.scan.volume.name}")
        return zone

    def signed(self, inside: NDArray[np.bool_]) -> NDArray[np.float32]:
        """Distance to the border of a coarse region, positive inside, negative outside, mm."""
        half = 0.5 * float(self.spacing.mean())
        inner, outer = distance_to(~inside, self.spacing), distance_to(inside, self.spacing)
        return np.where(inside, inner - half, half - outer).astype(np.float32)

    def fine(self, field: NDArray[Any]) -> NDArray[np.float32]:
        """A coarse field on the scan's voxels in `box`, by linear interpolation."""
        return refined(field, self.step, tuple(part.stop - part.start for part in self.box))

    def inside(self, *names: str) -> NDArray[np.bool_]:
        """(z, y, x) bool on the scan's voxels in `box`: inside the lung, or inside lobes given by label."""
        return _where(self.scan, self.box, names or self.names)

    def sealed(self, *names: str) -> NDArray[np.bool_]:
        """Like `inside`, with the voxels at its surface that are partly lung: what fills a lung fills them too."""
        from scipy import ndimage

        inside = self.inside(*names)
        reach = np.maximum(1, np.rint(2.0 / self.scan.volume.spacing[::-1]).astype(int))
        grown = ndimage.maximum_filter(inside, 2 * reach + 1)
        free = (self.scan.volume.hu[self.box] < -200) & ~_where(self.scan, self.box, _GASSY)
        return np.asarray(inside | (grown & free))

    @property
    def fine_affine(self) -> NDArray[np.float64]:
        """Voxel index (x, y, z, 1) within `box` → world mm."""
        return box_affine(self.scan, self.box)

    def hu(self) -> NDArray[np.float32]:
        """Values of the scan in `box`."""
        return self.scan.volume.hu[self.box].astype(np.float32)

    def part(self, name: str) -> NDArray[np.bool_] | None:
        """(z, y, x) bool on the scan's voxels in `box`: a part of synth.anatomy.labels.PARTS; None without the map."""
        parts = self.scan.parts
        if parts is None:
            return None
        values = [value for value, known in parts.names.items() if known == name]
        return np.asarray(np.isin(parts.array[self.box], values))

    def _sampled(self, names: tuple[str, ...]) -> NDArray[np.bool_]:
        return _where(self.scan, _strided(self.box, self.step), names)

    def _near(self, what: NDArray[np.bool_], reach_mm: float) -> NDArray[np.bool_]:
        return self.mask & (distance_to(what, self.spacing) < reach_mm)


def lungs(scan: Scan, laterality: str | None) -> list[Lung]:
    """The lungs that a laterality means.

    Args:
        scan: Any scan.
        laterality: "left", "right", or "bilateral".

    Raises:
        InputError: A lung of that side has no labels, or fewer than 50 ml of it are in the scan.
    """
    return [_lung(scan, side) for side in sides_of(laterality)]


def sides_of(laterality: str | None) -> tuple[str, ...]:
    """The sides that a laterality means."""
    return ("right", "left") if laterality in (None, "bilateral") else (str(laterality),)


def refined(field: NDArray[Any], step: tuple[int, ...], shape: tuple[int, ...]) -> NDArray[np.float32]:
    """A field on every n-th voxel, brought to all voxels by linear interpolation; constant beyond the last.

    Args:
        field: (z, y, x), the first value at the first voxel.
        step: Voxels from one value to the next.
        shape: (z, y, x) voxels.
    """
    out = np.empty(shape, np.float32)
    source = np.ascontiguousarray(field, np.float32)

    def work(start: int, stop: int) -> None:
        _refine(source, step, out, start, stop)

    run_parallel(work, shape[0], 4)
    return out


def _lung(scan: Scan, side: str) -> Lung:
    edges = scan.volume.spacing[::-1]
    step = tuple(max(1, round(_COARSE_MM / edge)) for edge in edges)
    whole = tuple(slice(0, n) for n in scan.volume.shape)
    sparse = _where(scan, _strided(whole, step), LUNGS[side])
    if sparse.sum() * np.prod(edges * step) < 50e3:
        names = ", ".join(LUNGS[side])
        raise InputError(f"{scan.volume.name}: less than 50 ml of the {side} lung is labelled; it needs {names}")
    box = []
    for axis, n in enumerate(scan.volume.shape):
        at = np.flatnonzero(sparse.any(axis=tuple(a for a in range(3) if a != axis))) * step[axis]
        margin = step[axis] + int(np.ceil(_MARGIN_MM / edges[axis]))
        box.append(slice(max(0, int(at[0]) - margin), min(n, int(at[-1]) + margin + 1)))
    found = (box[0], box[1], box[2])
    return Lung(scan, side, found, step, _where(scan, _strided(found, step), LUNGS[side]))


def box_affine(scan: Scan, box: Box) -> NDArray[np.float64]:
    """(4, 4): voxel index (x, y, z, 1) within a box → world mm."""
    affine = scan.volume.affine.copy()
    affine[:3, 3] += affine[:3, :3] @ [part.start for part in box[::-1]]
    return affine


def bounding_box(mask: NDArray[np.bool_], margin: int = 0) -> Box:
    """The smallest box around what is True, with some voxels more, inside the array; the whole array if nothing is."""
    box = []
    for axis, n in enumerate(mask.shape):
        at = np.flatnonzero(mask.any(axis=tuple(a for a in range(3) if a != axis)))
        box.append(slice(max(0, int(at[0]) - margin), min(n, int(at[-1]) + margin + 1)) if len(at) else slice(0, n))
    return box[0], box[1], box[2]


def extent_cm(mask: NDArray[np.bool_], affine: NDArray[np.float64]) -> float:
    """Largest extent of a mask over 13 directions in the world, cm, to the millimetre; 0 of nothing.

    Args:
        mask: (z, y, x) bool.
        affine: (4, 4), index (x, y, z, 1) → world mm, of that array.
    """
    z, y = np.nonzero(mask.any(axis=2))
    if not len(z):
        return 0.0
    rows = mask[z, y]
    # The ends of every row: nothing else can be extreme along a direction.
    first, last = rows.argmax(axis=1), mask.shape[2] - 1 - rows[:, ::-1].argmax(axis=1)
    index = np.stack([np.concatenate([first, last]), np.tile(y, 2), np.tile(z, 2)], axis=1)
    points = index @ affine[:3, :3].T
    steps = np.array([(x, y, z) for x in (-1, 0, 1) for y in (-1, 0, 1) for z in (-1, 0, 1) if (z, y, x) > (0, 0, 0)])
    along = steps / np.linalg.norm(steps, axis=1, keepdims=True)
    edge = float(np.prod(np.linalg.norm(affine[:3, :3], axis=0)) ** (1 / 3))
    return round(0.1 * (max(float(np.ptp(points @ axis)) for axis in along) + edge), 1)


def _strided(box: tuple[slice, ...], step: tuple[int, ...]) -> Box:
    z, y, x = (slice(part.start, part.stop, n) for part, n in zip(box, step, strict=True))
    return z, y, x


def _where(scan: Scan, box: Box, names: tuple[str, ...]) -> NDArray[np.bool_]:
    array = scan.labels.array
    table = np.zeros(np.iinfo(array.dtype).max + 1, np.bool_)
    table[scan.values(names)] = True
    inside: NDArray[np.bool_] = table[array[box]]
    return inside


def _beyond(mask: NDArray[np.bool_], axis: int, same: bool) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """What lies before the first and behind the last True along an axis, in lines that have any; world direction."""
    seen = np.logical_or.accumulate(mask, axis=axis)
    coming = np.flip(np.logical_or.accumulate(np.flip(mask, axis), axis=axis), axis)
    before, behind = ~seen & coming, seen & ~coming
    return (before, behind) if same else (behind, before)


@njit(nogil=True, cache=True)
def _refine(source, step, out, start, stop):  # type: ignore[no-untyped-def]
    nz, ny, nx = source.shape
    row = np.empty(nx, np.float32)
    for k in range(start, stop):
        z = k // step[0]
        z1, fz = min(z + 1, nz - 1), np.float32(k % step[0]) / np.float32(step[0])
        for j in range(out.shape[1]):
            y = j // step[1]
            y1, fy = min(y + 1, ny - 1), np.float32(j % step[1]) / np.float32(step[1])
            for i in range(nx):
                a = source[z, y, i] + fy * (source[z, y1, i] - source[z, y, i])
                b = source[z1, y, i] + fy * (source[z1, y1, i] - source[z1, y, i])
                row[i] = a + fz * (b - a)
            for i in range(out.shape[2]):
                x = i // step[2]
                x1 = min(x + 1, nx - 1)
                out[k, j, i] = row[x] + np.float32(i % step[2]) / np.float32(step[2]) * (row[x1] - row[x])
