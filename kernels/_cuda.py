"""The kernels on an NVIDIA GPU, through CuPy: CuPy arrays in, CuPy arrays out.

The functions have the names and signatures of their CPU twins. Importing this module needs no GPU and no
CuPy; calling a function does, and `unavailable` says beforehand whether it would work.

`joseph` copies a volume into a texture, which takes as much memory again (a third more for three channels).
The texture is kept while the array lives, so that further views of it cost no copy. After changing an array in
place call `forget`.
"""

from __future__ import annotations

import functools
import warnings
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synth.kernels import _launch

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    from synth.kernels.paint import Program
    from synth.kernels.texture_matrices import TextureMatrices

__all__ = [
    "convolve",
    "exact",
    "forget",
    "joseph",
    "label_lengths",
    "mesh_lengths",
    "mesh_occupancy",
    "paint",
    "standard_normal",
    "texture",
    "texture_matrices",
    "unavailable",
    "uniform",
    "with_quantum_noise",
]

# No fast-math: all that is slow and exact here runs once a ray, in double, which fast-math leaves alone.
_OPTIONS = ("--std=c++17",)


@functools.cache
def unavailable() -> str:
    """Say why this machine cannot run the kernels; empty where it can."""
    try:
        cupy = _cupy()
    except ImportError as error:
        return f"CuPy cannot be imported ({_first_line(error)}); install the extra 'cuda'"
    try:
        return "" if cupy.cuda.runtime.getDeviceCount() else "no CUDA device"
    except cupy.cuda.runtime.CUDARuntimeError as error:
        return f"no CUDA device ({_first_line(error)})"


def joseph(volume: Any, axes: Any, cameras: Any, metric: Any, shape: tuple[int, int], precise: bool = False) -> Any:
    """Integrate by Joseph's method: one bilinear sample per slice, from a hardware texture.

    Args:
        volume: (C, z, y, x) float32 or uint16, C-contiguous, on the GPU; voxel i is centred at coordinate i.
        axes: (V,) slicing axis of each view: 0 x, 1 y, 2 z. Others count as z.
        cameras: (V, 4, 3) in voxel index coordinates (x, y, z): source, centre of pixel (0, 0), step along
            u (one column), step along v (one row).
        metric: (3, 3), index vectors to millimetres.
        shape: (h, w) of the image in pixels.
        precise: weigh neighbours in float32. Otherwise the hardware rounds the weights to 1/256, which moves
            a sample by up to 1/512 of the difference of its neighbours along each axis, and those of a
            uint16 volume to whole stored units.

    Returns:
        (V, C, h, w) float32 in value·mm, from source to pixel. A ray in a slice, which crosses none, gives 0.

    Raises:
        TypeError: volume is not a CuPy array.
        ValueError: an array has another shape, type or order.
    """
    with _device_of(volume, "volume"):
        return _launch.joseph(_GPU, volume, axes, cameras, metric, shape, precise)


def exact(volume: Any, cameras: Any, metric: Any, shape: tuple[int, int], model: str) -> Any:
    """Integrate a field exactly, in double; for checks, and where speed matters less.

    Args:
        volume: (C, z, y, x) float32 or uint16, C-contiguous, on the GPU.
        cameras: (V, 4, 3), as for `joseph`.
        metric: (3, 3), index vectors to millimetres.
        shape: (h, w) of the image in pixels.
        model: "box" (a voxel is a box of one value) or "trilinear" (interpolated between voxel centres,
            falling to 0 over one voxel beyond the outermost).

    Returns:
        (V, C, h, w) float32 in value·mm, from source to pixel.

    Raises:
        TypeError: volume is not a CuPy array.
        ValueError: an array has another shape, type or order, or model is neither of the two.
    """
    with _device_of(volume, "volume"):
        return _launch.exact(_GPU, volume, cameras, metric, shape, model)


def label_lengths(labels: Any, cameras: Any, metric: Any, shape: tuple[int, int], n_labels: int) -> Any:
    """Measure the path of every ray inside every label.

    Args:
        labels: (z, y, x) uint8 or uint16, C-contiguous, on the GPU; label 0 is background.
        cameras: (V, 4, 3), as for `joseph`.
        metric: (3, 3), index vectors to millimetres.
        shape: (h, w) of the image in pixels.
        n_labels: L; labels from L on are left out.

    Returns:
        (V, L, h, w) float32 in mm; the row of label 0 is 0.

    Raises:
        TypeError: labels is not a CuPy array.
        ValueError: an array has another shape, type or order, or n_labels is negative.
    """
    with _device_of(labels, "labels"):
        return _launch.label_lengths(_GPU, labels, cameras, metric, shape, n_labels)


def mesh_lengths(vertices: Any, faces: Any, cameras: Any, shape: tuple[int, int]) -> Any:
    """Measure the path of every ray inside a closed surface.

    Args:
        vertices: (n, 3), world mm, on the GPU.
        faces: (m, 3), indices of vertices, counter-clockwise seen from outside.
        cameras: (V, 4, 3) on the host, world mm: source, centre of pixel (0, 0), step along u, step along v.
        shape: (h, w) of the image in pixels, at most 16384 each.

    Returns:
        (V, h, w) float32 in mm, from source to pixel.

    Raises:
        TypeError: vertices is not a CuPy array.
        ValueError: an array has another shape.
    """
    with _device_of(vertices, "vertices"):
        return _launch.mesh_lengths(_GPU, vertices, faces, cameras, shape)


def mesh_occupancy(vertices: Any, faces: Any, shape: tuple[int, int, int], oversample: int = 4) -> Any:
    """Measure the fraction of every voxel inside a closed surface.

    Args:
        vertices: (n, 3), voxel index coordinates (x, y, z), on the GPU; voxel i spans [i − ½, i + ½].
        faces: (m, 3), indices of vertices, counter-clockwise seen from outside.
        shape: voxels along (z, y, x); the surface may reach beyond.
        oversample: lines a voxel along x and along y each.

    Returns:
        (z, y, x) float32; the same bits at every run.

    Raises:
        TypeError: vertices is not a CuPy array.
        ValueError: an array has another shape.
    """
    with _device_of(vertices, "vertices"):
        return _launch.mesh_occupancy(_GPU, vertices, faces, shape, oversample)


def with_quantum_noise(energy: Any, energy_squared: Any, seed: int) -> tuple[Any, Any]:
    """Draw what a pixel absorbs, and a standard normal number for each pixel beside it.

    Args:
        energy: (h, w) float32, mean absorbed energy, on the GPU.
        energy_squared: (h, w) float32, sum of the squared absorbed energies.
        seed: 64 bits.

    Returns:
        Absorbed energy (h, w) and standard normal numbers (h, w), float32.

    Raises:
        TypeError: energy is not a CuPy array.
        ValueError: an array has another shape.
    """
    with _device_of(energy, "energy"):
        return _launch.with_quantum_noise(_GPU, energy, energy_squared, seed)


def standard_normal(shape: tuple[int, int], seed: int, stream: int, like: Any) -> Any:
    """Draw standard normal numbers of a stream, (h, w) float32, on the GPU of `like`.

    Raises:
        TypeError: like is not a CuPy array.
    """
    with _device_of(like, "like"):
        return _launch.standard_normal(_GPU, shape, seed, stream)


def uniform(shape: tuple[int, int], seed: int, stream: int, like: Any) -> Any:
    """Draw numbers of [0, 1) of a stream, (h, w) float32 of 24 bits, on the GPU of `like`.

    Raises:
        TypeError: like is not a CuPy array.
    """
    with _device_of(like, "like"):
        return _launch.uniform(_GPU, shape, seed, stream)


def convolve(image: Any, taps: Any, noise: Any, scale: float) -> Any:
    """Blur an image, and add `scale` · `noise`.

    Args:
        image: (h, w) float32, on the GPU; it goes on as if mirrored at the outer faces of its last pixels.
        taps: (2r + 1, 2r + 1) float32, symmetric, r at most h and w.
        noise: (h, w) float32.
        scale: factor of the noise.

    Returns:
        (h, w) float32.

    Raises:
        TypeError: image is not a CuPy array.
        ValueError: an array has another shape.
    """
    with _device_of(image, "image"):
        return _launch.convolve(_GPU, image, taps, noise, scale)


def paint(hu: Any, labels: Any, parts: Any, origin: Any, spacing: Any, program: Program) -> None:
    """Paint strokes in their order, in place; the bits of the CPU.

    Args:
        hu: (z, y, x) float32, C-contiguous, on the GPU.
        labels: (z, y, x) uint8, C-contiguous, on the GPU.
        parts: (z, y, x) uint8, C-contiguous, on the GPU.
        origin: (3,) centre of voxel (0, 0, 0), x, y, z, mm.
        spacing: (3,) mm, along x, y, z.
        program: what to paint, numpy arrays.

    Raises:
        TypeError: hu is not a CuPy array.
    """
    with _device_of(hu, "hu"):
        _launch.paint(_GPU, hu, labels, parts, origin, spacing, program)


def texture(hu: Any, labels: Any, sd: Any, correlation: Any, seed: int, origin: Any, spacing: Any) -> None:
    """Add correlated noise to every voxel, in place; the bits of the CPU.

    Args:
        hu: (z, y, x) float32, C-contiguous, on the GPU.
        labels: (z, y, x) uint8, C-contiguous, on the GPU.
        sd: (256,) HU, of each label.
        correlation: (256,) mm, of each label.
        seed: 64 bits.
        origin: (3,) centre of voxel (0, 0, 0), x, y, z, mm.
        spacing: (3,) mm, along x, y, z.

    Raises:
        TypeError: hu is not a CuPy array.
        ValueError: a table has another length, or a correlation is not above 0.
    """
    with _device_of(hu, "hu"):
        _launch.texture(_GPU, hu, labels, sd, correlation, seed, origin, spacing)


def texture_matrices(levels: Any, values: Any, steps: Sequence[tuple[int, int, int]]) -> TextureMatrices:
    """Count texture matrices; the numbers of the CPU.

    Args:
        levels: (z, y, x) uint16, C-contiguous, on the GPU: 0 outside, else the rank 1 … L of the voxel's grey level.
        values: (L,) the grey levels, ascending integers from 1 to 2¹⁶.
        steps: directions to neighbours (z, y, x), some of `synth.kernels.texture_matrices.IN_SPACE`.

    Returns:
        The counts, on the GPU.

    Raises:
        TypeError: levels is not a CuPy array.
        ValueError: an array has another shape, type or order, or there are too many levels.
    """
    with _device_of(levels, "levels"):
        return _launch.texture_matrices(_GPU, levels, values, steps)


def forget(volume: Any) -> None:
    """Drop the textures of a volume, which changes to the array in place do not reach."""
    for key in [key for key in _TEXTURES if key[:2] == (volume.device.id, volume.data.ptr)]:
        _release(key)


_TEXTURES: dict[tuple[Any, ...], dict[bool, Any]] = {}


class _Gpu:
    """`_launch.Device` on CuPy's current device and stream."""

    def zeros(self, shape: tuple[int, ...], dtype: type[np.generic] | None = None) -> Any:
        return _cupy().zeros(shape, dtype or "float32")

    def array(self, values: Any, dtype: type[np.generic]) -> Any:
        cupy = _cupy()
        return cupy.ascontiguousarray(cupy.asarray(values, dtype=dtype))

    def texture(self, volume: Any, first: int, count: int, packed: int, linear: bool) -> Any:
        key = (volume.device.id, volume.data.ptr, volume.shape, volume.dtype.str, first)
        if key not in _TEXTURES:
            _TEXTURES[key] = _make_textures(volume[first : first + count], packed)
            # A view may die before the memory does: the textures live with the array that owns it.
            owner = volume
            while owner.base is not None:
                owner = owner.base
            weakref.finalize(owner, _release, key).atexit = False
        return _TEXTURES[key][linear]

    def launch(self, source: str, kernel: str, grid: tuple[int, int, int], args: tuple[Any, ...]) -> None:
        module = _module(source, _cupy().cuda.Device().id)
        module.get_function(kernel)(grid, (*_launch.BLOCK, 1), args)


_GPU: _launch.Device = _Gpu()


def _make_textures(channels: Any, packed: int) -> dict[bool, Any]:
    """Copy (count, z, y, x) to a CUDA array of `packed` channels; textures over it by `linear`."""
    cupy = _cupy()
    texture, runtime = cupy.cuda.texture, cupy.cuda.runtime
    count, depth, height, width = channels.shape
    texels = channels
    if packed > 1:
        texels = cupy.zeros((depth, height, width, packed), channels.dtype)
        texels[..., :count] = cupy.moveaxis(channels, 0, -1)
    is_float = channels.dtype.kind == "f"
    bits = [8 * channels.dtype.itemsize if k < packed else 0 for k in range(4)]
    kind = runtime.cudaChannelFormatKindFloat if is_float else runtime.cudaChannelFormatKindUnsigned
    array = texture.CUDAarray(texture.ChannelFormatDescriptor(*bits, kind), width, height, depth)
    stream = cupy.cuda.get_current_stream()
    array.copy_from(texels.reshape(depth, height, width * packed), stream)
    stream.synchronize()  # another stream may read the texture next
    resource = texture.ResourceDescriptor(runtime.cudaResourceTypeArray, cuArr=array)
    read = runtime.cudaReadModeElementType if is_float else runtime.cudaReadModeNormalizedFloat
    filters = {True: runtime.cudaFilterModeLinear, False: runtime.cudaFilterModePoint}
    border = (runtime.cudaAddressModeBorder,) * 3
    return {
        linear: texture.TextureObject(resource, texture.TextureDescriptor(border, mode, read))
        for linear, mode in filters.items()
    }


def _release(key: tuple[Any, ...]) -> None:
    with _cupy().cuda.Device(key[0]) as device:
        device.synchronize()  # a kernel may still be reading
        _TEXTURES.pop(key, None)


@functools.cache
def _module(source: str, device: int) -> Any:
    """Compile `source`.cu; `device`, the current one, is there to compile once for each."""
    options = (*_OPTIONS, "--fmad=false") if source in _launch.UNFUSED else _OPTIONS
    return _cupy().RawModule(code=Path(__file__).with_name(f"{source}.cu").read_text("utf-8"), options=options)


@functools.cache
def _cupy() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # CuPy warns of a CUDA toolkit it cannot find and does not need here
        import cupy
    return cupy


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]


def _device_of(array: Any, name: str) -> Any:
    if not isinstance(array, _cupy().ndarray):
        raise TypeError(f"{name}: expected a CuPy array, got {type(array).__module__}.{type(array).__qualname__}")
    return array.device
