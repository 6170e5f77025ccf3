"""What the commands that draw from text share: prompts from options and files, and intervals of guidance."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

from synth.core.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["read_interval", "read_prompts"]

_PROMPT_COLUMNS = ("prompt", "text")


def read_prompts(given: list[str], file: Path | None) -> list[str]:
    """All prompts.

    Args:
        given: By options.
        file: A prompt a line, or a CSV with a column prompt or text.

    Raises:
        InputError: There is none, or the file cannot be read.
    """
    texts = [" ".join(text.split()) for text in (*given, *(_read(file) if file is not None else ()))]
    if not texts:
        raise InputError("no prompt: give --prompt TEXT or --prompts FILE")
    return texts


def read_interval(text: str | None) -> tuple[float, float] | None:
    """Two times, "0.2,0.8".

    Raises:
        InputError: It is something else.
    """
    if text is None:
        return None
    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError as error:
        raise InputError(f"--guidance-interval {text}: give two times, such as 0.2,0.8") from error
    return low, high


def _read(file: Path) -> list[str]:
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            if file.suffix.lower() != ".csv":
                return [line for line in stream.read().splitlines() if line.strip()]
            reader = csv.DictReader(stream, restval="")
            column = next((name for name in _PROMPT_COLUMNS if name in (reader.fieldnames or ())), None)
            if column is None:
                raise InputError(f"{file}: no column prompt or text; it has {', '.join(reader.fieldnames or ())}")
            return [row[column] for row in reader]
    except OSError as error:
        raise InputError(f"{file}: cannot read ({error.strerror or error})") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{file}: cannot read the prompts ({error})") from error
