"""Single samples out of shards, without unpacking the shards."""

from __future__ import annotations

import json
import tarfile
from typing import TYPE_CHECKING, Any

from synth.core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator
    from pathlib import Path

__all__ = ["Member", "read_members"]

Member = tuple[str, dict[str, bytes], list[dict[str, Any]]]
"""Key, suffix → content, and objects ("category", "segmentation") of a sample."""


def read_members(path: Path, keys: Collection[str], suffixes: Collection[str]) -> Iterator[Member]:
    """Some samples of a shard, one after another.

    Args:
        path: A .tar or .parquet file, as `synth.dataset.writers` writes them.
        keys: Which samples.
        suffixes: Which of their files: "png", "dcm", "nii.gz" …

    Raises:
        InputError: The file cannot be read, or pyarrow is missing.
    """
    read: Callable[[Path, set[str], set[str]], Iterator[Member]] = _parquet if path.suffix == ".parquet" else _tar
    try:
        yield from read(path, set(keys), set(suffixes))
    except OSError as error:
        raise InputError(f"{path}: cannot read ({error.strerror or error})") from error
    except (tarfile.TarError, ValueError, KeyError) as error:
        raise InputError(f"{path}: damaged, or not a shard of this toolkit ({error})") from error


def _tar(path: Path, keys: set[str], suffixes: set[str]) -> Iterator[Member]:
    last, files, objects = "", dict[str, bytes](), list[dict[str, Any]]()
    with tarfile.open(path, "r:") as archive:
        for member in archive:
            key, _, suffix = member.name.partition(".")
            if key not in keys or (suffix != "json" and suffix not in suffixes):
                continue
            if key != last and last:
                yield last, files, objects
                files, objects = {}, []
            last = key
            content = archive.extractfile(member)
            data = b"" if content is None else content.read()
            if suffix == "json":
                objects = json.loads(data)["annotations"]
            else:
                files[suffix] = data
    if last:
        yield last, files, objects


def _parquet(path: Path, keys: set[str], suffixes: set[str]) -> Iterator[Member]:
    try:
        from pyarrow import parquet
    except ImportError as error:
        raise InputError("Parquet needs pyarrow, which is not installed: pip install 'radsynth[data]'") from error
    columns = {"image" if one == "png" else one.replace(".", "_"): one for one in suffixes}
    with parquet.ParquetFile(path) as table:
        known = [name for name in (*columns, "objects") if name in table.schema_arrow.names]
        for number in range(table.num_row_groups):
            names = table.read_row_group(number, ["file_name"])["file_name"].to_pylist()
            wanted = [row for row, name in enumerate(names) if name.partition(".")[0] in keys]
            if not wanted:
                continue
            for row, cells in zip(wanted, table.read_row_group(number, known).take(wanted).to_pylist(), strict=True):
                stored = {columns[name]: cells[name] for name in known if name in columns and cells[name] is not None}
                files = {suffix: one["bytes"] if suffix == "png" else one for suffix, one in stored.items()}
                yield names[row].partition(".")[0], files, cells.get("objects") or []
