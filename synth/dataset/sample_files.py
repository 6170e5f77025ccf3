"""Where the files of one sample lie, how they are written, and what a shard takes of them."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from synth.core.errors import InputError
from synth.core.record import ScanSample
from synth.core.writing import write_labels, write_volume
from synth.dataset.writers.arrays import write_npz
from synth.dataset.writers.dicom_dx import write_dx
from synth.dataset.writers.png import write_png

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from synth.core.record import Sample
    from synth.dataset.source import Medium

__all__ = ["PER_FOLDER", "ImageFormat", "SampleFiles", "numbered"]

ImageFormat = Literal["png", "dicom", "nifti"]

_SUFFIXES: Mapping[tuple[Medium, ImageFormat], str] = {
    ("image", "png"): ".png",
    ("image", "dicom"): ".dcm",
    ("volume", "nifti"): ".nii.gz",
    ("volume", "dicom"): "",  # a folder of slices
}
PER_FOLDER = 10_000
"""Samples of one sub-folder."""


def numbered(index: int, ending: str) -> str:
    """Sub-folder and name of what belongs to one sample: "00/00000042.png"."""
    return f"{index // PER_FOLDER:02d}/{index:08d}{ending}"


@dataclass(frozen=True)
class SampleFiles:
    """The files of the samples of one dataset, without what is said of them.

    Attributes:
        root: The dataset's folder.
        image_format: Of images and volumes.
        medium: Whether samples are radiographs or CTs.
        uid_seed: What DICOM identifiers derive from.
        segmentations: Whether the masks of DICOM radiographs are written as segmentation objects, too.
    """

    root: Path
    image_format: ImageFormat
    medium: Medium
    uid_seed: str
    segmentations: bool = False

    def __post_init__(self) -> None:
        if (self.medium, self.image_format) not in _SUFFIXES:
            what = "radiographs" if self.medium == "image" else "CTs"
            known = " or ".join(kind for medium, kind in _SUFFIXES if medium == self.medium)
            raise InputError(f"image_format {self.image_format!r}: {what} are written as {known}")

    @property
    def suffix(self) -> str:
        """Ending of an image's name."""
        return _SUFFIXES[self.medium, self.image_format]

    @property
    def room(self) -> str:
        """The folder of images."""
        return "images" if self.medium == "image" else "volumes"

    def image_name(self, index: int) -> str:
        """Path of an image relative to the dataset's folder."""
        return f"{self.room}/{numbered(index, self.suffix)}"

    def view_name(self, sample: Sample) -> str:
        """Path of a radiograph of a CT relative to the dataset's folder: the CT's number and the view."""
        suffix = ".dcm" if self.image_format == "dicom" else ".png"
        return f"images/{numbered(sample.index, f'_{sample.record.view.lower()}{suffix}')}"

    def check(self, sample: Sample | ScanSample) -> None:
        """Refuses a sample of the other medium.

        Raises:
            InputError: As said.
        """
        if isinstance(sample, ScanSample) != (self.medium == "volume"):
            raise InputError(f"sample {sample.index}: a dataset of {self.room} does not take it")

    def write(self, sample: Sample | ScanSample) -> None:
        """Writes all files of a sample, the image last.

        Raises:
            InputError: The sample cannot be written, or the disk is full.
        """
        if isinstance(sample, ScanSample):
            self._write_maps(sample)
            for view in sample.views:
                self._write_view(view)
        else:
            if sample.arrays:
                write_npz(self.root / "raw" / numbered(sample.index, ".npz"), sample.arrays)
            if self.segmentations:
                from synth.dataset.writers.dicom_seg import write_dx_seg

                write_dx_seg(self._mask(sample.index, ".dcm"), sample, uid_seed=self.uid_seed)
        self._write_image(self.root / self.image_name(sample.index), sample, self.uid_seed)

    def write_rejected(self, sample: Sample | ScanSample, attempt: int) -> str:
        """Writes the image of a refused attempt; its path relative to the dataset's folder."""
        name = f"rejected/{numbered(sample.index, f'-{attempt}{self.suffix}')}"
        self._write_image(self.root / name, sample, f"{self.uid_seed}/rejected/{attempt}")
        return name

    def stored(self, index: int) -> dict[str, Path]:
        """Suffix within a shard → file, of a sample that is written as single files."""
        found = {self.suffix.removeprefix("."): self.root / self.image_name(index)}
        raw = self.root / "raw" / numbered(index, ".npz")
        if raw.is_file():
            found["npz"] = raw
        stem = f"{index:08d}_"
        return found | {path.name.removeprefix(stem): path for path in self._masks(stem, index)}

    def remove(self, index: int) -> None:
        """Removes what `stored` finds."""
        for path in self.stored(index).values():
            path.unlink(missing_ok=True)

    def remove_all(self) -> None:
        """Removes the files of all samples; refused ones stay."""
        for room in (self.room, "raw", "masks"):
            shutil.rmtree(self.root / room, ignore_errors=True)

    def _write_maps(self, sample: ScanSample) -> None:
        for name, labels in sample.maps.items():
            if self.image_format == "nifti":
                write_labels(self._mask(sample.index, f"_{name}.nii.gz"), labels)
            else:
                from synth.dataset.writers.dicom_seg import write_ct_seg

                write_ct_seg(self._mask(sample.index, f"_{name}.dcm"), sample, name, uid_seed=self.uid_seed)

    def _write_view(self, view: Sample) -> None:
        path = self.root / self.view_name(view)
        if self.image_format == "dicom":
            write_dx(path, view, uid_seed=self.uid_seed, part=view.record.view)
        else:
            write_png(path, view.image)

    def _write_image(self, path: Path, sample: Sample | ScanSample, uid_seed: str) -> None:
        if isinstance(sample, ScanSample):
            if self.image_format == "nifti":
                write_volume(path, sample.volume)
            else:
                from synth.dataset.writers.dicom_ct import write_ct_series

                write_ct_series(path, sample, uid_seed=uid_seed)
        elif self.image_format == "png":
            write_png(path, sample.image)
        else:
            write_dx(path, sample, uid_seed=uid_seed)

    def _mask(self, index: int, ending: str) -> Path:
        return self.root / "masks" / numbered(index, ending)

    def _masks(self, stem: str, index: int) -> Iterator[Path]:
        """Label maps, which only CTs have."""
        if self.medium == "volume":
            yield from sorted(self._mask(index, "").parent.glob(f"{stem}*"))
