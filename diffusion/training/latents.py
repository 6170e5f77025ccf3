"""Latents of all radiographs, made once by a trained autoencoder: training a denoiser then needs no images."""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.lib.format import open_memmap
from pydantic import Field

from synth.core.files import write_bytes
from synth.core.seeds import sample_generator
from synth.core.strict import Strict
from synth.diffusion.training.augment import Augmentation
from synth.diffusion.training.pixels import key_of

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import Tensor

    from synth.diffusion.cxr.autoencoder import CxrAutoencoder
    from synth.diffusion.training.data import TrainingData

__all__ = ["LatentCache", "Variants", "weights_digest"]

_CHUNK = 64  # radiographs encoded at a time
_NOTED = 16  # chunks between two notes on how far it is


class Variants(Strict):
    """Several latents of each radiograph.

    Attributes:
        count: Of them; the first is of the radiograph as it is.
        augment: How the others are changed.
    """

    count: int = Field(default=1, ge=1, le=64)
    augment: Augmentation = Augmentation()

    def draws(self, seed: int, index: int, variant: int) -> Tensor:
        """(4,) what changes a radiograph for one of its variants; the first is in the middle of all ranges."""
        if variant == 0:
            return torch.full((4,), 0.5)
        return torch.from_numpy(sample_generator(seed, index, "variant", str(variant)).random(4, dtype=np.float32))


@dataclass(frozen=True, eq=False)
class LatentCache:
    """Scaled latents.

    Attributes:
        array: (n, variants, c, h, w) float16, memory-mapped.
        variants: What they are of.
        seed: Of the variants.
    """

    array: NDArray[np.float16]
    variants: Variants
    seed: int

    @classmethod
    def open(cls, autoencoder: CxrAutoencoder, data: TrainingData, variants: Variants, *, seed: int = 0) -> LatentCache:
        """Makes the latents, goes on making them, or finds them in the data's folder.

        Their file is named after the autoencoder's weights, the data and the variants.
        """
        size = data.pixels.size
        side = size // autoencoder.factor
        shape = (len(data.examples), variants.count, int(autoencoder.config.latent_channels), side, side)
        said = [weights_digest(autoencoder), data.examples.digest, size, seed, variants.model_dump()]
        path = data.folder / f"latents-{key_of(*said)}.npy"
        if not path.is_file():
            _fill(path, shape, autoencoder, data, variants, seed)
        return cls(np.load(path, mmap_mode="r"), variants, seed)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(c, h, w)."""
        c, h, w = self.array.shape[2:]
        return c, h, w

    def latents(self, indices: NDArray[np.int64], draws: Tensor | None = None) -> Tensor:
        """(k, c, h, w) float32, of drawn variants, or of the radiographs as they are.

        Args:
            indices: (k,) examples.
            draws: (k,) numbers from 0 to 1.
        """
        return torch.from_numpy(self.array[indices, self._chosen(indices, draws)].astype(np.float32))

    def masks(self, data: TrainingData, indices: NDArray[np.int64], draws: Tensor | None = None) -> Tensor:
        """(k, structures, H, W) the masks that belong to `latents` of the same arguments."""
        masks = data.pixels.masks(indices)
        if self.variants.augment.off or draws is None:
            return masks
        chosen = self._chosen(indices, draws)
        moves = [self.variants.draws(self.seed, int(k), int(v)) for k, v in zip(indices, chosen, strict=True)]
        return self.variants.augment.masks(masks, torch.stack(moves))

    def _chosen(self, indices: NDArray[np.int64], draws: Tensor | None) -> NDArray[np.int64]:
        if draws is None:
            return np.zeros(len(indices), np.int64)
        drawn: NDArray[np.int64] = (draws.numpy() * self.variants.count).astype(np.int64)
        return np.minimum(drawn, self.variants.count - 1)


def weights_digest(net: torch.nn.Module) -> str:
    """SHA-256 of a model's weights and configuration."""
    total = hashlib.sha256()
    for name, value in sorted(net.state_dict().items()):
        total.update(name.encode())
        total.update(value.detach().float().cpu().contiguous().numpy().tobytes())
    config: Any = getattr(net, "config", {})
    kept = {key: value for key, value in dict(config).items() if not key.startswith("_")}
    total.update(json.dumps(kept, sort_keys=True, default=list).encode())
    return total.hexdigest()


def _fill(
    path: Path, shape: tuple[int, ...], autoencoder: CxrAutoencoder, data: TrainingData, variants: Variants, seed: int
) -> None:
    part, note = path.with_name(f".{path.name}.part"), path.with_name(f".{path.name}.json")
    done = 0
    with suppress(OSError, ValueError, KeyError):
        done = int(json.loads(note.read_bytes())["done"]) if part.is_file() else 0
    path.parent.mkdir(parents=True, exist_ok=True)
    array = open_memmap(part, "r+" if done else "w+", np.float16, shape)
    for number, first in enumerate(range(done, len(array), _CHUNK), start=1):
        last = min(first + _CHUNK, len(array))
        for variant in range(variants.count):
            array[first:last, variant] = _encoded(autoencoder, data, variants, seed, range(first, last), variant)
        if number % _NOTED == 0:
            array.flush()
            write_bytes(note, json.dumps({"done": last}).encode())
            data.tell(f"latents of {last} of {len(array)} radiographs made")
    array.flush()
    part.replace(path)
    note.unlink(missing_ok=True)


@torch.no_grad()
def _encoded(
    autoencoder: CxrAutoencoder, data: TrainingData, variants: Variants, seed: int, indices: range, variant: int
) -> NDArray[np.float16]:
    device = next(autoencoder.parameters()).device
    images = data.pixels.images(np.array(indices)).to(device)
    if variant:
        draws = torch.stack([variants.draws(seed, index, variant) for index in indices])
        images = variants.augment.images(images, draws.to(device))
    images = images.contiguous(memory_format=torch.channels_last)
    latents: NDArray[np.float16] = autoencoder.latents(images).half().cpu().numpy()
    return latents
