"""Radiographs of CTs or phantoms as the samples of a dataset."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from synth.core.errors import InputError
from synth.dataset.engines.local import LocalEngine
from synth.dataset.folder import DatasetFolder, ImageFormat
from synth.dataset.radiographs.case import Case, usual_technique
from synth.dataset.radiographs.scene import Scene
from synth.drr.attenuation import water_attenuation
from synth.drr.presentation import Collimation, Window
from synth.drr.technique import technique
from synth.drr.views import parse_view

if TYPE_CHECKING:
    from pathlib import Path

    from synth.core.record import Sample
    from synth.dataset.patients.subject import Subjects
    from synth.drr.geometry import Camera
    from synth.drr.projector import Backend
    from synth.kernels.project import Method, Model

__all__ = ["DrrJob"]

Warn = Callable[[str], None]

_LENGTHS = {"source_detector_mm": "--sdd", "source_isocentre_mm": "--sid", "field_of_view_mm": "--fov"}
_LEAST_MM, _MOST_MM = 1.0, 100_000.0
_MOST_POSES = 100_000


@dataclass(frozen=True)
class DrrJob:
    """Which patients to look at, from where, and what to keep.

    Attributes:
        subjects: The patients.
        views: View names, see synth.drr.views.parse_view.
        poses: How often each view is taken, every time in a pose drawn for that sample (see `poses`); 0 takes it
            once, without a deviation.
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
        raw: Whether to keep line integrals, thicknesses and camera matrices.
    """

    subjects: Subjects
    views: tuple[str, ...] = ("pa", "lateral")
    poses: int = 0
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
    raw: bool = False

    def __post_init__(self) -> None:
        if not (self.views or self.cameras):
            raise InputError("no view given: name at least one, such as pa or lateral")
        for view in self.views:
            parse_view(view)
        if not 0 <= self.poses <= _MOST_POSES:
            raise InputError(f"poses (--poses) must be 0 to {_MOST_POSES}, got {self.poses}")
        if self.poses and self.cameras:
            raise InputError("poses (--poses): explicit cameras have their own; give the one or the other")
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
    def samples_each(self) -> int:
        """Radiographs of each patient."""
        return len(self.cameras) or len(self.views) * max(self.poses, 1)

    def view_of(self, index: int) -> int:
        """Which of the views or cameras a sample is; the poses of a view follow each other."""
        return index % self.samples_each // max(self.poses, 1)

    @property
    def n_samples(self) -> int:
        """Radiographs of all patients."""
        return len(self.subjects.names) * self.samples_each

    def recipe(self) -> dict[str, Any]:
        """All that decides the samples, as plain JSON without paths."""
        return self.subjects.recipe() | {
            "command": "drr",
            "views": [view.name for view in self.cameras or map(parse_view, self.views)],
            "poses": self.poses,
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
            "raw": self.raw,
        }

    def _techniques(self) -> dict[str, Any]:
        """Every value of every technique in use; those of "random" follow from the seed."""
        if self.preset in ("mono", "random"):
            return {}
        views = [view.name for view in self.cameras or map(parse_view, self.views)]
        names = {usual_technique(view) if self.preset == "auto" else self.preset for view in views}
        return {name: technique(name).changed(self.scene.technique).plain() for name in sorted(names)}

    def run(
        self,
        root: Path,
        *,
        resume: bool,
        image_format: ImageFormat,
        workers: int = 1,
        warn: Warn = lambda _: None,
    ) -> Iterator[int]:
        """Makes the dataset at `root`, or what is missing of it; yields the index of every sample once it is safe.

        Args:
            root: The folder, outside CTs'. Nothing is made there before the first radiograph has succeeded.
            resume: Go on with what is there.
            image_format: Format of the images.
            workers: Processes, among which patients are distributed.
            warn: Called with what a reader mended or doubts.

        Raises:
            InputError: An input or the folder cannot be used; what was written stays and can be resumed.
        """
        self.subjects.check(root)
        folder = DatasetFolder.open(
            root, self.recipe(), n_samples=self.n_samples, resume=resume, image_format=image_format, claim=False
        )
        patients = itertools.groupby(folder.pending(), key=lambda index: index // self.samples_each)
        shares = [list(indices) for _, indices in patients]
        for written in LocalEngine(workers).run(self, folder, shares, warn=warn):
            yield written.index
        folder.finish()

    def samples(self, indices: Sequence[int], *, warn: Warn = lambda _: None) -> Iterator[Sample]:
        """The samples of ascending indices; the next patient is read while the last one is projected."""
        groups = [(key, list(group)) for key, group in itertools.groupby(self._posed(indices), key=lambda one: one[0])]
        with ThreadPoolExecutor(1, thread_name_prefix="synth-read") as reader:
            reading = [reader.submit(self.subjects.read, *key) for key, _ in groups[:1]]
            for position, ((number, _), group) in enumerate(groups):
                subject = reading.pop().result()
                reading = [reader.submit(self.subjects.read, *key) for key, _ in groups[position + 1 : position + 2]]
                for line in subject.volume.warnings:
                    warn(f"{subject.volume.name}: {line}")
                indices_here = [index for _, index in group]
                ready = Case(self, number, subject, indices_here)
                for index in indices_here:
                    yield ready.sample(index)

    def _posed(self, indices: Sequence[int]) -> list[tuple[tuple[int, str], int]]:
        """((patient, posture), index), the views of one posture together."""
        names = [parse_view(view).name for view in self.views] if not self.cameras else [""] * len(self.cameras)
        postures = [self.subjects.posture(name) for name in names]
        return sorted(((index // self.samples_each, postures[self.view_of(index)]), index) for index in indices)
