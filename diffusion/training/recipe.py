"""A recipe: all that decides a training run, as YAML."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import yaml
from pydantic import Field, field_validator, model_validator

from synth.core.errors import InputError
from synth.core.strict import Strict, validated
from synth.diffusion.training.autoencoder import AutoencoderSettings
from synth.diffusion.training.control import ControlSettings  # noqa: TC001 - pydantic reads it
from synth.diffusion.training.data import STRUCTURES
from synth.diffusion.training.denoiser import DenoiserSettings
from synth.diffusion.training.joined import open_sources
from synth.diffusion.training.machine import Precision  # noqa: TC001
from synth.diffusion.training.masks import MaskSettings
from synth.diffusion.training.sources import DataSource  # noqa: TC001

if TYPE_CHECKING:
    from collections.abc import Mapping

    from synth.diffusion.training.examples import Examples
    from synth.diffusion.training.settings import StageSettings

__all__ = ["STAGES", "BaseRecipe", "Recipe", "Sampling"]

STAGES = ("autoencoder", "denoiser", "masks", "control")
"""In the order in which they are trained."""


class Sampling(Strict):
    """What the pipeline does unless it is asked otherwise; see CxrPipeline."""

    steps: int = Field(default=8, ge=1)
    guidance: float = Field(default=1.0, ge=0)
    guidance_low: float = Field(default=0.0, ge=0, le=1)
    guidance_high: float = Field(default=1.0, ge=0, le=1)


class BaseRecipe(Strict):
    """What runs of all models have in common.

    Attributes:
        data: Folders of radiographs.
        size: Pixels of a side.
        validation: Share of patients that are not trained on.
        seed: Of all that is drawn; stages may have their own.
        precision: "auto", "fp32", "bf16" or "fp16".
        threads: Of a process on a CPU; none: OMP_NUM_THREADS, or the cores over the processes.
    """

    data: tuple[DataSource, ...] = Field(min_length=1)
    size: int = Field(default=128, ge=16, le=2048, multiple_of=8)
    validation: float = Field(default=0.05, gt=0, lt=1)
    seed: int = Field(default=0, ge=0)
    precision: Precision = "auto"
    threads: int | None = Field(default=None, ge=1)

    @field_validator("data", mode="before")
    @classmethod
    def _one_or_many(cls, data: Any) -> Any:
        listed = data if isinstance(data, list | tuple) else [data]
        return tuple({"path": one} if isinstance(one, str) else one for one in listed)

    @classmethod
    def stages(cls) -> tuple[str, ...]:
        """The keys of settings that take the recipe's seed."""
        raise NotImplementedError

    @classmethod
    def of(cls, content: Mapping[str, Any], path: Path) -> Self:
        """The recipe of a file's content.

        Args:
            content: Of a YAML file.
            path: The file; folders in it are relative to its own.

        Raises:
            InputError: An unknown key or a wrong value.
        """
        if "data" not in content:
            raise InputError(f"{path}: data is missing: the folder of a dataset")
        filled = dict(content)
        for name in cls.stages():
            default = cls.model_fields[name].get_default(call_default_factory=True)
            inner = filled.get(name, None if default is None else {})
            if isinstance(inner, dict):
                filled[name] = {"seed": filled.get("seed", 0), **inner}
        read = validated(cls, filled, str(path))
        return read.model_copy(update={"data": tuple(one.placed(path.parent) for one in read.data)})

    def examples(self) -> Examples:
        """The data, opened.

        Raises:
            InputError: A folder that cannot be read.
        """
        return open_sources(self.data)

    def as_yaml(self) -> str:
        """All of it, defaults included; folders by their names alone."""
        content = self.model_dump(mode="json")
        for one in content["data"]:
            one["path"] = Path(one["path"]).name
        if content.get("start_from"):
            content["start_from"] = Path(content["start_from"]).name
        return yaml.safe_dump(content, sort_keys=False, allow_unicode=True)


class Recipe(BaseRecipe):
    """A training run of our own model.

    Attributes:
        structures: Whose masks are learned, where the data has masks; * stands for any letters.
        rare: Structures that fewer radiographs show are left out.
        start_from: A pipeline's folder to start from; stages that are null are taken from it as they are.
        autoencoder: How it is trained.
        denoiser: How it is trained.
        masks: How the mask decoder is trained.
        control: How the control branch is trained.
        half: Save the pipeline in half precision.
        sampling: Defaults of the pipeline.
    """

    structures: tuple[str, ...] = STRUCTURES
    rare: int = Field(default=20, ge=1)
    start_from: str = ""
    autoencoder: AutoencoderSettings | None = AutoencoderSettings()
    denoiser: DenoiserSettings | None = DenoiserSettings()
    masks: MaskSettings | None = MaskSettings()
    control: ControlSettings | None = None
    half: bool = True
    sampling: Sampling = Sampling()

    @model_validator(mode="after")
    def _can_begin(self) -> Recipe:
        if not self.start_from and (self.autoencoder is None or self.denoiser is None):
            raise ValueError("autoencoder or denoiser is null: name the model that has them, start_from: FOLDER")
        return self

    @classmethod
    def stages(cls) -> tuple[str, ...]:
        """See BaseRecipe."""
        return STAGES

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
