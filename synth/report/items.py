"""The samples that the contact sheet shows: which, and what its script gets to know of each."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from synth.report.gallery import key_of, pictures_of
from synth.report.groups import COLUMNS, UNKNOWN, findings_of, groups_of, objects_in, survey
from synth.report.pictures import encoded
from synth.report.sampling import choose

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from synth.report.contents import Contents, Row
    from synth.report.groups import Survey
    from synth.report.pictures import Picture

__all__ = ["REJECTED", "Item", "in_words", "items_of"]

Item = dict[str, Any]
"""A sample as the script reads it: its picture, outlines, groups and words."""

REJECTED = "rejected"
"""The gate's outcome, on the page, of what it refused."""

_MOST = {"image": 240, "volume": 24}
_MOST_REJECTED = {"image": 48, "volume": 6}
_PICTURES = 4_400_000  # characters of all pictures
_OUTLINES = 1_600_000  # characters of all outlines
_TEXT = 3000  # characters of a report
_VERDICTS = 12
_FACTS = {
    "source": "source", "generator": "generator", "model_hash": "model", "height_cm": "height, cm",
    "weight_kg": "weight, kg", "kvp": "tube potential, kV", "case": "case", "attempt": "attempt", "seed": "seed",
}  # fmt: skip


def items_of(contents: Contents, accepted: Survey) -> list[Item]:
    """The samples to show: of the dataset, then of what its gate refused and kept.

    Args:
        contents: The dataset; its tables are read once more.
        accepted: Of metadata.csv.

    Raises:
        InputError: A file is missing or damaged.
    """
    # CTs take seconds to read and radiographs milliseconds.
    medium = "volume" if "CT" in accepted.totals["view"] else "image"
    rows = _take(contents.rows(), choose(accepted, _MOST[medium]))
    kept = survey(_kept(contents))
    refused = _take(_kept(contents), choose(kept, _MOST_REJECTED[medium]))
    rows += [row | {"gate": REJECTED} for row in refused]
    pictures = pictures_of(contents.root, rows)
    images = encoded(pictures, _PICTURES)
    drawn = _affordable(pictures)
    return [_item(row, picture, image, drawn) for row, picture, image in zip(rows, pictures, images, strict=True)]


def in_words(finding: dict[str, Any]) -> str:
    """A finding of the table: "Edema: bilateral, moderate, interstitial edema, 28.4 cm"."""
    words = [str(finding[key]) for key in ("laterality", "severity", "location", "kind") if finding.get(key)]
    words += [f"{finding['size_cm']} cm"] if finding.get("size_cm") is not None else []
    name = str(finding.get("name", UNKNOWN))
    return f"{name}: {', '.join(words)}" if words else name


def _kept(contents: Contents) -> Iterator[Row]:
    """What was refused and kept; its checks stand for its gate, so that each check has its share of what is shown."""
    return (row | {"gate": row["checks"]} for row in contents.rejected() if row.get("file_name"))


def _take(rows: Iterable[Row], numbers: Sequence[int]) -> list[Row]:
    wanted = set(numbers)
    return [row for number, row in enumerate(rows) if number in wanted]


def _affordable(pictures: Sequence[Picture]) -> set[int]:
    """The groups of structures whose outlines all pictures can have, the legend's first ones first."""
    sizes: Counter[int] = Counter()
    for picture in pictures:
        for one in picture.outlines:
            sizes[one.group] += len(one.path)
    found, total = set(), 0
    for group in sorted(sizes):
        total += sizes[group]
        if total <= _OUTLINES:
            found.add(group)
    return found


def _item(row: Row, picture: Picture, image: str, drawn: set[int]) -> Item:
    high, wide = picture.pixels.shape
    groups = {column: list(names) for column, names in zip(COLUMNS, groups_of(row), strict=True)}
    return {
        "key": key_of(row),
        "title": row["file_name"],
        "caption": _caption(row, groups),
        "groups": groups,
        "size": [wide, high],
        "image": image,
        "grid": list(picture.grid[::-1]),
        "outlines": [list(one) for one in picture.outlines if one.group in drawn],
        "facts": [[name, row[column][:200]] for column, name in _FACTS.items() if row.get(column)],
        "report": _cut(row.get("report", "")),
        "prompt": _cut(row.get("prompt", "")),
        "findings": [in_words(one) for one in findings_of(row)],
        "verdicts": [
            [str(one.get(key, ""))[:400] for key in ("name", "outcome", "reason")]
            for one in objects_in(row.get("verdicts", ""))[:_VERDICTS]
        ],
        "checks": row.get("checks", "").split(" | ") if row.get("checks") else [],
    }


def _caption(row: Row, groups: dict[str, list[str]]) -> str:
    sex = "" if groups["sex"] == [UNKNOWN] else groups["sex"][0]
    person = " ".join(part for part in (sex, row.get("age", "")) if part)
    said = [row.get("view", ""), person, row.get("race", ""), ", ".join(groups["finding"])]
    said += [REJECTED] if groups["gate"] == [REJECTED] else []
    return " · ".join(part for part in said if part)


def _cut(text: str) -> str:
    return text if len(text) <= _TEXT else f"{text[:_TEXT]} …"
