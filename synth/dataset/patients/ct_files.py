"""CTs in files, as the patients of a radiograph job."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from synth.anatomy.findings.base import add_finding
from synth.anatomy.scan import Scan
from synth.core.errors import InputError
from synth.core.reading import file_stem, read_labels, read_volume
from synth.core.record import Record
from synth.core.seeds import sample_generator
from synth.dataset.patients.phantoms import subject_of
from synth.dataset.patients.structures import GROUPS, Masks, combined
from synth.dataset.patients.subject import Subject
from synth.drr.body import without_couch

if TYPE_CHECKING:
    from pathlib import Path

    from synth.core.record import Finding
    from synth.core.volume import Labels, Volume

__all__ = ["CtFiles"]


@dataclass(frozen=True)
class CtFiles:
    """CTs, and a label map for each or for none.

    Attributes:
        cts: DICOM folders or files.
        labels: Label maps in the same order.
        label_names: A table of label names for all maps (CSV or JSON); default: a sidecar, or TotalSegmentator's.
        masks: Whether to read the label maps, and which masks to make of them.
        couch: Whether the couch stays in the picture; else all but the body becomes air.
        check_hu: Whether to refuse volumes that do not look like HU.
        findings: What to put into every CT; needs label maps. The patients lie, as in a scanner.
        seed: Root of what findings draw.
        named: Whether to call CTs by their files' names, or by their numbers, as names of files often name patients.
    """

    cts: tuple[Path, ...]
    labels: tuple[Path, ...] = ()
    label_names: Path | None = None
    masks: Masks = "all"
    couch: bool = True
    check_hu: bool = True
    findings: tuple[Finding, ...] = ()
    seed: int = 0
    named: bool = True

    def __post_init__(self) -> None:
        if not self.cts:
            raise InputError("no CT given: name a DICOM folder, or a NIfTI, MHA or NRRD file; or --phantom N for none")
        if self.labels and len(self.labels) != len(self.cts):
            raise InputError(f"{len(self.labels)} label maps for {len(self.cts)} CTs: give one each, in order")
        if self.findings and not self.labels:
            raise InputError("--findings: tells where organs are from label maps; give --labels, one map for each CT")

    @property
    def names(self) -> list[str]:
        """What to call each CT: its file's name without suffixes, numbered where two are alike; or its number."""
        if not self.named:
            return [str(number) for number in range(len(self.cts))]
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
        """All that decides them, as plain JSON without paths."""
        cases = [
            {"ct": name, "bytes": _size(ct)} | ({"labels_bytes": _size(self.labels[i])} if self.labels else {})
            for i, (name, ct) in enumerate(zip(self.names, self.cts, strict=True))
        ]
        added = {"findings": [vars(finding) for finding in self.findings]} if self.findings else {}
        return added | {
            "cases": cases,
            "couch": self.couch,
            "masks": self.masks if self.labels else "none",
            "label_names": None if self.label_names is None else _digest(self.label_names),
        }

    def check(self, root: Path) -> None:
        """Refuses files that are not there, and an output folder within a CT's."""
        for path in (*self.cts, *self.labels):
            if not path.exists():
                raise InputError(f"{path}: no such file or folder")
            if path.is_dir() and root.resolve().is_relative_to(path.resolve()):
                raise InputError(f"{root}: lies in the CT's folder {path}; choose another place for the output")

    def posture(self, view: str) -> str:
        """A CT's patient lies as it does."""
        return ""

    def read(self, number: int, posture: str) -> Subject:
        """The CT of that number.

        Raises:
            InputError: A file that cannot be used.
        """
        return self.subject(number, *self.load(number, labelled=self.masks != "none" or bool(self.findings)))

    def load(self, number: int, *, labelled: bool) -> tuple[Volume, tuple[Labels, ...]]:
        """The CT of that number, and its label map if wanted and there: the same whatever the findings and the seed.

        Raises:
            InputError: A file that cannot be used.
        """
        volume = replace(read_volume(self.cts[number], check_hu=self.check_hu), name=self.names[number])
        if not self.couch:
            volume = without_couch(volume)
        wanted = self.labels[number : number + 1] if labelled else ()
        maps = tuple(read_labels(path, volume, self.label_names) for path in wanted)
        return volume, maps if self.named else tuple(replace(labels, name=volume.name) for labels in maps)

    def subject(self, number: int, volume: Volume, maps: tuple[Labels, ...]) -> Subject:
        """The patient of that number, of what `load` has read.

        Raises:
            InputError: A finding that cannot be drawn, or no label in a group.
        """
        if self.findings:
            return self._with_findings(number, volume, maps[0])
        subject = Subject(volume, record=Record(view="", source=f"ct:{volume.name}"))
        if self.masks == "none" or not maps:
            return subject
        whole = replace(subject, maps=maps)
        return whole if self.masks == "all" else self._grouped(whole)

    def _with_findings(self, number: int, volume: Volume, labels: Labels) -> Subject:
        scan = Scan(volume, labels, supine=True)
        for turn, finding in enumerate(self.findings):
            scan = add_finding(scan, finding, sample_generator(self.seed, number, "finding", str(turn)))
        found = tuple(seen.finding for seen in scan.seen)
        return replace(subject_of(scan, self.masks), record=Record("", findings=found, source=f"ct:{volume.name}"))

    def _grouped(self, subject: Subject) -> Subject:
        maps, sums = combined(subject.maps, GROUPS)
        if not maps:
            named = ", ".join(GROUPS)
            raise InputError(f"{subject.maps[0].name}: no label belongs to {named}; use --masks all")
        return replace(subject, maps=maps, sums=sums)


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
