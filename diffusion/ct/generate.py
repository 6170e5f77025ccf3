"""One way to ask any model for CTs: ours, or one of MAISI's layout.

What is said here holds for all of them: the same prompt, seed and settings give the same volume, whatever is asked for
beside it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol, TypeAlias

from synth.core.errors import InputError
from synth.diffusion.flow import Guidance
from synth.diffusion.text.conditions import Conditions, parse_prompt

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from synth.core.volume import Labels
    from synth.diffusion.ct.grid import CtGrid

__all__ = ["Asked", "CtModel", "Drawn", "Generated", "Prompt", "Settings", "generate"]

Prompt: TypeAlias = "str | Conditions"
Progress: TypeAlias = "Callable[[int, int], None]"


@dataclass(frozen=True)
class Settings:
    """How volumes are drawn; None leaves it to the model.

    Attributes:
        steps: Of the solver on the base.
        refine_steps: On each finer grid.
        guidance: Scale; 1 is none.
        interval: Times (0 is data, 1 is noise) between which there is guidance.
        negative: What guidance leads away from.
        size: (z, y, x) voxels.
        spacing: (z, y, x) mm.
        tile: Voxels along each side of what is refined and decoded at once: less takes less memory.
        microbatch: Volumes that the network of the base is given at once; it may change the last digit of a volume.
    """

    steps: int | None = None
    refine_steps: int | None = None
    guidance: float | None = None
    interval: tuple[float, float] | None = None
    negative: str = ""
    size: tuple[int, int, int] | None = None
    spacing: tuple[float, float, float] | None = None
    tile: int | None = None
    microbatch: int | None = None

    def __post_init__(self) -> None:
        for name, value, low, high in (
            ("steps", self.steps, 1, 1000),
            ("refine_steps", self.refine_steps, 1, 1000),
            ("tile", self.tile, 8, 1024),
            ("batch", self.microbatch, 1, 1024),
        ):
            if value is not None and not low <= value <= high:
                raise InputError(f"{name} {value:g}: give {low} to {high}")
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
        prompts: Texts or conditions.
        seeds: 63 bits each.
        anatomy: Label maps on any grid that the CTs should follow, named as TotalSegmentator names them; the grid of
            each CT is laid about the middle of its map.
    """

    prompts: Sequence[Prompt]
    seeds: Sequence[int]
    anatomy: Sequence[Labels] | None = None

    def __post_init__(self) -> None:
        n = len(self.prompts)
        for name, value in vars(self).items():
            if value is not None and len(value) != n:
                raise InputError(f"{len(value)} {name} for {n} prompts: give one each")

    def part(self, first: int, last: int) -> Asked:
        """Some of it."""
        anatomy = None if self.anatomy is None else self.anatomy[first:last]
        return Asked(self.prompts[first:last], self.seeds[first:last], anatomy)


@dataclass(frozen=True, eq=False)
class Drawn:
    """One volume as a model draws it.

    Attributes:
        hu: (z, y, x) int16.
        masks: (m, z, y, x) bool, those of `names`; they may overlap.
        names: Of the masks.
        affine: (4, 4), voxel (x, y, z, 1) → LPS, mm; of all of them.
        labels: One label a voxel, for files; None where the model makes no masks.
    """

    hu: NDArray[np.int16]
    masks: NDArray[np.bool_]
    names: tuple[str, ...]
    affine: NDArray[np.float64]
    labels: Labels | None


@dataclass(frozen=True, eq=False)
class Generated:
    """One CT.

    Attributes:
        drawn: The volume, its masks and their place.
        conditions: What was asked for.
        seed: From which it was drawn.
    """

    drawn: Drawn
    conditions: Conditions
    seed: int


class CtModel(Protocol):
    """A model that was loaded, see `synth.diffusion.ct.loading.load_ct_model`."""

    @property
    def digest(self) -> str:
        """SHA-256 of what was loaded."""

    @property
    def microbatch(self) -> int:
        """Volumes that its networks are best given at once, where it runs."""

    @property
    def controls(self) -> tuple[str, ...]:
        """Structures whose masks it takes as a condition."""

    def grid(self, settings: Settings) -> CtGrid:
        """The grid of what is asked for.

        Raises:
            InputError: A size or a spacing that this model cannot make.
        """

    def memory(self, settings: Settings) -> str:
        """The peak of memory that is expected, in words; "" where nothing is known of it.

        Raises:
            InputError: More than is free; names what would fit.
        """

    def draw(self, asked: Asked, settings: Settings, progress: Progress | None = None) -> Sequence[Drawn]:
        """A volume for each prompt; `progress` is told the steps done and all of them.

        Raises:
            InputError: Something that this model cannot do.
        """


def generate(
    model: CtModel, asked: Asked, settings: Settings = Settings(), progress: Progress | None = None
) -> Iterator[Generated]:
    """Draws what is asked for, a microbatch at a time.

    Args:
        model: See `synth.diffusion.ct.loading.load_ct_model`.
        asked: Prompts with their seeds, and what else is given.
        settings: How.
        progress: Told the steps done of a microbatch and all of it.

    Raises:
        InputError: Something that this model cannot do.
    """
    size = settings.microbatch or model.microbatch
    settings = replace(settings, microbatch=size)
    for first in range(0, len(asked.prompts), size):
        part = asked.part(first, first + size)
        drawn = model.draw(part, settings, progress)
        for one, prompt, seed in zip(drawn, part.prompts, part.seeds, strict=True):
            yield Generated(one, prompt if isinstance(prompt, Conditions) else parse_prompt(prompt), seed)
