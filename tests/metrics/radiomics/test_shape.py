"""Shape: boxes and balls, brute force, and surfaces without holes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import pdist

from synth.metrics.radiomics import marching
from synth.metrics.radiomics.shape import shape_2d, shape_3d


def ball(radius: float, spacing: Any) -> Any:
    """A ball, or a disc, on voxels along (z, y, x)."""
    axes = [np.arange(-math.ceil(radius / size) - 1, math.ceil(radius / size) + 2) * size for size in spacing]
    return sum(axis**2 for axis in np.meshgrid(*axes, indexing="ij")) <= radius**2


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (2.0, 1.0, 0.7)])
def test_a_ball(spacing: Any) -> None:
    found = shape_3d(ball(20.0, spacing), spacing)
    assert found["MeshVolume"] == pytest.approx(4 / 3 * math.pi * 20**3, rel=0.01)
    assert found["VoxelVolume"] == pytest.approx(found["MeshVolume"], rel=0.01)
    assert 1 <= found["SurfaceArea"] / (4 * math.pi * 20**2) < 1.15  # steps make it longer
    assert found["MajorAxisLength"] == pytest.approx(4 * 20 / math.sqrt(5), rel=0.01)
    assert found["Flatness"] == pytest.approx(1, abs=0.02)
    for name in ("3DDiameter", "2DDiameterSlice", "2DDiameterRow", "2DDiameterColumn"):
        assert found[f"Maximum{name}"] == pytest.approx(40, rel=0.06)


def test_a_disc() -> None:
    found = shape_2d(ball(20.0, (1.0, 0.5)), (1.0, 0.5))
    assert found["MeshSurface"] == pytest.approx(math.pi * 400, rel=0.01)
    assert found["PixelSurface"] == pytest.approx(found["MeshSurface"], rel=0.01)
    assert 1 <= found["Perimeter"] / (2 * math.pi * 20) < 1.1
    assert found["MajorAxisLength"] == pytest.approx(40, rel=0.01)
    assert found["Elongation"] == pytest.approx(1, abs=0.01)
    assert found["MaximumDiameter"] == pytest.approx(40, rel=0.03)


def test_a_box() -> None:
    # Edges and corners are cut off half-way to the next voxel.
    z, y, x, spacing = 3, 4, 6, (2.0, 1.0, 0.5)
    found = shape_3d(np.ones((z, y, x), bool), spacing)
    edges = 4 * ((z - 1) + (y - 1) + (x - 1)) / 8 + 8 * (1 / 8 - 1 / 48)  # of a voxel less
    assert found["MeshVolume"] == pytest.approx(z * y * x - edges)
    assert found["VoxelVolume"] == z * y * x
    assert found["Maximum2DDiameterSlice"] == pytest.approx(math.hypot(y, (x - 1) * 0.5))
    assert found["LeastAxisLength"] == pytest.approx(4 * math.sqrt((x**2 - 1) / 12) * 0.5)


def test_a_rectangle() -> None:
    found = shape_2d(np.ones((3, 5), bool), (2.0, 1.0))
    assert found["Perimeter"] == pytest.approx(2 * (2 * 2 + 4 * 1) + 4 * math.hypot(2, 1) / 2)
    assert found["MeshSurface"] == pytest.approx(2 * (15 - 4 / 8))


def test_single_voxels_far_apart() -> None:
    mask = np.zeros((3, 3, 9), bool)
    mask[1, 1, ::4] = True
    area, volume = marching.surface(mask, (1.0, 1.0, 1.0))
    assert area == pytest.approx(3 * math.sqrt(3))  # octahedra of edge 1/√2
    assert volume == pytest.approx(3 / 6)


@given(st.integers(0, 10**6), st.floats(0.1, 0.9))
@settings(deadline=None, max_examples=20)
def test_diameters_are_brute_force(seed: int, share: float) -> None:
    mask = np.random.default_rng(seed).random((5, 6, 4)) < share
    mask[2, 3, 1:3] = mask[2, 2, 1] = mask[1, 3, 1] = True
    spacing = np.array((2.0, 0.7, 1.1))
    points = marching.vertices(mask) * spacing / 2
    found = shape_3d(mask, tuple(spacing))
    assert found["Maximum3DDiameter"] == pytest.approx(pdist(points).max())
    for axis, name in enumerate(("Slice", "Column", "Row")):
        planes = [points[points[:, axis] == at] for at in np.unique(points[:, axis])]
        assert found[f"Maximum2DDiameter{name}"] == pytest.approx(max(pdist(plane).max(initial=0) for plane in planes))
    flat = shape_2d(mask[2], (0.7, 1.1))
    assert flat["MaximumDiameter"] <= found["Maximum2DDiameterSlice"] + 1e-12


def test_cubes_and_their_complements_have_one_surface() -> None:
    for case in range(1, 255):
        sign, triangles = marching._triangles(case)
        other, complement = marching._triangles(case ^ 255)
        assert triangles == complement
        assert sign == -other
        cut = {edge for triangle in triangles for edge in triangle}
        crossed = {k for k, (a, b) in enumerate(marching._EDGES) if (case >> a & 1) != (case >> b & 1)}
        assert cut == crossed


def test_every_edge_of_a_surface_without_doubtful_faces_is_shared() -> None:
    # Discs of growing size have no two voxels that touch at an edge alone.
    mask = np.pad(ball(6.0, (1.0, 1.0, 1.0)), 1)
    edges: dict[Any, int] = {}
    for at in np.ndindex(*(size - 1 for size in mask.shape)):
        cube = mask[tuple(slice(k, k + 2) for k in at)].ravel()
        case = int(sum(1 << k for k in range(8) if cube[k]))
        if case in (0, 255):
            continue
        for triangle in marching._triangles(case)[1]:
            corners = [tuple(2 * np.array(at) + np.rint(2 * marching._MIDDLES[edge]).astype(int)) for edge in triangle]
            for k in range(3):
                pair = frozenset((corners[k], corners[k - 1]))
                edges[pair] = edges.get(pair, 0) + 1
    assert set(edges.values()) == {2}
