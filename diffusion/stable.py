"""Stable-Diffusion-style pipelines, such as RoentGen-v2 (Moroianu et al. 2025, arXiv:2508.16783), as `generate` asks.

The parts are those of diffusers' StableDiffusionPipeline; the loop is here, so that noise comes from each picture's own
seed, both predictions of guidance are one forward, prompts are embedded once, and sums and pictures are in float32
whatever the networks compute in. Autoencoders may have three channels, whose luminance is the picture, or one.
"""

from __future__ import annotations

import inspect
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from diffusers import PNDMScheduler
from torch.nn.attention import SDPBackend, sdpa_kernel

from synth.core.errors import InputError
from synth.diffusion.cxr.generate import Asked, Drawn, Settings
from synth.diffusion.flow import Guidance, noise_of, noise_seed
from synth.diffusion.text.conditions import Conditions

if TYPE_CHECKING:
    from collections.abc import Iterator, MutableMapping, Sequence

    from diffusers import StableDiffusionPipeline
    from numpy.typing import NDArray
    from torch import Tensor

__all__ = ["StableModel"]

_STEPS, _GUIDANCE = 75, 3.0  # of RoentGen-v2
_ON_GPU = 8
_LUMINANCE = (0.299, 0.587, 0.114)  # ITU-R BT.601


@dataclass(frozen=True, eq=False)
class StableModel:
    """A StableDiffusionPipeline; see `synth.diffusion.cxr.generate.CxrModel`.

    Attributes:
        pipe: The pipeline, its autoencoder in float32.
        digest: SHA-256 of what was loaded.
        text_cache: Prompt → its embedding.
        flash: Whether attention of the UNet is torch's flash kernel, or else an error.
    """

    pipe: StableDiffusionPipeline
    digest: str
    text_cache: MutableMapping[str, Tensor] = field(default_factory=dict)
    flash: bool = False

    def __post_init__(self) -> None:
        unet, vae = self.pipe.unet.config, self.pipe.vae.config
        if unet.in_channels != vae.latent_channels:
            raise InputError(
                f"model: its UNet takes {unet.in_channels} channels and its autoencoder makes {vae.latent_channels}; "
                "models made for inpainting alone cannot be used"
            )
        if vae.in_channels not in (1, 3) or vae.in_channels != vae.out_channels:
            raise InputError(f"model: its autoencoder is of {vae.in_channels} channels; 1 or 3 can be used")

    @property
    def side(self) -> int:
        """Of its pictures, pixels."""
        return int(self.pipe.unet.config.sample_size * self.pipe.vae_scale_factor)

    @property
    def microbatch(self) -> int:
        """One on a CPU, which has enough to do with it."""
        return 1 if self.pipe.device.type == "cpu" else _ON_GPU

    @property
    def controls(self) -> tuple[str, ...]:
        """None: it takes no masks."""
        return ()

    @torch.inference_mode()
    def draw(self, asked: Asked, settings: Settings) -> Drawn:
        """Pictures of the model's own size, without masks.

        Raises:
            InputError: Masks as a condition, or an image to be traced back to its noise.
        """
        if asked.masks is not None:
            raise InputError(
                "control: Stable-Diffusion-style models take no masks; use one of ours with a control branch"
            )
        if asked.sources is not None:
            raise InputError("invert: is for models of ours; start from the image by its strength instead")
        size = settings.microbatch or self.microbatch
        n = len(asked.prompts)
        drawn = [self._microbatch(asked, rows, settings)[: n - rows[0]] for rows in _rows(n, size)]
        images = np.concatenate(drawn) if drawn else np.empty((0, self.side, self.side), np.float32)
        if asked.images is not None and asked.free is not None:
            images = np.where(asked.free, images, asked.images).astype(np.float32)
        return Drawn(images)

    def embedded(self, prompt: str) -> Tensor:
        """(1, l, d) of a prompt."""
        if prompt not in self.text_cache:
            self.text_cache[prompt] = self.pipe.encode_prompt(prompt, self.pipe.device, 1, False)[0]
        return self.text_cache[prompt]

    def _microbatch(self, asked: Asked, rows: list[int], settings: Settings) -> NDArray[np.float32]:
        """(n, side, side)."""
        pipe, device = self.pipe, self.pipe.device
        seeds = [asked.seeds[row] for row in rows]
        side = self.side // pipe.vae_scale_factor
        noise = noise_of(seeds, (pipe.unet.config.in_channels, side, side)).to(device)
        text = torch.cat([self.embedded(_text(asked.prompts[row])) for row in rows])
        no_text = self.embedded(settings.negative).expand(len(rows), -1, -1)
        known = None if asked.images is None else self._encoded(asked.images[rows])
        free = None
        if asked.free is not None:
            painted = torch.from_numpy(asked.free[rows].astype(np.float32))[:, None]
            free = torch.nn.functional.max_pool2d(painted, pipe.vae_scale_factor).to(device)
        start = 1.0 if known is None or free is not None else settings.strength
        times = _times(pipe.scheduler, settings.steps or _STEPS, start, device)
        sample = noise * pipe.scheduler.init_noise_sigma
        if known is not None:
            sample = pipe.scheduler.add_noise(known, noise, times[:1])
        guide, more = settings.guide(Guidance(_GUIDANCE)), _own_noise(pipe.scheduler, seeds)
        for at, time in enumerate(times):
            slope = self._predicted(sample, time, text, no_text, guide)
            sample = pipe.scheduler.step(slope, time, sample, return_dict=False, **more)[0]
            if known is not None and free is not None:
                later = times[at + 1 :][:1]
                kept = pipe.scheduler.add_noise(known, noise, later) if len(later) else known
                sample = free * sample + (1 - free) * kept
        return self._decoded(sample)

    def _predicted(self, sample: Tensor, time: Tensor, text: Tensor, no_text: Tensor, guide: Guidance) -> Tensor:
        """What the network predicts, float32; both predictions of guidance in one forward."""
        both = guide.at(float(time) / self.pipe.scheduler.config.num_train_timesteps)
        asked = torch.cat([sample, sample]) if both else sample
        words = torch.cat([text, no_text]) if both else text
        asked = self.pipe.scheduler.scale_model_input(asked, time).to(words.dtype)
        with sdpa_kernel(SDPBackend.FLASH_ATTENTION) if self.flash else nullcontext():
            slope: Tensor = self.pipe.unet(asked, time, encoder_hidden_states=words, return_dict=False)[0].float()
        return guide.mix(*slope.chunk(2)) if both else slope

    def _encoded(self, images: NDArray[np.float32]) -> Tensor:
        """Scaled latents of images (n, side, side), each by itself, without drawing."""
        vae = self.pipe.vae
        shift, channels = getattr(vae.config, "shift_factor", None) or 0.0, vae.config.in_channels
        pixels = torch.from_numpy(np.ascontiguousarray(images, np.float32))[:, None].to(self.pipe.device) * 2 - 1
        means = [vae.encode(one[None].expand(1, channels, -1, -1)).latent_dist.mode() for one in pixels]
        return (torch.cat(means) - shift) * vae.config.scaling_factor

    def _decoded(self, latents: Tensor) -> NDArray[np.float32]:
        vae = self.pipe.vae
        shift = getattr(vae.config, "shift_factor", None) or 0.0
        raw = latents / vae.config.scaling_factor + shift
        pixels = torch.cat([vae.decode(one[None], return_dict=False)[0] for one in raw]).add(1).div(2).clamp(0, 1)
        weights = pixels.new_tensor(_LUMINANCE if pixels.shape[1] == 3 else (1.0,))
        grey: NDArray[np.float32] = torch.einsum("nchw,c->nhw", pixels, weights).cpu().numpy()
        return grey


def _text(prompt: str | Conditions) -> str:
    return prompt.prompt() if isinstance(prompt, Conditions) else prompt


def _rows(n: int, size: int) -> Iterator[list[int]]:
    """Microbatches of one size: the last is filled up with its first picture."""
    for first in range(0, n, size):
        yield [row if row < n else first for row in range(first, first + size)]


def _times(scheduler: Any, steps: int, start: float, device: Any) -> Tensor:
    """The timesteps; of an image that is only partly noise, the last of them.

    PNDM's linear multistep takes its second timestep twice (Liu et al. 2022, arXiv:2202.09778, as Stable Diffusion has
    it), wherever it starts: cut off naively, it would end a step short of the picture.
    """
    scheduler.set_timesteps(steps, device=device)
    times: Tensor = scheduler.timesteps
    if start >= 1:
        return times
    kept = max(1, min(steps, round(steps * start)))
    if isinstance(scheduler, PNDMScheduler):
        if not scheduler.config.skip_prk_steps:
            raise InputError("image: the model's scheduler has Runge-Kutta steps and cannot start at an image")
        last = torch.unique(times).flip(0)[-kept:]
        return torch.cat([last[:1], last[1:2], last[1:2], last[2:]])
    if hasattr(scheduler, "set_begin_index"):
        scheduler.set_begin_index((steps - kept) * scheduler.order)
    return times[(steps - kept) * scheduler.order :]


def _own_noise(scheduler: Any, seeds: Sequence[int]) -> dict[str, Any]:
    """Of solvers that draw noise in every step: a generator for each picture, on the CPU."""
    if "generator" not in inspect.signature(scheduler.step).parameters:
        return {}
    return {"generator": [torch.Generator().manual_seed(noise_seed(seed, 0, "steps")) for seed in seeds]}
