"""A patient: a person with findings, whose scan can be had in any posture and at any voxel size."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from synth.anatomy.findings.base import add_finding
from synth.anatomy.person import draw_person
from synth.anatomy.phantom import phantom
from synth.anatomy.vocabulary import default_kind
from synth.core.errors import InputError
from synth.core.record import Record
from synth.core.seeds import sample_generator

if TYPE_CHECKING:
    from synth.anatomy.person import Person
    from synth.anatomy.phantom import Phantom
    from synth.anatomy.population import Wish
    from synth.anatomy.scan import Scan
    from synth.core.record import Finding

__all__ = ["Patient", "admit"]

# What moves organs comes before what fills them, and devices, which follow organs, come last.
_ORDER = (
    "cardiomegaly", "enlarged mediastinum", "hiatal hernia", "emphysema", "atelectasis", "tension pneumothorax",
    "pneumothorax",
)  # fmt: skip
_LAST = (
    "endotracheal tube", "nasogastric tube", "central venous catheter", "chest drain", "pacemaker", "sternal wires",
)  # fmt: skip


@dataclass(frozen=True)
class Patient:
    """One patient of a run; everything follows from the person, the wishes, the root seed and the id.

    Attributes:
        person: Who.
        wishes: What is to be found, in the order in which it is drawn; every kind is known.
        root_seed: The run's seed.
        sample_id: Which patient of the run.
        strict: Whether a finding that cannot be drawn is an error; otherwise it is left out, and not recorded.
    """

    person: Person
    wishes: tuple[Finding, ...]
    root_seed: int
    sample_id: str | int
    strict: bool = False

    def phantom(self, *, arms_up: bool | None = None, supine: bool = False, phase: str = "none") -> Phantom:
        """The healthy body; see `synth.anatomy.phantom.phantom`."""
        return phantom(self.person, self.root_seed, self.sample_id, arms_up=arms_up, supine=supine, phase=phase)

    def scan(
        self, body: Phantom, *, spacing_mm: float = 1.5, shape: tuple[int, int, int] | None = None, xp: Any = np
    ) -> Scan:
        """The body's CT with all findings; see `Phantom.voxelise` for the arguments.

        Raises:
            InputError: A finding that cannot be drawn, if `strict`; a voxel size that is not meant.
        """
        scan = body.voxelise(spacing_mm=spacing_mm, shape=shape, xp=xp)
        for number, wish in enumerate(self.wishes):
            generator = sample_generator(self.root_seed, self.sample_id, "finding", str(number))
            try:
                scan = add_finding(scan, wish, generator)
            except InputError:
                if self.strict:
                    raise
        return scan

    def record(self, scan: Scan, view: str = "CT") -> Record:
        """What is known of the patient's scan."""
        return Record(
            view=view,
            sex=self.person.sex,
            age=self.person.age,
            race=self.person.race,
            height_cm=self.person.height_cm,
            weight_kg=self.person.weight_kg,
            findings=tuple(seen.finding for seen in scan.seen),
            source="phantom",
            seed=self.root_seed,
        )


def admit(wish: Wish, root_seed: int, sample_id: str | int, *, strict: bool = False) -> Patient:
    """A patient as wished; what the wish leaves open is drawn.

    Args:
        wish: Sex, age, race and findings.
        root_seed: The run's seed.
        sample_id: Which patient of the run.
        strict: See Patient.
    """
    generator = sample_generator(root_seed, sample_id, "person")
    person = draw_person(generator, sex=wish.sex, age=wish.age, race=wish.race)
    kinds = sample_generator(root_seed, sample_id, "kinds")
    known = [_with_kind(finding, kinds) for finding in wish.findings]
    wishes = sorted((finding for finding in known if finding.kind), key=_turn)
    return Patient(person, tuple(wishes), root_seed, sample_id, strict)


def _with_kind(finding: Finding, generator: np.random.Generator) -> Finding:
    if finding.kind:
        return finding
    kind = default_kind(finding.name, generator, laterality=finding.laterality, severity=finding.severity)
    return replace(finding, kind=kind)


def _turn(finding: Finding) -> int:
    kind = finding.kind or ""
    if kind in _ORDER:
        return _ORDER.index(kind)
    return len(_ORDER) + 1 + (_LAST.index(kind) if kind in _LAST else -1)
