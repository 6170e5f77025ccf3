"""Tables in text files, CSV or JSON Lines, gzipped or not, as public collections of radiographs give them."""

from __future__ import annotations

import csv
import gzip
import json
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO, cast

from synth.core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["column_key", "is_json_lines", "json_object", "opened_table"]


def column_key(name: str) -> str:
    """A column's name without case, blanks and punctuation: "Frontal/Lateral" is "frontallateral"."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def is_json_lines(path: Path) -> bool:
    """Whether a file's name says JSON Lines; everything else is taken for CSV."""
    return path.name.removesuffix(".gz").endswith((".json", ".jsonl"))


def json_object(path: Path, number: int, line: str) -> dict[str, object]:
    """A line of JSON Lines.

    Raises:
        InputError: It is no JSON object.
    """
    try:
        found = json.loads(line)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise InputError(f"{path.name}: line {number} is not a JSON object; give JSON Lines or CSV")
    return found


@contextmanager
def opened_table(path: Path) -> Iterator[TextIO]:
    """A text file, gunzipped by its ending; what is wrong with it becomes an InputError."""
    opener = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rt", encoding="utf-8-sig", errors="replace", newline="") as file:
            yield cast("TextIO", file)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (OSError, EOFError, csv.Error) as error:
        raise InputError(f"{path.name}: cannot be read as CSV ({error})") from None
