"""A recipe carried out: stage after stage, then the pipeline.

OUT/recipe.yaml      all settings
OUT/cache/           decoded images, masks, latents; may be removed when all is done
OUT/autoencoder/, OUT/denoiser/, OUT/masks/, OUT/control/, each with
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
from synth.core.files import write_bytes
from synth.diffusion.cxr.autoencoder import CxrAutoencoder
from synth.diffusion.cxr.control import ControlBranch
from synth.diffusion.cxr.mask_decoder import MaskDecoder
from synth.diffusion.cxr.pipeline import CxrPipeline
from synth.diffusion.cxr.transformer import CxrTransformer
from synth.diffusion.flow import FlowScheduler
from synth.diffusion.text.encoder import ReportEncoder
from synth.diffusion.training.autoencoder import train_autoencoder
from synth.diffusion.training.control import train_control
from synth.diffusion.training.data import TrainingData
from synth.diffusion.training.denoiser import Denoising, load_tokenizer, train_denoiser
from synth.diffusion.training.finishing import SHARD, load_model
from synth.diffusion.training.loop import Run
from synth.diffusion.training.machine import accelerator_for, first_alone
from synth.diffusion.training.masks import train_masks
from synth.diffusion.training.recipe import STAGES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from synth.diffusion.training.recipe import BaseRecipe, Recipe

__all__ = ["Training", "assemble", "begin", "claim", "load_pipeline", "train_recipe"]


def train_recipe(
    recipe: Recipe,
    out: Path,
    *,
    stages: Sequence[str] = STAGES,
    resume: bool = False,
    stop_after: float | None = None,
    tell: Callable[[str], None] = lambda line: None,
) -> Path | None:
    """Trains stages, those that come before them being trained or taken from `start_from`.

    Args:
        recipe: What.
        out: The run's folder.
        stages: Some of STAGES.
        resume: Go on with what is there.
        stop_after: Minutes after which this call stops with a checkpoint.
        tell: Takes a line on progress; called in the main process alone.

    Returns:
        The pipeline's folder; None where parts of it are not trained yet.

    Raises:
        InputError: See the stages; or the folder holds another run.
        InterruptedRun: Stopped; give the same again with `resume`.
    """
    run = begin(recipe, resume, stop_after, tell)
    claim(recipe, out, run)
    training = Training(recipe, out, run)
    for name in STAGES:
        if name in stages and recipe.stage(name) is not None:
            getattr(training, name)  # trained when first asked for
    ready = recipe.denoiser is None or (out / "denoiser" / "scores.json").is_file()
    if run.main and ready:
        assemble(recipe, out)
    run.accelerator.wait_for_everyone()
    return out / "pipeline" if ready else None


def begin(
    recipe: BaseRecipe, resume: bool, stop_after: float | None = None, tell: Callable[[str], None] = print
) -> Run:
    """A call on the machine that the recipe asks for; only the main process tells."""
    accelerator = accelerator_for(recipe.precision, recipe.threads)
    return Run(accelerator, resume, stop_after, tell if accelerator.is_main_process else lambda line: None)


def claim(recipe: BaseRecipe, out: Path, run: Run) -> None:
    """Writes the recipe into the run's folder.

    Raises:
        InputError: There is one already, and `resume` is off.
    """
    if (out / "recipe.yaml").exists() and not run.resume:
        raise InputError(f"{out}: holds a training run; go on with --resume, or name a new folder")
    run.accelerator.wait_for_everyone()
    if run.main:
        write_bytes(out / "recipe.yaml", recipe.as_yaml().encode())


@dataclass
class Training:
    """The parts of a model; each is trained, or found, when it is first asked for.

    Attributes:
        recipe: What.
        out: The run's folder.
        run: This call.
    """

    recipe: Recipe
    out: Path
    run: Run

    @cached_property
    def data(self) -> TrainingData:
        """Opened and decoded."""
        recipe, examples = self.recipe, self.recipe.examples()
        wanted = recipe.structures if (recipe.masks or recipe.control) and examples.structures() else ()
        with first_alone(self.run.accelerator):
            return TrainingData.open(
                examples,
                self.out / "cache",
                size=recipe.size,
                structures=wanted,
                rare=recipe.rare,
                validation=recipe.validation,
                seed=recipe.seed,
                tell=self.run.tell,
            )

    @cached_property
    def start(self) -> CxrPipeline | None:
        """The model that the recipe starts from."""
        return load_pipeline(self.recipe.start_from) if self.recipe.start_from else None

    @cached_property
    def autoencoder(self) -> CxrAutoencoder:
        """Trained, or that of the model to start from."""
        device = self.run.accelerator.device
        given = None if self.start is None else self.start.vae
        if self.recipe.autoencoder is None:
            assert given is not None
            own: CxrAutoencoder = given.to(device)
            return own
        return train_autoencoder(self.recipe.autoencoder, self.data, self.out / "autoencoder", self.run, start=given)

    @cached_property
    def denoiser(self) -> Denoising:
        """Trained, or that of the model to start from."""
        if self.recipe.denoiser is None:
            assert self.start is not None
            net = Denoising(self.start.transformer, self.start.text_encoder)
            net.to(self.run.accelerator.device)
            return net
        return train_denoiser(
            self.recipe.denoiser,
            self.data,
            self.out / "denoiser",
            self.run,
            autoencoder=self.autoencoder,
            start=self.start,
        )

    @cached_property
    def masks(self) -> MaskDecoder:
        """Trained."""
        assert self.recipe.masks is not None
        given = None if self.start is None else self.start.mask_decoder
        return train_masks(
            self.recipe.masks, self.data, self.out / "masks", self.run, autoencoder=self.autoencoder, start=given
        )

    @cached_property
    def control(self) -> ControlBranch:
        """Trained."""
        assert self.recipe.control is not None
        denoising = self.denoiser
        tokenizer = load_tokenizer(self.out / "denoiser" / "tokenizer") if self.recipe.denoiser else None
        return train_control(
            self.recipe.control,
            self.data,
            self.out / "control",
            self.run,
            autoencoder=self.autoencoder,
            denoising=denoising,
            tokenizer=tokenizer or self.start.tokenizer,  # type: ignore[union-attr]
        )


def load_pipeline(folder: str) -> CxrPipeline:
    """A model of ours by its folder, in float32.

    Raises:
        InputError: It is none.
    """
    try:
        loaded: CxrPipeline = CxrPipeline.from_pretrained(folder, local_files_only=True, use_safetensors=True)
    except (OSError, ValueError, TypeError) as error:
        raise InputError(f"start_from: {folder} is no pipeline of ours ({str(error).splitlines()[0]})") from error
    for name, part in loaded.components.items():
        if name not in ("tokenizer", "scheduler") and part is not None:
            part.register_to_config(_name_or_path="")
    return loaded


def assemble(recipe: Recipe, out: Path) -> Path:
    """Puts what is trained, and the rest of the model that the recipe starts from, into one pipeline's folder.

    Args:
        recipe: Of the run.
        out: The run's folder.
    """
    start = load_pipeline(recipe.start_from) if recipe.start_from else None
    dtype = torch.float16 if recipe.half else torch.float32

    def part(kind: Any, folder: Path, otherwise: str) -> Any:
        if (folder / "config.json").is_file():
            return load_model(kind, folder).to(dtype)
        given = None if start is None else getattr(start, otherwise)
        return None if given is None else given.to(dtype)

    tokens = out / "denoiser" / "tokenizer"
    pipeline = CxrPipeline(
        part(CxrAutoencoder, out / "autoencoder" / "model", "vae"),
        part(ReportEncoder, out / "denoiser" / "text_encoder", "text_encoder"),
        load_tokenizer(tokens) if recipe.denoiser else start.tokenizer,  # type: ignore[union-attr]
        part(CxrTransformer, out / "denoiser" / "model", "transformer"),
        FlowScheduler(),
        part(MaskDecoder, out / "masks" / "model", "mask_decoder"),
        part(ControlBranch, out / "control" / "model", "control"),
        pixels=recipe.size,
        **recipe.sampling.model_dump(),
    )
    final, made = out / "pipeline", out / ".pipeline.part"
    shutil.rmtree(made, ignore_errors=True)
    pipeline.save_pretrained(made, safe_serialization=True, max_shard_size=SHARD)
    shutil.rmtree(final, ignore_errors=True)
    made.rename(final)
    return final
