"""Rows of label files that tell all of an image in one place: CheXpert, NIH ChestX-ray14, PadChest, ours, and plain."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from synth.anatomy.cohort_cells import Label, age_of, labels_of, listed_findings, quoted, sex_of, sided_labels, view_of
from synth.anatomy.cohort_tables import AGE, FINDING, RACE, SEX, VIEW
from synth.core.record import CHEXPERT_FINDINGS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from synth.anatomy.cohort_tables import Table

__all__ = ["UNCERTAIN", "Labels", "Row", "Sides", "image_rows", "known_age", "label_reader", "padchest_rows", "year_of"]

UNCERTAIN = ("ignore", "positive", "drop")
"""What a label of −1 means: not there, there, or that nothing is known of its row."""

Labels = tuple[Label, ...] | None
"""Findings of an image; () for none, None where nothing is known."""

Sides = tuple[str | None, ...]
"""The side of each; () where the file says none."""


class Row(NamedTuple):
    """What a label file says of one image; what is unknown is None or empty.

    Attributes:
        sex: "F" or "M".
        age: Years.
        race: As the file has it.
        view: "PA", "AP" or "LATERAL".
        labels: Its findings; () for none.
        sides: The side of each; () where the file says none.
    """

    sex: str | None
    age: float | None
    race: str
    view: str | None
    labels: Labels
    sides: Sides = ()


def image_rows(table: Table, uncertain: str, *, strict: bool) -> Iterator[Row]:
    """One row an image; `uncertain` and `strict` as in `label_reader`."""
    findings = label_reader(table, uncertain, strict=strict)
    sexes, ages, races, views = (table.places(*keys) for keys in (SEX, AGE, RACE, VIEW))
    for row in table.rows():
        sex = sex_of(row[sexes[0]]) if sexes else None
        age = age_of(row[ages[0]]) if ages else None
        race = row[races[0]].strip() if races else ""
        yield Row(sex, known_age(age, sex), race, _first_view(row, views), *findings(row))


def padchest_rows(table: Table) -> Iterator[Row]:
    """PadChest: years of birth and of study, lists of labels; images marked for exclusion are left out."""
    sexes, birth, study, ages, views, labels, places = (
        table.places(*keys)
        for keys in (
            SEX,
            ("patientbirth",),
            ("studydatedicom", "studydate"),
            AGE,
            ("projection", "viewpositiondicom"),
            ("labels",),
            ("labelslocalizationsbysentence",),
        )
    )
    seen: dict[tuple[str, str], tuple[Labels, Sides]] = {}
    for row in table.rows():
        told = (row[labels[0]], row[places[0]] if places else "")
        if any(row[place].strip().upper() == "EXCLUDE" for place in views) or "exclude" in quoted(told[0]):
            continue
        if told not in seen:
            seen[told] = _padchest_labels(*told)
        age = age_of(row[ages[0]]) if ages else None
        if age is None and birth and study:
            born, taken = year_of(row[birth[0]]), year_of(row[study[0]])
            age = None if born is None or taken is None or not 0 <= taken - born <= 120 else float(taken - born)
        yield Row(sex_of(row[sexes[0]]) if sexes else None, age, "", _first_view(row, views), *seen[told])


def label_reader(table: Table, uncertain: str, *, strict: bool) -> Callable[[Sequence[str]], tuple[Labels, Sides]]:
    """What reads the findings of a row and their sides; equal cells are read once.

    Args:
        table: Of label columns, of a column of findings, or of neither: then nothing is known.
        uncertain: One of UNCERTAIN.
        strict: Whether label columns say "No Finding" only by that mark, rather than by the absence of all others:
            of a row whose labels are all blank or uncertain nothing is known.
    """
    columns = table.label_places() if table.has_labels() else {}
    places = list(columns.values()) or table.places(*FINDING)[:1]
    names, source = list(columns), table.places("source") if _is_ours(table) else []
    seen: dict[tuple[str, ...], tuple[Labels, Sides]] = {}

    def read(row: Sequence[str]) -> tuple[Labels, Sides]:
        cells = tuple([row[place] for place in (*places, *source)])
        if cells not in seen:
            seen[cells] = (_marked(names, cells, uncertain, strict), ()) if names else _listed(cells, bool(source))
        return seen[cells]

    return read


def known_age(age: float | None, sex: str | None) -> float | None:
    """CheXpert writes the age 0 where it knows neither age nor sex."""
    return None if age == 0 and sex is None else age


def year_of(cell: str) -> int | None:
    """The year of "20140915", "2014-09-15" or "2014.0"."""
    return int(cell[:4]) if cell[:4].isdigit() else None


def _marked(names: Sequence[str], cells: Sequence[str], uncertain: str, strict: bool) -> Labels:
    """The names whose cells are 1 (or −1); blank is not mentioned, hence not there."""
    marks = {name: cell.strip().partition(".")[0] for name, cell in zip(names, cells, strict=True)}
    healthy = marks.pop("No Finding", None)
    if uncertain == "drop" and "-1" in marks.values():
        return None
    there = ("1", "-1") if uncertain == "positive" else ("1",)
    found = tuple((name, None) for name in CHEXPERT_FINDINGS if marks.get(name) in there)
    return None if strict and not found and healthy not in ("1", None) else found


def _listed(cells: Sequence[str], ours: bool) -> tuple[Labels, Sides]:
    """Findings of one cell; in our own tables, where findings are complete but for those of real CTs, empty is none."""
    if not cells:
        return None, ()
    if ours and not cells[0].strip():
        return (None if cells[1].startswith("ct:") else ()), ()
    listed = listed_findings(cells[0]) if cells[0].startswith("[") else None
    if listed is not None:
        return tuple(listed), _sides(listed.values())
    return labels_of(cells[0]), ()


def _padchest_labels(labels: str, places: str) -> tuple[Labels, Sides]:
    found = labels_of(labels)
    if not found:
        return found, ()
    sides = sided_labels(places)
    return found, _sides([sides.get(label) for label in found])


def _sides(sides: Iterable[str | None]) -> Sides:
    known = tuple(sides)
    return known if any(known) else ()


def _first_view(row: Sequence[str], places: Sequence[int]) -> str | None:
    return next((view for place in places if (view := view_of(row[place])) is not None), None)


def _is_ours(table: Table) -> bool:
    return {"filename", "findings", "generator", "modelhash", "source"} <= table.columns.keys()
