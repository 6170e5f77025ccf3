"""Where the samples of a dataset come from: radiographs of CTs or phantoms, phantoms themselves, generative models."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal, Protocol

from synth.core.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

    from synth.core.record import Sample, ScanSample
    from synth.dataset.request import Request

__all__ = ["CannotMakeError", "Medium", "Source", "Warn"]

Medium = Literal["image", "volume"]
"""What the samples are: radiographs (Sample), or CTs (ScanSample)."""

Warn = Callable[[str], None]
"""Called with what a reader mended or doubts."""


class CannotMakeError(InputError):
    """A request that this seed cannot satisfy: a finding that finds no place in this body; another seed may."""


class Source(Protocol):
    """Makes samples; each is a pure function of the source and its request.

    A source pickles. What is heavy, such as a model, it loads when first asked to make something, once a process.
    """

    @property
    def medium(self) -> Medium:
        """What the samples are."""

    @property
    def each(self) -> int:
        """Samples of one request, always as many: its views, say."""

    @property
    def batch(self) -> int:
        """How many requests are best made together: 1, or what a GPU takes at once."""

    def recipe(self) -> dict[str, Any]:
        """All that decides the samples besides the requests, as plain JSON without paths."""

    def check(self, root: Path) -> None:
        """Refuses inputs that are not there, and an output folder that would lie among them.

        Raises:
            InputError: As said.
        """

    def make(
        self, requests: Sequence[Request], *, warn: Warn = lambda _: None
    ) -> Iterator[Sequence[Sample] | Sequence[ScanSample] | CannotMakeError]:
        """The samples of each request, in order, with their indices; or why this seed has none.

        Raises:
            InputError: An input that no seed can mend.
        """
