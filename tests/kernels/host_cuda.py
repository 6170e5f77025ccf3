"""The CUDA kernels compiled for the host, with the signatures of `synth.kernels._cuda`, on numpy arrays.

The very same .cu files, launched by the very same code, through cuda_host/cuda_host_shim.h. They are compiled
once a process, into a temporary folder that goes when the process ends.
"""

from __future__ import annotations

import atexit
import ctypes
import functools
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from synth.kernels import _launch

if TYPE_CHECKING:
    from synth.kernels.paint import Program
    from synth.kernels.texture_matrices import TextureMatrices

Array = NDArray[Any]

_SHIM = Path(__file__).with_name("cuda_host")
_KERNELS = Path(_launch.__file__).parent


def unavailable() -> str:
    """Say why the kernels cannot be compiled here; empty where they can."""
    return "" if _compiler() else "no C++ compiler (g++, c++ or clang++, or the one named by CXX)"


def joseph(
    volume: Array,
    axes: Array,
    cameras: Array,
    metric: Array,
    shape: tuple[int, int],
    precise: bool = False,
    *,
    quantised: bool = False,
) -> Array:
    """Run joseph.cu; `quantised` rounds the filter's weights as hardware does."""
    result: Array = _launch.joseph(_Host(quantised), volume, axes, cameras, metric, shape, precise)
    return result


def exact(volume: Array, cameras: Array, metric: Array, shape: tuple[int, int], model: str) -> Array:
    """Run exact.cu."""
    result: Array = _launch.exact(_Host(), volume, cameras, metric, shape, model)
    return result


def label_lengths(labels: Array, cameras: Array, metric: Array, shape: tuple[int, int], n_labels: int) -> Array:
    """Run labels.cu."""
    result: Array = _launch.label_lengths(_Host(), labels, cameras, metric, shape, n_labels)
    return result


def mesh_lengths(vertices: Array, faces: Array, cameras: Array, shape: tuple[int, int]) -> Array:
    """Run mesh.cu."""
    result: Array = _launch.mesh_lengths(_Host(), vertices, faces, cameras, shape)
    return result


def mesh_occupancy(vertices: Array, faces: Array, shape: tuple[int, int, int], oversample: int = 4) -> Array:
    """Run occupancy.cu."""
    result: Array = _launch.mesh_occupancy(_Host(), vertices, faces, shape, oversample)
    return result


def with_quantum_noise(energy: Array, energy_squared: Array, seed: int) -> tuple[Array, Array]:
    """Run noise.cu for the quanta."""
    return _launch.with_quantum_noise(_Host(), energy, energy_squared, seed)


def standard_normal(shape: tuple[int, int], seed: int, stream: int, like: Any) -> Array:
    """Run noise.cu for normal numbers; `like` is there for the loader's signature."""
    result: Array = _launch.standard_normal(_Host(), shape, seed, stream)
    return result


def uniform(shape: tuple[int, int], seed: int, stream: int, like: Any) -> Array:
    """Run noise.cu for uniform numbers; `like` is there for the loader's signature."""
    result: Array = _launch.uniform(_Host(), shape, seed, stream)
    return result


def convolve(image: Array, taps: Array, noise: Array, scale: float) -> Array:
    """Run noise.cu for the blur."""
    result: Array = _launch.convolve(_Host(), image, taps, noise, scale)
    return result


def paint(hu: Array, labels: Array, parts: Array, origin: Any, spacing: Any, program: Program) -> None:
    """Run paint.cu."""
    _launch.paint(_Host(), hu, labels, parts, origin, spacing, program)


def texture(hu: Array, labels: Array, sd: Any, correlation: Any, seed: int, origin: Any, spacing: Any) -> None:
    """Run texture.cu."""
    _launch.texture(_Host(), hu, labels, sd, correlation, seed, origin, spacing)


def texture_matrices(levels: Array, values: Any, steps: Any) -> TextureMatrices:
    """Run texture_matrices.cu."""
    return _launch.texture_matrices(_Host(), levels, values, steps)


class _Texture(ctypes.Structure):
    """HostTexture of the shim."""

    _fields_ = (
        ("texels", ctypes.c_void_p),
        *((name, ctypes.c_int32) for name in ("nx", "ny", "nz", "packed", "is_float", "linear")),
    )
    owner: Array


class _Host:
    """`_launch.Device` on the host compiler."""

    def __init__(self, quantised: bool = False) -> None:
        self.quantised = quantised

    def zeros(self, shape: tuple[int, ...], dtype: type[np.generic] = np.float32) -> Array:
        return np.zeros(shape, dtype)

    def array(self, values: Any, dtype: type[np.generic]) -> Array:
        return np.ascontiguousarray(values, dtype)

    def texture(self, volume: Array, first: int, count: int, packed: int, linear: bool) -> _Texture:
        texels = np.zeros((*volume.shape[1:], packed), volume.dtype)
        texels[..., :count] = np.moveaxis(volume[first : first + count], 0, -1)
        sizes = (*volume.shape[:0:-1], packed, volume.dtype == np.float32, linear)
        texture = _Texture(texels.ctypes.data, *map(int, sizes))
        texture.owner = texels  # lives as long as the structure that points to it
        return texture

    def launch(self, source: str, kernel: str, grid: tuple[int, int, int], args: tuple[Any, ...]) -> None:
        values = [_c_value(arg) for arg in args]
        pointers = (ctypes.c_void_p * len(values))(*map(ctypes.addressof, values))
        block = (*_launch.BLOCK, 1)
        launcher = getattr(_library(source, self.quantised), f"launch_{kernel}")
        launcher((ctypes.c_int32 * 3)(*grid), (ctypes.c_int32 * 3)(*block), pointers)


def _c_value(arg: Any) -> Any:
    if isinstance(arg, _Texture):
        return ctypes.c_uint64(ctypes.addressof(arg))
    if isinstance(arg, np.ndarray):
        return ctypes.c_void_p(arg.ctypes.data)
    return {np.int32: ctypes.c_int32, np.uint32: ctypes.c_uint32, np.float32: ctypes.c_float}[type(arg)](arg)


@functools.cache
def _library(source: str, quantised: bool) -> ctypes.CDLL:
    """Compile `source`.cu into a shared library with a launcher for each of its kernels."""
    compiler = _compiler()
    if compiler is None:
        raise RuntimeError(unavailable())
    program = _folder() / f"{source}{'_quantised' if quantised else ''}.cpp"
    library = program.with_suffix(".so")
    launchers = "\n".join(f"HOST_LAUNCHER({kernel})" for kernel in _launch.KERNELS[source])
    program.write_text(f'#include "cuda_host_shim.h"\n#include "{_KERNELS / source}.cu"\n{launchers}\n', "utf-8")
    options = ["-std=c++17", "-O2", "-shared", "-fPIC", f"-I{_SHIM}", *(["-DCUDA_HOST_QUANTISED"] if quantised else [])]
    options += ["-ffp-contract=off"] if source in _launch.UNFUSED else []
    done = subprocess.run([compiler, *options, "-o", library, program], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{source}.cu does not compile for the host:\n{done.stderr}")
    return ctypes.CDLL(str(library))


@functools.cache
def _folder() -> Path:
    folder = tempfile.mkdtemp(prefix="cuda_host_")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


def _compiler() -> str | None:
    named = os.environ.get("CXX")
    return next(filter(None, map(shutil.which, [named] if named else ["g++", "c++", "clang++"])), None)
