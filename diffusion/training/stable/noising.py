"""The noise that Stable Diffusion learns to remove, in discrete steps, and what is asked of the network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from diffusers import DDIMScheduler, DDPMScheduler

from synth.core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

__all__ = ["Noising"]

_PREDICTIONS = ("epsilon", "v_prediction")


class Noising:
    """q(x_t | x) = N(√ᾱ_t x, 1 - ᾱ_t) of a pipeline's scheduler.

    Args:
        config: The scheduler's.
        prediction: "epsilon", "v_prediction", or "model" for what the scheduler says.
        zero_terminal: Whether ᾱ is rescaled so that it ends at zero.
        min_snr: γ of the weights; None: all are one.

    Attributes:
        prediction: One of the first two.

    Raises:
        InputError: A prediction that is not trained here, or noise to be predicted from noise alone.
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        *,
        prediction: str = "model",
        zero_terminal: bool = False,
        min_snr: float | None = None,
    ) -> None:
        self.prediction = str(config.get("prediction_type", "epsilon")) if prediction == "model" else prediction
        if self.prediction not in _PREDICTIONS:
            raise InputError(
                f"prediction {self.prediction!r}: the model's is not trained here; set one of {_PREDICTIONS}"
            )
        rescaled = zero_terminal or bool(config.get("rescale_betas_zero_snr"))
        if rescaled and self.prediction == "epsilon":
            raise InputError("zero_terminal: the model predicts noise; set prediction: v_prediction as well")
        self._schedule = DDPMScheduler.from_config(
            config, prediction_type=self.prediction, rescale_betas_zero_snr=rescaled
        )
        self._rescaled, self._min_snr = rescaled, min_snr

    @property
    def steps(self) -> int:
        """T: times are 0 … T - 1."""
        return int(self._schedule.config.num_train_timesteps)

    def snr(self, times: Tensor) -> Tensor:
        """ᾱ / (1 - ᾱ) of times (n,)."""
        kept = self._schedule.alphas_cumprod.to(times.device)[times]
        return kept / (1 - kept)

    def noisy(self, clean: Tensor, noise: Tensor, times: Tensor) -> Tensor:
        """√ᾱ x + √(1 - ᾱ) ε, for latents (n, c, h, w) and times (n,)."""
        mixed: Tensor = self._schedule.add_noise(clean, noise, times)
        return mixed

    def target(self, clean: Tensor, noise: Tensor, times: Tensor) -> Tensor:
        """ε, or v = √ᾱ ε - √(1 - ᾱ) x (Salimans and Ho 2022, arXiv:2202.00512)."""
        if self.prediction == "epsilon":
            return noise
        velocity: Tensor = self._schedule.get_velocity(clean, noise, times)
        return velocity

    def weights(self, times: Tensor) -> Tensor:
        """(n,) weights of squared errors: min(SNR, γ) of the picture's, as weights of the prediction's."""
        if self._min_snr is None:
            return torch.ones(len(times), device=times.device)
        snr = self.snr(times)
        return snr.clamp(max=self._min_snr) / (snr if self.prediction == "epsilon" else snr + 1)

    def sampler(self, scheduler: Any) -> Any:
        """The scheduler of the trained pipeline: the one it had, or DDIM where noise ends in nothing but noise.

        Sampling then begins at the very last step, as Lin et al. (2024, sec. 3.3) ask.
        """
        changes: dict[str, Any] = {"prediction_type": self.prediction}
        if not self._rescaled:
            return type(scheduler).from_config(scheduler.config, **changes)
        changes |= {"rescale_betas_zero_snr": True, "timestep_spacing": "trailing", "clip_sample": False}
        return DDIMScheduler.from_config(scheduler.config, **changes)
