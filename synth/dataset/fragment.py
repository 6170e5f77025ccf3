"""What is said of one sample, kept until the dataset is finished: its row of the table and its masks."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from synth.core.errors import InputError
from synth.dataset.metadata import metadata_row
from synth.dataset.writers.coco import encode_masks

if TYPE_CHECKING:
    from synth.core.record import Sample, ScanSample

__all__ = ["encode_fragment", "encode_scan_fragment"]


def encode_fragment(file_name: str, sample: Sample) -> bytes:
    """The fragment of a sample: JSON of its "row", its COCO "image", its "structures" and its "annotations".

    Args:
        file_name: The image's path relative to the dataset's folder.
        sample: Image (h, w), uint16; masks (h, w), bool.

    Raises:
        InputError: Shapes or dtypes are wrong, the source is a path, or a text is no Unicode.
    """
    if sample.image.dtype != np.uint16 or sample.image.ndim != 2 or 0 in sample.image.shape:
        found = f"{sample.image.dtype} {sample.image.shape}"
        raise InputError(f"sample {sample.index}: expected a uint16 image (h, w), got {found}")
    height, width = sample.image.shape
    fragment = {
        "row": metadata_row(file_name, sample),
        "image": {"id": int(sample.index), "file_name": file_name, "width": width, "height": height},
        "structures": sorted({mask.name for mask in sample.masks}),
        "annotations": encode_masks(sample.masks, (height, width)),
    }
    return _encoded(fragment, sample)


def encode_scan_fragment(file_name: str, sample: ScanSample) -> bytes:
    """The fragment of a CT: JSON of its "row" and its "structures", none of which is in COCO.

    Args:
        file_name: The volume's path relative to the dataset's folder.
        sample: The CT.

    Raises:
        InputError: The source is a path, or a text is no Unicode.
    """
    return _encoded({"row": metadata_row(file_name, sample), "structures": []}, sample)


def _encoded(fragment: dict[str, Any], sample: Sample | ScanSample) -> bytes:
    if {"/", "\\"} & set(sample.record.source):
        raise InputError(f"sample {sample.index}: source {sample.record.source!r} is a path; give a name")
    try:
        return json.dumps(fragment, ensure_ascii=False, separators=(",", ":")).encode()
    except ValueError as error:
        raise InputError(f"sample {sample.index}: its record is no Unicode text ({error})") from error
