"""The second stage: words, geometry and noise → latents of the base; the report encoder learns along."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Generic, TypeVar

import torch
from pydantic import Field
from torch import Tensor, nn

from synth.core.errors import InputError
from synth.core.strict import Strict
from synth.diffusion.ct.channels import to_network
from synth.diffusion.ct.pipeline import CtPipeline
from synth.diffusion.ct.transformer import CtTransformer
from synth.diffusion.flow import FlowScheduler, interpolate, velocity
from synth.diffusion.text.encoder import ReportEncoder
from synth.diffusion.text.tokenizer import train_tokenizer
from synth.diffusion.training.ct.latents import CtLatents
from synth.diffusion.training.ct.look import pictured
from synth.diffusion.training.denoiser import Texts, load_tokenizer
from synth.diffusion.training.finishing import finish, finished, load_model, save_model, seeded
from synth.diffusion.training.look import chosen
from synth.diffusion.training.loop import train
from synth.diffusion.training.machine import first_alone
from synth.diffusion.training.order import Share
from synth.diffusion.training.settings import StageSettings
from synth.diffusion.training.words import DRAWS, Dropout, Words

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray
    from transformers import PreTrainedTokenizerFast

    from synth.diffusion.ct.autoencoder import CtAutoencoder
    from synth.diffusion.training.ct.volumes import CtData
    from synth.diffusion.training.loop import Run

__all__ = [
    "SHOWN",
    "BaseModel",
    "BaseSettings",
    "BaseStage",
    "CtDenoising",
    "LatentStage",
    "begun",
    "sampler",
    "saved_tokenizer",
    "train_base",
]

Settings = TypeVar("Settings", bound=StageSettings)

SHOWN = 4
"""CTs in a picture."""

_AT_ONCE = 16  # CTs that are judged at a time


class BaseModel(Strict):
    """See CtTransformer."""

    patch: int = Field(default=2, ge=1)
    width: int = Field(default=256, ge=8)
    depth: int = Field(default=10, ge=1)
    heads: int = Field(default=4, ge=1)


class BaseSettings(StageSettings):
    """How the base's denoiser is trained.

    Attributes:
        model: Its size.
        text: The report encoder.
        dropout: What training is not told.
        time_mean: Of the logit of times; above 0 trains more on noise.
        time_deviation: Of that logit.
        checkpointing: Compute activations twice instead of keeping them.
        prompts: Of the pictures; none: those of validation examples.
        picture_steps: Steps in which pictures are sampled.
    """

    model: BaseModel = BaseModel()
    text: Texts = Texts()
    dropout: Dropout = Dropout()
    time_mean: float = 0.0
    time_deviation: float = Field(default=1.0, gt=0)
    checkpointing: bool = False
    prompts: tuple[str, ...] = ()
    picture_steps: int = Field(default=8, ge=1)


class CtDenoising(nn.Module):
    """Denoiser and report encoder, as training calls them.

    Args:
        denoiser: Of latents.
        encoder: Of words.
    """

    def __init__(self, denoiser: CtTransformer, encoder: ReportEncoder) -> None:
        super().__init__()
        self.denoiser, self.encoder = denoiser, encoder

    def forward(
        self, latents: Tensor, noise: Tensor, times: Tensor, ids: Tensor, attributes: Tensor, geometry: Tensor
    ) -> Tensor:
        """(n,) mean squared errors of the velocity."""
        noisy = interpolate(latents, noise, times)
        predicted = self.denoiser(noisy, times, self.encoder(ids), attributes, geometry)
        return (predicted.float() - velocity(latents, noise)).square().flatten(1).mean(1)


def train_base(
    settings: BaseSettings,
    data: CtData,
    out: Path,
    run: Run,
    *,
    autoencoder: CtAutoencoder,
    start: CtPipeline | None = None,
) -> CtDenoising:
    """Trains the base's denoiser and its report encoder, or loads those that are trained already.

    Args:
        settings: How.
        data: CTs and conditions.
        out: The stage's folder; models come to out/model, out/text_encoder and out/tokenizer.
        run: This call.
        autoencoder: Trained.
        start: Whose denoiser, report encoder and tokenizer to start from; their sizes are then its own.

    Raises:
        InputError: Sizes that do not fit, or see `train`.
        InterruptedRun: Stopped; a checkpoint is there.
    """
    done = finished(CtTransformer, out, settings, run)
    if done is not None:
        return _loaded(out, run)
    side = data.levels[0].grid.size[0] // autoencoder.factor
    patch = settings.model.patch if start is None else int(start.transformer.config.patch)
    if side % patch:
        raise InputError(f"base.model.patch {patch}: latents of {side} voxels a side are no multiple of it")
    with first_alone(run.accelerator):
        latents = CtLatents.open(autoencoder, data, 0)
        tokenizer = saved_tokenizer(settings.text, data, out, start)
    net = begun(settings, latents, tokenizer, start).to(run.accelerator.device)
    stage = BaseStage(net, settings, data, latents, tokenizer, autoencoder)
    judged, scores = train(stage, settings, run, out)
    if run.main:
        save_model(judged.encoder, out / "text_encoder")
    finish(judged.denoiser, out, settings, scores, run)
    return _loaded(out, run)


class LatentStage(Generic[Settings]):
    """What stages of the base have in common: latents, words, and a validation that never changes; see Stage.

    Args:
        net: What is trained.
        settings: How.
        data: Masks and conditions, and who validates.
        latents: Of its CTs on the base's grid.
        tokenizer: Of the encoder.
        autoencoder: That made the latents; draws the pictures.
    """

    def __init__(
        self,
        net: nn.Module,
        settings: Settings,
        data: CtData,
        latents: CtLatents,
        tokenizer: PreTrainedTokenizerFast,
        autoencoder: CtAutoencoder,
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
        """What the network is given of these CTs besides latents, words and geometry."""
        return ()

    def validate(self, net: nn.Module) -> Mapping[str, float]:
        """The error of the velocity with fixed noise and times and nothing left out."""
        share = Share.all_of(self.settings.seed, len(self.seen))
        noise, times = share.normal(self.cache.shape), self.times(share)
        errors = []
        for first in range(0, len(share), _AT_ONCE):
            part = slice(first, first + _AT_ONCE)
            indices = self.seen[part]
            given = self.given(indices, noise[part], times[part], *self.words.first(indices))
            more = [tensor.to(self.device) for tensor in self.also(indices)]
            errors.append(net(*given, *more).float().cpu())
        return {"loss": float(torch.cat(errors).mean())}

    def given(
        self, indices: NDArray[np.int64], noise: Tensor, times: Tensor, ids: Tensor, attributes: Tensor
    ) -> list[Tensor]:
        """What the network is called with, where it is."""
        geometry = self.data.levels[0].geometry.expand(len(indices), -1)
        every = self.cache.latents(indices), noise, times, ids, attributes, geometry
        return [tensor.to(self.device) for tensor in every]


class BaseStage(LatentStage[BaseSettings]):
    """See Stage."""

    def times(self, share: Share) -> Tensor:
        """As the settings spread them."""
        return share.times(self.settings.time_mean, self.settings.time_deviation)

    def losses(self, nets: Sequence[nn.Module], share: Share) -> Iterator[tuple[Tensor, Mapping[str, Tensor]]]:
        """The error of the velocity."""
        indices = self.data.train[share.indices]
        words = self.words.drawn(indices, share.uniform((DRAWS,), "words"), self.settings.dropout)
        loss = nets[0](*self.given(indices, share.normal(self.cache.shape), self.times(share), *words)).mean()
        yield loss, {"loss": loss}

    def picture(self, net: CtDenoising) -> NDArray[np.uint8]:
        """Samples of fixed prompts and seeds; above them the validation CTs that the prompts are of."""
        pipeline = sampler(self.autoencoder, net, self.tokenizer, self.data, self.settings.picture_steps)
        indices = self.seen[list(chosen(len(self.seen), SHOWN))]
        asked = list(self.settings.prompts) or [self.data.conditions[index][0] for index in indices]
        made = pipeline(asked)
        drawn = to_network(made.hu, made.masks)
        return pictured(drawn) if self.settings.prompts else pictured(self.data.levels[0].volumes(indices), drawn)


def sampler(
    autoencoder: CtAutoencoder, net: CtDenoising, tokenizer: PreTrainedTokenizerFast, data: CtData, steps: int
) -> CtPipeline:
    """What samples CTs on the base's grid, for pictures."""
    grid = data.levels[0].grid
    pipeline = CtPipeline(
        autoencoder,
        net.encoder,
        tokenizer,
        net.denoiser,
        FlowScheduler(),
        voxels=grid.size,
        spacing=grid.spacing[0],
        steps=steps,
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def saved_tokenizer(text: Texts, data: CtData, out: Path, start: CtPipeline | None = None) -> PreTrainedTokenizerFast:
    """The stage's tokenizer: that of the model to start from, or one trained on impressions of training examples."""
    folder = out / "tokenizer"
    if not folder.is_dir():
        impressions = (one.impression for index in data.train for one in data.conditions[index])
        made = train_tokenizer(impressions, size=text.vocabulary) if start is None else start.tokenizer
        made.save_pretrained(folder)
    return load_tokenizer(folder)


def begun(
    settings: BaseSettings, latents: CtLatents, tokenizer: PreTrainedTokenizerFast, start: CtPipeline | None
) -> CtDenoising:
    """The networks before the first step."""
    text = settings.text
    if start is not None:
        denoiser, encoder = copy.deepcopy(start.transformer).float(), copy.deepcopy(start.text_encoder).float()
    else:
        with seeded(settings.seed):
            encoder = ReportEncoder(len(tokenizer), text.width, text.depth, text.heads)
            model = settings.model.model_dump()
            denoiser = CtTransformer(channels=latents.shape[0], text_width=text.width, **model)
    encoder.requires_grad_(text.train)
    denoiser.requires_grad_(True)
    if settings.checkpointing:
        denoiser.enable_gradient_checkpointing()
    return CtDenoising(denoiser, encoder)


def _loaded(out: Path, run: Run) -> CtDenoising:
    denoiser = load_model(CtTransformer, out / "model", run)
    return CtDenoising(denoiser, load_model(ReportEncoder, out / "text_encoder", run))
