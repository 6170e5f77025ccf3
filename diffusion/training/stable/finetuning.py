"""From a pipeline's folder to that of a fine-tuned one, or to a LoRA adapter of it."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import torch

from synth.core.errors import InputError
from synth.core.files import write_bytes
from synth.diffusion.model_folder import find_model
from synth.diffusion.training.finishing import SHARD
from synth.diffusion.training.latents import LatentCache
from synth.diffusion.training.loop import train
from synth.diffusion.training.machine import first_alone
from synth.diffusion.training.stable.autoencoder import StableAutoencoder
from synth.diffusion.training.stable.network import save_lora
from synth.diffusion.training.stable.stage import StableStage

if TYPE_CHECKING:
    from pathlib import Path

    from diffusers import StableDiffusionPipeline

    from synth.diffusion.training.data import TrainingData
    from synth.diffusion.training.loop import Run
    from synth.diffusion.training.stable.network import LearningUNet
    from synth.diffusion.training.stable.settings import StableSettings

__all__ = ["load_stable", "native_size", "train_stable"]


def train_stable(model: str, settings: StableSettings, data: TrainingData, out: Path, run: Run) -> Path:
    """Fine-tunes a Stable Diffusion pipeline.

    Args:
        model: Its folder, or its id on the Hugging Face Hub; see `find_model`.
        settings: How.
        data: Radiographs and prompts; masks are not needed.
        out: Takes log.csv, curves.svg, samples/, checkpoints/, scores.json, and the result.
        run: This call.

    Returns:
        out/pipeline, for `StableDiffusionPipeline.from_pretrained`; or out/lora, for `load_lora_weights` on the
        pipeline that training began with. The weights are the running mean that validates best.

    Raises:
        InputError: The model cannot be loaded or does not fit the data's size, or see `train`.
        InterruptedRun: Stopped; a checkpoint is there.
    """
    pipe = load_stable(model).to(run.accelerator.device)
    _check_size(pipe, data.pixels.size)
    with first_alone(run.accelerator):
        latents = LatentCache.open(StableAutoencoder(pipe), data, settings.latents, seed=settings.seed)
    stage = StableStage(pipe, settings, data, latents)
    judged, scores = train(stage, settings, run, out)
    result = out / ("lora" if settings.method == "lora" else "pipeline")
    if run.main:
        _save(stage, judged, result)
        content = {"model": find_model(model).digest, "scores": scores, "settings": settings.model_dump(mode="json")}
        write_bytes(out / "scores.json", (json.dumps(content, indent=2) + "\n").encode())
        run.tell(f"{result}: done; validation loss {scores['loss']:.4g}")
    run.accelerator.wait_for_everyone()
    return result


def load_stable(model: str) -> StableDiffusionPipeline:
    """A pipeline in float32, without a checker of photographs.

    Raises:
        InputError: Not there, of another kind, or damaged.
    """
    from diffusers import StableDiffusionPipeline

    found = find_model(model)
    if found.kind != "stable":
        raise InputError(f"{model}: not a StableDiffusionPipeline; our own models are trained by their stages")
    try:
        return StableDiffusionPipeline.from_pretrained(
            found.path,
            variant=found.variant,
            torch_dtype=torch.float32,
            use_safetensors=True,
            local_files_only=True,
            safety_checker=None,
            feature_extractor=None,
            image_encoder=None,
            requires_safety_checker=False,
        )
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        raise InputError(f"{model}: cannot be loaded ({' '.join(str(error).split())[:200]})") from error


def native_size(pipe: StableDiffusionPipeline) -> int:
    """Pixels of a side that the U-Net was made for."""
    return int(pipe.unet.config.sample_size * pipe.vae_scale_factor)


def _check_size(pipe: StableDiffusionPipeline, size: int) -> None:
    """The U-Net halves latents between its blocks."""
    least = pipe.vae_scale_factor * 2 ** (len(pipe.unet.config.block_out_channels) - 1)
    if size % least:
        raise InputError(
            f"size {size}: give a multiple of {least} for this model, which was made for {native_size(pipe)}"
        )


def _save(stage: StableStage, net: LearningUNet, folder: Path) -> None:
    """The result, whole or absent."""
    pipe, part = stage.pipeline(net), folder.with_name(f".{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    if stage.settings.method == "lora":
        save_lora(net, part)
    else:
        if stage.settings.half:
            pipe.to(torch.float16)
        pipe.save_pretrained(part, safe_serialization=True, max_shard_size=SHARD)
    shutil.rmtree(folder, ignore_errors=True)
    part.rename(folder)
