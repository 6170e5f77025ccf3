"""Our own pipeline, as `generate` asks any model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from synth.core.errors import InputError
from synth.diffusion.cxr.counterfactual import invert
from synth.diffusion.cxr.generate import Asked, Drawn, Settings
from synth.diffusion.cxr.upscale import resize_mask
from synth.diffusion.flow import Guidance
from synth.diffusion.text.conditions import Conditions, parse_prompt

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from synth.diffusion.cxr.generate import Prompt
    from synth.diffusion.cxr.pipeline import CxrPipeline

__all__ = ["OwnModel"]

_ON_GPU = 16


@dataclass(frozen=True, eq=False)
class OwnModel:
    """A CxrPipeline; see `synth.diffusion.cxr.generate.CxrModel`.

    Attributes:
        pipe: The pipeline.
        digest: SHA-256 of what was loaded.
    """

    pipe: CxrPipeline
    digest: str

    @property
    def side(self) -> int:
        """Of its pictures, pixels."""
        return int(self.pipe.config.pixels)

    @property
    def microbatch(self) -> int:
        """One on a CPU, which has enough to do with it."""
        return 1 if self.pipe.device.type == "cpu" else _ON_GPU

    @property
    def controls(self) -> tuple[str, ...]:
        """Structures whose masks it takes as a condition."""
        return () if self.pipe.control is None else tuple(self.pipe.control.config.names)

    @torch.inference_mode()
    def draw(self, asked: Asked, settings: Settings) -> Drawn:
        """Pictures of the model's own size.

        Raises:
            InputError: Masks for a model without a control branch, or of none of its structures.
        """
        config = self.pipe.config
        usual = Guidance(config.guidance, config.guidance_low, config.guidance_high)
        images, noise = asked.images, None
        if asked.sources is not None and images is not None:
            noise, images = invert(self.pipe, images, [_conditions(one) for one in asked.sources]), None
        made = self.pipe(
            [_conditions(one) for one in asked.prompts],
            negative_prompt=settings.negative,
            seeds=list(asked.seeds),
            num_inference_steps=settings.steps,
            guidance=settings.guide(usual),
            image=images,
            strength=settings.strength,
            mask_image=asked.free,
            control=None if asked.masks is None else self._control(asked.masks),
            noise=noise,
            with_masks=settings.with_masks,
            microbatch=settings.microbatch or self.microbatch,
        )
        return Drawn(made.images, made.masks, made.structures)

    def _control(self, masks: Sequence[Mapping[str, NDArray[np.bool_]]]) -> NDArray[np.bool_]:
        """(n, structures, side, side); what an image does not show is empty."""
        names = self.controls
        if not names:
            raise InputError("control: this model takes no masks; give one with a control branch, or leave them out")
        planes = np.zeros((len(masks), len(names), self.side, self.side), np.bool_)
        for number, one in enumerate(masks):
            if not set(names) & set(one):
                known = ", ".join(names)
                raise InputError(f"control: masks of {', '.join(one) or 'nothing'}; this model takes those of {known}")
            for plane, name in enumerate(names):
                if name in one:
                    planes[number, plane] = resize_mask(one[name], self.side)
        return planes


def _conditions(prompt: Prompt) -> Conditions:
    return prompt if isinstance(prompt, Conditions) else parse_prompt(prompt)
