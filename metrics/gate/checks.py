"""The checks of single images that a gate makes, and those of them that compare content alone."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from synth.core.errors import InputError
from synth.metrics.gate import fitted as fitted_checks
from synth.metrics.gate.result import ImageVerdict
from synth.metrics.gate.volumes import volumes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from synth.metrics.alignment.conditions import ConditionReader
    from synth.metrics.gate.rules import SampleRules
    from synth.metrics.images.sets import ImageSet
    from synth.metrics.images.survey import Survey
    from synth.metrics.scoring.features import PairedFeatures

    Check = Callable[["Subjects"], Iterable[ImageVerdict]]

__all__ = ["CHECKS", "Subjects", "check_images"]


@dataclass(frozen=True, eq=False)
class Subjects:
    """What checks look at.

    Attributes:
        reference: The real set.
        generated: The set to judge.
        pair: Features of both, of the images that have all of them.
        rules: What to refuse.
        structures: Structure → both sets with the masks of that structure alone.
        training: Features of the images the generator was trained on, and of the generated ones.
        reader: Reads conditions in images.
    """

    reference: ImageSet
    generated: ImageSet
    pair: PairedFeatures
    rules: SampleRules
    structures: Mapping[str, tuple[ImageSet, ImageSet]] = field(default_factory=dict)
    training: PairedFeatures | None = None
    reader: ConditionReader | None = None

    @property
    def readable(self) -> tuple[str, ...]:
        """Names of the generated images that could be read, in order."""
        return _readable(self.generated, self.pair.surveys[1])

    @property
    def digests(self) -> tuple[tuple[str, str], ...]:
        """Name and content hash of each of them."""
        return tuple(zip(self.readable, self.pair.surveys[1].digests, strict=True))

    @property
    def flat(self) -> bool:
        """Whether the images are 2D."""
        return all(len(shape) == 2 for shape in self.pair.surveys[1].shapes)


def check_images(subjects: Subjects) -> tuple[dict[str, int], tuple[ImageVerdict, ...], tuple[str, ...]]:
    """Makes all checks that the rules ask for and that the sets allow.

    Returns:
        Check → images it judged; the verdicts that are not "pass"; and why checks could not be made.
    """
    judged: dict[str, int] = {}
    found: list[ImageVerdict] = []
    notes: list[str] = []
    for name, check in CHECKS.items():
        if not getattr(subjects.rules, name):
            continue
        try:
            verdicts = list(check(subjects))
        except InputError as error:
            notes.append(f"{name} not judged: {error}")
            continue
        if verdicts:
            judged[name] = len({verdict.image for verdict in verdicts})
            found += [verdict for verdict in verdicts if verdict.outcome != "pass"]
    return judged, tuple(found), tuple(notes)


def _readable(images: ImageSet, survey: Survey) -> tuple[str, ...]:
    skipped = {name for name, _ in survey.skipped}
    return tuple(name for name in images.names if name not in skipped)


def _verdict(image: str, check: str, reason: str) -> ImageVerdict:
    return ImageVerdict(image, check, None, None, "fail" if reason else "pass", reason)


def _unreadable(subjects: Subjects) -> Iterator[ImageVerdict]:
    reasons = dict(subjects.pair.surveys[1].skipped)
    for name in subjects.generated.names:
        yield _verdict(name, "unreadable", reasons.get(name, ""))


def _undefined(subjects: Subjects) -> Iterator[ImageVerdict]:
    whole = set(subjects.pair.generated.names)
    for name in subjects.readable:
        reason = "" if name in whole else "its features are undefined: a mask that is empty or too small"
        yield _verdict(name, "undefined", reason)


def _repeats(subjects: Subjects) -> Iterator[ImageVerdict]:
    first: dict[str, str] = {}
    for name, digest in subjects.digests:
        earlier = first.setdefault(digest, name)
        yield _verdict(name, "repeats", "" if earlier == name else f"repeats {earlier} pixel by pixel")


def _copies(subjects: Subjects) -> Iterator[ImageVerdict]:
    known = _origins(subjects.reference, subjects.pair.surveys[0], "reference")
    if subjects.training is not None:
        survey = subjects.training.surveys[0]
        known |= _origins(subjects.training.reference, survey, "training set")
    for name, digest in subjects.digests:
        yield _verdict(name, "copies", f"is {known[digest]}, pixel by pixel" if digest in known else "")
    yield from fitted_checks.near_copies(subjects)


def _origins(images: ImageSet, survey: Survey, what: str) -> dict[str, str]:
    names = _readable(images, survey)
    if len(names) != len(survey.digests):  # of images left out for undefined features the names are not known
        return dict.fromkeys(survey.digests, f"one of the {what}")
    return {digest: f"{name} of the {what}" for digest, name in zip(survey.digests, names, strict=True)}


CHECKS: Mapping[str, Check] = {
    "unreadable": _unreadable,
    "undefined": _undefined,
    "repeats": _repeats,
    "copies": _copies,
    "artefacts": fitted_checks.artefacts,
    "outlier": fitted_checks.outlier,
    "anatomy": fitted_checks.anatomy,
    "organs": fitted_checks.organs,
    "condition": fitted_checks.condition,
    "volume": volumes,
}
"""Name, as a field of `SampleRules` → check; each gives at least one verdict for every image it can judge."""
