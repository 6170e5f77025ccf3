"""The third stage: coarse latents and noise → latents of a grid twice as fine, on tiles, one network for all grids."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import torch
from pydantic import Field
from torch import Tensor, nn

from synth.core.errors import InputError
from synth.core.strict import Strict
from synth.diffusion.ct.refiner import CtRefiner
from synth.diffusion.ct.sampling import FineTask, Refinement
from synth.diffusion.flow import FlowScheduler, interpolate, velocity
from synth.diffusion.training.ct.latents import CtLatents
from synth.diffusion.training.ct.look import pictured
from synth.diffusion.training.ct.patches import DRAWS, corner, pick
from synth.diffusion.training.finishing import finish, finished, load_model, seeded
from synth.diffusion.training.look import chosen
from synth.diffusion.training.loop import train
from synth.diffusion.training.machine import first_alone
from synth.diffusion.training.order import Share
from synth.diffusion.training.settings import StageSettings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from synth.diffusion.ct.autoencoder import CtAutoencoder
    from synth.diffusion.training.ct.volumes import CtData
    from synth.diffusion.training.loop import Run

__all__ = ["RefinerModel", "RefinerSettings", "RefinerStage", "Refining", "refining_pairs", "train_refiner"]

_SHOWN = 4  # CTs in a picture
_AT_ONCE = 8  # tiles that are judged at a time


class RefinerModel(Strict):
    """See CtRefiner."""

    width: int = Field(default=64, ge=8)
    inner: int = Field(default=144, ge=8)
    blocks: tuple[int, int, int] = (1, 1, 2)
    signal: int = Field(default=128, ge=8)


class RefinerSettings(StageSettings):
    """How the refiner is trained.

    Attributes:
        model: Its size.
        tile: Latent voxels of a side of the crops that are trained on.
        coarse_noise: Largest share of noise in the coarse latents; it is drawn evenly from 0 on, and told.
        time_mean: Of the logit of times; above 0 trains more on noise.
        time_deviation: Of that logit.
        picture_steps: Steps in which pictures are sampled.
    """

    model: RefinerModel = RefinerModel()
    tile: int = Field(default=16, ge=2)
    coarse_noise: float = Field(default=0.5, ge=0, lt=1)
    time_mean: float = 0.0
    time_deviation: float = Field(default=1.0, gt=0)
    picture_steps: int = Field(default=4, ge=1)


class Refining(nn.Module):
    """The refiner, as training calls it."""

    def __init__(self, refiner: CtRefiner) -> None:
        super().__init__()
        self.refiner = refiner

    def forward(
        self,
        latents: Tensor,
        noise: Tensor,
        times: Tensor,
        coarse: Tensor,
        added: Tensor,
        level: Tensor,
        geometry: Tensor,
    ) -> Tensor:
        """(n,) mean squared errors of the velocity; `added` is the noise of the coarse latents, `level` its share."""
        noisy, given = interpolate(latents, noise, times), interpolate(coarse, added, level)
        predicted = self.refiner(noisy, times, given, level, geometry)
        return (predicted.float() - velocity(latents, noise)).square().flatten(1).mean(1)


def train_refiner(
    settings: RefinerSettings,
    data: CtData,
    out: Path,
    run: Run,
    *,
    autoencoder: CtAutoencoder,
    start: CtRefiner | None = None,
) -> CtRefiner:
    """Trains a refiner, or loads the one that is trained already.

    Args:
        settings: How.
        data: CTs on the base's grid and on finer ones.
        out: The stage's folder; the model comes to out/model.
        run: This call.
        autoencoder: Trained.
        start: Whose weights to start from; the sizes are then its own.

    Raises:
        InputError: There is no finer grid, a tile larger than it, or see `train`.
        InterruptedRun: Stopped; a checkpoint is there.
    """
    done: CtRefiner | None = finished(CtRefiner, out, settings, run)
    if done is not None:
        return done
    if len(data.levels) < 2:
        raise InputError("refiner: finer is 0, so that there is nothing to refine; set finer, or leave this stage out")
    least = data.levels[1].grid.size[0] // autoencoder.factor
    if settings.tile > least:
        raise InputError(f"refiner.tile {settings.tile}: the first finer grid has {least} latent voxels a side")
    with first_alone(run.accelerator):
        pairs = refining_pairs(autoencoder, data)
    with seeded(settings.seed):
        channels = pairs[0][0].shape[0]
        net = CtRefiner(channels, **settings.model.model_dump()) if start is None else copy.deepcopy(start).float()
    net.requires_grad_(True)
    stage = RefinerStage(Refining(net).to(run.accelerator.device), settings, data, pairs, autoencoder)
    judged, scores = train(stage, settings, run, out)
    finish(judged.refiner, out, settings, scores, run)
    stored: CtRefiner = load_model(CtRefiner, out / "model", run)
    return stored


def refining_pairs(autoencoder: CtAutoencoder, data: CtData) -> list[tuple[CtLatents, CtLatents]]:
    """Of each finer grid the latents, and those of the grid below, enlarged."""
    levels = range(1, len(data.levels))
    return [(CtLatents.open(autoencoder, data, k), CtLatents.enlarged(autoencoder, data, k)) for k in levels]


class RefinerStage:
    """See Stage.

    Args:
        net: What is trained.
        settings: How.
        data: Who trains and who validates.
        pairs: See `refining_pairs`.
        autoencoder: That made the latents; draws the pictures.
    """

    def __init__(
        self,
        net: Refining,
        settings: RefinerSettings,
        data: CtData,
        pairs: Sequence[tuple[CtLatents, CtLatents]],
        autoencoder: CtAutoencoder,
    ) -> None:
        self.nets: Sequence[nn.Module] = [net]
        self.settings, self.data, self.pairs, self.autoencoder = settings, data, pairs, autoencoder
        self.n_train = len(data.train)
        self.device = next(net.parameters()).device
        self.seen = data.validation[list(chosen(len(data.validation), settings.validate_most))]
        self.shape = (pairs[0][0].shape[0], *[settings.tile] * 3)

    def losses(self, nets: Sequence[nn.Module], share: Share) -> Iterator[tuple[Tensor, Mapping[str, Tensor]]]:
        """The error of the velocity, of tiles."""
        loss = nets[0](*self._given(self.data.train[share.indices], share)).mean()
        yield loss, {"loss": loss}

    def validate(self, net: nn.Module) -> Mapping[str, float]:
        """The error of the velocity, of fixed tiles with fixed noise and times."""
        given = self._given(self.seen, Share.all_of(self.settings.seed, len(self.seen)))
        parts = range(0, len(self.seen), _AT_ONCE)
        errors = [net(*(one[first : first + _AT_ONCE] for one in given)).float().cpu() for first in parts]
        return {"loss": float(torch.cat(errors).mean())}

    def picture(self, net: Refining) -> NDArray[np.uint8]:
        """The middle of validation CTs: the coarse one enlarged, what is made of it, and the fine one."""
        fine, coarse = self.pairs[0]
        indices = self.seen[list(chosen(len(self.seen), _SHOWN))].tolist()
        first = [(side - self.settings.tile) // 2 for side in fine.shape[1:]]
        truth, given = (one.crops(indices, [first] * len(indices), self.settings.tile) for one in (fine, coarse))
        noise = Share.all_of(self.settings.seed, len(indices)).normal(self.shape)
        refinement = Refinement(net.refiner, FlowScheduler(), self.settings.tile)
        geometry = self.data.levels[1].geometry.to(self.device)
        made = []
        for number in range(len(indices)):
            one = slice(number, number + 1)
            task = FineTask(noise[one].to(self.device), given[one].to(self.device), 0.0, geometry)
            made.append(refinement.run(task, self.settings.picture_steps).cpu())
        return pictured(*(self._decoded(latents) for latents in (given, torch.cat(made), truth)))

    def _decoded(self, latents: Tensor) -> Tensor:
        ct, logits = self.autoencoder.decoded(latents.to(self.device))
        return torch.cat([ct, logits], 1).float().cpu()

    def _given(self, indices: NDArray[np.int64], share: Share) -> list[Tensor]:
        """What the network is called with: every CT at a level and a place of its own."""
        draws, side = share.uniform((DRAWS,), "patch").tolist(), self.settings.tile
        levels = [pick(draw[0], len(self.pairs)) for draw in draws]
        fine: list[Tensor] = []
        coarse: list[Tensor] = []
        geometry: list[Tensor] = []
        for index, level, (_, *place) in zip(indices.tolist(), levels, draws, strict=True):
            pair = self.pairs[level]
            first = corner(place, pair[0].shape[1:], side)
            for found, one in zip((fine, coarse), pair, strict=True):
                found.append(one.crops([index], [first], side))
            geometry.append(self.data.levels[level + 1].geometry)
        settings, level_of = self.settings, share.uniform((), "level")
        every = (
            torch.cat(fine),
            share.normal(self.shape),
            share.times(settings.time_mean, settings.time_deviation),
            torch.cat(coarse),
            share.normal(self.shape, "added"),
            settings.coarse_noise * level_of,
            torch.cat(geometry),
        )
        return [tensor.to(self.device) for tensor in every]
