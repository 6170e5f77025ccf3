"""How near samples come to held-out phantoms, over how near two halves of these come to each other.

Held-out phantoms are halved by patients, several times. Of each pair of halves (A, B), B is the reference: A is judged
by it, and so are samples of A's prompts. Both are of the same prompts and as many, so that the ratio of the two is of
the model alone.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from cxr_evaluation.pictures import image_set
from cxr_evaluation.study import Part
from synth.metrics.distances.frechet import frechet_distance
from synth.metrics.distances.mmd import kid
from synth.metrics.distances.prdc import prdc
from synth.metrics.extractors.registry import extractor
from synth.metrics.extractors.run import features
from synth.metrics.frd import frd
from synth.metrics.frd.features import FrdTable, frd_table
from synth.metrics.frd.normalise import normalise
from synth.metrics.memorisation.sets import memorisation_of_sets
from synth.metrics.scoring.features import Windowed

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cxr_evaluation.study import Study
    from synth.metrics.extractors.run import Cache

    Floats = NDArray[np.float64]

__all__ = ["RADIOMICS", "SPLITS", "compared", "distribution", "frd_ratio", "kid_radiomics", "memorised", "radiomics"]

SPLITS = 5
RADIOMICS = Windowed(extractor("radiomics"))
"""Of images at 8 bits: pyradiomics' bins have a width, and 16 bits thousands of them."""
K = 5  # neighbours of precision and recall
_LEAST = 2 * (K + 1)


def distribution(study: Study) -> Part:
    """FRD, Fréchet distances and precision and recall, of all views and of frontal ones."""
    part, every = Part(), np.arange(len(study.held_out))
    made = study.samples.images
    lateral = np.setdiff1d(every, study.frontal)
    lines = []
    for group, indices in (("all views", every), ("frontal", study.frontal), ("lateral", lateral)):
        if len(indices) < 2 * _LEAST:
            continue
        for features_name, found in _spaces(study, made, group == "frontal").items():
            scores = compared(study, indices, *found)
            part.values |= {f"{group}/{features_name}/{key}": value for key, value in scores.items()}
            lines.append([group, features_name, *_cells(scores)])
    head = ["views", "features", "halves", "samples", "samples / halves", "precision (halves)", "recall (halves)", "n"]
    part.add("Distances to held-out phantoms", head, lines)
    part.notes.append(
        f"Squared Fréchet distances, in the mean over {SPLITS} halvings; FRD (v1) is the logarithm of that of its row, "
        "and stands in brackets. Radiomic features in standard deviations of the reference."
    )
    return part


def compared(study: Study, indices: NDArray[np.int64], real: Any, made: Any) -> dict[str, float]:
    """Scores in the mean over halvings.

    Args:
        study: Halves the held-out radiographs.
        indices: Of those to compare.
        real: Features of all held-out radiographs: (n, d), or FRD's table.
        made: Of their samples.
    """
    rows = []
    for number in range(SPLITS):
        one, other = study.halves(indices, number)
        if len(one) < _LEAST:
            break
        pair = (_frd_pair if isinstance(real, FrdTable) else _pair)(real, made, one, other)
        rows.append({"n": float(len(one)), **pair})
    if not rows:
        return {}
    return {key: float(np.mean([row[key] for row in rows])) for key in rows[0]} | {
        "ratio": float(np.mean([row["samples"] for row in rows]) / np.mean([row["halves"] for row in rows]))
    }


def radiomics(images: NDArray[np.uint16], cache: Cache) -> Floats:
    """(n, 102)."""
    return features(image_set(images, "images"), RADIOMICS, cache=cache).values


def frd_ratio(reference: FrdTable, generated: FrdTable) -> tuple[float, float]:
    """The squared distance, and the FRD."""
    found = frd(reference, generated, intervals=False, permutations=0, repeats=0)
    return float(found.distance), float(found.value)


def kid_radiomics(reference: Floats, generated: Floats) -> float:
    """KID of radiomic features in standard deviations of the reference."""
    return kid(*_standardised(reference, generated))


def memorised(study: Study) -> Part:
    """Whether samples copy training phantoms: against held-out ones, by features and by pixels."""
    part = Part()
    train = study.training.some(study.training.drawn(study.most, study.seed, "memorisation"))
    found = memorisation_of_sets(
        image_set(study.samples.images, "samples"),
        train.as_set("training"),
        study.held_out.as_set("held-out"),
        rng=np.random.default_rng(study.seed),
        extractor=RADIOMICS,
        cache=study.cache,
    )
    part.values = {space: replace(one, worst=one.worst[:5]).as_dict() for space, one in found.items()}
    lines = [
        [space, f"{one.p_value:.3g}", f"{one.minimum_ratio:.3f}", f"{one.quantile_ratio:.3f}",
         f"{one.authentic_percentage:.1f} %", f"{one.n_generated} / {one.n_train} / {one.n_holdout}"]
        for space, one in found.items()
    ]  # fmt: skip
    head = ["compared by", "p of copies", "least ratio", "5 % of ratios", "authentic", "samples / training / held-out"]
    part.add("Copies of training phantoms", head, lines)
    part.notes.append("Ratios of a sample's distance to the nearest training and to the nearest held-out radiograph.")
    return part


def _spaces(study: Study, made: NDArray[np.uint16], frontal: bool) -> dict[str, tuple[Any, Any]]:
    """Name of features → those of held-out radiographs and of samples; the classifier reads frontal ones alone."""
    real, cache = study.held_out.images, study.cache
    spaces: dict[str, tuple[Any, Any]] = {
        "FRD": (
            frd_table(study.held_out.as_set("held-out"), cache=cache),
            frd_table(image_set(made, "samples"), cache=cache),
        ),
        "radiomics": (radiomics(real, cache), radiomics(made, cache)),
    }
    if frontal:
        spaces["classifier"] = study.reader.features(real), study.reader.features(made)
    return spaces


def _pair(real: Floats, made: Floats, one: NDArray[np.int64], other: NDArray[np.int64]) -> dict[str, float]:
    halves, samples = (_standardised(real[other], values[one]) for values in (real, made))
    near, far = prdc(*halves, k=K), prdc(*samples, k=K)
    return {
        "halves": frechet_distance(*halves),
        "samples": frechet_distance(*samples),
        "precision": far.precision,
        "recall": far.recall,
        "precision of halves": near.precision,
        "recall of halves": near.recall,
    }


def _frd_pair(real: FrdTable, made: FrdTable, one: NDArray[np.int64], other: NDArray[np.int64]) -> dict[str, float]:
    reference = real.rows(other)
    halves, samples = frd_ratio(reference, real.rows(one)), frd_ratio(reference, made.rows(one))
    return {"halves": halves[0], "samples": samples[0], "FRD of halves": halves[1], "FRD": samples[1]}


def _standardised(reference: Floats, generated: Floats) -> tuple[Floats, Floats]:
    names = tuple(f"feature_{k}" for k in range(reference.shape[1]))
    found = normalise(reference, generated, names, "v1", "clean")
    return found.x, found.y


def _cells(scores: dict[str, float]) -> list[str]:
    if not scores:
        return ["–"] * 6

    def both(key: str) -> str:
        return f"{scores[key]:.2f} ({scores[f'{key} of halves']:.2f})" if key in scores else "–"

    frds = [f" ({scores[key]:.2f})" if key in scores else "" for key in ("FRD of halves", "FRD")]
    distances = [f"{scores[key]:.4g}{shown}" for key, shown in zip(("halves", "samples"), frds, strict=True)]
    return [*distances, f"{scores['ratio']:.2f}", both("precision"), both("recall"), f"{scores['n']:.0f}"]
