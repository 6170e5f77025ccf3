"""Radiographs of CTs: a request takes one of them, by its number or by who is asked for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar

from synth.core.errors import InputError
from synth.core.seeds import sample_generator
from synth.dataset.source import CannotMakeError, Medium
from synth.dataset.sources.radiographs import radiographs, refuse_view, shared_recipe
from synth.dataset.sources.wishes import drawable, refuse_findings

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from synth.core.record import Sample
    from synth.core.volume import Labels, Volume
    from synth.dataset.patients.ct_files import CtFiles
    from synth.dataset.patients.subject import Subject
    from synth.dataset.radiographs.job import DrrJob
    from synth.dataset.request import Request
    from synth.dataset.source import Warn
    from synth.dataset.sources.ct_table import Person

__all__ = ["CtRadiographs"]

_KEPT = 2  # CTs in memory, for attempts at one case and for datasets of one or two CTs


@dataclass(frozen=True)
class CtRadiographs:
    """Radiographs of CTs in files.

    Attributes:
        files: The CTs; their findings are put in where a request asks for none of its own, their seed is the requests'.
        job: How radiographs are taken; its patients and seed are the requests'.
        people: Whom each CT is of; none: unknown.
        age_within: Years by which a CT's patient may be off the age asked for.
    """

    files: CtFiles
    job: DrrJob
    people: tuple[Person, ...] = ()
    age_within: float = 5.0
    medium: ClassVar[Medium] = "image"
    batch: ClassVar[int] = 1

    @property
    def each(self) -> int:
        """Radiographs of one request."""
        return self.job.samples_each

    def recipe(self) -> dict[str, Any]:
        """All that decides the samples besides the requests, as plain JSON without paths or names of files."""
        plain = shared_recipe(self.job, self.files)
        if not self.people:
            return plain
        cases = [case | vars(person) for case, person in zip(plain["cases"], self.people, strict=True)]
        return plain | {"cases": cases, "age_within": self.age_within}

    def check(self, root: Path) -> None:
        """Refuses files that are not there, and an output folder within a CT's."""
        self.files.check(root)

    def refuse(self, request: Request) -> None:
        """Refuses a request that no seed can satisfy.

        Raises:
            InputError: Nobody's CT fits it, a finding is drawn in no body or needs label maps, or a view.
        """
        self._fitting(request)
        refuse_findings(request.findings or (), f"case {request.name}")
        if drawable(request.findings or ()) and not self.files.labels:
            raise InputError(f"case {request.name}: findings are put where label maps show the organs; give labels")
        refuse_view(self.job, request)

    def make(
        self, requests: Sequence[Request], *, warn: Warn = lambda _: None
    ) -> Iterator[Sequence[Sample] | CannotMakeError]:
        """The radiographs of each request's CT, or that its findings find no place in that body.

        Raises:
            InputError: A file that cannot be used, or a request that `refuse` refuses.
        """
        for request in requests:
            chosen = _Chosen(self, self._choice(request), request)
            try:
                yield radiographs(self.job, chosen, request, warn)
            except CannotMakeError as error:
                yield error

    def _choice(self, request: Request) -> int:
        """Which CT a request takes."""
        fitting = self._fitting(request)
        if len(fitting) == len(self.files.cts):
            return request.number % len(fitting)
        return fitting[int(sample_generator(request.seed, "ct").integers(len(fitting)))]

    def _fitting(self, request: Request) -> Sequence[int]:
        """The CTs of whom a request asks for."""
        wishes = {key: getattr(request, key) for key in ("sex", "age", "race")}
        asked = {key: value for key, value in wishes.items() if value is not None}
        said = ", ".join(f"{key} {value:g}" if key == "age" else f"{key} {value}" for key, value in asked.items())
        if not said:
            return range(len(self.files.cts))
        if not self.people:
            raise InputError(f"case {request.name}: asks for {said}; give a table that says whom each CT is of")
        found = [number for number, person in enumerate(self.people) if person.fits(**wishes, within=self.age_within)]
        if not found:
            raise InputError(f"case {request.name}: no CT is of a patient of {said} (age ±{self.age_within:g} years)")
        return found


@dataclass(frozen=True)
class _Chosen:
    """The one patient of a request, as a radiograph job sees it."""

    source: CtRadiographs
    number: int
    request: Request

    @property
    def names(self) -> list[str]:
        return [self.source.files.names[self.number]]

    def recipe(self) -> dict[str, Any]:
        return self.source.recipe()

    def check(self, root: Path) -> None:
        self.source.check(root)

    def posture(self, view: str) -> str:
        return self.source.files.posture(view)

    def read(self, number: int, posture: str) -> Subject:
        files = replace(self.source.files, seed=self.request.seed)
        if self.request.findings is not None:
            files = replace(files, findings=drawable(self.request.findings))
        loaded = _loaded(
            replace(files, findings=(), seed=0), self.number, files.masks != "none" or bool(files.findings)
        )
        try:
            subject = files.subject(self.number, *loaded)
        except InputError as error:
            raise (CannotMakeError(str(error)) if files.findings else error) from error
        return replace(subject, record=replace(subject.record, **self._person()))

    def _person(self) -> dict[str, Any]:
        return vars(self.source.people[self.number]) if self.source.people else {}


@lru_cache(maxsize=_KEPT)
def _loaded(files: CtFiles, number: int, labelled: bool) -> tuple[Volume, tuple[Labels, ...]]:
    return files.load(number, labelled=labelled)
