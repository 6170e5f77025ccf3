"""Phantoms of a population: the patients of a run, and how a radiograph job sees them."""

from __future__ import annotations

import importlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from synth.anatomy.labels import LOBES, STRUCTURES, TISSUES
from synth.anatomy.patient import admit
from synth.anatomy.population import Population
from synth.core.errors import InputError
from synth.core.seeds import sample_generator
from synth.core.volume import Labels
from synth.dataset.patients.structures import GROUPS, Masks, combined
from synth.dataset.patients.subject import Subject

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from synth.anatomy.patient import Patient
    from synth.anatomy.scan import Scan
    from synth.core.record import Finding

__all__ = ["Phantoms", "finding_maps", "subject_of"]

_MOST = 10_000_000
_VOXEL_MM = (0.5, 5.0)  # what a body can be drawn at
_FIELD = np.array([(0.11, -0.35, 0.25), (0.11, -0.35, 0.11)])
"""Margins about the lungs, as shares of their size: right, front, below; left, back, above. The medians of real films,
see docs/realism.md."""
_POSTURES = {"standing": (False, False), "arms up": (True, False), "lying": (False, True)}
"""Posture → whether arms are up, and whether the patient lies on the back."""


@dataclass(frozen=True)
class Phantoms:
    """Which patients to draw.

    Attributes:
        n: How many.
        seed: Root of all that is drawn.
        population: Who comes, and with what.
        population_name: What to call it in dataset.json.
        population_digest: SHA-256 of its file, if it has one.
        sex: "F" or "M"; default as the population has it.
        ages: Youngest and oldest; default as the population has it.
        race: Default as the population has it.
        findings: Default as the population has them; () for none.
        spacing_mm: Voxel edge.
        masks: Which masks radiographs get; CTs get label maps or "none".
        on_gpu: Whether to paint on the GPU: the same bits.
    """

    n: int
    seed: int = 0
    population: Population = field(default_factory=Population.default)
    population_name: str = "default"
    population_digest: str = ""
    sex: str | None = None
    ages: tuple[float, float] | None = None
    race: str | None = None
    findings: tuple[Finding, ...] | None = None
    spacing_mm: float = 1.5
    masks: Masks = "all"
    on_gpu: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.n <= _MOST:
            raise InputError(f"the number of phantoms must be 1 to {_MOST}, got {self.n}")
        if not _VOXEL_MM[0] <= self.spacing_mm <= _VOXEL_MM[1]:
            raise InputError(f"--voxel must be {_VOXEL_MM[0]:g} to {_VOXEL_MM[1]:g} mm, got {self.spacing_mm:g}")
        if self.ages is not None and not 18 <= self.ages[0] <= self.ages[1] <= 95:
            raise InputError(f"--age must lie within 18 to 95 years, got {self.ages[0]:g} to {self.ages[1]:g}")

    @property
    def names(self) -> list[str]:
        """What to call each."""
        return [f"phantom {number}" for number in range(self.n)]

    def recipe(self) -> dict[str, Any]:
        """All that decides them, as plain JSON."""
        findings = None if self.findings is None else [vars(finding) for finding in self.findings]
        return {
            "phantoms": self.n,
            "population": self.population_name,
            "population_digest": self.population_digest,
            "sex": self.sex,
            "ages": None if self.ages is None else list(self.ages),
            "race": self.race,
            "findings": findings,
            "spacing_mm": self.spacing_mm,
            "masks": self.masks,
        }

    def check(self, root: Path) -> None:
        """Nothing has to be there."""

    def posture(self, view: str) -> str:
        """Arms are raised for a lateral, and a portable AP is taken lying."""
        return {"LATERAL": "arms up", "RLATERAL": "arms up", "AP": "lying"}.get(view, "standing")

    def patient(self, number: int) -> Patient:
        """The patient of that number."""
        wish = self.population.sample(self.seed, number)
        changes: dict[str, Any] = {}
        if self.sex is not None:
            changes["sex"] = self.sex
        if self.ages is not None:
            low, high = self.ages
            age = sample_generator(self.seed, number, "age").uniform(low, high)
            changes["age"] = float(np.clip(round(age), low, high))
        if self.race is not None:
            changes["race"] = self.race
        if self.findings is not None:
            changes["findings"] = self.findings
        return admit(replace(wish, **changes), self.seed, number, strict=self.findings is not None)

    def read(self, number: int, posture: str) -> Subject:
        """The patient of that number, drawn in that posture.

        Raises:
            InputError: A finding that was asked for and cannot be drawn.
        """
        patient = self.patient(number)
        arms_up, supine = _POSTURES[posture]
        scan = self.scan(patient, arms_up=arms_up, supine=supine)
        return replace(subject_of(scan, self.masks), focus=_chest(scan), record=patient.record(scan), report=True)

    def scan(
        self,
        patient: Patient,
        *,
        arms_up: bool,
        supine: bool,
        phase: str = "none",
        shape: tuple[int, int, int] | None = None,
    ) -> Scan:
        """The CT of a patient, painted where the job runs; see `Phantom.voxelise`.

        Raises:
            InputError: A finding that was asked for and cannot be drawn.
        """
        body = patient.phantom(arms_up=arms_up, supine=supine, phase=phase)
        xp = importlib.import_module("cupy") if self.on_gpu else np
        return patient.scan(body, spacing_mm=self.spacing_mm, shape=shape, xp=xp)


def subject_of(scan: Scan, masks: Masks = "all") -> Subject:
    """A scan before the tube.

    Args:
        scan: CT, labels and findings.
        masks: "all" has every label, part, group and finding; "groups" groups and findings, in one map.
    """
    subject = Subject(scan.volume, objects=_objects(scan))
    if masks == "none":
        return subject
    found = finding_maps(scan, _key, devices=False)  # devices are drawn as meshes, with masks of their own
    titles = {_key(number): f"finding:{seen.finding.kind}" for number, seen in enumerate(scan.seen)}
    if masks == "groups":
        maps, sums = combined([scan.labels, *found], GROUPS | {key: (key,) for key in titles})
        return replace(subject, maps=maps, sums=sums, titles=titles)
    organs = replace(scan.labels, names=_kept(scan.labels.names))
    parts = [scan.parts] if scan.parts is not None else []
    return replace(subject, maps=(organs, *parts, *found), unions=STRUCTURES, titles=titles)


def _chest(scan: Scan) -> NDArray[np.float64]:
    """(8, 3): corners of a box about the lungs, as wide as radiographers open the field for a chest."""
    lungs = scan.where(*LOBES)
    ends = [np.flatnonzero(lungs.any(axis=axes))[[0, -1]] for axes in ((0, 1), (0, 2), (1, 2))]
    corners = np.array(np.meshgrid(*ends)).reshape(3, -1).T @ scan.volume.affine[:3, :3].T + scan.volume.affine[:3, 3]
    low, high = corners.min(0), corners.max(0)
    size = high - low
    # A field is opened in one plane: what lies before and behind would magnify its margins.
    low, high = low - _FIELD[0] * size, high + _FIELD[1] * size
    return np.array(np.meshgrid(*np.stack([low, high], axis=1))).reshape(3, -1).T


def _objects(scan: Scan) -> tuple[Any, ...]:
    return tuple(placed for seen in scan.seen for placed in seen.placed)


def _kept(names: Mapping[int, str]) -> dict[int, str]:
    return {value: name for value, name in names.items() if name not in TISSUES}


def _key(number: int) -> str:
    return f"finding {number}"


def finding_maps(scan: Scan, name_of: Callable[[int], str], *, devices: bool) -> list[Labels]:
    """Findings may overlap: as many label maps as it takes for those of one map not to.

    Args:
        scan: The scan.
        name_of: Number of a finding in `scan.seen` → its label's name.
        devices: Whether those that consist of placed objects are among them.
    """
    maps: list[tuple[NDArray[np.uint8], dict[int, str]]] = []
    for number, seen in enumerate(scan.seen):
        if seen.placed and not devices:
            continue
        free = next((each for each in maps if not each[0][seen.mask].any()), None)
        if free is None:
            free = (np.zeros(scan.volume.shape, np.uint8), {})
            maps.append(free)
        array, names = free
        value = len(names) + 1
        array[seen.mask] = value
        names[value] = name_of(number)
    return [Labels(array, scan.volume.affine, names, "findings") for array, names in maps]
