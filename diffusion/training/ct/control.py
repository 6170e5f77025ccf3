"""The fourth stage: masks as the condition of the base; its denoiser stays as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from synth.core.errors import InputError
from synth.diffusion.ct.channels import to_network
from synth.diffusion.ct.control import CtControl
from synth.diffusion.flow import interpolate, velocity
from synth.diffusion.training.ct.base import SHOWN, CtDenoising, LatentStage, sampler
from synth.diffusion.training.ct.latents import CtLatents
from synth.diffusion.training.ct.look import pictured
from synth.diffusion.training.finishing import finish, finished, load_model, seeded
from synth.diffusion.training.look import chosen
from synth.diffusion.training.loop import train
from synth.diffusion.training.machine import first_alone
from synth.diffusion.training.settings import StageSettings
from synth.diffusion.training.words import DRAWS, Dropout

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray
    from transformers import PreTrainedTokenizerFast

    from synth.diffusion.ct.autoencoder import CtAutoencoder
    from synth.diffusion.training.ct.volumes import CtData
    from synth.diffusion.training.loop import Run
    from synth.diffusion.training.order import Share

__all__ = ["CtControlSettings", "CtControlStage", "CtControlled", "controlled", "train_ct_control"]


class CtControlSettings(StageSettings):
    """How the control branch is trained.

    Attributes:
        depth: Its layers.
        dropout: What training is not told in words, the masks being told.
        hide: Chance of each structure to be left out of the masks, by itself: users draw a few only.
        picture_steps: Steps in which pictures are sampled.
    """

    depth: int = Field(default=3, ge=1)
    dropout: Dropout = Dropout(everything=0.2)
    hide: float = Field(default=0.2, ge=0, lt=1)
    picture_steps: int = Field(default=8, ge=1)


class CtControlled(nn.Module):
    """Branch and denoiser as training calls them; only the branch learns."""

    def __init__(self, branch: CtControl, denoising: CtDenoising) -> None:
        super().__init__()
        self.branch = branch
        self.denoiser, self.encoder = denoising.denoiser, denoising.encoder

    def forward(
        self,
        latents: Tensor,
        noise: Tensor,
        times: Tensor,
        ids: Tensor,
        attributes: Tensor,
        geometry: Tensor,
        masks: Tensor,
    ) -> Tensor:
        """(n,) mean squared errors of the velocity."""
        noisy, text = interpolate(latents, noise, times), self.encoder(ids)
        added = self.branch(self.denoiser, noisy, times, text, attributes, geometry, masks)
        predicted = self.denoiser(noisy, times, text, attributes, geometry, added)
        return (predicted.float() - velocity(latents, noise)).square().flatten(1).mean(1)


def train_ct_control(
    settings: CtControlSettings,
    data: CtData,
    out: Path,
    run: Run,
    *,
    autoencoder: CtAutoencoder,
    denoising: CtDenoising,
    tokenizer: PreTrainedTokenizerFast,
) -> CtControl:
    """Trains a control branch, or loads the one that is trained already.

    Args:
        settings: How.
        data: CTs, masks and conditions.
        out: The stage's folder; the model comes to out/model.
        run: This call.
        autoencoder: Trained.
        denoising: Trained.
        tokenizer: Of its encoder.

    Raises:
        InputError: The data has no masks, sizes that do not fit, or see `train`.
        InterruptedRun: Stopped; a checkpoint is there.
    """
    done: CtControl | None = finished(CtControl, out, settings, run)
    if done is not None:
        return done
    if not data.known.any():
        raise InputError("control: the data has no masks; leave this stage out")
    if settings.depth > int(denoising.denoiser.config.depth):
        raise InputError(f"control.depth {settings.depth}: the base has {denoising.denoiser.config.depth} layers")
    with first_alone(run.accelerator):
        latents = CtLatents.open(autoencoder, data, 0)
    net = controlled(settings, autoencoder, denoising).to(run.accelerator.device)
    stage = CtControlStage(net, settings, data, latents, tokenizer, autoencoder)
    judged, scores = train(stage, settings, run, out)
    finish(judged.branch, out, settings, scores, run)
    stored: CtControl = load_model(CtControl, out / "model", run)
    return stored


def controlled(settings: CtControlSettings, autoencoder: CtAutoencoder, denoising: CtDenoising) -> CtControlled:
    """The networks before the first step.

    Raises:
        InputError: A token covers an odd number of voxels.
    """
    voxels = autoencoder.factor * int(denoising.denoiser.config.patch)
    if voxels % 2:
        raise InputError(f"control: a token of the base covers {voxels} voxels a side; train one with an even number")
    with seeded(settings.seed):
        branch = CtControl.beside(denoising.denoiser, autoencoder.names, voxels=voxels, depth=settings.depth)
    return CtControlled(branch, denoising.requires_grad_(False))


class CtControlStage(LatentStage[CtControlSettings]):
    """See Stage."""

    def also(self, indices: NDArray[np.int64]) -> tuple[Tensor, ...]:
        """Their masks."""
        return (self._masks(indices),)

    def losses(self, nets: Sequence[nn.Module], share: Share) -> Iterator[tuple[Tensor, Mapping[str, Tensor]]]:
        """The error of the velocity with masks."""
        settings, indices = self.settings, self.data.train[share.indices]
        words = self.words.drawn(indices, share.uniform((DRAWS,), "words"), settings.dropout)
        masks = self._masks(indices)
        told = share.uniform((masks.shape[1],), "structures") >= settings.hide
        shown = masks * told[:, :, None, None, None]
        given = self.given(indices, share.normal(self.cache.shape), self.times(share), *words)
        loss = nets[0](*given, shown.to(self.device)).mean()
        yield loss, {"loss": loss}

    def picture(self, net: CtControlled) -> NDArray[np.uint8]:
        """Validation masks, above samples that were asked for them and for nothing else."""
        indices = self.seen[list(chosen(len(self.seen), SHOWN))]
        masks = self._masks(indices)
        denoising = CtDenoising(net.denoiser, net.encoder)
        pipeline = sampler(self.autoencoder, denoising, self.tokenizer, self.data, self.settings.picture_steps)
        pipeline.register_modules(control=net.branch)
        made = pipeline([""] * len(indices), masks=masks.numpy() > 0)
        dark = torch.cat([torch.full_like(masks[:, :1], -1), masks * 2 - 1], 1)
        return pictured(dark, to_network(made.hu, made.masks))

    def _masks(self, indices: NDArray[np.int64]) -> Tensor:
        """(k, m, z, y, x) float32, 0 or 1."""
        return torch.from_numpy(np.stack([self.data.levels[0].masks(int(index)) for index in indices])).float()
