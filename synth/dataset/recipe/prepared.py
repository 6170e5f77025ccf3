"""From what a recipe says to what makes it."""

from __future__ import annotations

import hashlib
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synth.core.errors import InputError
from synth.dataset import manifest
from synth.dataset.folder import Shards
from synth.dataset.job import DatasetJob
from synth.dataset.plan import read_plan
from synth.dataset.recipe.kinds import Frame
from synth.dataset.request import DrawnRequests
from synth.dataset.sample_gate import GateSettings
from synth.metrics.gate.policy import Policy, policy_from, read_policy

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from synth.dataset.folder import ImageFormat
    from synth.dataset.recipe.kinds import AskedSource
    from synth.dataset.recipe.schema import GateSpec, Recipe
    from synth.dataset.request import Request

__all__ = ["Prepared", "prepare"]

_VIEWS, _PLANNED_VIEWS = ("pa", "lateral"), ("pa",)
_SIDE = 512


@dataclass(frozen=True)
class Prepared:
    """A recipe whose files were read.

    Attributes:
        recipe: What it says.
        source: What makes the samples.
        requests: What it is asked for.
        gate: What they have to pass.
        extras: Files of the plan, by name.
    """

    recipe: Recipe
    source: AskedSource
    requests: Sequence[Request]
    gate: GateSettings | None
    extras: Mapping[str, bytes]

    @property
    def image_format(self) -> ImageFormat:
        """Format of the files."""
        return self.recipe.format or ("png" if self.source.medium == "image" else "nifti")

    def resolved(self) -> dict[str, Any]:
        """All that decides the dataset, as plain JSON; files are told by what is in them, without their names."""
        plan = self.extras.get("plan.csv")
        asked = {} if plan is None else {"plan_digest": hashlib.sha256(plan).hexdigest()}
        licence = {} if self.recipe.licence is None else {"licence": self.recipe.licence}
        with _of(self.recipe.path):
            gate = None if self.gate is None else self.gate.recipe()
        return {
            "seed": self.recipe.seed,
            "source": {"kind": self.recipe.source.kind} | self.source.recipe(),
            "cases": len(self.requests),
            **asked,
            "format": self.image_format,
            "segmentations": self.recipe.segmentations,
            "shards": None if self.recipe.shards is None else self.recipe.shards.model_dump(),
            "gate": gate,
            **licence,
        }

    def job(self) -> DatasetJob:
        """What makes the dataset."""
        shards = self.recipe.shards
        return DatasetJob(
            self.source,
            self.requests,
            self.resolved(),
            self.recipe.seed,
            image_format=self.image_format,
            shards=None if shards is None else Shards(shards.kind, shards.size),
            gate=self.gate,
            extras=self.extras,
            segmentations=self.recipe.segmentations,
        )


def prepare(recipe: Recipe) -> Prepared:
    """Reads what a recipe names.

    Raises:
        InputError: A file cannot be used, a value is out of range, or the plan asks for what the source cannot make.
    """
    with _of(recipe.path):
        planned = None if recipe.plan is None else read_plan(recipe.plan)
        source = recipe.source.source(_frame(recipe, planned or ()), recipe.path.parent)
        with _of(recipe.plan):
            for request in planned or ():
                source.refuse(request)
        return Prepared(
            recipe,
            source,
            DrawnRequests(recipe.cases or 0, recipe.seed) if planned is None else planned,
            None if recipe.gate is None else _settings(recipe.gate, recipe.path.parent),
            {} if recipe.plan is None else _plan_files(recipe.plan),
        )


def _frame(recipe: Recipe, planned: Sequence[Request]) -> Frame:
    usual = _PLANNED_VIEWS if any(request.view for request in planned) else _VIEWS
    size = _SIDE if recipe.size is None else recipe.size
    masks = recipe.masks or ("groups" if recipe.source.medium == "image" else "all")
    given = frozenset(key for key in ("views", "size") if getattr(recipe, key) is not None)
    return Frame(tuple(recipe.views or usual), size if isinstance(size, tuple) else (size, size), masks, given)


def _settings(gate: GateSpec, folder: Path) -> GateSettings:
    if isinstance(gate.policy, Path):
        policy = read_policy(gate.policy)
    else:
        policy = Policy() if gate.policy is None else policy_from(gate.policy)
    return GateSettings(
        gate.reference, policy, gate.training, gate.attempts, gate.keep_rejected, _masks_of(gate.masks, folder)
    )


def _masks_of(where: str | None, folder: Path) -> str | None:
    """A path is relative to the recipe; "own" and columns are words."""
    return str(folder / where) if where is not None and (folder / where).exists() else where


def _plan_files(plan: Path) -> dict[str, bytes]:
    """The plan and, if at hand, its counts, under the names that they have in a dataset.

    Raises:
        InputError: One cannot be read.
    """
    try:
        files = {"plan.csv": plan.read_bytes()}
    except OSError as error:
        raise InputError(f"{plan}: cannot read ({error.strerror or error})") from error
    counts = manifest.load(plan.with_suffix(".json"))
    if counts is None:
        return files
    reference = counts.get("reference")
    if isinstance(reference, dict):  # its files are told by their digests, not by their names
        digests = [{"sha256": one.get("sha256")} for one in reference.get("files", [])]
        counts["reference"] = reference | {"files": digests}
    return files | {"plan.json": manifest.dump(counts)}


@contextmanager
def _of(path: Path | None) -> Iterator[None]:
    """Errors name the file that asks for what is wrong."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
