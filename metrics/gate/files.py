"""Removes refused images from a folder, and their rows from its table."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

from synth.core.errors import InputError
from synth.core.files import write_bytes
from synth.metrics.images.sources import FileSource
from synth.metrics.images.tables import read_table, table_paths

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from synth.metrics.images.sets import ImageSet

__all__ = ["check_deletable", "delete_images"]


def check_deletable(folder: Path) -> None:
    """Refuses what is no folder of image files.

    Raises:
        InputError: It is a file, or not there.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: images can be deleted from a folder only")


def delete_images(folder: Path, images: ImageSet, names: Collection[str]) -> None:
    """Deletes image files of a folder; a metadata.csv loses their rows first, so that it never lists what is gone.

    Args:
        folder: What `images` was opened from.
        images: The set.
        names: Images to delete. Files outside the folder, that a table may list, stay.

    Raises:
        InputError: A file or the table cannot be changed.
    """
    paths = [
        entry.source.path
        for entry in images.entries
        if entry.name in names
        and isinstance(entry.source, FileSource)
        and entry.source.path.resolve().is_relative_to(folder.resolve())
    ]
    table = folder / "metadata.csv"
    if paths and table.is_file():
        _shorten(table, names)
    for path in paths:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise InputError(f"{path}: cannot delete ({error.strerror or error})") from error


def _shorten(table: Path, names: Collection[str]) -> None:
    rows = read_table(table)
    listed = table_paths(table, rows)
    stream = io.StringIO()
    writer = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(row for row, (name, _) in zip(rows, listed, strict=True) if name not in names)
    write_bytes(table, stream.getvalue().encode())
