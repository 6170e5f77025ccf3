"""Data sets that Hugging Face `datasets` saved to a folder."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from synth.core.errors import InputError
from synth.diffusion.training.layouts.examples import Entry
from synth.diffusion.training.layouts.tables import IMAGE, first, row_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["is_saved", "saved_entries"]


def is_saved(folder: Path) -> bool:
    """Whether a folder was written by `save_to_disk`, as one split or several."""
    return any((folder / name).is_file() for name in ("dataset_dict.json", "state.json"))


def saved_entries(folder: Path) -> Iterator[Entry]:
    """The rows of all splits, with the column "split" where there are several; pictures stay in the files.

    Raises:
        InputError: `datasets` is not installed, the folder is damaged, or it has not exactly one column of images.
    """
    try:
        import datasets  # type: ignore[import-untyped]
    except ImportError as error:
        raise InputError(f"{folder}: saved by Hugging Face datasets; pip install 'radsynth[data]'") from error
    try:
        loaded = datasets.load_from_disk(str(folder))
    except Exception as error:  # damage shows in many ways
        raise InputError(f"{folder}: not a data set that save_to_disk wrote, or damaged ({error})") from error
    splits = dict(loaded) if isinstance(loaded, datasets.DatasetDict) else {"": loaded}
    for split, table in splits.items():
        columns = [name for name, kind in table.features.items() if isinstance(kind, datasets.Image)]
        if len(columns) != 1:
            found = ", ".join(table.features)
            raise InputError(f"{folder}: needs one column of type Image, has {len(columns)}; its columns are {found}")
        pictures = table.select_columns(columns).cast_column(columns[0], datasets.Image(decode=False))
        for index, cells in enumerate(table.remove_columns(columns)):
            row = row_of({**({"split": split} if split else {}), **cells})
            name = first(row, IMAGE) or f"{split or 'row'} {index}"
            yield Entry(name, row, partial(_bytes, pictures, columns[0], index, folder))


def _bytes(pictures: Any, column: str, index: int, folder: Path) -> bytes:
    cell = pictures[index][column]
    if cell and cell["bytes"]:
        data: bytes = cell["bytes"]
        return data
    raise InputError(f"{folder}: row {index} holds no picture but names a file; save it with the pictures embedded")
