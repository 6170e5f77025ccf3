"""What is said of one place of a dataset, kept until the dataset is finished.

A fragment is two lines of JSON: the head, which is all that the tables need, and the masks as COCO annotations, which
are many times as long and read only where they are wanted. A head has

    "row"         the cells of metadata.csv; absent where the place stays empty
    "rejected"    the rows of rejected.csv of the attempts before; absent where there were none
    "image"       COCO's entry of the image; absent for CTs and empty places
    "structures"  names of the masks
    "masks"       how many annotations the second line has
    "views"       of a CT with radiographs: of each "row" and "image"; annotations then name the image that they are of
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from synth.core.errors import InputError, InterruptedRun
from synth.core.files import write_bytes
from synth.core.record import ScanSample
from synth.dataset.metadata import metadata_row
from synth.dataset.sample_files import numbered
from synth.dataset.writers.coco import encode_masks

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from synth.core.record import Sample

__all__ = ["Fragments", "Head", "encode_empty", "encode_fragment", "read_fragment", "read_head", "sizes"]

Head = dict[str, Any]

_FULL, _EMPTY = ".json", ".empty.json"


@dataclass(frozen=True)
class Fragments:
    """The fragments of a dataset: FOLDER/00/00000042.json, or .empty.json where the place stays empty.

    Attributes:
        folder: Where they lie.
    """

    folder: Path

    def write(self, index: int, content: bytes, *, empty: bool) -> None:
        """Puts down a fragment, atomically.

        Raises:
            InputError: It cannot be written.
        """
        write_bytes(self.folder / numbered(index, _EMPTY if empty else _FULL), content)

    def find(self, index: int) -> tuple[Path, bool] | None:
        """A place's fragment, and whether the place stays empty; None where nothing, or nothing whole, is there."""
        for ending in (_FULL, _EMPTY):
            path = self.folder / numbered(index, ending)
            # A power cut can leave files of the right name without content.
            with suppress(OSError):
                if path.stat().st_size:
                    return path, ending == _EMPTY
        return None

    def remove(self, index: int) -> None:
        """Removes a fragment."""
        for ending in (_FULL, _EMPTY):
            (self.folder / numbered(index, ending)).unlink(missing_ok=True)

    def listed(self, number: int) -> Iterator[tuple[int, bool]]:
        """Index, and whether the place stays empty, of all fragments of a sub-folder; faster than to find each."""
        for name in sizes(self.folder / f"{number:02d}"):
            if name[:1] != ".":
                yield int(name[:8]), name.endswith(_EMPTY)


def sizes(folder: Path) -> dict[str, int]:
    """Name → bytes of what a folder holds, the empty left out; nothing where there is no such folder."""
    try:
        with os.scandir(folder) as entries:
            return {entry.name: size for entry in entries if (size := entry.stat().st_size)}
    except (FileNotFoundError, NotADirectoryError):
        return {}


def encode_fragment(
    file_name: str,
    sample: Sample | ScanSample,
    told: Mapping[str, str],
    rejected: Sequence[Mapping[str, str]] = (),
    names: Sequence[str] | None = None,
) -> bytes:
    """The fragment of a sample.

    Args:
        file_name: The image's path relative to the dataset's folder.
        sample: Image (h, w), uint16; masks (h, w), bool. Or a CT, none of whose maps is in COCO.
        told: Further cells of its row.
        rejected: Rows of rejected.csv that stand with this sample.
        names: Paths of a CT's views, in order.

    Raises:
        InputError: Shapes or dtypes are wrong, the source is a path, or a text is no Unicode.
    """
    _refuse_path(sample)
    head: Head = {"row": metadata_row(file_name, sample) | dict(told)}
    annotations: list[dict[str, Any]] = []
    if not isinstance(sample, ScanSample):
        height, width = _shape(sample)
        annotations = encode_masks(sample.masks, (height, width))
        head["image"] = {"id": int(sample.index), "file_name": file_name, "width": width, "height": height}
        head["structures"] = sorted({mask.name for mask in sample.masks})
        head["masks"] = len(annotations)
    elif sample.views:
        if names is None or len(names) != len(sample.views):
            raise InputError(f"sample {sample.index}: {len(sample.views)} views need a file name each")
        head["views"], annotations = _views(sample, names, told)
        head["structures"] = sorted({mask.name for view in sample.views for mask in view.masks})
        head["masks"] = len(annotations)
    return _encoded(sample.index, head, rejected, annotations)


def encode_empty(index: int, rejected: Sequence[Mapping[str, str]]) -> bytes:
    """The fragment of a place that stays empty.

    Raises:
        InputError: A text is no Unicode.
    """
    return _encoded(index, {}, rejected, [])


def read_head(path: Path) -> Head:
    """The head of a fragment.

    Raises:
        InterruptedRun: There is no such file.
        InputError: It cannot be read, or is damaged.
    """
    return _read(path, whole=False)[0]


def read_fragment(path: Path) -> tuple[Head, list[dict[str, Any]]]:
    """The head of a fragment and its annotations.

    Raises:
        InterruptedRun: There is no such file.
        InputError: It cannot be read, or is damaged.
    """
    return _read(path, whole=True)


def _refuse_path(sample: Sample | ScanSample) -> None:
    if {"/", "\\"} & set(sample.record.source):
        raise InputError(f"sample {sample.index}: source {sample.record.source!r} is a path; give a name")


def _views(
    sample: ScanSample, names: Sequence[str], told: Mapping[str, str]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """What is said of a CT's radiographs, and the annotations of all their masks."""
    said, annotations = [], []
    for number, (name, view) in enumerate(zip(names, sample.views, strict=True)):
        height, width = _shape(view)
        image = {"id": sample.index * len(names) + number, "file_name": name, "width": width, "height": height}
        said.append({"row": metadata_row(name, view) | dict(told), "image": image})
        annotations += [one | {"image": image["id"]} for one in encode_masks(view.masks, (height, width))]
    return said, annotations


def _shape(sample: Sample) -> tuple[int, int]:
    if sample.image.dtype != np.uint16 or sample.image.ndim != 2 or 0 in sample.image.shape:
        found = f"{sample.image.dtype} {sample.image.shape}"
        raise InputError(f"sample {sample.index}: expected a uint16 image (h, w), got {found}")
    return sample.image.shape


def _encoded(
    index: int, head: Head, rejected: Sequence[Mapping[str, str]], annotations: Sequence[Mapping[str, Any]]
) -> bytes:
    said = head | ({"rejected": [dict(row) for row in rejected]} if rejected else {})
    try:
        lines = [json.dumps(one, ensure_ascii=False, separators=(",", ":")) for one in (said, annotations)]
        return "\n".join([*lines, ""]).encode()
    except ValueError as error:
        raise InputError(f"sample {index}: its record is no Unicode text ({error})") from error


def _read(path: Path, *, whole: bool) -> tuple[Head, list[dict[str, Any]]]:
    try:
        with path.open("rb") as stream:
            head = json.loads(stream.readline())
            annotations = json.loads(stream.readline()) if whole else []
    except FileNotFoundError as error:
        raise InterruptedRun(f"{path}: vanished; pass --resume") from error
    except OSError as error:
        raise InputError(f"{path}: cannot read ({error.strerror or error})") from error
    except ValueError as error:
        raise InputError(f"{path}: damaged ({error}); remove it and pass --resume") from error
    return head, annotations
