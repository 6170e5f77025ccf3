"""Radiographs of CTs as the samples of a dataset."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from synth.core.errors import InputError
from synth.core.reading import file_stem, read_labels, read_volume
from synth.dataset.case import Case, usual_technique
from synth.dataset.folder import DatasetFolder, ImageFormat
from synth.dataset.scene import Scene
from synth.drr.attenuation import water_attenuation
from synth.drr.body import without_couch
from synth.drr.presentation import Collimation, Window
from synth.drr.technique import technique
from synth.drr.views import parse_view

if TYPE_CHECKING:
    from pathlib import Path

    from synth.core.record import Sample
    from synth.core.volume import Labels, Volume
    from synth.drr.geometry import Camera
    from synth.drr.projector import Backend
    from synth.kernels.project import Method, Model

__all__ = ["DrrJob"]

Warn = Callable[[str], None]

_LENGTHS = {"source_detector_mm": "--sdd", "source_isocentre_mm": "--sid", "field_of_view_mm": "--fov"}
_LEAST_MM, _MOST_MM = 1.0, 100_000.0


@dataclass(frozen=True)
class DrrJob:
    """Which CTs to look at, from where, and what to keep.

    Attributes:
        cts: DICOM folders or files.
        labels: One label map for each CT, or none.
        label_names: A table of label names for all maps (CSV or JSON); default: a sidecar, or TotalSegmentator's.
        views: View names, see synth.drr.views.parse_view.
        cameras: Explicit cameras instead of named views.
        shape: (h, w), pixels.
        energy_kev: Photon energy.
        backend: Where to run.
        method: How to integrate, see synth.kernels.project.
        model: What a voxel is, see synth.kernels.project.
        source_detector_mm: Source–detector distance; default: the view's usual one.
        source_isocentre_mm: Source–isocentre distance; default: the detector just behind the volume.
        field_of_view_mm: Longer side of the detector; default: what the body needs.
        preset: Technique: a name of synth.drr.technique.PRESETS; "auto", the view's usual one; "random", one drawn for
            each sample; "mono", plain line integrals at `energy_kev`.
        scene: What differs from the preset, and what is placed in the picture.
        seed: Root of all that is drawn.
        window: Line integrals (or −ln of the signal) shown as black and white; default: from the picture.
        collimation: Blades.
        couch: Whether the couch stays in the picture; else all but the body becomes air.
        masks: Whether to project the label maps.
        raw: Whether to keep line integrals, thicknesses and camera matrices.
        check_hu: Whether to refuse volumes that do not look like HU.
    """

    cts: tuple[Path, ...]
    labels: tuple[Path, ...] = ()
    label_names: Path | None = None
    views: tuple[str, ...] = ("pa", "lateral")
    cameras: tuple[Camera, ...] = ()
    shape: tuple[int, int] = (512, 512)
    energy_kev: float = 60.0
    backend: Backend = "auto"
    method: Method = "auto"
    model: Model = "trilinear"
    source_detector_mm: float | None = None
    source_isocentre_mm: float | None = None
    field_of_view_mm: float | None = None
    preset: str = "auto"
    scene: Scene = field(default_factory=Scene)
    seed: int = 0
    window: Window | None = None
    collimation: Collimation = field(default_factory=Collimation)
    couch: bool = True
    masks: bool = True
    raw: bool = False
    check_hu: bool = True

    def __post_init__(self) -> None:
        if not self.cts:
            raise InputError("no CT given: name a DICOM folder, or a NIfTI, MHA or NRRD file")
        if self.labels and len(self.labels) != len(self.cts):
            raise InputError(f"{len(self.labels)} label maps for {len(self.cts)} CTs: give one each, in order")
        if not (self.views or self.cameras):
            raise InputError("no view given: name at least one, such as pa or lateral")
        for view in self.views:
            parse_view(view)
        if self.preset not in ("auto", "random", "mono"):
            technique(self.preset)
        water_attenuation(self.energy_kev)  # refuses energies beyond its table
        for name, option in _LENGTHS.items():
            self._check_length(f"{name} ({option})", getattr(self, name))

    def _check_length(self, name: str, value: float | None) -> None:
        if value is None:
            return
        if self.cameras:
            raise InputError(f"{name}: explicit cameras have their own; give the one or the other")
        if not _LEAST_MM <= value <= _MOST_MM:
            raise InputError(f"{name} must be {_LEAST_MM:.0f} to {_MOST_MM:.0f} mm, got {value:g}")

    @property
    def samples_per_ct(self) -> int:
        """Radiographs of each CT."""
        return len(self.cameras) or len(self.views)

    @property
    def n_samples(self) -> int:
        """Radiographs of all CTs."""
        return len(self.cts) * self.samples_per_ct

    @property
    def names(self) -> list[str]:
        """What to call each CT: its file's name without suffixes, numbered where two are alike."""
        names: list[str] = []
        for path in self.cts:
            name = stem = file_stem(path)
            number = 1
            while name in names:
                number += 1
                name = f"{stem}-{number}"
            names.append(name)
        return names

    def recipe(self) -> dict[str, Any]:
        """All that decides the samples, as plain JSON without paths."""
        cases = [
            {"ct": name, "bytes": _size(ct)} | ({"labels_bytes": _size(self.labels[i])} if self.labels else {})
            for i, (name, ct) in enumerate(zip(self.names, self.cts, strict=True))
        ]
        return {
            "command": "drr",
            "cases": cases,
            "views": [view.name for view in self.cameras or map(parse_view, self.views)],
            "cameras": [camera.packed.tolist() for camera in self.cameras],
            "shape": list(self.shape),
            "preset": self.preset,
            "techniques": self._techniques(),
            "scene": dict(self.scene.plain),
            "seed": self.seed,
            "energy_kev": self.energy_kev,
            "backend": self.backend,
            "method": self.method,
            "model": self.model,
            "source_detector_mm": self.source_detector_mm,
            "source_isocentre_mm": self.source_isocentre_mm,
            "field_of_view_mm": self.field_of_view_mm,
            "window": None if self.window is None else [self.window.low, self.window.high],
            "collimation_mm": [getattr(self.collimation, side) for side in ("left", "right", "top", "bottom")],
            "couch": self.couch,
            "masks": self.masks and bool(self.labels),
            "label_names": None if self.label_names is None else _digest(self.label_names),
            "raw": self.raw,
        }

    def _techniques(self) -> dict[str, Any]:
        """Every value of every technique in use; those of "random" follow from the seed."""
        if self.preset in ("mono", "random"):
            return {}
        views = [view.name for view in self.cameras or map(parse_view, self.views)]
        names = {usual_technique(view) if self.preset == "auto" else self.preset for view in views}
        return {name: technique(name).changed(self.scene.technique).plain() for name in sorted(names)}

    def run(self, root: Path, *, resume: bool, image_format: ImageFormat, warn: Warn = lambda _: None) -> Iterator[int]:
        """Makes the dataset at `root`, or what is missing of it; yields the index of every sample once it is safe.

        Args:
            root: The folder, outside the CTs'. Nothing is made there before the first radiograph has succeeded.
            resume: Go on with what is there.
            image_format: Format of the images.
            warn: Called with what a reader mended or doubts.

        Raises:
            InputError: An input or the folder cannot be used; what was written stays and can be resumed.
        """
        for path in (*self.cts, *self.labels):
            if not path.exists():
                raise InputError(f"{path}: no such file or folder")
            if path.is_dir() and root.resolve().is_relative_to(path.resolve()):
                raise InputError(f"{root}: lies in the CT's folder {path}; choose another place for the output")
        folder = DatasetFolder.open(
            root, self.recipe(), n_samples=self.n_samples, resume=resume, image_format=image_format, claim=False
        )
        for sample in self.samples(folder.pending(), warn=warn):
            folder.write(sample)
            yield sample.index
        folder.finish()

    def samples(self, indices: Sequence[int], *, warn: Warn = lambda _: None) -> Iterator[Sample]:
        """The samples of ascending indices; the next CT is read while the last one is projected."""
        n = self.samples_per_ct
        wanted = sorted({index // n for index in indices})
        with ThreadPoolExecutor(1, thread_name_prefix="synth-read") as reader:
            reading = [reader.submit(self._read, case) for case in wanted[:1]]
            for position, case in enumerate(wanted):
                volume, labels = reading.pop().result()
                reading = [reader.submit(self._read, following) for following in wanted[position + 1 : position + 2]]
                for line in volume.warnings:
                    warn(f"{volume.name}: {line}")
                ready = Case(self, case, volume, labels)
                for index in (i for i in indices if i // n == case):
                    yield ready.sample(index)

    def _read(self, case: int) -> tuple[Volume, Labels | None]:
        volume = replace(read_volume(self.cts[case], check_hu=self.check_hu), name=self.names[case])
        if not self.couch:
            volume = without_couch(volume)
        if not (self.labels and self.masks):
            return volume, None
        return volume, read_labels(self.labels[case], volume, self.label_names)


def _digest(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise InputError(f"{path}: cannot read ({error.strerror})") from error


def _size(path: Path) -> int:
    """Bytes of a file, or of all files below a folder: tells two inputs of one name apart."""
    try:
        files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
        return sum(file.stat().st_size for file in files)
    except OSError as error:
        raise InputError(f"{path}: cannot read ({error.strerror})") from error
