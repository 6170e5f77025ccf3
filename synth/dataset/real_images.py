"""Sets of real images beside a dataset, told of without their names; and a sample's masks, to compare with theirs."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from synth.metrics.extractors.protocol import file_hash
from synth.metrics.images.sources import FileSource, list_images
from synth.metrics.images.stream import ordered_map

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from synth.core.record import Sample, ScanSample
    from synth.metrics.images.sets import ImageSet

__all__ = ["WHOLE", "content_of", "image_masks", "nameless", "scan_masks"]

WHOLE = "the mask"
"""What all masks of an image are called together, where a policy names no structures."""


def content_of(place: Path) -> dict[str, Any]:
    """How many "images" a set has, and a "digest" of all of their bytes and of its table.

    Raises:
        InputError: It is not there, or a file cannot be read.
    """
    entries = list_images(place).entries
    files = [entry.source.path for entry in entries if isinstance(entry.source, FileSource)] or [place]
    table = place / "metadata.csv" if place.is_dir() else place
    digest = hashlib.sha256()
    for line in ordered_map(file_hash, [*files, *([table] if table.is_file() and table not in files else [])]):
        digest.update(f"{line}\n".encode())
    return {"images": len(entries), "digest": digest.hexdigest()}


def nameless(images: ImageSet, what: str) -> ImageSet:
    """A set under names that tell of no file and no patient: "image 3 of the reference"."""
    entries = tuple(replace(entry, name=f"image {at} of the {what}") for at, entry in enumerate(images.entries))
    return replace(images, name=what, entries=entries)


def image_masks(sample: Sample) -> dict[str, NDArray[np.bool_]]:
    """Structure → mask (h, w) of a radiograph; masks of one name are united."""
    masks: dict[str, NDArray[np.bool_]] = {}
    for mask in sample.masks:
        masks[mask.name] = masks[mask.name] | mask.array if mask.name in masks else mask.array
    return masks


def scan_masks(sample: ScanSample) -> dict[str, NDArray[np.bool_]]:
    """Structure → mask (z, y, x) of a CT's map of organs, as a set of CTs has it; nothing without such a map."""
    labels = sample.maps.get("total")
    if labels is None:
        return {}
    return {name: labels.array == value for value, name in labels.names.items()}
