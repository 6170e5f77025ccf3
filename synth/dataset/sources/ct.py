"""CTs with masks from words: a generative model draws each request, and radiographs are taken of what it has drawn."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property, lru_cache
from importlib import metadata
from typing import TYPE_CHECKING, Any, ClassVar

import synth
from synth.core.errors import InputError
from synth.core.reading import read_labels
from synth.core.record import Record, ScanSample
from synth.core.volume import Volume
from synth.dataset.sources.ct_subject import OneSubject, subject_of_drawn
from synth.dataset.sources.cxr_wishes import wish_of
from synth.dataset.sources.radiographs import radiographs, refuse_view, shared_recipe
from synth.diffusion.ct.generate import Asked, Settings, generate
from synth.diffusion.ct.loading import find_ct_model, load_ct_model
from synth.diffusion.loading import choose_device, choose_precision

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from synth.anatomy.population import Population
    from synth.core.volume import Labels
    from synth.dataset.radiographs.job import DrrJob
    from synth.dataset.request import Request
    from synth.dataset.source import Medium, Warn
    from synth.dataset.sources.cxr_wishes import CxrWish
    from synth.diffusion.ct.generate import CtModel, Generated
    from synth.diffusion.loading import Attention, Precision

__all__ = ["CtChoice", "GeneratedCts", "label_files"]

_LIBRARIES = ("torch", "diffusers", "transformers")
_LABEL_FILES = (".nii", ".nii.gz", ".mha", ".nrrd")
_ON_GPU = 8


@dataclass(frozen=True)
class CtChoice:
    """Which model, and how it runs; see `synth.diffusion.ct.loading.load_ct_model`.

    "auto" is settled when it is made, so that all workers do the same.
    """

    name: str = "default"
    device: str = "auto"
    dtype: Precision = "auto"
    attention: Attention = "sdpa"

    def __post_init__(self) -> None:
        find_ct_model(self.name)
        object.__setattr__(self, "device", choose_device(self.device))
        object.__setattr__(self, "dtype", choose_precision(self.dtype, self.device))

    @property
    def digest(self) -> str:
        """SHA-256 of all that is loaded."""
        return find_ct_model(self.name).digest

    def load(self) -> CtModel:
        """The model, loaded once a process.

        Raises:
            InputError: As `load_ct_model`.
        """
        return _loaded(self)

    def recipe(self) -> dict[str, Any]:
        """All that decides what it draws, without paths."""
        return {
            "model_hash": self.digest,
            "device": self.device.partition(":")[0],
            "dtype": self.dtype,
            "attention": self.attention,
            "libraries": {name: metadata.version(name) for name in _LIBRARIES},
        }


@dataclass(frozen=True)
class GeneratedCts:
    """CTs from a generative model, with label maps and, where asked for, radiographs of each.

    Attributes:
        model: Which.
        settings: How it draws.
        prompts: For requests without one, in turn.
        population: Who comes where there is no prompt at all.
        population_recipe: What it is told of as.
        anatomy: Files of label maps that the CTs follow, in turn.
        job: How radiographs of each CT are taken; its patients and seed are the requests'. None: no radiographs.
        masks: Whether CTs get label maps, and radiographs projected masks.
    """

    model: CtChoice
    settings: Settings = field(default_factory=Settings)
    prompts: tuple[str, ...] = ()
    population: Population | None = None
    population_recipe: str | None = None
    anatomy: tuple[Path, ...] = ()
    job: DrrJob | None = None
    masks: bool = True
    medium: ClassVar[Medium] = "volume"
    each: ClassVar[int] = 1

    def __post_init__(self) -> None:
        if self.job is not None and (self.job.poses or self.job.raw):
            raise InputError("radiographs of generated CTs are taken once a view, without raw arrays")

    @property
    def batch(self) -> int:
        """Requests that fill a microbatch."""
        return self.settings.microbatch or (1 if self.model.device == "cpu" else _ON_GPU)

    def recipe(self) -> dict[str, Any]:
        """All that decides the samples besides the requests, as plain JSON without paths."""
        return {
            **self.model.recipe(),
            **asdict(self.settings),
            "prompts": list(self.prompts),
            "population": self.population_recipe,
            "control": self._anatomy_digests,
            "masks": self.masks,
            "radiographs": None if self.job is None else shared_recipe(self.job, OneSubject()),
        }

    def check(self, root: Path) -> None:
        """Refuses files that are not there, an output folder within the model's, and what memory is too small for.

        Raises:
            InputError: As said.
        """
        folder = find_ct_model(self.model.name).path.resolve()
        if folder in (root.resolve(), *root.resolve().parents):
            raise InputError(f"{root}: lies within the model's folder; choose another")
        self.recipe()
        self.memory()

    def memory(self) -> str:
        """The peak of memory that is expected, in words; loads the model.

        Raises:
            InputError: More than is free.
        """
        return self.model.load().memory(self.settings)

    def refuse(self, request: Request) -> None:
        """Refuses a request that no seed can satisfy.

        Raises:
            InputError: A sex, an age, a view or a finding that cannot be asked for.
        """
        try:
            self._wish(request)
        except InputError as error:
            raise InputError(f"case {request.name}: {error}") from error
        if self.job is not None:
            refuse_view(self.job, request)

    def make(self, requests: Sequence[Request], *, warn: Warn = lambda _: None) -> Iterator[Sequence[ScanSample]]:
        """The CT of each request.

        Raises:
            InputError: A request that `refuse` refuses, or something that the model cannot do.
        """
        model = self.model.load()
        wishes = [self._wish(request) for request in requests]
        maps = [_labels(self.anatomy[one.number % len(self.anatomy)]) for one in requests] if self.anatomy else None
        asked = Asked([wish.conditions for wish in wishes], [request.seed for request in requests], maps)
        for request, wish, one in zip(requests, wishes, generate(model, asked, self.settings), strict=True):
            yield [self._sample(request, wish, one, model.digest, warn)]

    def _wish(self, request: Request) -> CxrWish:
        prompt = self.prompts[request.number % len(self.prompts)] if self.prompts else ""
        wish = wish_of(replace(request, view=None), prompt, self.population, None)
        return replace(wish, conditions=replace(wish.conditions, view=None))

    def _sample(self, request: Request, wish: CxrWish, made: Generated, digest: str, warn: Warn) -> ScanSample:
        drawn, conditions = made.drawn, wish.conditions
        record = Record(
            "CT",
            conditions.sex,
            conditions.age,
            conditions.race,
            findings=wish.findings,
            prompt=wish.text,
            source="ct",
            generator=f"synth ct {synth.__version__}",
            model_hash=digest,
            seed=made.seed,
        )
        volume = Volume(drawn.hu, drawn.affine, request.name)
        maps = {"total": drawn.labels} if self.masks and drawn.labels is not None else {}
        measures = {
            f"spacing_{axis}_mm": round(float(edge), 6) for axis, edge in zip("xyz", volume.spacing, strict=True)
        }
        sample = ScanSample(request.number, volume, maps, record, measures)
        if self.job is None:
            return sample
        subject = OneSubject(subject_of_drawn(drawn, record, masks=self.masks))
        views = radiographs(self.job, subject, replace(request, number=0), warn)
        return replace(sample, views=tuple(replace(view, index=sample.index) for view in views))

    @cached_property
    def _anatomy_digests(self) -> list[str]:
        try:
            return [hashlib.sha256(path.read_bytes()).hexdigest() for path in self.anatomy]
        except OSError as error:
            raise InputError(f"{error.filename}: cannot read ({error.strerror or error})") from error


def label_files(path: Path | None) -> tuple[Path, ...]:
    """The label map at a path, or those in a folder, in order of name.

    Raises:
        InputError: There is none.
    """
    if path is None:
        return ()
    if not path.exists():
        raise InputError(f"{path}: no such file or folder")
    if path.is_file():
        return (path,)
    found = tuple(sorted(one for one in path.iterdir() if one.name.endswith(_LABEL_FILES)))
    if not found:
        raise InputError(f"{path}: no label map in it ({', '.join(_LABEL_FILES)})")
    return found


@lru_cache(maxsize=1)
def _labels(path: Path) -> Labels:
    return read_labels(path)


@lru_cache(maxsize=1)
def _loaded(choice: CtChoice) -> CtModel:
    return load_ct_model(choice.name, device=choice.device, dtype=choice.dtype, attention=choice.attention)
