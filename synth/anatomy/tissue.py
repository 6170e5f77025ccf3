"""What tissues look like in CT at 120 kV: mean, texture, and what contrast agent adds.

The table tables/tissues.csv gives, for each tissue, its mean, how much that mean differs between persons, the texture
within (standard deviation and correlation length of what is there besides scanner noise) and what each phase of
contrast adds. Its source column names these; values without a source and all spreads are textbook ranges, or ours:

Abramowitz et al. 2009, AJR 192:618. Agatston et al. 1990, JACC 15:827. Araki et al. 2016, Eur Radiol 26:15. Bae 2010,
Radiology 256:32. Boutin & Lenchik 2020, AJR 215:582. Collins et al. 2001, Ulster Med J 70:116. Imanishi et al. 2000, J
Comput Assist Tomogr 24:322. Lamba et al. 2014, AJR 203:1013. Schneider et al. 2000, Phys Med Biol 45:459. Wittram 2007,
AJR 188:1255. Yoshizumi et al. 1999, Radiology 211:283. Zach et al. 2012, Invest Radiol 47:596.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass, replace
from importlib.resources import files
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from synth.core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from synth.anatomy.build import Build

__all__ = ["PHASES", "TISSUES", "Tissue", "mean_hu", "tissue_of", "tissues"]

PHASES = ("none", "arterial", "portal", "pulmonary")
"""Without contrast agent; aortic angiography (25 to 35 s), portal venous (70 s), pulmonary angiography (15 to 20 s)."""

_CUT = 2.5
_ENHANCEMENT_SD = 0.15
"""Log-normal spread of enhancement between persons: iodine per body weight and cardiac output differ (ours)."""


@dataclass(frozen=True)
class Tissue:
    """One tissue.

    Attributes:
        hu: Mean.
        texture_sd: Standard deviation within the tissue, HU, without scanner noise.
        correlation_mm: Distance over which the texture decays (its Gaussian blur's standard deviation).
        source: Where the numbers come from.
    """

    hu: float
    texture_sd: float
    correlation_mm: float
    source: str


@dataclass(frozen=True)
class _Row:
    tissue: Tissue
    person_sd: float
    added: Mapping[str, float]  # phase → HU


def _rows() -> dict[str, _Row]:
    text = files("synth.anatomy").joinpath("tables", "tissues.csv").read_text(encoding="utf-8")
    return {
        row["tissue"]: _Row(
            Tissue(float(row["hu"]), float(row["texture_sd"]), float(row["correlation_mm"]), row["source"]),
            float(row["person_sd"]),
            {"none": 0.0} | {phase: float(row[phase]) for phase in PHASES[1:]},
        )
        for row in csv.DictReader(text.splitlines())
    }


_TABLE = _rows()

TISSUES: Mapping[str, Tissue] = MappingProxyType({name: row.tissue for name, row in _TABLE.items()})
"""Tissue → its look in the default man, without contrast agent."""

# What a build says of a tissue's mean; all slopes but the first three are ours.
_BY_BUILD: Mapping[str, Callable[[Build, float], float]] = MappingProxyType(
    {
        "lung": lambda build, hu: build.lung_hu,
        "trabecular": lambda build, hu: build.trabecular_hu,
        "trabecular_rib": lambda build, hu: 0.6 * build.trabecular_hu,
        "marrow": lambda build, hu: hu - 0.5 * (build.age - 30),
        "muscle": lambda build, hu: hu - 0.2 * max(build.age - 40, 0) - 15 * max(build.visceral_fat - 0.3, 0),
        "liver": lambda build, hu: hu - 30 * max(build.visceral_fat - 0.4, 0),
        "pancreas": lambda build, hu: hu - 0.2 * max(build.age - 40, 0),
        "thymus": lambda build, hu: float(np.interp(build.age, (20, 50), (40, -90))),
        "blood": lambda build, hu: hu - 2.5 * build.female,
    }
)


def tissues(build: Build, phase: str = "none", generator: np.random.Generator | None = None) -> Mapping[str, Tissue]:
    """The tissues of one person in one phase of contrast.

    Args:
        build: Gives lung and trabecular bone; age, sex and visceral fat shift some others.
        phase: One of PHASES.
        generator: Draws the differences between persons, the same number of draws whatever the arguments; all blood
            shares one, its haematocrit. None: the mean person.

    Returns:
        Tissue → its look; the keys are those of TISSUES.

    Raises:
        InputError: An unknown phase.
    """
    if phase not in PHASES:
        raise InputError(f"unknown contrast phase {phase!r}; there are {', '.join(PHASES)}")
    drawn = np.zeros(len(_TABLE) + 1) if generator is None else generator.standard_normal(len(_TABLE) + 1)
    *own, dose = np.clip(drawn, -_CUT, _CUT).tolist()
    residuals = dict(zip(_TABLE, own, strict=True))
    factor = float(np.exp(_ENHANCEMENT_SD * dose))
    return MappingProxyType({name: _one(name, build, residuals, factor, phase) for name in _TABLE})


def mean_hu(of: Mapping[str, Tissue]) -> dict[str, float]:
    """Tissue → mean HU, as the builders of organs want it."""
    return {name: tissue.hu for name, tissue in of.items()}


_OF_ORGAN = MappingProxyType(
    {
        "autochthon": "muscle", "skeletal_muscle": "muscle", "iliopsoas": "muscle", "diaphragm": "diaphragm",
        "subcutaneous_fat": "fat_subcutaneous", "torso_fat": "fat_visceral", "pericardial_fat": "fat_mediastinal",
        "skin": "skin", "lung": "lung", "heart": "myocardium", "liver": "liver", "spleen": "spleen", "kidney": "kidney",
        "pancreas": "pancreas", "stomach": "stomach_contents", "colon": "bowel_contents", "duodenum": "bowel_wall",
        "small_bowel": "bowel_contents", "gallbladder": "gallbladder", "adrenal_gland": "adrenal",
        "breast": "breast_gland", "thyroid_gland": "thyroid", "esophagus": "oesophagus", "intervertebral_discs": "disc",
        "spinal_cord": "spinal_cord",
        "costal_cartilages": "cartilage", "couch": "couch_core", "vertebrae": "trabecular", "rib": "trabecular_rib",
        "sternum": "trabecular_rib", "scapula": "trabecular_rib", "clavicula": "trabecular_rib",
        "humerus": "trabecular_rib",
    }
)  # fmt: skip


def tissue_of(label: str) -> str:
    """The tissue whose texture an organ shows, by its label: the longest beginning that is known; else blood's."""
    known = [start for start in _OF_ORGAN if label.startswith(start)]
    return _OF_ORGAN[max(known, key=len)] if known else "blood"


def _one(name: str, build: Build, residuals: Mapping[str, float], factor: float, phase: str) -> Tissue:
    row, shared = _TABLE[name], "blood" if name.startswith("blood") else name
    mean = _BY_BUILD[shared](build, row.tissue.hu) if shared in _BY_BUILD else row.tissue.hu
    hu = mean + row.person_sd * residuals[shared] + factor * row.added[phase]
    return replace(row.tissue, hu=hu)
