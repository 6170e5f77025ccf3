"""Two patient-disjoint halves of real radiographs, and other people to put in the place of some."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from synth.core.errors import InputError
from synth.core.seeds import sample_generator
from synth.metrics.images.tables import read_table, table_paths

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    Pictures = NDArray[np.uint8]
    Row = dict[str, str]

__all__ = ["SIDE", "People", "read_people"]

SIDE = 192  # pixels, all pictures are square
ADULT = 18  # years
COLUMNS = ("patient_id", "sex", "age", "source")


@dataclass(frozen=True, eq=False)
class People:
    """Pictures (n, SIDE, SIDE), 8 bits; no patient of the reference is in any other set.

    Attributes:
        source: The collection that both halves are of.
        reference: Adults, one picture each: half A.
        generated: As many others, one picture each: half B, of which the copies are made.
        women: (k,) positions of women in `generated`.
        men: Further pictures of men of the same collection.
        children: Of the same collection.
        elsewhere: Adults of other collections.
    """

    source: str
    reference: Pictures
    generated: Pictures
    women: NDArray[np.intp]
    men: Pictures
    children: Pictures
    elsewhere: Pictures


def read_people(folder: Path, n: int, seed: int) -> People:
    """Draws both halves from the collection with the most adults; patients of unknown age count as adults.

    Args:
        folder: With a metadata.csv that has file_name, patient_id, sex, age and source.
        n: Patients of a half.
        seed: Of the draw.

    Raises:
        InputError: No such table, a column is missing, or there are fewer than 2n adults.
    """
    rows = _rows(folder / "metadata.csv")
    rng = sample_generator(seed, "halves")
    adults = [row for row in rows if not _is_child(row)]
    patients = _by_source(adults)
    home = max(sorted(patients), key=lambda source: len(patients[source]))
    names = sorted(patients[home])
    if len(names) < 2 * n:
        raise InputError(f"{folder}: {len(names)} adults in {home}; two halves of {n} need {2 * n}")
    names = [names[k] for k in rng.permutation(len(names))]
    halves = [[patients[home][name][0] for name in some] for some in (names[:n], names[n : 2 * n])]
    taken, used = set(names[:n]), {row["path"] for row in halves[1]}
    free = [row for row in rows if row["patient_id"] not in taken and row["path"] not in used]
    men = [row for row in free if row["source"] == home and row["sex"] == "M" and not _is_child(row)]
    children = [row for row in free if row["source"] == home and _is_child(row)]
    elsewhere = [row for row in free if row["source"] != home and not _is_child(row)]
    women = np.flatnonzero([row["sex"] == "F" for row in halves[1]])
    reference, generated = map(_pictures, halves)
    pools = [_pictures(_all_patients_first(some, rng)) for some in (men, children, elsewhere)]
    return People(home, reference, generated, women, *pools)


def _rows(table: Path) -> list[Row]:
    rows = read_table(table)
    missing = [name for name in COLUMNS if name not in rows[0]]
    if missing:
        raise InputError(f"{table}: no column {', '.join(missing)}; it has {', '.join(rows[0])}")
    return [row | {"path": str(path)} for row, (_, path) in zip(rows, table_paths(table, rows), strict=True)]


def _is_child(row: Row) -> bool:
    return bool(row["age"]) and float(row["age"]) < ADULT


def _by_source(rows: Iterable[Row]) -> dict[str, dict[str, list[Row]]]:
    """Source → patient → rows."""
    found: defaultdict[str, defaultdict[str, list[Row]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        found[row["source"]][row["patient_id"]].append(row)
    return {source: dict(patients) for source, patients in found.items()}


def _all_patients_first(rows: Sequence[Row], rng: np.random.Generator) -> list[Row]:
    """In random order, but second pictures of a patient come after the first ones of all."""
    seen: defaultdict[str, int] = defaultdict(int)
    ranked: list[tuple[int, int, int]] = []
    for k in rng.permutation(len(rows)).tolist():
        patient = rows[k]["patient_id"]
        ranked.append((seen[patient], len(ranked), k))
        seen[patient] += 1
    return [rows[k] for _, _, k in sorted(ranked)]


def _pictures(rows: Sequence[Row]) -> Pictures:
    return np.stack([_square(row["path"]) for row in rows]) if rows else np.empty((0, SIDE, SIDE), np.uint8)


def _square(path: str) -> NDArray[Any]:
    """The middle square of a picture, at 8 bits."""
    with Image.open(path) as opened:
        image = opened.convert("L")
    side = min(image.size)
    left, top = ((length - side) // 2 for length in image.size)
    return np.asarray(image.crop((left, top, left + side, top + side)).resize((SIDE, SIDE), Image.Resampling.LANCZOS))
