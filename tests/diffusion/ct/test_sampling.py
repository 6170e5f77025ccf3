"""Solving on the base and by overlapping tiles, with velocities that are known."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from synth.core.errors import InputError
from synth.diffusion.ct.grid import CtGrid, affine_of, grid_of
from synth.diffusion.ct.sampling import Denoiser, FineTask, Refinement, Task, geometry_of, places, window
from synth.diffusion.flow import FlowScheduler, Guidance


class Known(nn.Module):
    """A refiner whose velocity leads straight to its coarse latents, and that notes what it is asked."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))
        self.asked: list[tuple[int, ...]] = []

    def forward(self, tiles: Tensor, times: Tensor, coarse: Tensor, levels: Tensor, geometry: Tensor) -> Tensor:
        self.asked.append(tuple(tiles.shape))
        assert levels.shape == times.shape == (len(tiles),)
        assert geometry.shape == (len(tiles), 6)
        return self.scale * (tiles - coarse) / times[:, None, None, None, None]


class Local(nn.Module):
    """A refiner that sees its neighbours: zero padding makes tiles differ where they end."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(3)
        self.weight = nn.Parameter(0.1 * torch.randn(2, 4, 3, 3, 3, generator=generator))

    def forward(self, tiles: Tensor, times: Tensor, coarse: Tensor, levels: Tensor, geometry: Tensor) -> Tensor:
        return nn.functional.conv3d(torch.cat([tiles, coarse], dim=1), self.weight, padding=1)


def task(shape: tuple[int, int, int], seed: int = 0) -> FineTask:
    generator = torch.Generator().manual_seed(seed)
    noise, coarse = (torch.randn(1, 2, *shape, generator=generator) for _ in range(2))
    return FineTask(noise, coarse, 0.1, geometry_of(shape, (1, 1, 1)))


@given(st.tuples(*[st.integers(1, 23)] * 3), st.integers(1, 9))
@settings(max_examples=60, deadline=None)
def test_tiles_cover_the_grid(shape: tuple[int, int, int], tile: int) -> None:
    sides = tuple(min(tile, side) for side in shape)
    boxes, weight = places(shape, sides), window(sides)
    assert weight.shape == sides
    assert 0 < weight.min() <= weight.max() <= 1
    covered = np.zeros(shape, int)
    for box in boxes:
        assert tuple(one.stop - one.start for one in box) == sides
        assert all(0 <= one.start and one.stop <= side for one, side in zip(box, shape, strict=True))
        covered[box] += 1
    assert covered.min() >= 1
    assert len(set(map(str, boxes))) == len(boxes)


def test_neighbouring_tiles_share_a_quarter_at_least() -> None:
    for whole in range(17, 80):
        starts = sorted({box[0].start for box in places((whole, 16, 16), (16, 16, 16))})
        assert all(16 - (b - a) >= 4 for a, b in itertools.pairwise(starts))
        assert whole % 2 or not any(start % 2 for start in starts)


def test_a_window_falls_to_its_faces_and_is_whole_within() -> None:
    weight = window((16, 16, 16))
    assert weight[8, 8, 8] == 1
    assert torch.equal(weight, weight.flip(0))
    torch.testing.assert_close(weight, weight.transpose(0, 2))
    along = weight[:8, 8, 8]
    assert bool((along[1:] >= along[:-1]).all())
    assert along[0] == pytest.approx(np.sin(np.pi / 16) ** 2)


def test_the_known_velocity_is_solved_exactly_whatever_the_tiles() -> None:
    asked = task((12, 9, 17))
    for tile in (4, 7, 32):
        refiner = Known()
        found = Refinement(refiner, FlowScheduler("euler"), tile).run(asked, 3)
        torch.testing.assert_close(found, asked.coarse, atol=1e-5, rtol=1e-5)
        assert {shape[0] for shape in refiner.asked} == {1}
        assert all(max(shape[2:]) <= tile for shape in refiner.asked)


def test_velocities_are_the_windowed_mean_of_all_tiles() -> None:
    asked, refiner = task((11, 8, 10)), Local()
    found = Refinement(refiner, FlowScheduler(), 6).velocity(asked.noise, 0.7, asked)
    total, weights = np.zeros((2, 11, 8, 10)), np.zeros((11, 8, 10))
    weight = window((6, 6, 6)).numpy()
    with torch.no_grad():
        whole = refiner(asked.noise, *[torch.zeros(1)], asked.coarse, torch.zeros(1), asked.geometry)
        for box in reversed(places((11, 8, 10), (6, 6, 6))):
            tile, coarse = (one[(..., *box)] for one in (asked.noise, asked.coarse))
            total[(slice(None), *box)] += weight * refiner(tile, None, coarse, None, None)[0].numpy()
            weights[box] += weight
    np.testing.assert_allclose(found[0].detach().numpy(), total / weights, atol=1e-6)
    assert (found - whole).abs().max() > 1e-4


def test_a_tile_does_not_depend_on_the_batch() -> None:
    asked, refiner = task((11, 8, 10)), Local()
    with torch.no_grad():
        one = Refinement(refiner, FlowScheduler(), 6).run(asked, 2)
        five = Refinement(refiner, FlowScheduler(), 6, batch=5).run(asked, 2)
    torch.testing.assert_close(one, five, atol=1e-6, rtol=1e-6)


def test_a_single_tile_is_the_plain_network() -> None:
    asked, refiner = task((5, 6, 7)), Local()
    with torch.no_grad():
        found = Refinement(refiner, FlowScheduler(), 8).velocity(asked.noise, 0.5, asked)
        wanted = refiner(asked.noise, None, asked.coarse, None, None)
    torch.testing.assert_close(found, wanted, atol=1e-6, rtol=1e-5)


class Transformer:
    """A denoiser whose velocity is a sum of all that it is given."""

    def __call__(
        self, latents: Tensor, times: Tensor, text: Tensor, attributes: Tensor, geometry: Tensor, control: Tensor | None
    ) -> Tensor:
        told = text.sum((1, 2)) + attributes.sum(1) + geometry.sum(1) + times
        told = told if control is None else told + control
        return latents + told[:, None, None, None, None]


class Control:
    """Adds the share of the first mask."""

    def __call__(self, denoiser: Transformer, *given: Tensor) -> Tensor:
        return given[-1].mean((1, 2, 3, 4))


def base_task(masks: Tensor | None = None) -> Task:
    ones = torch.ones
    return Task(ones(2, 1, 2, 2, 2), ones(2, 1, 1), ones(2, 4), ones(2, 6), 3 * ones(2, 1, 1), -ones(2, 4), masks)


def test_guidance_leads_away_from_what_is_not_wanted() -> None:
    denoiser = Denoiser(Transformer(), None, FlowScheduler(), Guidance(2.0))
    wanted, unwanted = 1 + (1 + 4 + 6 + 0.5), 1 + (3 - 4 + 6 + 0.5)
    found = denoiser.velocity(torch.ones(2, 1, 2, 2, 2), 0.5, base_task())
    torch.testing.assert_close(found, torch.full_like(found, unwanted + 2 * (wanted - unwanted)))
    masked = base_task(torch.ones(2, 3, 8, 8, 8))
    more = Denoiser(Transformer(), Control(), FlowScheduler(), Guidance(2.0))
    torch.testing.assert_close(more.velocity(torch.ones(2, 1, 2, 2, 2), 0.5, masked), found + 1)


def test_steps_are_told() -> None:
    count = itertools.count(1)
    denoiser = Denoiser(Transformer(), None, FlowScheduler(), Guidance())
    denoiser.run(base_task(), 5, lambda: next(count))
    assert next(count) == 6


def test_microbatches_are_filled_with_their_first() -> None:
    whole = Task(*(torch.arange(5.0).reshape(5, *[1] * 4) for _ in range(6)))
    parts = [(part.noise.flatten().tolist(), n) for part, n in whole.parts(3)]
    assert parts == [([0, 1, 2], 3), ([3, 4, 3], 2)]


def of(size: tuple[int, ...] | None = None, spacing: object = None, *, refines: bool = True) -> CtGrid:
    return grid_of(size, spacing, base=(64, 64, 64), base_spacing=6.0, unit=8, refines=refines)


def test_sizes_are_doublings_of_what_fits_into_the_base() -> None:
    assert of() == CtGrid((64, 64, 64), (6.0, 6.0, 6.0), 0)
    assert of((128, 128, 128)) == CtGrid((128, 128, 128), (3.0, 3.0, 3.0), 1)
    flat = of((256, 512, 512))
    assert (flat.finer, flat.spacing, flat.at(0)) == (3, (0.75,) * 3, CtGrid((32, 64, 64), (6.0, 6.0, 6.0), 0))
    assert of((128, 96, 64), (3, 1.5, 2)).at(0) == CtGrid((64, 48, 32), (6.0, 3.0, 4.0), 0)
    assert of((32, 64, 40)).finer == 0


def test_sizes_that_cannot_be_made() -> None:
    for size, wrong in [((100, 128, 128), "multiples of 16"), ((64, 60, 64), "multiples of 8"), ((64, 64), "three")]:
        with pytest.raises(InputError, match=wrong):
            of(size)
    with pytest.raises(InputError, match="no refiner; give at most 64 × 64 × 64"):
        of((128, 128, 128), refines=False)
    for spacing in (0.0, -1.0, (1.0, 2.0), float("nan"), 1e9):
        with pytest.raises(InputError, match="spacing"):
            of(None, spacing)


def test_all_grids_cover_the_same_field() -> None:
    grid = of((128, 64, 256), (2.0, 3.0, 1.0))
    for finer in range(grid.finer + 1):
        one = grid.at(finer)
        corners = np.array([[-0.5, -0.5, -0.5, 1], [side - 0.5 for side in one.size[::-1]] + [1]])
        np.testing.assert_allclose((corners @ one.affine.T)[:, :3], [[-128, -96, -128], [128, 96, 128]])
    assert np.linalg.det(affine_of((4, 5, 6), (1, 2, 3))[:3, :3]) > 0
