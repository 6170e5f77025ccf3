"""Radiographs of phantoms with what is known of them, as the judges want them."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from phantom_classifier.design import CLASS_OF
from phantom_classifier.films import Films

from synth.core.errors import InputError
from synth.core.seeds import sample_generator
from synth.diffusion.training.data import split
from synth.diffusion.training.folder import DatasetExamples
from synth.metrics.images.sets import ImageSet
from synth.metrics.images.sources import ArraySource, Entry

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from synth.diffusion.text.conditions import Conditions

__all__ = ["FRONTAL", "Pictures", "image_set"]

FRONTAL = ("PA", "AP")
_VALIDATION = 0.12  # share of bodies that choose a judge's best epoch


@dataclass(frozen=True, eq=False)
class Pictures:
    """Radiographs.

    Attributes:
        images: (n, size, size) uint16.
        conditions: What each shows, in its first phrasing.
        findings: Of each, as Finding's fields, with the classifier's class.
        patients: Whose, after the name of their folder: as training and held-out folders have the same names, a patient
            of both is noticed.
        places: Where each lies: its set, and its number there.
        sets: Which masks are read from.
    """

    images: NDArray[np.uint16]
    conditions: tuple[Conditions, ...]
    findings: tuple[tuple[Mapping[str, Any], ...], ...]
    patients: tuple[str, ...]
    places: tuple[tuple[int, int], ...]
    sets: tuple[DatasetExamples, ...]

    @classmethod
    def read(cls, folders: Sequence[Path], size: int) -> Pictures:
        """All radiographs of dataset folders; a folder that holds such folders stands for them.

        Raises:
            InputError: There is none.
        """
        found = [folder for given in folders for folder in _datasets(given)]
        sets = tuple(DatasetExamples.open(folder) for folder in found)
        places = tuple((number, index) for number, one in enumerate(sets) for index in range(len(one)))
        return cls(
            np.stack([sets[number].image(index, size) for number, index in places]),
            tuple(sets[number].conditions(index)[0] for number, index in places),
            tuple(_findings(sets[number].rows[index]) for number, index in places),
            tuple(f"{found[number].name}:{sets[number].patient(index)}" for number, index in places),
            places,
            sets,
        )

    def __len__(self) -> int:
        return len(self.images)

    def some(self, indices: NDArray[np.int64]) -> Pictures:
        """Those at the indices."""
        chosen = {
            name: tuple(getattr(self, name)[int(index)] for index in indices)
            for name in ("conditions", "findings", "patients", "places")
        }
        return replace(self, images=self.images[indices], **chosen)

    def frontal(self) -> NDArray[np.int64]:
        """Indices of PA and AP."""
        return np.flatnonzero([one.view in FRONTAL for one in self.conditions])

    def masks(self, index: int) -> Mapping[str, NDArray[np.bool_]]:
        """Structure → (size, size)."""
        number, inner = self.places[index]
        return self.sets[number].masks(inner, self.images.shape[1])

    def bodies(self) -> NDArray[np.int64]:
        """(n,) a number for every patient."""
        return np.unique(self.patients, return_inverse=True)[1].astype(np.int64)

    def drawn(self, most: int, seed: int, purpose: str) -> NDArray[np.int64]:
        """At most so many, drawn evenly over patients: each gives its first before any gives a second."""
        rng = sample_generator(seed, purpose)
        order = rng.permutation(len(self))
        seen: dict[str, int] = {}
        turn = np.empty(len(order), np.int64)
        for place, index in enumerate(order):
            turn[place] = seen.get(self.patients[index], 0)
            seen[self.patients[index]] = int(turn[place]) + 1
        return np.sort(order[np.argsort(turn, kind="stable")][:most]).astype(np.int64)

    def films(self) -> Films:
        """For scripts/phantom_classifier: one of eight bodies or so validates, the others train."""
        held_back = split(self.patients, _VALIDATION, 0)[1]
        rows, masks, first = [], [], []
        for index, (said, found) in enumerate(zip(self.conditions, self.findings, strict=True)):
            part = "validation" if index in held_back else "train"
            rows.append({"sex": said.sex, "age": said.age, "findings": list(found), "split": part}
                        | {"role": "found" if found else "healthy", "left_out": []})  # fmt: skip
            first.append(len(masks))
            own = self.masks(index) if found else {}
            masks += [np.packbits(_united(own, str(one["kind"]), self.images.shape[1:]), axis=-1) for one in found]
        empty = np.zeros((0, self.images.shape[1], self.images.shape[2] // 8), np.uint8)
        stacked = np.stack(masks) if masks else empty
        return Films((self.images >> 8).astype(np.uint8), rows, stacked, np.array(first, np.int64), [])

    def as_set(self, name: str) -> ImageSet:
        """For synth.metrics."""
        return image_set(self.images, name, self.patients)


def image_set(images: NDArray[np.uint16], name: str, patients: Sequence[str] | None = None) -> ImageSet:
    """Images in memory as a set, with the patients of its table where they are known."""
    rows = [{}] * len(images) if patients is None else [{"patient_id": one} for one in patients]
    entries = [Entry(f"image {k}", ArraySource(image, name), row)
               for k, (image, row) in enumerate(zip(images, rows, strict=True))]  # fmt: skip
    return ImageSet(name, tuple(entries))


def _datasets(folder: Path) -> list[Path]:
    if (folder / "metadata.csv").is_file():
        return [folder]
    inside = sorted(path.parent for path in folder.glob("*/metadata.csv"))
    if not inside:
        raise InputError(f"{folder}: no dataset there, nor in the folders in it (no metadata.csv)")
    return inside


def _findings(row: Mapping[str, str]) -> tuple[Mapping[str, Any], ...]:
    """Those of kinds that the classifier knows."""
    listed = json.loads(row.get("findings") or "[]")
    usual = {"laterality": None, "location": None, "size_cm": None, "severity": None}
    return tuple(usual | one | {"class": CLASS_OF[one["kind"]]} for one in listed if one.get("kind") in CLASS_OF)


def _united(masks: Mapping[str, NDArray[np.bool_]], kind: str, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    whole = np.zeros(shape, np.bool_)
    for name in (f"finding:{kind}", f"object:{kind}"):
        if name in masks:
            whole |= masks[name]
    return whole
