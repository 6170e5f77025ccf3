"""A population to image: who comes, and what is to be found, drawn jointly."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from synth.anatomy.cohort import Cohort
from synth.anatomy.cohort_files import count_cases
from synth.anatomy.prevalence import Healthy, Prevalence
from synth.anatomy.vocabulary import KINDS, draw_finding, kinds_of
from synth.core.record import Finding
from synth.core.seeds import sample_generator

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    from synth.anatomy.prevalence import Source

__all__ = ["Population", "Wish", "described"]


@dataclass(frozen=True)
class Wish:
    """What one sample should be; what is unknown is None or empty, and for the maker to choose.

    Attributes:
        sex: "F" or "M".
        age: Years.
        race: Free text.
        view: "PA", "AP" or "LATERAL".
        findings: What is to be seen; empty: nothing. Kind, place and size are None where the data does not name a kind
            (`synth.anatomy.vocabulary.default_kind` chooses one).
    """

    sex: str | None
    age: float | None
    race: str
    view: str | None
    findings: tuple[Finding, ...]


@dataclass(frozen=True)
class Population:
    """A source of wishes; each depends on the root seed and its id alone.

    Attributes:
        source: What cases are drawn from.
    """

    source: Source

    @classmethod
    def default(cls) -> Population:
        """Patients of a large hospital: the published counts of CheXpert (see synth.anatomy.prevalence)."""
        return cls(Prevalence.read())

    @classmethod
    def healthy(cls) -> Population:
        """People without a finding, seen from behind."""
        return cls(Healthy())

    @classmethod
    def fit(
        cls,
        path: str | Path | Sequence[str | Path],
        layout: str = "auto",
        *,
        uncertain: str = "ignore",
        smoothing: float = 100.0,
    ) -> Population:
        """The population of a label file.

        Args:
            path: A CSV file, gzipped or not, or several: CheXpert (train.csv), CheXpert Plus (its table with a label
                file), MIMIC-CXR (the label file with, if at hand, metadata, patients and admissions), NIH ChestX-ray14
                (Data_Entry_2017), PadChest, or a plain table with a column finding ("Effusion|Mass"). Sex, age, race
                and view are read where there are such columns, and are unknown elsewhere.
            layout: "auto" tells them apart by their columns; or one of `synth.anatomy.cohort_files.LAYOUTS`.
            uncertain: What CheXpert's −1 means: "ignore" it (not there), "positive", or "drop" the row.
            smoothing: How many rows without co-occurrence of patient and findings to add; see Cohort.

        Returns:
            The population. Children are left out.

        Raises:
            InputError: A file that cannot be read or lacks its columns, or an unknown option.
        """
        paths = [path] if isinstance(path, str | Path) else path
        return cls(Cohort.of(count_cases([Path(each) for each in paths], layout, uncertain), smoothing))

    def sample(self, root_seed: int, sample_id: str | int) -> Wish:
        """The wish of one sample, whatever the order or the batch.

        Args:
            root_seed: The run's seed.
            sample_id: The sample's id.
        """
        generator = sample_generator(root_seed, sample_id, "population")
        case = self.source.draw(generator)
        findings = tuple(described(name, kind, generator) for name, kind in case.labels)
        return Wish(case.sex, case.age, case.race, case.view, findings)


def described(name: str, kind: str | None, generator: np.random.Generator) -> Finding:
    """A finding with side and grade drawn; of an unknown kind, what the usual one has and every other could have."""
    if kind is not None:
        return draw_finding(name, generator, kind)
    kinds = kinds_of(name)
    usual = draw_finding(name, generator, next(iter(kinds), None))
    return Finding(
        name,
        laterality=usual.laterality if all(KINDS[each].lateralities for each in kinds) else None,
        severity=usual.severity if all(KINDS[each].severities for each in kinds) else None,
    )
