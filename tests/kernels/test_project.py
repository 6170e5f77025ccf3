"""The entry to the kernels: which method, which arrays, which errors; and CPU twins beside the CUDA sources."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from synth.kernels.project import prepare, project, project_labels, slicing_axes
from tests.kernels import host_cuda, reference, scenes
from tests.kernels.kernel_checks import ROUNDING, assert_close

AFFINE = np.eye(4)
AFFINE[:3, :3] = scenes.METRIC
AFFINE[:3, 3] = [40.0, -7.0, 11.0]
GOOD = ["along x", "along y, flipped", "along z", "oblique", "some rays parallel to y"]


def world(views: Any) -> Any:
    """Cameras in index coordinates → world mm."""
    moved = views @ AFFINE[:3, :3].T
    moved[:, :2] += AFFINE[:3, 3]
    return moved


def named(names: Any) -> Any:
    return np.array([scenes.CAMERAS[name] for name in names])


class TestMethods:
    @pytest.mark.parametrize("model", ["box", "trilinear"])
    def test_rays_in_a_sheared_world(self, model: Any) -> None:
        volume, views = scenes.volume(2), scenes.cameras()
        image = project(prepare(volume, AFFINE), world(views), scenes.SHAPE, method="rays", model=model)
        integrate = reference.siddon if model == "box" else reference.trilinear
        np.testing.assert_allclose(image, integrate(volume, views, scenes.METRIC, scenes.SHAPE), rtol=1e-5, atol=1e-5)

    def test_slices_in_a_sheared_world(self) -> None:
        volume = scenes.volume(2)
        view = np.array([[[3.0, -30.0, 2.0], [-2.0, 20.0, -1.0], [1.5, 0.0, 0.0], [0.0, 0.0, 1.4]]])
        image = project(prepare(volume, AFFINE), world(view), scenes.SHAPE, method="slices")
        expected = reference.joseph(volume, np.ones(1, int), view, scenes.METRIC, scenes.SHAPE)
        assert_close(image, expected, ROUNDING)

    def test_views_of_both_kinds_come_in_order(self) -> None:
        volume = prepare(scenes.volume(2), AFFINE)
        views = world(named(["source in the volume", "along x", "misses", "along z", "both in the volume"]))
        together = project(volume, views, scenes.SHAPE)
        assert together.shape == (5, 2, *scenes.SHAPE)
        for i in range(len(views)):
            np.testing.assert_array_equal(together[i : i + 1], project(volume, views[i : i + 1], scenes.SHAPE))

    def test_a_volume_of_one_channel_needs_no_axis_for_it(self) -> None:
        volume = scenes.volume(1)
        images = [project(prepare(v, AFFINE), world(named(GOOD)), scenes.SHAPE) for v in (volume, volume[0])]
        np.testing.assert_array_equal(*images)

    @pytest.mark.parametrize(("views", "axes"), [("along x", 0), ("along y, flipped", 1), ("along z", 2)])
    def test_slicing_axis(self, views: str, axes: int) -> None:
        assert slicing_axes(named([views]), scenes.GRID, scenes.SHAPE).tolist() == [axes]

    @pytest.mark.parametrize(
        "view",
        ["source in the volume", "pixels in the volume", "both in the volume", "behind the source"],
    )
    def test_auto_is_exact_where_slices_cannot_serve(self, view: str) -> None:
        volume, views = prepare(scenes.volume(1), AFFINE), world(named([view]))
        assert slicing_axes(named([view]), scenes.GRID, scenes.SHAPE).tolist() == [-1]
        np.testing.assert_array_equal(
            project(volume, views, scenes.SHAPE), project(volume, views, scenes.SHAPE, method="rays")
        )
        with pytest.raises(ValueError, match="between source and detector"):
            project(volume, views, scenes.SHAPE, method="slices")

    def test_auto_is_exact_beside_a_source_within_the_slab_and_for_steep_rays(self) -> None:
        beside = [[3.0, 6.0, -20.0], [-9.0, 60.0, 7.0], [2.0, 0.0, 0.0], [0.0, 0.0, 2.0]]  # y 6 is within the slab
        steep = [[3.0, -6.0, 2.5], [-35.0, 12.0, 2.5], [12.5, 0.0, 0.0], [0.0, 0.0, 1.0]]
        grazing = [[-35.0, -4.0, 0.0], [-107.0, 95.0, 1.0], [11.0, -1.6, 0.0], [0.0, 0.0, 1.0]]
        for view in (beside, steep, grazing):
            volume, views = prepare(scenes.volume(1), np.eye(4)), np.array([view])
            shape = (5, 31) if view is grazing else scenes.SHAPE
            image = project(volume, views, shape)
            np.testing.assert_array_equal(image, project(volume, views, shape, method="rays"))
        # Rays that turn back along the slicing axis, none of the corners' being steep.
        back = np.array([[[-35.2, -3.8, 0.0], [-107.4, 95.1, -1.0], [3.27, -0.48, 0.0], [0.0, 0.0, 1.0]]])
        assert slicing_axes(back, (3, 3, 3), (3, 101)).tolist() == [-1]

    def test_boxes_go_by_rays(self) -> None:
        volume, views = prepare(scenes.volume(1), AFFINE), world(named(["along x"]))
        auto, rays = (project(volume, views, scenes.SHAPE, method=m, model="box") for m in ("auto", "rays"))
        np.testing.assert_array_equal(auto, rays)
        with pytest.raises(ValueError, match="method 'slices' interpolates"):
            project(volume, views, scenes.SHAPE, method="slices", model="box")

    def test_no_views(self) -> None:
        image = project(prepare(scenes.volume(3), AFFINE), np.zeros((0, 4, 3)), (4, 5))
        assert image.shape == (0, 3, 4, 5)


class TestArrays:
    @pytest.fixture
    def views(self) -> Any:
        return world(named(["along x", "oblique"]))

    def test_need_not_be_contiguous(self, views: Any) -> None:
        volume = scenes.volume(2)
        expected = project(prepare(volume, AFFINE), views, scenes.SHAPE)
        strided = np.zeros((2, 2 * scenes.GRID[0], *scenes.GRID[1:]), np.float32)[:, ::2]
        strided[:] = volume
        for other in (strided, np.asfortranarray(volume), volume[:, :, ::-1].copy()[:, :, ::-1]):
            assert not other.flags.c_contiguous
            np.testing.assert_array_equal(project(prepare(other, AFFINE), views, scenes.SHAPE), expected)
        labels = scenes.labels(3)
        lengths = [project_labels(a, AFFINE, views, scenes.SHAPE, 3) for a in (labels, np.asfortranarray(labels))]
        np.testing.assert_array_equal(*lengths)

    @pytest.mark.parametrize("dtype", ["float32", "uint16"])
    def test_torch_tensors_by_dlpack(self, views: Any, dtype: str) -> None:
        torch = pytest.importorskip("torch")
        volume = scenes.volume(2, dtype)
        tensor = torch.from_numpy(volume.copy())
        expected = project(prepare(volume, AFFINE), views, scenes.SHAPE)
        image = torch.from_dlpack(project(prepare(tensor, AFFINE), views, scenes.SHAPE))
        assert image.dtype == torch.float32
        np.testing.assert_array_equal(image.numpy(), expected)
        turned = tensor.transpose(1, 3).contiguous().transpose(1, 3)
        np.testing.assert_array_equal(project(prepare(turned, AFFINE), views, scenes.SHAPE), expected)

    def test_torch_labels_by_dlpack(self, views: Any) -> None:
        torch = pytest.importorskip("torch")
        labels = scenes.labels(4)
        lengths = project_labels(torch.from_numpy(labels), AFFINE, views, scenes.SHAPE, 4)
        np.testing.assert_array_equal(lengths, project_labels(labels, AFFINE, views, scenes.SHAPE, 4))

    def test_a_device_that_is_not_ours(self) -> None:
        class Elsewhere:
            def __dlpack_device__(self) -> tuple[int, int]:
                return (8, 0)  # Metal

        with pytest.raises(ValueError, match="CPU or a CUDA device; got DLPack device type 8"):
            prepare(Elsewhere(), AFFINE)


class TestErrors:
    @pytest.mark.parametrize(
        ("volume", "message"),
        [
            (np.zeros((2, 3, 4)), "float64"),
            (np.zeros((2, 3, 4), np.int16), "int16"),
            (np.zeros((3, 4), np.float32), r"\(3, 4\)"),
            (np.zeros((0, 3, 4), np.float32), r"at least one voxel; got shape \(0, 3, 4\)"),
            (np.zeros((0, 2, 3, 4), np.uint16), "at least one voxel"),
        ],
    )
    def test_volume(self, volume: Any, message: str) -> None:
        with pytest.raises(ValueError, match=message):
            prepare(volume, AFFINE)

    def test_no_array(self) -> None:
        with pytest.raises(TypeError, match=r"volume must be an array .*list"):
            prepare([[[1.0]]], AFFINE)
        with pytest.raises(TypeError, match="labels must be an array"):
            project_labels([[[1]]], AFFINE, scenes.cameras(), scenes.SHAPE, 2)

    @pytest.mark.parametrize("affine", [np.zeros((4, 4)), np.eye(3), np.full((4, 4), np.nan)])
    def test_affine(self, affine: Any) -> None:
        with pytest.raises(ValueError, match="affine must be"):
            prepare(scenes.volume(1), affine)
        with pytest.raises(ValueError, match="affine must be"):
            project_labels(scenes.labels(2), affine, scenes.cameras(), scenes.SHAPE, 2)

    def test_the_rest(self) -> None:
        volume, views = prepare(scenes.volume(1), AFFINE), scenes.cameras()
        for cameras in (views[0], views[:, :3], np.where(views == views[0, 0, 0], np.nan, views)):
            with pytest.raises(ValueError, match="cameras must be finite"):
                project(volume, cameras, scenes.SHAPE)
        for shape in ((0, 3), (3, -1), (3,)):
            with pytest.raises(ValueError, match="shape must be"):
                project(volume, views, shape)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="'fast'"):
            project(volume, views, scenes.SHAPE, method="fast")  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="'cubic'"):
            project(volume, views, scenes.SHAPE, model="cubic")  # type: ignore[arg-type]
        with pytest.raises(ValueError, match=r"labels must be .* int64"):
            project_labels(scenes.labels(2).astype(int), AFFINE, views, scenes.SHAPE, 2)


class TestTwins:
    """The CUDA sources, compiled for the host, give what their twins give."""

    @pytest.fixture(autouse=True)
    def _compiler(self) -> None:
        if reason := host_cuda.unavailable():
            pytest.skip(reason)

    @pytest.mark.parametrize("dtype", ["float32", "uint16"])
    def test_joseph(self, dtype: str) -> None:
        volume = scenes.volume(3, dtype)
        view = np.array([[[3.0, -30.0, 2.0], [-2.0, 20.0, -1.0], [1.5, 0.0, 0.0], [0.0, 0.0, 1.4]]])
        twin = project(prepare(volume, AFFINE), world(view), scenes.SHAPE, method="slices")
        image = host_cuda.joseph(volume, np.ones(1, np.int32), view, scenes.METRIC, scenes.SHAPE, precise=True)
        assert_close(twin, image, ROUNDING)

    @pytest.mark.parametrize("model", ["box", "trilinear"])
    def test_exact(self, model: Any) -> None:
        volume, views = scenes.volume(2), scenes.cameras()
        twin = project(prepare(volume, np.eye(4)), views, scenes.SHAPE, method="rays", model=model)
        image = host_cuda.exact(volume, views, np.eye(3), scenes.SHAPE, model)
        np.testing.assert_allclose(twin, image, rtol=2e-6, atol=1e-6)

    def test_labels(self) -> None:
        labels, views = scenes.labels(5), scenes.cameras()
        twin = project_labels(labels, np.eye(4), views, scenes.SHAPE, 5)
        image = host_cuda.label_lengths(labels, views, np.eye(3), scenes.SHAPE, 5)
        np.testing.assert_allclose(twin, image, rtol=1e-6, atol=1e-6)
