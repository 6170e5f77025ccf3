"""The third stage: masks from latents."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import torch
from pydantic import Field
from torch import Tensor, nn

from synth.core.errors import InputError
from synth.core.strict import Strict
from synth.diffusion.cxr.mask_decoder import MaskDecoder
from synth.diffusion.flow import interpolate
from synth.diffusion.training.finishing import finish, finished, load_model, seeded
from synth.diffusion.training.latents import LatentCache, Variants
from synth.diffusion.training.look import chosen, tinted
from synth.diffusion.training.loop import train
from synth.diffusion.training.machine import first_alone
from synth.diffusion.training.settings import StageSettings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from synth.diffusion.cxr.autoencoder import CxrAutoencoder
    from synth.diffusion.training.data import TrainingData
    from synth.diffusion.training.loop import Run
    from synth.diffusion.training.order import Share

__all__ = ["MaskModel", "MaskSettings", "MaskStage", "dice", "overlap_loss", "structure_weights", "train_masks"]

_SHOWN = 8  # radiographs in a picture
_BATCH = 32  # of validation


class MaskModel(Strict):
    """See MaskDecoder."""

    width: int = Field(default=128, ge=8)
    blocks: int = Field(default=2, ge=1)


class MaskSettings(StageSettings):
    """How the mask decoder is trained.

    Attributes:
        model: Its size.
        noisy: Share of the latents that get noise, as generated ones are not quite those of radiographs.
        noise: Time of the flow up to which they do.
        rare: Largest weight of a structure that few radiographs show; the others' is 1.
        latents: Variants of every radiograph that are encoded.
    """

    model: MaskModel = MaskModel()
    noisy: float = Field(default=0.5, ge=0, le=1)
    noise: float = Field(default=0.1, ge=0, le=1)
    rare: float = Field(default=5.0, ge=1)
    latents: Variants = Variants()


def train_masks(
    settings: MaskSettings,
    data: TrainingData,
    out: Path,
    run: Run,
    *,
    autoencoder: CxrAutoencoder,
    start: MaskDecoder | None = None,
) -> MaskDecoder:
    """Trains a mask decoder, or loads the one that is trained already.

    Args:
        settings: How.
        data: Images and masks.
        out: The stage's folder; the model comes to out/model.
        run: This call.
        autoencoder: Trained.
        start: Whose weights to start from, where it reads the same structures.

    Raises:
        InputError: The data has no masks, or see `train`.
        InterruptedRun: Stopped; a checkpoint is there.
    """
    done: MaskDecoder | None = finished(MaskDecoder, out, settings, run)
    if done is not None:
        return done
    if not data.structures:
        raise InputError("masks: the data has none; leave this stage out")
    with first_alone(run.accelerator):
        latents = LatentCache.open(autoencoder, data, settings.latents, seed=settings.seed)
    model = settings.model
    with seeded(settings.seed):
        net = MaskDecoder(data.structures, latents.shape[0], model.width, model.blocks, autoencoder.factor)
    if start is not None and start.names == data.structures:
        net = copy.deepcopy(start).float().requires_grad_(True)
    net.to(run.accelerator.device, memory_format=torch.channels_last)
    judged, scores = train(MaskStage(net, settings, data, latents), settings, run, out)
    finish(judged.net, out, settings, scores, run)
    stored: MaskDecoder = load_model(MaskDecoder, out / "model", run)
    return stored


class MaskStage:
    """See Stage.

    Args:
        net: The mask decoder.
        settings: How it is trained.
        data: Masks, and who validates.
        latents: Of its radiographs.
    """

    def __init__(self, net: MaskDecoder, settings: MaskSettings, data: TrainingData, latents: LatentCache) -> None:
        self.nets: Sequence[nn.Module] = [_Reading(net)]
        self.settings, self.data, self.cache = settings, data, latents
        self.n_train = len(data.train)
        self.device = next(net.parameters()).device
        self.seen = data.validation[list(chosen(len(data.validation), settings.validate_most))]
        self.weights = structure_weights(data, settings.rare).to(self.device)

    def losses(self, nets: Sequence[nn.Module], share: Share) -> Iterator[tuple[Tensor, Mapping[str, Tensor]]]:
        """Cross-entropy and overlap."""
        indices = self.data.train[share.indices]
        draws = share.uniform((3,), "masks")
        latents = self.cache.latents(indices, draws[:, 0])
        times = torch.where(draws[:, 1] < self.settings.noisy, self.settings.noise * draws[:, 2], 0)
        noisy = interpolate(latents, share.normal(self.cache.shape), times).to(self.device)
        masks = self.cache.masks(self.data, indices, draws[:, 0]).to(self.device)
        logits = nets[0](noisy.contiguous(memory_format=torch.channels_last))
        entropy = nn.functional.binary_cross_entropy_with_logits(logits, masks, reduction="none").mean((0, 2, 3))
        entropy = (entropy * self.weights).sum() / self.weights.sum()
        overlap = overlap_loss(logits, masks, self.weights)
        yield entropy + overlap, {"loss": entropy + overlap, "entropy": entropy, "overlap": overlap}

    def validate(self, net: _Reading) -> Mapping[str, float]:
        """Dice of every structure, in the mean over the radiographs that show it; the loss is 1 - their mean."""
        found = []
        for first in range(0, len(self.seen), _BATCH):
            indices = self.seen[first : first + _BATCH]
            seen = net(self.cache.latents(indices).to(self.device)) > 0
            found.append(dice(seen.cpu(), self.data.pixels.masks(indices) > 0))
        means = torch.cat(found).nanmean(0)
        named = {f"Dice {name}": float(value) for name, value in zip(self.data.structures, means, strict=True)}
        return {"loss": 1 - float(means.nanmean())} | {key: value for key, value in named.items() if value == value}

    def picture(self, net: _Reading) -> NDArray[np.uint8]:
        """Validation radiographs with their masks, above the same with those that are read."""
        indices = self.seen[list(chosen(len(self.seen), _SHOWN))]
        read = net(self.cache.latents(indices).to(self.device)) > 0
        return tinted(self.data.pixels.images(indices), self.data.pixels.masks(indices), read.float())


class _Reading(nn.Module):
    """The decoder as training calls it; the logits come in float32."""

    def __init__(self, net: MaskDecoder) -> None:
        super().__init__()
        self.net = net

    def forward(self, latents: Tensor) -> Tensor:
        return self.net(latents).float()


def overlap_loss(logits: Tensor, masks: Tensor, weights: Tensor) -> Tensor:
    """1 - Dice (Milletari et al. 2016, arXiv:1606.04797) of what is shown, 0 where a structure is not in the image.

    A sum over images by their number: so it is the same however a batch is shared out.

    Args:
        logits: (n, structures, h, w).
        masks: The same, 0 or 1.
        weights: (structures,).
    """
    chance = logits.sigmoid()
    both, area = (chance * masks).sum((2, 3)), masks.sum((2, 3))
    missed = 1 - (2 * both + 1) / (chance.sum((2, 3)) + area + 1)
    shown = (area > 0) * weights
    return (missed * shown).sum() / (len(masks) * weights.sum())


def dice(found: Tensor, true: Tensor) -> Tensor:
    """(n, structures) Dice of masks (n, structures, h, w), bool; nan where the structure is not in the image."""
    both, sizes = (found & true).sum((2, 3)).float(), found.sum((2, 3)) + true.sum((2, 3))
    return torch.where(true.any(3).any(2), 2 * both / sizes, torch.nan)


def structure_weights(data: TrainingData, most: float) -> Tensor:
    """(structures,) one over the square root of the share of radiographs that show it, at most `most`."""
    counts = data.examples.structures()
    shares = torch.tensor([counts[name] / len(data.examples) for name in data.structures])
    return shares.rsqrt().clamp(1.0, most)
