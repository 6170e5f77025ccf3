"""One patient of a radiograph job in one posture: prepared once, then a sample for every view."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

import synth
from synth.anatomy.reports import write_prompt, write_report
from synth.core.record import Mask, Record, Sample
from synth.core.seeds import sample_generator
from synth.dataset.radiographs.poses import draw_pose, usual_spread
from synth.drr.assembly import Assembly
from synth.drr.body import body_outline
from synth.drr.exposure import Exposure, expose
from synth.drr.materials import ENERGY_KEV, material
from synth.drr.presentation import present, process
from synth.drr.projector import Projector
from synth.drr.technique import Technique, random_technique, technique
from synth.drr.tissue import channel_attenuation
from synth.drr.views import fit_camera, parse_view

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from synth.core.volume import Labels, Volume
    from synth.dataset.patients.subject import Subject
    from synth.dataset.radiographs.job import DrrJob
    from synth.dataset.radiographs.poses import Pose
    from synth.drr.geometry import Camera

__all__ = ["Case", "usual_technique"]

# What a view is usually taken with; C-arm angles are fluoroscopy.
_USUAL = {"PA": "chest-pa", "LATERAL": "chest-lateral", "RLATERAL": "chest-lateral", "AP": "chest-ap-portable"}


def usual_technique(view: str) -> str:
    """The preset that a view is usually taken with."""
    return _USUAL.get(view, "fluoroscopy")


@dataclass(frozen=True, eq=False)
class _Picture:
    """One radiograph on its way to a sample."""

    image: NDArray[np.uint16]
    line_integral: NDArray[np.float32]  # of tissue and objects at the job's energy
    log_signal: NDArray[np.float32] | None  # −ln of what a panel read
    objects: dict[str, NDArray[np.float32]]
    dose: dict[str, float]


class Case:
    """A CT, its labels and what is placed in it, ready for views of the job."""

    def __init__(self, job: DrrJob, number: int, subject: Subject, indices: Sequence[int]) -> None:
        """Prepares patient `number` of the job and checks the views of the samples to come.

        Raises:
            InputError: A view, camera or object that cannot be used with this patient.
        """
        volume = subject.volume
        self._job, self._subject = job, subject
        self.mono = job.preset == "mono"
        origin = np.zeros(3)
        if job.scene.origin == "body":
            body = body_outline(volume)
            origin = (body.min(0) + body.max(0)) / 2
        objects, inserts = job.scene.placed(origin, job.seed, number)
        self._assembly = Assembly(volume, subject.maps, (*objects, *subject.objects), inserts)
        kept = self._assembly.tissue[1]
        self._projector = self._project_with(volume, kept, self._assembly.displaced)
        self._inserts = [self._project_with(insert.placed[0]) for insert in inserts]
        self._poses: dict[int, Pose] = {}
        self.cameras = {index: self._camera(index) for index in indices}
        self._projector.check(list(self.cameras.values()))
        for camera in self.cameras.values():
            job.collimation.open_field(camera.shape, camera.pitch_mm)

    def sample(self, index: int) -> Sample:
        """The sample of one index of the job."""
        camera = self.cameras[index]
        field = self._job.collimation.open_field(camera.shape, camera.pitch_mm)
        picture = self._mono(camera, field) if self.mono else self._physics(index, camera, field)
        thickness = self._thickness(camera)
        masks = self._masks(thickness)
        masks += self._assembly.object_masks(camera, background=picture.line_integral)
        geometry = {"source_detector_mm": camera.source_detector_mm, **picture.dose}
        if camera.source_isocentre_mm is not None:
            geometry["source_isocentre_mm"] = camera.source_isocentre_mm
        geometry["primary_angle_deg"], geometry["secondary_angle_deg"] = camera.angles
        if index in self._poses:
            geometry |= self._poses[index].columns
        return Sample(
            index=index,
            image=picture.image,
            record=self._record(camera.name, index),
            masks=tuple(Mask(mask.name, mask.array & field) for mask in masks if (mask.array & field).any()),
            pixel_spacing_mm=camera.pitch_mm,
            geometry={key: round(value, 6) for key, value in geometry.items()},
            arrays=_raw_arrays(camera, picture, thickness) if self._job.raw else {},
        )

    def _record(self, view: str, index: int) -> Record:
        generator = f"synth drr {synth.__version__}"
        record = replace(self._subject.record, view=view, generator=generator, seed=self._job.seed)
        if not self._subject.report:
            return record
        words = sample_generator(self._job.seed, index, "report")
        return replace(record, report=write_report(record, words), prompt=write_prompt(record, words))

    def _thickness(self, camera: Camera) -> dict[str, NDArray[np.float32]]:
        """Structure → (h, w), mm along each ray, for the structures that the view meets."""
        lengths, sums = self._projector.thickness(camera), self._subject.sums
        if not sums:
            return lengths
        met = {name: [lengths[member] for member in members if member in lengths] for name, members in sums.items()}
        return {name: np.sum(parts, axis=0, dtype=np.float32) for name, parts in met.items() if parts}

    def _masks(self, thickness: dict[str, NDArray[np.float32]]) -> list[Mask]:
        titles = self._subject.titles
        masks = [Mask(titles.get(name, name), lengths > 0) for name, lengths in thickness.items()]
        for name, members in self._subject.unions.items():
            met = [thickness[member] > 0 for member in members if member in thickness]
            if met:
                masks.append(Mask(name, np.logical_or.reduce(met)))
        return masks

    def _camera(self, index: int) -> Camera:
        view = self._job.view_of(index)
        return self._job.cameras[view] if self._job.cameras else self._fitted(self._job.views[view], index)

    def _project_with(
        self, volume: Volume, labels: tuple[Labels, ...] = (), displaced: NDArray[np.float32] | None = None
    ) -> Projector:
        job = self._job
        return Projector(
            volume,
            labels,
            calibration=None if self.mono else job.scene.calibration,
            energy_kev=job.energy_kev,
            backend=job.backend,
            method=job.method,
            model=job.model,
            displaced=displaced,
        )

    def _technique(self, view: str, index: int) -> Technique:
        """How a sample is taken."""
        name = self._job.preset
        if name == "auto":
            name = usual_technique(view)
        if name == "random":
            base = random_technique(sample_generator(self._job.seed, index, "technique"))
        else:
            base = technique(name)
        return base.changed(self._job.scene.technique)

    def _fitted(self, view: str, index: int) -> Camera:
        job, parsed = self._job, parse_view(view)
        focus = self._projector.outline if self._subject.focus is None else self._subject.focus
        place = (focus, self._projector.corners, job.shape)
        sid, fov = job.source_isocentre_mm, job.field_of_view_mm
        if job.poses:
            pose = draw_pose(usual_spread(parsed.name), sample_generator(job.seed, index, "pose"))
            self._poses[index] = pose
            fixed = job.source_detector_mm or job.scene.technique.get("source_detector_mm")
            return pose.camera(parsed, *place, source_detector_mm=fixed, source_isocentre_mm=sid, field_of_view_mm=fov)
        usual = None if self.mono else self._technique(parsed.name, index).source_detector_mm
        sdd = job.source_detector_mm or usual
        return fit_camera(parsed, *place, source_detector_mm=sdd, source_isocentre_mm=sid, field_of_view_mm=fov)

    def _mono(self, camera: Camera, field: NDArray[np.bool_]) -> _Picture:
        """Line integrals at one energy, shown through a window."""
        objects = self._assembly.object_lengths(camera)
        tissue = self._projector.line_integrals([camera])[0]
        for insert in self._seen_inserts(camera):
            tissue = tissue + insert.line_integrals([camera])[0]
        total = self._with_objects(tissue, objects)
        return _Picture(present(total, self._job.window, field)[0], total, None, objects, {})

    def _physics(self, index: int, camera: Camera, field: NDArray[np.bool_]) -> _Picture:
        """A radiograph as a panel reads and a vendor shows it."""
        how = self._technique(camera.name, index)
        objects = self._assembly.object_lengths(camera)
        integrals = self._projector.tissue_integrals([camera])[0]
        for insert in self._seen_inserts(camera):
            integrals = integrals + insert.tissue_integrals([camera])[0]
        seed = int(sample_generator(self._job.seed, index, "noise").integers(2**63))
        taken = expose(how, camera, integrals, self._projector.outline, objects=objects, seed=seed)
        image = process(
            taken.log_signal,
            taken.shadow,
            how.processing,
            pitch_mm=camera.pitch_mm[1],
            window=self._job.window,
            field=field,
        )
        tissue = np.einsum("chw,c->hw", integrals, channel_attenuation(self._job.energy_kev).astype(np.float32))
        return _Picture(image, self._with_objects(tissue, objects), taken.log_signal, objects, _dose(how, taken))

    def _seen_inserts(self, camera: Camera) -> list[Projector]:
        """Further volumes may lie outside a view; the CT may not."""
        return [insert for insert in self._inserts if insert.meets(camera)]

    def _with_objects(
        self, tissue: NDArray[np.float32], objects: dict[str, NDArray[np.float32]]
    ) -> NDArray[np.float32]:
        total = tissue
        for name, lengths in objects.items():
            at_energy = np.interp(self._job.energy_kev, ENERGY_KEV, material(name).attenuation)
            total = total + np.float32(at_energy) * lengths
        return total


def _dose(how: Technique, taken: Exposure) -> dict[str, float]:
    return {
        "kvp": how.tube.kvp,
        "mas": taken.mas,
        "half_value_layer_mm": taken.half_value_layer_mm,
        "entrance_kerma_ugy": taken.entrance_kerma_ugy,
        "detector_kerma_ugy": taken.detector_kerma_ugy,
        "exposure_index": taken.exposure_index,
    }


def _raw_arrays(camera: Camera, picture: _Picture, thickness: dict[str, NDArray[np.float32]]) -> dict[str, Any]:
    """A radiograph's .npz: line integral, −ln of the signal, float16 thicknesses (n, h, w) in mm, camera matrices."""
    arrays: dict[str, Any] = {
        "line_integral": picture.line_integral,
        "K": camera.K,
        "world_to_camera": camera.world_to_camera,
        "source_origin_du_dv": camera.packed,
    }
    if picture.log_signal is not None:
        arrays["log_signal"] = picture.log_signal
    lengths = thickness | {f"object:{material}": length for material, length in picture.objects.items()}
    if lengths:
        arrays["structures"] = np.array(list(lengths))
        arrays["thickness"] = np.stack([length.astype(np.float16) for length in lengths.values()])
    return arrays
