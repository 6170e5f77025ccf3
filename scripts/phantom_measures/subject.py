"""A phantom as it is measured: its maps, and the landmarks that are found in them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage
from scipy.spatial import ConvexHull

from synth.anatomy.labels import LABELS, PARTS

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from synth.anatomy.person import Person
    from synth.anatomy.phantom import Phantom
    from synth.anatomy.scan import Scan

__all__ = ["SPINE", "Subject", "perimeter"]

SPINE = (*(f"T{number}" for number in range(1, 13)), "L1", "L2")
"""Vertebrae that are looked for."""


@dataclass(frozen=True, eq=False)
class Subject:
    """A person, the body and its scan."""

    person: Person
    body: Phantom
    scan: Scan

    @cached_property
    def labels(self) -> NDArray[np.uint8]:
        """(z, y, x) values of LABELS."""
        return self.scan.labels.array

    @cached_property
    def edge(self) -> float:
        """Of a voxel, mm."""
        return float(self.scan.volume.spacing[0])

    def height(self, plane: int | float) -> float:
        """World z of a plane, mm."""
        return float(self.scan.volume.affine[2, 3] + plane * self.edge)

    def plane(self, z: float) -> int:
        """The plane nearest to world z."""
        return int(np.clip(round((z - self.height(0)) / self.edge), 0, len(self.labels) - 1))

    def points(self, mask: NDArray[np.bool_]) -> NDArray[np.float64]:
        """(n, 3) world: centres of the voxels of a mask, mm."""
        return np.argwhere(mask)[:, ::-1] * self.edge + self.scan.volume.affine[:3, 3]

    def ml(self, *names: str) -> float:
        """Volume of labels."""
        return float(self.scan.where(*names).sum()) * self.edge**3 / 1000

    def part(self, name: str) -> NDArray[np.bool_]:
        """(z, y, x): the voxels of a part."""
        return self.scan.parts.array == PARTS[name]

    @cached_property
    def airway(self) -> NDArray[np.bool_]:
        """The lumen that hangs together with the windpipe's."""
        marks, _ = ndimage.label(self.part("airway_lumen"), np.ones((3, 3, 3)))
        windpipe = marks[(marks > 0) & (self.labels == LABELS["trachea"])]
        return marks == np.bincount(windpipe).argmax()

    @cached_property
    def bronchi(self) -> list[tuple[int, NDArray[np.bool_], NDArray[np.bool_]]]:
        """Planes below the carina, from above, with the right and the left main bronchus in each (y, x)."""
        windpipe = self.airway & (self.labels == LABELS["trachea"])
        plane = self.plane(self.points(windpipe)[:, 2].min() + 20.0)
        before = windpipe[plane]
        found: list[tuple[int, NDArray[np.bool_], NDArray[np.bool_]]] = []
        while plane > 0 and before.any():
            plane -= 1
            marks, _ = ndimage.label(self.airway[plane], np.ones((3, 3)))
            touching = np.unique(marks[ndimage.binary_dilation(before, np.ones((3, 3)))])
            pieces = [marks == k for k in touching if k and (marks == k).sum() * self.edge**2 > 18.0]
            pieces = sorted(sorted(pieces, key=np.sum)[-2:], key=lambda piece: float(np.argwhere(piece)[:, 1].mean()))
            if len(pieces) < 2 and found:
                break
            if len(pieces) == 2:
                found.append((plane, pieces[0], pieces[1]))
            before = np.logical_or.reduce(pieces) if pieces else np.zeros_like(before)
        if len(found) < 2:
            raise ValueError("the windpipe does not divide in two")
        return found

    @cached_property
    def carina(self) -> NDArray[np.float64]:
        """(3,) world: where the lumen parts, followed from above."""
        plane, right, left = self.bronchi[0]
        x, y, _ = np.mean([self.points(piece[None]).mean(0) for piece in (right, left)], axis=0)
        return np.array([x, y, self.height(plane + 0.5)])

    def axis_of(self, side: str) -> tuple[NDArray[np.float64], float]:
        """Unit vector along a main bronchus, downwards, and its area in a plane, mm².

        Of the first 18 mm below the carina the planes with the most ordinary areas count: others show a lobe's bronchus
        leave.
        """
        index = 1 if side == "right" else 2
        runs = [run for run in self.bronchi if self.carina[2] - self.height(run[0]) < 18.0]
        areas = np.array([run[index].sum() for run in runs]) * self.edge**2
        ordinary = np.argsort(np.abs(areas - np.median(areas)))[: max(2, len(runs) * 2 // 3)]
        kept = [runs[k] for k in sorted(ordinary)]
        middles = np.array([[*self.points(run[index][None]).mean(0)[:2], self.height(run[0])] for run in kept])
        slope = np.polyfit(middles[:, 2], middles[:, :2], 1)[0]
        axis = np.array([-slope[0], -slope[1], -1.0])
        return axis / np.linalg.norm(axis), float(areas[ordinary].mean())

    def section(self, name: str, plane: int, where: Callable[[float, float], bool] | None = None) -> float:
        """Diameter of a vessel's section in a plane: the smaller of the two of an ellipse of its moments, mm."""
        marks, n = ndimage.label(self.labels[plane] == LABELS[name], np.ones((3, 3)))
        best = 0.0
        for k in range(1, n + 1):
            points = self.points(marks[None] == k)[:, :2]
            if len(points) * self.edge**2 < 60 or (where is not None and not where(*points.mean(0))):
                continue
            spread = np.linalg.eigvalsh(np.cov(points.T))
            best = max(best, 4 * float(np.sqrt(spread[0])))
        return best

    @cached_property
    def trunk_plane(self) -> int:
        """Where the pulmonary trunk's section is largest: the level at which aortas are measured."""
        areas = (self.labels == LABELS["pulmonary_artery"]).sum((1, 2))
        return int(areas.argmax())

    def vertebra(self, name: str) -> NDArray[np.bool_]:
        """The body of a vertebra: what lies before the canal."""
        bone = self.labels == LABELS[f"vertebrae_{name}"]
        canal = self.points(self.labels == LABELS["spinal_cord"])
        middle = self.points(bone)[:, 2].mean()
        near = canal[np.abs(canal[:, 2] - middle) < 12.0]
        front = near[:, 1].min() + 1.0
        y = self.scan.volume.affine[1, 3] + np.arange(bone.shape[1]) * self.edge
        return bone & (y < front)[None, :, None]

    @cached_property
    def bodies(self) -> dict[str, NDArray[np.float64]]:
        """Vertebra → middle of its body, world mm."""
        return {name: self.points(self.vertebra(name)).mean(0) for name in SPINE}

    def level(self, z: float) -> float:
        """Level of the spine at world z: 1 is the middle of T1, 13 of L1."""
        heights = [self.bodies[name][2] for name in SPINE]
        return float(np.interp(-z, -np.array(heights), np.arange(1.0, len(SPINE) + 1)))

    def hull(self, plane: int) -> NDArray[np.float64]:
        """(n, 2): corners of the trunk's convex outline in a plane: where a tape would run."""
        marks, _ = ndimage.label(self.labels[plane] > 0)
        trunk = marks == np.bincount(marks[marks > 0]).argmax()
        points = self.points(trunk[None])[:, :2]
        return points[ConvexHull(points).vertices]

    @cached_property
    def chest(self) -> NDArray[np.float64]:
        """The hull at the lower third of the breastbone, the height of the nipples."""
        bone = self.points(self.labels == LABELS["sternum"])[:, 2]
        return self.hull(self.plane(bone.min() + 0.3 * np.ptp(bone)))


def perimeter(corners: NDArray[np.float64]) -> float:
    """Length of a closed line through corners (n, 2)."""
    return float(np.linalg.norm(corners - np.roll(corners, 1, axis=0), axis=1).sum())
