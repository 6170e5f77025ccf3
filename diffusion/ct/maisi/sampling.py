"""From noise to a volume: the loop over the steps of MONAI's schedulers, and the decoder in sliding windows.

Noise and solver stay on the CPU, in float32: the same seed gives the same noise on any device. Both predictions of
guidance are asked for one after the other, since memory is what large volumes lack.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from synth.core.errors import InputError
from synth.diffusion.flow import noise_of, noise_seed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor, nn

    from synth.diffusion.flow import Guidance

__all__ = ["Sampler", "Task", "decoded", "takes_all_steps"]


@dataclass(frozen=True, eq=False)
class Task:
    """What one volume is to become; tensors are (1, …) on the device.

    Attributes:
        spacing: (1, 3) along x, y, z, mm × 100.
        top: (1, 4) one-hot × 100, the uppermost region; None where the model does not ask.
        bottom: Likewise, the lowest.
        modality: (1,) class; None where the model does not ask.
        planes: (1, 8, x, y, z) bits of the label map, for the ControlNet.
        no_planes: Of the map without tumours, from which guidance leads away.
    """

    spacing: Tensor
    top: Tensor | None = None
    bottom: Tensor | None = None
    modality: Tensor | None = None
    planes: Tensor | None = None
    no_planes: Tensor | None = None

    def without(self) -> Task:
        """What guidance leads away from."""
        none = None if self.modality is None else torch.zeros_like(self.modality)
        return Task(self.spacing, self.top, self.bottom, none, self.no_planes)


@dataclass(frozen=True, eq=False)
class Sampler:
    """The networks and the solver.

    Attributes:
        denoiser: Predicts noise (DDPM) or velocity (rectified flow).
        controlnet: Of label maps; None where there are none.
        scheduler: Of MONAI.
        guidance: How strongly modality and tumours are followed.
        dtype: In which the networks compute.
    """

    denoiser: nn.Module
    controlnet: nn.Module | None
    scheduler: Any
    guidance: Guidance
    dtype: torch.dtype

    def run(
        self,
        task: Task,
        shape: Sequence[int],
        seed: int,
        steps: int,
        progress: Callable[[int, int], None] | None = None,
    ) -> Tensor:
        """(1, c, x, y, z) float32 on the CPU: scaled latents.

        Args:
            task: What they are to become.
            shape: (c, x, y, z).
            seed: Of the noise.
            steps: How many.
            progress: Told the steps done and all of them.

        Raises:
            InputError: A number of steps that the scheduler cannot take.
        """
        scheduler, flows = self.scheduler, not takes_all_steps(self.scheduler)
        if not 1 <= steps <= scheduler.num_train_timesteps or not (flows or steps == scheduler.num_train_timesteps):
            fitting = f"1 to {scheduler.num_train_timesteps}" if flows else f"{scheduler.num_train_timesteps}"
            raise InputError(f"steps {steps}: this model's {type(scheduler).__name__} takes {fitting}")
        sample = noise_of([seed], shape)
        if flows:
            scheduler.set_timesteps(steps, input_img_size_numel=sample[0, 0].numel())
        else:
            scheduler.set_timesteps(steps)
        times = scheduler.timesteps.tolist()
        generator = torch.Generator().manual_seed(noise_seed(seed, 0, "steps"))
        for done, (time, following) in enumerate(zip(times, [*times[1:], 0], strict=True), 1):
            slope = self._predicted(sample, time, task)
            if flows:
                sample, _ = scheduler.step(slope, time, sample, following)
            else:
                sample, _ = scheduler.step(slope, time, sample, generator)
            if progress is not None:
                progress(done, steps)
        return sample

    def _predicted(self, sample: Tensor, time: float, task: Task) -> Tensor:
        slope = self._asked(sample, time, task)
        if self.guidance.at(time / self.scheduler.num_train_timesteps):
            slope = self.guidance.mix(slope, self._asked(sample, time, task.without()))
        return slope

    def _asked(self, sample: Tensor, time: float, task: Task) -> Tensor:
        device = task.spacing.device
        latents, times = sample.to(device), torch.tensor([time], dtype=torch.float32, device=device)
        added: dict[str, Any] = {}
        with torch.autocast(device.type, self.dtype, enabled=self.dtype != torch.float32):
            if self.controlnet is not None and task.planes is not None:
                down, middle = self.controlnet(latents, times, task.planes, class_labels=task.modality)
                added = {"down_block_additional_residuals": down, "mid_block_additional_residual": middle}
            slope: Tensor = self.denoiser(
                latents,
                times,
                class_labels=task.modality,
                top_region_index_tensor=task.top,
                bottom_region_index_tensor=task.bottom,
                spacing_tensor=task.spacing,
                **added,
            )
        return slope.float().cpu()


def takes_all_steps(scheduler: Any) -> bool:
    """Whether a scheduler cannot leave out steps: DDPM's formula of a step is that of neighbouring times."""
    return not hasattr(scheduler, "use_timestep_transform")


def decoded(
    autoencoder: nn.Module, latents: Tensor, window: Sequence[int], overlap: float, dtype: torch.dtype
) -> Tensor:
    """(1, 1, x, y, z) float32 on the CPU, of latents on the CPU, a window at a time.

    The decoder's norms look at a whole window; windows are blended by a Gaussian where they overlap, as MAISI does.

    Args:
        autoencoder: On its device.
        latents: (1, c, x, y, z), not scaled.
        window: Latent voxels of a window along x, y, z.
        overlap: Share of a window, 0 to below 1.
        dtype: In which the decoder computes.
    """
    from monai.inferers.inferer import SlidingWindowInferer

    device = next(autoencoder.parameters()).device

    def decode(part: Tensor) -> Tensor:
        with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
            made: Tensor = autoencoder.decode_stage_2_outputs(part)
        return made.float()

    sides = [min(one, there) for one, there in zip(window, latents.shape[2:], strict=True)]
    if sides == list(latents.shape[2:]):
        return decode(latents.to(device)).cpu()
    slide = SlidingWindowInferer(
        sides, sw_batch_size=1, overlap=overlap, mode="gaussian", sw_device=device, device=torch.device("cpu")
    )
    whole: Tensor = slide(latents, decode)
    return whole
