"""MAISI's networks and schedulers, which are MONAI's, made from their definitions."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import torch

from synth.core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch import nn

__all__ = ["AUTOENCODER", "CONTROLNET", "DENOISER", "SCHEDULERS", "build", "check_fit", "set_precision"]

AUTOENCODER, DENOISER, CONTROLNET = "AutoencoderKlMaisi", "DiffusionModelUNetMaisi", "ControlNetMaisi"
SCHEDULERS = ("RFlowScheduler", "DDPMScheduler")

_HERE: Mapping[str, Any] = {
    "use_flash_attention": False,  # refused without a GPU; attention is torch's fused one all the same, see `build`
    "use_checkpointing": False,  # is for training
    "norm_float16": False,  # see `set_precision`
    "num_splits": 1,  # drops what does not divide by it; the decoder's window bounds the memory already
    "print_info": False,
}
"""Arguments that say how, not what, is computed: chosen here whatever a definition says."""


def build(definition: Mapping[str, Any], wanted: tuple[str, ...], path: Path, name: str) -> Any:
    """The network or scheduler of a definition; weights as torch draws them.

    Only the last part of `_target_` counts: older folders name modules of their own for the same classes.

    Args:
        definition: Arguments, and the class as `_target_`.
        wanted: Classes that it may be.
        path: Where it was found.
        name: What it is called there.

    Raises:
        InputError: Another class, or arguments that it does not take.
    """
    target = str(definition.get("_target_", "")).rpartition(".")[2]
    if target not in wanted:
        raise InputError(f"{path}: {name} is a {target or 'nameless class'}; {' or '.join(wanted)} can be loaded")
    made_of = _class(target)
    known = inspect.signature(made_of).parameters
    given = {key: value for key, value in definition.items() if not key.startswith("_")}
    given |= {key: value for key, value in _HERE.items() if key in known}
    loose = any(one.kind is inspect.Parameter.VAR_KEYWORD for one in known.values())
    unknown = [] if loose else [key for key in given if key not in known]
    if unknown:
        raise InputError(f"{path}: {name} has {', '.join(unknown)}, which MONAI's {target} does not take")
    try:
        made = made_of(**given)
    except (TypeError, ValueError, KeyError, IndexError, AssertionError) as error:
        raise InputError(f"{path}: {name} makes no {target} ({' '.join(str(error).split())[:200]})") from error
    if target not in SCHEDULERS:  # some of which are modules that were never set up
        _fuse_attention(made)
        made.eval().requires_grad_(False)
    return made


def check_fit(autoencoder: nn.Module, denoiser: nn.Module, controlnet: nn.Module | None, path: Path) -> None:
    """Refuses networks that are not of one model.

    Raises:
        InputError: Their channels differ, or the denoiser asks for text.
    """
    latents = int(autoencoder.latent_channels)
    if denoiser.in_channels != latents or denoiser.out_channels != latents:
        raise InputError(
            f"{path}: the autoencoder makes {latents} channels and the denoiser takes {denoiser.in_channels} and makes "
            f"{denoiser.out_channels}"
        )
    if denoiser.with_conditioning:
        raise InputError(f"{path}: the denoiser asks for embeddings of its own (with_conditioning); not a MAISI model")
    if controlnet is not None and list(controlnet.block_out_channels) != list(denoiser.block_out_channels):
        raise InputError(
            f"{path}: the ControlNet has {list(controlnet.block_out_channels)} channels and the denoiser "
            f"{list(denoiser.block_out_channels)}"
        )


def set_precision(network: nn.Module, dtype: torch.dtype) -> None:
    """Tells MAISI's norms what follows them: in half precision they save memory by giving halves."""
    for part in network.modules():
        if hasattr(part, "norm_float16"):
            part.norm_float16 = dtype == torch.float16


def _class(name: str) -> Any:
    from monai.apps.generation.maisi.networks.autoencoderkl_maisi import AutoencoderKlMaisi
    from monai.apps.generation.maisi.networks.controlnet_maisi import ControlNetMaisi
    from monai.apps.generation.maisi.networks.diffusion_model_unet_maisi import DiffusionModelUNetMaisi
    from monai.networks.schedulers.ddpm import DDPMScheduler
    from monai.networks.schedulers.rectified_flow import RFlowScheduler

    return {
        AUTOENCODER: AutoencoderKlMaisi,
        DENOISER: DiffusionModelUNetMaisi,
        CONTROLNET: ControlNetMaisi,
        "RFlowScheduler": RFlowScheduler,
        "DDPMScheduler": DDPMScheduler,
    }[name]


def _fuse_attention(network: nn.Module) -> None:
    """Takes torch's scaled dot-product attention instead of the whole matrix, whose memory grows with its square."""
    for part in network.modules():
        if hasattr(part, "use_flash_attention"):
            part.use_flash_attention = True
