"""From a pipeline's folder to that of a fine-tuned one, or to a LoRA adapter of it."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import torch

from synth.core.errors import InputError
from synth.core.files import write_bytes
from synth.diffusion.loading import load_model
from synth.diffusion.stable import StableModel
from synth.diffusion.training.finishing import SHARD
from synth.diffusion.training.latents import LatentCache
from synth.diffusion.training.loop import train
from synth.diffusion.training.machine import first_alone
from synth.diffusion.training.stable.autoencoder import StableAutoencoder
from synth.diffusion.training.stable.network import save_lora
from synth.diffusion.training.stable.stage import StableStage

if TYPE_CHECKING:
    from pathlib import Path

    from synth.diffusion.training.data import TrainingData
    from synth.diffusion.training.loop import Run
    from synth.diffusion.training.stable.network import LearningUNet
    from synth.diffusion.training.stable.settings import StableSettings

__all__ = ["train_stable"]


def train_stable(model: str, settings: StableSettings, data: TrainingData, out: Path, run: Run) -> Path:
    """Fine-tunes a Stable Diffusion pipeline.

    Args:
        model: Its folder, or its id on the Hugging Face Hub; see `load_model`.
        settings: How.
        data: Radiographs and prompts; masks are not needed.
        out: Takes log.csv, curves.svg, samples/, checkpoints/, scores.json, and the result.
        run: This call.

    Returns:
        out/pipeline, for `StableDiffusionPipeline.from_pretrained`; or out/lora, for `load_lora_weights` on the
        pipeline that training began with. The weights are the running mean that validates best.

    Raises:
        InputError: The model cannot be loaded, is none of Stable Diffusion's, or does not fit the data's size; or see
            `train`.
        InterruptedRun: Stopped; a checkpoint is there.
    """
    loaded = load_model(model, device=str(run.accelerator.device), dtype="float32")
    if not isinstance(loaded, StableModel):
        raise InputError(f"{model}: not a StableDiffusionPipeline; our own models go on with start_from: FOLDER")
    pipe = loaded.pipe
    least = pipe.vae_scale_factor * 2 ** (len(pipe.unet.config.block_out_channels) - 1)
    if data.pixels.size % least:  # the U-Net halves latents between its blocks
        raise InputError(f"size {data.pixels.size}: give a multiple of {least}; {model} was made for {loaded.side}")
    with first_alone(run.accelerator):
        latents = LatentCache.open(StableAutoencoder(pipe), data, settings.latents, seed=settings.seed)
    stage = StableStage(pipe, settings, data, latents)
    judged, scores = train(stage, settings, run, out)
    result = out / ("lora" if settings.method == "lora" else "pipeline")
    if run.main:
        _save(stage, judged, result)
        content = {"model": loaded.digest, "scores": scores, "settings": settings.model_dump(mode="json")}
        write_bytes(out / "scores.json", (json.dumps(content, indent=2) + "\n").encode())
        run.tell(f"{result}: done; validation loss {scores['loss']:.4g}")
    run.accelerator.wait_for_everyone()
    return result


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
