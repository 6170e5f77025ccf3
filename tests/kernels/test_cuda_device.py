"""The CUDA kernels on a GPU, through CuPy, against float64 brute force; and what the loader says without one."""

from __future__ import annotations

import gc
import inspect
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from synth.kernels import _cuda, _launch, noise
from synth.kernels.occupancy import mesh_occupancy
from synth.kernels.paint import paint
from synth.kernels.texture import texture
from synth.kernels.texture_matrices import texture_matrices
from tests.kernels import host_cuda, scenes
from tests.kernels.kernel_checks import KernelChecks


@pytest.fixture
def cupy() -> Any:
    if reason := _cuda.unavailable():
        pytest.skip(reason)
    return pytest.importorskip("cupy")


class TestDevice(KernelChecks):
    @pytest.fixture
    def kernels(self, cupy: Any) -> Any:
        return SimpleNamespace(
            joseph=lambda volume, *rest, **options: _cuda.joseph(cupy.asarray(volume), *rest, **options).get(),
            exact=lambda volume, *rest: _cuda.exact(cupy.asarray(volume), *rest).get(),
            label_lengths=lambda labels, *rest: _cuda.label_lengths(cupy.asarray(labels), *rest).get(),
            quantised=True,
        )


class TestTextures:
    """One texture a volume, for as long as the volume lives."""

    @pytest.fixture
    def project(self, cupy: Any) -> Any:
        views = scenes.cameras()
        axes = scenes.main_axes(views)
        return lambda volume: _cuda.joseph(volume, axes, views, scenes.METRIC, scenes.SHAPE)

    def test_are_made_once_and_shared_by_views(self, cupy: Any, project: Any) -> None:
        volume = cupy.asarray(scenes.volume(2))
        before = len(_cuda._TEXTURES)
        first, again = project(volume), project(volume[:])
        assert len(_cuda._TEXTURES) == before + 1
        assert (first == again).all()

    def test_go_with_the_volume(self, cupy: Any, project: Any) -> None:
        before = len(_cuda._TEXTURES)
        volume = cupy.asarray(scenes.volume(5))
        project(volume)
        assert len(_cuda._TEXTURES) == before + 2
        del volume
        gc.collect()
        assert len(_cuda._TEXTURES) == before

    def test_are_made_anew_after_forget(self, cupy: Any, project: Any) -> None:
        volume = cupy.asarray(scenes.volume(1))
        once = project(volume)
        volume *= 2
        assert (project(volume) == once).all()
        _cuda.forget(volume)
        assert cupy.allclose(project(volume), 2 * once)

    def test_are_ready_on_another_stream(self, cupy: Any, project: Any) -> None:
        volume = cupy.asarray(scenes.volume(4))
        expected = project(volume)
        with cupy.cuda.Stream(non_blocking=True):
            result = project(cupy.asarray(scenes.volume(4)))
            assert (result == expected).all()

    def test_arrays_must_be_on_the_gpu(self, project: Any) -> None:
        with pytest.raises(TypeError, match=r"volume: .* numpy\.ndarray"):
            project(scenes.volume(1))


def test_the_loader_says_why_not() -> None:
    reason = _cuda.unavailable()
    if reason:
        assert "CuPy cannot be imported" in reason or "no CUDA device" in reason
    else:
        import cupy

        assert cupy.cuda.runtime.getDeviceCount() > 0


@pytest.mark.parametrize("name", sorted({*_cuda.__all__} - {"forget", "unavailable"}))
def test_the_stand_in_has_the_signatures_of_the_loader(name: str) -> None:
    theirs = inspect.signature(getattr(_cuda, name)).parameters
    ours = inspect.signature(getattr(host_cuda, name)).parameters
    assert [p for p in ours if ours[p].kind is not inspect.Parameter.KEYWORD_ONLY] == list(theirs)
    assert all(ours[p].default == theirs[p].default for p in theirs)


@pytest.mark.parametrize(
    ("name", "twin"),
    [
        ("convolve", noise.convolve),
        ("mesh_occupancy", mesh_occupancy),
        ("paint", paint),
        ("standard_normal", noise.standard_normal),
        ("texture", texture),
        ("texture_matrices", texture_matrices),
        ("uniform", noise.uniform),
        ("with_quantum_noise", noise.with_quantum_noise),
    ],
)
def test_the_twin_on_the_cpu_takes_the_same_arguments(name: str, twin: Any) -> None:
    assert list(inspect.signature(twin).parameters) == list(inspect.signature(getattr(_cuda, name)).parameters)


def test_public_names() -> None:
    assert all(callable(getattr(_cuda, name)) for name in _cuda.__all__)
    assert np.prod(_launch.BLOCK) <= 256  # __launch_bounds__ of the kernels
