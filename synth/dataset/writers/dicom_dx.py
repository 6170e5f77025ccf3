"""Radiographs as DICOM: Digital X-Ray Image Storage – For Presentation (PS3.3 A.26, modules C.8.11).

Nothing in an object tells of a person, a time, a machine or a file. Identifiers derive from a seed and the sample, so
that equal samples give equal bytes.
"""

from __future__ import annotations

import hashlib
import io
import math
from typing import TYPE_CHECKING

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import UID, DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian

import synth
from synth.core.errors import InputError
from synth.core.files import write_bytes
from synth.dataset.writers.dicom_views import View, view_of

if TYPE_CHECKING:
    from pathlib import Path

    from synth.core.record import Record, Sample

__all__ = ["dx_dataset", "write_dx"]

_NOMINAL_FIELD_MM = 430.0
"""Long side of a 35 × 43 cm cassette: the detector's pixel spacing is mandatory, also where nobody knows it."""

_CHEST = ("816094009", "SCT", "Chest")


def dx_dataset(sample: Sample, *, uid_seed: str) -> Dataset:
    """A radiograph as a DX object.

    Images whose source names one patient ("ct:NAME") share patient and study with the others of that source; an image
    of a nameless source ("phantom", "cxr") is its own patient. Stored values are the image's 16 bits, shown over their
    full range. The pixel spacing is nominal (430 mm field) and said to be so where the sample has none.

    Args:
        sample: Image (h, w), uint16, brighter = more attenuation. Of the geometry, "source_detector_mm",
            "source_isocentre_mm", "primary_angle_deg" (0 = detector at the patient's front, positive towards the
            patient's left, 180 = at the back), "secondary_angle_deg" (positive towards the head) and "kvp" are used
            where given; without angles the view's name decides.
        uid_seed: What tells this dataset from others.

    Raises:
        InputError: The image is not 2D uint16, or the view is unknown.
    """
    if sample.image.dtype != np.uint16 or sample.image.ndim != 2 or 0 in sample.image.shape:
        found = f"{sample.image.dtype} {sample.image.shape}"
        raise InputError(f"sample {sample.index}: expected a uint16 image (h, w), got {found}")
    view = view_of(sample.record.view, sample.geometry)
    subject = sample.record.source if ":" in sample.record.source else f"{sample.record.source}#{sample.index}"
    ds = Dataset()
    _identify(ds, sample.index, subject, uid_seed)
    _describe_patient(ds, sample.record, hashlib.sha256(f"{uid_seed}/{subject}".encode()).hexdigest()[:12])
    _describe_image(ds, sample)
    _describe_anatomy(ds, sample)
    _describe_detector(ds, sample)
    _describe_beam(ds, sample, view)
    ds.AcquisitionContextSequence = Sequence()
    _store_pixels(ds, sample)
    return ds


def write_dx(path: Path, sample: Sample, *, uid_seed: str) -> None:
    """Writes `dx_dataset` as a DICOM file (explicit VR, little endian), atomically; equal input gives equal bytes.

    Raises:
        InputError: As `dx_dataset`, or the file cannot be written.
    """
    ds = dx_dataset(sample, uid_seed=uid_seed)
    stream = io.BytesIO()  # pydicom would hide why a file cannot be written
    ds.save_as(stream, enforce_file_format=True)
    write_bytes(path, stream.getvalue())


def _identify(ds: Dataset, index: int, subject: str, uid_seed: str) -> None:
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.file_meta.MediaStorageSOPClassUID = DigitalXRayImageStorageForPresentation
    ds.file_meta.MediaStorageSOPInstanceUID = _uid(uid_seed, "image", str(index))
    ds.SOPClassUID = DigitalXRayImageStorageForPresentation
    ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID
    ds.StudyInstanceUID = _uid(uid_seed, "study", subject)
    ds.SeriesInstanceUID = _uid(uid_seed, "series", str(index))
    ds.StudyID = "1"
    ds.SeriesNumber = int(index) + 1
    ds.InstanceNumber = 1
    for keyword in ("StudyDate", "StudyTime", "ContentDate", "ContentTime", "AccessionNumber"):
        setattr(ds, keyword, "")
    ds.ReferringPhysicianName = ""
    ds.StudyDescription = "Synthetic radiographs"
    ds.Modality = "DX"
    ds.PresentationIntentType = "FOR PRESENTATION"
    ds.Manufacturer = "radsynth"
    ds.ManufacturerModelName = "radsynth"
    ds.SoftwareVersions = synth.__version__


def _describe_patient(ds: Dataset, record: Record, digest: str) -> None:
    ds.PatientName = f"SYNTHETIC^{digest}"
    ds.PatientID = f"SYNTHETIC-{digest}"
    ds.PatientBirthDate = ""
    ds.PatientSex = record.sex if record.sex in {"F", "M", "O"} else ""
    if record.age is not None and 0 <= record.age < 1000:
        # The standard's age strings have three digits: infants are told in months.
        ds.PatientAge = f"{int(record.age * 12):03d}M" if record.age < 2 else f"{int(record.age):03d}Y"


def _describe_image(ds: Dataset, sample: Sample) -> None:
    ds.ImageType = ["DERIVED", "PRIMARY"]
    ds.DerivationDescription = f"Synthetic radiograph computed by radsynth {synth.__version__}"
    ds.ImageComments = "Synthetic image, not acquired from a patient"
    if sample.pixel_spacing_mm is None:
        ds.ImageComments += f"; pixel spacing nominal ({_NOMINAL_FIELD_MM:g} mm field)"
    ds.BurnedInAnnotation = "NO"
    ds.QualityControlImage = "NO"
    ds.LossyImageCompression = "00"
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
    ds.AnatomicRegionSequence = Sequence([_code(*_CHEST)] if chest else [])
    ds.ImageLaterality = "U"
    if chest:
        ds.BodyPartExamined = "CHEST"


def _describe_detector(ds: Dataset, sample: Sample) -> None:
    nominal = _NOMINAL_FIELD_MM / max(sample.image.shape)
    ds.DetectorType = ""
    ds.ImagerPixelSpacing = [_decimal(mm) for mm in sample.pixel_spacing_mm or (nominal, nominal)]


def _describe_beam(ds: Dataset, sample: Sample, view: View) -> None:
    ds.SeriesDescription = f"Synthetic radiograph {sample.record.view}"
    ds.PatientOrientation = list(view.patient_orientation)
    if view.position:
        ds.ViewPosition = view.position
    code = _code(*view.code)
    code.ViewModifierCodeSequence = Sequence([_code(*view.modifier)] if view.modifier else [])
    ds.ViewCodeSequence = Sequence([code])
    ds.PositionerType = "CARM"  # the one whose angles the standard defines
    ds.PositionerPrimaryAngle = _decimal(view.primary_deg)
    ds.PositionerSecondaryAngle = _decimal(view.secondary_deg)
    known = {key: float(value) for key, value in sample.geometry.items() if math.isfinite(value) and value > 0}
    detector, isocentre = known.get("source_detector_mm"), known.get("source_isocentre_mm")
    if detector:
        ds.DistanceSourceToDetector = _decimal(detector)
    if isocentre:
        ds.DistanceSourceToPatient = _decimal(isocentre)
    if detector and isocentre:
        ds.EstimatedRadiographicMagnificationFactor = _decimal(detector / isocentre)
    if "kvp" in known:
        ds.KVP = _decimal(known["kvp"])


def _store_pixels(ds: Dataset, sample: Sample) -> None:
    ds.SamplesPerPixel = 1
    ds.PhotometricInterpretation = "MONOCHROME2"
    ds.Rows, ds.Columns = sample.image.shape
    # Always all 16: bits fitted to each image would give each image a window of its own.
    ds.BitsAllocated = ds.BitsStored = 16
    ds.HighBit = 15
    ds.PixelRepresentation = 0
    ds.add_new("PixelData", "OW", sample.image.astype("<u2").tobytes())


def _code(value: str, scheme: str, meaning: str) -> Dataset:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = value, scheme, meaning
    return code


def _uid(*parts: str) -> UID:
    digest = hashlib.sha256("\0".join(parts).encode()).digest()
    # The 128 bits of a random UUID (RFC 9562, version 8: "custom"), as PS3.5 B.2 wants them under 2.25.
    number = int.from_bytes(digest[:16], "big")
    number = number & ~(0xF << 76) & ~(0x3 << 62) | 0x8 << 76 | 0x2 << 62
    return UID(f"2.25.{number}")


def _decimal(value: float) -> str:
    return format(value, ".10g")  # at most 16 characters, as the DS representation allows
