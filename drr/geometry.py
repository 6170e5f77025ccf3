"""A cone-beam camera as a value: where the source is, where every pixel is, and how points and pixels correspond.

World is LPS in mm. Pixel (u, v) is column u to the right and row v down; integer coordinates are pixel centres. A pose
is named by what it maps: `world_to_camera` takes world points to camera coordinates (x along u, y along v, z from the
source to the detector), `camera_to_world` goes back; both are rigid (4, 4) matrices on homogeneous points.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from synth.core.errors import InputError

__all__ = ["Camera"]

Vector = NDArray[np.float64]

_FARTHEST_MM = 1e9


@dataclass(frozen=True, eq=False)
class Camera:
    """One view of a cone beam.

    Attributes:
        source: (3,), world mm.
        origin: (3,), centre of pixel (0, 0), world mm.
        du: (3,), step from a pixel to the next column, world mm.
        dv: (3,), step from a pixel to the next row, world mm.
        shape: (h, w), pixels.
        name: "PA", "AP", "LATERAL", "LAO45", …
        source_isocentre_mm: Distance from the source to the point the beam is centred on, where it has one.
    """

    source: Vector
    origin: Vector
    du: Vector
    dv: Vector
    shape: tuple[int, int]
    name: str = ""
    source_isocentre_mm: float | None = None
    _normal: Vector = field(init=False, repr=False)

    def __post_init__(self) -> None:
        for name in ("source", "origin", "du", "dv"):
            vector = np.asarray(getattr(self, name), np.float64)
            if vector.shape != (3,) or not (np.abs(vector) <= _FARTHEST_MM).all():  # NaN fails, too
                raise InputError(
                    f"camera {self.name}: {name} must be three finite numbers within ±{_FARTHEST_MM:.0e} mm, "
                    f"got {vector.tolist()}"
                )
            object.__setattr__(self, name, vector)
        h, w = self.shape
        if not (1 <= h <= 16384 and 1 <= w <= 16384):
            raise InputError(f"camera {self.name}: the image size must be 1 to 16384 pixels a side, got {h}×{w}")
        normal = np.cross(self.du, self.dv)
        area = np.linalg.norm(normal)
        if area < 1e-9 or abs((self.origin - self.source) @ normal) < 1e-6 * area:
            raise InputError(f"camera {self.name}: the source lies in the detector's plane, or pixels have no area")
        object.__setattr__(self, "_normal", normal / area)

    @classmethod
    def looking(
        cls,
        source: ArrayLike,
        centre: ArrayLike,
        right: ArrayLike,
        down: ArrayLike,
        *,
        pitch_mm: float,
        shape: tuple[int, int],
        name: str = "",
    ) -> Camera:
        """A flat detector whose middle is at `centre`; `right` and `down` are unit vectors along u and v."""
        h, w = shape
        if not pitch_mm > 0:
            raise InputError(f"camera {name}: the pixel pitch must be positive, got {pitch_mm} mm")
        du, dv = pitch_mm * np.asarray(right, float), pitch_mm * np.asarray(down, float)
        origin = np.asarray(centre, float) - du * (w - 1) / 2 - dv * (h - 1) / 2
        return cls(np.asarray(source, float), origin, du, dv, shape, name)

    @classmethod
    def from_matrix(
        cls,
        K: ArrayLike,
        world_to_camera: ArrayLike,
        shape: tuple[int, int],
        *,
        source_detector_mm: float,
        name: str = "",
    ) -> Camera:
        """A camera from its intrinsic matrix and its pose, K·[R | t].

        Args:
            K: (3, 3), pixels: [[f/pitch_u, skew, c_u], [0, f/pitch_v, c_v], [0, 0, 1]].
            world_to_camera: (4, 4) or (3, 4), [R | t] with R a rotation, mm.
            shape: (h, w), pixels.
            source_detector_mm: K fixes only focal length over pitch; this sets both in mm.
            name: What to call the view.
        """
        K, pose = np.asarray(K, float), np.asarray(world_to_camera, float)
        with np.errstate(over="ignore"):
            invertible = K.shape == (3, 3) and np.isfinite(K).all() and abs(np.linalg.det(K)) >= 1e-12
        if not invertible:
            raise InputError(f"camera {name}: K must be a finite, invertible 3×3 matrix")
        if pose.shape not in ((3, 4), (4, 4)) or not np.isfinite(pose).all():
            raise InputError(f"camera {name}: world_to_camera must be a finite 3×4 or 4×4 matrix [R | t]")
        R, t = pose[:3, :3], pose[:3, 3]
        if np.abs(R @ R.T - np.eye(3)).max() > 1e-4 or np.linalg.det(R) < 0:
            raise InputError(f"camera {name}: R is not a rotation (orthonormal, determinant +1)")
        if not source_detector_mm > 0:
            raise InputError(
                f"camera {name}: the source–detector distance must be positive, got {source_detector_mm} mm"
            )
        with np.errstate(all="ignore"):  # what overflows is refused as a vector that is not finite
            source = -R.T @ t
            to_world = source_detector_mm * R.T @ np.linalg.inv(K)
        return cls(source, source + to_world[:, 2], to_world[:, 0], to_world[:, 1], shape, name)

    @property
    def packed(self) -> NDArray[np.float64]:
        """(4, 3): source, origin, du, dv, as the kernels take it."""
        return np.stack([self.source, self.origin, self.du, self.dv])

    @property
    def pitch_mm(self) -> tuple[float, float]:
        """Distance between rows and between columns at the detector, mm."""
        return float(np.linalg.norm(self.dv)), float(np.linalg.norm(self.du))

    @property
    def source_detector_mm(self) -> float:
        """Distance from the source to the detector's plane, mm."""
        return float(abs((self.origin - self.source) @ self._normal))

    @property
    def angles(self) -> tuple[float, float]:
        """DICOM positioner angles (primary, secondary) of the detector's normal, degrees; see synth.drr.views."""
        x, y, z = self._axes()[:, 2]
        primary = float(np.rad2deg(np.arctan2(x, -y)))
        secondary = float(np.rad2deg(np.arcsin(np.clip(z, -1, 1))))
        return (180.0 if primary <= -180 + 1e-9 else primary), secondary

    @property
    def centre(self) -> Vector:
        """Middle of the detector, world mm."""
        h, w = self.shape
        return self.origin + self.du * (w - 1) / 2 + self.dv * (h - 1) / 2

    @property
    def K(self) -> NDArray[np.float64]:  # noqa: N802
        """(3, 3) intrinsic matrix, pixels; K·(R·p + t) is proportional to (u, v, 1).

        K[1, 1] is negative for a picture seen from the detector (PA, lateral): to the source it is mirrored.
        """
        columns = self._axes().T @ np.stack([self.du, self.dv, self.origin - self.source], axis=1)
        K = np.linalg.inv(columns / self.source_detector_mm)
        return np.asarray(K / K[2, 2], np.float64)

    @property
    def world_to_camera(self) -> NDArray[np.float64]:
        """(4, 4) rigid pose, world mm → camera mm."""
        pose = np.eye(4)
        pose[:3, :3] = self._axes().T
        pose[:3, 3] = -pose[:3, :3] @ self.source
        return pose

    @property
    def camera_to_world(self) -> NDArray[np.float64]:
        """(4, 4) rigid pose, camera mm → world mm."""
        return np.asarray(np.linalg.inv(self.world_to_camera), np.float64)

    def to_pixels(self, points: ArrayLike) -> NDArray[np.float64]:
        """World points (…, 3) in mm → pixel coordinates (…, 2) as (u, v); nan for points not in front of the source."""
        M = np.linalg.inv(np.stack([self.du, self.dv, self.origin - self.source], axis=1))
        homogeneous = (np.asarray(points, float) - self.source) @ M.T
        depth = np.where(homogeneous[..., 2:] > 0, homogeneous[..., 2:], np.nan)
        pixels: NDArray[np.float64] = homogeneous[..., :2] / depth
        return pixels

    def to_world(self, pixels: ArrayLike) -> NDArray[np.float64]:
        """Pixel coordinates (…, 2) as (u, v) → points on the detector (…, 3), world mm."""
        pixels = np.asarray(pixels, float)
        points: NDArray[np.float64] = self.origin + pixels[..., :1] * self.du + pixels[..., 1:] * self.dv
        return points

    def resized(self, shape: tuple[int, int]) -> Camera:
        """The same detector area with another number of pixels."""
        (h, w), (new_h, new_w) = self.shape, shape
        du, dv = self.du * w / new_w, self.dv * h / new_h
        corner = self.origin - self.du / 2 - self.dv / 2
        return replace(self, origin=corner + du / 2 + dv / 2, du=du, dv=dv, shape=shape)

    def _axes(self) -> NDArray[np.float64]:
        """(3, 3), columns: camera x (along u), y and z (from the source to the detector) in the world."""
        z = self._normal * np.sign((self.origin - self.source) @ self._normal)
        x = self.du / np.linalg.norm(self.du)
        return np.stack([x, np.cross(z, x), z], axis=1)
