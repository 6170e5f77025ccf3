"""Masks as COCO annotations: one annotations.json for a dataset, masks as compressed run lengths.

The format is that of COCO (Lin et al. 2014, arXiv:1405.0312): images, categories and annotations, which pycocotools
and most detection libraries read. Masks of one image may overlap; a structure that an image does not show has no
annotation there.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TextIO

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as rle

from synth.core.errors import InputError
from synth.core.files import atomic_path

if TYPE_CHECKING:
    from pathlib import Path

    from synth.core.record import Mask

__all__ = ["encode_masks", "read_masks", "write_annotations"]

Annotation = dict[str, Any]


def encode_masks(masks: Sequence[Mask], shape: tuple[int, int]) -> list[Annotation]:
    """Encodes the masks of one image; empty ones are left out.

    Args:
        masks: Masks (h, w), bool.
        shape: (h, w) of the image.

    Returns:
        For each mask "name", "segmentation" (size (h, w) and counts), "area" in pixels, "bbox" (x, y, width, height)
        in pixels and "iscrowd", without ids.

    Raises:
        InputError: A mask is not boolean, or not of the image's shape.
    """
    annotations = []
    for mask in masks:
        if mask.array.dtype != np.bool_ or mask.array.shape != shape:
            found = f"{mask.array.dtype} {mask.array.shape}"
            raise InputError(f"mask {mask.name!r}: expected a bool array of the image's shape {shape}, got {found}")
        if mask.array.any():
            annotations.append(_encode(mask))
    return annotations


def write_annotations(
    path: Path,
    images: Iterable[Mapping[str, Any]],
    names: Iterable[str],
    annotations: Iterable[tuple[int, Annotation]],
) -> int:
    """Writes annotations.json atomically, an entry a line, without holding the annotations in memory.

    Args:
        path: Where to; its folder is made where missing.
        images: COCO's image entries: "id", "file_name", "width", "height" (pixels).
        names: Names of all structures; sorted, they become categories 1, 2, …
        annotations: (image id, what `encode_masks` returned), in the order to be written.

    Returns:
        The number of annotations written.

    Raises:
        InputError: The file cannot be written.
    """
    categories = {name: number for number, name in enumerate(sorted(set(names)), start=1)}
    category_entries = [{"id": number, "name": name} for name, number in categories.items()]
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as stream:
        stream.write('{"info":{"description":"Synthetic images, not acquired from patients"},\n')
        _write_list(stream, "images", images)
        stream.write(",\n")
        _write_list(stream, "categories", category_entries)
        stream.write(",\n")
        count = _write_list(stream, "annotations", _with_ids(annotations, categories))
        stream.write("}\n")
    return count


def read_masks(path: Path) -> Mapping[str, dict[str, NDArray[np.bool_]]]:
    """Reads the masks of an annotations.json.

    Args:
        path: A dataset's masks/annotations.json.

    Returns:
        File name → structure → mask (h, w), bool, for every image, decoded when asked for. Several annotations of one
        structure in an image are united.

    Raises:
        InputError: The file cannot be read, or is no COCO annotation file with run lengths.
    """
    try:
        content = json.loads(path.read_bytes())
        names = {category["id"]: str(category["name"]) for category in content["categories"]}
        files = {image["id"]: str(image["file_name"]) for image in content["images"]}
        found: dict[str, list[tuple[str, Any]]] = {name: [] for name in files.values()}
        for annotation in content["annotations"]:
            entry = (names[annotation["category_id"]], annotation["segmentation"])
            found[files[annotation["image_id"]]].append(entry)
    except OSError as error:
        raise InputError(f"{path}: cannot read ({error.strerror or error})") from error
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: not a COCO annotation file ({type(error).__name__}: {error})") from error
    return _Masks(found)


class _Masks(Mapping[str, dict[str, NDArray[np.bool_]]]):
    """Masks that are decoded when asked for: all at once, a thousand images of 30 masks would take gigabytes."""

    def __init__(self, encoded: Mapping[str, list[tuple[str, Any]]]) -> None:
        self._encoded = encoded

    def __getitem__(self, file_name: str) -> dict[str, NDArray[np.bool_]]:
        masks: dict[str, NDArray[np.bool_]] = {}
        for name, segmentation in self._encoded[file_name]:
            mask = _decode(segmentation)
            masks[name] = masks[name] | mask if name in masks else mask
        return masks

    def __iter__(self) -> Iterator[str]:
        return iter(self._encoded)

    def __len__(self) -> int:
        return len(self._encoded)


def _encode(mask: Mask) -> Annotation:
    encoded = rle.encode(np.asfortranarray(mask.array.view(np.uint8)))
    return {
        "name": mask.name,
        "segmentation": {"size": [int(n) for n in encoded["size"]], "counts": encoded["counts"].decode("ascii")},
        "area": int(rle.area(encoded)),
        "bbox": [int(n) for n in rle.toBbox(encoded)],
        "iscrowd": 0,
    }


def _decode(segmentation: Any) -> NDArray[np.bool_]:
    with warnings.catch_warnings():
        # pycocotools' own __array__ is of before NumPy 2: nothing a caller could mend.
        warnings.filterwarnings("ignore", message="__array__ implementation", category=DeprecationWarning)
        return np.ascontiguousarray(rle.decode(segmentation), dtype=np.bool_)


def _with_ids(annotations: Iterable[tuple[int, Annotation]], categories: Mapping[str, int]) -> Iterator[Annotation]:
    # From 1: pycocotools' evaluation takes an annotation with id 0 for unmatched.
    for number, (image_id, annotation) in enumerate(annotations, start=1):
        ids = {"id": number, "image_id": image_id, "category_id": categories[annotation["name"]]}
        yield ids | {key: value for key, value in annotation.items() if key != "name"}


def _write_list(stream: TextIO, key: str, entries: Iterable[Mapping[str, Any]]) -> int:
    stream.write(f'"{key}":[')
    count = 0
    for entry in entries:
        stream.write(",\n" if count else "\n")
        json.dump(entry, stream, ensure_ascii=False, separators=(",", ":"))
        count += 1
    stream.write("]")
    return count
