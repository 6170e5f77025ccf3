"""The tables of a finished dataset, from what is said of its samples, however many there are.

What is said is read as often as there are tables to write, and never held.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from synth.dataset import metadata
from synth.dataset.writers import coco

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from synth.dataset.fragment import Head

    Heads = Callable[[], Iterator[tuple[int, Head]]]

__all__ = ["write_tables"]


def write_tables(
    root: Path, heads: Heads, annotations: Callable[[], Iterator[tuple[int, dict[str, Any]]]] | None
) -> dict[str, Any]:
    """Writes metadata.csv; rejected.csv where a gate ran or something could not be made; masks/annotations.json.

    Args:
        root: The dataset's folder.
        heads: Gives index and head of every place, in order, as often as it is called.
        annotations: Gives the index of an image and COCO's annotation, of every mask; None for no such file.

    Returns:
        How many "samples" there are, the "views" of all their images, how many "masks", places that stay "empty",
        and "refused" samples; zeros are left out.

    Raises:
        InputError: A table cannot be written.
    """
    columns, structures, counts = _surveyed(heads())
    rows = (said["row"] for _, head in heads() for said in _said(head))
    metadata.write_csv(root / "metadata.csv", metadata.columns(columns), rows)
    if "gate" in columns or "refused" in counts:
        refused = (row for _, head in heads() for row in head.get("rejected", ()))
        metadata.write_csv(root / "rejected.csv", metadata.REJECTED_COLUMNS, refused)
    if structures and annotations is not None:
        images = (said["image"] for _, head in heads() for said in _said(head) if "image" in said)
        coco.write_annotations(root / "masks" / "annotations.json", images, structures, annotations())
    return counts


def _surveyed(heads: Iterator[tuple[int, Head]]) -> tuple[set[str], set[str], dict[str, Any]]:
    """The columns of all rows, the names of all masks, and what there is how often."""
    columns: set[str] = set()
    structures: set[str] = set()
    views = Counter[str]()
    numbers = Counter[str]()
    for _, head in heads:
        numbers["refused"] += len(head.get("rejected", ()))
        numbers["empty"] += "row" not in head
        if "row" in head:
            for said in _said(head):
                columns.update(said["row"])
                views[said["row"]["view"]] += 1
            numbers["samples"] += 1
            structures.update(head.get("structures", ()))
            numbers["masks"] += head.get("masks", 0)
    samples = numbers.pop("samples", 0)
    counts = {key: value for key, value in numbers.items() if value}
    return columns, structures, {"samples": samples, "views": dict(views), **counts}


def _said(head: Head) -> Iterator[Head]:
    """What is said of a place's images: of the sample itself, and of the radiographs of a CT."""
    if "row" in head:
        yield head
        yield from head.get("views", ())
