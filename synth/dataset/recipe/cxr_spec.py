"""The source `cxr` of recipes: radiographs from a generative model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from synth.core.errors import InputError
from synth.core.strict import RecipePath, Strict

if TYPE_CHECKING:
    from pathlib import Path

    from synth.dataset.recipe.kinds import AskedSource, Frame
    from synth.dataset.source import Medium
    from synth.diffusion.cxr.generate import Settings

__all__ = ["CxrSpec"]


class CxrSpec(Strict):
    """Radiographs from a generative model; see `synth cxr --help` for each."""

    medium: ClassVar[Medium] = "image"
    kind: Literal["cxr"]
    model: str = Field(default="default", description="default, a folder, or an id of the Hugging Face Hub.")
    lora: RecipePath | None = None
    lora_scale: float = 1.0
    prompts: list[str] = Field(default=[], description="For cases without one, in turn.")
    population: str = Field(default="default", description="Without prompts: default, healthy, none, or a table.")
    steps: int | None = None
    guidance: float | None = None
    interval: tuple[float, float] | None = None
    negative: str = ""
    refine: float = 0.0
    batch: int | None = Field(default=None, description="Pictures at once.")
    counterfactuals: list[str] = Field(default=[], description='Such as "sex=M,age=80"; each adds a picture a case.')
    control: RecipePath | None = Field(default=None, description="Masks to follow, in turn.")
    device: str = "auto"
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    attention: Literal["sdpa", "xformers", "flash"] = "sdpa"
    compiled: bool = False

    def source(self, frame: Frame, folder: Path) -> AskedSource:
        """The source; `folder` is the recipe's.

        Raises:
            InputError: The model cannot be used, or a size or view that it does not draw.
        """
        from synth.metrics.extractors.protocol import import_optional

        import_optional("diffusers", "source cxr", ["torch", "diffusers", "transformers"])
        from synth.dataset.sources.cxr import CxrRadiographs, ModelChoice
        from synth.dataset.sources.cxr_inputs import CxrInputs
        from synth.diffusion.cxr.counterfactual import Change

        name = str(folder / self.model) if (folder / self.model).is_dir() else self.model
        model = ModelChoice(name, self.device, self.dtype, self.attention, self.lora, self.lora_scale, self.compiled)
        return CxrRadiographs(
            model,
            self._settings(frame),
            tuple(self.prompts),
            **self._people(folder),
            view=_view(frame),
            changes=tuple(map(Change.read, self.counterfactuals)),
            inputs=CxrInputs(control=self.control),
        )

    def _settings(self, frame: Frame) -> Settings:
        from synth.diffusion.cxr.generate import Settings

        if "size" in frame.given and frame.shape[0] != frame.shape[1]:
            raise InputError("size: source cxr makes squares; give one number")
        size = frame.shape[0] if "size" in frame.given else None
        return Settings(
            self.steps,
            self.guidance,
            self.interval,
            self.negative,
            size=size,
            refine=self.refine,
            microbatch=self.batch,
            with_masks=frame.masks != "none",
        )

    def _people(self, folder: Path) -> dict[str, Any]:
        from synth.dataset.sources.people import population

        if self.prompts or self.population == "none":
            return {}
        drawn = population(self.population, folder / self.population)
        told = drawn["population_name"] + f" {drawn.get('population_digest', '')}".rstrip()
        return {"population": drawn["population"], "population_recipe": told}


def _view(frame: Frame) -> str | None:
    if "views" not in frame.given:
        return None
    if len(frame.views) != 1 or frame.views[0].upper() not in ("PA", "AP", "LATERAL"):
        raise InputError("views: source cxr makes one picture a case; give one of pa, ap, lateral, or leave it out")
    return frame.views[0].upper()
