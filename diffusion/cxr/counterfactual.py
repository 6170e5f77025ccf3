"""The same body with one thing changed: other words from the same noise, or from the noise of a given image."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from synth.core.errors import InputError
from synth.diffusion.cxr.sampling import Denoiser, Task
from synth.diffusion.flow import Guidance
from synth.diffusion.text.conditions import Conditions, encode

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from synth.diffusion.cxr.pipeline import CxrPipeline

__all__ = ["Change", "invert"]

_KEYS = ("sex", "age", "race", "view", "impression")
_BETWEEN = re.compile(rf",\s*(?=(?:{'|'.join(_KEYS)})\s*=)")


@dataclass(frozen=True)
class Change:
    """What a counterfactual asks for instead; the rest stays.

    Attributes:
        values: Attribute of Conditions → its other value.
    """

    values: tuple[tuple[str, str | float | None], ...]

    @classmethod
    def read(cls, text: str) -> Change:
        """From words such as "sex=M,age=80" or "impression=Large right pneumothorax."; an empty value asks for nothing.

        Raises:
            InputError: An unknown attribute or a value that it cannot have.
        """
        values = []
        for part in _BETWEEN.split(text.strip()):
            key, equals, value = (piece.strip() for piece in part.partition("="))
            if not equals or key not in _KEYS:
                raise InputError(f"counterfactual {text!r}: give {', '.join(f'{name}=…' for name in _KEYS)}")
            values.append((key, _value(key, value, text)))
        change = cls(tuple(values))
        change.of(Conditions())
        return change

    def of(self, conditions: Conditions) -> Conditions:
        """Conditions with the change made."""
        return conditions.changed(**dict(self.values))


def _value(key: str, text: str, whole: str) -> str | float | None:
    if key in ("race", "impression"):
        return text
    if not text:
        return None
    if key != "age":
        return text.upper()
    try:
        return float(text)
    except ValueError:
        raise InputError(f"counterfactual {whole!r}: age {text!r} is not a number of years") from None


@torch.no_grad()
def invert(
    pipe: CxrPipeline, images: NDArray[np.floating[Any]], shown: Sequence[Conditions], steps: int = 50
) -> Tensor:
    """The noise from which a model draws given images: the flow solved backwards, by the midpoint rule.

    What is drawn of it with the same conditions, without guidance and in many steps, is the image, as far as the
    autoencoder keeps it; with other conditions, the image with these changed (Rout et al. 2024, arXiv:2410.10792).

    Args:
        pipe: The model.
        images: (n, h, w), 0 to 1.
        shown: What each shows.
        steps: The error falls with their square; each asks the network twice.

    Returns:
        (n, c, h / f, w / f) float32, for `CxrPipeline.__call__` as `noise`.
    """
    denoiser = Denoiser(pipe.transformer, None, pipe.scheduler, Guidance())
    found = []
    for image, conditions in zip(images, shown, strict=True):
        text, attributes = pipe.embedded([conditions]), encode([conditions]).to(pipe.transformer.device)
        sample = pipe.encoded(image[None])
        task = Task(sample, text, attributes, text, attributes)
        for step in range(steps):
            half = sample + denoiser.velocity(sample, step / steps, task) / (2 * steps)
            sample = sample + denoiser.velocity(half, (step + 0.5) / steps, task) / steps
        found.append(sample)
    return torch.cat(found)
