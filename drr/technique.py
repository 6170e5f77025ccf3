"""How a radiograph is taken: tube, detector, grid, dose and processing; and the presets.

Presets follow usual adult technique (European Commission, EUR 16260, European Guidelines on Quality Criteria for
Diagnostic Radiographic Images, 1996: chest at 100–150 kV, total filtration ≥ 3 mm Al, grid ratio 10 to 12, 180 cm).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from synth.core.errors import InputError
from synth.core.values import from_mapping
from synth.drr.detector import DETECTORS, Detector
from synth.drr.presentation import Processing
from synth.drr.scatter import GRIDS
from synth.drr.spectrum import Tube

if TYPE_CHECKING:
    import numpy as np

__all__ = ["PRESETS", "Technique", "random_technique", "technique"]


@dataclass(frozen=True)
class Technique:
    """All of a radiograph but the body and the view.

    Attributes:
        tube: How the tube is run; its mAs count where `detector_kerma_ugy` is None.
        detector: The panel.
        grid: Name of the anti-scatter grid in synth.drr.scatter.GRIDS, "none" for none.
        detector_kerma_ugy: Automatic exposure: the mAs are those that give the body's shadow this median air kerma at
            the detector, by the calibration of the exposure index; None takes the tube's.
        scatter: Whether scattered radiation reaches the detector.
        noise: Whether quanta and electronics make noise.
        source_detector_mm: Distance; None for the view's usual one.
        processing: From raw image to picture.
    """

    tube: Tube = field(default_factory=Tube)
    detector: Detector = field(default_factory=Detector)
    grid: str = "none"
    detector_kerma_ugy: float | None = 2.5
    scatter: bool = True
    noise: bool = True
    source_detector_mm: float | None = None
    processing: Processing = field(default_factory=Processing)

    def __post_init__(self) -> None:
        if self.grid not in GRIDS:
            raise InputError(f"grid must be one of {', '.join(GRIDS)}, got {self.grid!r}")
        if self.detector_kerma_ugy is not None and not 1e-4 <= self.detector_kerma_ugy <= 1e4:
            raise InputError(f"detector_kerma_ugy must be 0.0001 to 10000, got {self.detector_kerma_ugy}")
        if self.source_detector_mm is not None and not 100 <= self.source_detector_mm <= 10000:
            raise InputError(f"source_detector_mm must be 100 to 10000, got {self.source_detector_mm}")

    def changed(self, values: Mapping[str, Any]) -> Technique:
        """The technique with some values replaced, from plain data: {"tube": {"kvp": 100}, "grid": "8:1", …}.

        Raises:
            InputError: An unknown key (the message names the nearest), or a value that its part refuses.
        """
        return from_mapping(self, values, "technique")

    def plain(self) -> dict[str, Any]:
        """Every value as plain JSON."""
        return {f.name: _plain(getattr(self, f.name)) for f in fields(self)}


def _filters(**mm: float) -> Mapping[str, float]:
    return MappingProxyType(mm)


# Grey levels of lung, mediastinum and abdomen, and detail, as in real frontal films: docs/realism.md.
_FILM = Processing(percentiles=(0.05, 99.95), curve="linear", contrast=0.9, gamma=1.4)
_CHEST = Technique(
    tube=Tube(kvp=120, filtration_mm=_filters(aluminium=3.0, copper=0.1)),
    grid="10:1",
    source_detector_mm=1800,
    processing=_FILM,
)
PRESETS: Mapping[str, Technique] = MappingProxyType(
    {
        "chest-pa": _CHEST,
        "chest-lateral": replace(_CHEST, tube=replace(_CHEST.tube, kvp=125)),
        "chest-ap-portable": Technique(
            tube=Tube(kvp=90, filtration_mm=_filters(aluminium=3.0)),
            grid="none",
            source_detector_mm=1100,
            processing=_FILM,
        ),
        "fluoroscopy": Technique(
            tube=Tube(kvp=75, filtration_mm=_filters(aluminium=3.0, copper=0.2)),
            grid="10:1",
            detector_kerma_ugy=0.02,
            source_detector_mm=1100,
            processing=Processing(contrast=0.5),
        ),
        "raw": replace(_CHEST, processing=Processing(curve="linear", contrast=0.0, percentiles=(0.0, 100.0))),
    }
)
"""Techniques by name; "raw" is that of chest-pa with nothing done to the picture but the logarithm."""


def technique(name: str) -> Technique:
    """A preset by its name.

    Raises:
        InputError: Unknown name; the message lists those that are known.
    """
    if name not in PRESETS:
        raise InputError(f"unknown preset {name!r}: use one of {', '.join(PRESETS)}")
    return PRESETS[name]


def random_technique(generator: np.random.Generator) -> Technique:
    """A technique drawn for training: what varies between hospitals, devices and vendors' processing.

    Potential 60 to 140 kV, filtration, grid, dose over two orders of magnitude, converter, and the picture's window,
    curve, contrast and inversion of tone within what is seen in practice.
    """
    low, high = generator.uniform(0.0, 6.0), generator.uniform(98.5, 100.0)
    return Technique(
        tube=Tube(
            kvp=float(generator.uniform(60, 140)),
            filtration_mm=_filters(
                aluminium=float(generator.uniform(2.5, 4.0)), copper=float(generator.choice([0.0, 0.1, 0.2]))
            ),
            heel=bool(generator.random() < 0.5),
        ),
        detector=DETECTORS[str(generator.choice(sorted(DETECTORS)))],
        grid=str(generator.choice(["none", "6:1", "8:1", "10:1", "12:1"])),
        detector_kerma_ugy=float(10 ** generator.uniform(-0.5, 1.3)),
        processing=Processing(
            curve=str(generator.choice(["linear", "sigmoid"])),
            contrast=float(generator.uniform(0.0, 1.0)),
            percentiles=(float(low), float(high)),
            gamma=float(2 ** generator.uniform(-0.7, 0.7)),
        ),
    )


def _plain(value: Any) -> Any:
    if isinstance(value, Tube | Detector | Processing):
        return {f.name: _plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, Mapping):
        return dict(value)
    return list(value) if isinstance(value, tuple) else value
