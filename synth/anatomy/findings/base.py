"""What editors of findings share: their registry, the check of a wish, and how an edit becomes a new scan.

An editor is registered under the kinds that it makes, with the labels that it needs:

    @editor("nodule", "mass", needs=(LOBES,))
    def nodule(scan: Scan, finding: Finding, generator: np.random.Generator) -> Scan: ...

`add_finding` checks a wish against synth.anatomy.vocabulary.KINDS and draws from its weights what the wish leaves open,
so an editor sees a laterality, a location, a severity and a size wherever the vocabulary has any for the kind.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from synth.anatomy.scan import Scan, Seen
from synth.anatomy.vocabulary import CHEXPERT_OF, KINDS, default_kind, locations
from synth.core.errors import InputError
from synth.core.record import Finding

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from synth.core.volume import Labels
    from synth.drr.placed import Placed

__all__ = ["EDITORS", "NEEDS", "Box", "Editor", "add_finding", "edited", "editor", "findings_possible"]

Editor: TypeAlias = Callable[[Scan, Finding, np.random.Generator], Scan]
"""Scan, wish, random numbers → a new scan with one more entry in `seen`."""

Box: TypeAlias = tuple[slice, slice, slice]
"""A part of the grid, (z, y, x); slices with start and stop."""

_EDITORS: dict[str, Editor] = {}
_NEEDS: dict[str, tuple[tuple[str, ...], ...]] = {}

EDITORS: Mapping[str, Editor] = MappingProxyType(_EDITORS)
"""Kind → what makes it. Complete once synth.anatomy.findings is imported, which importing this module does."""

NEEDS: Mapping[str, tuple[tuple[str, ...], ...]] = MappingProxyType(_NEEDS)
"""Kind → groups of label names; of each group a scan must have one."""


def editor(*kinds: str, needs: tuple[tuple[str, ...], ...] = ()) -> Callable[[Editor], Editor]:
    """Registers a function as the editor of some kinds; `needs` as in NEEDS."""

    def register(edit: Editor) -> Editor:
        _EDITORS.update(dict.fromkeys(kinds, edit))
        _NEEDS.update(dict.fromkeys(kinds, needs))
        return edit

    return register


def add_finding(scan: Scan, finding: Finding, generator: np.random.Generator) -> Scan:
    """The scan with a finding put into it.

    Args:
        scan: Any CT with labels; it is left as it is.
        finding: The wish. Without a kind, one of those that its name stands for; laterality, location, severity and
            size are drawn where None and the kind has them.
        generator: All that is random comes from here.

    Returns:
        A new scan with one more entry in `seen`, its finding complete.

    Raises:
        InputError: An unknown kind; a laterality, location, severity or size that the kind cannot have; labels that it
            needs and the scan lacks.
    """
    kind = finding.kind or default_kind(
        finding.name, generator, laterality=finding.laterality, severity=finding.severity
    )
    if kind is None or kind not in EDITORS:
        raise InputError(f"no finding {kind or finding.name!r} can be drawn; {_possible(scan)}")
    lacking = _lacking(scan, kind)
    if lacking:
        raise InputError(f"{kind}: needs {lacking}; give {scan.volume.name} a TotalSegmentator label map")
    entry = KINDS[kind]
    side = _word(kind, "laterality", finding.laterality, entry.lateralities, generator)
    places = {place: entry.locations[place] for place in locations(kind, side)}
    wish = replace(
        finding,
        kind=kind,
        name=CHEXPERT_OF[kind],
        laterality=side,
        location=_word(kind, "location", finding.location, places, generator),
        severity=_word(kind, "severity", finding.severity, entry.severities, generator),
        size_cm=_size(kind, finding.size_cm, generator),
    )
    return EDITORS[kind](scan, wish, generator)


def findings_possible(scan: Scan) -> tuple[str, ...]:
    """Kinds whose labels the scan has, in alphabetical order."""
    return tuple(sorted(kind for kind in EDITORS if not _lacking(scan, kind)))


def edited(
    scan: Scan,
    finding: Finding,
    mask: NDArray[np.bool_],
    *,
    hu: NDArray[np.floating[Any]] | None = None,
    box: Box | None = None,
    labels: Labels | None = None,
    placed: tuple[Placed, ...] = (),
) -> Scan:
    """A scan with new values and one more finding.

    Args:
        scan: The scan before.
        finding: What was put in, all fields filled.
        mask: (z, y, x) bool: the voxels that show it, of the box if there is one, else of the whole grid.
        hu: New values, of the box or the grid; None keeps the old. Rounded where the CT is of integers.
        box: The part of the grid that `hu` and `mask` cover.
        labels: The new label map, None keeps the old.
        placed: Objects that it consists of.
    """
    where = box if box is not None else (slice(None), slice(None), slice(None))
    whole = np.zeros(scan.volume.shape, np.bool_)
    whole[where] = mask
    volume = scan.volume
    if hu is not None:
        array = volume.hu.copy()
        if array.dtype == np.int16:
            array[where] = np.rint(np.clip(hu, -32768, 32767))
        else:
            array[where] = hu
        volume = replace(volume, hu=array)
    seen = (*scan.seen, Seen(finding, whole, placed))
    return replace(scan, volume=volume, labels=labels if labels is not None else scan.labels, seen=seen)


def _lacking(scan: Scan, kind: str) -> str:
    """The first group of labels that a kind needs and the scan lacks, in words; "" if there is none."""
    names = set(scan.labels.names.values())
    for group in NEEDS[kind]:
        if not names.intersection(group):
            return f"the label {group[0]}" if len(group) == 1 else f"one of the labels {', '.join(group)}"
    return ""


def _possible(scan: Scan) -> str:
    return f"possible are {', '.join(findings_possible(scan)) or 'none: give it a TotalSegmentator label map'}"


def _word(
    kind: str, what: str, wanted: str | None, weights: Mapping[str, float], generator: np.random.Generator
) -> str | None:
    """The wanted word, checked; else one of those possible, by weight. A kind without words keeps what it is given."""
    if not weights or wanted in weights:
        return wanted
    if wanted is not None:
        raise InputError(f"{kind}: {what} {wanted!r} is not possible; use one of {', '.join(weights)}")
    shares = np.array(list(weights.values()))
    return str(generator.choice(list(weights), p=shares / shares.sum()))


def _size(kind: str, wanted: float | None, generator: np.random.Generator) -> float | None:
    """The wanted size, checked; else one of the kind's range, log-uniform. A kind without keeps what it is given."""
    limits = KINDS[kind].size_cm
    if limits is None or (wanted is not None and limits[0] <= wanted <= limits[1]):
        return wanted
    if wanted is not None:
        raise InputError(f"{kind}: size_cm={wanted:g} is not possible; use {limits[0]:g} to {limits[1]:g}")
    return round(float(np.exp(generator.uniform(*np.log(limits)))), 1)
