"""What is said of a sample, and the sample itself."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from synth.core.volume import Labels, Volume

__all__ = ["CHEXPERT_FINDINGS", "Finding", "Mask", "Record", "Sample", "ScanSample"]

CHEXPERT_FINDINGS = (
    "No Finding",
    "Enlarged Cardiomediastinum",
    "Cardiomegaly",
    "Lung Opacity",
    "Lung Lesion",
    "Edema",
    "Consolidation",
    "Pneumonia",
    "Atelectasis",
    "Pneumothorax",
    "Pleural Effusion",
    "Pleural Other",
    "Fracture",
    "Support Devices",
)
"""The 14 observations of CheXpert (Irvin et al. 2019, arXiv:1901.07031)."""


@dataclass(frozen=True)
class Finding:
    """One finding; what is unknown is None.

    Attributes:
        name: One of CHEXPERT_FINDINGS where it applies.
        laterality: "left", "right" or "bilateral", of the patient.
        location: Free words ("lower lobe").
        size_cm: Largest diameter in cm.
        severity: Free word ("mild", "moderate", "severe").
        kind: What exactly, in a report's words ("spiculated nodule", "endotracheal tube").
    """

    name: str
    laterality: str | None = None
    location: str | None = None
    size_cm: float | None = None
    severity: str | None = None
    kind: str | None = None


@dataclass(frozen=True)
class Record:
    """What is said of a sample; what is unknown is None or empty.

    Attributes:
        view: "PA", "AP", "LATERAL", or the angles of the view ("LAO45", "RAO30CRA20"); "CT" for volumes.
        sex: "F" or "M".
        age: Years.
        race: Free text.
        height_cm: Of the body.
        weight_kg: Of the body.
        findings: What is to be seen.
        report: Report text.
        prompt: The text it was generated from.
        source: What it was made from ("ct:NAME", "phantom", "cxr", …); never a path.
        generator: The program part that made it, with its version.
        model_hash: SHA-256 of the model's weights, where a model was used.
        seed: Root seed.
    """

    view: str
    sex: str | None = None
    age: float | None = None
    race: str = ""
    height_cm: float | None = None
    weight_kg: float | None = None
    findings: tuple[Finding, ...] = ()
    report: str = ""
    prompt: str = ""
    source: str = ""
    generator: str = ""
    model_hash: str = ""
    seed: int | None = None


@dataclass(frozen=True)
class Mask:
    """A binary mask of one structure in an image; structures may overlap.

    Attributes:
        name: TotalSegmentator's name where one exists.
        array: (h, w), bool.
    """

    name: str
    array: NDArray[np.bool_]


@dataclass(frozen=True)
class Sample:
    """One image with its masks and its record.

    Attributes:
        index: Position in the dataset; file names derive from it.
        image: (h, w), uint16, brighter = more attenuation (MONOCHROME2).
        record: What is said of it.
        masks: Projected or generated structures.
        pixel_spacing_mm: Spacing of image rows and columns at the detector, mm.
        geometry: What DICOM and readers want to know of the beam: "source_detector_mm", "source_isocentre_mm",
            "primary_angle_deg", "secondary_angle_deg", "kvp", …
        arrays: Extra arrays to save beside the image, by name ("line_integral", "thickness", …).
    """

    index: int
    image: NDArray[np.uint16]
    record: Record
    masks: tuple[Mask, ...] = ()
    pixel_spacing_mm: tuple[float, float] | None = None
    geometry: Mapping[str, float] = field(default_factory=dict)
    arrays: Mapping[str, NDArray[np.generic]] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class ScanSample:
    """One CT with its label maps and its record.

    Attributes:
        index: Position in the dataset; file names derive from it.
        volume: The CT.
        maps: Name of a map ("total", "parts", "findings") → the map, on the CT's grid.
        record: What is said of it.
        measures: Further columns of its row.
        views: Radiographs of it, each of another view; their indices are the CT's.
    """

    index: int
    volume: Volume
    maps: Mapping[str, Labels]
    record: Record
    measures: Mapping[str, float] = field(default_factory=dict)
    views: tuple[Sample, ...] = ()
