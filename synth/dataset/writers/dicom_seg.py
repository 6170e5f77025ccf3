"""Masks as DICOM Segmentation objects (PS3.3 A.51), through highdicom: a segment a structure.

The objects are deflated: a hundred structures in 250 slices of 184 × 334 take 1 MB instead of 55.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydicom.uid import DeflatedExplicitVRLittleEndian

import synth
from synth.core.errors import InputError
from synth.core.volume import same_grid
from synth.dataset.writers.dicom_common import MANUFACTURER, code_item, mark, save, uid_of
from synth.dataset.writers.dicom_ct import ct_headers, slice_order
from synth.dataset.writers.dicom_dx import dx_dataset
from synth.dataset.writers.segment_codes import meaning_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray
    from pydicom.dataset import Dataset

    from synth.core.record import Sample, ScanSample
    from synth.core.volume import Labels

__all__ = ["SegmentationKind", "write_ct_seg", "write_dx_seg"]

SegmentationKind = Literal["binary", "labelmap"]
"""How label maps are stored: a frame for every structure in every slice, or, as newer readers know, one a slice."""

# A segmentation must tell a date and a time: always the same, which says nothing.
_NO_DATE, _NO_TIME = "19000101", "000000"


def write_ct_seg(
    path: Path, sample: ScanSample, name: str, *, uid_seed: str, kind: SegmentationKind = "binary"
) -> bool:
    """Writes a label map of a CT as a segmentation of the series that `write_ct_series` writes, atomically.

    A frame takes some 3 ms, mostly of what stands beside its pixels: a binary segmentation of a hundred structures in
    250 slices has 7000, a labelmap 250.

    Args:
        path: Where to; its folder is made where missing.
        sample: The CT with its maps.
        name: Which of its maps.
        uid_seed: The one that the series was written with.
        kind: How it is stored.

    Returns:
        Whether there is anything in the map; where not, nothing is written.

    Raises:
        InputError: highdicom is missing, the map lies on another grid, or the file cannot be written.
    """
    labels = sample.maps[name]
    if not same_grid(sample.volume, labels):
        raise InputError(f"sample {sample.index}: map {name!r} does not lie on the CT's grid; resample it first")
    planes, names = _numbered(labels)
    if not names:
        return False
    planes = planes[list(slice_order(sample.volume))]
    headers = ct_headers(sample, uid_seed=uid_seed)
    _save(path, headers, planes, names, ("segmentation", str(sample.index), name), uid_seed, kind)
    return True


def write_dx_seg(path: Path, sample: Sample, *, uid_seed: str) -> bool:
    """Writes the masks of a radiograph as a segmentation of the object that `write_dx` writes, atomically.

    Args:
        path: Where to; its folder is made where missing.
        sample: The radiograph with its masks.
        uid_seed: The one that the radiograph was written with.

    Returns:
        Whether any mask has a pixel; where none has, nothing is written.

    Raises:
        InputError: highdicom is missing, or the file cannot be written.
    """
    masks = [mask for mask in sample.masks if mask.array.any()]
    if not masks:
        return False
    stack = np.stack([mask.array for mask in masks], axis=-1)[None].astype(np.uint8)
    header = dx_dataset(sample, uid_seed=uid_seed)
    _save(path, [header], stack, [mask.name for mask in masks], ("segmentation", str(sample.index)), uid_seed)
    return True


def _numbered(labels: Labels) -> tuple[NDArray[Any], list[str]]:
    """The map with the labels that occur numbered 1, 2, …, and their names."""
    counts = np.bincount(labels.array.ravel())
    present = [value for value in np.flatnonzero(counts).tolist() if value]
    table = np.zeros(len(counts), np.uint8 if len(present) < 256 else np.uint16)
    table[present] = np.arange(1, len(present) + 1)
    return table[labels.array], [labels.names.get(value) or f"label_{value}" for value in present]


def _save(
    path: Path,
    sources: Sequence[Dataset],
    pixels: NDArray[Any],
    names: Sequence[str],
    identity: tuple[str, ...],
    uid_seed: str,
    kind: SegmentationKind = "binary",
) -> None:
    hd = _highdicom()
    segmentation: Dataset = hd.seg.Segmentation(
        sources,
        pixels,
        kind.upper(),
        [_segment(hd, number, name) for number, name in enumerate(names, start=1)],
        series_instance_uid=uid_of(uid_seed, *identity, "series"),
        series_number=int(sources[0].SeriesNumber),
        sop_instance_uid=uid_of(uid_seed, *identity),
        instance_number=1,
        manufacturer=MANUFACTURER,
        manufacturer_model_name=MANUFACTURER,
        software_versions=synth.__version__,
        device_serial_number="0",
        content_description="Synthetic",
        content_label="SYNTHETIC",
        content_date=_NO_DATE,
        content_time=_NO_TIME,
        series_description="Masks of a synthetic image",
        specific_character_set="ISO_IR 192",
    )
    if "PatientOrientation" in sources[0]:  # of a radiograph, which has no place in space
        segmentation.PatientOrientation = sources[0].PatientOrientation
    _tidy(segmentation, uid_of(uid_seed, *identity, "dimensions"))
    segmentation.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    save(path, segmentation)


def _highdicom() -> Any:
    try:
        return importlib.import_module("highdicom")
    except ImportError as error:
        raise InputError(
            "segmentations need highdicom, which is not installed: pip install 'radsynth[dicom]'"
        ) from error


def _segment(hd: Any, number: int, name: str) -> Any:
    meaning = meaning_of(name)
    algorithm = hd.AlgorithmIdentificationSequence(MANUFACTURER, meaning.category, synth.__version__)
    label = name[:64].replace("\\", "/")  # what the LO representation allows
    segment = hd.seg.SegmentDescription(
        number, label, meaning.category, meaning.type, hd.seg.SegmentAlgorithmTypeValues.AUTOMATIC, algorithm
    )
    if meaning.side is not None:
        side = meaning.side
        item = segment.SegmentedPropertyTypeCodeSequence[0]
        item.SegmentedPropertyTypeModifierCodeSequence = [code_item(side.value, side.scheme_designator, side.meaning)]
    return segment


def _tidy(segmentation: Dataset, dimensions: str) -> None:
    """Marks it as synthetic, and takes out what would differ from run to run."""
    mark(segmentation)
    del segmentation.InstanceCreationDate, segmentation.InstanceCreationTime
    for item in (*segmentation.DimensionOrganizationSequence, *segmentation.DimensionIndexSequence):
        item.DimensionOrganizationUID = dimensions
    for item in segmentation.SegmentSequence:
        # Optional, and its list of families has none for masks that are known rather than found.
        item.pop("SegmentationAlgorithmIdentificationSequence", None)
    for item in segmentation.ContributingEquipmentSequence:
        item.pop("ContributionDateTime", None)
