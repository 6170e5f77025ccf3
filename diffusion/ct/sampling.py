"""From noise to latents: the base on its whole grid, and finer grids by overlapping tiles.

Finer latents are moved by velocities that are averaged over tiles at every step, as in MultiDiffusion (Bar-Tal et al.
2023, arXiv:2302.08113): no tile is finished before its neighbours, so that there is nothing to stitch afterwards.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise, product
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from diffusers import SchedulerMixin
    from torch import Tensor

    from synth.diffusion.ct.control import CtControl
    from synth.diffusion.ct.refiner import CtRefiner
    from synth.diffusion.ct.transformer import CtTransformer
    from synth.diffusion.flow import Guidance

__all__ = ["Denoiser", "FineTask", "Refinement", "Task", "geometry_of", "places", "window"]

_OVERLAP = 0.25
"""Share of a tile that it has in common with the next one at least."""


@dataclass(frozen=True, eq=False)
class Task:
    """What volumes of the base are to become; all tensors are (n, …).

    Attributes:
        noise: What they start from, (n, c, d, h, w) float32.
        text: Embeddings of impressions.
        attributes: See `synth.diffusion.text.conditions.encode`.
        geometry: (n, 6), see `geometry_of`.
        no_text: What guidance leads away from.
        no_attributes: Likewise.
        masks: (n, structures, D, H, W) for the control branch, on the voxels of the base.
    """

    noise: Tensor
    text: Tensor
    attributes: Tensor
    geometry: Tensor
    no_text: Tensor
    no_attributes: Tensor
    masks: Tensor | None = None

    def parts(self, size: int) -> Iterator[tuple[Task, int]]:
        """Microbatches, all of the same size: the last is filled up with its first volume; and how many count."""
        whole = len(self.noise)
        for first in range(0, whole, size):
            rows = [row if row < whole else first for row in range(first, first + size)]
            part = {key: None if value is None else value[rows] for key, value in vars(self).items()}
            yield Task(**part), min(size, whole - first)


@dataclass(frozen=True, eq=False)
class Denoiser:
    """The networks of the base and the solver. Networks may be in half precision, the sums are in float32.

    Attributes:
        transformer: Predicts velocities.
        control: Makes CTs of masks.
        scheduler: Any flow-matching scheduler of diffusers.
        guidance: How strongly conditions are followed.
    """

    transformer: CtTransformer
    control: CtControl | None
    scheduler: SchedulerMixin
    guidance: Guidance

    def run(self, task: Task, steps: int, told: Callable[[], None] = lambda: None) -> Tensor:
        """The latents, float32.

        Args:
            task: What they are to become.
            steps: How many.
            told: Called after each.
        """
        return _solved(self.scheduler, task.noise, steps, lambda sample, time: self.velocity(sample, time, task), told)

    def velocity(self, sample: Tensor, time: float, task: Task) -> Tensor:
        """Where latents move to, float32; both predictions of guidance in one forward."""
        text, attributes, geometry = task.text, task.attributes, task.geometry
        both, asked = self.guidance.at(time), sample.to(task.text.dtype)
        if both:
            asked, geometry = torch.cat([asked, asked]), torch.cat([geometry, geometry])
            text, attributes = torch.cat([text, task.no_text]), torch.cat([attributes, task.no_attributes])
        times = torch.full((len(asked),), time, device=sample.device)
        added = None
        if task.masks is not None and self.control is not None:
            masks = torch.cat([task.masks, task.masks]) if both else task.masks
            added = self.control(self.transformer, asked, times, text, attributes, geometry, masks)
        slope: Tensor = self.transformer(asked, times, text, attributes, geometry, added).float()
        return self.guidance.mix(*slope.chunk(2)) if both else slope


@dataclass(frozen=True, eq=False)
class FineTask:
    """What one volume's latents on a finer grid are to become.

    Attributes:
        noise: (1, c, d, h, w) float32, of the whole grid: tiles take their part of it.
        coarse: The same shape: latents of the enlarged coarse volume, with their noise.
        level: Share of noise in them, see `synth.diffusion.flow.interpolate`.
        geometry: (1, 6) of the whole grid.
    """

    noise: Tensor
    coarse: Tensor
    level: float
    geometry: Tensor


@dataclass(frozen=True, eq=False)
class Refinement:
    """The refiner and the solver.

    Attributes:
        refiner: Predicts velocities of a tile.
        scheduler: Any flow-matching scheduler of diffusers.
        tile: Latent voxels along each side of a tile; smaller grids are one tile.
        batch: Tiles that the network is given at once.
    """

    refiner: CtRefiner
    scheduler: SchedulerMixin
    tile: int
    batch: int = 1

    def run(self, task: FineTask, steps: int, told: Callable[[], None] = lambda: None) -> Tensor:
        """The latents (1, c, d, h, w), float32.

        Args:
            task: What they are to become.
            steps: How many.
            told: Called after each.
        """
        return _solved(self.scheduler, task.noise, steps, lambda sample, time: self.velocity(sample, time, task), told)

    def velocity(self, sample: Tensor, time: float, task: FineTask) -> Tensor:
        """Where latents move to: the mean of what all tiles predict, weighted by their windows, float32."""
        shape = tuple(sample.shape[2:])
        sides = tuple(min(self.tile, side) for side in shape)
        boxes, weight = places(shape, sides), window(sides).to(sample.device)
        total, weights = torch.zeros_like(sample), torch.zeros_like(sample[:, :1])
        for first in range(0, len(boxes), self.batch):
            some = boxes[first : first + self.batch]
            for box, slope in zip(some, self._slopes(sample, time, task, some), strict=False):
                total[(..., *box)] += weight * slope
                weights[(..., *box)] += weight
        return total / weights

    def _slopes(self, sample: Tensor, time: float, task: FineTask, boxes: Sequence[tuple[slice, ...]]) -> Tensor:
        """(batch, c, …) of tiles; the last batch is filled up, so that a tile's prediction never depends on it."""
        filled = [*boxes, *[boxes[0]] * (self.batch - len(boxes))]
        dtype, n = next(self.refiner.parameters()).dtype, len(filled)
        tiles, coarse = (torch.cat([one[(..., *box)] for box in filled]) for one in (sample, task.coarse))
        levels, times = (torch.full((n,), value, device=sample.device) for value in (task.level, time))
        slopes: Tensor = self.refiner(tiles.to(dtype), times, coarse.to(dtype), levels, task.geometry.expand(n, -1))
        return slopes.float()


def geometry_of(size: Sequence[int], spacing: Sequence[float]) -> Tensor:
    """(1, 6) float32: spacing and extent along z, y, x in mm, of the whole grid, also where tiles of it are asked for.

    Args:
        size: (z, y, x) voxels.
        spacing: (z, y, x) mm.
    """
    extent = [side * mm for side, mm in zip(size, spacing, strict=True)]
    return torch.tensor([[*spacing, *extent]], dtype=torch.float32)


def places(shape: Sequence[int], sides: Sequence[int]) -> list[tuple[slice, ...]]:
    """Boxes of the same sides that cover a grid, evenly spread, always in the same order.

    Of even grids and sides they begin at even places, as the refiner works on pairs of voxels.

    Args:
        shape: Of the grid.
        sides: Of a box, at most those of the grid.
    """
    along = []
    for whole, side in zip(shape, sides, strict=True):
        unit = 1 if whole % 2 or side % 2 else 2
        step, rest = max(side - round(_OVERLAP * side / unit) * unit, 1), (whole - side) // unit
        n = 1 + math.ceil((whole - side) / step)
        starts = [round(k * rest / max(n - 1, 1)) * unit for k in range(n)]
        along.append([slice(start, start + side) for start in starts])
    return list(product(*along))


def window(sides: Sequence[int]) -> Tensor:
    """Weights of a tile, above 0 and at most 1: along each axis they rise as sin² over what tiles share."""
    weight = torch.ones(())
    for side in sides:
        shared = max(round(_OVERLAP * side), 1)
        inwards = torch.minimum(torch.arange(side), torch.arange(side - 1, -1, -1))
        ramp = torch.sin(math.pi / 2 * ((inwards + 0.5) / shared).clamp(max=1)) ** 2
        weight = weight[..., None] * ramp
    return weight


def _solved(
    scheduler: SchedulerMixin,
    sample: Tensor,
    steps: int,
    velocity: Callable[[Tensor, float], Tensor],
    told: Callable[[], None],
) -> Tensor:
    scheduler.set_timesteps(sigmas=[1 - k / steps for k in range(steps)], device=sample.device)
    for at, (time, _) in enumerate(pairwise(scheduler.sigmas.tolist())):
        slope = velocity(sample, time)
        sample = scheduler.step(slope, scheduler.timesteps[at], sample, return_dict=False)[0]
        told()
    return sample
