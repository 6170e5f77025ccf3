"""Our own pipeline and MAISI's, as `generate` asks any model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from synth.core.errors import InputError
from synth.core.volume import Labels
from synth.diffusion.ct.anatomy import anatomy_on_grid, centred_affine, on_grid
from synth.diffusion.ct.channels import label_map
from synth.diffusion.ct.generate import Drawn
from synth.diffusion.ct.grid import CtGrid
from synth.diffusion.ct.memory import available_bytes, fitting, peak_bytes
from synth.diffusion.flow import Guidance

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from synth.diffusion.ct.generate import Asked, Progress, Settings
    from synth.diffusion.ct.maisi.pipeline import MaisiPipeline
    from synth.diffusion.ct.pipeline import CtPipeline

__all__ = ["MaisiModel", "OwnModel"]


@dataclass(frozen=True, eq=False)
class OwnModel:
    """A CtPipeline; see `synth.diffusion.ct.generate.CtModel`.

    Attributes:
        pipe: The pipeline.
        digest: SHA-256 of what was loaded.
    """

    pipe: CtPipeline
    digest: str

    @property
    def microbatch(self) -> int:
        """One on a CPU, which has enough to do with it."""
        return self.pipe.rows

    @property
    def controls(self) -> tuple[str, ...]:
        """Structures whose masks it takes as a condition."""
        return () if self.pipe.control is None else tuple(self.pipe.control.config.names)

    def grid(self, settings: Settings) -> CtGrid:
        """The grid of what is asked for.

        Raises:
            InputError: A size or a spacing that cannot be made.
        """
        return self.pipe.grid(settings.size, settings.spacing)

    def memory(self, settings: Settings) -> str:
        """The peak of memory that is expected, in words.

        Raises:
            InputError: More than is free where the networks run; names the tile that would fit. Or no such tiles.
        """
        size, pipe = self.grid(settings).size, self.pipe
        plan = peak_bytes(pipe, size, tile=pipe.tile(settings.tile), batch=settings.microbatch)
        free, needed = available_bytes(pipe.device), plan.total if pipe.device.type == "cpu" else plan.device
        if needed <= free:
            return str(plan)
        fits = fitting(pipe, size, free, tile=settings.tile)
        mend = "a smaller --size" if fits is None else f"--tile {fits.tile} --batch 1"
        raise InputError(f"size {plan}, and {free / 2**30:.1f} GiB are free; give {mend}")

    @torch.inference_mode()
    def draw(self, asked: Asked, settings: Settings, progress: Progress | None = None) -> Sequence[Drawn]:
        """A volume for each prompt.

        Raises:
            InputError: Label maps for a model without a control branch, or of none of its structures.
        """
        config, grid = self.pipe.config, self.grid(settings)
        usual = Guidance(config.guidance, config.guidance_low, config.guidance_high)
        affines = _affines(asked, grid)
        made = self.pipe(
            list(asked.prompts),
            negative_prompt=settings.negative,
            seeds=list(asked.seeds),
            size=grid.size,
            spacing=grid.spacing,
            steps=settings.steps,
            refine_steps=settings.refine_steps,
            guidance=settings.guide(usual),
            masks=None if asked.anatomy is None else self._control(asked.anatomy, grid, affines),
            tile=settings.tile,
            microbatch=settings.microbatch,
            progress=progress,
        )
        return [
            Drawn(hu, masks, made.names, affine, _labels(masks, made.names, affine))
            for hu, masks, affine in zip(made.hu, made.masks, affines, strict=True)
        ]

    def _control(
        self, anatomy: Sequence[Labels], grid: CtGrid, affines: Sequence[NDArray[np.float64]]
    ) -> NDArray[np.bool_]:
        """(n, structures, z, y, x)."""
        if not self.controls:
            raise InputError("masks: this model takes none; give one with a control branch, or leave them out")
        pairs = zip(anatomy, affines, strict=True)
        return np.stack([anatomy_on_grid(one, self.controls, grid.size, affine) for one, affine in pairs])


@dataclass(frozen=True, eq=False)
class MaisiModel:
    """A MaisiPipeline; see `synth.diffusion.ct.generate.CtModel`.

    Attributes:
        pipe: The pipeline.
    """

    pipe: MaisiPipeline

    @property
    def digest(self) -> str:
        """SHA-256 of what was loaded."""
        return self.pipe.digest

    @property
    def microbatch(self) -> int:
        """Volumes are made one at a time."""
        return 1

    @property
    def controls(self) -> tuple[str, ...]:
        """Classes whose labels it takes as a condition."""
        return () if self.pipe.controlnet is None else tuple(self.pipe.classes)

    def grid(self, settings: Settings) -> CtGrid:
        """The grid of what is asked for."""
        usual = self.pipe.defaults
        mm = usual.spacing if settings.spacing is None else settings.spacing
        return CtGrid(settings.size or usual.size, (mm[0], mm[1], mm[2]), 0)

    def memory(self, settings: Settings) -> str:
        """Nothing is known of it."""
        return ""

    def draw(self, asked: Asked, settings: Settings, progress: Progress | None = None) -> Sequence[Drawn]:
        """A volume for each prompt.

        Raises:
            InputError: Something that these models cannot do.
        """
        from synth.diffusion.ct.maisi.labels import maisi_labels

        if settings.tile is not None:
            raise InputError("tile: models of MAISI's layout decode in the window of their own settings; leave it out")
        grid = self.grid(settings)
        affines, labels = _affines(asked, grid), None
        if asked.anatomy is not None:
            maps = [on_grid(one, grid.size, affine) for one, affine in zip(asked.anatomy, affines, strict=True)]
            labels = np.stack([maisi_labels(one, classes=self.pipe.classes) for one in maps])
        made = self.pipe(
            list(asked.prompts),
            seeds=list(asked.seeds),
            size=grid.size,
            spacing=grid.spacing,
            steps=settings.steps,
            refine_steps=settings.refine_steps,
            guidance=settings.guide(Guidance(self.pipe.defaults.guidance)),
            masks=labels,
            progress=progress,
        )
        found = [None if labels is None else made.label_map(number) for number in range(len(made.hu))]
        return [
            Drawn(hu, masks, made.names, affine, None if one is None else Labels(one.array, affine, one.names, "total"))
            for hu, masks, affine, one in zip(made.hu, made.masks, affines, found, strict=True)
        ]


def _affines(asked: Asked, grid: CtGrid) -> list[NDArray[np.float64]]:
    """Where each volume lies: about the middle of its label map, or about the origin."""
    if asked.anatomy is None:
        return [grid.affine] * len(asked.prompts)
    return [centred_affine(grid.affine, grid.size, one) for one in asked.anatomy]


def _labels(masks: NDArray[np.bool_], names: Sequence[str], affine: NDArray[np.float64]) -> Labels:
    array, named = label_map(masks, names)
    return Labels(array, affine, named, "total")
