"""MAISI's model as a pipeline: regions of the body, a spacing, and label maps → CTs with their label maps."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from synth.core.errors import InputError
from synth.core.volume import Labels
from synth.diffusion.ct.grid import affine_of
from synth.diffusion.ct.maisi.classes import CLASSES, common_name
from synth.diffusion.ct.maisi.defaults import MODALITIES, Defaults, modality_code, prompt_regions
from synth.diffusion.ct.maisi.grid import Limits, from_maisi, to_maisi
from synth.diffusion.ct.maisi.labels import REGIONS, bit_planes, masks_of, regions_of, without_tumours
from synth.diffusion.ct.maisi.sampling import Sampler, Task, decoded
from synth.diffusion.ct.pipeline import CtOutput
from synth.diffusion.flow import Guidance
from synth.diffusion.text.conditions import Conditions

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import Tensor, nn

    from synth.diffusion.ct.maisi.settings import Settings

__all__ = ["MaisiOutput", "MaisiPipeline", "hu_of", "network_input"]

_HU = -1000, 1000
"""HU of the decoder's 0 and 1."""
_PER_MM = 100  # MAISI gives spacings and regions times a hundred
_LEAST_SPACING = 0.01


@dataclass
class MaisiOutput(CtOutput):
    """What the pipeline returns; there are no masks without label maps, and no others than of `MASK_CLASSES`.

    Attributes:
        labels: (n, z, y, x) uint8, the label maps that the CTs were made of; None without.
        label_names: Label → name, as label_dict.json has it.
        warnings: What may have come out badly, one line each.
    """

    labels: NDArray[np.uint8] | None = None
    label_names: Mapping[int, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    def label_map(self, number: int) -> Labels:
        """One label map, with TotalSegmentator's names where it has them.

        Raises:
            InputError: The CTs were made without.
        """
        if self.labels is None:
            raise InputError("labels: these CTs were made without label maps; give masks to the pipeline")
        names = {value: common_name(name) for value, name in self.label_names.items()}
        return Labels(self.labels[number], self.affine, names)


@dataclass(frozen=True, eq=False)
class MaisiPipeline:
    """Regions, spacing and label maps → CTs. Make one with `synth.diffusion.ct.maisi.loading.load_maisi`.

    Volumes are made one at a time, each from its own seed: the same seed gives the same volume whatever the batch.

    Attributes:
        autoencoder: CT in 0 … 1 ↔ latents.
        denoiser: Of scaled latents.
        scheduler: MONAI's RFlowScheduler or DDPMScheduler.
        scale_factor: By which latents are multiplied.
        controlnet: Of label maps; None where the folder has none.
        settings: From which the networks were made.
        defaults: Of sampling.
        limits: Sizes and spacings that the model was trained for.
        classes: Name → label.
        modalities: Name → class.
        digest: SHA-256 of what was loaded.
        licences: Files of the weights' licences.
        dtype: In which the networks compute.
    """

    autoencoder: nn.Module = field(repr=False)
    denoiser: nn.Module = field(repr=False)
    scheduler: Any = field(repr=False)  # which cannot tell of itself
    scale_factor: float
    controlnet: nn.Module | None = field(repr=False)
    settings: Settings = field(repr=False)
    defaults: Defaults = field(default_factory=Defaults)
    limits: Limits = field(default_factory=Limits)
    classes: Mapping[str, int] = field(default_factory=lambda: CLASSES, repr=False)
    modalities: Mapping[str, int] = field(default_factory=lambda: MODALITIES)
    digest: str = ""
    licences: tuple[Path, ...] = ()
    dtype: torch.dtype = torch.float32

    @property
    def device(self) -> torch.device:
        """Where the networks are."""
        found: torch.device = next(self.denoiser.parameters()).device
        return found

    @property
    def factor(self) -> int:
        """Voxels of the CT along one of the latents."""
        return int(2 ** (len(self.settings.get("autoencoder_def")["num_channels"]) - 1))

    @torch.inference_mode()
    def __call__(
        self,
        prompt: str | Conditions | Sequence[str | Conditions] = "",
        *,
        seeds: Sequence[int] | None = None,
        size: tuple[int, int, int] | None = None,
        spacing: float | tuple[float, float, float] | None = None,
        steps: int | None = None,
        refine_steps: int | None = None,
        guidance: Guidance | float | None = None,
        masks: NDArray[np.uint8] | None = None,
        progress: Callable[[int, int], None] | None = None,
        modality: str | int | None = None,
    ) -> MaisiOutput:
        """Makes a CT for each prompt.

        Args:
            prompt: Regions of the body ("chest, abdomen"), or nothing; these models read no other text.
            seeds: One a prompt, from which its noise is drawn; default 0, 1, ….
            size: (z, y, x) voxels; default: that of the masks, or the folder's.
            spacing: (z, y, x) mm, or one for all; default: the folder's.
            steps: Of the scheduler; default: the folder's.
            refine_steps: Not for these models, which have no refiner.
            guidance: Scale; 1 is none.
            masks: (n, z, y, x) uint8, label maps of MAISI's classes, one a prompt (`labels.maisi_labels` makes them);
                needs a ControlNet. Background becomes air.
            progress: Told the steps done and all of them, over all volumes.
            modality: A name or class; default: the folder's.

        Raises:
            InputError: An argument that does not fit the model or the others.
        """
        texts = [_text(one) for one in ([prompt] if isinstance(prompt, (str, Conditions)) else prompt)]
        own_seeds = list(range(len(texts))) if seeds is None else list(seeds)
        if len(own_seeds) != len(texts):
            raise InputError(f"{len(own_seeds)} seeds for {len(texts)} prompts: give one each")
        if refine_steps is not None:
            raise InputError("refine_steps: MAISI's models have no refiner; leave it out")
        grid, steps_mm = self._grid(size, spacing, masks, len(texts))
        regions = [self._regions(text, None if masks is None else masks[number]) for number, text in enumerate(texts)]
        notes = [self.limits.check(grid, steps_mm, head=one == ("head", "head")) for one in regions]
        sampler = self._sampler(guidance, masks)
        total = (self.defaults.steps if steps is None else steps) * len(texts)
        hu = np.empty((len(texts), *grid), np.int16)
        for number, (shown, seed) in enumerate(zip(regions, own_seeds, strict=True)):
            labels = None if masks is None else masks[number]
            told = None if progress is None else _shifted(progress, number * (total // len(texts)), total)
            task = self._task(shown, steps_mm, modality, labels, sampler.guidance)
            shape = (int(self.autoencoder.latent_channels), *(side // self.factor for side in grid[::-1]))
            latents = sampler.run(task, shape, seed, total // len(texts), told)
            hu[number] = self._decoded(latents, labels)
        return self._output(hu, masks, affine_of(grid, steps_mm), notes)

    def _grid(
        self,
        size: tuple[int, int, int] | None,
        spacing: float | tuple[float, float, float] | None,
        masks: NDArray[np.uint8] | None,
        n: int,
    ) -> tuple[tuple[int, int, int], tuple[float, float, float]]:
        """Size and spacing, (z, y, x)."""
        if masks is not None and (masks.ndim != 4 or len(masks) != n or masks.dtype != np.uint8):
            raise InputError(f"masks: expected uint8 labels (n = {n}, z, y, x), got {masks.dtype} {masks.shape}")
        grid = size or (self.defaults.size if masks is None else masks.shape[1:])
        if masks is not None and grid != masks.shape[1:]:
            raise InputError(
                f"masks: of {masks.shape[1:]} voxels, and a size of {grid} is asked for; resample them first"
            )
        unit = self.factor * 2 ** (len(self.denoiser.block_out_channels) - 1)
        if len(grid) != 3 or any(side < 1 or side % unit for side in grid):
            raise InputError(f"size {' × '.join(map(str, grid))}: give multiples of {unit} voxels")
        given = self.defaults.spacing if spacing is None else spacing
        mm = (float(given),) * 3 if isinstance(given, (int, float)) else tuple(map(float, given))
        if len(mm) != 3 or not all(_LEAST_SPACING <= one < np.inf for one in mm):
            raise InputError(f"spacing {given}: give one number of mm, or three (z, y, x)")
        return (grid[0], grid[1], grid[2]), (mm[0], mm[1], mm[2])

    def _regions(self, text: str, labels: NDArray[np.uint8] | None) -> tuple[str, str]:
        """Those of the prompt, or else of the label map, or else the usual ones."""
        named = prompt_regions(text)
        if named is not None:
            return named
        if labels is None or not self.denoiser.include_top_region_index_input:
            return self.defaults.regions
        return regions_of(labels, self.classes)

    def _sampler(self, asked: Guidance | float | None, masks: NDArray[np.uint8] | None) -> Sampler:
        if masks is not None and self.controlnet is None:
            raise InputError("masks: this folder has no ControlNet (controlnet*.pt); add one, or leave the masks out")
        guide = asked if isinstance(asked, Guidance) else Guidance(self.defaults.guidance if asked is None else asked)
        if not guide.off and masks is None and self.denoiser.num_class_embeds is None:
            raise InputError("guidance: this model knows no modalities from which it could lead away; use 1")
        return Sampler(self.denoiser, self.controlnet, self.scheduler, guide, self.dtype)

    def _task(
        self,
        regions: tuple[str, str],
        spacing: tuple[float, float, float],
        modality: str | int | None,
        labels: NDArray[np.uint8] | None,
        guide: Guidance,
    ) -> Task:
        asks = self.denoiser.include_top_region_index_input
        code = self.defaults.modality if modality is None else modality_code(modality, self.modalities)
        top, bottom = (self._row([_PER_MM * (name == one) for name in REGIONS]) for one in regions)
        return Task(
            self._row([_PER_MM * mm for mm in spacing[::-1]]),
            top if asks else None,
            bottom if asks else None,
            None if self.denoiser.num_class_embeds is None else torch.tensor([code], device=self.device),
            None if labels is None else self._planes(labels),
            None if labels is None or guide.off else self._planes(without_tumours(labels, self.classes)),
        )

    def _row(self, values: Sequence[float]) -> Tensor:
        return torch.tensor([values], dtype=torch.float32, device=self.device)

    def _planes(self, labels: NDArray[np.uint8]) -> Tensor:
        return bit_planes(torch.from_numpy(to_maisi(labels))[None].to(self.device))

    def _decoded(self, latents: Tensor, labels: NDArray[np.uint8] | None) -> NDArray[np.int16]:
        """(z, y, x)."""
        usual = self.defaults
        made = decoded(self.autoencoder, latents / self.scale_factor, usual.window, usual.overlap, self.dtype)
        hu = from_maisi(hu_of(made[0, 0].numpy()))
        if labels is not None:
            hu[labels == 0] = _HU[0]
        return hu

    def _output(
        self,
        hu: NDArray[np.int16],
        labels: NDArray[np.uint8] | None,
        affine: NDArray[np.float64],
        notes: Sequence[tuple[str, ...]],
    ) -> MaisiOutput:
        told = tuple(dict.fromkeys(note for one in notes for note in one))
        if labels is None:
            return MaisiOutput(hu, np.empty((len(hu), 0, *hu.shape[1:]), np.bool_), (), affine, warnings=told)
        names, masks = masks_of(labels, self.classes)
        return MaisiOutput(
            hu, masks, names, affine, labels, {value: name for name, value in self.classes.items()}, told
        )


def hu_of(decoded_voxels: NDArray[np.float32]) -> NDArray[np.int16]:
    """HU of what the decoder makes, which is clipped to 0 … 1."""
    low, high = _HU
    hu: NDArray[np.int16] = np.rint(np.clip(decoded_voxels, 0, 1) * (high - low) + low).astype(np.int16)
    return hu


def network_input(hu: NDArray[Any]) -> NDArray[np.float32]:
    """What the encoder takes, 0 … 1, of HU."""
    low, high = _HU
    voxels: NDArray[np.float32] = ((np.clip(hu, low, high).astype(np.float32) - low) / (high - low)).astype(np.float32)
    return voxels


def _text(prompt: str | Conditions) -> str:
    return prompt.prompt() if isinstance(prompt, Conditions) else prompt


def _shifted(progress: Callable[[int, int], None], before: int, total: int) -> Callable[[int, int], None]:
    return lambda done, _: progress(before + done, total)
