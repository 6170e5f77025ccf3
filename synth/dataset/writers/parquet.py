"""Parquet shards: a row a sample, with the image inside, as Hugging Face's `datasets` and pandas read them.

The columns are those of metadata.csv with types (`findings` and `verdicts` lists of objects, unknown cells null), then
`objects` (the masks as COCO run lengths) and the files: `image` as {bytes, path}, which `datasets` decodes; any other
file as bytes in a column named after its suffix: "dcm", "npz", "nii_gz", "total_nii_gz".
"""

from __future__ import annotations

import importlib
import json
from dataclasses import fields
from itertools import chain
from typing import TYPE_CHECKING, Any

from synth.core.errors import InputError
from synth.core.files import atomic_path
from synth.core.record import Finding
from synth.dataset.metadata import BEAM_COLUMNS, columns
from synth.dataset.writers.shard import in_order, kind_of, objects_of, typed_row
from synth.metrics.verdicts import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from synth.dataset.writers.shard import Entry

__all__ = ["write_parquet"]

_ROWS_PER_GROUP = 100
_BYTES_PER_GROUP = 1 << 26
_MARK = {"synthetic": "YES", "comment": "Synthetic images, not acquired from patients"}

# A type is an Arrow type's name, or [type] for a list, or {field: type} for an object.
_Type = Any
_SCALARS: dict[str, _Type] = {"text": "string", "integer": "uint64", "number": "float64"}
_OBJECTS: _Type = [
    {
        "category": "string",
        "bbox": ["int32"],
        "area": "int64",
        "iscrowd": "int8",
        "segmentation": {"size": ["int32"], "counts": "string"},
    }
]
_IMAGE: _Type = {"bytes": "binary", "path": "string"}


def write_parquet(path: Path, entries: Iterable[Entry]) -> None:
    """Writes a shard, atomically; its bytes depend on the entries and the release of pyarrow alone.

    Row groups hold at most 100 samples and little more than 64 MiB, so that readers can stream; while it writes, one
    group is in memory beside the entries themselves.

    Args:
        path: Where to; its folder is made where missing.
        entries: In ascending order of their keys.

    Raises:
        InputError: pyarrow is missing, keys are out of order, a cell is not what its column holds, or the file cannot
            be written.
    """
    pa, parquet = _pyarrow()
    kept = list(in_order(entries))
    types = _types(kept)
    schema = pa.schema([(name, _arrow(pa, one)) for name, one in types.items()], _schema_metadata(types))
    with atomic_path(path) as temporary, parquet.ParquetWriter(temporary, schema, compression="zstd") as writer:
        for group in _groups(kept):
            writer.write_table(pa.Table.from_pylist(group, schema))


def _pyarrow() -> tuple[Any, Any]:
    try:
        return importlib.import_module("pyarrow"), importlib.import_module("pyarrow.parquet")
    except ImportError as error:
        raise InputError("Parquet needs pyarrow, which is not installed: pip install 'radsynth[data]'") from error


def _types(entries: Sequence[Entry]) -> dict[str, _Type]:
    """Column → type: those of every table whether known or not, so that the shards of a dataset agree."""
    known = columns(chain(BEAM_COLUMNS, (key for entry in entries for key in entry.row)))
    files = sorted({_file_column(suffix) for entry in entries for suffix in entry.files})
    types = {column: _column_type(column) for column in known} | {"objects": _OBJECTS}
    return types | {name: _IMAGE if name == "image" else "binary" for name in files}


def _column_type(column: str) -> _Type:
    kind = kind_of(column)
    if kind in _SCALARS:
        return _SCALARS[kind]
    said = Finding if kind == "findings" else Verdict
    return [{field.name: "float64" if "float" in str(field.type) else "string" for field in fields(said)}]


def _file_column(suffix: str) -> str:
    return "image" if suffix == "png" else suffix.replace(".", "_")


def _groups(entries: Iterable[Entry]) -> Iterator[list[dict[str, Any]]]:
    group: list[dict[str, Any]] = []
    size = 0
    for entry in entries:
        row = {key: None if value == "" else value for key, value in typed_row(entry).items()}
        row["objects"] = objects_of(entry)
        for suffix, content in entry.files.items():
            stored = {"bytes": content, "path": f"{entry.key}.png"} if suffix == "png" else content
            row[_file_column(suffix)] = stored
            size += len(content)
        group.append(row)
        if len(group) == _ROWS_PER_GROUP or size >= _BYTES_PER_GROUP:
            yield group
            group, size = [], 0
    if group:
        yield group


def _arrow(pa: Any, said: _Type) -> Any:
    if isinstance(said, list):
        return pa.list_(_arrow(pa, said[0]))
    if isinstance(said, dict):
        return pa.struct([(name, _arrow(pa, one)) for name, one in said.items()])
    return pa.type_for_alias(said)


def _schema_metadata(types: dict[str, _Type]) -> dict[str, str]:
    """What `datasets` looks for, and the mark of synthetic data."""
    features = {name: {"_type": "Image"} if name == "image" else _feature(one) for name, one in types.items()}
    return {"huggingface": json.dumps({"info": {"features": features}})} | _MARK


def _feature(said: _Type) -> Any:
    if isinstance(said, list):
        return {"_type": "List", "feature": _feature(said[0])}
    if isinstance(said, dict):
        return {name: _feature(one) for name, one in said.items()}
    return {"_type": "Value", "dtype": said}
