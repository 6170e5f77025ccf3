"""Masks of a few images out of an annotations.json that may be larger than memory."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from synth.core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

__all__ = ["Masks", "masks_of"]

Masks = list[tuple[str, dict[str, Any]]]
"""(structure, COCO's segmentation: "size" (h, w) and "counts") pairs of one image."""

_LIST = re.compile(r'"(\w+)":\[\s*$')
_ENTRY = re.compile(r"(\{.*\})(?:,|\],|\]\})\s*")
_IMAGE = re.compile(r'"image_id":(\d+)')


def masks_of(path: Path, names: Collection[str]) -> dict[str, Masks]:
    """The masks of some images.

    Args:
        path: A dataset's masks/annotations.json, an entry a line; it is read line by line, and only the entries of
            these images are parsed.
        names: File names of images.

    Returns:
        File name → masks, as far as there are any.

    Raises:
        InputError: The file cannot be read, or is not written an entry a line.
    """
    wanted = set(names)
    files: dict[int, str] = {}
    structures: dict[int, str] = {}
    found: dict[str, Masks] = {}
    try:
        for part, line in _entries(path):
            if part == "images":
                image = json.loads(line)
                if image["file_name"] in wanted:
                    files[image["id"]] = image["file_name"]
            elif part == "categories":
                category = json.loads(line)
                structures[category["id"]] = category["name"]
            elif part == "annotations":
                number = _IMAGE.search(line)
                if number and int(number[1]) in files:
                    one = json.loads(line)
                    masks = found.setdefault(files[one["image_id"]], [])
                    masks.append((structures[one["category_id"]], one["segmentation"]))
    except OSError as error:
        raise InputError(f"{path}: cannot read ({error.strerror or error})") from error
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: not as this toolkit writes it, an entry a line ({error})") from error
    return found


def _entries(path: Path) -> Iterator[tuple[str, str]]:
    """The entries of all lists as text, each with the name of its list.

    Raises:
        ValueError: A line is neither an entry nor the begin of a list.
    """
    part = ""
    with path.open(encoding="utf-8") as stream:
        next(stream)  # what the file is
        for line in stream:
            begun, entry = _LIST.match(line), _ENTRY.fullmatch(line)
            if begun:
                part = begun[1]
            elif entry and part:
                yield part, entry[1]
            elif line.strip() not in ("]", "],", "]}"):
                raise ValueError(f"line begins {line[:20]!r}")
