"""What all DICOM objects of a dataset share: whose they are, what made them, and that they are synthetic.

Nothing in an object tells of a person, a time, a machine or a file. Identifiers derive from a seed and the sample, so
that equal samples give equal bytes.
"""

from __future__ import annotations

import hashlib
import io
from typing import TYPE_CHECKING

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian

import synth
from synth.core.files import write_bytes

if TYPE_CHECKING:
    from pathlib import Path

    from synth.core.record import Record

__all__ = ["MANUFACTURER", "code_item", "decimal", "mark", "new_object", "save", "uid_of"]

MANUFACTURER = "radsynth"


def new_object(sop_class: UID, instance: tuple[str, ...], record: Record, index: int, *, uid_seed: str) -> Dataset:
    """An object with its patient, study, equipment and synthetic mark, but no series or image.

    Images whose source names one patient ("ct:NAME") share patient and study with the others of that source; an image
    of a nameless source ("phantom", "cxr") is its own patient.

    Args:
        sop_class: What kind of object it is.
        instance: What tells it from others of this dataset.
        record: What is said of the sample: source, sex and age are used.
        index: The sample's.
        uid_seed: What tells this dataset from others.
    """
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID = sop_class
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID = uid_of(uid_seed, *instance)
    subject = record.source if ":" in record.source else f"{record.source}#{index}"
    ds.StudyInstanceUID = uid_of(uid_seed, "study", subject)
    ds.StudyID = "1"
    for keyword in ("StudyDate", "StudyTime", "AccessionNumber", "ReferringPhysicianName"):
        setattr(ds, keyword, "")
    ds.Manufacturer = ds.ManufacturerModelName = MANUFACTURER
    ds.SoftwareVersions = synth.__version__
    _describe_patient(ds, record, hashlib.sha256(f"{uid_seed}/{subject}".encode()).hexdigest()[:12])
    mark(ds)
    ds.LossyImageCompression = "00"
    return ds


def mark(ds: Dataset) -> None:
    """Says in an object that it is synthetic."""
    ds.ImageComments = "Synthetic image, not acquired from a patient"
    ds.BurnedInAnnotation = "NO"


def save(path: Path, ds: Dataset) -> None:
    """Writes an object as a DICOM file (part 10), atomically; equal input gives equal bytes.

    Raises:
        InputError: The file cannot be written.
    """
    stream = io.BytesIO()  # pydicom would hide why a file cannot be written
    ds.save_as(stream, enforce_file_format=True)
    write_bytes(path, stream.getvalue())


def code_item(value: str, scheme: str, meaning: str) -> Dataset:
    """An item of a code sequence."""
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = value, scheme, meaning
    return code


def uid_of(*parts: str) -> UID:
    """The identifier that derives from some words: always the same, and no other words'."""
    digest = hashlib.sha256("\0".join(parts).encode()).digest()
    # The 128 bits of a random UUID (RFC 9562, version 8: "custom"), as PS3.5 B.2 wants them under 2.25.
    number = int.from_bytes(digest[:16], "big")
    number = number & ~(0xF << 76) & ~(0x3 << 62) | 0x8 << 76 | 0x2 << 62
    return UID(f"2.25.{number}")


def decimal(value: float) -> str:
    """A number in at most 16 characters, as the DS representation allows."""
    return format(value + 0.0, ".10g")  # + 0.0: -0 is 0


def _describe_patient(ds: Dataset, record: Record, digest: str) -> None:
    ds.PatientName = f"SYNTHETIC^{digest}"
    ds.PatientID = f"SYNTHETIC-{digest}"
    ds.PatientBirthDate = ""
    ds.PatientSex = record.sex if record.sex in {"F", "M", "O"} else ""
    if record.age is not None and 0 <= record.age < 1000:
        # The standard's age strings have three digits: infants are told in months.
        ds.PatientAge = f"{int(record.age * 12):03d}M" if record.age < 2 else f"{int(record.age):03d}Y"
