"""What a recipe says.

    seed: 7
    source: {kind: phantom, technique: random, poses: 1}    # see synth.dataset.recipe.kinds
    cases: 200                                              # or plan: plan.csv
    views: [pa, lateral]
    size: 512
    masks: groups
    format: png
    shards: {kind: webdataset, size: 1000}
    gate: {reference: real/, policy: policy.yaml, attempts: 5}
    licence: CC0-1.0

Paths are relative to the file.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, PrivateAttr, model_validator

from synth.core.strict import RecipePath, Strict, validated, with_changes
from synth.core.values import read_mapping
from synth.dataset.recipe.kinds import SourceSpec  # noqa: TC001, pydantic reads it

if TYPE_CHECKING:
    from collections.abc import Sequence

    from synth.dataset.job import DatasetJob

__all__ = ["GateSpec", "Recipe", "ShardsSpec"]

_MOST = 8192


def _pixels(value: object) -> object:
    sides = value if isinstance(value, list | tuple) else (value, value)
    if len(sides) != 2 or any(type(side) is not int or not 1 <= side <= _MOST for side in sides):
        raise ValueError(f"must be pixels, or [height, width], each 1 to {_MOST}, got {value!r}")
    return value


class ShardsSpec(Strict):
    """Shards instead of loose files."""

    kind: Literal["webdataset", "parquet"]
    size: int = Field(default=1000, ge=1, description="Samples of a shard.")


class GateSpec(Strict):
    """What every sample, and then the whole set, has to pass."""

    reference: RecipePath = Field(description="Real images: a folder, metadata.csv or dataset.")
    policy: RecipePath | dict[str, Any] | None = Field(default=None, description="A file, or what it would say.")
    training: RecipePath | None = Field(default=None, description="What a generator was trained on.")
    masks: str | None = Field(default=None, description="Of the reference: own, a folder, annotations.json, a column.")
    attempts: int = Field(default=5, ge=1, le=1000, description="How often a case is made, at most.")
    keep_rejected: bool = False


class Recipe(Strict):
    """A dataset to make."""

    seed: int = Field(default=0, ge=0, lt=2**63, description="Root of all that is drawn.")
    source: SourceSpec
    cases: int | None = Field(default=None, ge=1, description="How many; each has all views.")
    plan: RecipePath | None = Field(default=None, description="Instead: a table of what to make (synth plan).")
    views: list[str] | None = Field(default=None, min_length=1, description="Default: pa and lateral, or the plan's.")
    size: Annotated[int | tuple[int, int] | None, BeforeValidator(_pixels)] = Field(
        default=None, description="Pixels, or height and width [512]."
    )
    masks: Literal["all", "groups", "none"] | None = Field(default=None, description="Default: groups; of CTs all.")
    format: Literal["png", "dicom", "nifti"] | None = Field(default=None, description="Default: png; of CTs nifti.")
    segmentations: bool = Field(default=False, description="With dicom radiographs: masks as DICOM objects, too.")
    shards: ShardsSpec | None = None
    gate: GateSpec | None = None
    licence: str | None = Field(default=None, description="Of the dataset, such as CC0-1.0.")

    _path: Path = PrivateAttr(default=Path("recipe"))

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.cases is None) == (self.plan is None):
            raise ValueError("give cases (how many) or plan (a table)")
        formats = ("png", "dicom") if self.source.medium == "image" else ("nifti", "dicom")
        if self.format not in (None, *formats):
            raise ValueError(f"format {self.format}: source {self.source.kind} is written as {' or '.join(formats)}")
        if self.segmentations and (self.source.medium, self.format) != ("image", "dicom"):
            raise ValueError("segmentations: are of radiographs with format dicom")
        if self.shards is not None and (self.segmentations or (self.source.medium, self.format) == ("volume", "dicom")):
            raise ValueError("shards: take one file an image; not DICOM series or segmentations")
        if self.shards is not None and getattr(self.source, "radiographs", None):
            raise ValueError("shards: do not take CTs with radiographs")
        if self.source.medium == "volume":
            for key in ("views", "size"):
                if getattr(self, key) is not None:
                    raise ValueError(f"{key}: source {self.source.kind} makes CTs, which have none")
            if self.masks == "groups":
                raise ValueError("masks: of CTs are label maps: all, or none")
        return self

    @classmethod
    def read(cls, path: Path, changes: Sequence[str] = ()) -> Recipe:
        """Reads a recipe.

        Args:
            path: The file.
            changes: "key.path=value", in the place of what the file says.

        Raises:
            InputError: One line that names file and key.
        """
        content = with_changes(read_mapping(path, "cases: 100"), changes, null_removes=True)
        recipe = validated(cls, content, path, context=path.parent)
        recipe._path = path
        return recipe

    @property
    def path(self) -> Path:
        """The file."""
        return self._path

    def resolved(self) -> dict[str, Any]:
        """All that decides the dataset, as plain JSON; files are told by what is in them, without their names.

        Raises:
            InputError: As `job`.
        """
        from synth.dataset.recipe.prepared import prepare

        return prepare(self).resolved()

    def job(self) -> DatasetJob:
        """What makes the dataset.

        Raises:
            InputError: A file that it names cannot be used, a value is out of range, or the plan asks for what the
                source cannot make.
        """
        from synth.dataset.recipe.prepared import prepare

        return prepare(self).job()
