"""Vision models of the Hugging Face library transformers, from a local folder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from synth.core.errors import InputError
from synth.metrics.extractors.finding import safe_weights
from synth.metrics.extractors.network import Network, choose_device, import_torch, network
from synth.metrics.extractors.protocol import file_hash, import_optional

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from synth.metrics.images.windowing import Window

__all__ = ["huggingface", "pretrained"]


def huggingface(folder: Path, name: str, *, window: Window = "full", device: str | None = None) -> Network:
    """A model that AutoModel loads, with its own image processor.

    The vector is the image embedding of a CLIP-like model (`get_image_features`), else the pooled output, else the
    class token, else the mean over the positions. RAD-DINO's model card takes the pooled output, as here.

    Args:
        folder: config.json, preprocessor_config.json and weights as safetensors; no code of the folder is run.
        name: What to call it.
        window: How grey values come to 8 bits.
        device: "cpu", "cuda", …

    Raises:
        InputError: transformers is not installed, or the folder holds no safetensors or cannot be read.
    """
    weights = safe_weights(folder)
    processor, model = pretrained(folder, "AutoImageProcessor", "AutoModel")
    device = choose_device(device)
    model = model.eval().to(device)

    def prepare(images: NDArray[np.uint8]) -> Any:
        colour = [Image.fromarray(np.ascontiguousarray(image)).convert("RGB") for image in images]
        return processor(images=colour, return_tensors="pt")["pixel_values"].to(device)

    settings = [path for path in (folder / "config.json", folder / "preprocessor_config.json") if path.is_file()]
    parts = {"files": file_hash(*settings, *weights), "processor": type(processor).__name__}
    return network(name, window, prepare, lambda batch: _vector(model, batch), parts, device=device)


def pretrained(folder: Path, *classes: str) -> list[Any]:
    """What classes of transformers read in a folder, offline and without running its code.

    Args:
        folder: The model's, whose weights are known to be safetensors.
        classes: Such as "AutoModel".

    Raises:
        InputError: transformers is not installed, or cannot read the folder.
    """
    transformers = import_optional("transformers", f"the model in {folder}", ["transformers", "torch"])
    options: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    found = []
    for name in classes:
        more = {"use_safetensors": True} if name == "AutoModel" else {}
        try:
            found.append(getattr(transformers, name).from_pretrained(str(folder), **options, **more))
        except Exception as error:  # at a damaged folder the library raises anything
            raise InputError(f"{folder}: cannot load ({' '.join(str(error).split())[:200]})") from error
    return found


def _vector(model: Any, pixels: Any) -> Any:
    """(n, d) of what the model gives for (n, 3, h, w)."""
    if hasattr(model, "get_image_features"):
        output = model.get_image_features(pixel_values=pixels)
        if import_torch().is_tensor(output):
            return output
        return output.pooler_output  # transformers 5 wraps the embedding
    output = model(pixel_values=pixels)
    pooled = getattr(output, "pooler_output", None)
    if pooled is not None:
        return pooled.flatten(1)
    hidden = output.last_hidden_state
    return hidden[:, 0] if hidden.ndim == 3 else hidden.flatten(2).mean(2)
