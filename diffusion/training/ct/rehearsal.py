"""What a recipe of text to CT will cost: parameters, memory and time, from a few steps on noise."""

from __future__ import annotations

import tempfile
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from synth.diffusion.ct.autoencoder import CtAutoencoder
from synth.diffusion.ct.channels import MASKS
from synth.diffusion.ct.refiner import CtRefiner
from synth.diffusion.text.conditions import Conditions
from synth.diffusion.training.ct.autoencoder import CtAutoencoderSettings, CtAutoencoderStage
from synth.diffusion.training.ct.base import BaseSettings, BaseStage, begun, saved_tokenizer
from synth.diffusion.training.ct.control import CtControlStage, controlled
from synth.diffusion.training.ct.files import CtExamples
from synth.diffusion.training.ct.latents import CtLatents
from synth.diffusion.training.ct.reading import Grid
from synth.diffusion.training.ct.recipe import CT_STAGES
from synth.diffusion.training.ct.refiner import RefinerStage, Refining
from synth.diffusion.training.ct.running import load_ct_pipeline
from synth.diffusion.training.ct.volumes import CtData, Level
from synth.diffusion.training.rehearsal import StageCost, stage_cost
from synth.diffusion.training.running import begin

if TYPE_CHECKING:
    from collections.abc import Iterator

    from synth.diffusion.ct.pipeline import CtPipeline
    from synth.diffusion.training.ct.recipe import CtRecipe
    from synth.diffusion.training.loop import Run, Stage

__all__ = ["rehearse_ct"]

_N = 4  # CTs


def rehearse_ct(recipe: CtRecipe) -> Iterator[StageCost]:
    """The cost of each stage, one after the other.

    Raises:
        InputError: See the stages.
    """
    run = begin(recipe, resume=False)
    with tempfile.TemporaryDirectory() as folder:
        rehearsal = _Rehearsal(recipe, run, Path(folder))
        for name in CT_STAGES:
            settings = recipe.stage(name)
            if settings is not None:
                stage: Stage = getattr(rehearsal, name)()
                yield stage_cost(name, stage, settings, run, Path(folder) / name)


class _Rehearsal:
    def __init__(self, recipe: CtRecipe, run: Run, folder: Path) -> None:
        self.recipe, self.run, self.folder = recipe, run, folder
        self.data = _noise(recipe, folder)
        self.start: CtPipeline | None = load_ct_pipeline(recipe.start_from) if recipe.start_from else None
        if self.start is not None:
            self.start.to(run.accelerator.device)

    def autoencoder(self) -> CtAutoencoderStage:
        settings = self.recipe.autoencoder or CtAutoencoderSettings()
        return CtAutoencoderStage(self._autoencoder, settings, self.data, self.run.accelerator.device)

    def base(self) -> BaseStage:
        settings = self.recipe.base or BaseSettings()
        tokenizer = saved_tokenizer(settings.text, self.data, self.folder / "words", self.start)
        net = begun(settings, self._latents(0), tokenizer, self.start).to(self.run.accelerator.device)
        return BaseStage(net, settings, self.data, self._latents(0), tokenizer, self._autoencoder)

    def refiner(self) -> RefinerStage:
        settings = self.recipe.refiner
        assert settings is not None
        pairs = [(self._latents(k), self._latents(k)) for k in range(1, len(self.data.levels))]
        given = None if self.start is None else self.start.refiner
        net = CtRefiner(pairs[0][0].shape[0], **settings.model.model_dump()) if given is None else given
        return RefinerStage(
            Refining(net).to(self.run.accelerator.device), settings, self.data, pairs, self._autoencoder
        )

    def control(self) -> CtControlStage:
        settings, told = self.recipe.control, self.base()
        assert settings is not None
        net = controlled(settings, self._autoencoder, told.nets[0]).to(self.run.accelerator.device)
        return CtControlStage(net, settings, self.data, self._latents(0), told.tokenizer, self._autoencoder)

    @cached_property
    def _autoencoder(self) -> CtAutoencoder:
        if self.start is not None:
            own: CtAutoencoder = self.start.vae
            return own
        settings = self.recipe.autoencoder or CtAutoencoderSettings()
        net: CtAutoencoder = CtAutoencoder(MASKS, **settings.model.model_dump())
        net.to(self.run.accelerator.device)
        return net

    def _latents(self, level: int) -> CtLatents:
        sides = [side // self._autoencoder.factor for side in self.data.levels[level].grid.size]
        shape = (_N, int(self._autoencoder.config.latent_channels), *sides)
        return CtLatents(np.random.default_rng(0).normal(size=shape).astype(np.float16))


def _noise(recipe: CtRecipe, folder: Path) -> CtData:
    generator = np.random.default_rng(0)
    levels = []
    for k in range(recipe.finer + 1):
        grid = Grid((recipe.size << k,) * 3, (recipe.spacing / 2**k,) * 3)
        hu = generator.integers(-1000, 1000, (_N, *grid.size), dtype=np.int16)
        bits = generator.integers(0, 256, (_N, len(MASKS), hu[0].size // 8), dtype=np.uint8)
        levels.append(Level(grid, hu, bits))
    said = tuple((Conditions(sex="F", age=50.0, impression=f"Small nodule {k}."),) for k in range(_N))
    examples = CtExamples((Path(),) * _N, ((),) * _N, said, tuple(map(str, range(_N))), "noise")
    known = np.ones((_N, len(MASKS)), np.bool_)
    train, held_out = np.arange(_N - 1), np.array([_N - 1])
    return CtData(examples, tuple(levels), known, train, held_out, folder, lambda line: None)
