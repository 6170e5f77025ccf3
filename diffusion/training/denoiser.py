"""The second stage: words and noise → latents, by rectified flow; the report encoder learns along."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import torch
from pydantic import Field
from torch import Tensor, nn
from transformers import PreTrainedTokenizerFast

from synth.core.errors import InputError
from synth.core.strict import Strict
from synth.diffusion.cxr.pipeline import CxrPipeline
from synth.diffusion.cxr.transformer import CxrTransformer
from synth.diffusion.flow import FlowScheduler, interpolate, velocity
from synth.diffusion.text.encoder import ReportEncoder
from synth.diffusion.text.tokenizer import train_tokenizer
from synth.diffusion.training.finishing import finish, finished, load_model, save_model, seeded
from synth.diffusion.training.latents import LatentCache, Variants
from synth.diffusion.training.look import chosen, rows_of
from synth.diffusion.training.loop import train
from synth.diffusion.training.machine import first_alone
from synth.diffusion.training.settings import StageSettings
from synth.diffusion.training.velocity import VelocityStage
from synth.diffusion.training.words import DRAWS, Dropout

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from synth.diffusion.cxr.autoencoder import CxrAutoencoder
    from synth.diffusion.training.data import TrainingData
    from synth.diffusion.training.loop import Run
    from synth.diffusion.training.order import Share

__all__ = [
    "DenoiserModel",
    "DenoiserSettings",
    "DenoiserStage",
    "Denoising",
    "Texts",
    "begun",
    "load_tokenizer",
    "saved_tokenizer",
    "train_denoiser",
]

_SHOWN = 8  # radiographs in a picture


class DenoiserModel(Strict):
    """See CxrTransformer."""

    patch: int = Field(default=2, ge=1)
    width: int = Field(default=256, ge=8)
    depth: int = Field(default=8, ge=1)
    heads: int = Field(default=4, ge=1)


class Texts(Strict):
    """The report encoder and its tokenizer.

    Attributes:
        vocabulary: Tokens, at most.
        width: See ReportEncoder.
        depth: See ReportEncoder.
        heads: See ReportEncoder.
        train: Whether the encoder learns along.
    """

    vocabulary: int = Field(default=1024, ge=300)
    width: int = Field(default=256, ge=8)
    depth: int = Field(default=2, ge=1)
    heads: int = Field(default=4, ge=1)
    train: bool = True


class DenoiserSettings(StageSettings):
    """How the denoiser is trained.

    Attributes:
        model: Its size.
        text: The report encoder.
        dropout: What training is not told.
        latents: Variants of every radiograph that are encoded.
        time_mean: Of the logit of times; above 0 trains more on noise.
        time_deviation: Of that logit.
        checkpointing: Compute activations twice instead of keeping them.
        prompts: Of the pictures; none: those of validation examples.
        picture_steps: Steps in which pictures are sampled.
    """

    model: DenoiserModel = DenoiserModel()
    text: Texts = Texts()
    dropout: Dropout = Dropout()
    latents: Variants = Variants()
    time_mean: float = 0.0
    time_deviation: float = Field(default=1.0, gt=0)
    checkpointing: bool = False
    prompts: tuple[str, ...] = ()
    picture_steps: int = Field(default=8, ge=1)


class Denoising(nn.Module):
    """Denoiser and report encoder, as training calls them.

    Args:
        denoiser: Of latents.
        encoder: Of words.
    """

    def __init__(self, denoiser: CxrTransformer, encoder: ReportEncoder) -> None:
        super().__init__()
        self.denoiser, self.encoder = denoiser, encoder

    def forward(self, latents: Tensor, noise: Tensor, times: Tensor, ids: Tensor, attributes: Tensor) -> Tensor:
        """(n,) mean squared errors of the velocity."""
        predicted = self.denoiser(interpolate(latents, noise, times), times, self.encoder(ids), attributes)
        return (predicted.float() - velocity(latents, noise)).square().mean((1, 2, 3))


def train_denoiser(
    settings: DenoiserSettings,
    data: TrainingData,
    out: Path,
    run: Run,
    *,
    autoencoder: CxrAutoencoder,
    start: CxrPipeline | None = None,
) -> Denoising:
    """Trains a denoiser and its report encoder, or loads those that are trained already.

    Args:
        settings: How.
        data: Images and conditions.
        out: The stage's folder; models come to out/model, out/text_encoder and out/tokenizer.
        run: This call.
        autoencoder: Trained.
        start: Whose denoiser, report encoder and tokenizer to start from; their sizes are then its own.

    Raises:
        InputError: Sizes that do not fit, or see `train`.
        InterruptedRun: Stopped; a checkpoint is there.
    """
    done = finished(CxrTransformer, out, settings, run)
    if done is not None:
        return _loaded(out, run)
    side = data.pixels.size // autoencoder.factor
    patch = settings.model.patch if start is None else int(start.transformer.config.patch)
    if side % patch:
        raise InputError(f"model.patch {patch}: latents of {side} × {side} are no multiple of it")
    with first_alone(run.accelerator):
        latents = LatentCache.open(autoencoder, data, settings.latents, seed=settings.seed)
        tokenizer = saved_tokenizer(settings.text, data, out, start)
    net = begun(settings, latents, tokenizer, start).to(run.accelerator.device)
    stage = DenoiserStage(net, settings, data, latents, tokenizer, autoencoder)
    judged, scores = train(stage, settings, run, out)
    if run.main:
        save_model(judged.encoder, out / "text_encoder")
    finish(judged.denoiser, out, settings, scores, run)
    return _loaded(out, run)


class DenoiserStage(VelocityStage[DenoiserSettings]):
    """See Stage."""

    def times(self, share: Share) -> Tensor:
        """As the settings spread them."""
        return share.times(self.settings.time_mean, self.settings.time_deviation)

    def losses(self, nets: Sequence[nn.Module], share: Share) -> Iterator[tuple[Tensor, Mapping[str, Tensor]]]:
        """The error of the velocity."""
        settings = self.settings
        indices = self.data.train[share.indices]
        latents = self.cache.latents(indices, share.uniform((), "variant"))
        ids, attributes = self.words.drawn(indices, share.uniform((DRAWS,), "words"), settings.dropout)
        times = self.times(share)
        loss = nets[0](*self.moved(latents, share.normal(self.cache.shape), times, ids, attributes)).mean()
        yield loss, {"loss": loss}

    def picture(self, net: Denoising) -> NDArray[np.uint8]:
        """Samples of fixed prompts and seeds; above them the validation radiographs that the prompts are of."""
        pipeline = CxrPipeline(
            self.autoencoder,
            net.encoder,
            self.tokenizer,
            net.denoiser,
            FlowScheduler(),
            pixels=self.data.pixels.size,
            steps=self.settings.picture_steps,
        )
        pipeline.set_progress_bar_config(disable=True)
        indices = self.seen[list(chosen(len(self.seen), _SHOWN))]
        asked = list(self.settings.prompts) or [self.data.conditions[index][0] for index in indices]
        made = torch.from_numpy(pipeline(asked).images)[:, None] * 2 - 1
        return rows_of(made) if self.settings.prompts else rows_of(self.data.pixels.images(indices), made)


def _loaded(out: Path, run: Run) -> Denoising:
    denoiser = load_model(CxrTransformer, out / "model", run)
    return Denoising(denoiser, load_model(ReportEncoder, out / "text_encoder", run))


def load_tokenizer(folder: Path) -> PreTrainedTokenizerFast:
    """A tokenizer by its folder."""
    return PreTrainedTokenizerFast.from_pretrained(folder, local_files_only=True)


def saved_tokenizer(
    text: Texts, data: TrainingData, out: Path, start: CxrPipeline | None = None
) -> PreTrainedTokenizerFast:
    """The stage's tokenizer: that of the model to start from, or one trained on impressions of training examples."""
    folder = out / "tokenizer"
    if not folder.is_dir():
        impressions = (one.impression for index in data.train for one in data.conditions[index])
        made = train_tokenizer(impressions, size=text.vocabulary) if start is None else start.tokenizer
        made.save_pretrained(folder)
    return load_tokenizer(folder)


def begun(
    settings: DenoiserSettings, latents: LatentCache, tokenizer: PreTrainedTokenizerFast, start: CxrPipeline | None
) -> Denoising:
    """The networks before the first step."""
    text = settings.text
    if start is not None:
        denoiser, encoder = copy.deepcopy(start.transformer).float(), copy.deepcopy(start.text_encoder).float()
    else:
        with seeded(settings.seed):
            encoder = ReportEncoder(len(tokenizer), text.width, text.depth, text.heads)
            model = settings.model.model_dump()
            denoiser = CxrTransformer(channels=latents.shape[0], text_width=text.width, **model)
    encoder.requires_grad_(text.train)
    denoiser.requires_grad_(True)
    if settings.checkpointing:
        denoiser.enable_gradient_checkpointing()
    return Denoising(denoiser, encoder)
