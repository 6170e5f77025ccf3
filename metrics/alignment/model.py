"""A CLIP-like model in a folder: embeddings of images and of texts. Nothing is downloaded, no code of it is run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from synth.core.errors import InputError
from synth.metrics.extractors.finding import safe_weights
from synth.metrics.extractors.huggingface import pretrained
from synth.metrics.extractors.network import choose_device, import_torch
from synth.metrics.images.windowing import Window, to_8_bits

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["ClipModel"]

_BATCH = 32


class ClipModel:
    """A model of the library transformers with `get_image_features` and `get_text_features` (CLIP, SigLIP, …).

    Attributes:
        folder: Where it lies.
        device: "cpu", "cuda", …
        window: How grey values come to 8 bits.
    """

    def __init__(self, folder: str | Path, *, window: Window = "full", device: str | None = None) -> None:
        """Loads the model.

        Args:
            folder: config.json, preprocessor_config.json, a tokenizer, and weights as safetensors.
            window: How grey values come to 8 bits.
            device: Default: the GPU where there is one.

        Raises:
            InputError: No such folder, transformers is not installed, no safetensors, or a model without both towers.
        """
        self.folder, self.window = Path(folder), window
        if not self.folder.is_dir():
            raise InputError(f"{folder}: no such folder; give one with a CLIP-like model of transformers")
        safe_weights(self.folder)
        parts = ("AutoImageProcessor", "AutoTokenizer", "AutoModel")
        self._processor, self._tokenizer, model = pretrained(self.folder, *parts)
        if not hasattr(model, "get_image_features") or not hasattr(model, "get_text_features"):
            raise InputError(
                f"{folder}: {type(model).__name__} has no towers for image and text; give a CLIP-like model"
            )
        self.device = choose_device(device)
        self._model = model.eval().to(self.device)

    def embed_images(self, images: Sequence[NDArray[Any]]) -> NDArray[np.float64]:
        """(n, d) of images (h, w), uint8 or uint16, of any sizes."""

        def embed(some: Sequence[NDArray[Any]]) -> Any:
            colour = [Image.fromarray(np.ascontiguousarray(to_8_bits(one, self.window))).convert("RGB") for one in some]
            pixels = self._processor(images=colour, return_tensors="pt")["pixel_values"]
            return self._model.get_image_features(pixel_values=pixels.to(self.device))

        return _in_batches(embed, images)

    def embed_texts(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """(n, d) of texts; those longer than the model reads are cut."""
        most = min(int(self._tokenizer.model_max_length), 512)  # a tokenizer without a limit states 10³⁰

        def embed(some: Sequence[str]) -> Any:
            # SigLIP was trained with texts padded to the full length; for masked models it makes no difference.
            tokens = self._tokenizer(
                list(some), padding="max_length", truncation=True, max_length=most, return_tensors="pt"
            )
            return self._model.get_text_features(**tokens.to(self.device))

        return _in_batches(embed, texts)


def _in_batches(embed: Any, items: Sequence[Any]) -> NDArray[np.float64]:
    if not len(items):
        raise InputError("nothing to embed: give at least one image or text")
    torch = import_torch()
    found = []
    with torch.inference_mode():
        for start in range(0, len(items), _BATCH):
            output = embed(items[start : start + _BATCH])
            vectors = output if torch.is_tensor(output) else output.pooler_output  # transformers 5 wraps the embedding
            found.append(vectors.float().cpu().numpy().astype(np.float64))
    return np.concatenate(found)
