"""Any model in a folder: which kind it is, and its extractor."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from synth.core.errors import InputError
from synth.metrics.extractors.backbones import backbone, clip_tower
from synth.metrics.extractors.finding import safe_weights
from synth.metrics.extractors.huggingface import huggingface
from synth.metrics.extractors.network import Network, Preparation, choose_device, network
from synth.metrics.extractors.torchscript import is_torchscript, load_torchscript

if TYPE_CHECKING:
    from pathlib import Path

    from synth.metrics.images.windowing import Window

__all__ = ["from_folder", "from_torchscript"]


def from_folder(
    folder: Path, name: str | None = None, *, window: Window = "full", device: str | None = None
) -> Network:
    """The extractor of the model in a folder.

    Args:
        folder: open_clip (open_clip_config.json), Hugging Face (config.json with "model_type"), timm or torchvision
            (config.json with "architecture"), each with safetensors; or one TorchScript file, see `from_torchscript`.
        name: What to call it; default: the folder's name.
        window: How grey values come to 8 bits.
        device: "cpu", "cuda", …

    Raises:
        InputError: None of these kinds, pickled weights, or a library that is not installed.
    """
    name = name or folder.resolve().name
    clip = _json(folder / "open_clip_config.json")
    config = _json(folder / "config.json")
    if "model_cfg" in clip:
        return clip_tower(folder, clip, name, window=window, device=device)
    if "model_type" in config:
        return huggingface(folder, name, window=window, device=device)
    if "architecture" in config:
        return backbone(folder, config, name, window=window, device=device)
    scripts = sorted(path for path in folder.glob("*.pt") if is_torchscript(path))
    if len(scripts) == 1:
        return from_torchscript(scripts[0], name, window=window, device=device)
    safe_weights(folder)  # pickles get their own message
    raise InputError(
        f"{folder}: not a model read here; it needs config.json with 'model_type' (Hugging Face) or 'architecture' "
        "(timm, torchvision), open_clip_config.json, or one TorchScript file"
    )


def from_torchscript(
    path: Path, name: str | None = None, *, window: Window = "full", device: str | None = None
) -> Network:
    """A TorchScript module from (n, 3, h, w) to (n, d) or (n, d, 1, 1).

    A config.json beside it may give "size" (default 224), "mean" and "std" (default 0 and 1: input in [0, 1]) and
    "interpolation" (default "bicubic").

    Raises:
        InputError: No TorchScript file, or a module that does not take such input.
    """
    config = _json(path.with_name("config.json"))
    size = config.get("size", 224)
    device = choose_device(device)
    prepare = Preparation(
        (size, size) if isinstance(size, int) else (int(size[-2]), int(size[-1])),
        tuple(map(float, config.get("mean", (0, 0, 0)))),
        tuple(map(float, config.get("std", (1, 1, 1)))),
        str(config.get("interpolation", "bicubic")),
        device,
    )
    module, digest = load_torchscript(path, device)
    parts = {"weights": digest, "config": dict(config)}
    try:
        return network(name or path.stem, window, prepare, lambda x: module(x).flatten(1), parts, device=device)
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1]
        raise InputError(f"{path}: does not take (1, 3, {prepare.size[0]}, {prepare.size[1]}) ({reason})") from error


def _json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: not a JSON file ({error})") from error
    return content if isinstance(content, dict) else {}
