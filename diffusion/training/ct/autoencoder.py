"""The first stage: CT with masks ↔ latent, on crops of all levels."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import torch
from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution
from pydantic import Field
from torch import Tensor, nn

from synth.core.errors import InputError
from synth.core.strict import Strict
from synth.diffusion.ct.anatomy import THIN
from synth.diffusion.ct.autoencoder import CtAutoencoder
from synth.diffusion.ct.channels import MASKS
from synth.diffusion.training.autoencoder import frozen_features
from synth.diffusion.training.critic import PatchCritic, adaptive_weight, hinge
from synth.diffusion.training.ct.look import pictured, slices
from synth.diffusion.training.ct.patches import DRAWS, fixed_patches, random_patches
from synth.diffusion.training.finishing import finish, finished, load_model, seeded
from synth.diffusion.training.look import chosen, psnr
from synth.diffusion.training.loop import train
from synth.diffusion.training.masks import dice, overlap_loss
from synth.diffusion.training.settings import StageSettings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from synth.diffusion.training.ct.volumes import CtData
    from synth.diffusion.training.loop import Run
    from synth.diffusion.training.order import Share

__all__ = ["CtAutoencoderModel", "CtAutoencoderSettings", "CtAutoencoderStage", "train_ct_autoencoder"]

_SHOWN = 4  # CTs in a picture
_AT_ONCE = 4  # crops that are judged at a time
_FOR_SCALE = 256  # training examples whose latents are measured


class CtAutoencoderModel(Strict):
    """See CtAutoencoder."""

    latent_channels: int = Field(default=8, ge=1)
    stem: int = Field(default=4, ge=1)
    widths: tuple[int, ...] = Field(default=(96,), min_length=1)
    blocks: tuple[int, ...] = Field(default=(2,), min_length=1)


class CtAutoencoderSettings(StageSettings):
    """How the autoencoder is trained.

    Attributes:
        model: Its size.
        patch: Voxels of a side of the crops that are trained on.
        gradient: Weight of the differences between neighbours, at three scales, beside L1.
        kl: Weight of the divergence of latents from a standard normal, nats a latent number.
        masks: Weight of the masks' cross-entropy and overlap, beside the CT's. Both are means over all masks, so that
            one counts for little: much below 1, small ones such as findings are hardly learnt.
        thin: How many times as much masks of airways and vessels count.
        critic: Weight of a patch discriminator of slices, as a share of the reconstruction's gradient; 0 for none.
        critic_from: Progress at which it sets in.
        features: TorchScript file of a frozen network, (n, 1, h, w) in [-1, 1] → a tensor; slices are to look alike to
            it; "" for none. It is a program: name only a file that you trust.
        features_weight: Of that.
    """

    model: CtAutoencoderModel = CtAutoencoderModel()
    patch: int = Field(default=64, ge=8, multiple_of=4)
    gradient: float = Field(default=1.0, ge=0)
    kl: float = Field(default=1e-4, ge=0)
    masks: float = Field(default=1.0, ge=0)
    thin: float = Field(default=4.0, ge=1)
    critic: float = Field(default=0.0, ge=0)
    critic_from: float = Field(default=0.6, ge=0, le=1)
    features: str = ""
    features_weight: float = Field(default=0.1, ge=0)


def train_ct_autoencoder(
    settings: CtAutoencoderSettings, data: CtData, out: Path, run: Run, *, start: CtAutoencoder | None = None
) -> CtAutoencoder:
    """Trains an autoencoder, or loads the one that is trained already.

    Args:
        settings: How.
        data: CTs and masks.
        out: The stage's folder; the model comes to out/model.
        run: This call.
        start: Whose weights to start from; the sizes are then its own.

    Raises:
        InputError: Sizes that do not fit, or see `train`.
        InterruptedRun: Stopped; a checkpoint is there.
    """
    done: CtAutoencoder | None = finished(CtAutoencoder, out, settings, run)
    if done is not None:
        return done
    with seeded(settings.seed):
        net = CtAutoencoder(MASKS, **settings.model.model_dump()) if start is None else copy.deepcopy(start).float()
    net.requires_grad_(True)
    least = min(data.levels[0].grid.size)
    if settings.patch > least or settings.patch % net.factor or least % net.factor:
        raise InputError(
            f"autoencoder.patch {settings.patch}: give at most {least}, the base's side, "
            f"and of both multiples of {net.factor}, the autoencoder's factor"
        )
    stage = CtAutoencoderStage(net, settings, data, run.accelerator.device)
    judged, scores = train(stage, settings, run, out)
    trained: CtAutoencoder = judged.net
    scale, shift = stage.spread(trained)
    trained.register_to_config(scaling_factor=1 / scale, shift_factor=shift)
    finish(trained, out, settings, scores, run)
    stored: CtAutoencoder = load_model(CtAutoencoder, out / "model", run)
    return stored


class CtAutoencoderStage:
    """See Stage.

    Args:
        net: The autoencoder.
        settings: How it is trained.
        data: CTs and masks.
        device: Where to.
    """

    def __init__(self, net: CtAutoencoder, settings: CtAutoencoderSettings, data: CtData, device: torch.device) -> None:
        self.settings, self.data, self.device = settings, data, device
        self.net = net.to(device)
        with seeded(settings.seed + 1):
            self.critic = PatchCritic().to(device) if settings.critic else None
        self.nets: Sequence[nn.Module] = [_Coding(self.net), *([self.critic] if self.critic else [])]
        self.n_train = len(data.train)
        self.features = frozen_features(settings.features, device)
        self.seen = data.validation[list(chosen(len(data.validation), settings.validate_most))]
        self.weights = torch.tensor([settings.thin if name in THIN else 1.0 for name in net.names], device=device)

    def losses(self, nets: Sequence[nn.Module], share: Share) -> Iterator[tuple[Tensor, Mapping[str, Tensor]]]:
        """Of the reconstruction; then, late, of the critic."""
        settings = self.settings
        indices = self.data.train[share.indices]
        x = random_patches(self.data, indices, share.uniform((DRAWS,), "patch"), settings.patch).to(self.device)
        side = settings.patch // self.net.factor
        noise = share.normal((self.net.config.latent_channels, side, side, side)).to(self.device)
        made, kl = nets[0](x, noise)
        likeness, shown = self._likeness(made[:, :1], x[:, :1])
        apart, told = self._apart(made[:, 1:], x[:, 1:] > 0, self.data.annotated[indices].to(self.device))
        loss = likeness + settings.kl * kl + settings.masks * apart
        judged = self.critic is not None and share.progress >= settings.critic_from
        if judged:
            loss = loss + self._persuasion(likeness, made)
        yield loss, {"loss": loss, "kl": kl, **shown, **told}
        if judged:
            verdicts = nets[1](torch.cat([slices(x[:, :1]), slices(made[:, :1].detach())]))
            asked = hinge(*verdicts.chunk(2))
            yield asked, {"critic loss": asked}
        elif self.critic is not None:
            yield 0.0 * nets[1](slices(x[:, :1])).sum(), {}  # processes wait for gradients of every net

    def validate(self, net: _Coding) -> Mapping[str, float]:
        """Reconstructions of means of the middle of validation CTs, at the finest level, without a drawn latent."""
        errors, ratios, overlaps = [], [], []
        for first in range(0, len(self.seen), _AT_ONCE):
            made, x = self._pair(net.net, self.seen[first : first + _AT_ONCE])
            errors.append((made[:, :1] - x[:, :1]).abs().mean((1, 2, 3, 4)).cpu())
            ratios += [psnr(slices(a[None]), slices(b[None])) for a, b in zip(made[:, :1], x[:, :1], strict=True)]
            overlaps.append(dice(_flat(made[:, 1:] > 0), _flat(x[:, 1:] > 0)).cpu())
        error, means = float(torch.cat(errors).mean()), torch.cat(overlaps).nanmean(0)
        named = {f"Dice {name}": float(value) for name, value in zip(self.net.names, means, strict=True)}
        scores = {"loss": error + self.settings.masks * (1 - float(means.nanmean())), "L1": error}
        if not bool(means.isfinite().any()):
            scores["loss"] = error
        return scores | {"PSNR": sum(ratios) / len(ratios)} | {k: value for k, value in named.items() if value == value}

    def picture(self, net: _Coding) -> NDArray[np.uint8]:
        """Slices of validation CTs with their masks, above their reconstructions."""
        made, x = self._pair(net.net, self.seen[list(chosen(len(self.seen), _SHOWN))])
        return pictured(x, torch.cat([made[:, :1], made[:, 1:].sign()], 1))

    @torch.no_grad()
    def spread(self, net: CtAutoencoder) -> tuple[float, float]:
        """Standard deviation and mean of raw latents of training examples."""
        raw = []
        for index in self.data.train[list(chosen(len(self.data.train), _FOR_SCALE))]:
            for level in self.data.levels:
                patch = fixed_patches(level, index[None], self.settings.patch).to(self.device)
                raw.append(net.encoder(patch).chunk(2, dim=1)[0].double().cpu())
        every = torch.cat(raw)
        return float(every.std()), float(every.mean())

    def _pair(self, net: CtAutoencoder, indices: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        """What is made, masks as logits, of middles of CTs, and these."""
        x = fixed_patches(self.data.levels[-1], indices, self.settings.patch).to(self.device)
        return torch.cat(net.decoded(net.latents(x)), dim=1).float(), x

    def _likeness(self, made: Tensor, x: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        settings = self.settings
        flat, steep = (made - x).abs().mean(), _steepness(made - x)
        loss, shown = flat + settings.gradient * steep, {"L1": flat, "gradient": steep}
        if self.features is not None:
            far = (self.features(slices(made)) - self.features(slices(x))).abs().mean()
            loss, shown = loss + settings.features_weight * far, shown | {"features": far}
        return loss, shown

    def _apart(self, logits: Tensor, masks: Tensor, known: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Cross-entropy and overlap of masks that are annotated (n, m)."""
        true, weights = masks.float(), self.weights
        each = nn.functional.binary_cross_entropy_with_logits(logits.float(), true, reduction="none").mean((2, 3, 4))
        entropy = (each * known * weights).sum() / (known * weights).sum().clamp(min=1)
        overlap = overlap_loss(_flat(logits.float()), _flat(true), weights)
        return entropy + overlap, {"masks": entropy, "overlap": overlap}

    def _persuasion(self, likeness: Tensor, made: Tensor) -> Tensor:
        assert self.critic is not None
        self.critic.requires_grad_(False)
        doubted = -self.critic(slices(made[:, :1])).mean()
        self.critic.requires_grad_(True)
        return self.settings.critic * adaptive_weight(likeness, doubted, made) * doubted


class _Coding(nn.Module):
    """The autoencoder as training calls it: volume and noise in, reconstruction and divergence out."""

    def __init__(self, net: CtAutoencoder) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        posterior: Any = DiagonalGaussianDistribution(self.net.encoder(x))
        mean, log_variance = posterior.mean.float(), posterior.logvar.float()
        kl = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).mean()
        return self.net.decoder(posterior.mean + posterior.std * noise).float(), kl


def _steepness(error: Tensor) -> Tensor:
    """L1 of the differences between neighbours, in the mean over the volume and two coarser ones."""
    total = error.new_zeros(())
    for _ in range(3):
        total = total + sum(error.diff(dim=axis).abs().mean() for axis in (2, 3, 4))
        error = nn.functional.avg_pool3d(error, 2)
    return total / 3


def _flat(volumes: Tensor) -> Tensor:
    """(n, m, d, h, w) → (n, m, d · h, w): overlaps do not ask where voxels lie."""
    return volumes.flatten(2, 3)
