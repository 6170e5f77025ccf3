"""One microbatch from noise to latents: the loop of the pipeline, without its checks."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from diffusers import SchedulerMixin
    from torch import Tensor

    from synth.diffusion.cxr.control import ControlBranch
    from synth.diffusion.cxr.transformer import CxrTransformer
    from synth.diffusion.flow import Guidance

__all__ = ["Denoiser", "Task"]


@dataclass(frozen=True, eq=False)
class Task:
    """What pictures are to become; all tensors are (n, …).

    Attributes:
        noise: What they start from, (n, c, h, w) float32.
        text: Embeddings of impressions.
        attributes: See `synth.diffusion.text.conditions.encode`.
        no_text: What guidance leads away from.
        no_attributes: Likewise.
        known: Latents of images to start at, float32.
        free: (n, 1, h, w) float32, 1 where the image may change.
        masks: (n, structures, H, W) for the control branch.
    """

    noise: Tensor
    text: Tensor
    attributes: Tensor
    no_text: Tensor
    no_attributes: Tensor
    known: Tensor | None = None
    free: Tensor | None = None
    masks: Tensor | None = None

    def parts(self, size: int) -> Iterator[tuple[Task, int]]:
        """Microbatches, all of the same size: the last is filled up with its first picture; and how many count."""
        whole = len(self.noise)
        for first in range(0, whole, size):
            rows = [row if row < whole else first for row in range(first, first + size)]
            part = {key: None if value is None else value[rows] for key, value in vars(self).items()}
            yield Task(**part), min(size, whole - first)


@dataclass(frozen=True, eq=False)
class Denoiser:
    """The networks and the solver. What they are asked may be in half precision, the sums are in float32.

    Attributes:
        transformer: Predicts velocities.
        control: Makes radiographs of masks.
        scheduler: Any flow-matching scheduler of diffusers.
        guidance: How strongly conditions are followed.
    """

    transformer: CxrTransformer
    control: ControlBranch | None
    scheduler: SchedulerMixin
    guidance: Guidance

    def run(self, task: Task, steps: int, start: float = 1.0) -> Tensor:
        """The latents, float32.

        Args:
            task: What they are to become.
            steps: How many.
            start: The time to start at; below 1 with `known` latents.
        """
        scheduler = self.scheduler
        scheduler.set_timesteps(sigmas=[start * (1 - k / steps) for k in range(steps)], device=task.noise.device)
        sample = task.noise
        if task.known is not None:
            sample = scheduler.scale_noise(task.known, scheduler.timesteps[:1], task.noise)
        for at, (time, following) in enumerate(pairwise(scheduler.sigmas.tolist())):
            slope = self.velocity(sample, time, task)
            sample = scheduler.step(slope, scheduler.timesteps[at], sample, return_dict=False)[0]
            if task.known is not None and task.free is not None:
                noised = (1 - following) * task.known + following * task.noise
                sample = task.free * sample + (1 - task.free) * noised
        return sample

    def velocity(self, sample: Tensor, time: float, task: Task) -> Tensor:
        """Where latents move to, float32; both predictions of guidance in one forward."""
        text, attributes, both = task.text, task.attributes, self.guidance.at(time)
        asked = sample.to(text.dtype)
        if both:
            asked = torch.cat([asked, asked])
            text, attributes = torch.cat([text, task.no_text]), torch.cat([attributes, task.no_attributes])
        times = torch.full((len(asked),), time, device=sample.device)
        added = None
        if task.masks is not None and self.control is not None:
            masks = torch.cat([task.masks, task.masks]) if both else task.masks
            added = self.control(self.transformer, asked, times, text, attributes, masks)
        slope: Tensor = self.transformer(asked, times, text, attributes, added).float()
        return self.guidance.mix(*slope.chunk(2)) if both else slope
