"""The first stage: radiograph ↔ latent."""

from __future__ import annotations

import copy
import warnings
from typing import TYPE_CHECKING

import torch
from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution
from pydantic import Field
from torch import Tensor, nn

from synth.core.errors import InputError
from synth.core.strict import Strict
from synth.diffusion.cxr.autoencoder import CxrAutoencoder
from synth.diffusion.training.augment import Augmentation
from synth.diffusion.training.critic import PatchCritic, adaptive_weight, hinge
from synth.diffusion.training.finishing import finish, finished, load_model, seeded
from synth.diffusion.training.look import chosen, psnr, rows_of, ssim
from synth.diffusion.training.loop import train
from synth.diffusion.training.settings import StageSettings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from synth.diffusion.training.data import TrainingData
    from synth.diffusion.training.loop import Run
    from synth.diffusion.training.order import Share

__all__ = ["AutoencoderModel", "AutoencoderSettings", "AutoencoderStage", "frozen_features", "train_autoencoder"]

_SHOWN = 8  # radiographs in a picture
_FOR_SCALE = 2048  # training examples whose latents are measured


class AutoencoderModel(Strict):
    """See CxrAutoencoder."""

    latent_channels: int = Field(default=8, ge=1)
    stem: int = Field(default=4, ge=1)
    widths: tuple[int, ...] = Field(default=(96, 192), min_length=1)
    blocks: tuple[int, ...] = Field(default=(2, 2), min_length=1)


class AutoencoderSettings(StageSettings):
    """How the autoencoder is trained.

    Attributes:
        model: Its size.
        gradient: Weight of the differences between neighbours, at three scales, beside L1.
        kl: Weight of the divergence of latents from a standard normal, nats a latent number.
        critic: Weight of a patch discriminator, as a share of the reconstruction's gradient; 0 for none.
        critic_from: Progress at which it sets in.
        features: TorchScript file of a frozen network, (n, 1, h, w) in [-1, 1] → a tensor; images are to look alike
            to it; "" for none. It is a program: name only a file that you trust.
        features_weight: Of that.
        augment: How images are changed.
    """

    model: AutoencoderModel = AutoencoderModel()
    gradient: float = Field(default=1.0, ge=0)
    kl: float = Field(default=1e-4, ge=0)
    critic: float = Field(default=0.0, ge=0)
    critic_from: float = Field(default=0.6, ge=0, le=1)
    features: str = ""
    features_weight: float = Field(default=0.1, ge=0)
    augment: Augmentation = Augmentation(shift=0.03, contrast=0.1)


def train_autoencoder(
    settings: AutoencoderSettings, data: TrainingData, out: Path, run: Run, *, start: CxrAutoencoder | None = None
) -> CxrAutoencoder:
    """Trains an autoencoder, or loads the one that is trained already.

    Args:
        settings: How.
        data: Images.
        out: The stage's folder; the model comes to out/model.
        run: This call.
        start: Whose weights to start from; the sizes are then its own.

    Raises:
        InputError: Sizes that do not fit, or see `train`.
        InterruptedRun: Stopped; a checkpoint is there.
    """
    done: CxrAutoencoder | None = finished(CxrAutoencoder, out, settings, run)
    if done is not None:
        return done
    with seeded(settings.seed):
        net = CxrAutoencoder(**settings.model.model_dump()) if start is None else copy.deepcopy(start).float()
    net.requires_grad_(True)
    if data.pixels.size % net.factor:
        raise InputError(f"size {data.pixels.size}: give a multiple of {net.factor}, the autoencoder's factor")
    stage = AutoencoderStage(net, settings, data, run.accelerator.device)
    judged, scores = train(stage, settings, run, out)
    trained: CxrAutoencoder = judged.net
    scale, shift = _spread(trained, data, run.accelerator.device)
    trained.register_to_config(scaling_factor=1 / scale, shift_factor=shift)
    finish(trained, out, settings, scores, run)
    stored: CxrAutoencoder = load_model(CxrAutoencoder, out / "model", run)
    return stored


class AutoencoderStage:
    """See Stage.

    Args:
        net: The autoencoder.
        settings: How it is trained.
        data: Images.
        device: Where to.
    """

    def __init__(
        self, net: CxrAutoencoder, settings: AutoencoderSettings, data: TrainingData, device: torch.device
    ) -> None:
        self.settings, self.data, self.device = settings, data, device
        self.net = net.to(device, memory_format=torch.channels_last)
        with seeded(settings.seed + 1):
            self.critic = PatchCritic().to(device, memory_format=torch.channels_last) if settings.critic else None
        self.nets: Sequence[nn.Module] = [_Coding(self.net), *([self.critic] if self.critic else [])]
        self.n_train = len(data.train)
        self.features = frozen_features(settings.features, device)
        self.seen = data.validation[list(chosen(len(data.validation), settings.validate_most))]

    def losses(self, nets: Sequence[nn.Module], share: Share) -> Iterator[tuple[Tensor, Mapping[str, Tensor]]]:
        """Of the reconstruction; then, late, of the critic."""
        settings = self.settings
        x = self.data.pixels.images(self.data.train[share.indices]).to(self.device)
        if not settings.augment.off:
            x = settings.augment.images(x, share.uniform((4,), "augment").to(self.device))
        side = x.shape[-1] // self.net.factor
        noise = share.normal((self.net.config.latent_channels, side, side)).to(self.device)
        made, kl = nets[0](x.contiguous(memory_format=torch.channels_last), noise)
        likeness, shown = self._likeness(made, x)
        loss = likeness + settings.kl * kl
        judged = self.critic is not None and share.progress >= settings.critic_from
        if judged:
            loss = loss + self._persuasion(likeness, made)
        yield loss, {"loss": loss, "kl": kl, **shown}
        if judged:
            verdicts = nets[1](torch.cat([x, made.detach()]))
            asked = hinge(*verdicts.chunk(2))
            yield asked, {"critic loss": asked}
        elif self.critic is not None:
            yield 0.0 * nets[1](x).sum(), {}  # processes wait for gradients of every net

    def validate(self, net: _Coding) -> Mapping[str, float]:
        """Reconstructions of means, without a drawn latent."""
        made, real = self._pairs(net.net, self.seen)
        error = float((made - real).abs().mean())
        return {"loss": error, "PSNR": psnr(made, real), "SSIM": ssim(made, real)}

    def picture(self, net: _Coding) -> NDArray[np.uint8]:
        """Validation radiographs above their reconstructions."""
        made, real = self._pairs(net.net, self.seen[list(chosen(len(self.seen), _SHOWN))])
        return rows_of(real, made)

    def _pairs(self, net: CxrAutoencoder, indices: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        made, real = [], []
        for first in range(0, len(indices), 32):
            x = self.data.pixels.images(indices[first : first + 32]).to(self.device)
            made.append(net.images(net.latents(x)).float())
            real.append(x)
        return torch.cat(made), torch.cat(real)

    def _likeness(self, made: Tensor, x: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        settings = self.settings
        flat, steep = (made - x).abs().mean(), _steepness(made - x)
        loss, shown = flat + settings.gradient * steep, {"L1": flat, "gradient": steep}
        if self.features is not None:
            far = (self.features(made) - self.features(x)).abs().mean()
            loss, shown = loss + settings.features_weight * far, shown | {"features": far}
        return loss, shown

    def _persuasion(self, likeness: Tensor, made: Tensor) -> Tensor:
        assert self.critic is not None
        self.critic.requires_grad_(False)
        doubted = -self.critic(made).mean()
        self.critic.requires_grad_(True)
        return self.settings.critic * adaptive_weight(likeness, doubted, made) * doubted


class _Coding(nn.Module):
    """The autoencoder as training calls it: image and noise in, reconstruction and divergence out."""

    def __init__(self, net: CxrAutoencoder) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        posterior = DiagonalGaussianDistribution(self.net.encoder(x))
        mean, log_variance = posterior.mean.float(), posterior.logvar.float()
        kl = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).mean()
        return self.net.decoder(posterior.mean + posterior.std * noise), kl


def _steepness(error: Tensor) -> Tensor:
    """L1 of the differences between neighbours, in the mean over the image and two coarser ones."""
    total = error.new_zeros(())
    for _ in range(3):
        total = total + error.diff(dim=-1).abs().mean() + error.diff(dim=-2).abs().mean()
        error = nn.functional.avg_pool2d(error, 2)
    return total / 3


@torch.no_grad()
def _spread(net: CxrAutoencoder, data: TrainingData, device: torch.device) -> tuple[float, float]:
    """Standard deviation and mean of raw latents of training examples."""
    indices = data.train[list(chosen(len(data.train), _FOR_SCALE))]
    raw = [
        DiagonalGaussianDistribution(net.encoder(data.pixels.images(indices[first : first + 32]).to(device)))
        .mean.double()
        .cpu()
        for first in range(0, len(indices), 32)
    ]
    every = torch.cat(raw)
    return float(every.std()), float(every.mean())


def frozen_features(path: str, device: torch.device) -> nn.Module | None:
    """The network of a TorchScript file, which is not trained; None for "".

    Raises:
        InputError: It is no such file.
    """
    if not path:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # torch.jit is deprecated, its files are still about
            net: nn.Module = torch.jit.load(path, map_location=device).eval()
    except (RuntimeError, ValueError) as error:
        raise InputError(f"{path}: not a TorchScript file ({str(error).splitlines()[0]})") from error
    for value in net.parameters():
        value.requires_grad_(False)
    return net
