"""From noise to data in few steps: a diffusers scheduler of second order at the cost of the first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import torch
from diffusers import ConfigMixin, SchedulerMixin
from diffusers.configuration_utils import register_to_config
from diffusers.utils import BaseOutput

from synth.core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

__all__ = ["FlowScheduler", "FlowSchedulerOutput"]

_TRAIN_STEPS = 1000  # timesteps are times × 1000, as all flow schedulers of diffusers have them


@dataclass
class FlowSchedulerOutput(BaseOutput):
    """A step's result.

    Attributes:
        prev_sample: The sample at the next time.
    """

    prev_sample: Tensor


class FlowScheduler(SchedulerMixin, ConfigMixin):
    """Solves the flow's differential equation; exchangeable with diffusers' FlowMatchEulerDiscreteScheduler.

    "euler" is that scheduler. "adams" remembers the last velocity (Adams–Bashforth of second order with variable
    steps; Hairer, Nørsett and Wanner, Solving Ordinary Differential Equations I, III.5): the error falls with the
    square of the number of steps, and a step still asks the network once.

    Args:
        solver: "adams" or "euler".
        shift: Above 1 spends more steps on noisy samples: t → s·t / (1 + (s − 1)·t) (Esser et al. 2024,
            arXiv:2403.03206, eq. 23).
        num_train_timesteps: What times are multiplied by to become timesteps.
    """

    order = 1
    init_noise_sigma = 1.0

    @register_to_config
    def __init__(
        self,
        solver: Literal["adams", "euler"] = "adams",
        shift: float = 1.0,
        num_train_timesteps: int = _TRAIN_STEPS,
    ) -> None:
        if solver not in ("adams", "euler"):
            raise InputError(f"solver {solver!r}: use adams or euler")
        if not shift > 0:
            raise InputError(f"shift {shift:g}: give more than 0")
        self.set_timesteps(num_train_timesteps)

    def set_timesteps(
        self,
        num_inference_steps: int | None = None,
        device: str | torch.device | None = None,
        *,
        sigmas: Sequence[float] | None = None,
    ) -> None:
        """Sets the times between steps.

        Args:
            num_inference_steps: Steps, evenly from 1 to 0 before the shift.
            device: Where `timesteps` and `sigmas` are wanted.
            sigmas: Times instead, descending, without the final 0; the shift still applies.

        Raises:
            InputError: No step.
        """
        if sigmas is None:
            steps = num_inference_steps or 0
            if not 1 <= steps <= 10_000:
                raise InputError(f"steps {steps}: give 1 to 10000")
            sigmas = [1 - k / steps for k in range(steps)]
        times = torch.tensor([*sigmas, 0.0], dtype=torch.float64)
        shift = self.config.shift
        times = shift * times / (1 + (shift - 1) * times)
        self.sigmas = times.float().to(device or "cpu")
        self.timesteps = self.sigmas[:-1] * self.config.num_train_timesteps
        self.num_inference_steps = len(self.timesteps)
        self._begin_index: int | None = None
        self._at: int | None = None
        self._last: tuple[Tensor, float] | None = None

    def set_begin_index(self, begin_index: int = 0) -> None:
        """Starts later, at an image that is only partly noise."""
        self._begin_index = begin_index

    def step(
        self, model_output: Tensor, timestep: float | Tensor, sample: Tensor, return_dict: bool = True
    ) -> FlowSchedulerOutput | tuple[Tensor]:
        """One step towards data.

        Args:
            model_output: The velocity, noise − data.
            timestep: One of `timesteps`.
            sample: At that timestep.
            return_dict: Whether to return an object with `prev_sample`, or a tuple.
        """
        if self._at is None:
            self._at = self._place(timestep)
        now, following = float(self.sigmas[self._at]), float(self.sigmas[self._at + 1])
        step, direction = following - now, model_output
        if self.config.solver == "adams" and self._last is not None:
            share = step / (2 * self._last[1])
            direction = (1 + share) * model_output - share * self._last[0]
        self._last = model_output, step
        self._at += 1
        moved = sample + step * direction
        return FlowSchedulerOutput(prev_sample=moved) if return_dict else (moved,)

    def scale_noise(self, sample: Tensor, timestep: float | Tensor, noise: Tensor) -> Tensor:
        """Data brought to a timestep with noise: where image-to-image and inpainting start."""
        time = float(torch.as_tensor(timestep).flatten()[0]) / self.config.num_train_timesteps
        return time * noise + (1 - time) * sample

    def __len__(self) -> int:
        return int(self.config.num_train_timesteps)

    def _place(self, timestep: float | Tensor) -> int:
        if self._begin_index is not None:
            return self._begin_index
        wanted = float(torch.as_tensor(timestep).flatten()[0])
        return int((self.timesteps - wanted).abs().argmin())
