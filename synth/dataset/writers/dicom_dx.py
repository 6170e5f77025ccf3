"""Radiographs as DICOM: Digital X-Ray Image Storage – For Presentation (PS3.3 A.26, modules C.8.11)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from pydicom.sequence import Sequence
from pydicom.uid import DigitalXRayImageStorageForPresentation

import synth
from synth.core.errors import InputError
from synth.dataset.writers.dicom_common import code_item, decimal, new_object, save, uid_of
from synth.dataset.writers.dicom_views import View, view_of

if TYPE_CHECKING:
    from pathlib import Path

    from pydicom.dataset import Dataset
    from pydicom.uid import UID

    from synth.core.record import Sample

__all__ = ["dx_dataset", "write_dx"]

_NOMINAL_FIELD_MM = 430.0
"""Long side of a 35 × 43 cm cassette: the detector's pixel spacing is mandatory, also where nobody knows it."""

_CHEST = ("816094009", "SCT", "Chest")


def dx_dataset(sample: Sample, *, uid_seed: str, part: str = "") -> Dataset:
    """A radiograph as a DX object.

    Stored values are the image's 16 bits, shown over their full range. The pixel spacing is nominal (430 mm field) and
    said to be so where the sample has none.

    Args:
        sample: Image (h, w), uint16, brighter = more attenuation. Of the geometry, "source_detector_mm",
            "source_isocentre_mm", "primary_angle_deg" (0 = detector at the patient's front, positive towards the
            patient's left, 180 = at the back), "secondary_angle_deg" (positive towards the head) and "kvp" are used
            where given; without angles the view's name decides.
        uid_seed: What tells this dataset from others.
        part: What tells it from other radiographs of the same index, which are of one patient and study.

    Raises:
        InputError: The image is not 2D uint16, or the view is unknown.
    """
    if sample.image.dtype != np.uint16 or sample.image.ndim != 2 or 0 in sample.image.shape:
        found = f"{sample.image.dtype} {sample.image.shape}"
        raise InputError(f"sample {sample.index}: expected a uint16 image (h, w), got {found}")
    view = view_of(sample.record.view, sample.geometry)
    own = (str(sample.index), part) if part else (str(sample.index),)
    instance = ("image", *own)
    ds = new_object(DigitalXRayImageStorageForPresentation, instance, sample.record, sample.index, uid_seed=uid_seed)
    _identify(ds, sample.index, uid_of(uid_seed, "series", *own))
    _describe_image(ds, sample)
    _describe_anatomy(ds, sample)
    _describe_detector(ds, sample)
    _describe_beam(ds, sample, view)
    ds.AcquisitionContextSequence = Sequence()
    _store_pixels(ds, sample)
    return ds


def write_dx(path: Path, sample: Sample, *, uid_seed: str, part: str = "") -> None:
    """Writes `dx_dataset` as a DICOM file (explicit VR, little endian), atomically; equal input gives equal bytes.

    Raises:
        InputError: As `dx_dataset`, or the file cannot be written.
    """
    save(path, dx_dataset(sample, uid_seed=uid_seed, part=part))


def _identify(ds: Dataset, index: int, series: UID) -> None:
    ds.SeriesInstanceUID = series
    ds.SeriesNumber = int(index) + 1
    ds.InstanceNumber = 1
    ds.ContentDate = ds.ContentTime = ""
    ds.StudyDescription = "Synthetic radiographs"
    ds.Modality = "DX"
    ds.PresentationIntentType = "FOR PRESENTATION"


def _describe_image(ds: Dataset, sample: Sample) -> None:
    ds.ImageType = ["DERIVED", "PRIMARY"]
    ds.DerivationDescription = f"Synthetic radiograph computed by radsynth {synth.__version__}"
    if sample.pixel_spacing_mm is None:
        ds.ImageComments += f"; pixel spacing nominal ({_NOMINAL_FIELD_MM:g} mm field)"
    ds.QualityControlImage = "NO"
    ds.PixelIntensityRelationship = "LOG"
    ds.PixelIntensityRelationshipSign = -1  # brighter = more attenuation = less beam (C.8.11.3.1.2)
    ds.RescaleIntercept = "0"
    ds.RescaleSlope = "1"
    ds.RescaleType = "US"
    ds.PresentationLUTShape = "IDENTITY"
    ds.WindowCenter = "32768"  # with this width the linear VOI function is x / 65535 (C.11.2.1.2.1)
    ds.WindowWidth = "65536"


def _describe_anatomy(ds: Dataset, sample: Sample) -> None:
    lungs = any(mask.name.startswith(("lung", "rib_", "heart")) and mask.array.any() for mask in sample.masks)
    chest = lungs or sample.record.source.startswith("cxr")
    ds.AnatomicRegionSequence = Sequence([code_item(*_CHEST)] if chest else [])
    ds.ImageLaterality = "U"
    if chest:
        ds.BodyPartExamined = "CHEST"


def _describe_detector(ds: Dataset, sample: Sample) -> None:
    nominal = _NOMINAL_FIELD_MM / max(sample.image.shape)
    ds.DetectorType = ""
    ds.ImagerPixelSpacing = [decimal(mm) for mm in sample.pixel_spacing_mm or (nominal, nominal)]


def _describe_beam(ds: Dataset, sample: Sample, view: View) -> None:
    ds.SeriesDescription = f"Synthetic radiograph {sample.record.view}"
    ds.PatientOrientation = list(view.patient_orientation)
    if view.position:
        ds.ViewPosition = view.position
    code = code_item(*view.code)
    code.ViewModifierCodeSequence = Sequence([code_item(*view.modifier)] if view.modifier else [])
    ds.ViewCodeSequence = Sequence([code])
    ds.PositionerType = "CARM"  # the one whose angles the standard defines
    ds.PositionerPrimaryAngle = decimal(view.primary_deg)
    ds.PositionerSecondaryAngle = decimal(view.secondary_deg)
    known = {key: float(value) for key, value in sample.geometry.items() if math.isfinite(value) and value > 0}
    detector, isocentre = known.get("source_detector_mm"), known.get("source_isocentre_mm")
    if detector:
        ds.DistanceSourceToDetector = decimal(detector)
    if isocentre:
        ds.DistanceSourceToPatient = decimal(isocentre)
    if detector and isocentre:
        ds.EstimatedRadiographicMagnificationFactor = decimal(detector / isocentre)
    if "kvp" in known:
        ds.KVP = decimal(known["kvp"])


def _store_pixels(ds: Dataset, sample: Sample) -> None:
    ds.SamplesPerPixel = 1
    ds.PhotometricInterpretation = "MONOCHROME2"
    ds.Rows, ds.Columns = sample.image.shape
    # Always all 16: bits fitted to each image would give each image a window of its own.
    ds.BitsAllocated = ds.BitsStored = 16
    ds.HighBit = 15
    ds.PixelRepresentation = 0
    ds.add_new("PixelData", "OW", sample.image.astype("<u2").tobytes())
