"""The images that are there: label files read into counted rows, with a primary finding for each."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from itertools import compress
from pathlib import Path
from typing import TYPE_CHECKING

from synth.anatomy.cohort_cells import race_of
from synth.anatomy.cohort_files import LAYOUTS, OLDEST, UNCERTAIN, count_rows
from synth.anatomy.cohort_rows import Row
from synth.anatomy.reports.wording import BARE_NOUNS
from synth.anatomy.vocabulary import KINDS
from synth.core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from synth.anatomy.cohort_cells import Label
    from synth.anatomy.cohort_rows import Labels, Sides

__all__ = ["LAYOUTS", "NO_FINDING", "OTHER", "UNCERTAIN", "Reference", "makeable", "possible", "read_reference"]

NO_FINDING = "No Finding"
OTHER = "Other"
"""The primary finding of images all of whose findings have no words here (scoliosis, a goitre): counted, never made."""

_EXCLUSIVE = (frozenset({"pneumothorax", "tension pneumothorax"}),)
"""Kinds that one image is not asked to show together: the one is a degree of the other."""


@dataclass(frozen=True, eq=False)
class Reference:
    """Distinct rows of label files, each as often as it was counted.

    Attributes:
        rows: What is known of an image; races in broad groups, ages past 95 at 95.
        counts: How many images each row stands for.
        layout: Of the files.
        files: File name → SHA-256.
        left_out: Why images were left out → how many.
    """

    rows: tuple[Row, ...]
    counts: tuple[int, ...]
    layout: str
    files: Mapping[str, str]
    left_out: Mapping[str, int]

    def __len__(self) -> int:
        return sum(self.counts)

    @cached_property
    def frequency(self) -> Counter[str]:
        """Name of a finding → images that have it."""
        found: Counter[str] = Counter()
        for row, count in zip(self.rows, self.counts, strict=True):
            for name in {name for name, _ in row.labels or ()}:
                found[name] += count
        return found

    def primary(self, labels: Sequence[Label] | None) -> str | None:
        """The finding that an image stands for: the rarest of those it has that can be made.

        Returns:
            A name; NO_FINDING for none, OTHER where none can be made, None where nothing is known.
        """
        if labels is None:
            return None
        if not labels:
            return NO_FINDING
        names = [name for name, kind in labels if makeable(name, kind)]
        return min(names, key=lambda name: (self.frequency[name], name), default=OTHER)

    def kept(self, *, view: str | None, youngest: int) -> Reference:
        """Those images that may be of that view, of people who may be of at least that age.

        Raises:
            InputError: None is left.
        """
        fits = [row.view in (None, view) for row in self.rows] if view is not None else [True] * len(self.rows)
        kept = self.where(fits, f"not {view}")
        return kept.where([row.age is None or row.age >= youngest for row in kept.rows], f"younger than {youngest}")

    def where(self, mask: Sequence[bool], otherwise: str) -> Reference:
        """The rows of a mask; `otherwise` says why the others are left out.

        Raises:
            InputError: None is left.
        """
        if all(mask):
            return self
        lost = sum(count for count, fits in zip(self.counts, mask, strict=True) if not fits)
        left_out = dict(Counter(self.left_out) + Counter({otherwise: lost}))
        if not any(mask):
            why = ", ".join(f"{n} {reason}" for reason, n in left_out.items())
            raise InputError(f"{', '.join(self.files)}: no image is left to plan from ({why})")
        rows, counts = tuple(compress(self.rows, mask)), tuple(compress(self.counts, mask))
        return replace(self, rows=rows, counts=counts, left_out=left_out)


def read_reference(
    paths: Path | str | Sequence[Path | str], preset: str = "auto", *, uncertain: str = "ignore"
) -> Reference:
    """Reads label files.

    Args:
        paths: One or several; see `synth.anatomy.cohort_files.count_rows`.
        preset: One of LAYOUTS; "auto" tells them apart by their columns.
        uncertain: What CheXpert's −1 means: "ignore" it (not there), "positive", or "drop": then nothing is known.

    Returns:
        The reference. Rows whose findings contradict each other count as of unknown findings.

    Raises:
        InputError: A file that cannot be read, lacks its columns or holds no row, or an unknown option.
    """
    given = [Path(path) for path in ([paths] if isinstance(paths, str | Path) else paths)]
    counted, layout = count_rows(given, preset, uncertain)
    tidy: Counter[Row] = Counter()
    for row, count in counted.items():
        age = None if row.age is None else min(row.age, OLDEST)
        labels, sides = _settled(row.labels, row.sides)
        tidy[Row(row.sex, age, race_of(row.race) or "", row.view, labels, sides)] += count
    digests = {path.name: _digest(path) for path in given}
    return Reference(tuple(tidy), tuple(tidy.values()), layout, digests, {})


def makeable(name: str, kind: str | None) -> bool:
    """Whether a finding can be asked for: its kind can be drawn and has that name, or its name alone has words."""
    return name in BARE_NOUNS if kind is None else kind in KINDS and KINDS[kind].name == name


def possible(labels: Sequence[Label]) -> bool:
    """Whether findings may be seen together: nothing goes with NO_FINDING, and no two exclude each other."""
    kinds = {kind for _, kind in labels}
    alone = len(labels) == 1 or all(name != NO_FINDING for name, _ in labels)
    return alone and not any(exclusive <= kinds for exclusive in _EXCLUSIVE)


@lru_cache(65536)
def _settled(labels: Labels, sides: Sides) -> tuple[Labels, Sides]:
    """Labels that may be asked for as they stand: none that contradict, repeat each other or have a kind of elsewhere.

    COVID-19 is read as a pneumonia drawn as ground glass, which a report calls an opacity: here the name counts.
    """
    if labels is None or not possible(labels):
        return None, ()
    own = [(name, kind if kind and kind in KINDS and KINDS[kind].name == name else None) for name, kind in labels]
    told = {name for name, kind in own if kind is not None}
    kept = dict(zip(own, sides or (None,) * len(own), strict=True))
    kept = {label: side for label, side in kept.items() if label[1] is not None or label[0] not in told}
    return tuple(kept), tuple(kept.values()) if any(kept.values()) else ()


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
