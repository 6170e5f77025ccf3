"""Distances of samples to held-out phantoms, over those between halves of held-out phantoms."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from cxr_evaluation.study import Part

from synth.metrics.distances.frechet import frechet_distance
from synth.metrics.distances.mmd import kid
from synth.metrics.extractors.radiomics import Radiomics
from synth.metrics.extractors.registry import extractor
from synth.metrics.extractors.run import features
from synth.metrics.frd.distance import frd
from synth.metrics.frd.features import frd_table
from synth.metrics.frd.normalise import normalise
from synth.metrics.volumes.slices import PLANES, SliceView, slice_set

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from ct_evaluation.study import Study
    from synth.metrics.images.sets import ImageSet

    Floats = NDArray[np.float64]
    Rows = NDArray[np.int64]

__all__ = ["distribution"]

SPLITS = 5
_LEAST = 4


def distribution(study: Study, slices: int, weights: str | None) -> Part:
    """FRD-3D, and by planes FRD, Fréchet distance and MMD of slices; FID where Inception's weights are given.

    Args:
        study: What is compared.
        slices: Of every CT in each plane.
        weights: Inception's file, or None.
    """
    part, lines = Part(), []
    if len(study.held_out) < 2 * _LEAST:
        part.notes.append(f"{len(study.held_out)} held-out CTs are too few to halve; give {2 * _LEAST} or more.")
        return part
    real, made = study.held_out.as_set(), study.samples.as_set()
    _compare(study, part, lines, "3D", real, made, 1, None)
    view = _view(study, slices)
    for plane in PLANES:
        _compare(study, part, lines, plane, slice_set(real, plane, view), slice_set(made, plane, view), slices, weights)
    part.add("Distances to held-out phantoms", ["of", "score", "halves", "samples", "samples / halves"], lines)
    part.notes.append(
        f"Means over {SPLITS} halvings, by whole CTs. FRD (v1) as squared distances, of which it is the logarithm; "
        "radiomic features in standard deviations of the reference; MMD: cubic kernel, unbiased, which may be below 0 "
        "and has no ratio there."
    )
    return part


def _view(study: Study, slices: int) -> SliceView:
    """Pixels of the voxels' size, over the whole field of view."""
    pixel = min(study.grid.spacing)
    extent = max(n * mm for n, mm in zip(study.grid.size, study.grid.spacing, strict=True))
    return SliceView(slices, pixel, max(8, round(extent / pixel)))


def _compare(
    study: Study, part: Part, lines: list[list[str]], of: str, real: ImageSet, made: ImageSet, each: int,
    weights: str | None,
) -> None:  # fmt: skip
    for name, score in _scores(study, real, made, weights).items():
        near, far = [], []
        for number in range(SPLITS):
            one, other = (_members(rows, each) for rows in study.halves(number))
            near.append(score(True, other, one))
            far.append(score(False, other, one))
        halves, samples = float(np.mean(near)), float(np.mean(far))
        ratio = samples / halves if halves > 0 else float("nan")
        part.values[f"{of}/{name}"] = {"halves": halves, "samples": samples, "ratio": ratio}
        lines.append([of, name, f"{halves:.4g}", f"{samples:.4g}", f"{ratio:.2f}" if halves > 0 else "–"])


def _scores(
    study: Study, real: ImageSet, made: ImageSet, weights: str | None
) -> dict[str, Callable[[bool, Rows, Rows], float]]:
    """Name → the distance of some (second rows) of the real or made set from others (first rows) of the real one."""
    tables = [frd_table(images, cache=study.cache) for images in (real, made)]
    radiomics = [features(images, Radiomics(), cache=study.cache) for images in (real, made)]
    values: list[Any] = [one.values for one in radiomics]

    def by_frd(own: bool, reference: Rows, rows: Rows) -> float:
        other = tables[0 if own else 1].rows(rows)
        return float(frd(tables[0].rows(reference), other, intervals=False, permutations=0, repeats=0).distance)

    def by_radiomics(distance: Callable[[Floats, Floats], float]) -> Callable[[bool, Rows, Rows], float]:
        def score(own: bool, reference: Rows, rows: Rows) -> float:
            x, y = values[0][reference], values[0 if own else 1][rows]
            found = normalise(x, y, radiomics[0].feature_names, "v1", "clean")
            return float(distance(found.x, found.y))

        return score

    scores = {"FRD": by_frd, "Fréchet, radiomics": by_radiomics(frechet_distance), "MMD, radiomics": by_radiomics(kid)}
    if weights is not None:
        network = extractor("inception", weights=weights)
        seen = [features(images, network, cache=study.cache).values for images in (real, made)]
        scores["FID"] = lambda own, reference, rows: float(
            frechet_distance(seen[0][reference], seen[0 if own else 1][rows])
        )
    return scores


def _members(rows: Rows, each: int) -> Rows:
    """Rows of the slices of those CTs."""
    return (rows[:, None] * each + np.arange(each)).ravel()
