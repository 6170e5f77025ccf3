"""FRD, the Fréchet radiomic distance, without pyradiomics and SimpleITK.

    score = frd("real/", "generated/")
    print(score)                # value, interval, floor, p-value, what was left out, warnings
    print(score.explain())      # which features, filters and moments it comes from
    print(score.outliers())     # which images are out of the reference's domain

See docs/frd.md.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple, get_args

import numpy as np

from synth.core.errors import InputError
from synth.metrics.distances.frechet import frechet_distance
from synth.metrics.frd.contrast import grey_shift
from synth.metrics.frd.features import GREY, FrdTable, Version, frd_table
from synth.metrics.frd.normalise import Mode, normalise
from synth.metrics.frd.notes import (
    LEAST,
    check_alike,
    check_enough,
    column_notes,
    grey_notes,
    input_notes,
    mask_notes,
)
from synth.metrics.frd.result import FrdResult
from synth.metrics.frd.uncertainty import as_value, frd_floor, frd_interval, frd_p_value
from synth.metrics.patients import few_patients, repeated
from synth.metrics.score_value import Score, overlap_warnings, same_set, size_warnings

if TYPE_CHECKING:
    from collections.abc import Callable

    from synth.metrics.extractors.run import Cache
    from synth.metrics.frd.normalise import Normalised
    from synth.metrics.images.masks import Masks
    from synth.metrics.images.sets import ImageSet
    from synth.metrics.images.sources import ImageSource

__all__ = ["FrdResult", "frd"]


def frd(
    reference: ImageSource | ImageSet | FrdTable,
    generated: ImageSource | ImageSet | FrdTable,
    *,
    version: Version = "v1",
    mode: Mode = "clean",
    reference_masks: Masks | None = None,
    generated_masks: Masks | None = None,
    contrast: bool = False,
    resize: int | tuple[int, int] | None = None,
    rng: np.random.Generator | None = None,
    permutations: int = 200,
    repeats: int = 5,
    intervals: bool = True,
    cache: Cache = None,
    workers: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> FrdResult:
    """The FRD of a generated set against a reference, of pictures or volumes.

    Args:
        reference: Real images: a folder, metadata.csv, a dataset folder, .npz, files, arrays, a set, or
            its columns (`frd.features.frd_table`), for which the options of reading do nothing.
        generated: The images to judge; anything of the same kinds.
        version: "v1" (Konz, Osuala et al. 2026): logarithm of the squared distance of features normalised by the
            reference, with wavelets. "v0" (Osuala et al. 2024): squared distance of features of the original image,
            brought to a range by both sets.
        mode: "clean": radiomic features in float64, without columns that hold rounding noise. "compat": as frd-score
            1.0.1, to compare with published values.
        reference_masks: Where to look in the reference; paired by name. Default: everywhere.
        generated_masks: Where to look in the generated set.
        contrast: Whether each image's mean and standard deviation of grey values count as two more features; v1 does
            not see them otherwise. In mode "clean".
        resize: Size (h, w) to bring pictures to.
        rng: Splits and permutes; default: the same every time.
        permutations: For the p-value; 0 for none.
        repeats: Splits of the reference for the floor; 0 for none.
        intervals: Whether to compute the interval, the longest part with thousands of images.
        cache: See `extractors.run.features`.
        workers: Threads.
        progress: Called with the number of images done, of each set.

    Raises:
        InputError: An image or mask that cannot be read or paired, sets of pictures and of volumes, fewer than two
            images with features in a set, or no feature that varies.
    """
    _check_choice("version", version, get_args(Version))
    _check_choice("mode", mode, get_args(Mode))
    options = _Reading(version, resize, cache, workers, progress)
    tables = options.table(reference, reference_masks), options.table(generated, generated_masks)
    check_alike(*tables)
    rng = np.random.default_rng(0) if rng is None else rng
    tables = _with_grey(*tables, mode) if contrast else tables
    resized = all(table.whole for table in tables) and tables[0].sizes != tables[1].sizes
    found = normalise(tables[0].values, tables[1].values, tables[0].names, version, mode, resized=resized)
    check_enough(tables, found)
    kept = tables[0].rows(found.kept[0]), tables[1].rows(found.kept[1])
    patients = kept[0].patients, kept[1].patients
    grey = grey_shift(kept[0].grey, kept[1].grey, rng, patients) if min(one.grey.shape[1] for one in kept) else None
    notes = [*input_notes(tables, version), *column_notes(tables, found)]
    if not isinstance(reference, FrdTable) and not isinstance(generated, FrdTable):
        notes += mask_notes(reference_masks, generated_masks)
    if grey is not None and version == "v1" and not contrast:
        notes += grey_notes(grey, mode)
    distance = frechet_distance(found.x, found.y)
    score = _score(found, kept, distance, version, rng, permutations, repeats, intervals=intervals)
    score = replace(score, warnings=tuple(dict.fromkeys((*notes, *score.warnings))))
    names = (tables[0].name, tables[1].name)
    if names[0] == names[1]:
        names = (f"{names[0]} [1]", f"{names[1]} [2]")
    return FrdResult(score, distance, version, mode, *names, found, kept, grey)


class _Reading(NamedTuple):
    """How images become columns; see `frd`."""

    version: Version
    resize: int | tuple[int, int] | None
    cache: Cache
    workers: int | None
    progress: Callable[[int], None] | None

    def table(self, source: ImageSource | ImageSet | FrdTable, masks: Masks | None) -> FrdTable:
        """The columns of a set."""
        if not isinstance(source, FrdTable):
            return frd_table(source, masks=masks, **self._asdict())
        if masks is not None:
            raise InputError(f"{source.name}: its columns are there already; give the masks where they are made")
        return source


def _score(
    found: Normalised,
    tables: tuple[FrdTable, FrdTable],
    distance: float,
    version: Version,
    rng: np.random.Generator,
    permutations: int,
    repeats: int,
    *,
    intervals: bool,
) -> Score:
    x, y = found.x, found.y
    n, m = len(x), len(y)
    patients, notes = (tables[0].patients, tables[1].patients), size_warnings(n, m, x.shape[1])
    own = repeated(patients, n, m)
    few = few_patients(own)
    if few:
        repeats, permutations, intervals, notes = 0, 0, False, (*notes, few)
    floor = frd_floor(x, m, version, rng, repeats, None if own is None else own[0]) if repeats else None
    if same_set(tables[0].values, tables[1].values):
        note = "reference and generated hold the same features: the same set twice? The distance is 0"
        note += ", its logarithm −∞, which is reported as 0" if version == "v1" else ""
        return Score(0.0, 0.0, 0.0, floor, 1.0, n, m, (note, *notes))
    value = as_value(distance, version, float(x.var(0).sum() + y.var(0).sum()))
    notes = (*overlap_warnings(tables[0].values, tables[1].values), *notes)
    low, high = frd_interval(x, y, version, rng, value, own) if intervals and min(n, m) > LEAST else (None, None)
    p = frd_p_value(x, y, rng, permutations, patients) if permutations else None
    return Score(value, low, high, floor, p, n, m, notes)


def _with_grey(reference: FrdTable, generated: FrdTable, mode: Mode) -> tuple[FrdTable, FrdTable]:
    if mode == "compat":
        raise InputError("contrast=True is not frd-score's; use it with mode='clean'")
    if not min(reference.grey.shape[1], generated.grey.shape[1]):
        raise InputError("contrast=True needs the images' grey values; make the tables with frd_table")
    first, second = (
        replace(one, names=(*one.names, *GREY), values=np.hstack([one.values, one.grey]))
        for one in (reference, generated)
    )
    return first, second


def _check_choice(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise InputError(f"{name} must be {' or '.join(map(repr, allowed))}, got {value!r}")
