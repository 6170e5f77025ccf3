"""Phantoms as a dataset of CTs with label maps, records and reports."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

import synth
from synth.anatomy.findings.burn import with_devices
from synth.anatomy.reports import write_prompt, write_report
from synth.anatomy.scanner import scanned
from synth.core.errors import InputError
from synth.core.record import ScanSample
from synth.core.seeds import sample_generator
from synth.dataset.engines.local import LocalEngine
from synth.dataset.folder import DatasetFolder
from synth.dataset.patients.phantoms import finding_maps

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from synth.anatomy.scan import Scan
    from synth.anatomy.scanner import Scanner
    from synth.core.volume import Labels
    from synth.dataset.patients.phantoms import Phantoms

__all__ = ["PhantomJob"]


@dataclass(frozen=True)
class PhantomJob:
    """Which phantoms to draw, and as what kind of CT.

    Attributes:
        phantoms: The patients.
        supine: Whether they lie, arms up, as in a scanner; else they stand, arms beside.
        phase: Of the contrast medium, see synth.anatomy.tissue.PHASES.
        shape: Voxels along z, y, x; default: all of the body.
        scanner: What a scanner makes of it; None: as drawn.
    """

    phantoms: Phantoms
    supine: bool = True
    phase: str = "none"
    shape: tuple[int, int, int] | None = None
    scanner: Scanner | None = None

    def __post_init__(self) -> None:
        if self.phantoms.masks == "groups":
            raise InputError("masks of CTs are label maps: all, or none")

    def recipe(self) -> dict[str, Any]:
        """All that decides the samples, as plain JSON."""
        scanner = None
        if self.scanner is not None:
            scanner = {"protocol": vars(self.scanner.protocol), "noise": self.scanner.noise}
        return self.phantoms.recipe() | {
            "command": "phantom",
            "seed": self.phantoms.seed,
            "supine": self.supine,
            "phase": self.phase,
            "shape": None if self.shape is None else list(self.shape),
            "scanner": scanner,
        }

    def run(self, root: Path, *, resume: bool, workers: int = 1) -> Iterator[int]:
        """Makes the dataset at `root`, or what is missing of it; yields the index of every sample once it is safe.

        Args:
            root: The folder.
            resume: Go on with what is there.
            workers: Processes.

        Raises:
            InputError: The folder cannot be used, or a finding that was asked for cannot be drawn.
        """
        folder = DatasetFolder.open(
            root, self.recipe(), n_samples=self.phantoms.n, resume=resume, image_format="nifti", claim=False
        )
        shares = [[index] for index in folder.pending()]
        for written in LocalEngine(workers).run(self, folder, shares, warn=lambda _: None):
            yield written.index
        folder.finish()

    def samples(self, indices: Sequence[int], *, warn: Callable[[str], None] = lambda _: None) -> Iterator[ScanSample]:
        """The phantoms of those numbers; there is nothing to warn of."""
        return map(self.sample, indices)

    def sample(self, index: int) -> ScanSample:
        """The phantom of that number."""
        patient = self.phantoms.patient(index)
        scan = self.phantoms.scan(patient, supine=self.supine, arms_up=self.supine, phase=self.phase, shape=self.shape)
        record = patient.record(scan)
        words = sample_generator(self.phantoms.seed, index, "report")
        record = replace(
            record,
            report=write_report(replace(record, view="AP" if self.supine else "PA"), words),
            prompt=write_prompt(record, words),
            generator=f"synth phantom {synth.__version__}",
        )
        scan = replace(scan, volume=with_devices(scan))
        if self.scanner is not None:
            scan = scanned(
                scan, self.scanner, int(sample_generator(self.phantoms.seed, index, "scanner").integers(2**63))
            )
        return ScanSample(
            index, scan.volume, _maps(scan) if self.phantoms.masks == "all" else {}, record, _measures(scan)
        )


def _maps(scan: Scan) -> dict[str, Labels]:
    maps = {"total": scan.labels}
    if scan.parts is not None:
        maps["parts"] = scan.parts
    found = finding_maps(scan, lambda number: scan.seen[number].finding.kind or "", devices=True)
    return maps | {f"findings{number or ''}": one for number, one in enumerate(found)}


def _measures(scan: Scan) -> dict[str, float]:
    spacing = scan.volume.spacing
    return {f"spacing_{axis}_mm": float(np.round(edge, 6)) for axis, edge in zip("xyz", spacing, strict=True)}
