"""What lies in the folder of a dataset, for those who only look: its files of JSON, and its tables row by row."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from synth.core.errors import InputError
from synth.dataset import manifest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

__all__ = ["Contents", "Row", "open_contents"]

Row = dict[str, str]
"""A row of a table, column → cell."""

_FIELD_LIMIT = 10_000_000  # a report in a cell may be longer than csv's 131,072 characters


@dataclass(frozen=True)
class Contents:
    """A dataset folder.

    Attributes:
        root: The folder.
        manifest: dataset.json.
        scores: gate.json, or what `synth score` wrote; None where there is neither.
        plan: plan.json; None where no plan was followed.
    """

    root: Path
    manifest: Mapping[str, Any]
    scores: Mapping[str, Any] | None
    plan: Mapping[str, Any] | None

    def rows(self) -> Iterator[Row]:
        """The rows of metadata.csv, one after another."""
        return _rows(self.root / "metadata.csv", needed="file_name")

    def rejected(self) -> Iterator[Row]:
        """The rows of rejected.csv; none where nothing was judged."""
        path = self.root / "rejected.csv"
        return _rows(path, needed="checks") if path.is_file() else iter(())

    @property
    def gate(self) -> Mapping[str, Any] | None:
        """What dataset.json says of the gate."""
        said = self.manifest.get("gate")
        return said if isinstance(said, dict) else None


def open_contents(root: Path, scores: Path | None = None) -> Contents:
    """Opens a dataset folder.

    Args:
        root: The folder.
        scores: JSON of `synth gate` or `synth score`, instead of the folder's gate.json.

    Raises:
        InputError: The folder holds no dataset, or a file in it is damaged.
    """
    said = manifest.load(root / "dataset.json")
    if said is None:
        wrong = "no dataset.json in it; name the folder of a finished dataset" if root.is_dir() else "no such folder"
        raise InputError(f"{root}: {wrong}")
    if said.get("format") != manifest.FORMAT:
        raise InputError(f"{root}: not a dataset of this toolkit (dataset.json is another's)")
    if not (root / "metadata.csv").is_file():
        raise InputError(f"{root}: its metadata.csv is missing")
    given = manifest.load(scores or root / "gate.json")
    if scores is not None and given is None:
        raise InputError(f"{scores}: no such file")
    return Contents(root, said, given, manifest.load(root / "plan.json"))


def _rows(path: Path, needed: str) -> Iterator[Row]:
    csv.field_size_limit(_FIELD_LIMIT)
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream, restval="")
            if needed not in (reader.fieldnames or ()):
                raise InputError(f"{path}: has no column {needed}")
            for cells in reader:
                if None in cells:
                    raise InputError(f"{path}, line {reader.line_num}: more cells than the header has columns")
                yield cells
    except OSError as error:
        raise InputError(f"{path}: cannot read ({error.strerror or error})") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: not a CSV file in UTF-8 ({error})") from error
