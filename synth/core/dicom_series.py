"""Finding the CT series of a DICOM folder, and choosing one.

Only headers are read here. Nothing of the patient is read or kept; messages name files and series.
"""

from __future__ import annotations

import os
import warnings
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from synth.core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

__all__ = ["Series", "Slice", "choose_series", "find_series", "is_dicom", "quiet_pydicom"]

_CT_CLASSES = ("1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.2.1", "1.2.840.10008.5.1.4.1.1.2.2")
_TAGS: list[Any] = [
    "SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "SeriesDescription", "Modality", "ImageType", "Rows",
    "Columns", "NumberOfFrames", "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "RescaleSlope",
    "RescaleIntercept", "PixelPaddingValue", "PixelPaddingRangeLimit", "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence",
]  # fmt: skip
_DICOMDIR = "1.2.840.10008.1.3.10"
_SUFFIXES = (".dcm", ".dicom", ".ima")


@dataclass(frozen=True)
class Slice:
    """One frame of a CT file.

    Attributes:
        path: Its file.
        frame: Its number within the file, from 0.
        uid: SOP instance UID of the file.
        position: (3,), centre of the first pixel, LPS mm.
        orientation: (2, 3), unit vectors along a row (growing column) and along a column (growing row).
        spacing: (between columns, between rows), mm.
        shape: (rows, columns).
        slope: Rescale slope.
        intercept: Rescale intercept, HU.
        padding: Lowest and highest stored value that stand for no data, where given.
    """

    path: Path
    frame: int
    uid: str
    position: NDArray[np.float64]
    orientation: NDArray[np.float64]
    spacing: tuple[float, float]
    shape: tuple[int, int]
    slope: float
    intercept: float
    padding: tuple[int, int] | None


@dataclass
class Series:
    """One series of a folder.

    Attributes:
        uid: Series instance UID.
        description: The scanner's name of the series.
        modality: "CT", "MR", …
        slices: Its slices, in no order; localizers are left out.
        files: Number of files.
        localizers: Number of localizer images that were left out.
        unplaced: Number of CT images without position (screen captures, dose reports).
    """

    uid: str
    description: str
    modality: str
    slices: list[Slice] = field(default_factory=list)
    files: int = 0
    localizers: int = 0
    unplaced: int = 0

    def __str__(self) -> str:
        count = f"{len(self.slices)} slices" if self.slices else f"{self.files} files"
        extra = f", {self.localizers} localizers" if self.localizers else ""
        return f"…{self.uid[-12:]} {self.description!r} ({self.modality}, {count}{extra})"


def is_dicom(path: Path) -> bool:
    """Whether a file begins as DICOM does, with the preamble of part 10 or, without it, with group 2 or 8."""
    with path.open("rb") as file:
        head = file.read(132)
    return head[128:] == b"DICM" or (len(head) > 16 and head[:4] in (b"\x02\0\0\0", b"\x08\0\x05\0", b"\x08\0\x08\0"))


def find_series(path: Path) -> list[Series]:
    """The series of a folder, searched recursively, or of one file; in order of their UIDs.

    Raises:
        InputError: A DICOM file that cannot be read, or no DICOM file at all.
    """
    series: dict[str, Series] = {}
    for file in _dicom_files(path):
        with quiet_pydicom(file) as pydicom:
            header = pydicom.dcmread(file, force=True, stop_before_pixels=True, specific_tags=_TAGS)
            _add_file(series, file, header)
    if not series:
        raise InputError(
            f"{path}: no DICOM files in this folder; pass the CT's folder, or its .nii.gz, .mha, .nrrd file"
        )
    return [series[uid] for uid in sorted(series)]


def choose_series(path: Path, series: list[Series], series_uid: str | None = None) -> Series:
    """The one CT series of at least two slices, or the one whose UID ends with `series_uid`.

    Raises:
        InputError: None or several fit; the message lists them.
    """
    if series_uid is not None:
        chosen = [one for one in series if series_uid and one.uid.endswith(series_uid)]
        if len(chosen) != 1:
            raise InputError(f"{path}: {len(chosen)} series with UID {series_uid!r}; found {_listing(series)}")
        if len(chosen[0].slices) < 2:
            raise InputError(f"{path}: series {chosen[0]} is not a CT of at least 2 placed slices")
        return chosen[0]
    usable = [one for one in series if len(one.slices) >= 2]
    if len(usable) > 1:
        raise InputError(
            f"{path}: {len(usable)} CT series: {_listing(usable)}; put the wanted one in a folder of its own, "
            "or pass series_uid= (the end of its UID is enough)"
        )
    if usable:
        return usable[0]
    if any(one.slices for one in series) and path.is_file():
        raise InputError(f"{path}: one slice of a series; pass the folder that holds the series")
    raise InputError(f"{path}: no CT series of at least 2 placed slices; found {_listing(series)}")


@contextmanager
def quiet_pydicom(path: Path) -> Iterator[Any]:
    """The module pydicom, without its warnings; its errors within the block become InputError naming `path`."""
    import pydicom  # costs 0.2 s: only where it is used

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield pydicom
        except (InputError, MemoryError):
            raise
        except EOFError as error:
            raise InputError(f"{path}: DICOM file cut short; copy it again") from error
        except OSError as error:
            raise InputError(f"{path}: cannot read ({error.strerror or error})") from error
        except Exception as error:  # a broken file makes pydicom raise nearly anything
            raise InputError(f"{path}: DICOM file cut short or corrupted ({type(error).__name__})") from error


def _dicom_files(path: Path) -> Iterator[Path]:
    if path.is_file():
        yield path
        return
    for folder, folders, names in os.walk(path):
        folders.sort()
        for name in sorted(names):
            file = Path(folder, name)
            if not file.is_file():
                continue
            try:
                found = is_dicom(file)
            except OSError as error:
                raise InputError(f"{file}: cannot read ({error.strerror or error})") from error
            if found:
                yield file
            elif file.suffix.lower() in _SUFFIXES and not name.startswith("."):
                raise InputError(f"{file}: not a DICOM file (empty or cut short?); copy it again or remove it")


def _add_file(series: dict[str, Series], path: Path, header: Any) -> None:
    sop_class = _text(header, "SOPClassUID") or _text(header.file_meta, "MediaStorageSOPClassUID")
    if sop_class == _DICOMDIR:
        return
    uid, modality = _text(header, "SeriesInstanceUID"), _text(header, "Modality")
    is_ct = modality == "CT" or sop_class in _CT_CLASSES
    if not (uid and modality) or (sop_class in _CT_CLASSES and "Rows" not in header):
        raise InputError(f"{path}: DICOM header without series, modality or size; is the file cut short? Copy it again")
    one = series.setdefault(uid, Series(uid, _text(header, "SeriesDescription"), modality))
    one.files += 1
    for number, groups in enumerate(_frames(header) if is_ct and "Rows" in header else ()):
        if _is_localizer(groups):
            one.localizers += 1
        elif any(name not in groups for name in ("ImagePositionPatient", "ImageOrientationPatient")):
            one.unplaced += 1
        else:
            one.slices.append(_slice(path, number, groups))


class _Groups:
    """Attributes of one frame: its functional groups, then the shared ones, then the file."""

    def __init__(self, *items: Any) -> None:
        self._items = items

    def __contains__(self, name: str) -> bool:
        return self.get(name) is not None

    def get(self, name: str) -> Any:
        for item in self._items:
            value = item.get(name)
            if value is not None and value != "":
                return value
        return None


def _frames(header: Any) -> Iterator[_Groups]:
    per_frame = header.get("PerFrameFunctionalGroupsSequence")
    count = int(header.get("NumberOfFrames") or 1)
    if not per_frame:
        if count > 1:
            raise ValueError("several frames without functional groups")
        yield _Groups(header)
        return
    if len(per_frame) != count:
        raise ValueError(f"{count} frames, but {len(per_frame)} functional groups")
    shared = [_macro for group in header.get("SharedFunctionalGroupsSequence") or () for _macro in _macros(group)]
    for group in per_frame:
        yield _Groups(*_macros(group), *shared, header)


def _macros(group: Any) -> list[Any]:
    """The first item of every functional group macro."""
    return [element.value[0] for element in group if element.VR == "SQ" and element.value]


def _is_localizer(groups: _Groups) -> bool:
    kind = groups.get("FrameType") or groups.get("ImageType") or ()
    return "LOCALIZER" in ([kind] if isinstance(kind, str) else kind)


def _slice(path: Path, number: int, groups: _Groups) -> Slice:
    missing = [name for name in ("Rows", "Columns", "PixelSpacing") if name not in groups]
    if missing:
        raise InputError(f"{path}: DICOM header without {', '.join(missing)}; is the file cut short?")
    position = np.array(groups.get("ImagePositionPatient"), np.float64)
    orientation = np.array(groups.get("ImageOrientationPatient"), np.float64).reshape(2, 3)
    between_rows, between_columns = (float(value) for value in groups.get("PixelSpacing"))
    slope = float(groups.get("RescaleSlope") if "RescaleSlope" in groups else 1)
    intercept = float(groups.get("RescaleIntercept") if "RescaleIntercept" in groups else 0)
    numbers = [*position, *orientation.ravel(), between_rows, between_columns, slope, intercept]
    if len(position) != 3 or not np.isfinite(numbers).all() or min(between_rows, between_columns) <= 0 or slope == 0:
        raise InputError(f"{path}: position, orientation, spacing or rescaling is not usable; repair the header")
    if np.abs(orientation @ orientation.T - np.eye(2)).max() > 1e-3:
        raise InputError(f"{path}: row and column directions are not unit vectors at right angles; repair the header")
    return Slice(
        path, number, str(groups.get("SOPInstanceUID") or path), position,
        orientation / np.linalg.norm(orientation, axis=1, keepdims=True), (between_columns, between_rows),
        (int(groups.get("Rows")), int(groups.get("Columns"))), slope, intercept, _padding(groups),
    )  # fmt: skip


def _padding(groups: _Groups) -> tuple[int, int] | None:
    ends = [groups.get(name) for name in ("PixelPaddingValue", "PixelPaddingRangeLimit")]
    if ends[0] is None:
        return None
    values = [int.from_bytes(end, "little") if isinstance(end, bytes) else int(end) for end in ends if end is not None]
    return min(values), max(values)


def _text(header: Any, name: str) -> str:
    return str(header.get(name) or "")


def _listing(series: list[Series]) -> str:
    kinds = Counter(one.modality for one in series)
    shown = "; ".join(str(one) for one in series[:12])
    return shown if len(series) <= 12 else f"{shown}; … ({', '.join(f'{n} {kind}' for kind, n in kinds.items())})"
