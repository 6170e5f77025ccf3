"""Blank, clipped, framed, tiled, too noisy or too smooth images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from synth.core.errors import InputError
from synth.metrics.patients import codes
from synth.metrics.verdicts.artefact_measures import Measures, measure
from synth.metrics.verdicts.conformal import check_rate, conformal_threshold
from synth.metrics.verdicts.storage import Stored
from synth.metrics.verdicts.verdict import Verdict, above, below, undecided

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

__all__ = ["Artefacts"]

_LIMITS = ("contrast low", "saturated high", "frame high", "seam high", "noise low", "noise high")
"""A measure and the side on which it is an artefact; the stated rate is shared out among them evenly."""

_WORDS = {
    "contrast low": "blank: contrast",
    "saturated high": "clipped: share of pixels at one end of the grey values",
    "frame high": "framed: share of the image in constant borders",
    "seam high": "seam: steps across a straight line, standard deviations",
    "noise low": "too smooth: noise over contrast",
    "noise high": "too noisy: noise over contrast",
}
_BLANK = 0.02  # of the type's range: five grey values of 255, whatever the reference
_LEAST = 20


@dataclass(frozen=True)
class Artefacts(Stored):
    """Thresholds on the measures of `artefact_measures`, from real images.

    Attributes:
        limits: Measure and side → threshold; infinite where the reference is too small for the rate.
        rate: Share of fresh real images that fail at least one, at most.
        n_reference: Images fitted to.
    """

    kind: ClassVar[str] = "artefacts"

    limits: dict[str, float]
    rate: float
    n_reference: int

    @classmethod
    def fit(
        cls,
        images: Iterable[NDArray[Any]],
        *,
        rate: float = 0.03,
        patients: Sequence[str] | NDArray[np.generic] | None = None,
    ) -> Artefacts:
        """Fits to real images.

        Args:
            images: (h, w) each, uint8 or uint16; an iterator is read once.
            rate: Share of fresh real images that may be refused, by all six thresholds together.
            patients: A name an image; default: an image each.

        Raises:
            InputError: Fewer than 20 images, or images that cannot be measured.
        """
        table = np.array([measure(image) for image in images], np.float64).reshape(-1, len(Measures._fields))
        if len(table) < _LEAST:
            raise InputError(f"{len(table)} reference images: artefacts are judged by at least {_LEAST}")
        own = codes(patients, len(table), "reference")
        share = check_rate(rate) / len(_LIMITS)
        limits = {}
        for limit in _LIMITS:
            name, side = limit.split()
            sign = 1 if side == "high" else -1
            limits[limit] = sign * conformal_threshold(sign * table[:, Measures._fields.index(name)], share, own)
        return cls(limits, rate, len(table))

    def judge(self, image: NDArray[Any]) -> tuple[Verdict, ...]:
        """The verdicts on one image (h, w), one a threshold.

        Raises:
            InputError: The image cannot be measured.
        """
        found = measure(image)
        blank = found.contrast < _BLANK
        return tuple(self._one(limit, getattr(found, limit.split()[0]), blank=blank) for limit in _LIMITS)

    def _one(self, limit: str, value: float, *, blank: bool) -> Verdict:
        name, words, threshold = f"artefact {limit}", _WORDS[limit], self.limits[limit]
        if limit == "contrast low":
            threshold = max(threshold, _BLANK)
        elif blank:
            return undecided(name, "a blank image has no such artefact to measure", value)
        if not np.isfinite(threshold):
            return undecided(name, f"{self.n_reference} reference images are too few for {self.rate:.1%}", value)
        return (above if limit.endswith("high") else below)(name, value, threshold, words)
