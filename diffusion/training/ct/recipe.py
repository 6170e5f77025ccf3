"""A recipe of text to CT: all that decides a training run, as YAML."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from pydantic import Field, model_validator

from synth.core.strict import Strict, with_changes
from synth.core.values import read_mapping
from synth.diffusion.training.ct.autoencoder import CtAutoencoderSettings
from synth.diffusion.training.ct.base import BaseSettings
from synth.diffusion.training.ct.control import CtControlSettings  # noqa: TC001 - pydantic reads it
from synth.diffusion.training.ct.files import CtSource, open_ct_sources
from synth.diffusion.training.ct.refiner import RefinerSettings
from synth.diffusion.training.recipe import BaseRecipe

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from synth.diffusion.training.ct.files import CtExamples
    from synth.diffusion.training.settings import StageSettings

__all__ = ["CT_STAGES", "CtRecipe", "CtSampling", "read_ct_recipe"]

CT_STAGES = ("autoencoder", "base", "refiner", "control")
"""In the order in which they are trained."""


class CtSampling(Strict):
    """What the pipeline does unless it is asked otherwise; see CtPipeline."""

    steps: int = Field(default=16, ge=1)
    refine_steps: int = Field(default=8, ge=1)
    guidance: float = Field(default=1.0, ge=0)
    guidance_low: float = Field(default=0.0, ge=0, le=1)
    guidance_high: float = Field(default=1.0, ge=0, le=1)
    coarse_noise: float = Field(default=0.1, ge=0, lt=1)
    tile: int = Field(default=64, ge=16, multiple_of=4)


class CtRecipe(BaseRecipe):
    """A training run of our own model.

    Attributes:
        data: Folders of CTs.
        size: Voxels of a side of the base.
        spacing: Of its voxels, mm: size × spacing is the field of view.
        finer: How many grids above the base, each twice as fine, are trained on.
        start_from: A pipeline's folder to start from; stages that are null are taken from it as they are.
        autoencoder: How it is trained.
        base: How the base's denoiser is trained.
        refiner: How the refiner is trained; null where there is no finer grid.
        control: How the control branch is trained.
        half: Save the pipeline in half precision.
        sampling: Defaults of the pipeline.
    """

    data: tuple[CtSource, ...] = Field(min_length=1)  # type: ignore[assignment]
    size: int = Field(default=64, ge=8, le=256, multiple_of=8)
    spacing: float = Field(default=6.0, gt=0, le=20)
    finer: int = Field(default=1, ge=0, le=4)
    start_from: str = ""
    autoencoder: CtAutoencoderSettings | None = CtAutoencoderSettings()
    base: BaseSettings | None = BaseSettings()
    refiner: RefinerSettings | None = RefinerSettings()
    control: CtControlSettings | None = None
    half: bool = True
    sampling: CtSampling = CtSampling()

    @model_validator(mode="after")
    def _can_begin(self) -> CtRecipe:
        if not self.start_from and (self.autoencoder is None or self.base is None):
            raise ValueError("autoencoder or base is null: name the model that has them, start_from: FOLDER")
        if self.refiner is not None and not self.finer:
            raise ValueError("finer is 0, so that there is nothing to refine: set it to 1 or more, or refiner: null")
        return self

    @classmethod
    def stages(cls) -> tuple[str, ...]:
        """See BaseRecipe."""
        return CT_STAGES

    @classmethod
    def of(cls, content: Mapping[str, Any], path: Path) -> Self:
        """See BaseRecipe."""
        read = super().of(content, path)
        start = str(path.parent / Path(read.start_from).expanduser()) if read.start_from else ""
        return read.model_copy(update={"start_from": start})

    def stage(self, name: str) -> StageSettings | None:
        """The settings of a stage by name."""
        settings: StageSettings | None = getattr(self, name)
        return settings

    def scans(self) -> CtExamples:
        """The data, opened.

        Raises:
            InputError: A folder that cannot be read.
        """
        return open_ct_sources(self.data)


def read_ct_recipe(path: Path, changes: Iterable[str] = ()) -> CtRecipe:
    """Reads a recipe.

    Args:
        path: YAML.
        changes: "key=value" or "key.path=value", instead of what the file says.

    Raises:
        InputError: Not readable, an unknown key, or a wrong value.
    """
    return CtRecipe.of(with_changes(read_mapping(path, "size: 64"), changes), path)
