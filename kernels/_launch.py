"""How the CUDA kernels are launched: their names, arguments, blocks and channel groups.

What differs between a GPU and a C++ compiler that stands in for one is behind `Device`, so that this
code, argument order included, is the same on both.

Shapes and units of the ray-casting kernels: volumes (C, z, y, x), cameras (V, 4, 3) in voxel index coordinates
(x, y, z), metric (3, 3) from index vectors to millimetres, images (V, C, h, w). Noise has images (h, w); painting and
textures have volumes (z, y, x).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from synth.kernels.texture import octaves
from synth.kernels.texture_matrices import TextureMatrices, check_levels

if TYPE_CHECKING:
    from collections.abc import Sequence

    from synth.kernels.paint import Program

__all__ = [
    "BLOCK",
    "CHANNELS",
    "KERNELS",
    "UNFUSED",
    "Device",
    "convolve",
    "exact",
    "joseph",
    "label_lengths",
    "mesh_lengths",
    "mesh_occupancy",
    "paint",
    "standard_normal",
    "texture",
    "texture_matrices",
    "uniform",
    "with_quantum_noise",
]

KERNELS: dict[str, tuple[str, ...]] = {
    "joseph": tuple(f"joseph_{packed}{suffix}" for suffix in ("", "_precise") for packed in (1, 2, 4)),
    "exact": tuple(f"exact_{model}_{stored}" for model in ("box", "trilinear") for stored in ("float32", "uint16")),
    "labels": ("label_lengths_uint8", "label_lengths_uint16"),
    "mesh": ("mesh_screen", "mesh_crossings", "mesh_measure"),
    "noise": ("noise_convolve", "noise_normals", "noise_quanta", "noise_uniforms"),
    "occupancy": ("occupancy_crossings", "occupancy_fill"),
    "paint": ("paint_apply", "paint_cover"),
    "texture": ("texture_add",),
    "texture_matrices": tuple(
        f"texture_matrices_{step}" for step in ("begin", "count", "join", "mark", "measure", "zones")
    ),
}
"""The kernels of each `.cu` file, by its stem."""

UNFUSED = frozenset({"paint", "texture"})
"""Files compiled without fused multiplications and additions, to give the bits of their CPU twins."""

BLOCK = (8, 32)
"""Threads of a block (u, v). Eight wide, a warp is a tile of 8 × 4 pixels: neighbours share cache lines."""

CHANNELS = 4
"""Channels that one launch integrates; more take several launches."""

_PACKED = {1: 1, 2: 2, 3: 4, 4: 4}  # CUDA has no textures of three channels


class Device(Protocol):
    """What a launch needs of the machine that runs it."""

    def zeros(self, shape: tuple[int, ...], dtype: type[np.generic] = np.float32) -> Any:
        """Return an array of zeros on the device."""

    def array(self, values: Any, dtype: type[np.generic]) -> Any:
        """Return `values` on the device, C-contiguous, as `dtype`."""

    def texture(self, volume: Any, first: int, count: int, packed: int, linear: bool) -> Any:
        """Return a 3D texture of channels first … first + count − 1, packed with zeros to `packed`.

        Border addressing, coordinates not normalised; 16-bit volumes read as fractions of 65535.
        """

    def launch(self, source: str, kernel: str, grid: tuple[int, int, int], args: tuple[Any, ...]) -> None:
        """Run `kernel` of `source`.cu over `grid` blocks of `BLOCK`; scalars in args are numpy scalars."""


def joseph(
    device: Device, volume: Any, axes: Any, cameras: Any, metric: Any, shape: tuple[int, int], precise: bool
) -> Any:
    """Launch joseph.cu for every view and channel; see `synth.kernels._cuda.joseph`."""
    _check_volume(volume)
    cameras, metric = _check_cameras(device, cameras, metric)
    axes = device.array(axes, np.int32)
    if axes.shape != (len(cameras),):
        raise ValueError(f"axes: expected shape ({len(cameras)},), one a view, got {axes.shape}")
    scale = np.float32(65535 if volume.dtype == np.uint16 else 1)
    image = device.zeros((len(cameras), len(volume), *shape))
    for first, count in _groups(image):
        packed = _PACKED[count]
        texture = device.texture(volume, first, count, packed, not precise)
        args = (
            texture,
            scale,
            *_ints(*volume.shape[:0:-1]),
            axes,
            cameras,
            metric,
            *_ints(*shape, first, count, len(volume)),
        )
        kernel = f"joseph_{packed}_precise" if precise else f"joseph_{packed}"
        device.launch("joseph", kernel, _grid(image), (*args, image))
    return image


def exact(device: Device, volume: Any, cameras: Any, metric: Any, shape: tuple[int, int], model: str) -> Any:
    """Launch exact.cu for every view and channel; see `synth.kernels._cuda.exact`."""
    _check_volume(volume)
    cameras, metric = _check_cameras(device, cameras, metric)
    if model not in ("box", "trilinear"):
        raise ValueError(f"model: expected 'box' or 'trilinear', got {model!r}")
    image = device.zeros((len(cameras), len(volume), *shape))
    for first, count in _groups(image):
        args = (volume, *_ints(*volume.shape[:0:-1]), cameras, metric, *_ints(*shape, first, count, len(volume)))
        device.launch("exact", f"exact_{model}_{volume.dtype}", _grid(image), (*args, image))
    return image


def label_lengths(device: Device, labels: Any, cameras: Any, metric: Any, shape: tuple[int, int], n_labels: int) -> Any:
    """Launch labels.cu for every view; see `synth.kernels._cuda.label_lengths`."""
    if labels.ndim != 3 or labels.dtype not in (np.uint8, np.uint16) or not labels.flags.c_contiguous:
        raise ValueError(
            f"labels: expected a C-contiguous (z, y, x) array of uint8 or uint16, got {labels.dtype} {labels.shape}"
        )
    if n_labels < 0:
        raise ValueError(f"n_labels: expected 0 or more, got {n_labels}")
    cameras, metric = _check_cameras(device, cameras, metric)
    image = device.zeros((len(cameras), n_labels, *shape))
    if image.size and labels.size:
        args = (labels, *_ints(*labels.shape[::-1]), cameras, metric, *_ints(*shape, n_labels), image)
        device.launch("labels", f"label_lengths_{labels.dtype}", _grid(image), args)
    return image


def mesh_lengths(device: Device, vertices: Any, faces: Any, cameras: Any, shape: tuple[int, int]) -> Any:
    """Launch mesh.cu for every view; see `synth.kernels._cuda.mesh_lengths`."""
    views = np.asarray(cameras, np.float64)
    if views.ndim != 3 or views.shape[1:] != (4, 3):
        raise ValueError(f"cameras: expected shape (views, 4, 3), got {views.shape}")
    vertices, faces = _check_mesh(device, vertices, faces)
    image = device.zeros((len(views), *shape))
    if not image.size or not len(faces):
        return image
    screen = device.zeros(vertices.shape, np.float64)
    for i, view in enumerate(views):
        camera = device.array(view, np.float64)
        mirrored = np.int32(-1 if np.linalg.det([view[2], view[3], view[1] - view[0]]) < 0 else 1)
        crossings = device.zeros(shape, np.uint64)
        device.launch("mesh", "mesh_screen", _line(len(vertices)), (vertices, np.int32(len(vertices)), camera, screen))
        args = (screen, faces, mirrored, *_ints(*shape), crossings)
        device.launch("mesh", "mesh_crossings", (len(faces), 1, 1), args)
        args = (crossings, camera, *_ints(*shape), image[i])
        device.launch("mesh", "mesh_measure", _grid(image[None, i : i + 1]), args)
    return image


def mesh_occupancy(device: Device, vertices: Any, faces: Any, shape: tuple[int, int, int], oversample: int) -> Any:
    """Launch occupancy.cu; see `synth.kernels._cuda.mesh_occupancy`."""
    vertices, faces = _check_mesh(device, vertices, faces)
    filled = device.zeros(shape)
    if not filled.size or not len(faces):
        return filled
    corners = vertices.copy()
    corners[:, :2] = (corners[:, :2] + 0.5) * oversample - 0.5
    crossings = device.zeros(shape, np.uint64)
    sizes = _ints(oversample, *shape[::-1])
    device.launch("occupancy", "occupancy_crossings", (len(faces), 1, 1), (corners, faces, *sizes, crossings))
    device.launch("occupancy", "occupancy_fill", _grid(filled[None, :1]), (crossings, *sizes, filled))
    return filled


def with_quantum_noise(device: Device, energy: Any, energy_squared: Any, seed: int) -> tuple[Any, Any]:
    """Launch noise.cu for the quanta; see `synth.kernels._cuda.with_quantum_noise`."""
    energy, energy_squared = device.array(energy, np.float32), device.array(energy_squared, np.float32)
    if energy.ndim != 2 or energy.shape != energy_squared.shape:
        raise ValueError(
            f"energy, energy_squared: expected one shape (h, w), got {energy.shape}, {energy_squared.shape}"
        )
    drawn, normal = device.zeros(energy.shape), device.zeros(energy.shape)
    if energy.size:
        args = (energy, energy_squared, *_key(seed), np.int32(energy.size), drawn, normal)
        device.launch("noise", "noise_quanta", _line(energy.size), args)
    return drawn, normal


def standard_normal(device: Device, shape: tuple[int, int], seed: int, stream: int) -> Any:
    """Launch noise.cu for normal numbers; see `synth.kernels._cuda.standard_normal`."""
    return _numbers(device, "noise_normals", shape, seed, stream)


def uniform(device: Device, shape: tuple[int, int], seed: int, stream: int) -> Any:
    """Launch noise.cu for uniform numbers; see `synth.kernels._cuda.uniform`."""
    return _numbers(device, "noise_uniforms", shape, seed, stream)


def convolve(device: Device, image: Any, taps: Any, noise: Any, scale: float) -> Any:
    """Launch noise.cu for the blur; see `synth.kernels._cuda.convolve`."""
    image, taps, noise = (device.array(values, np.float32) for values in (image, taps, noise))
    if image.ndim != 2 or image.shape != noise.shape:
        raise ValueError(f"image, noise: expected one shape (h, w), got {image.shape}, {noise.shape}")
    out = device.zeros(image.shape)
    if not image.size:
        return out
    radius = len(taps) // 2
    if taps.shape != (2 * radius + 1,) * 2 or radius > min(image.shape):
        raise ValueError(f"taps: expected (2r + 1, 2r + 1), r at most {min(image.shape)}, got {taps.shape}")
    args = (image, taps, noise, np.float32(scale), *_ints(*image.shape, radius), out)
    device.launch("noise", "noise_convolve", _grid(image[None, None]), args)
    return out


def paint(device: Device, hu: Any, labels: Any, parts: Any, origin: Any, spacing: Any, program: Program) -> None:
    """Launch paint.cu for every stroke; see `synth.kernels._cuda.paint`."""
    if not len(program.strokes):
        return
    cover = device.zeros(hu.shape, np.uint32)
    solids, data = device.array(program.solids, np.int32), device.array(program.data, np.float32)
    over = device.array(program.over, np.uint8)
    grid, size = (*_floats(*origin), *_floats(*spacing)), _ints(*hu.shape[:0:-1])
    volumes = (program.solids[:, 5::2] - program.solids[:, 4::2]).prod(1, dtype=np.int64)
    for i, (first, end, label, part, *box) in enumerate(program.strokes.tolist()):
        value, inset = program.values[i]
        blocks = -(-int(volumes[first:end].max()) // (BLOCK[0] * BLOCK[1]))
        chunks = max(1, min(blocks, 65535 // (end - first)))
        args = (solids, data, over[i], labels, parts, np.int32(first), inset, *grid, *size, cover)
        device.launch("paint", "paint_cover", (end - first, chunks, 1), args)
        x0, x1, y0, y1, z0, z1 = box
        args = (*_ints(*box, label, part), value, *size, cover, hu, labels, parts)
        device.launch("paint", "paint_apply", (-(-(x1 - x0) // BLOCK[0]), -(-(y1 - y0) // BLOCK[1]), z1 - z0), args)


def texture(
    device: Device, hu: Any, labels: Any, sd: Any, correlation: Any, seed: int, origin: Any, spacing: Any
) -> None:
    """Launch texture.cu; see `synth.kernels._cuda.texture`."""
    if hu.size:
        table = device.array(octaves(sd, correlation, spacing), np.float32)
        args = (labels, table, *_key(seed), *_floats(*origin), *_floats(*spacing), *_ints(*hu.shape[:0:-1]), hu)
        depth, height, width = hu.shape
        device.launch("texture", "texture_add", (-(-width // BLOCK[0]), -(-height // BLOCK[1]), depth), args)


def texture_matrices(
    device: Device, levels: Any, values: Any, steps: Sequence[tuple[int, int, int]]
) -> TextureMatrices:
    """Launch texture_matrices.cu; see `synth.kernels._cuda.texture_matrices`."""
    grey, at = check_levels(levels, values, steps)
    if not 0 < levels.size < 1 << 31:
        raise ValueError(f"levels: expected 1 to 2³¹ − 1 voxels, got {levels.size}")
    n, ways, longest = len(grey), len(at), max(levels.shape)
    size, lines = _ints(*levels.shape[::-1]), _line(levels.size)
    there, (depth, height, width) = device.array(at, np.int32), levels.shape
    blocks = (-(-width // BLOCK[0]), -(-height // BLOCK[1]), depth)
    pairs, runs = device.zeros((ways, n, n), np.int32), device.zeros((ways, n, longest), np.int32)
    dependences, neighbours = (device.zeros((n, 2 * ways + 1), np.int32) for _ in range(2))
    differences = device.zeros((n, 2 * ways + 1), np.int64)
    counts = (pairs, runs, dependences, neighbours, differences)
    args = (levels, device.array(grey, np.int32), there, *_ints(ways, n, longest), *size, *counts)
    device.launch("texture_matrices", "texture_matrices_count", blocks, args)
    zone_of, voxels = device.zeros(levels.shape, np.uint32), device.zeros(levels.shape, np.uint32)
    number = np.int32(levels.size)
    device.launch("texture_matrices", "texture_matrices_begin", lines, (number, zone_of))
    device.launch("texture_matrices", "texture_matrices_join", blocks, (levels, there, np.int32(ways), *size, zone_of))
    device.launch("texture_matrices", "texture_matrices_measure", lines, (levels, number, zone_of, voxels))
    occurs = device.zeros((int(voxels.max()) + 1,), np.uint32)
    device.launch("texture_matrices", "texture_matrices_mark", lines, (number, voxels, occurs))
    sizes, index = occurs.nonzero()[0], device.array(occurs.cumsum(), np.uint32)
    zones = device.zeros((n, len(sizes)), np.int32)
    args = (levels, number, voxels, index, np.int32(len(sizes)), zones)
    device.launch("texture_matrices", "texture_matrices_zones", lines, args)
    return TextureMatrices(pairs, runs, zones, sizes, dependences, neighbours, differences)


def _numbers(device: Device, kernel: str, shape: tuple[int, int], seed: int, stream: int) -> Any:
    out = device.zeros(shape)
    if out.size:
        args = (*_key(seed), np.uint32(stream), np.int32(out.size), out)
        device.launch("noise", kernel, _line(out.size), args)
    return out


def _check_mesh(device: Device, vertices: Any, faces: Any) -> tuple[Any, Any]:
    vertices, faces = device.array(vertices, np.float64), device.array(faces, np.int32)
    if vertices.ndim != 2 or faces.ndim != 2 or (vertices.shape[1], faces.shape[1]) != (3, 3):
        raise ValueError(f"vertices, faces: expected shapes (n, 3), (m, 3), got {vertices.shape}, {faces.shape}")
    return vertices, faces


def _check_volume(volume: Any) -> None:
    if (
        volume.ndim != 4
        or volume.dtype not in (np.float32, np.uint16)
        or not volume.flags.c_contiguous
        or not volume.size
    ):
        raise ValueError(
            "volume: expected a C-contiguous, non-empty (channel, z, y, x) array of float32 or uint16, "
            f"got {volume.dtype} {volume.shape}"
        )


def _check_cameras(device: Device, cameras: Any, metric: Any) -> tuple[Any, Any]:
    cameras = device.array(cameras, np.float64)
    metric = device.array(metric, np.float64)
    if cameras.ndim != 3 or cameras.shape[1:] != (4, 3):
        raise ValueError(f"cameras: expected shape (views, 4, 3), got {cameras.shape}")
    if metric.shape != (3, 3):
        raise ValueError(f"metric: expected shape (3, 3), got {metric.shape}")
    return cameras, metric


def _groups(image: Any) -> list[tuple[int, int]]:
    """List (first, count) of the channels of each launch; none for an image without pixels."""
    channels = image.shape[1] if image.size else 0
    return [(first, min(CHANNELS, channels - first)) for first in range(0, channels, CHANNELS)]


def _grid(image: Any) -> tuple[int, int, int]:
    views, _, height, width = image.shape
    return -(-width // BLOCK[0]), -(-height // BLOCK[1]), views


def _line(n: int) -> tuple[int, int, int]:
    """Blocks of as many threads as `n` and no more than needed, in one line."""
    return -(-n // (BLOCK[0] * BLOCK[1])), 1, 1


def _key(seed: int) -> tuple[np.uint32, np.uint32]:
    return np.uint32(seed & 0xFFFFFFFF), np.uint32(seed >> 32 & 0xFFFFFFFF)


def _floats(*values: float) -> tuple[np.float32, ...]:
    return tuple(np.float32(value) for value in values)


def _ints(*values: int) -> tuple[np.int32, ...]:
    return tuple(np.int32(value) for value in values)
