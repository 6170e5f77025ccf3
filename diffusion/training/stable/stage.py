"""The training of a Stable Diffusion pipeline, as a stage of the loop that all models share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from diffusers import StableDiffusionPipeline

from synth.diffusion.training.look import chosen, rows_of
from synth.diffusion.training.order import Share
from synth.diffusion.training.stable.network import LearningUNet
from synth.diffusion.training.stable.noising import Noising

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor, nn

    from synth.diffusion.training.data import TrainingData
    from synth.diffusion.training.latents import LatentCache
    from synth.diffusion.training.stable.settings import StableSettings

__all__ = ["StableStage"]

_SHOWN = 4  # radiographs in a picture
_BATCH = 16  # of validation


class StableStage:
    """See Stage.

    Args:
        pipe: What to train; its U-Net and text encoder are changed.
        settings: How.
        data: Prompts, and who validates.
        latents: Of its radiographs.
    """

    def __init__(
        self, pipe: StableDiffusionPipeline, settings: StableSettings, data: TrainingData, latents: LatentCache
    ) -> None:
        self.settings, self.data, self.cache = settings, data, latents
        self.noising = Noising(
            pipe.scheduler.config,
            prediction=settings.prediction,
            zero_terminal=settings.zero_terminal,
            min_snr=settings.min_snr,
        )
        self.vae, self.tokenizer = pipe.vae, pipe.tokenizer
        self.scheduler = self.noising.sampler(pipe.scheduler)
        self.nets: Sequence[nn.Module] = [LearningUNet(pipe, settings)]
        self.n_train = len(data.train)
        self.device = pipe.device
        self.seen = data.validation[list(chosen(len(data.validation), settings.validate_most))]

    def losses(self, nets: Sequence[nn.Module], share: Share) -> Iterator[tuple[Tensor, Mapping[str, Tensor]]]:
        """The weighted error of the prediction at a time of each example's own."""
        indices = self.data.train[share.indices]
        latents = self.cache.latents(indices, share.uniform((), "variant"))
        phrasing, dropped = share.uniform((2,), "words").T
        ids = self._ids(indices, phrasing, dropped < self.settings.dropout)
        noise, times = self._draws(share)
        errors = self._errors(nets[0], latents, noise, times, ids)
        loss = (self.noising.weights(times).to(errors.device) * errors).mean()
        yield loss, {"loss": loss, "error": errors.mean()}

    def validate(self, net: Any) -> Mapping[str, float]:
        """The error without weights, of first phrasings, with the same noise and times every time."""
        n = len(self.seen)
        ids = self._ids(self.seen, torch.zeros(n), torch.zeros(n, dtype=torch.bool))
        noise, times = self._draws(Share.all_of(self.settings.seed, n))
        errors = []
        for first in range(0, n, _BATCH):
            part = slice(first, first + _BATCH)
            latents = self.cache.latents(self.seen[part])
            errors.append(self._errors(net, latents, noise[part], times[part], ids[part]).cpu())
        return {"loss": float(torch.cat(errors).mean())}

    def picture(self, net: Any) -> NDArray[np.uint8]:
        """Validation radiographs above what is made of their prompts."""
        indices = self.seen[list(chosen(len(self.seen), _SHOWN))]
        pipe = self.pipeline(net)
        pipe.set_progress_bar_config(disable=True)
        size = self.data.pixels.size
        made = pipe(
            [self._prompt(index, 0.0) for index in indices],
            height=size,
            width=size,
            num_inference_steps=self.settings.picture_steps,
            guidance_scale=self.settings.guidance,
            generator=[torch.Generator().manual_seed(seed) for seed in range(len(indices))],
            output_type="np",
        ).images
        levels = torch.from_numpy(made.mean(axis=-1))[:, None] * 2 - 1
        return rows_of(self.data.pixels.images(indices), levels)

    def pipeline(self, net: LearningUNet) -> StableDiffusionPipeline:
        """A pipeline with trained networks, and the scheduler that fits what they predict."""
        return StableDiffusionPipeline(
            self.vae,
            net.text_encoder,
            self.tokenizer,
            net.unet,
            self.scheduler,
            safety_checker=None,
            feature_extractor=None,
            requires_safety_checker=False,
        )

    def _draws(self, share: Share) -> tuple[Tensor, Tensor]:
        """Noise (n, c, h, w) and times (n,)."""
        return share.normal(self.cache.shape), (share.uniform((), "times") * self.noising.steps).long()

    def _errors(self, net: Any, latents: Tensor, noise: Tensor, times: Tensor, ids: Tensor) -> Tensor:
        """(n,) mean squared errors of what is predicted."""
        clean, noise, times, ids = (each.to(self.device) for each in (latents, noise, times, ids))
        predicted = net(self.noising.noisy(clean, noise, times), times, ids)
        return (predicted.float() - self.noising.target(clean, noise, times)).square().mean((1, 2, 3))

    def _ids(self, indices: NDArray[np.int64], phrasing: Tensor, dropped: Tensor) -> Tensor:
        """Tokens (n, l) of prompts, or of none where dropped."""
        texts = [
            "" if drop else self._prompt(index, float(place))
            for index, place, drop in zip(indices, phrasing, dropped, strict=True)
        ]
        encoded = self.tokenizer(
            texts,
            padding="max_length",
            truncation=True,
            max_length=self.tokenizer.model_max_length,
            return_tensors="pt",
        )
        ids: Tensor = encoded.input_ids
        return ids

    def _prompt(self, index: np.int64, place: float) -> str:
        """One phrasing's prompt; places from 0 to 1 count through them."""
        phrasings = self.data.conditions[index]
        return phrasings[int(place * len(phrasings))].prompt()
