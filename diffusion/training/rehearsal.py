"""What a recipe will cost: parameters, memory and time, from a few steps on noise."""

from __future__ import annotations

import resource
import tempfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from synth.core.seeds import sample_generator
from synth.diffusion.cxr.autoencoder import CxrAutoencoder
from synth.diffusion.cxr.control import ControlBranch
from synth.diffusion.cxr.mask_decoder import MaskDecoder
from synth.diffusion.text.conditions import Conditions
from synth.diffusion.training.autoencoder import AutoencoderSettings, AutoencoderStage
from synth.diffusion.training.control import Controlled, ControlStage
from synth.diffusion.training.data import TrainingData, choose_structures
from synth.diffusion.training.denoiser import DenoiserSettings, DenoiserStage, begun, saved_tokenizer
from synth.diffusion.training.latents import LatentCache, Variants
from synth.diffusion.training.loop import seconds_a_step
from synth.diffusion.training.masks import MaskStage
from synth.diffusion.training.recipe import STAGES
from synth.diffusion.training.running import begin, load_pipeline

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from synth.diffusion.cxr.pipeline import CxrPipeline
    from synth.diffusion.training.loop import Run, Stage
    from synth.diffusion.training.recipe import Recipe
    from synth.diffusion.training.settings import StageSettings

__all__ = ["StageCost", "rehearse", "stage_cost"]


@dataclass(frozen=True)
class StageCost:
    """What a stage costs on this machine.

    Attributes:
        name: Of the stage.
        parameters: That are trained.
        state_bytes: Weights, gradients, optimiser and means.
        peak_bytes: Of memory that the process, or the GPU, has held so far.
        step_s: Seconds a step.
        images_a_second: Trained on.
        minutes: Of all steps, or max_minutes where that is less.
    """

    name: str
    parameters: int
    state_bytes: int
    peak_bytes: int
    step_s: float
    images_a_second: float
    minutes: float


@dataclass(frozen=True)
class _Noise:
    """Examples of noise."""

    n: int
    names: tuple[str, ...]
    digest: str = "noise"

    def __len__(self) -> int:
        return self.n

    def image(self, index: int, size: int) -> NDArray[np.uint16]:
        return sample_generator(0, index).integers(0, 65536, (size, size), dtype=np.uint16)

    def masks(self, index: int, size: int) -> Mapping[str, NDArray[np.bool_]]:
        return {name: sample_generator(0, index, name).random((size, size)) < 0.2 for name in self.names}

    def structures(self) -> Mapping[str, int]:
        return dict.fromkeys(self.names, self.n)

    def conditions(self, index: int) -> tuple[Conditions, ...]:
        return (Conditions(sex="F", age=50.0, view="PA", impression=f"Small nodule {index}."),)

    def patient(self, index: int) -> str:
        return str(index)


def rehearse(recipe: Recipe) -> Iterator[StageCost]:
    """The cost of each stage, one after the other.

    Raises:
        InputError: See the stages.
    """
    examples = recipe.examples()
    wanted = recipe.structures if (recipe.masks or recipe.control) and examples.structures() else ()
    names = choose_structures(examples, wanted, recipe.rare, lambda line: None)
    run = begin(recipe, resume=False)
    with tempfile.TemporaryDirectory() as folder:
        rehearsal = _Rehearsal(recipe, names, run, Path(folder))
        for name in STAGES:
            settings = recipe.stage(name)
            if settings is not None and (names or name not in ("masks", "control")):
                stage: Stage = getattr(rehearsal, name)()
                yield stage_cost(name, stage, settings, run, Path(folder) / name)


class _Rehearsal:
    def __init__(self, recipe: Recipe, names: Sequence[str], run: Run, folder: Path) -> None:
        self.recipe, self.run, self.folder = recipe, run, folder
        batches = [settings.batch for name in STAGES if (settings := recipe.stage(name))]
        self.data = TrainingData.open(
            _Noise(max([64, *batches]), tuple(names)), folder, size=recipe.size, structures=names, rare=1
        )
        self.start: CxrPipeline | None = load_pipeline(recipe.start_from) if recipe.start_from else None
        if self.start is not None:
            self.start.to(run.accelerator.device)

    def autoencoder(self) -> AutoencoderStage:
        settings = self.recipe.autoencoder or AutoencoderSettings()
        return AutoencoderStage(self._autoencoder, settings, self.data, self.run.accelerator.device)

    def denoiser(self) -> DenoiserStage:
        settings = self.recipe.denoiser or DenoiserSettings()
        tokenizer = saved_tokenizer(settings.text, self.data, self.folder / "words", self.start)
        net = begun(settings, self._latents, tokenizer, self.start).to(self.run.accelerator.device)
        return DenoiserStage(net, settings, self.data, self._latents, tokenizer, self._autoencoder)

    def masks(self) -> MaskStage:
        settings = self.recipe.masks
        assert settings is not None
        model, factor = settings.model, self._autoencoder.factor
        net = MaskDecoder(self.data.structures, self._latents.shape[0], model.width, model.blocks, factor)
        net.to(self.run.accelerator.device, memory_format=torch.channels_last)
        return MaskStage(net, settings, self.data, self._latents)

    def control(self) -> ControlStage:
        settings = self.recipe.control
        assert settings is not None
        told = self.denoiser()
        denoising = told.nets[0].requires_grad_(False)
        pixels = self._autoencoder.factor * int(denoising.denoiser.config.patch)
        branch = ControlBranch.beside(denoising.denoiser, self.data.structures, pixels=pixels, depth=settings.depth)
        net = Controlled(branch, denoising).to(self.run.accelerator.device)
        return ControlStage(net, settings, self.data, self._latents, told.tokenizer, self._autoencoder)

    @cached_property
    def _autoencoder(self) -> CxrAutoencoder:
        if self.start is not None:
            own: CxrAutoencoder = self.start.vae
            return own
        settings = self.recipe.autoencoder or AutoencoderSettings()
        net: CxrAutoencoder = CxrAutoencoder(**settings.model.model_dump())
        net.to(self.run.accelerator.device)
        return net

    @cached_property
    def _latents(self) -> LatentCache:
        return LatentCache.open(self._autoencoder, self.data, Variants())


def stage_cost(name: str, stage: Stage, settings: StageSettings, run: Run, out: Path) -> StageCost:
    """The cost of one stage."""
    count = sum(value.numel() for net in stage.nets for value in net.parameters() if value.requires_grad)
    took = seconds_a_step(stage, settings, run, out)
    if run.accelerator.device.type == "cuda":
        peak = torch.cuda.max_memory_allocated()
    else:
        peak = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    minutes = min(settings.steps * took / 60, settings.max_minutes or float("inf"))
    copies = 5 + len(settings.ema)  # weights, gradients, two moments, the net of validation; and the means
    return StageCost(name, count, 4 * copies * count, peak, took, settings.batch / took, minutes)
