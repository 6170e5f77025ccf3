"""A recipe of text to CT carried out: stage after stage, then the pipeline.

OUT/recipe.yaml      all settings
OUT/cache/           CTs and masks at the spacings of training, latents; may be removed when all is done
OUT/autoencoder/, OUT/base/, OUT/refiner/, OUT/control/, each with
                     log.csv, curves.svg, samples/, checkpoints/, scores.json, model/
OUT/pipeline/        what users load
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import torch

from synth.core.errors import InputError
from synth.diffusion.ct.autoencoder import CtAutoencoder
from synth.diffusion.ct.channels import MASKS
from synth.diffusion.ct.control import CtControl
from synth.diffusion.ct.pipeline import CtPipeline
from synth.diffusion.ct.refiner import CtRefiner
from synth.diffusion.ct.transformer import CtTransformer
from synth.diffusion.flow import FlowScheduler
from synth.diffusion.text.encoder import ReportEncoder
from synth.diffusion.training.ct.autoencoder import train_ct_autoencoder
from synth.diffusion.training.ct.base import CtDenoising, train_base
from synth.diffusion.training.ct.control import train_ct_control
from synth.diffusion.training.ct.recipe import CT_STAGES
from synth.diffusion.training.ct.refiner import train_refiner
from synth.diffusion.training.ct.volumes import CtData
from synth.diffusion.training.denoiser import load_tokenizer
from synth.diffusion.training.finishing import SHARD, load_model
from synth.diffusion.training.machine import first_alone
from synth.diffusion.training.running import begin, claim

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from synth.diffusion.training.ct.recipe import CtRecipe
    from synth.diffusion.training.loop import Run

__all__ = ["CtTraining", "assemble_ct", "load_ct_pipeline", "train_ct_recipe"]


def train_ct_recipe(
    recipe: CtRecipe,
    out: Path,
    *,
    stages: Sequence[str] = CT_STAGES,
    resume: bool = False,
    stop_after: float | None = None,
    tell: Callable[[str], None] = lambda line: None,
) -> Path | None:
    """Trains stages, those that come before them being trained or taken from `start_from`.

    Args:
        recipe: What.
        out: The run's folder.
        stages: Some of CT_STAGES.
        resume: Go on with what is there.
        stop_after: Minutes after which this call stops with a checkpoint.
        tell: Takes a line on progress; called in the main process alone.

    Returns:
        The pipeline's folder; None where parts of it are not trained yet.

    Raises:
        InputError: See the stages; or the folder holds another run.
        InterruptedRun: Stopped; give the same again with `resume`.
    """
    left_out = [name for name in stages if recipe.stage(name) is None]
    if len(left_out) == len(stages):
        raise InputError(f"{left_out[0]}: is null in the recipe; say how it is trained")
    run = begin(recipe, resume, stop_after, tell)
    claim(recipe, out, run)
    training = CtTraining(recipe, out, run)
    for name in CT_STAGES:
        if name in stages and recipe.stage(name) is not None:
            getattr(training, name)  # trained when first asked for
    ready = recipe.base is None or (out / "base" / "scores.json").is_file()
    if run.main and ready:
        assemble_ct(recipe, out)
    run.accelerator.wait_for_everyone()
    return out / "pipeline" if ready else None


@dataclass
class CtTraining:
    """The parts of a model; each is trained, or found, when it is first asked for.

    Attributes:
        recipe: What.
        out: The run's folder.
        run: This call.
    """

    recipe: CtRecipe
    out: Path
    run: Run

    @cached_property
    def data(self) -> CtData:
        """Opened and read."""
        recipe = self.recipe
        with first_alone(self.run.accelerator):
            return CtData.open(
                recipe.scans(),
                self.out / "cache",
                size=recipe.size,
                spacing=recipe.spacing,
                finer=recipe.finer,
                validation=recipe.validation,
                seed=recipe.seed,
                tell=self.run.tell,
            )

    @cached_property
    def start(self) -> CtPipeline | None:
        """The model that the recipe starts from."""
        return load_ct_pipeline(self.recipe.start_from) if self.recipe.start_from else None

    @cached_property
    def autoencoder(self) -> CtAutoencoder:
        """Trained, or that of the model to start from."""
        given = None if self.start is None else self.start.vae
        if self.recipe.autoencoder is None:
            assert given is not None
            own: CtAutoencoder = given.to(self.run.accelerator.device)
            return own
        return train_ct_autoencoder(self.recipe.autoencoder, self.data, self.out / "autoencoder", self.run, start=given)

    @cached_property
    def base(self) -> CtDenoising:
        """Trained, or that of the model to start from."""
        if self.recipe.base is None:
            assert self.start is not None
            net = CtDenoising(self.start.transformer, self.start.text_encoder)
            net.to(self.run.accelerator.device)
            return net
        return train_base(
            self.recipe.base,
            self.data,
            self.out / "base",
            self.run,
            autoencoder=self.autoencoder,
            start=self.start,
        )

    @cached_property
    def refiner(self) -> CtRefiner:
        """Trained."""
        assert self.recipe.refiner is not None
        given = None if self.start is None else self.start.refiner
        return train_refiner(
            self.recipe.refiner, self.data, self.out / "refiner", self.run, autoencoder=self.autoencoder, start=given
        )

    @cached_property
    def control(self) -> CtControl:
        """Trained."""
        assert self.recipe.control is not None
        denoising = self.base
        tokenizer = load_tokenizer(self.out / "base" / "tokenizer") if self.recipe.base else None
        return train_ct_control(
            self.recipe.control,
            self.data,
            self.out / "control",
            self.run,
            autoencoder=self.autoencoder,
            denoising=denoising,
            tokenizer=tokenizer or self.start.tokenizer,  # type: ignore[union-attr]
        )


def load_ct_pipeline(folder: str) -> CtPipeline:
    """A model of ours by its folder, in float32.

    Raises:
        InputError: It is none, or its masks are others.
    """
    try:
        loaded: CtPipeline = CtPipeline.from_pretrained(folder, local_files_only=True, use_safetensors=True)
    except (OSError, ValueError, TypeError) as error:
        raise InputError(f"start_from: {folder} is no pipeline of ours ({str(error).splitlines()[0]})") from error
    if loaded.vae.names != MASKS:
        raise InputError(f"start_from: {folder} has the masks {', '.join(loaded.vae.names)}; train a new model")
    for name, part in loaded.components.items():
        if name not in ("tokenizer", "scheduler") and part is not None:
            part.register_to_config(_name_or_path="")
    return loaded


def assemble_ct(recipe: CtRecipe, out: Path) -> Path:
    """Puts what is trained, and the rest of the model that the recipe starts from, into one pipeline's folder.

    Args:
        recipe: Of the run.
        out: The run's folder.
    """
    start = load_ct_pipeline(recipe.start_from) if recipe.start_from else None
    dtype = torch.float16 if recipe.half else torch.float32

    def part(kind: Any, folder: Path, otherwise: str) -> Any:
        if (folder / "config.json").is_file():
            return load_model(kind, folder).to(dtype)
        given = None if start is None else getattr(start, otherwise)
        return None if given is None else given.to(dtype)

    tokens = out / "base" / "tokenizer"
    pipeline = CtPipeline(
        part(CtAutoencoder, out / "autoencoder" / "model", "vae"),
        part(ReportEncoder, out / "base" / "text_encoder", "text_encoder"),
        load_tokenizer(tokens) if recipe.base else start.tokenizer,  # type: ignore[union-attr]
        part(CtTransformer, out / "base" / "model", "transformer"),
        FlowScheduler(),
        part(CtRefiner, out / "refiner" / "model", "refiner"),
        part(CtControl, out / "control" / "model", "control"),
        voxels=(recipe.size,) * 3,
        spacing=recipe.spacing,
        **recipe.sampling.model_dump(),
    )
    final, made = out / "pipeline", out / ".pipeline.part"
    shutil.rmtree(made, ignore_errors=True)
    pipeline.save_pretrained(made, safe_serialization=True, max_shard_size=SHARD)
    shutil.rmtree(final, ignore_errors=True)
    made.rename(final)
    return final
