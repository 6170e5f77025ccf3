"""One way to ask any model for radiographs: ours, or a published Stable-Diffusion-style one.

What is said here holds for all of them: the same prompt, seed and settings give the same picture, whatever is asked for
beside it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from synth.core.errors import InputError
from synth.diffusion.cxr.upscale import refine, resize, resize_mask
from synth.diffusion.flow import Guidance
from synth.diffusion.text.conditions import Conditions, parse_prompt

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Asked", "CxrModel", "Drawn", "Generated", "Prompt", "Settings", "generate"]

Prompt: TypeAlias = "str | Conditions"
_LARGEST = 4096


@dataclass(frozen=True)
class Settings:
    """How pictures are drawn; None leaves it to the model.

    Attributes:
        steps: Of the solver.
        guidance: Scale; 1 is none.
        interval: Times (0 is data, 1 is noise) between which there is guidance.
        negative: What guidance leads away from.
        strength: Share of a given image that is noise at the start, above 0, at most 1.
        size: Side of the pictures, pixels; another than the model's is made of that one, see `upscale`.
        refine: Strength with which the model goes over enlarged pictures, tile by tile; 0 for not at all.
        microbatch: Pictures that the networks are given at once; it may change the last digit of a picture.
        with_masks: Whether masks are read where the model can.
    """

    steps: int | None = None
    guidance: float | None = None
    interval: tuple[float, float] | None = None
    negative: str = ""
    strength: float = 0.6
    size: int | None = None
    refine: float = 0.0
    microbatch: int | None = None
    with_masks: bool = True

    def __post_init__(self) -> None:
        for name, value, low, high in (
            ("steps", self.steps, 1, 1000),
            ("size", self.size, 16, _LARGEST),
            ("batch", self.microbatch, 1, 1024),
            ("refine", self.refine, 0, 1),
        ):
            if value is not None and not low <= value <= high:
                raise InputError(f"{name} {value:g}: give {low} to {high}")
        if not 0 < self.strength <= 1:
            raise InputError(f"strength {self.strength:g}: give more than 0 and at most 1")
        self.guide(Guidance())

    def guide(self, usual: Guidance) -> Guidance:
        """The guidance; what is left open is the model's.

        Raises:
            InputError: A scale or an interval out of range.
        """
        low, high = self.interval or (usual.low, usual.high)
        return Guidance(usual.scale if self.guidance is None else self.guidance, low, high)


@dataclass(frozen=True, eq=False)
class Asked:
    """What a model is asked for; sequences are as long as the prompts.

    Attributes:
        prompts: Texts are given to models of text as they stand.
        seeds: 63 bits each.
        images: (n, side, side) float32, 0 to 1: where to start.
        free: (n, side, side): where an image is painted anew.
        masks: Structure → mask (side, side), of what the picture should show.
        sources: What the images show: they are traced back to their noise instead of getting some.
    """

    prompts: Sequence[Prompt]
    seeds: Sequence[int]
    images: NDArray[np.float32] | None = None
    free: NDArray[np.bool_] | None = None
    masks: Sequence[Mapping[str, NDArray[np.bool_]]] | None = None
    sources: Sequence[Prompt] | None = None

    def __post_init__(self) -> None:
        n = len(self.prompts)
        for name, value in vars(self).items():
            if value is not None and len(value) != n:
                raise InputError(f"{len(value)} {name} for {n} prompts: give one each")
        for name in ("free", "sources"):
            if getattr(self, name) is not None and self.images is None:
                raise InputError(f"{name}: says something of an image; give images too")

    def part(self, first: int, last: int) -> Asked:
        """Some of it."""
        parts: dict[str, Any] = {
            name: None if value is None else value[first:last] for name, value in vars(self).items()
        }
        return Asked(**parts)


@dataclass(frozen=True, eq=False)
class Drawn:
    """What a model draws.

    Attributes:
        images: (n, side, side) float32, 0 to 1, brighter = more attenuation.
        masks: (n, structures, side, side); None where the model reads none.
        structures: Their names.
    """

    images: NDArray[np.float32]
    masks: NDArray[np.bool_] | None = None
    structures: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Generated:
    """One picture.

    Attributes:
        image: (h, w) float32, 0 to 1, brighter = more attenuation.
        conditions: What was asked for.
        seed: From which it was drawn.
        masks: Structure → mask (h, w); empty where the model reads none.
    """

    image: NDArray[np.float32]
    conditions: Conditions
    seed: int
    masks: Mapping[str, NDArray[np.bool_]] = field(default_factory=dict)


class CxrModel(Protocol):
    """A model that was loaded, see `synth.diffusion.loading.load_model`."""

    @property
    def side(self) -> int:
        """Of its pictures, pixels."""

    @property
    def digest(self) -> str:
        """SHA-256 of what was loaded."""

    @property
    def microbatch(self) -> int:
        """Pictures that its networks are best given at once, where it runs."""

    @property
    def controls(self) -> tuple[str, ...]:
        """Structures whose masks it takes as a condition."""

    def draw(self, asked: Asked, settings: Settings) -> Drawn:
        """Pictures of the model's own size.

        Raises:
            InputError: Something that this model cannot do.
        """


def generate(model: CxrModel, asked: Asked, settings: Settings = Settings()) -> Iterator[Generated]:
    """Draws what is asked for, a microbatch at a time.

    Args:
        model: See `synth.diffusion.loading.load_model`.
        asked: Prompts with their seeds, and what else is given.
        settings: How.

    Raises:
        InputError: Something that this model cannot do.
    """
    size = settings.microbatch or model.microbatch
    settings = replace(settings, microbatch=size)
    for first in range(0, len(asked.prompts), size):
        part = asked.part(first, first + size)
        drawn = model.draw(part, settings)
        for number, (prompt, seed) in enumerate(zip(part.prompts, part.seeds, strict=True)):
            yield _finished(model, drawn, number, prompt, seed, settings)


def _finished(model: CxrModel, drawn: Drawn, number: int, prompt: Prompt, seed: int, settings: Settings) -> Generated:
    """The picture in the size that is wanted."""
    image, side = drawn.images[number], settings.size or model.side
    masks = {} if drawn.masks is None else dict(zip(drawn.structures, drawn.masks[number], strict=True))
    if side != model.side:
        image = resize(image, side)
        masks = {name: resize_mask(mask, side) for name, mask in masks.items()}
    if side > model.side and settings.refine:
        image = refine(lambda tiles, seeds: _redrawn(model, tiles, seeds, prompt, settings), image, model.side, seed)
    return Generated(image, prompt if isinstance(prompt, Conditions) else parse_prompt(prompt), seed, masks)


def _redrawn(
    model: CxrModel, tiles: NDArray[np.float32], seeds: Sequence[int], prompt: Prompt, settings: Settings
) -> NDArray[np.float32]:
    asked = Asked([prompt] * len(tiles), seeds, tiles)
    return model.draw(asked, replace(settings, strength=settings.refine, with_masks=False)).images
