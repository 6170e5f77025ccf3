"""Radiographs from words: a generative model draws each request, and what its counterfactuals change."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache
from importlib import metadata
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

import synth
from synth.core.errors import InputError
from synth.core.record import Mask, Record, Sample
from synth.dataset.sources.cxr_inputs import CxrInputs
from synth.dataset.sources.cxr_wishes import wish_of
from synth.diffusion.cxr.generate import Asked, Settings, generate
from synth.diffusion.loading import choose_device, choose_precision, load_model, model_digest
from synth.diffusion.model_folder import find_model

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from synth.anatomy.population import Population
    from synth.dataset.request import Request
    from synth.dataset.source import Medium, Warn
    from synth.dataset.sources.cxr_wishes import CxrWish
    from synth.diffusion.cxr.counterfactual import Change
    from synth.diffusion.cxr.generate import CxrModel, Generated, Prompt
    from synth.diffusion.loading import Attention, Precision

__all__ = ["CxrRadiographs", "ModelChoice"]

_USUAL_VIEW = "PA"
_LIBRARIES = ("torch", "diffusers", "transformers")


@dataclass(frozen=True)
class ModelChoice:
    """Which model, and how it runs; see `synth.diffusion.loading.load_model`.

    "auto" is settled when it is made, so that all workers do the same.
    """

    name: str = "default"
    device: str = "auto"
    dtype: Precision = "auto"
    attention: Attention = "sdpa"
    lora: Path | None = None
    lora_scale: float = 1.0
    compiled: bool = False
    ours: bool = field(init=False, default=False)
    """Whether it takes conditions, and not only text."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "ours", find_model(self.name).kind == "own")
        object.__setattr__(self, "device", choose_device(self.device))
        object.__setattr__(self, "dtype", choose_precision(self.dtype, self.device))

    @property
    def digest(self) -> str:
        """SHA-256 of all that is loaded."""
        return model_digest(self.name, self.lora, self.lora_scale)

    def load(self) -> CxrModel:
        """The model, loaded once a process.

        Raises:
            InputError: As `load_model`.
        """
        return _loaded(self)

    def recipe(self) -> dict[str, Any]:
        """All that decides what it draws, without paths."""
        return {
            "model_hash": self.digest,
            "device": self.device.partition(":")[0],
            "dtype": self.dtype,
            "attention": self.attention,
            "compiled": self.compiled,
            "libraries": {name: metadata.version(name) for name in _LIBRARIES},
        }


@dataclass(frozen=True)
class CxrRadiographs:
    """Radiographs from a generative model.

    Attributes:
        model: Which.
        settings: How it draws.
        prompts: For requests without one, in turn.
        population: Who comes where there is no prompt at all.
        population_recipe: What it is told of as.
        view: Asked for where neither request nor prompt says; None: PA, without a word of it in texts.
        changes: Each adds a counterfactual to every case: the same seed, other conditions.
        inputs: An image to start from, masks to follow.
        inverted: Whether the image is traced back to its noise.
    """

    model: ModelChoice
    settings: Settings = field(default_factory=Settings)
    prompts: tuple[str, ...] = ()
    population: Population | None = None
    population_recipe: str | None = None
    view: str | None = None
    changes: tuple[Change, ...] = ()
    inputs: CxrInputs = field(default_factory=CxrInputs)
    inverted: bool = False
    medium: ClassVar[Medium] = "image"

    def __post_init__(self) -> None:
        if self.inverted and self.inputs.image is None:
            raise InputError("invert: traces an image back to its noise; give the image")
        if self.inverted and (self.inputs.free is not None or not self.model.ours):
            raise InputError(
                "invert: is for models of ours, and not for inpainting; start from the image by its strength"
            )

    @property
    def each(self) -> int:
        """The picture, and its counterfactuals."""
        return 1 + len(self.changes)

    @property
    def batch(self) -> int:
        """Requests that fill a microbatch."""
        size = self.settings.microbatch or (1 if self.model.device == "cpu" else 16)
        return max(1, size // self.each)

    def recipe(self) -> dict[str, Any]:
        """All that decides the samples besides the requests, as plain JSON without paths."""
        return {
            **self.model.recipe(),
            **asdict(self.settings),
            "prompts": list(self.prompts),
            "population": self.population_recipe,
            "view": self.view,
            "counterfactuals": [dict(change.values) for change in self.changes],
            **self.inputs.recipe(),
            "invert": self.inverted,
        }

    def check(self, root: Path) -> None:
        """Refuses files that are not there, and an output folder within the model's."""
        folder = find_model(self.model.name).path.resolve()
        if folder in (root.resolve(), *root.resolve().parents):
            raise InputError(f"{root}: lies within the model's folder; choose another")
        self.inputs.recipe()

    def refuse(self, request: Request) -> None:
        """Refuses a request that no seed can satisfy.

        Raises:
            InputError: A sex, an age, a view or a finding that cannot be asked for.
        """
        try:
            self._wishes(request)
        except InputError as error:
            raise InputError(f"case {request.name}: {error}") from error

    def make(self, requests: Sequence[Request], *, warn: Warn = lambda _: None) -> Iterator[Sequence[Sample]]:
        """The picture of each request, and its counterfactuals.

        Raises:
            InputError: A request that `refuse` refuses, or something that the model cannot do.
        """
        model = self.model.load()
        wishes = [self._wishes(request) for request in requests]
        asked = self._asked(model, requests, wishes)
        drawn = generate(model, asked, self.settings)
        for request, own in zip(requests, wishes, strict=True):
            first = request.number * self.each
            yield [self._sample(first + k, next(drawn), wish, model.digest) for k, wish in enumerate(own)]

    def _wishes(self, request: Request) -> list[CxrWish]:
        prompt = self.prompts[request.number % len(self.prompts)] if self.prompts else ""
        wish = wish_of(request, prompt, self.population, self.view)
        if not self.changes:
            return [wish]
        # Written anew, so that nothing but what changes differs.
        return [wish.changed(wish.conditions), *(wish.changed(change.of(wish.conditions)) for change in self.changes)]

    def _asked(self, model: CxrModel, requests: Sequence[Request], wishes: list[list[CxrWish]]) -> Asked:
        """A row for every picture."""
        rows = [(request, own[0], wish) for request, own in zip(requests, wishes, strict=True) for wish in own]
        image, free = self.inputs.image_of(model.side), self.inputs.free_of(model.side)
        masks = [self.inputs.control_of(request.number) for request, _, _ in rows]
        known = [one for one in masks if one is not None]
        return Asked(
            [self._prompt(wish) for _, _, wish in rows],
            [request.seed for request, _, _ in rows],
            None if image is None else np.stack([image] * len(rows)),
            None if free is None else np.stack([free] * len(rows)),
            known or None,
            [self._prompt(base) for _, base, _ in rows] if self.inverted else None,
        )

    def _prompt(self, wish: CxrWish) -> Prompt:
        return replace(wish.conditions, view=wish.conditions.view or _USUAL_VIEW) if self.model.ours else wish.text

    def _sample(self, index: int, drawn: Generated, wish: CxrWish, digest: str) -> Sample:
        conditions = wish.conditions
        record = Record(
            conditions.view or _USUAL_VIEW,
            conditions.sex,
            conditions.age,
            conditions.race,
            findings=wish.findings,
            prompt=wish.text,
            source="cxr",
            generator=f"synth cxr {synth.__version__}",
            model_hash=digest,
            seed=drawn.seed,
        )
        masks = tuple(Mask(name, mask) for name, mask in drawn.masks.items())
        return Sample(index, np.rint(drawn.image * np.float32(65535)).astype(np.uint16), record, masks)


@lru_cache(maxsize=1)
def _loaded(choice: ModelChoice) -> CxrModel:
    return load_model(
        choice.name,
        device=choice.device,
        dtype=choice.dtype,
        attention=choice.attention,
        lora=choice.lora,
        lora_scale=choice.lora_scale,
        compiled=choice.compiled,
    )
