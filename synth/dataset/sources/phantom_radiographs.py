"""Radiographs of phantoms: a body a request, with the findings that it asks for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from synth.dataset.source import CannotMakeError, Medium
from synth.dataset.sources.people import asked
from synth.dataset.sources.radiographs import radiographs, refuse_view, shared_recipe
from synth.dataset.sources.wishes import refuse_findings, refuse_person

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from synth.core.record import Sample
    from synth.dataset.patients.phantoms import Phantoms
    from synth.dataset.radiographs.job import DrrJob
    from synth.dataset.request import Request
    from synth.dataset.source import Warn

__all__ = ["PhantomRadiographs"]


@dataclass(frozen=True)
class PhantomRadiographs:
    """Radiographs of phantoms.

    Attributes:
        phantoms: Who comes where a request leaves it open; their number and seed are the requests'.
        job: How they are taken; its patients and seed are the requests'.
    """

    phantoms: Phantoms
    job: DrrJob
    medium: ClassVar[Medium] = "image"
    batch: ClassVar[int] = 1

    @property
    def each(self) -> int:
        """Radiographs of one patient."""
        return self.job.samples_each

    def recipe(self) -> dict[str, Any]:
        """All that decides the samples besides the requests, as plain JSON."""
        return shared_recipe(self.job, self.phantoms)

    def check(self, root: Path) -> None:
        """Nothing has to be there."""

    def refuse(self, request: Request) -> None:
        """Refuses a request that no seed can satisfy.

        Raises:
            InputError: A person that no phantom is, a finding that is drawn in no body, or a view.
        """
        refuse_person(request)
        refuse_findings(request.findings or (), f"case {request.name}")
        refuse_view(self.job, request)

    def make(
        self, requests: Sequence[Request], *, warn: Warn = lambda _: None
    ) -> Iterator[Sequence[Sample] | CannotMakeError]:
        """The radiographs of each request's phantom, or that its findings find no place in that body.

        Raises:
            InputError: A view that cannot be taken of it.
        """
        for request in requests:
            try:
                yield radiographs(self.job, asked(self.phantoms, request), request, warn)
            except CannotMakeError as error:
                yield error
