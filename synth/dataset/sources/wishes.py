"""Wishes that no seed can grant, told before anything is made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from synth.anatomy.reports import parse
from synth.anatomy.vocabulary import KINDS, kinds_of, locations
from synth.core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from synth.core.record import Finding
    from synth.dataset.request import Request

__all__ = ["drawable", "findings_in_words", "refuse_findings", "refuse_person"]

_NOTHING = "No Finding"
_SEXES = ("F", "M")
_AGES = (18, 95)


def drawable(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """The findings without CheXpert's word for there being none."""
    return tuple(finding for finding in findings if finding.name != _NOTHING)


def findings_in_words(text: str) -> tuple[Finding, ...]:
    """Findings from a report's words; none for "none".

    Raises:
        InputError: No finding is read.
    """
    if text.strip().lower() == "none":
        return ()
    found = drawable(parse(text).findings)
    if not found:
        raise InputError(f"no finding was read in {text!r}; use none, or words such as {', '.join(KINDS)}")
    return found


def refuse_person(request: Request) -> None:
    """Refuses a request for a person whom no phantom is.

    Raises:
        InputError: Its sex or age.
    """
    if request.sex is not None and request.sex not in _SEXES:
        raise InputError(f"case {request.name}: sex must be F or M, got {request.sex!r}")
    if request.age is not None and not _AGES[0] <= request.age <= _AGES[1]:
        raise InputError(f"case {request.name}: age must be {_AGES[0]} to {_AGES[1]} years, got {request.age:g}")


def refuse_findings(findings: Iterable[Finding], where: str) -> None:
    """Refuses findings that are drawn in no body.

    Args:
        findings: The findings.
        where: Who asks for them, in messages.

    Raises:
        InputError: A name, a kind, or what is said of one.
    """
    for finding in drawable(findings):
        kinds = (finding.kind,) if finding.kind else kinds_of(finding.name)
        if not kinds or kinds[0] not in KINDS:
            known = ", ".join(sorted({entry.name for entry in KINDS.values()}))
            what = finding.kind or finding.name
            raise InputError(f"{where}: no finding {what!r} can be drawn; possible are {known}")
        faults = [next(_faults(kind, finding), "") for kind in kinds]
        if all(faults):
            raise InputError(f"{where}: {kinds[0]}: {faults[0]}")


def _faults(kind: str, finding: Finding) -> Iterator[str]:
    """What is said of a finding and cannot be of its kind; a kind without words takes any."""
    entry = KINDS[kind]
    for what, words in (
        ("laterality", tuple(entry.lateralities)),
        ("location", locations(kind, finding.laterality)),
        ("severity", tuple(entry.severities)),
    ):
        said = getattr(finding, what)
        if words and said is not None and said not in words:
            yield f"{what} {said!r} is not possible; use one of {', '.join(words)}"
    limits, size = entry.size_cm, finding.size_cm
    if limits is not None and size is not None and not limits[0] <= size <= limits[1]:
        yield f"size_cm={size:g} is not possible; use {limits[0]:g} to {limits[1]:g}"
