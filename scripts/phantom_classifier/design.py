"""The design: who is drawn, with which findings, and how the film is taken. It is balanced, and no population.

Half of the bodies are healthy. The others have films with one finding (7 of 10) or two, of classes drawn evenly,
whatever the body's sex and age, each of moderate grade or size, at a side and a place drawn evenly.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from synth.anatomy.population import Wish
from synth.anatomy.vocabulary import KINDS, locations
from synth.core.record import Finding
from synth.core.seeds import sample_generator

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np

AGE_GROUPS = MappingProxyType({"under 40": (18, 40), "40 to 64": (40, 65), "65 and over": (65, 91)})
"""Name → first year, and the year after the last."""

_TOGETHER = {
    "nodule": ("nodule", "spiculated nodule", "lobulated nodule", "calcified nodule", "ground-glass nodule"),
    "mass": ("mass", "cavitary mass"),
    "edema": ("interstitial edema", "alveolar edema"),
    "pneumothorax": ("pneumothorax", "tension pneumothorax"),
    "rib fracture": ("rib fracture", "healing rib fracture"),
}
_LUMPED = {kind: name for name, kinds in _TOGETHER.items() for kind in kinds}

CLASS_OF: Mapping[str, str] = MappingProxyType({kind: _LUMPED.get(kind, kind) for kind in KINDS})
"""Kind → the class that a classifier tells; kinds that look alike or are rare share one."""

CLASSES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {name: tuple(kind for kind in KINDS if CLASS_OF[kind] == name) for name in dict.fromkeys(CLASS_OF.values())}
)
"""Class → its kinds."""

SIDED = frozenset(name for name, kinds in CLASSES.items() if any("left" in KINDS[kind].lateralities for kind in kinds))
"""Classes that are on one side of the patient, or on both."""

_SIZES_CM = MappingProxyType({"calcified nodule": (1.0, 1.5), "nodule": (2.0, 3.0), "mass": (4.0, 6.0)})
_HEALTHY, _TWO = 0.5, 0.3
_MARGINS_MM = ((30.0, 45.0, 42.0), 12.0)  # from the lungs to the field's edge along x, y, z, and how much that varies


@dataclass(frozen=True)
class Body:
    """One body of the design.

    Attributes:
        number: Which; all that is random follows from it and the seed.
        wish: Sex and age.
        films: Findings of every film; none for a healthy body.
        technique: What differs from the preset chest-pa.
        margins_mm: From the lungs to the field's edge: low and high x, y, z.
    """

    number: int
    wish: Wish
    films: tuple[tuple[Finding, ...], ...]
    technique: Mapping[str, Any]
    margins_mm: tuple[tuple[float, float, float], tuple[float, float, float]]

    @property
    def split(self) -> str:
        """What the body is used for: 7 of 10 to train, 1 to stop in time, 2 to test."""
        return (("train",) * 7 + ("validation",) + ("test",) * 2)[self.number % 10]


def draw_body(seed: int, number: int, films: int) -> Body:
    """The body of that number, with that many films if it has findings."""
    generator = sample_generator(seed, number, "design")
    first, end = _choice(list(AGE_GROUPS.values()), generator)
    wish = Wish(_choice("FM", generator), float(generator.integers(first, end)), "", "PA", ())
    technique = {
        "tube": {"kvp": float(generator.uniform(100, 130))},
        "detector_kerma_ugy": float(2.5 * 2 ** generator.uniform(-0.5, 0.5)),
        "processing": {
            "gamma": float(1.4 * 2 ** generator.uniform(-0.2, 0.2)),
            "contrast": float(generator.uniform(0.75, 1.0)),
        },
    }
    usual, varied = _MARGINS_MM
    low, high = (tuple(float(mm + generator.uniform(-varied, varied)) for mm in usual) for _ in range(2))
    healthy = generator.random() < _HEALTHY
    found = () if healthy else tuple(_draw_findings(generator) for _ in range(films))
    return Body(number, wish, found, technique, (low, high))


def _draw_findings(generator: np.random.Generator) -> tuple[Finding, ...]:
    names = generator.choice(list(CLASSES), 2 if generator.random() < _TWO else 1, replace=False)
    return tuple(_moderate(_choice(CLASSES[name], generator), generator) for name in names)


def _moderate(kind: str, generator: np.random.Generator) -> Finding:
    entry = KINDS[kind]
    side = _choice(list(entry.lateralities), generator)
    least, most = _SIZES_CM.get(kind, _SIZES_CM.get(CLASS_OF[kind], (0.0, 0.0)))
    grades = [grade for grade in entry.severities if grade == "moderate"] or list(entry.severities)
    return Finding(
        name=entry.name,
        laterality=side,
        location=_choice(locations(kind, side), generator),
        size_cm=round(float(generator.uniform(least, most)), 1) if entry.size_cm else None,
        severity=_choice(grades, generator),
        kind=kind,
    )


def _choice(options: Sequence[Any], generator: np.random.Generator) -> Any:
    """One of them, evenly; None of none. One draw either way."""
    share = generator.random()
    return options[int(share * len(options))] if options else None
