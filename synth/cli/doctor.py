"""`synth doctor`: what this machine has, and what to install."""

from __future__ import annotations

import json
import os
import platform
import sys
from importlib import metadata
from typing import Annotated

import typer

import synth

__all__ = ["command"]

# Package → the extra that brings it.
_EXTRAS = {
    "cupy": "cuda",
    "xformers": "cuda",
    "torch": "torch",
    "diffusers": "diffusion",
    "transformers": "diffusion",
    "accelerate": "diffusion",
    "monai": "diffusion",
    "ray": "ray",
    "cleanfid": "fid",
    "deepdrr": "deepdrr",
}
_DISTRIBUTIONS = {"cleanfid": ("clean-fid",), "cupy": ("cupy-cuda13x", "cupy-cuda12x", "cupy")}


def command(as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False) -> None:
    """Tell what this machine has: cores, GPU, optional packages, and what to install for more."""
    from synth.kernels import _cuda
    from synth.kernels.lerp import HAS_AVX512
    from synth.kernels.threads import thread_count
    from synth.metrics.readers.phantoms import FILES, WEIGHTS

    gpu = _cuda.unavailable()
    found = {name: _version(name) for name in _EXTRAS}
    reader = all((WEIGHTS / name).is_file() for name in FILES)
    if as_json:
        machine = {"python": platform.python_version(), "threads": thread_count(), "avx512": HAS_AVX512, "gpu": not gpu}
        print(json.dumps({"radsynth": synth.__version__, **machine, "reader": reader, "packages": found}))
        return
    print(f"radsynth {synth.__version__}, Python {platform.python_version()}, {sys.platform}")
    print(f"CPU      {thread_count()} of {os.cpu_count()} cores, {'with' if HAS_AVX512 else 'without'} AVX-512")
    print(f"GPU      {f'no: {gpu}' if gpu else 'yes'}")
    print(f"reader   {'phantoms' if reader else 'absent: scripts/train_reader.py makes one'}")
    for name, version in found.items():
        print(f"{name:<13}{version or f'absent: pip install radsynth[{_EXTRAS[name]}]'}")


def _version(name: str) -> str | None:
    for distribution in _DISTRIBUTIONS.get(name, (name,)):
        try:
            return metadata.version(distribution)
        except metadata.PackageNotFoundError:
            continue
    return None
