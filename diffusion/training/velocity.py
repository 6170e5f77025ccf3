"""What the stages that learn a velocity have in common: latents, words, and a validation that never changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

import torch
from torch import Tensor, nn

from synth.diffusion.training.look import chosen
from synth.diffusion.training.order import Share
from synth.diffusion.training.words import Words

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray
    from transformers import PreTrainedTokenizerFast

    from synth.diffusion.cxr.autoencoder import CxrAutoencoder
    from synth.diffusion.training.data import TrainingData
    from synth.diffusion.training.latents import LatentCache
    from synth.diffusion.training.settings import StageSettings

__all__ = ["VelocityStage"]

Settings = TypeVar("Settings", bound="StageSettings")


class VelocityStage(Generic[Settings]):
    """See Stage.

    Args:
        net: What is trained.
        settings: How.
        data: Masks and conditions, and who validates.
        latents: Of its radiographs.
        tokenizer: Of the encoder.
        autoencoder: That made the latents; draws the pictures.
    """

    validation_batch = 64

    def __init__(
        self,
        net: nn.Module,
        settings: Settings,
        data: TrainingData,
        latents: LatentCache,
        tokenizer: PreTrainedTokenizerFast,
        autoencoder: CxrAutoencoder,
    ) -> None:
        self.nets: Sequence[nn.Module] = [net]
        self.settings, self.data, self.cache = settings, data, latents
        self.tokenizer, self.autoencoder = tokenizer, autoencoder
        self.words = Words.of(data.conditions, tokenizer)
        self.n_train = len(data.train)
        self.device = next(net.parameters()).device
        self.seen = data.validation[list(chosen(len(data.validation), settings.validate_most))]

    def times(self, share: Share) -> Tensor:
        """Where on the path the network is asked."""
        return share.times(0.0, 1.0)

    def also(self, indices: NDArray[np.int64]) -> tuple[Tensor, ...]:
        """What the network is given of these radiographs besides latents and words."""
        return ()

    def validate(self, net: nn.Module) -> Mapping[str, float]:
        """The error of the velocity with fixed noise and times and nothing left out."""
        share = Share.all_of(self.settings.seed, len(self.seen))
        noise, times = share.normal(self.cache.shape), self.times(share)
        errors = []
        for first in range(0, len(share), self.validation_batch):
            part = slice(first, first + self.validation_batch)
            indices = self.seen[part]
            given = self.cache.latents(indices), noise[part], times[part], *self.words.first(indices)
            errors.append(net(*self.moved(*given, *self.also(indices))).float().cpu())
        return {"loss": float(torch.cat(errors).mean())}

    def moved(self, *tensors: Tensor) -> list[Tensor]:
        """To where the network is."""
        return [tensor.to(self.device) for tensor in tensors]
