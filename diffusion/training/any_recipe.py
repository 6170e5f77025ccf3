"""A recipe's file: of our own model, or of a Stable Diffusion pipeline that the key `model` names."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from pydantic import Field

from synth.core.strict import with_changes
from synth.core.values import read_mapping
from synth.diffusion.training.data import TrainingData
from synth.diffusion.training.machine import first_alone
from synth.diffusion.training.recipe import BaseRecipe, Recipe
from synth.diffusion.training.running import begin, claim
from synth.diffusion.training.stable.settings import StableSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

__all__ = ["StableRecipe", "read_recipe", "train_stable_recipe"]


class StableRecipe(BaseRecipe):
    """Fine-tuning of a Stable Diffusion pipeline.

    Attributes:
        model: Its folder, or its id on the Hugging Face Hub.
        training: How.
    """

    model: str = Field(min_length=1)
    size: int = Field(default=512, ge=16, le=2048, multiple_of=8)
    training: StableSettings = StableSettings()

    @classmethod
    def stages(cls) -> tuple[str, ...]:
        """See BaseRecipe."""
        return ("training",)

    @classmethod
    def of(cls, content: Mapping[str, Any], path: Path) -> Self:
        """See BaseRecipe; a model that is a folder beside the recipe is meant as such."""
        read = super().of(content, path)
        beside = path.parent / Path(read.model).expanduser()
        return read.model_copy(update={"model": str(beside)}) if beside.is_dir() else read


def read_recipe(path: Path, changes: Iterable[str] = ()) -> Recipe | StableRecipe:
    """Reads a recipe.

    Args:
        path: YAML.
        changes: "key=value" or "key.path=value", instead of what the file says.

    Raises:
        InputError: Not readable, an unknown key, or a wrong value.
    """
    content = with_changes(read_mapping(path, "size: 128"), changes)
    return StableRecipe.of(content, path) if "model" in content else Recipe.of(content, path)


def train_stable_recipe(
    recipe: StableRecipe,
    out: Path,
    *,
    resume: bool = False,
    stop_after: float | None = None,
    tell: Callable[[str], None] = lambda line: None,
) -> Path:
    """Fine-tunes; see `train_recipe` for the arguments and `train_stable` for the result."""
    from synth.diffusion.training.stable import train_stable

    run = begin(recipe, resume, stop_after, tell)
    claim(recipe, out, run)
    with first_alone(run.accelerator):
        data = TrainingData.open(
            recipe.examples(),
            out / "cache",
            size=recipe.size,
            validation=recipe.validation,
            seed=recipe.seed,
            tell=run.tell,
        )
    return train_stable(recipe.model, recipe.training, data, out, run)
