"""Objects in a CT: what they displace, their shadows and their masks."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from synth.core.errors import InputError
from synth.core.volume import Labels, Volume
from synth.drr.assembly import Assembly, Insert, Placed, mask_box, place, pose
from synth.drr.geometry import Camera
from synth.drr.mesh import Part
from synth.drr.shapes import ball, box, hollow, tube
from synth.kernels.occupancy import mesh_occupancy

if TYPE_CHECKING:
    from pathlib import Path

SHAPE = (120, 160)
CAMERA = Camera.looking([20, 900, -30], [0, -100, 0], [1, 0, 0], [0, 0, -1], pitch_mm=1.0, shape=SHAPE, name="PA")


def ct(hu: float = 40, spacing: tuple[float, float, float] = (1.5, 1.2, 2.0), dtype: Any = np.int16) -> Volume:
    """(40, 60, 50) voxels about the origin, turned about z."""
    affine = pose([0, 0, 0], [0, 0, 20]) @ np.diag([*spacing, 1.0])
    affine[:3, 3] = -affine[:3, :3] @ [24.5, 29.5, 19.5]
    return Volume(np.full((40, 60, 50), hu, dtype), affine, "ct")


def lead_ball(at: Any = (8, -5, 6), radius: float = 9.0, **options: Any) -> Placed:
    return Placed([Part(ball(radius, sides=64), "lead", "ball")], pose(at), "ball", **options)


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("thing", [ball(9.0), hollow([[0, -10, -9], [0, 14, 12]], 6.0, 3.0), box([3.0, 20, 11.3])])
def test_what_is_displaced_has_the_objects_volume(thing: Any, mirrored: bool) -> None:
    volume = ct()
    if mirrored:
        volume = replace(volume, affine=volume.affine @ np.diag([-1.0, 1, 1, 1]) @ pose([-49, 0, 0]))
    scene = Assembly(volume, objects=(Placed([Part(thing, "titanium", "it")], pose([2, 3, -1], [30, 40, 50]), "it"),))
    voxel = abs(np.linalg.det(volume.affine[:3, :3]))
    assert scene.displaced is not None
    assert scene.displaced.min() >= 0
    assert scene.displaced.sum() * voxel == pytest.approx(thing.volume_mm3, rel=4e-3)
    kept = scene.tissue[0].hu.astype(float) + 1000
    removed = (volume.hu + 1000.0 - kept).sum() * voxel / 1040
    assert removed == pytest.approx(thing.volume_mm3, rel=4e-3)


def test_displacement_is_where_the_object_is() -> None:
    scene = Assembly(ct(), objects=(lead_ball(),))
    fraction = scene.displaced
    assert fraction is not None
    z, y, x = np.nonzero(fraction)
    weights = fraction[z, y, x]
    centre = np.average(np.column_stack([x, y, z]), axis=0, weights=weights)
    np.testing.assert_allclose(scene.volume.affine[:3, :3] @ centre + scene.volume.affine[:3, 3], [8, -5, 6], atol=0.02)
    world = np.column_stack([x, y, z]) @ scene.volume.affine[:3, :3].T + scene.volume.affine[:3, 3]
    distance = np.linalg.norm(world - [8, -5, 6], axis=1)
    assert (weights[distance < 9 - 1.5] > 1 - 1e-5).all()
    assert distance.max() < 9 + 1.5


def test_occupancy_of_half_voxels_is_exact_along_z() -> None:
    cube = box([2, 2, 2.5])
    filled = mesh_occupancy(cube.vertices + np.array([3.5, 3.5, 3.25]), cube.faces, (8, 8, 8))
    expected = np.zeros((8, 8, 8))
    expected[2:5, 3:5, 3:5] = np.array([0.5, 1, 1])[:, None, None]
    np.testing.assert_allclose(filled, expected, atol=1e-6)
    beyond = mesh_occupancy(10 * cube.vertices, cube.faces, (3, 4, 5))
    np.testing.assert_allclose(beyond, 1, atol=1e-6)


def test_thin_things_add_and_thick_ones_displace_unless_told_otherwise() -> None:
    wire = Placed(
        [Part(tube([[0, 0, -20], [0, 0, 20]], 0.4), "steel_316l", "wire")], pose([0, 0, 0], [25, 15, 0]), "wire"
    )
    assert Assembly(ct(), objects=(wire,)).displaced is None
    alone = ct()
    assert Assembly(alone, objects=(wire,)).tissue == (alone, ())
    forced = Assembly(ct(), objects=(replace(wire, displace=True),)).displaced
    assert forced is not None
    assert forced.sum() * 3.6 == pytest.approx(wire.parts[0].mesh.volume_mm3, rel=0.05)
    assert Assembly(ct(), objects=(lead_ball(displace=False),)).displaced is None


def test_tissue_keeps_type_and_loses_labels() -> None:
    for dtype in (np.int16, np.float32):
        volume = ct(dtype=dtype)
        labels = Labels(np.ones(volume.shape, np.uint8), volume.affine, {1: "liver"})
        tissue, (rest,) = Assembly(volume, (labels,), (lead_ball(),)).tissue
        assert tissue.hu.dtype == dtype
        assert tissue.hu.min() == -1000
        assert (rest.array == 0).sum() * 3.6 == pytest.approx(ball(9.0).volume_mm3, rel=0.05)
        assert (volume.hu == 40).all()
        assert labels.array.all()


def test_metal_at_the_end_of_the_scale_does_not_wrap_around() -> None:
    tissue, _ = Assembly(ct(hu=32767), objects=(lead_ball(),)).tissue
    fraction = Assembly(ct(), objects=(lead_ball(),)).displaced
    assert fraction is not None
    np.testing.assert_allclose(tissue.hu, 33767 * (1 - fraction) - 1000, atol=0.51)


def test_a_lead_balls_shadow_is_where_geometry_says() -> None:
    placed = lead_ball()
    scene = Assembly(ct(), objects=(placed,))
    lengths = scene.object_lengths(CAMERA)
    assert list(lengths) == ["lead"]
    v, u = np.indices(SHAPE)
    shadow = lengths["lead"]
    magnification = 1000 / (900 - -5)
    centre = CAMERA.to_pixels([8, -5, 6])
    assert np.average(u, weights=shadow) == pytest.approx(centre[0], abs=0.05)
    assert np.average(v, weights=shadow) == pytest.approx(centre[1], abs=0.05)
    assert shadow.max() == pytest.approx(18, rel=0.01)
    # Volume = ∫ chord over the area it is projected from.
    assert shadow.sum() / magnification**2 == pytest.approx(placed.parts[0].mesh.volume_mm3, rel=0.01)
    (whole, visible) = scene.object_masks(CAMERA)
    assert (whole.name, visible.name) == ("object:ball", "object:ball:visible")
    x, y, width, height = mask_box(whole)
    assert width == pytest.approx(18 * magnification, abs=1.2)
    assert height == pytest.approx(18 * magnification, abs=1.2)
    assert x + (width - 1) / 2 == pytest.approx(centre[0], abs=0.6)
    assert y + (height - 1) / 2 == pytest.approx(centre[1], abs=0.6)


def test_oversampling_keeps_the_sum_and_fills_a_thin_wire() -> None:
    wire = Placed([Part(tube([[-30, 0, -7], [30, 0, 9]], 0.15), "steel_316l", "wire")], np.eye(4), "wire")
    scene = Assembly(ct(), objects=(wire,))
    fine, coarse = (scene.object_lengths(CAMERA, oversample=n)["steel_316l"] for n in (8, 1))
    assert fine.sum() == pytest.approx(wire.parts[0].mesh.volume_mm3 * (1000 / 900) ** 2, rel=0.02)
    columns = np.flatnonzero(fine.any(0))
    assert len(columns) == np.ptp(columns) + 1
    assert (coarse > 0).sum() < (fine > 0).sum()


def test_visible_means_above_the_threshold_and_out_of_clutter() -> None:
    cotton = Placed([Part(box([30, 0.6, 30]), "cotton", "pad")], pose([0, 0, 0]), "pad")
    scene = Assembly(ct(), objects=(cotton, lead_ball()))
    names = [mask.name for mask in scene.object_masks(CAMERA)]
    assert names == ["object:pad", "object:ball", "object:ball:visible"]
    low = {mask.name: mask.array for mask in scene.object_masks(CAMERA, threshold=0.005)}
    assert low["object:pad:visible"].sum() > 0.9 * low["object:pad"].sum()
    noise = np.random.default_rng(0).normal(0, 0.05, SHAPE)
    cluttered = {m.name: m.array for m in scene.object_masks(CAMERA, threshold=0.005, background=noise)}
    assert "object:pad:visible" not in cluttered
    assert cluttered["object:ball:visible"].any()
    calm = scene.object_masks(CAMERA, threshold=0.005, background=np.full(SHAPE, 3.0))
    assert np.array_equal({m.name: m.array for m in calm}["object:pad:visible"], low["object:pad:visible"])
    with pytest.raises(InputError, match="background"):
        scene.object_masks(CAMERA, background=noise[1:])


def test_objects_outside_the_view_have_no_mask() -> None:
    assert Assembly(ct(), objects=(lead_ball((500, 0, 0)),)).object_masks(CAMERA) == ()


def test_an_insert_replaces_its_box() -> None:
    host = ct()
    affine = np.diag([1.0, 1, 1, 1])
    small = Volume(np.full((10, 12, 14), -300, np.int16), affine, "nodule")
    moved = pose([3, -2, 1], [10, 20, 30])
    scene = Assembly(host, inserts=(Insert(small, moved),))
    assert scene.displaced is not None
    assert scene.displaced.sum() * 3.6 == pytest.approx(10 * 12 * 14, rel=2e-3)
    volume, labels = scene.inserts[0].placed
    assert labels is None
    np.testing.assert_allclose(volume.affine, moved)
    assert Assembly(host, inserts=(Insert(small, moved, displace=False),)).displaced is None


def test_refusals_of_the_assembly() -> None:
    open_box = replace(box([1, 1, 1]), faces=box([1, 1, 1]).faces[1:])
    with pytest.raises(InputError, match="lid is not closed, 3 open edges"):
        Placed([Part(open_box, "iron", "lid")], np.eye(4), "tin")
    with pytest.raises(InputError, match="rigid"):
        Placed([Part(box([1, 1, 1]), "iron", "tin")], 2 * np.eye(4), "tin")
    with pytest.raises(InputError, match="rigid"):
        Placed([Part(box([1, 1, 1]), "iron", "tin")], np.diag([1.0, 1, -1, 1]), "tin")
    volume = ct()
    labels = Labels(np.ones((2, 2, 2), np.uint8), np.eye(4), {1: "liver"})
    with pytest.raises(InputError, match="grid"):
        Assembly(volume, (labels,))


def test_place_an_object() -> None:
    spec = {
        "object": "coin",
        "parameters": {"diameter_mm": 20},
        "at": [1, 2, 3],
        "rotate_deg": [0, 0, 90],
        "name": "penny",
    }
    placed = place(spec)
    (body,) = placed.bodies.values()
    np.testing.assert_allclose(body.vertices.mean(0), [1, 2, 3], atol=1e-9)
    extent = np.ptp(body.vertices, axis=0)
    assert extent[0] == pytest.approx(1.75)  # its thickness was along y
    assert extent[1] == pytest.approx(20, rel=0.01)
    assert placed.name == "penny"


def test_rotation_order_is_x_then_y_then_z() -> None:
    np.testing.assert_allclose(pose([0, 0, 0], [90, 0, 90])[:3, :3] @ [0, 1, 0], [0, 0, 1], atol=1e-12)
    np.testing.assert_allclose(pose([0, 0, 0], [90, 90, 0])[:3, :3] @ [0, 1, 0], [1, 0, 0], atol=1e-12)


def test_seeds_of_placing() -> None:
    def first(**spec: Any) -> Any:
        generator = spec.pop("generator", None)
        return place({"object": "guide_wire", **spec}, generator=generator).parts[0].mesh.vertices[0]

    assert np.array_equal(first(), first(seed=0))
    assert not np.array_equal(first(), first(seed=1))
    assert np.array_equal(first(seed=1), first(seed=1, generator=np.random.default_rng(5)))
    assert not np.array_equal(first(), first(generator=np.random.default_rng(5)))


def test_place_a_mesh(tmp_path: Path) -> None:
    cube = box([10, 10, 10])
    lines = [f"v {x} {y} {z}" for x, y, z in cube.vertices] + [f"f {a + 1} {b + 1} {c + 1}" for a, b, c in cube.faces]
    (tmp_path / "die.obj").write_text("\n".join(lines))
    placed = place({"mesh": "die.obj", "material": "titanium", "unit_mm": 2}, folder=tmp_path)
    assert placed.name == "die"
    assert placed.bodies["titanium"].volume_mm3 == pytest.approx(8000)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({}, 'either "object" or "mesh"'),
        ({"objct": "coin"}, "did you mean 'object'"),
        ({"object": "coin", "mesh": "a.stl"}, 'either "object" or "mesh"'),
        ({"object": "coins"}, "unknown object 'coins': did you mean 'coin'"),
        ({"object": "zzz"}, "use one of bone_plate"),
        ({"object": "coin", "rotation_deg": [0, 0, 0]}, "unknown key 'rotation_deg': did you mean 'rotate_deg'"),
        ({"object": "coin", "material": "gold"}, "unknown key 'material'"),
        ({"object": "coin", "parameters": {"diametre_mm": 3}}, "did you mean 'diameter_mm'"),
        ({"object": "coin", "parameters": [3]}, "names with values"),
        ({"object": "coin", "parameters": {"diameter_mm": "big"}}, "number from 0 to 1000"),
        ({"object": "coin", "parameters": {"diameter_mm": True}}, "number from 0 to 1000"),
        ({"object": "coin", "parameters": {"diameter_mm": float("nan")}}, "number from 0 to 1000"),
        ({"object": "spinal_rods", "parameters": {"levels": 2.5}}, "whole number from 1 to 100"),
        ({"object": "coin", "at": [1, 2]}, "at must be three numbers"),
        ({"object": "coin", "at": "here"}, "at must be three numbers"),
        ({"object": "coin", "seed": -1}, "seed must be a whole number"),
        ({"object": "coin", "displace": "yes"}, "displace must be true or false"),
        ({"object": "button", "parameters": {"material": 3}}, "must be text"),
        ({"mesh": "a.stl"}, "material"),
        ({"mesh": "a.stl", "material": "titanum"}, "did you mean 'titanium'"),
        ({"mesh": "a.stl", "material": "titanium"}, "cannot read"),
        ({"mesh": "a.stl", "material": "titanium", "unit_mm": "m"}, "unit_mm must be a number"),
    ],
)
def test_placing_refuses(spec: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message) as caught:
        place(spec, folder=tmp_path)
    assert "\n" not in str(caught.value)
