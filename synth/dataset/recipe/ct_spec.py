"""The source `ct` of recipes: CTs with masks from a generative model, with radiographs of each where asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from synth.core.errors import InputError
from synth.core.strict import RecipePath, Strict

if TYPE_CHECKING:
    from pathlib import Path

    from synth.dataset.recipe.kinds import AskedSource, Frame
    from synth.dataset.source import Medium
    from synth.diffusion.ct.generate import Settings
    from synth.drr.projector import Backend

__all__ = ["CtSpec", "radiograph_job"]


class CtSpec(Strict):
    """CTs from a generative model; see `synth ct --help` for each."""

    medium: ClassVar[Medium] = "volume"
    kind: Literal["ct"]
    model: str = Field(default="default", description="default, a folder, or an id of the Hugging Face Hub.")
    prompts: list[str] = Field(default=[], description="For cases without one, in turn.")
    population: str = Field(default="default", description="Without prompts: default, healthy, none, or a table.")
    size: int | tuple[int, int, int] | None = Field(default=None, description="Voxels, or along z, y, x.")
    spacing: float | tuple[float, float, float] | None = Field(default=None, description="mm, or along z, y, x.")
    steps: int | None = None
    refine_steps: int | None = None
    guidance: float | None = None
    interval: tuple[float, float] | None = None
    negative: str = ""
    tile: int | None = Field(default=None, description="Voxels that are refined at once: less takes less memory.")
    batch: int | None = Field(default=None, description="CTs at once.")
    control: RecipePath | None = Field(default=None, description="A label map to follow, or a folder of them, in turn.")
    radiographs: list[str] = Field(default=[], description="Views to take of each CT: pa, lateral, lao45, …")
    radiograph_size: int = Field(default=512, ge=1, le=8192, description="Side of their pictures, pixels.")
    technique: str = Field(default="auto", description="Of the radiographs, as synth drr has it.")
    device: str = "auto"
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    attention: Literal["sdpa", "xformers", "flash"] = "sdpa"

    def source(self, frame: Frame, folder: Path) -> AskedSource:
        """The source; `folder` is the recipe's.

        Raises:
            InputError: The model cannot be used, or a value is out of range.
        """
        from synth.metrics.extractors.protocol import import_optional

        import_optional("diffusers", "source ct", ["torch", "diffusers", "transformers"])
        from synth.dataset.sources.ct import CtChoice, GeneratedCts, label_files

        name = str(folder / self.model) if (folder / self.model).is_dir() else self.model
        return GeneratedCts(
            CtChoice(name, self.device, self.dtype, self.attention),
            self._settings(),
            tuple(self.prompts),
            **self._people(folder),
            anatomy=label_files(self.control),
            job=radiograph_job(self.radiographs, self.radiograph_size, self.technique),
            masks=frame.masks != "none",
        )

    def _settings(self) -> Settings:
        from synth.diffusion.ct.generate import Settings

        size = (self.size,) * 3 if isinstance(self.size, int) else self.size
        spacing = (self.spacing,) * 3 if isinstance(self.spacing, float) else self.spacing
        return Settings(
            self.steps,
            self.refine_steps,
            self.guidance,
            self.interval,
            self.negative,
            size,
            spacing,
            self.tile,
            self.batch,
        )

    def _people(self, folder: Path) -> dict[str, Any]:
        from synth.dataset.sources.people import population

        if self.prompts or self.population == "none":
            return {}
        drawn = population(self.population, folder / self.population)
        told = drawn["population_name"] + f" {drawn.get('population_digest', '')}".rstrip()
        return {"population": drawn["population"], "population_recipe": told}


def radiograph_job(views: list[str], side: int, technique: str = "auto", backend: Backend = "auto") -> Any:
    """How radiographs of each CT are taken; None for no views.

    Args:
        views: See `synth.drr.views.parse_view`.
        side: Of the pictures, pixels.
        technique: See `synth.drr.technique`.
        backend: Where to run; "auto" is decided here, so that all workers do the same.

    Raises:
        InputError: A view that is none, or is there twice, or a technique that is none.
    """
    if not views:
        return None
    from synth.dataset.radiographs.job import DrrJob
    from synth.dataset.sources.ct_subject import OneSubject
    from synth.drr.projector import choose_backend
    from synth.drr.views import parse_view

    names = [parse_view(view).name for view in views]
    if len(set(names)) < len(names):
        raise InputError(f"radiographs {','.join(views)}: name each view once")
    return DrrJob(
        OneSubject(), views=tuple(views), shape=(side, side), preset=technique, backend=choose_backend(backend)
    )
