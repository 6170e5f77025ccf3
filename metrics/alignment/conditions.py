"""Does a reader find in images what was asked for: finding, side, sex, age group."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np

from synth.core.errors import InputError
from synth.metrics.images import subgroups
from synth.metrics.uncertainty import share_interval

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

__all__ = ["FINDING", "SIDE", "Agreement", "ConditionReader", "agreement_table", "asked_of", "stated_conditions"]

FINDING, SIDE = "finding:", "side:"
"""Beginnings of attributes: "finding:Edema" has the values "yes" and "no", "side:Pleural Effusion" those of
`Finding.laterality`. The others are "sex", "age_group", or any column."""

_FEW = 30


@runtime_checkable
class ConditionReader(Protocol):
    """A classifier that reads attributes of images. Any object with these members can be used.

    One that has `views` besides, a tuple such as ("PA", "AP"), is asked of images of other views nothing.
    """

    @property
    def name(self) -> str:
        """What to call it."""

    @property
    def attributes(self) -> Mapping[str, tuple[str, ...]]:
        """Attribute → the values that it tells apart."""

    def read(self, images: Sequence[NDArray[Any]]) -> Mapping[str, NDArray[np.float64]]:
        """Attribute → probabilities (n, values) of images (h, w), uint8 or uint16, rows summing to 1."""


@dataclass(frozen=True)
class Agreement:
    """How often a reader finds what was asked for.

    Attributes:
        attribute: "sex", "finding:Edema", …
        asked: The value asked for; "all" for the attribute as a whole.
        n: Images that asked for it.
        agreed: Of these, read as such.
        share: agreed/n.
        low: Lower end of Wilson's 95 % interval.
        high: Its upper end.
        kappa: Cohen's κ, 0 by chance and 1 for full agreement, where `asked` is "all" and several values were asked
            for and read.
        warnings: What a reader should know.
    """

    attribute: str
    asked: str
    n: int
    agreed: int
    share: float
    low: float
    high: float
    kappa: float | None
    warnings: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


def stated_conditions(
    rows: Sequence[Mapping[str, str]], attributes: Mapping[str, Sequence[str]]
) -> list[dict[str, str | None]]:
    """What the rows of metadata.csv ask for.

    Args:
        rows: Column → cell.
        attributes: Attribute → values that are of interest; see `FINDING`. A finding that a row does not list is
            "no"; a row without any finding says nothing of findings. The side needs findings as our JSON list.

    Returns:
        For each row, attribute → value; None where it says nothing, or a value that is not of interest.

    Raises:
        InputError: No column for an attribute.
    """
    found: list[dict[str, str | None]] = [{} for _ in rows]
    for attribute, values in attributes.items():
        if attribute.startswith(SIDE):
            cells = subgroups.cells(rows, "finding")
            stated = [_side(cell, attribute.removeprefix(SIDE)) for cell in cells]
        elif attribute.startswith(FINDING):
            wanted = attribute.removeprefix(FINDING).lower()
            listed = [{one.lower() for one in row} for row in subgroups.memberships(rows, "finding")]
            stated = [None if subgroups.UNKNOWN in one else "yes" if wanted in one else "no" for one in listed]
        else:
            stated = [row[0] for row in subgroups.memberships(rows, attribute)]
        for row, value in zip(found, stated, strict=True):
            row[attribute] = value if value in values else None
    return found


def asked_of(reader: ConditionReader, rows: Sequence[Mapping[str, str]]) -> list[dict[str, str | None]]:
    """What the rows of a table state that a reader can be asked; as `stated_conditions`.

    Nothing of images whose view is stated and none of the reader's `views`, where it has any, and nothing that the
    table has no column for.

    Raises:
        InputError: The table has no column for anything that it reads.
    """
    found: list[dict[str, str | None]] = [{} for _ in rows]
    reasons = []
    for attribute, values in reader.attributes.items():
        try:
            stated = stated_conditions(rows, {attribute: values})
        except InputError as error:
            reasons.append(error)
            stated = [{attribute: None} for _ in rows]
        for row, one in zip(found, stated, strict=True):
            row.update(one)
    if reasons and len(reasons) == len(reader.attributes):
        raise reasons[0]
    views = getattr(reader, "views", ())
    return [row if _reads(views, cells) else dict.fromkeys(row) for row, cells in zip(found, rows, strict=True)]


def _reads(views: Sequence[str], row: Mapping[str, str]) -> bool:
    column = subgroups.column_named(list(row), "view")
    view = row[column].strip().upper() if column else ""
    return not views or not view or view in views


def agreement_table(
    stated: Sequence[Mapping[str, str | None]],
    read: Mapping[str, NDArray[np.float64]],
    attributes: Mapping[str, Sequence[str]],
) -> tuple[Agreement, ...]:
    """Agreement by attribute, as a whole and for each value that was asked for.

    Args:
        stated: For each image, attribute → value; see `stated_conditions`.
        read: Attribute → probabilities (n, values), from a `ConditionReader`.
        attributes: The reader's.

    Returns:
        For each attribute that some image states: "all", then the values in their order.

    Raises:
        InputError: Probabilities of another shape.
    """
    table: list[Agreement] = []
    for attribute, values in attributes.items():
        probabilities = np.asarray(read[attribute], np.float64)
        if probabilities.shape != (len(stated), len(values)) or not np.isfinite(probabilities).all():
            raise InputError(
                f"{attribute}: probabilities of shape {probabilities.shape}; "
                f"expected finite numbers ({len(stated)}, {len(values)})"
            )
        asked = [row.get(attribute) for row in stated]
        known = np.array([at for at, value in enumerate(asked) if value is not None], np.intp)
        if not len(known):
            continue
        wanted = np.array([list(values).index(str(asked[at])) for at in known])
        given = probabilities[known].argmax(1)
        table.append(_row(attribute, "all", wanted == given, _kappa(wanted, given)))
        table += [
            _row(attribute, value, (given == at)[wanted == at], None)
            for at, value in enumerate(values)
            if (wanted == at).any()
        ]
    return tuple(table)


def _row(attribute: str, asked: str, right: NDArray[np.bool_], kappa: float | None) -> Agreement:
    n, share = len(right), float(right.mean())
    low, high = share_interval(share, share * (1 - share) / n, n)
    notes = (f"only {n} images asked for it",) if n < _FEW else ()
    return Agreement(attribute, asked, n, int(right.sum()), share, low, high, kappa, notes)


def _kappa(wanted: NDArray[np.intp], given: NDArray[np.intp]) -> float | None:
    """Agreement beyond that of independent answers with the same shares (Cohen 1960)."""
    values = np.union1d(wanted, given)
    chance = float(sum((wanted == value).mean() * (given == value).mean() for value in values))
    return None if chance >= 1 else (float((wanted == given).mean()) - chance) / (1 - chance)


def _side(cell: str, finding: str) -> str | None:
    """The laterality of a finding in a cell of findings as JSON; of several of that name that of all together."""
    try:
        findings = json.loads(cell)
    except ValueError:
        return None
    if not isinstance(findings, list):
        return None
    listed = [one for one in findings if isinstance(one, dict) and str(one.get("name", "")).lower() == finding.lower()]
    sides = {str(one.get("laterality") or "") for one in listed}
    if not sides or "" in sides:
        return None
    return sides.pop() if len(sides) == 1 else "bilateral"
