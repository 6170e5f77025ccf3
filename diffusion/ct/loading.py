"""Models of CTs from a folder, from the Hub, or the one that comes with the package, ready to draw."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch

from synth.core.errors import InputError
from synth.diffusion.ct.maisi.folder import MaisiFolder, find_maisi, is_maisi
from synth.diffusion.loading import (
    BACKENDS,
    PROMPTS,
    Recent,
    as_input_errors,
    choose_device,
    choose_precision,
    quiet,
    settle,
)
from synth.diffusion.model_folder import find_model

if TYPE_CHECKING:
    from synth.diffusion.ct.generate import CtModel
    from synth.diffusion.ct.pipeline import CtPipeline
    from synth.diffusion.loading import Attention, Precision
    from synth.diffusion.model_folder import ModelFolder

__all__ = ["find_ct_model", "load_ct_model", "load_ct_pipeline"]


def find_ct_model(name: str = "default") -> ModelFolder | MaisiFolder:
    """The folder of a model, checked but not loaded; its `digest` is the model's.

    Args:
        name: "default" for the model that comes with the package; a folder of a CtPipeline or of MAISI's layout
            (NV-Generate-CT); or an id of the Hugging Face Hub.

    Raises:
        InputError: It is not there, of an unknown kind, or without its weights.
    """
    folder = Path(name).expanduser()
    if name != "default" and folder.is_dir() and not (folder / "model_index.json").is_file() and is_maisi(folder):
        return find_maisi(folder)
    return find_model(name, "ct")


def load_ct_model(
    name: str = "default", *, device: str = "auto", dtype: Precision = "auto", attention: Attention = "sdpa"
) -> CtModel:
    """Loads a model, without ever running code of its folder.

    Args:
        name: See `find_ct_model`.
        device: "cpu", "cuda", "cuda:1", …; "auto": a GPU where there is one.
        dtype: Of denoiser, refiner and text encoder; the autoencoder is float32, so that HU keep their steps. "auto":
            bfloat16 where the device computes in it.
        attention: torch's own, xformers', or torch's flash kernel.

    Raises:
        InputError: It is not there, is not safe to load, is damaged, or cannot run here as asked.
    """
    from synth.diffusion.ct.own_model import MaisiModel, OwnModel

    found = find_ct_model(name)
    place = choose_device(device)
    if isinstance(found, MaisiFolder):
        from synth.diffusion.ct.maisi.loading import load_maisi

        with as_input_errors(found.path), quiet():
            return MaisiModel(load_maisi(found.path, device=place, dtype=dtype))
    pipe = load_ct_pipeline(name)
    if attention == "xformers" and place == "cpu":
        raise InputError("--attention xformers: needs a GPU; on a CPU use sdpa")
    _settle(pipe, place, getattr(torch, choose_precision(dtype, place)))
    with as_input_errors(found.path), quiet():
        for part in filter(None, (pipe.transformer, pipe.text_encoder, pipe.control)):
            part.set_attention_backend(BACKENDS[attention])
    pipe.text_cache = Recent(PROMPTS)
    return OwnModel(pipe, found.digest)


def load_ct_pipeline(name: str = "default") -> CtPipeline:
    """A pipeline of ours as it was saved, on the CPU: to go on training, or to export.

    Raises:
        InputError: It is not there, is of MAISI's layout, is not safe to load, or is damaged.
    """
    from synth.diffusion.ct.pipeline import CtPipeline

    folder = find_model(name, "ct")
    options = {"local_files_only": True, "use_safetensors": True, "variant": folder.variant}
    with as_input_errors(folder.path), quiet():
        pipe: CtPipeline = CtPipeline.from_pretrained(str(folder.path), **options)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def _settle(pipe: CtPipeline, device: str, dtype: torch.dtype) -> None:
    """Brings all parts to the device."""
    with quiet():
        for name, part in pipe.components.items():
            if isinstance(part, torch.nn.Module):
                settle(part, device, torch.float32 if name == "vae" else dtype)
