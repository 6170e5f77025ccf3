"""Networks of timm and torchvision, and image towers of open_clip, with weights as safetensors in a folder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from synth.core.errors import InputError
from synth.metrics.extractors.finding import safe_weights
from synth.metrics.extractors.network import Network, Preparation, choose_device, import_torch, network
from synth.metrics.extractors.protocol import file_hash, import_optional

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from synth.metrics.images.windowing import Window

__all__ = ["backbone", "clip_tower"]

_HEADS = ("fc", "head", "heads", "classifier", "last_linear")
"""Names of the last, classifying layer in timm and torchvision."""

_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""ImageNet's, of which timm's and torchvision's weights take their input's scale unless they say otherwise."""


def backbone(
    folder: Path, config: Mapping[str, Any], name: str, *, window: Window = "full", device: str | None = None
) -> Network:
    """A classifier of timm or torchvision without its last layer.

    Args:
        folder: Weights as safetensors, and config.json.
        config: "architecture"; "library", "timm" (default) or "torchvision"; "size", "mean" and "std" of the input,
            at the top or in timm's "pretrained_cfg"; "model_args" for timm.
        name: What to call it.
        window: How grey values come to 8 bits.
        device: "cpu", "cuda", …

    Raises:
        InputError: The library is not installed, the architecture is unknown, or the weights do not fit it.
    """
    files, weights = _read_weights(folder)
    device = choose_device(device)
    model = _torchvision(config, folder) if config.get("library") == "torchvision" else _timm(config, folder)
    _load(model, weights, folder)
    model = model.eval().to(device)
    parts = {"files": file_hash(folder / "config.json", *files)}
    return network(name, window, _preparation(config, device), lambda x: model(x).flatten(1), parts, device=device)


def clip_tower(
    folder: Path, config: Mapping[str, Any], name: str, *, window: Window = "full", device: str | None = None
) -> Network:
    """The image embedding of an open_clip model whose image tower is timm's, such as BiomedCLIP.

    The text tower is not built: it would ask the Hub for its tokenizer.

    Args:
        folder: open_clip_config.json and the whole model's weights as safetensors.
        config: What open_clip_config.json holds.
        name: What to call it.
        window: How grey values come to 8 bits.
        device: "cpu", "cuda", …

    Raises:
        InputError: The tower is not timm's, or its projection is not linear.
    """
    vision = config["model_cfg"]["vision_cfg"]
    if "timm_model_name" not in vision or vision.get("timm_proj", "linear") not in ("linear", "none", None):
        raise InputError(f"{folder}: only open_clip models with a timm image tower and a linear projection are read")
    files, weights = _read_weights(folder)
    device = choose_device(device)
    pool = {"global_pool": vision["timm_pool"]} if vision.get("timm_pool") else {}
    trunk = _timm({"architecture": vision["timm_model_name"], "model_args": pool}, folder)
    _load(trunk, _below("visual.trunk.", weights), folder)
    trunk = trunk.eval().to(device)
    head = _below("visual.head.", weights)
    projection = head["proj.weight"].float().to(device).T if "proj.weight" in head else None

    def forward(batch: Any) -> Any:
        hidden = trunk(batch)
        return hidden if projection is None else hidden @ projection

    size = vision.get("image_size", 224)
    prepare = _preparation({"size": size, **config.get("preprocess_cfg", {})}, device)
    parts = {"files": file_hash(folder / "open_clip_config.json", *files)}
    return network(name, window, prepare, forward, parts, device=device)


def _timm(config: Mapping[str, Any], folder: Path) -> Any:
    timm = import_optional("timm", f"the model in {folder}", ["timm", "torch"])
    arguments = dict(config.get("model_args") or {})
    try:
        return timm.create_model(config["architecture"], pretrained=False, num_classes=0, **arguments)
    except RuntimeError as error:
        raise InputError(f"{folder}: timm cannot make {config['architecture']!r} ({error})") from error


def _torchvision(config: Mapping[str, Any], folder: Path) -> Any:
    torchvision = import_optional("torchvision", f"the model in {folder}", ["torchvision", "torch"])
    try:
        model = torchvision.models.get_model(config["architecture"], weights=None)
    except ValueError as error:
        raise InputError(f"{folder}: torchvision knows no {config['architecture']!r}") from error
    for head in _HEADS:
        if hasattr(model, head):
            setattr(model, head, import_torch().nn.Identity())
    return model


def _load(model: Any, weights: Mapping[str, Any], folder: Path) -> None:
    """Weights into a model; a last layer that it no longer has may be left over, nothing else."""
    try:
        missing, unexpected = model.load_state_dict(dict(weights), strict=False)
    except RuntimeError as error:  # shapes
        reason = str(error).strip().splitlines()[-1].strip()
        raise InputError(f"{folder}: the weights do not fit the architecture ({reason})") from error
    wrong = [*missing, *(key for key in unexpected if key.split(".", 1)[0] not in _HEADS)]
    if wrong:
        verb = "lack" if missing else "have"
        raise InputError(f"{folder}: the weights {verb} {wrong[0]!r} ({len(wrong)} such): not this architecture's")


def _read_weights(folder: Path) -> tuple[tuple[Path, ...], dict[str, Any]]:
    files = safe_weights(folder)
    safetensors = import_optional("safetensors.torch", f"the model in {folder}", ["safetensors"])
    weights: dict[str, Any] = {}
    for path in files:
        try:
            weights |= safetensors.load_file(str(path))
        except Exception as error:  # safetensors' own error class derives from Exception alone
            raise InputError(f"{path}: cut short or corrupted ({error}); copy it again") from error
    return files, weights


def _below(prefix: str, weights: Mapping[str, Any]) -> dict[str, Any]:
    return {key.removeprefix(prefix): value for key, value in weights.items() if key.startswith(prefix)}


def _preparation(config: Mapping[str, Any], device: str) -> Preparation:
    own = {**(config.get("pretrained_cfg") or {}), **config}
    size = own.get("size") or own.get("input_size") or 224
    height, width = (size, size) if isinstance(size, int) else tuple(size)[-2:]
    return Preparation(
        (int(height), int(width)),
        tuple(map(float, own.get("mean", _MEAN))),
        tuple(map(float, own.get("std", _STD))),
        str(own.get("interpolation", "bicubic")),
        device,
    )
