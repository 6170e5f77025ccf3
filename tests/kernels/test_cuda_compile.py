"""Every CUDA source compiles for the GPU, with whichever of NVIDIA's compilers is here; that needs no GPU."""

from __future__ import annotations

import re
import shutil
import subprocess
import warnings
from pathlib import Path

import pytest

from synth.kernels import _launch

FOLDER = Path(_launch.__file__).parent


def compile_nvcc(source: Path, architecture: str, folder: Path) -> str:
    nvcc = shutil.which("nvcc")
    if nvcc is None:
        pytest.skip("no nvcc")
    target = folder / "kernel.ptx"
    fusing = ["--fmad=false"] if source.stem in _launch.UNFUSED else []
    command = [nvcc, "-std=c++17", *fusing, "-ptx", f"-arch={architecture}", "-o", str(target), str(source)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert not done.stderr, "the compiler warns"
    return target.read_text()


def compile_nvrtc(source: Path, architecture: str, folder: Path) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a missing toolkit, which NVRTC does not need
        nvrtc = pytest.importorskip("cupy", reason="no CuPy", exc_type=ImportError).cuda.nvrtc
    try:
        nvrtc.getVersion()
    except (RuntimeError, OSError) as error:
        pytest.skip(f"no NVRTC ({error})")
    program = nvrtc.createProgram(source.read_text(), source.name, [], [])
    fusing = ["--fmad=false"] if source.stem in _launch.UNFUSED else []
    nvrtc.compileProgram(program, ["--std=c++17", *fusing, f"--gpu-architecture={architecture}"])
    ptx = nvrtc.getPTX(program)
    return ptx.decode() if isinstance(ptx, bytes) else str(ptx)


def test_every_source_is_listed() -> None:
    assert sorted(_launch.KERNELS) == sorted(path.stem for path in FOLDER.glob("*.cu"))


@pytest.mark.parametrize("architecture", ["compute_80", "compute_90"])
@pytest.mark.parametrize("source", sorted(_launch.KERNELS))
@pytest.mark.parametrize("compiler", [compile_nvcc, compile_nvrtc])
def test_compiles(compiler, source, architecture, tmp_path) -> None:  # type: ignore[no-untyped-def]
    ptx = compiler(FOLDER / f"{source}.cu", architecture, tmp_path)
    assert sorted(re.findall(r"\.entry (\w+)", ptx)) == sorted(_launch.KERNELS[source])
    assert not (source in _launch.UNFUSED and re.search(r"\bfma\.rn\.f32", ptx))
