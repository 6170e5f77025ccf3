"""Small models with random weights in the layouts of MAISI and NV-Generate-CT."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import torch
from monai.apps.generation.maisi.networks.autoencoderkl_maisi import AutoencoderKlMaisi
from monai.apps.generation.maisi.networks.controlnet_maisi import ControlNetMaisi
from monai.apps.generation.maisi.networks.diffusion_model_unet_maisi import DiffusionModelUNetMaisi

from synth.diffusion.ct.maisi.grid import Limits

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["LIMITS", "SCALE", "definitions", "write_folder"]

LIMITS = Limits(sides=(16, 32), heights=(16, 32), field=16)
SCALE = 0.8
_NETWORKS = "monai.apps.generation.maisi.networks"


def definitions(kind: str = "rflow") -> dict[str, Any]:
    """A config_network_*.json with narrow networks of two levels; everything else as published."""
    flows = kind == "rflow"
    unet = {
        "spatial_dims": "@spatial_dims",
        "in_channels": "@latent_channels",
        "num_channels": [8, 16],
        "attention_levels": [False, True],
        "num_head_channels": [0, 8],
        "num_res_blocks": 1,
        "norm_num_groups": 4,
        "use_flash_attention": True,
        "resblock_updown": flows,
        "include_fc": flows,
        **({"num_class_embeds": 128} if flows else {}),
    }
    return {
        "spatial_dims": 3,
        "image_channels": 1,
        "latent_channels": 4,
        "include_body_region": not flows,
        "autoencoder_def": {
            "_target_": f"{_NETWORKS}.autoencoderkl_maisi.AutoencoderKlMaisi",
            "spatial_dims": "@spatial_dims",
            "in_channels": "@image_channels",
            "out_channels": "@image_channels",
            "latent_channels": "@latent_channels",
            "num_channels": [4, 4, 8],
            "num_res_blocks": [1, 1, 1],
            "norm_num_groups": 2,
            "norm_eps": 1e-06,
            "attention_levels": [False, False, False],
            "with_encoder_nonlocal_attn": False,
            "with_decoder_nonlocal_attn": False,
            "use_checkpointing": False,
            "use_convtranspose": False,
            "norm_float16": True,
            "num_splits": 8,
            "dim_split": 1,
        },
        "diffusion_unet_def": {
            "_target_": f"{_NETWORKS}.diffusion_model_unet_maisi.DiffusionModelUNetMaisi",
            **unet,
            "out_channels": "@latent_channels",
            "include_top_region_index_input": "@include_body_region",
            "include_bottom_region_index_input": "@include_body_region",
            "include_spacing_input": True,
        },
        "controlnet_def": {
            "_target_": f"{_NETWORKS}.controlnet_maisi.ControlNetMaisi",
            **unet,
            "conditioning_embedding_in_channels": 8,
            "conditioning_embedding_num_channels": [8, 8, 8],
        },
        "noise_scheduler": {
            "_target_": "monai.networks.schedulers.rectified_flow.RFlowScheduler",
            "num_train_timesteps": 1000,
            "use_discrete_timesteps": False,
            "use_timestep_transform": True,
            "sample_method": "uniform",
            "scale": 1.4,
        }
        if flows
        else {
            "_target_": "monai.networks.schedulers.ddpm.DDPMScheduler",
            "num_train_timesteps": 4,
            "beta_start": 0.0015,
            "beta_end": 0.0195,
            "schedule": "scaled_linear_beta",
            "clip_sample": False,
        },
    }


def networks(kind: str = "rflow") -> dict[str, torch.nn.Module]:
    """Networks of those definitions, made by MONAI's classes directly; no weight is zero."""
    text = json.dumps(definitions(kind))
    for name, value in (("spatial_dims", 3), ("image_channels", 1), ("latent_channels", 4)):
        text = text.replace(f'"@{name}"', str(value))
    found = json.loads(text.replace('"@include_body_region"', str(kind == "ddpm").lower()))
    made = {}
    for seed, (name, of, scale) in enumerate(
        (
            ("autoencoder", AutoencoderKlMaisi, 0.1),
            ("diffusion_unet", DiffusionModelUNetMaisi, 0.2),
            ("controlnet", ControlNetMaisi, 0.3),
        )
    ):
        given = {key: value for key, value in found[f"{name}_def"].items() if key != "_target_"}
        given |= {key: False for key in ("use_flash_attention", "norm_float16") if key in given}
        given |= {key: 1 for key in ("num_splits",) if key in given}  # eight parts need more than four voxels
        made[name] = _shaken(of(**given), seed, scale)
    _centre(made["autoencoder"])
    return made


def write_folder(folder: Path, kind: str = "rflow", *, control: bool = True, layout: str = "repository") -> Path:
    """A model's folder, as NV-Generate-CTMR ("repository") or MONAI's bundle ("bundle") lays it out."""
    parts = networks(kind)
    names = {
        "autoencoder": "autoencoder_v1" if layout == "repository" else "autoencoder_epoch273",
        "diffusion_unet": f"diff_unet_3d_{kind}-ct" if layout == "repository" else "diff_unet_ckpt_epoch19350",
        "controlnet": f"controlnet_3d_{kind}-ct" if layout == "repository" else "controlnet_current",
    }
    configs, models = folder / "configs", folder / "models"
    configs.mkdir(parents=True, exist_ok=True)
    models.mkdir(exist_ok=True)
    torch.save(parts["autoencoder"].state_dict(), models / f"{names['autoencoder']}.pt")
    torch.save(
        {
            "epoch": 3,
            "num_train_timesteps": 1000,
            "scale_factor": torch.tensor(SCALE),
            "unet_state_dict": parts["diffusion_unet"].state_dict(),
        },
        models / f"{names['diffusion_unet']}.pt",
    )
    if control:
        state = parts["controlnet"].state_dict()
        torch.save({"epoch": 1, "controlnet_state_dict": state}, models / f"{names['controlnet']}.pt")
    if layout == "repository":
        (configs / f"config_network_{kind}.json").write_text(json.dumps(definitions(kind)))
        sampling = {"output_size": [32, 32, 16], "spacing": [1.5, 1.5, 2.0], "num_inference_steps": 2, "modality": 1,
                    "autoencoder_sliding_window_infer_size": [48, 48, 48], "cfg_guidance_scale": 0.0,
                    "autoencoder_sliding_window_infer_overlap": 0.6666, "autoencoder": "$@autoencoder_def"}  # fmt: skip
        (configs / "config_infer.json").write_text(json.dumps(sampling))
    else:
        more = {"imports": ["$import scripts"], "bundle_root": ".", "model_dir": "$@bundle_root + '/models'",
                "trained_autoencoder_path": "$@model_dir + '/autoencoder_epoch273.pt'", "output_size_xy": 32,
                "output_size": ["@output_size_xy", "@output_size_xy", 16], "spacing": [1.5, 1.5, 1.5],
                "num_inference_steps": 2, "modality": "ct", "autoencoder": "$@autoencoder_def.to(@device)"}  # fmt: skip
        (configs / "inference.json").write_text(json.dumps(definitions(kind) | more))
    return folder


def _shaken(network: torch.nn.Module, seed: int, scale: float) -> torch.nn.Module:
    """With weights drawn anew: layers that start at zero would hide what they are given."""
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in network.named_parameters():
        gain = parameter.ndim == 1 and name.endswith("weight")
        parameter.data = scale * torch.randn(parameter.shape, generator=generator) + gain
    return network.eval().requires_grad_(False)


def _centre(autoencoder: torch.nn.Module) -> None:
    """Brings what is decoded around soft tissue, so that little is clipped to air and bone."""
    last = [part for part in autoencoder.decoder.modules() if isinstance(part, torch.nn.Conv3d)][-1]
    noise = torch.randn(1, 4, 4, 4, 4, generator=torch.Generator().manual_seed(9))
    with torch.no_grad():
        made = autoencoder.decode_stage_2_outputs(noise / SCALE)
    last.weight.data *= 0.15 / made.std()
    last.bias.data[:] = 0.5 - (made.mean() - last.bias) * 0.15 / made.std()
