"""Judges of single samples, fitted once to real images, saved in a folder, and loaded once a process.

FOLDER/
  artefacts-0.npz, outlier-0.npz, anatomy-0.npz   one of each for every group of views
  copies.npz       fitted to what a generator was trained on
  contents.json    content hash → the image of the reference or training set that has it
  facts.json       the groups, and why a judge is missing (written last: a folder that holds it is whole)
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from synth.core.errors import InputError
from synth.core.files import write_bytes
from synth.core.reading import read_labels
from synth.dataset import manifest
from synth.dataset.view_groups import rows_by_view, view_group
from synth.metrics.extractors.run import features
from synth.metrics.images.masks import MaskFile
from synth.metrics.verdicts import Anatomy, Artefacts, Copies, Outliers, usual_organs

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from synth.dataset.source import Medium, Warn
    from synth.metrics.extractors.protocol import Extractor
    from synth.metrics.gate.rules import SampleRules
    from synth.metrics.images.sets import ImageSet

    Fitted = Artefacts | Outliers | Anatomy

__all__ = ["Judges", "RealImages", "fit_judges"]

_KINDS: Mapping[str, Any] = {"artefacts": Artefacts, "outlier": Outliers, "anatomy": Anatomy}


@dataclass(frozen=True)
class Judges:
    """Fitted judges in a folder.

    Attributes:
        folder: Where they lie.
    """

    folder: Path

    @cached_property
    def facts(self) -> dict[str, Any]:
        """What is known of them.

        "groups": group of views → check → why it has no judge, "" where it has one; "files": the groups in the order
        of their files; "copies": why near copies are not judged, "" where they are; "columns": the features that these
        see; "organs": those that CTs must show.

        Raises:
            InputError: They are not there, or damaged.
        """
        found = manifest.load(self.folder / "facts.json")
        if found is None:
            raise InputError(f"{self.folder}: no fitted judges; start the job again with --resume")
        return found

    @cached_property
    def contents(self) -> dict[str, str]:
        """Content hash → whose it is."""
        return manifest.load(self.folder / "contents.json") or {}

    @cached_property
    def copies(self) -> Copies | None:
        """Tells near copies of training images."""
        return None if self.facts["copies"] else Copies.load(self.folder / "copies.npz")

    @property
    def checks(self) -> frozenset[str]:
        """Those that judge by groups of views."""
        return frozenset(check for reasons in self.facts["groups"].values() for check in reasons)

    def group_of(self, view: str) -> str | None:
        """The group that a view is judged by; None where the reference has none."""
        return next((group for group in (view_group(view), "") if group in self.facts["groups"]), None)

    def judge(self, check: str, group: str) -> Any:
        """The judge of a check for a group of views, or, in words, why there is none."""
        if (check, group) not in self._loaded:
            reason = self.facts["groups"][group][check]
            path = self.folder / f"{check}-{self.facts['files'].index(group)}.npz"
            self._loaded[check, group] = reason or _KINDS[check].load(path)
        return self._loaded[check, group]

    @cached_property
    def _loaded(self) -> dict[tuple[str, str], Any]:
        return {}


@dataclass(frozen=True, eq=False)
class RealImages:
    """What judges are fitted to.

    Attributes:
        reference: Real images; their names end up in verdicts.
        structures: Structure → the reference with the masks of that structure alone.
        training: What a generator was trained on.
    """

    reference: ImageSet
    structures: Mapping[str, ImageSet]
    training: ImageSet | None = None


def fit_judges(
    folder: Path, real: RealImages, rules: SampleRules, extractor: Extractor, medium: Medium, warn: Warn
) -> Judges:
    """Fits judges and saves them; those that lie in the folder already are taken as they are.

    Args:
        folder: Where to.
        real: Real images.
        rules: Which checks, and how strict.
        extractor: Whose features outliers and copies are told by.
        medium: Whether samples are radiographs, which are judged by groups of views, or CTs.
        warn: Told why something will not be judged.

    Raises:
        InputError: An image cannot be read, or the folder cannot be written.
    """
    if not (folder / "facts.json").is_file():
        _Fitting(folder, real, rules, extractor, medium, warn).run()
    return Judges(folder)


@dataclass(frozen=True, eq=False)
class _Fitting:
    folder: Path
    real: RealImages
    rules: SampleRules
    extractor: Extractor
    medium: Medium
    warn: Warn

    def run(self) -> None:
        contents: dict[str, str] = {}
        if self.rules.copies:
            for images in filter(None, (self.real.reference, self.real.training)):
                contents = {image.digest: image.name for image in images.stream()} | contents
        rows = self.real.reference.rows if self.medium == "image" else [{}] * len(self.real.reference)
        groups = rows_by_view(rows)
        if len(groups) > 1:
            groups.pop("", None)
        reasons = {group: self._group(number, group, groups[group]) for number, group in enumerate(groups)}
        facts = {"groups": reasons, "files": list(groups), "organs": self._organs(), **self._copies()}
        write_bytes(self.folder / "contents.json", manifest.dump(contents))
        write_bytes(self.folder / "facts.json", manifest.dump(facts))

    def _group(self, number: int, group: str, rows: list[int]) -> dict[str, str]:
        """Check → why it has no judge, for one group of views."""
        reasons = {}
        for check in self._checks():
            try:
                self._fit(check, rows).save(self.folder / f"{check}-{number}.npz")
                reasons[check] = ""
            except InputError as error:
                reasons[check] = str(error)
                self.warn(f"{check} is not judged{f' in {group} views' * bool(group)}: {error}")
        return reasons

    def _checks(self) -> Iterator[str]:
        if self.rules.artefacts and self.medium == "image":
            yield "artefacts"
        if self.rules.outlier:
            yield "outlier"
        if self.rules.anatomy and self.real.structures:
            yield "anatomy"

    def _fit(self, check: str, rows: list[int]) -> Fitted:
        images = self.real.reference.subset(rows)
        patients = images.patients
        if check == "artefacts":
            pixels = (image.pixels for image in images.stream())
            return Artefacts.fit(pixels, rate=self.rules.artefacts, patients=patients)
        if check == "outlier":
            found = features(images, self.extractor)
            return Outliers.fit(found.values, found.feature_names, rate=self.rules.outlier, patients=patients)
        masks = (self._masks(row) for row in rows)
        return Anatomy.fit(masks, rate=self.rules.anatomy, patients=patients)

    def _masks(self, row: int) -> dict[str, NDArray[Any]]:
        masks = {name: images.load(row).mask for name, images in self.real.structures.items()}
        return {name: mask for name, mask in masks.items() if mask is not None}

    def _copies(self) -> dict[str, Any]:
        """Fits to the training set, where there is one."""
        training, none = self.real.training, {"copies": "no training set", "columns": []}
        if training is None or not self.rules.copies:
            return none
        values = features(training, self.extractor).values
        columns = np.flatnonzero(np.isfinite(values).all(0))
        try:
            judge = Copies.fit(values[:, columns], rate=self.rules.copies, patients=training.patients)
        except InputError as error:
            self.warn(f"near copies are not judged: {error}")
            return none | {"copies": str(error)}
        judge.save(self.folder / "copies.npz")
        return {"copies": "", "columns": columns.tolist()}

    def _organs(self) -> list[str]:
        """Organs that the reference's label maps show; none where it has no such maps."""
        masks = [mask for images in self.real.structures.values() for mask in images.masks or ()]
        maps = {mask.path for mask in masks if isinstance(mask, MaskFile)}
        if self.medium == "image" or not self.rules.organs or not maps:
            return []
        return list(usual_organs(tuple(read_labels(path).names.values()) for path in sorted(maps)))
