"""A pipeline as a MONAI bundle: `python -m monai.bundle run --config_file configs/inference.json` makes CTs with it."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import torch

from synth.core.errors import InputError
from synth.core.files import atomic_path, write_bytes
from synth.diffusion.ct.maisi.metadata import image_format, metadata
from synth.diffusion.ct.maisi.pipeline import MaisiPipeline

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch import Tensor, nn

__all__ = ["export_bundle"]

_PAPER = "Guo et al. 2025, MAISI: Medical AI for Synthetic Imaging, arXiv:2409.11169"
_UNKNOWN_LICENCE = "No licence came with these weights. The terms of where they come from hold.\n"
_OURS = "SPDX-License-Identifier: Apache-2.0\n\nhttps://www.apache.org/licenses/LICENSE-2.0\n"


@dataclass(frozen=True, eq=False)
class _Content:
    """What differs between our models and MAISI's.

    Attributes:
        network: The denoiser, whose weights are models/model.pt.
        settings: For inference.json.
        latents: See `image_format`.
        decoded: Likewise.
        description: One sentence.
        references: Publications.
        rights: Who holds them.
    """

    network: nn.Module
    settings: Mapping[str, Any]
    latents: dict[str, Any]
    decoded: dict[str, Any]
    description: str
    references: tuple[str, ...]
    rights: str


def export_bundle(pipeline: Any, folder: Path, *, licence: str | None = None) -> None:
    """Writes a pipeline as a MONAI bundle, which `load_maisi` (MAISI's) or `from_pretrained` (ours) loads again.

    The folder gets configs/metadata.json, configs/inference.json, models/model.pt (the denoiser's weights, as the
    specification asks), the other networks as safetensors, docs/README.md, and the licence as LICENSE and
    docs/license.txt.

    Args:
        pipeline: MaisiPipeline or CtPipeline.
        folder: New or empty; its name is the bundle's.
        licence: Text; default: the licences beside MAISI's weights, Apache 2.0 for ours.

    Raises:
        InputError: The folder holds something, or cannot be written.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder}: is there already; name a new folder")
    theirs = isinstance(pipeline, MaisiPipeline)
    content = _of_maisi(pipeline) if theirs else _of_ours(pipeline)
    told = metadata(
        folder.name, content.description, content.latents, content.decoded, content.references, content.rights
    )
    _write_json(folder / "configs" / "metadata.json", told)
    _write_json(folder / "configs" / "inference.json", content.settings)
    with atomic_path(folder / "models" / "model.pt") as temporary:
        torch.save(_cpu(content.network), temporary)
    if theirs:
        _write_maisi(pipeline, folder)
    else:
        pipeline.save_pretrained(folder / "models" / "pipeline", safe_serialization=True)
    text = licence if licence is not None else _licence(pipeline) if theirs else _OURS
    for path in (folder / "LICENSE", folder / "docs" / "license.txt"):
        write_bytes(path, text.encode())
    write_bytes(folder / "docs" / "README.md", _readme(folder.name, content).encode())


def _common(network: Mapping[str, Any], pipeline: Mapping[str, Any]) -> dict[str, Any]:
    """Of inference.json, with the names that MONAI's workflows ask for."""
    return {
        "imports": ["$import torch"],
        "bundle_root": ".",
        "output_dir": "$@bundle_root + '/output'",
        "device": "$torch.device('cuda:0' if torch.cuda.is_available() else 'cpu')",
        "prompts": [""],
        "seeds": [0],
        "dataset_dir": "@output_dir",
        "dataset": "@prompts",
        "network_def": network,
        "network": "$@network_def.to(@device)",
        "pipeline": pipeline,
        "inferer": "@pipeline",
        "evaluator": None,
        "run": {
            "_target_": "synth.diffusion.ct.maisi.running.write_samples",
            "pipeline": "@pipeline",
            "prompts": "@prompts",
            "seeds": "@seeds",
            "folder": "@output_dir",
        },
    }


def _of_maisi(pipeline: MaisiPipeline) -> _Content:
    usual, get = pipeline.defaults, pipeline.settings.get
    names = ["autoencoder_def", "diffusion_unet_def", "noise_scheduler"]
    definitions = {name: dict(get(name)) for name in [*names, *["controlnet_def"] * (pipeline.controlnet is not None)]}
    for name in definitions:
        if "use_flash_attention" in definitions[name]:  # which MONAI refuses to make without a GPU
            definitions[name]["use_flash_attention"] = False
    loaded = {
        "_target_": "synth.diffusion.ct.maisi.loading.load_maisi",
        "folder": "@bundle_root",
        "limits": {"_target_": _path(pipeline.limits), **asdict(pipeline.limits)},
    }
    sampling = {
        "trained_autoencoder_path": "$@bundle_root + '/models/autoencoder.safetensors'",
        "trained_diffusion_path": "$@bundle_root + '/models/model.pt'",
        "scale_factor": pipeline.scale_factor,
        "output_size": usual.size[::-1],
        "spacing": usual.spacing[::-1],
        "num_inference_steps": usual.steps,
        "cfg_guidance_scale": usual.guidance,
        "modality": usual.modality,
        "autoencoder_sliding_window_infer_size": usual.window,
        "autoencoder_sliding_window_infer_overlap": usual.overlap,
        "top_region_index": _one_hot(usual.regions[0]),
        "bottom_region_index": _one_hot(usual.regions[1]),
    }
    unit = 2 ** (len(pipeline.denoiser.block_out_channels) - 1)
    channels = [f"latent {number}" for number in range(int(pipeline.autoencoder.latent_channels))]
    return _Content(
        pipeline.denoiser,
        _common(definitions["diffusion_unet_def"], loaded) | definitions | sampling,
        image_format("latent", channels, [f"{unit}*n"] * 3, ()),
        image_format("hounsfield", ["CT, 0 is −1000 HU and 1 is 1000 HU"], [f"{unit * pipeline.factor}*n"] * 3, (0, 1)),
        "Latent diffusion of CTs by region of the body and spacing, and of label maps where it has a ControlNet.",
        (_PAPER,),
        "see LICENSE",
    )


def _of_ours(pipeline: Any) -> _Content:
    network = pipeline.transformer
    arguments = {key: value for key, value in dict(network.config).items() if not key.startswith("_")}
    loaded = {
        "_target_": f"{_path(pipeline)}.from_pretrained",
        "pretrained_model_name_or_path": "$@bundle_root + '/models/pipeline'",
    }
    channels = [f"latent {number}" for number in range(int(pipeline.vae.config.latent_channels))]
    unit = int(network.config.patch)
    return _Content(
        network,
        _common({"_target_": _path(network), **arguments}, loaded),
        image_format("latent", channels, [f"{unit}*n"] * 3, ()),
        image_format(
            "hounsfield", ["CT, −1 is −1000 HU and 1 is 1000 HU"], [f"{unit * pipeline.vae.factor}*n"] * 3, (-1, 1)
        ),
        "Latent diffusion of CTs and their masks from text.",
        (),
        "the authors of radsynth",
    )


def _write_maisi(pipeline: MaisiPipeline, folder: Path) -> None:
    from safetensors.torch import save_file

    for name, network in (("autoencoder", pipeline.autoencoder), ("controlnet", pipeline.controlnet)):
        if network is not None:
            with atomic_path(folder / "models" / f"{name}.safetensors") as temporary:
                save_file(_cpu(network), str(temporary), metadata={"format": "pt"})
    _write_json(folder / "configs" / "label_dict.json", dict(pipeline.classes))
    _write_json(folder / "configs" / "modality_mapping.json", dict(pipeline.modalities))
    for path in pipeline.licences:
        shutil.copyfile(path, folder / path.name)


def _licence(pipeline: MaisiPipeline) -> str:
    return "\n".join(path.read_text("utf-8", "replace") for path in pipeline.licences) or _UNKNOWN_LICENCE


def _readme(name: str, content: _Content) -> str:
    references = "".join(f"- {one}\n" for one in content.references)
    return f"""# {name}

{content.description} For research: what it draws shows no patient, and is not for diagnosis or treatment.

## Run

    pip install "radsynth[diffusion]" fire
    python -m monai.bundle run --bundle_root . --config_file configs/inference.json --prompts "['']" --seeds "[0]"

writes output/ct_SEED.nii.gz, and a label map where the model makes one. `prompts` and `seeds` are lists of one length.

## Files

- models/model.pt: weights of the denoiser, `network_def` of configs/inference.json
- models: the other networks, as safetensors
- LICENSE: terms of the weights
""" + (f"\n## References\n\n{references}" if references else "")


def _one_hot(region: str) -> list[int]:
    from synth.diffusion.ct.maisi.labels import REGIONS

    return [int(region == name) for name in REGIONS]


def _path(of: Any) -> str:
    return f"{type(of).__module__}.{type(of).__qualname__}"


def _cpu(network: nn.Module) -> dict[str, Tensor]:
    """Weights, each in memory of its own."""
    return {name: one.detach().cpu().clone().contiguous() for name, one in network.state_dict().items()}


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    write_bytes(path, (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode())
