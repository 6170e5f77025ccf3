"""Samples and a source that cost nothing, for tests of what is around them."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from synth.core.record import Finding, Mask, Record, Sample
from synth.core.seeds import sample_generator
from synth.dataset.source import CannotMakeError
from synth.metrics.verdicts import Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from synth.core.record import ScanSample
    from synth.dataset.request import Request
    from synth.dataset.source import Medium

RECIPE: dict[str, object] = {"kind": "drr", "seed": 7, "size": [32, 24], "views": {"n": 2}, "licence": "CC BY 4.0"}


def make(index: int) -> Sample:
    """A pure function of its index, with everything that a sample can carry."""
    rng = sample_generator(7, index)
    image = rng.integers(0, 65536, (32, 24), dtype=np.uint16)
    findings = (Finding("Pleural Effusion", "left", size_cm=2.5), Finding("Edema")) if index % 2 else ()
    report = 'Says "effusion",\nand, the end\r\n' if index % 2 else ""
    view = ("PA", "LATERAL")[index % 2]
    record = Record(view, "F", 63.0, findings=findings, report=report, source="ct:name", seed=2**63 + 5)
    masks = (Mask("heart", image > 30000), Mask("lung_left", image > 70000 - 100 * index))
    geometry = {"kvp": 120.0, "source_detector_mm": 1800.5} | ({"tilt_deg": 1.5} if index % 2 else {})
    return Sample(index, image, record, masks, (0.3, 0.4), geometry, {"line_integral": rng.random((1, 32, 24))})


@dataclass(frozen=True)
class Toys:
    """Noise of its own brightness, frontal then lateral; some cases come out blank, and some seeds give none."""

    each: int = 2
    batch: int = 1
    medium: Medium = "image"
    size: int = 24
    blank: float = 0.3
    none: float = 0.1
    seconds: float = 0.0

    def recipe(self) -> dict[str, Any]:
        return {"kind": "toys"}

    def check(self, root: Path) -> None:
        """There are no inputs."""

    def make(
        self, requests: Sequence[Request], *, warn: Callable[[str], None] = lambda _: None
    ) -> Iterator[Sequence[Sample] | Sequence[ScanSample] | CannotMakeError]:
        for request in requests:
            rng = sample_generator(request.seed, "toys")
            kind = rng.uniform()
            time.sleep(self.seconds)
            if kind < self.none:
                yield CannotMakeError("it finds no place")
            else:
                yield [
                    self._sample(request, view, rng, blank=kind < self.none + self.blank) for view in range(self.each)
                ]

    def _sample(self, request: Request, view: int, rng: np.random.Generator, *, blank: bool) -> Sample:
        noise = rng.normal(rng.uniform(25_000, 40_000), 6_000, (self.size, self.size))
        image = np.full_like(noise, 30_000) if blank else np.clip(noise, 0, 65_535)
        sex = request.sex or ("F", "M")[int(rng.integers(2))]
        record = Record(
            ("PA", "LATERAL")[view % 2],
            sex,
            float(rng.integers(20, 80)) if request.age is None else request.age,
            findings=(Finding("Edema"),) if request.findings is None else request.findings,
            report="Noise,\nof \u201cno\u201d kind.",
            source="toys",
            seed=request.seed,
        )
        index = request.number * self.each + view
        heart = np.hypot(*np.mgrid[: self.size, : self.size] - self.size // 2) < self.size / 4
        return Sample(index, image.astype(np.uint16), record, (Mask("heart", heart),), geometry={"kvp": 120.0})


@dataclass(frozen=True)
class Contrast:
    """A gate that refuses what is blank."""

    def judge(self, sample: Sample) -> tuple[Verdict, ...]:
        value = float(np.ptp(sample.image))
        return (Verdict("contrast", value, 1.0, "pass" if value > 1 else "fail", f"contrast {value:.0f}"),)
