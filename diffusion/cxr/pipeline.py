"""From prompts to radiographs with masks: our model as a diffusers pipeline."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from diffusers import DiffusionPipeline, SchedulerMixin
from diffusers.utils import BaseOutput
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from synth.core.errors import InputError
from synth.diffusion.cxr.autoencoder import CxrAutoencoder
from synth.diffusion.cxr.control import ControlBranch
from synth.diffusion.cxr.mask_decoder import MaskDecoder
from synth.diffusion.cxr.sampling import Denoiser, Task
from synth.diffusion.cxr.transformer import CxrTransformer
from synth.diffusion.flow import Guidance, noise_of
from synth.diffusion.text.conditions import Conditions, encode, parse_prompt
from synth.diffusion.text.encoder import ReportEncoder
from synth.diffusion.text.tokenizer import token_ids

if TYPE_CHECKING:
    from collections.abc import MutableMapping, Sequence

    from numpy.typing import NDArray

__all__ = ["CxrOutput", "CxrPipeline"]


@dataclass
class CxrOutput(BaseOutput):
    """What a pipeline returns.

    Attributes:
        images: (n, h, w) float32, 0 to 1, brighter = more attenuation.
        masks: (n, structures, h, w) bool; None without a mask decoder.
        structures: Their names.
        latents: (n, c, h / f, w / f) float32, scaled.
    """

    images: NDArray[np.float32]
    masks: NDArray[np.bool_] | None
    structures: tuple[str, ...]
    latents: Tensor


class CxrPipeline(DiffusionPipeline):
    """Prompts → radiographs and masks.

    The same prompt and seed give the same picture whatever the batch: the network is always asked for as many pictures
    at once (`microbatch`), by default one on a CPU, where that is nearly as fast.

    Args:
        vae: Image ↔ latent.
        text_encoder: Of impressions.
        tokenizer: Its tokens.
        transformer: The denoiser.
        scheduler: FlowScheduler, or any flow-matching scheduler of diffusers.
        mask_decoder: Reads masks from latents.
        control: Makes radiographs of given masks.
        pixels: Side of the square images that the model was trained on.
        steps: Default number of steps.
        guidance: Default guidance scale.
        guidance_low: Default interval of times with guidance.
        guidance_high: Its upper end.
    """

    text_cache: MutableMapping[str, Tensor] | None = None
    """Impression → its embedding, kept from call to call where a mapping is put here; not while the encoder trains."""

    model_cpu_offload_seq = "text_encoder->transformer->vae->mask_decoder"
    _optional_components = ["mask_decoder", "control"]  # noqa: RUF012 - diffusers adds lists to it

    def __init__(
        self,
        vae: CxrAutoencoder,
        text_encoder: ReportEncoder,
        tokenizer: PreTrainedTokenizerFast,
        transformer: CxrTransformer,
        scheduler: SchedulerMixin,
        mask_decoder: MaskDecoder | None = None,
        control: ControlBranch | None = None,
        pixels: int = 128,
        steps: int = 8,
        guidance: float = 1.0,
        guidance_low: float = 0.0,
        guidance_high: float = 1.0,
    ) -> None:
        super().__init__()
        self.register_modules(
            vae=vae,
            text_encoder=text_encoder,
            tokenizer=tokenizer,
            transformer=transformer,
            scheduler=scheduler,
            mask_decoder=mask_decoder,
            control=control,
        )
        self.register_to_config(
            pixels=pixels,
            steps=steps,
            guidance=guidance,
            guidance_low=guidance_low,
            guidance_high=guidance_high,
        )

    @torch.no_grad()
    def __call__(
        self,
        prompt: str | Conditions | Sequence[str | Conditions],
        *,
        negative_prompt: str | Conditions = "",
        seeds: Sequence[int] | None = None,
        num_inference_steps: int | None = None,
        guidance: Guidance | float | None = None,
        height: int | None = None,
        width: int | None = None,
        image: NDArray[np.floating] | None = None,
        strength: float = 0.6,
        mask_image: NDArray[np.bool_] | None = None,
        control: NDArray[np.bool_] | None = None,
        noise: Tensor | None = None,
        with_masks: bool = True,
        microbatch: int | None = None,
    ) -> CxrOutput:
        """Makes a picture for each prompt.

        Args:
            prompt: See `synth.diffusion.text.conditions.parse_prompt`.
            negative_prompt: What guidance leads away from; nothing by default.
            seeds: One a prompt, from which its noise is drawn; default 0, 1, ….
            num_inference_steps: Default: the model's.
            guidance: Scale, or scale and interval; default: the model's.
            height: Pixels, a multiple of what a token covers; default: the model's.
            width: Likewise.
            image: (n, h, w) 0 to 1: start from these, changed by `strength`.
            strength: 0 (nothing) to 1 (everything) of `image` that is noise at the start.
            mask_image: (n, h, w): where `image` is to be painted anew; the rest stays as it is.
            control: (n, structures, h, w): masks that the picture should have; needs a model with a control branch.
            noise: (n, c, h / f, w / f) instead of seeds, such as what `counterfactual.invert` finds.
            with_masks: Whether the mask decoder is asked.
            microbatch: Pictures that the network is given at once.

        Raises:
            InputError: An argument that does not fit the model or the others.
        """
        asked = [_conditions(one) for one in ([prompt] if isinstance(prompt, (str, Conditions)) else prompt)]
        own_seeds = list(range(len(asked))) if seeds is None else list(seeds)
        if len(own_seeds) != len(asked):
            raise InputError(f"{len(own_seeds)} seeds for {len(asked)} prompts: give one each")
        if image is None and mask_image is not None:
            raise InputError("mask_image: says where an image is painted anew; give image too")
        start = 1.0 if image is None or mask_image is not None else strength
        if not 0 < start <= 1:
            raise InputError(f"strength {strength:g}: give more than 0 and at most 1")
        shape = (len(asked), *self._size((height, width), image))
        task = self._task(asked, _conditions(negative_prompt), shape, own_seeds if noise is None else noise)
        task = replace(
            task,
            known=None if image is None else self.encoded(_checked(image, shape, "image")),
            free=None if mask_image is None else self._free(_checked(mask_image, shape, "mask_image")),
            masks=None if control is None else self._control(control, shape),
        )
        size = microbatch or (1 if self.device.type == "cpu" else 16)
        steps = self.config.steps if num_inference_steps is None else num_inference_steps
        if steps < 1:
            raise InputError(f"steps {steps}: give 1 or more")
        denoiser = Denoiser(self.transformer, self.control, self.scheduler, self._guidance(guidance))
        made = [self._decoded(denoiser.run(part, steps, start), n, with_masks) for part, n in task.parts(size)]
        found = self._output(made, task.noise)
        if image is not None and mask_image is not None:
            found.images = np.where(mask_image, found.images, image).astype(np.float32)
        return found

    def embedded(self, asked: Sequence[Conditions]) -> Tensor:
        """(n, l, d) of impressions; equal ones are embedded once, each by itself."""
        found = {} if self.text_cache is None else self.text_cache
        for one in asked:
            if one.impression not in found:
                ids = token_ids(self.tokenizer, [one.impression]).to(self.text_encoder.device)
                found[one.impression] = self.text_encoder(ids)
        return torch.cat([found[one.impression] for one in asked])

    def encoded(self, images: NDArray[np.floating]) -> Tensor:
        """(n, c, h / f, w / f) float32, scaled latents of images (n, h, w), 0 to 1."""
        like = next(self.vae.parameters())
        pixels = torch.from_numpy(np.ascontiguousarray(images, np.float32))[:, None].to(like) * 2 - 1
        return torch.cat([self.vae.latents(one[None]) for one in pixels]).float()

    def _guidance(self, asked: Guidance | float | None) -> Guidance:
        if isinstance(asked, Guidance):
            return asked
        config = self.config
        return Guidance(config.guidance if asked is None else asked, config.guidance_low, config.guidance_high)

    def _task(
        self, asked: list[Conditions], negative: Conditions, shape: tuple[int, int, int], start: list[int] | Tensor
    ) -> Task:
        n, h, w = shape
        factor, channels = self.vae.factor, self.vae.config.latent_channels
        wanted, device = (channels, h // factor, w // factor), self.transformer.device
        noise = noise_of(start, wanted) if isinstance(start, list) else start
        if noise.shape != (n, *wanted):
            raise InputError(f"noise: expected a tensor of shape {(n, *wanted)}, got {tuple(noise.shape)}")
        return Task(
            noise.to(device, torch.float32),
            self.embedded(asked),
            encode(asked).to(device),
            self.embedded([negative]).expand(n, -1, -1),
            encode([negative]).to(device).expand(n, -1),
        )

    def _size(self, size: tuple[int | None, int | None], image: NDArray[np.floating] | None) -> tuple[int, int]:
        default = (self.config.pixels,) * 2 if image is None else image.shape[-2:]
        h, w = (given or usual for given, usual in zip(size, default, strict=True))
        unit = self.vae.factor * self.transformer.config.patch
        if h % unit or w % unit or min(h, w) < unit:
            raise InputError(f"size {h} × {w}: give multiples of {unit} pixels")
        return h, w

    def _free(self, mask_image: NDArray[np.bool_]) -> Tensor:
        """1 for latent pixels of which any part may change."""
        painted = torch.from_numpy(mask_image.astype(np.float32))[:, None]
        free: Tensor = torch.nn.functional.max_pool2d(painted, self.vae.factor).to(self.transformer.device)
        return free

    def _control(self, masks: NDArray[np.bool_], shape: tuple[int, int, int]) -> Tensor:
        if self.control is None:
            raise InputError("control: this model has no control branch; train one, or leave the masks out")
        n, h, w = shape
        wanted = (n, len(self.control.config.names), h, w)
        like = next(self.control.parameters())
        return torch.from_numpy(_checked(masks, wanted, "control").astype(np.float32)).to(like)

    def _decoded(self, latents: Tensor, n: int, with_masks: bool) -> CxrOutput:
        """The first n pictures of a microbatch, which is decoded whole."""
        pixels = self.vae.images(latents.to(self.vae.dtype))[:n, 0].float()
        masks, structures = None, ()
        if with_masks and self.mask_decoder is not None:
            structures = self.mask_decoder.names
            masks = self.mask_decoder.masks(latents.to(self.mask_decoder.dtype))[:n].cpu().numpy()
        return CxrOutput(pixels.clamp(-1, 1).add(1).div(2).cpu().numpy(), masks, structures, latents[:n].cpu())

    def _output(self, made: list[CxrOutput], none: Tensor) -> CxrOutput:
        """All microbatches together."""
        if not made:
            return CxrOutput(np.empty((0, 0, 0), np.float32), None, (), none.cpu())
        masks = [one.masks for one in made if one.masks is not None]
        return CxrOutput(
            np.concatenate([one.images for one in made]),
            np.concatenate(masks) if masks else None,
            made[0].structures,
            torch.cat([one.latents for one in made]),
        )


def _conditions(prompt: str | Conditions) -> Conditions:
    return prompt if isinstance(prompt, Conditions) else parse_prompt(prompt)


def _checked(array: NDArray[Any], shape: tuple[int, ...], name: str) -> NDArray[Any]:
    if array.shape != shape:
        raise InputError(f"{name}: expected an array of shape {shape}, got {array.shape}")
    return array
