"""The fourth stage: masks as the condition; the denoiser stays as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from synth.core.errors import InputError
from synth.diffusion.cxr.control import ControlBranch
from synth.diffusion.cxr.pipeline import CxrPipeline
from synth.diffusion.flow import FlowScheduler, interpolate, velocity
from synth.diffusion.training.finishing import finish, finished, load_model, seeded
from synth.diffusion.training.latents import LatentCache, Variants
from synth.diffusion.training.look import chosen, rows_of, tinted
from synth.diffusion.training.loop import train
from synth.diffusion.training.machine import first_alone
from synth.diffusion.training.settings import StageSettings
from synth.diffusion.training.velocity import VelocityStage
from synth.diffusion.training.words import DRAWS, Dropout

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray
    from transformers import PreTrainedTokenizerFast

    from synth.diffusion.cxr.autoencoder import CxrAutoencoder
    from synth.diffusion.training.data import TrainingData
    from synth.diffusion.training.denoiser import Denoising
    from synth.diffusion.training.loop import Run
    from synth.diffusion.training.order import Share

__all__ = ["ControlSettings", "ControlStage", "Controlled", "train_control"]

_SHOWN = 8  # radiographs in a picture


class ControlSettings(StageSettings):
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


class Controlled(nn.Module):
    """Branch and denoiser as training calls them; only the branch learns."""

    def __init__(self, branch: ControlBranch, denoising: Denoising) -> None:
        super().__init__()
        self.branch = branch
        self.denoiser, self.encoder = denoising.denoiser, denoising.encoder

    def forward(
        self, latents: Tensor, noise: Tensor, times: Tensor, ids: Tensor, attributes: Tensor, masks: Tensor
    ) -> Tensor:
        """(n,) mean squared errors of the velocity."""
        noisy, text = interpolate(latents, noise, times), self.encoder(ids)
        added = self.branch(self.denoiser, noisy, times, text, attributes, masks)
        predicted = self.denoiser(noisy, times, text, attributes, added)
        return (predicted.float() - velocity(latents, noise)).square().mean((1, 2, 3))


def train_control(
    settings: ControlSettings,
    data: TrainingData,
    out: Path,
    run: Run,
    *,
    autoencoder: CxrAutoencoder,
    denoising: Denoising,
    tokenizer: PreTrainedTokenizerFast,
) -> ControlBranch:
    """Trains a control branch, or loads the one that is trained already.

    Args:
        settings: How.
        data: Images, masks and conditions.
        out: The stage's folder; the model comes to out/model.
        run: This call.
        autoencoder: Trained.
        denoising: Trained.
        tokenizer: Of its encoder.

    Raises:
        InputError: The data has no masks, sizes that do not fit, or see `train`.
        InterruptedRun: Stopped; a checkpoint is there.
    """
    done: ControlBranch | None = finished(ControlBranch, out, settings, run)
    if done is not None:
        return done
    pixels = autoencoder.factor * int(denoising.denoiser.config.patch)
    if not data.structures:
        raise InputError("control: the data has no masks; leave this stage out")
    if pixels % 4 or settings.depth > int(denoising.denoiser.config.depth):
        raise InputError(
            f"control: depth {settings.depth} is more than the denoiser's, or {pixels} pixels to a token no 4k"
        )
    with first_alone(run.accelerator):
        latents = LatentCache.open(autoencoder, data, Variants(), seed=settings.seed)
    with seeded(settings.seed):
        branch = ControlBranch.beside(denoising.denoiser, data.structures, pixels=pixels, depth=settings.depth)
    net = Controlled(branch, denoising.requires_grad_(False)).to(run.accelerator.device)
    stage = ControlStage(net, settings, data, latents, tokenizer, autoencoder)
    judged, scores = train(stage, settings, run, out)
    finish(judged.branch, out, settings, scores, run)
    stored: ControlBranch = load_model(ControlBranch, out / "model", run)
    return stored


class ControlStage(VelocityStage[ControlSettings]):
    """See Stage."""

    validation_batch = 32

    def also(self, indices: NDArray[np.int64]) -> tuple[Tensor, ...]:
        """Their masks."""
        return (self.data.pixels.masks(indices),)

    def losses(self, nets: Sequence[nn.Module], share: Share) -> Iterator[tuple[Tensor, Mapping[str, Tensor]]]:
        """The error of the velocity with masks."""
        settings = self.settings
        indices = self.data.train[share.indices]
        ids, attributes = self.words.drawn(indices, share.uniform((DRAWS,), "words"), settings.dropout)
        told = share.uniform((len(self.data.structures),), "structures") >= settings.hide
        masks = self.data.pixels.masks(indices) * told[:, :, None, None]
        given = self.cache.latents(indices), share.normal(self.cache.shape), self.times(share)
        loss = nets[0](*self.moved(*given, ids, attributes, masks)).mean()
        yield loss, {"loss": loss}

    def picture(self, net: Controlled) -> NDArray[np.uint8]:
        """Validation masks, above samples that were asked for them and for nothing else."""
        indices = self.seen[list(chosen(len(self.seen), _SHOWN))]
        masks = self.data.pixels.masks(indices)
        pipeline = CxrPipeline(
            self.autoencoder,
            net.encoder,
            self.tokenizer,
            net.denoiser,
            FlowScheduler(),
            control=net.branch,
            pixels=self.data.pixels.size,
            steps=self.settings.picture_steps,
        )
        pipeline.set_progress_bar_config(disable=True)
        made = pipeline([""] * len(indices), control=masks.numpy() > 0).images
        images = torch.from_numpy(made)[:, None] * 2 - 1
        dark = tinted(torch.full_like(images, -1), masks)
        return np.concatenate([dark, np.repeat(rows_of(images)[..., None], 3, axis=2)])
