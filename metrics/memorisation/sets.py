"""Memorisation of image sets: by features and by pixels, with the patients of their tables."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from synth.metrics.extractors.run import Cache, features
from synth.metrics.images.sets import ImageSet
from synth.metrics.memorisation.copying import Memorisation, Pair, memorisation, pixel_memorisation
from synth.metrics.memorisation.pixels import thumbnails

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from synth.metrics.extractors.protocol import Extractor
    from synth.metrics.images.sources import ImageSource

    Source = ImageSource | ImageSet

__all__ = ["memorisation_of_sets"]


def memorisation_of_sets(
    generated: Source,
    train: Source,
    holdout: Source,
    *,
    rng: np.random.Generator,
    extractor: str | Path | Extractor = "radiomics",
    cache: Cache = None,
    pixels: bool = True,
    size: int = 64,
    shift: int = 4,
    permutations: int = 999,
    pairs: int = 20,
) -> dict[str, Memorisation]:
    """Looks for copies of training images in a generated set.

    Features are standardised by the hold-out before they are compared, so that no unit outweighs the others.

    Args:
        generated: The set that is judged.
        train: What the generator was trained on.
        holdout: Images of the same population and of other patients.
        rng: Thins and exchanges.
        extractor: See `extractors.registry.extractor`.
        cache: See `extractors.run.features`.
        pixels: Whether to compare pixels of 2D images, too.
        size: Of the images whose pixels are compared.
        shift: Largest movement of these, in their pixels.
        permutations: Exchanges for the p-values.
        pairs: How many of the nearest pairs to return; their positions are those of the sets.

    Returns:
        Under "features" and "pixels" what was found.

    Raises:
        InputError: Images that cannot be read, too few of them, or a patient in both sets.
    """
    sets = [ImageSet.open(one) for one in (generated, train, holdout)]
    patients = [one.patients for one in sets[1:]]
    found = [features(one, extractor, cache=cache) for one in sets]
    usable, values = _standardised([one.values for one in found])
    rows = [one.indices for one in found]
    seen = _some(patients[0], rows[1]), _some(patients[1], rows[2])
    result = memorisation(
        *values, rng=rng, train_patients=seen[0], holdout_patients=seen[1], permutations=permutations, pairs=pairs
    )
    dropped = found[0].values.shape[1] - usable
    notes = (f"{dropped} features without variation or not finite were left out",) if dropped else ()
    results = {"features": _named(result, rows[0], rows[1], (*notes, *found[0].warnings))}
    if pixels:
        small = [thumbnails(one, size) for one in sets]
        seen = _some(patients[0], small[1][0]), _some(patients[1], small[2][0])
        result = pixel_memorisation(
            *(one for _, one in small), rng=rng, train_patients=seen[0], holdout_patients=seen[1],
            permutations=permutations, pairs=pairs, shift=shift,
        )  # fmt: skip
        results["pixels"] = _named(result, small[0][0], small[1][0], ())
    return results


def _standardised(values: list[NDArray[np.float64]]) -> tuple[int, list[NDArray[np.float64]]]:
    """How many features are usable, and these, at mean 0 and variance 1 in the last set."""
    last = values[-1]
    usable = np.isfinite(np.concatenate(values)).all(0)
    scale = np.where(usable, np.where(usable, last, 0).std(0), 0)
    mean = np.where(usable, last, 0).mean(0)
    usable &= scale > 1e-9 * np.maximum(np.abs(mean), 1e-300)
    return int(usable.sum()), [(one[:, usable] - mean[usable]) / scale[usable] for one in values]


def _some(patients: Sequence[str] | None, rows: NDArray[np.integer]) -> list[str] | None:
    return None if patients is None else [patients[int(row)] for row in rows]


def _named(
    result: Memorisation, generated: NDArray[np.integer], train: NDArray[np.integer], notes: tuple[str, ...]
) -> Memorisation:
    """Pairs by their positions in the sets instead of among the images that could be read."""
    worst: list[Pair] = [
        replace(pair, generated=int(generated[pair.generated]), train=int(train[pair.train])) for pair in result.worst
    ]
    return replace(result, worst=tuple(worst), warnings=(*result.warnings, *notes))
