"""Line integrals of volumes and path lengths in labels along cone beams: the one entry to the ray-casting kernels.

The kernels run where the array lives: numpy arrays on the CPU, CuPy arrays on their GPU.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from synth.kernels.exact import exact
from synth.kernels.joseph import joseph
from synth.kernels.labels import label_lengths
from synth.kernels.padded import PaddedVolume

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

__all__ = ["MAX_SLOPE", "Method", "Model", "PreparedVolume", "prepare", "project", "project_labels", "slicing_axes"]

Method: TypeAlias = Literal["auto", "slices", "rays"]
Model: TypeAlias = Literal["trilinear", "box"]

MAX_SLOPE = 2.0
"""Steepest ray that "auto" leaves to slices: voxels it may move across a slice per voxel it advances."""

_DLPACK_HOST, _DLPACK_CUDA = (1, 3), (2, 13)  # DLDeviceType: CPU, pinned; CUDA, managed


class PreparedVolume:
    """A volume ready to be projected many times. Made by `prepare`.

    Attributes:
        affine: (4, 4), voxel index (x, y, z, 1) → world, mm.
        shape: Voxels along (z, y, x).
        channels: Number of channels C.
    """

    def __init__(self, values: Any, affine: NDArray[np.float64], *, on_gpu: bool) -> None:
        """`values` is the kernels' own form of the volume: a PaddedVolume, or a (C, z, y, x) CuPy array."""
        self.values = values
        self.affine = affine
        self.on_gpu = on_gpu
        self.channels: int = values.shape[0] if on_gpu else values.channels
        self.shape: tuple[int, int, int] = tuple(values.shape[-3:])


def prepare(volume: Any, affine: NDArray[np.float64]) -> PreparedVolume:
    """Lays a volume out for the kernels of the device it lives on.

    Args:
        volume: (z, y, x) or (C, z, y, x), float32 or uint16: numpy, CuPy, or any array that speaks DLPack, such as a
            torch tensor, on the CPU or on a CUDA device. Need not be contiguous.
        affine: (4, 4), voxel index (x, y, z, 1) → world, mm; sheared and oblique grids are exact.

    Raises:
        TypeError: No array.
        ValueError: Another shape or dtype, no voxels, another device, or a singular affine.
    """
    volume = _native(volume, "volume")
    if volume.ndim not in (3, 4) or volume.dtype not in (np.float32, np.uint16):
        raise ValueError(
            f"volume must be (z, y, x) or (C, z, y, x), float32 or uint16; got {volume.dtype} {volume.shape}"
        )
    if not volume.size:
        raise ValueError(f"volume must hold at least one voxel; got shape {volume.shape}")
    _check_affine(affine)
    volume = volume if volume.ndim == 4 else volume[None]
    if isinstance(volume, np.ndarray):
        return PreparedVolume(PaddedVolume(np.ascontiguousarray(volume)), affine, on_gpu=False)
    return PreparedVolume(_array_module(True).ascontiguousarray(volume), affine, on_gpu=True)


def project(
    volume: PreparedVolume,
    cameras: NDArray[np.float64],
    shape: tuple[int, int],
    *,
    method: Method = "auto",
    model: Model = "trilinear",
) -> Any:
    """Line integrals of every channel along every view of cone beams, from source to pixel.

    Args:
        volume: What `prepare` made.
        cameras: (V, 4, 3), world mm (x, y, z): source, centre of pixel (0, 0), step along u (to the next column), step
            along v (to the next row).
        shape: (h, w) of the detector, pixels.
        method: "slices", Joseph's sum over slices, fast; "rays", exact, ray by ray; "auto", slices where the volume
            lies between source and detector and no ray is steeper than MAX_SLOPE, else rays. Slices know only
            trilinear voxels; their relative L2 error on a chest CT is 1e-5 (detector parallel to the slices) to 5e-4
            (oblique).
        model: "trilinear" between voxel centres, or "box", constant within a voxel.

    Returns:
        (V, C, h, w) float32, value·mm, on the volume's device, as numpy or CuPy; `torch.from_dlpack` takes either.

    Raises:
        ValueError: Contradicting or malformed arguments.
    """
    local, metric = _to_index(cameras, volume.affine)
    _check_shape(shape)
    if method not in ("auto", "slices", "rays") or model not in ("trilinear", "box"):
        raise ValueError(f"method must be auto, slices or rays and model trilinear or box; got {method!r}, {model!r}")
    if method == "slices" and model == "box":
        raise ValueError("method 'slices' interpolates: use method 'rays' (or 'auto') with model 'box'")
    by_slices, by_rays = _kernels(volume)
    axes = slicing_axes(local, volume.shape, shape)
    if method == "slices" and (axes < 0).any():
        raise ValueError("method 'slices' needs the volume between source and detector; use 'auto' or 'rays'")
    fast = np.full(len(local), model == "trilinear" and method != "rays") & (axes >= 0)
    if method == "auto" and fast.any():
        fast &= _slopes(local, axes, shape) <= MAX_SLOPE
    if fast.all():
        return by_slices(volume.values, axes, local, metric, shape)
    if not fast.any():
        return by_rays(volume.values, local, metric, shape, model)
    views = [
        by_slices(volume.values, axes[i : i + 1], local[i : i + 1], metric, shape)
        if fast[i]
        else by_rays(volume.values, local[i : i + 1], metric, shape, model)
        for i in range(len(local))
    ]
    concatenate: Callable[..., Any] = _array_module(volume.on_gpu).concatenate
    return concatenate(views)


def project_labels(
    labels: Any, affine: NDArray[np.float64], cameras: NDArray[np.float64], shape: tuple[int, int], n_labels: int
) -> Any:
    """Length of every ray in every label, all labels in one pass; voxels are boxes.

    Args:
        labels: (z, y, x), uint8 or uint16, as `prepare` takes arrays; 0 is background.
        affine: (4, 4), voxel index (x, y, z, 1) → world, mm.
        cameras: (V, 4, 3), as in `project`.
        shape: (h, w) of the detector, pixels.
        n_labels: Number of labels L, the background counted; higher labels are ignored.

    Returns:
        (V, L, h, w) float32, mm, on the labels' device; the background's plane stays 0.

    Raises:
        TypeError: No array.
        ValueError: Another shape or dtype, another device, or a singular affine.
    """
    labels = _native(labels, "labels")
    if labels.ndim != 3 or labels.dtype not in (np.uint8, np.uint16):
        raise ValueError(f"labels must be (z, y, x), uint8 or uint16; got {labels.dtype} {labels.shape}")
    _check_affine(affine)
    _check_shape(shape)
    local, metric = _to_index(cameras, affine)
    if isinstance(labels, np.ndarray):
        return label_lengths(np.ascontiguousarray(labels), local, metric, shape, n_labels)
    from synth.kernels import _cuda

    return _cuda.label_lengths(_array_module(True).ascontiguousarray(labels), local, metric, shape, n_labels)


def slicing_axes(
    cameras: NDArray[np.float64], volume_shape: tuple[int, int, int], shape: tuple[int, int]
) -> NDArray[np.int32]:
    """The axis of each view along which its central ray crosses most slices; −1 where slices cannot serve.

    Slices need the whole volume, with its margin of one voxel, between the source and the detector, and rays that all
    advance the same way along the axis.

    Args:
        cameras: (V, 4, 3), voxel index coordinates.
        volume_shape: Voxels along (z, y, x).
        shape: (h, w) of the detector, pixels.
    """
    h, w = shape
    source, origin, du, dv = np.moveaxis(cameras, 1, 0)
    central = origin + du * (w - 1) / 2 + dv * (h - 1) / 2 - source
    axes: NDArray[np.int32] = np.abs(central).argmax(1).astype(np.int32)
    ends = [(-1.0, float(n)) for n in volume_shape[::-1]]
    corners = np.array([[x, y, z] for x in ends[0] for y in ends[1] for z in ends[2]])
    normal = np.cross(du, dv)
    depth = np.einsum("vi,vi->v", origin - source, normal)
    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.einsum("vki,vi->vk", corners[None] - source[:, None], normal) / depth[:, None]
    between = ((t > 0) & (t < 1)).all(1)
    rows = np.arange(len(axes))
    s_a = source[rows, axes]
    outside = (s_a <= -1) | (s_a >= np.array(volume_shape[::-1])[axes])
    rays = np.take_along_axis(_corner_rays(cameras, shape), axes[:, None, None].astype(int), axis=2)[..., 0]
    one_way = (rays > 0).all(1) | (rays < 0).all(1)
    axes[~(between & outside & one_way)] = -1
    return axes


def _slopes(cameras: NDArray[np.float64], axes: NDArray[np.int32], shape: tuple[int, int]) -> NDArray[np.float64]:
    """The steepest of each view's corner rays against its slicing axis, voxels per voxel."""
    rays = _corner_rays(cameras, shape)
    along = np.take_along_axis(np.abs(rays), np.maximum(axes, 0)[:, None, None].astype(int), axis=2)[..., 0]
    slopes: NDArray[np.float64] = (np.abs(rays).max(2) / np.maximum(along, 1e-12)).max(1)
    return slopes


def _corner_rays(cameras: NDArray[np.float64], shape: tuple[int, int]) -> NDArray[np.float64]:
    """From the source to the pixels in the detector's corners, (V, 4, 3)."""
    h, w = shape
    source, origin, du, dv = np.moveaxis(cameras, 1, 0)
    return np.stack([origin + u * du + v * dv - source for u in (0, w - 1) for v in (0, h - 1)], axis=1)


def _to_index(
    cameras: NDArray[np.float64], affine: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Cameras in voxel index coordinates, and the linear part of index → world."""
    cameras = np.asarray(cameras, np.float64)
    if cameras.ndim != 3 or cameras.shape[1:] != (4, 3) or not np.isfinite(cameras).all():
        raise ValueError(f"cameras must be finite and (V, 4, 3): source, pixel (0, 0), du, dv; got {cameras.shape}")
    metric = np.ascontiguousarray(affine[:3, :3], np.float64)
    inverse = np.linalg.inv(metric)
    local = cameras @ inverse.T
    local[:, :2] -= affine[:3, 3] @ inverse.T
    return local, metric


def _check_affine(affine: NDArray[np.float64]) -> None:
    if affine.shape != (4, 4) or not np.isfinite(affine).all() or np.linalg.det(affine[:3, :3]) == 0:
        raise ValueError(f"affine must be (4, 4), finite and invertible; got {affine.tolist()}")


def _check_shape(shape: tuple[int, int]) -> None:
    if len(shape) != 2 or min(shape) < 1:
        raise ValueError(f"shape must be (h, w) of at least 1 pixel each; got {shape}")


def _native(array: Any, name: str) -> Any:
    """Numpy and CuPy arrays as they are; others over DLPack, without a copy."""
    if isinstance(array, np.ndarray) or type(array).__module__.partition(".")[0] == "cupy":
        return array
    if not hasattr(array, "__dlpack_device__"):
        raise TypeError(f"{name} must be an array (numpy, CuPy, torch or another with DLPack); got {type(array)}")
    device = int(array.__dlpack_device__()[0])
    if device not in (*_DLPACK_HOST, *_DLPACK_CUDA):
        raise ValueError(f"{name} must be on the CPU or a CUDA device; got DLPack device type {device}")
    return _array_module(device in _DLPACK_CUDA).from_dlpack(array)


def _kernels(volume: PreparedVolume) -> tuple[Callable[..., Any], Callable[..., Any]]:
    if not volume.on_gpu:
        return joseph, exact
    from synth.kernels import _cuda

    return _cuda.joseph, _cuda.exact


def _array_module(on_gpu: bool) -> Any:
    if not on_gpu:
        return np
    import cupy

    return cupy
