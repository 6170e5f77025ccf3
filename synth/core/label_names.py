"""Names of the labels of a label map."""

from __future__ import annotations

import csv
import json
import re
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

from synth.core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

__all__ = ["label_names", "read_names", "totalsegmentator_names"]

_MAX_BYTES = 1 << 24
_XML_LABEL = re.compile(rb'<Label\b[^>]*\bKey="(\d+)"[^>]*>\s*(?:<!\[CDATA\[(.*?)\]\]>|([^<]*))\s*</Label>', re.DOTALL)


@cache
def totalsegmentator_names() -> Mapping[int, str]:
    """The 117 classes of TotalSegmentator v2's task "total", label → name."""
    table = resources.files("synth.core").joinpath("totalsegmentator_v2.csv").read_text("utf-8")
    return {int(row["label"]): row["name"] for row in csv.DictReader(table.splitlines())}


def label_names(path: Path, labels: Sequence[int], names: Path | None = None, extension: bytes = b"") -> dict[int, str]:
    """Names for the labels of a map.

    Sources, the first that exists: the table `names`; a table beside the map, X_labels.csv or X.json, X being the
    map's stem with or without a trailing "_seg"; the label table in the header extension of a NIfTI file;
    TotalSegmentator's classes, if they hold all labels. A map of the single label 1 is a binary mask: its file name
    is the name, if it is one of the classes, and the classes do not apply otherwise. A label without name is "label_7".

    Args:
        path: The label map.
        labels: The labels that occur in it, without 0.
        names: A table, CSV (columns label, name) or JSON.
        extension: Bytes of the NIfTI header extensions.

    Raises:
        InputError: `names`, or the CSV beside the map, is no table of names.
    """
    table: Mapping[int, str] | None = read_names(names) if names is not None else _sidecar(path)
    if table is None:
        table = _from_extension(extension) or _from_classes(path, labels)
    return {label: table.get(label, f"label_{label}") for label in labels}


def read_names(path: Path) -> dict[int, str]:
    """Reads a table of label names: CSV with the columns label and name, or JSON.

    Returns:
        Label → name, without the background.

    Raises:
        InputError: The file cannot be read or is no such table.
    """
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise InputError(f"{path}: too large for a table of label names")
        text = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        raise InputError(f"{path}: cannot read the label names ({reason})") from error
    try:
        pairs = _json_pairs(text) if path.suffix.lower() == ".json" else _csv_pairs(text)
        table: dict[int, str] = {}
        for label, name in pairs:
            if not name or table.setdefault(label, name) != name:
                raise ValueError(f"label {label} has no name, or two")
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, csv.Error) as error:
        raise InputError(
            f'{path}: not a table of label names; pass CSV with the columns label,name or JSON {{"1": "spleen"}}'
        ) from error
    return {label: name for label, name in table.items() if label != 0}


def _csv_pairs(text: str) -> list[tuple[int, str]]:
    rows = csv.DictReader(text.splitlines(), skipinitialspace=True)
    if not {"label", "name"} <= set(rows.fieldnames or ()):
        raise ValueError("no columns label and name")
    return [(int(row["label"]), row["name"].strip()) for row in rows]


def _json_pairs(text: str) -> list[tuple[int, str]]:
    """{"1": "spleen"} or {"spleen": 1}."""
    table = json.loads(text)
    if not table:
        raise ValueError("empty")
    if all(isinstance(value, str) for value in table.values()):
        return [(int(key), value.strip()) for key, value in table.items()]
    if any(isinstance(value, bool) or not isinstance(value, int) for value in table.values()):
        raise ValueError("neither names nor labels")
    return [(value, key.strip()) for key, value in table.items()]


def _sidecar(path: Path) -> dict[int, str] | None:
    stem = _stem(path)
    for base in dict.fromkeys((stem, stem.removesuffix("_seg"))):
        table = path.with_name(f"{base}_labels.csv")
        if table.is_file():
            return read_names(table)
        table = path.with_name(f"{base}.json")
        if table.is_file():
            try:
                return read_names(table)
            except InputError:
                continue  # acquisition metadata, as dcm2niix writes it
    return None


def _from_extension(extension: bytes) -> dict[int, str]:
    """The <LabelTable> that TotalSegmentator writes into its NIfTI files."""
    found = {int(key): (cdata or plain).decode("utf-8", "replace") for key, cdata, plain in
             _XML_LABEL.findall(extension)}  # fmt: skip
    return {label: name.strip() for label, name in found.items() if name.strip()}


def _from_classes(path: Path, labels: Sequence[int]) -> Mapping[int, str]:
    classes = totalsegmentator_names()
    if list(labels) == [1]:
        return {1: _stem(path)} if _stem(path) in classes.values() else {}
    return classes if set(labels) <= set(classes) else {}


def _stem(path: Path) -> str:
    return path.name[:-7] if path.name.lower().endswith(".nii.gz") else path.stem
