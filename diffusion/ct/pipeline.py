"""From prompts to CTs with masks: the whole field of view first, coarsely, then twice as finely, as often as asked."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial, reduce
from typing import TYPE_CHECKING

import numpy as np
import torch
from diffusers import DiffusionPipeline, SchedulerMixin
from diffusers.utils import BaseOutput
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from synth.core.errors import InputError
from synth.diffusion.ct.anatomy import halved_masks
from synth.diffusion.ct.autoencoder import CtAutoencoder
from synth.diffusion.ct.control import CtControl
from synth.diffusion.ct.grid import grid_of
from synth.diffusion.ct.refiner import CtRefiner
from synth.diffusion.ct.sampling import Denoiser, Refinement, Task, geometry_of
from synth.diffusion.ct.stages import Stages
from synth.diffusion.ct.transformer import CtTransformer
from synth.diffusion.flow import Guidance, noise_of
from synth.diffusion.text.conditions import Conditions, encode, parse_prompt
from synth.diffusion.text.encoder import ReportEncoder
from synth.diffusion.text.tokenizer import token_ids

if TYPE_CHECKING:
    from collections.abc import Callable, MutableMapping, Sequence

    from numpy.typing import NDArray

    from synth.diffusion.ct.grid import CtGrid

__all__ = ["CtOutput", "CtPipeline"]

_ON_GPU = 8  # volumes of the base, or tiles of a finer grid, at once
_LEAST_TILE = 4  # latent voxels


@dataclass
class CtOutput(BaseOutput):
    """What a pipeline returns.

    Attributes:
        hu: (n, z, y, x) int16.
        masks: (n, m, z, y, x) bool, those of `names`; they may overlap.
        names: See `synth.diffusion.ct.channels.MASKS`.
        affine: (4, 4), voxel (x, y, z, 1) → LPS, mm; of CTs and masks alike, the middle of the grid at the origin.
    """

    hu: NDArray[np.int16]
    masks: NDArray[np.bool_]
    names: tuple[str, ...]
    affine: NDArray[np.float64]


class CtPipeline(DiffusionPipeline):
    """Prompts → CTs and masks.

    The base covers the whole field of view; its CT and masks, decoded, enlarged and encoded again, are what the refiner
    is given for a grid twice as fine, and so on: one refiner for all of them, told of the spacing. The same prompt and
    seed give the same volume whatever the batch: the base's network is always asked for as many volumes at once
    (`microbatch`), by default one on a CPU, and volumes are refined one at a time.

    Args:
        vae: CT with masks ↔ latents.
        text_encoder: Of impressions.
        tokenizer: Its tokens.
        transformer: The denoiser of the base.
        scheduler: FlowScheduler, or any flow-matching scheduler of diffusers.
        refiner: Makes grids twice as fine; without it there is only the base.
        control: Makes CTs of given masks.
        voxels: (z, y, x) of the largest base.
        spacing: Of its voxels, mm, where nothing else is asked for.
        steps: Default number of steps of the base.
        refine_steps: Of each finer grid.
        guidance: Default guidance scale.
        guidance_low: Default interval of times with guidance.
        guidance_high: Its upper end.
        coarse_noise: Share of noise in the coarse latents that the refiner is given, 0 to below 1.
        tile: Voxels along each side of the tiles that are refined and decoded.
    """

    text_cache: MutableMapping[str, Tensor] | None = None
    """Impression → its embedding, kept from call to call where a mapping is put here."""

    model_cpu_offload_seq = "text_encoder->transformer->refiner->vae"
    _optional_components = ["refiner", "control"]  # noqa: RUF012 - diffusers adds lists to it

    def __init__(
        self,
        vae: CtAutoencoder,
        text_encoder: ReportEncoder,
        tokenizer: PreTrainedTokenizerFast,
        transformer: CtTransformer,
        scheduler: SchedulerMixin,
        refiner: CtRefiner | None = None,
        control: CtControl | None = None,
        voxels: Sequence[int] = (64, 64, 64),
        spacing: float = 6.0,
        steps: int = 16,
        refine_steps: int = 8,
        guidance: float = 1.0,
        guidance_low: float = 0.0,
        guidance_high: float = 1.0,
        coarse_noise: float = 0.1,
        tile: int = 64,
    ) -> None:
        super().__init__()
        self.register_modules(
            vae=vae,
            text_encoder=text_encoder,
            tokenizer=tokenizer,
            transformer=transformer,
            scheduler=scheduler,
            refiner=refiner,
            control=control,
        )
        self.register_to_config(
            voxels=list(voxels),
            spacing=spacing,
            steps=steps,
            refine_steps=refine_steps,
            guidance=guidance,
            guidance_low=guidance_low,
            guidance_high=guidance_high,
            coarse_noise=coarse_noise,
            tile=tile,
        )

    @torch.no_grad()
    def __call__(
        self,
        prompt: str | Conditions | Sequence[str | Conditions],
        *,
        negative_prompt: str | Conditions = "",
        seeds: Sequence[int] | None = None,
        size: tuple[int, int, int] | None = None,
        spacing: float | tuple[float, float, float] | None = None,
        steps: int | None = None,
        refine_steps: int | None = None,
        guidance: Guidance | float | None = None,
        masks: NDArray[np.bool_] | None = None,
        tile: int | None = None,
        microbatch: int | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> CtOutput:
        """Makes a CT for each prompt.

        Args:
            prompt: See `synth.diffusion.text.conditions.parse_prompt`; a view says nothing of a CT.
            negative_prompt: What guidance leads away from; nothing by default.
            seeds: One a prompt, from which its noise is drawn; default 0, 1, ….
            size: (z, y, x) voxels; default: the base's. See `grid`.
            spacing: (z, y, x) mm, or one for all; default: the base's, halved for every finer grid.
            steps: Of the base; default: the model's.
            refine_steps: Of each finer grid; default: the model's.
            guidance: Scale, or scale and interval; default: the model's.
            masks: (n, structures, z, y, x): masks that the CT should have, of the structures that `control` knows.
            tile: Voxels along each side of what is refined and decoded at once; default: the model's.
            microbatch: Volumes of the base that the network is given at once.
            progress: Told the steps done and all of them, over all volumes.

        Raises:
            InputError: An argument that does not fit the model or the others.
        """
        asked = [_conditions(one) for one in ([prompt] if isinstance(prompt, (str, Conditions)) else prompt)]
        own_seeds = list(range(len(asked))) if seeds is None else list(seeds)
        if len(own_seeds) != len(asked):
            raise InputError(f"{len(own_seeds)} seeds for {len(asked)} prompts: give one each")
        grid = self.grid(size, spacing)
        few, fewer = self._steps("steps", steps), self._steps("refine_steps", refine_steps)
        task = self._task(asked, _conditions(negative_prompt), grid.at(0), own_seeds)
        if masks is not None:
            task = replace(task, masks=self._control(masks, len(asked), grid))
        told = _Told(progress, len(asked) * (few + grid.finer * fewer))
        stages, rows = self._stages(tile, fewer), microbatch or self.rows
        denoiser = Denoiser(self.transformer, self.control, self.scheduler, self._guidance(guidance))
        output = self._empty(len(asked), grid)
        first = 0
        for part, n in task.parts(rows):
            latents = denoiser.run(part, few, partial(told.advance, n))
            for number in range(first, first + n):
                one = latents[number - first : number - first + 1]
                output.hu[number], output.masks[number] = stages.finished(one, own_seeds[number], grid, told.advance)
            first += n
        return output

    @property
    def rows(self) -> int:
        """Volumes of the base that the network is best given at once, where it runs."""
        return 1 if self.device.type == "cpu" else _ON_GPU

    def grid(self, size: Sequence[int] | None = None, spacing: float | Sequence[float] | None = None) -> CtGrid:
        """The grid of such a CT.

        Args:
            size: (z, y, x) voxels: multiples of what a token covers, times 2 for every finer grid.
            spacing: (z, y, x) mm, or one for all.

        Raises:
            InputError: A size or a spacing that cannot be made.
        """
        z, y, x = self.config.voxels
        return grid_of(
            size,
            spacing,
            base=(z, y, x),
            base_spacing=self.config.spacing,
            unit=self.vae.factor * self.transformer.config.patch,
            refines=self.refiner is not None,
        )

    def tile(self, asked: int | None = None) -> int:
        """Voxels along each side of the tiles.

        Raises:
            InputError: The autoencoder or the refiner cannot take such tiles.
        """
        voxels, unit = int(asked or self.config.tile), self.vae.factor
        if voxels < _LEAST_TILE * unit or voxels % (2 * unit):
            raise InputError(f"tile {voxels}: give a multiple of {2 * unit} voxels, at least {_LEAST_TILE * unit}")
        return voxels

    def embedded(self, asked: Sequence[Conditions]) -> Tensor:
        """(n, l, d) of impressions; equal ones are embedded once, each by itself."""
        found = {} if self.text_cache is None else self.text_cache
        for one in asked:
            if one.impression not in found:
                ids = token_ids(self.tokenizer, [one.impression]).to(self.text_encoder.device)
                found[one.impression] = self.text_encoder(ids)
        return torch.cat([found[one.impression] for one in asked])

    def _guidance(self, asked: Guidance | float | None) -> Guidance:
        if isinstance(asked, Guidance):
            return asked
        config = self.config
        return Guidance(config.guidance if asked is None else asked, config.guidance_low, config.guidance_high)

    def _steps(self, name: str, asked: int | None) -> int:
        steps = int(getattr(self.config, name) if asked is None else asked)
        if steps < 1:
            raise InputError(f"{name} {steps}: give 1 or more")
        return steps

    def _task(self, asked: list[Conditions], negative: Conditions, base: CtGrid, seeds: list[int]) -> Task:
        n, device = len(asked), self.transformer.device
        shape = (self.vae.config.latent_channels, *(side // self.vae.factor for side in base.size))
        return Task(
            noise_of(seeds, shape).to(device),
            self.embedded(asked),
            encode(asked).to(device),
            geometry_of(base.size, base.spacing).expand(n, -1).to(device),
            self.embedded([negative]).expand(n, -1, -1),
            encode([negative]).to(device).expand(n, -1),
        )

    def _control(self, masks: NDArray[np.bool_], n: int, grid: CtGrid) -> Tensor:
        """(n, structures, z, y, x) of the base, 1 in the mask: as training makes them of finer ones."""
        if self.control is None:
            raise InputError("masks: this model has no control branch; train one, or leave the masks out")
        names = self.control.config.names
        shape = (n, len(names), *grid.size)
        if masks.shape != shape:
            raise InputError(f"masks: expected an array of shape {shape}, got {masks.shape}")
        base = np.empty((n, len(names), *grid.at(0).size), np.bool_)
        for one, coarse in zip(masks, base, strict=True):
            coarse[:] = reduce(lambda fine, _: halved_masks(fine, names), range(grid.finer), one)
        return torch.from_numpy(base).to(next(self.control.parameters()))

    def _stages(self, tile: int | None, steps: int) -> Stages:
        voxels, unit = self.tile(tile), self.vae.factor
        refinement = None
        if self.refiner is not None:
            batch = 1 if self.device.type == "cpu" else _ON_GPU
            refinement = Refinement(self.refiner, self.scheduler, voxels // unit, batch)
        return Stages(self.vae, refinement, steps, float(self.config.coarse_noise), voxels // unit)

    def _empty(self, n: int, grid: CtGrid) -> CtOutput:
        masks = np.empty((n, len(self.vae.names), *grid.size), np.bool_)
        return CtOutput(np.empty((n, *grid.size), np.int16), masks, self.vae.names, grid.affine)


class _Told:
    """Counts steps, and tells of them."""

    def __init__(self, progress: Callable[[int, int], None] | None, total: int) -> None:
        self._progress, self._total, self._done = progress, total, 0

    def advance(self, steps: int = 1) -> None:
        """So many more are done."""
        self._done += steps
        if self._progress is not None:
            self._progress(self._done, self._total)


def _conditions(prompt: str | Conditions) -> Conditions:
    return prompt if isinstance(prompt, Conditions) else parse_prompt(prompt)
