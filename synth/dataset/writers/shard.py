"""A sample as shards hold it: its files, its row of the table with types, its masks."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Literal

from synth.core.errors import InputError
from synth.core.record import Record

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Entry", "Kind", "StoredFiles", "in_order", "kind_of", "objects_of", "typed_row"]

Kind = Literal["text", "integer", "number", "findings", "verdicts"]
"""What a column of the table holds; "findings" and "verdicts" are lists of objects, as JSON."""

# Everything else is a measure: the geometry and the measures of samples are numbers by type.
_KINDS: Mapping[str, Kind] = {
    **{field.name: "text" for field in fields(Record) if str(field.type).startswith("str")},
    **dict.fromkeys(("file_name", "case", "gate", "shard"), "text"),
    "seed": "integer",
    "attempt": "integer",
    "findings": "findings",
    "verdicts": "verdicts",
}


@dataclass(frozen=True)
class Entry:
    """One sample of a shard.

    Attributes:
        key: The sample's number in eight digits, "00000042".
        files: Suffix → content: "png" or "dcm", "npz"; of CTs "nii.gz" and, for every label map, "total.nii.gz".
        row: Its cells of metadata.csv.
        annotations: What `synth.dataset.writers.coco.encode_masks` returned for its masks.
    """

    key: str
    files: Mapping[str, bytes]
    row: Mapping[str, str]
    annotations: Sequence[Mapping[str, Any]] = ()


class StoredFiles(Mapping[str, bytes]):
    """Files of an entry that are read when they are asked for: a shard of CTs need not fit into memory."""

    def __init__(self, paths: Mapping[str, Path]) -> None:
        """Keeps the paths; suffix → file."""
        self._paths = dict(paths)

    def __getitem__(self, suffix: str) -> bytes:
        path = self._paths[suffix]
        try:
            return path.read_bytes()
        except OSError as error:
            raise InputError(f"{path}: cannot read ({error.strerror or error})") from error

    def __iter__(self) -> Iterator[str]:
        return iter(self._paths)

    def __len__(self) -> int:
        return len(self._paths)


def kind_of(column: str) -> Kind:
    """What a column holds, by its name alone: every shard of a dataset has the same types."""
    return _KINDS.get(column, "number")


def typed_row(entry: Entry) -> dict[str, Any]:
    """The cells of an entry as values: numbers as numbers, lists as lists; unknown is None, or "" of a text.

    Raises:
        InputError: A cell is not what its column holds.
    """
    return {column: _value(entry.key, column, cell) for column, cell in entry.row.items()}


def objects_of(entry: Entry) -> list[dict[str, Any]]:
    """The masks of an entry: "category", "bbox" (x, y, width, height; pixels), "area" (pixels), "segmentation"."""
    return [
        {
            "category": one["name"],
            "bbox": list(one["bbox"]),
            "area": one["area"],
            "iscrowd": one["iscrowd"],
            "segmentation": dict(one["segmentation"]),
        }
        for one in entry.annotations
    ]


def in_order(entries: Iterable[Entry]) -> Iterator[Entry]:
    """The entries, whose keys must ascend: readers put neighbouring files of one key together.

    Raises:
        InputError: A key is no greater than the one before it, or has a dot, where readers would cut it.
    """
    last = ""
    for entry in entries:
        if entry.key <= last or "." in entry.key:
            raise InputError(f"shard: key {entry.key!r} after {last!r}; keys ascend and have no dot")
        last = entry.key
        yield entry


def _value(key: str, column: str, cell: str) -> Any:
    kind = kind_of(column)
    try:
        match kind:
            case "text":
                return cell
            case "number":
                return float(cell) if cell else None
            case "integer":
                return int(cell) if cell else None
            case _:
                return json.loads(cell) if cell else []
    except ValueError as error:
        raise InputError(f"sample {key}: {column} is {cell!r}, which is no {kind}") from error
