"""The shapes that anatomy is drawn with, and in which order: a phantom is a list of strokes, painted one over another.

All lengths are mm, all points world LPS (x to the patient's left, y to the back, z to the head). Every solid has an
approximate signed distance d (first order: the implicit function over the length of its gradient; negative inside), so
that a voxel is covered by the fraction clip(1/2 − d/voxel edge, 0, 1), and a stroke may be inset: the cortex of a bone
is the solid, its marrow the same solid 1.5 mm inside.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Loft", "Slab", "Solid", "Stroke", "Tubes"]


def _identity() -> NDArray[np.float64]:
    return np.eye(3)


@dataclass(frozen=True, eq=False)
class Loft:
    """Cross-sections stacked along a straight axis, each star-shaped about its own centre.

    In local coordinates (u, v, w) = axes @ (point − origin), a point lies inside if w is between the first and the last
    section and (u − cu(w))² + (v − cv(w))² < R²(w, θ), θ = atan2(v − cv, u − cu). Between the samples R² is linear in w
    and in θ, centres are linear in w: a sphere is met exactly along its axis, and a section of radius 0 is a pole.

    Attributes:
        radius: (n_w, n_theta) mm, ≥ 0; column j at θ = 2πj/n_theta.
        centre: (n_w, 2) mm, (cu, cv) of each section.
        w0: Position of the first section, mm.
        dw: Distance of sections, mm, > 0.
        origin: (3,) world.
        axes: (3, 3), rows the unit vectors u, v, w in the world, right-handed.
    """

    radius: NDArray[np.float64]
    centre: NDArray[np.float64]
    w0: float
    dw: float
    origin: NDArray[np.float64] = field(default_factory=lambda: np.zeros(3))
    axes: NDArray[np.float64] = field(default_factory=_identity)


@dataclass(frozen=True, eq=False)
class Slab:
    """What lies between two surfaces over a plane: plates, muscles, domes, the mediastinum.

    In local coordinates (u, v, w) = axes @ (point − origin), a point lies inside if (u, v) is within the table and
    lower(u, v) < w < upper(u, v); both are bilinear between samples. Where lower > upper there is nothing: outlines are
    made by letting the surfaces cross.

    Attributes:
        lower: (n_v, n_u) mm.
        upper: (n_v, n_u) mm.
        u0: Position of the first column, mm.
        v0: Position of the first row, mm.
        du: Distance of columns, mm.
        dv: Distance of rows, mm.
        origin: (3,) world.
        axes: (3, 3), rows the unit vectors u, v, w in the world, right-handed.
    """

    lower: NDArray[np.float64]
    upper: NDArray[np.float64]
    u0: float
    v0: float
    du: float
    dv: float
    origin: NDArray[np.float64] = field(default_factory=lambda: np.zeros(3))
    axes: NDArray[np.float64] = field(default_factory=_identity)


@dataclass(frozen=True, eq=False)
class Tubes:
    """Tapering round or flattened rods, the union of which is the solid: ribs, vessels, airways.

    A segment is the points nearer than r(s) to the point at fraction s of its axis, s being where the point projects,
    within [0, 1] and r linear: a rod with round ends. With `flat` < 1 the distance along `normal` counts 1/flat times:
    the section is an ellipse of half axes r and flat·r.

    Attributes:
        start: (n, 3) world.
        end: (n, 3) world.
        start_radius: (n,) mm.
        end_radius: (n,) mm.
        normal: (n, 3) unit vectors across the axis, along which the rod is flattened; any where flat is 1.
        flat: (n,) ratio of the two half axes, 0 < flat ≤ 1.
    """

    start: NDArray[np.float64]
    end: NDArray[np.float64]
    start_radius: NDArray[np.float64]
    end_radius: NDArray[np.float64]
    normal: NDArray[np.float64]
    flat: NDArray[np.float64]

    @classmethod
    def along(
        cls,
        points: NDArray[np.float64],
        radius: NDArray[np.float64] | float,
        *,
        normal: NDArray[np.float64] | None = None,
        flat: float = 1.0,
    ) -> Tubes:
        """The rod around a polyline.

        Args:
            points: (n, 3) world, n ≥ 2.
            radius: (n,) or one for all, mm.
            normal: (n, 3) or (3,): across the polyline, along which it is flattened.
            flat: Ratio of the half axes.
        """
        n = len(points)
        radii = np.broadcast_to(np.asarray(radius, float), n)
        normals = np.broadcast_to(np.array([0.0, 0.0, 1.0]) if normal is None else np.asarray(normal, float), (n, 3))
        middle = normals[:-1] + normals[1:]
        middle = middle / np.linalg.norm(middle, axis=1, keepdims=True)
        return cls(points[:-1], points[1:], radii[:-1], radii[1:], middle, np.full(n - 1, flat))

    @classmethod
    def merged(cls, tubes: list[Tubes]) -> Tubes:
        """All segments of several."""
        return cls(*(np.concatenate([getattr(t, name) for t in tubes]) for name in cls.__dataclass_fields__))


Solid = Loft | Slab | Tubes


@dataclass(frozen=True, eq=False)
class Stroke:
    """The union of some solids, painted in one tissue.

    Attributes:
        solids: What to cover; the union of all.
        hu: Mean Hounsfield value of what is painted; None leaves the values and changes labels only.
        label: Name in LABELS; None leaves the label.
        part: Name in PARTS, "" for none; None leaves the part.
        over: Labels that may be painted over, "" for the air around the body; None: all.
        over_parts: Parts that may be painted over, "" for none; None: all.
        inset_mm: How far inside the solids' surface to stay; negative: outside.
        group: What to call it when time is split by part ("ribs", "wall", …).
    """

    solids: tuple[Solid, ...]
    hu: float | None
    label: str | None = None
    part: str | None = None
    over: tuple[str, ...] | None = None
    over_parts: tuple[str, ...] | None = None
    inset_mm: float = 0.0
    group: str = ""
