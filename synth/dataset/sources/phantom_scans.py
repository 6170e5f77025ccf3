"""Phantoms as CTs with label maps: a body a request."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

from synth.dataset.source import CannotMakeError, Medium
from synth.dataset.sources.people import asked
from synth.dataset.sources.wishes import refuse_findings, refuse_person

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from synth.core.record import ScanSample
    from synth.dataset.phantom_scans import PhantomJob
    from synth.dataset.request import Request
    from synth.dataset.source import Warn

__all__ = ["PhantomScans"]


@dataclass(frozen=True)
class PhantomScans:
    """CTs of phantoms.

    Attributes:
        job: Who comes where a request leaves it open, and what kind of CT is made; number and seed are the requests'.
    """

    job: PhantomJob
    medium: ClassVar[Medium] = "volume"
    each: ClassVar[int] = 1
    batch: ClassVar[int] = 1

    def recipe(self) -> dict[str, Any]:
        """All that decides the samples besides the requests, as plain JSON."""
        return {key: value for key, value in self.job.recipe().items() if key not in ("command", "seed", "phantoms")}

    def check(self, root: Path) -> None:
        """Nothing has to be there."""

    def refuse(self, request: Request) -> None:
        """Refuses a request that no seed can satisfy; its view says nothing of a CT.

        Raises:
            InputError: A person that no phantom is, or a finding that is drawn in no body.
        """
        refuse_person(request)
        refuse_findings(request.findings or (), f"case {request.name}")

    def make(
        self, requests: Sequence[Request], *, warn: Warn = lambda _: None
    ) -> Iterator[Sequence[ScanSample] | CannotMakeError]:
        """The CT of each request's phantom, or that its findings find no place in that body."""
        for request in requests:
            one = replace(self.job, phantoms=asked(self.job.phantoms, request))
            try:
                yield [replace(one.sample(0), index=request.number)]
            except CannotMakeError as error:
                yield error
