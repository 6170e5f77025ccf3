"""One call from two folders to scores with intervals, floors, p-values and subgroups.

score("real/", "generated/", by="sex")        a Scorecard of the metrics that need no download
fid("real/", "generated/")                    a Score; Inception's weights must lie on this machine
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from synth.core.errors import InputError
from synth.core.seeds import sample_generator
from synth.metrics.images.windowing import Window, check_window
from synth.metrics.scoring.card import ALL, Row, Scorecard
from synth.metrics.scoring.groups import Group, group_columns, matched_groups
from synth.metrics.scoring.inputs import Extraction, open_pair, sources
from synth.metrics.scoring.metrics import DEFAULT, metric_names
from synth.metrics.scoring.sources import FeatureSource, FrdSource

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from synth.metrics.extractors.protocol import Extractor
    from synth.metrics.extractors.run import Cache
    from synth.metrics.images.masks import Masks
    from synth.metrics.images.sets import ImageSet
    from synth.metrics.images.sources import ImageSource
    from synth.metrics.score_value import Score
    from synth.metrics.scoring.features import PairedFeatures
    from synth.metrics.scoring.inputs import OnError
    from synth.metrics.scoring.sources import Source

__all__ = ["fid", "kid", "prdc", "score"]

_POINTS = 400  # of each set in the page's plot


def score(
    reference: ImageSource | ImageSet,
    generated: ImageSource | ImageSet,
    metrics: str | Iterable[str] | None = None,
    *,
    by: str | Iterable[str] | None = None,
    extractor: str | Path | Extractor = "radiomics",
    weights: str | Path | None = None,
    window: Window = "full",
    device: str | None = None,
    reference_masks: Masks | None = None,
    generated_masks: Masks | None = None,
    resize: int | tuple[int, int] | None = None,
    on_error: OnError = "raise",
    seed: int = 0,
    cache: Cache = None,
    workers: int | None = None,
    progress: Callable[[], None] | None = None,
) -> Scorecard:
    """Scores generated images against real ones.

    Args:
        reference: The real set: what `ImageSet.open` takes, or an open set.
        generated: The set to judge.
        metrics: Names of `scoring.metrics.METRICS`, or one text with commas between; default: those that need no
            download, as far as they can be had; of metrics that are named, each must.
        by: Columns to split both sets by, each by itself; "sex+age_group" for an intersection.
        extractor: Whose features fd, fd-inf, kid, cmmd, prdc and vendi are of. FID is always Inception's. Radiomic
            features are taken in standard deviations of the reference.
        weights: Where the extractor's model lies, or Inception's.
        window: How 16-bit 2D images come to 8 bits, for all but FRD, which sees grey values as they are.
        device: For networks.
        reference_masks: See `images.masks.Masks`; radiomic features and FRD are then of the regions.
        generated_masks: Those of the generated set.
        resize: Size (h, w) to bring 2D images to.
        on_error: Whether a file that cannot be read is an error or is skipped and counted.
        seed: Of permutations and splits.
        cache: See `extractors.run.features`.
        workers: Threads that decode.
        progress: Called once for each image whose features are there; FRD and every extractor count for themselves.

    Raises:
        InputError: A set is missing, empty or of one image; an unknown metric, column or extractor; a file that cannot
            be read; or a metric that was named and cannot be computed.
    """
    names = metric_names(DEFAULT if metrics is None else metrics)
    first, second = open_pair(reference, generated, reference_masks, generated_masks, resize, on_error)
    groups = matched_groups(first, second, group_columns(by))
    work = Extraction(extractor, weights, check_window(window), device, cache, workers, progress)
    seen = list(sources(names, first, second, work))
    rows = _all_rows(names, seen, groups, seed, strict=metrics is not None)
    said = [line for source in seen for line in source.warnings]
    said += [group.warning for group in groups if group.warning is not None]
    return Scorecard(
        first.name,
        second.name,
        len(first),
        len(second),
        rows,
        tuple(dict.fromkeys(said)),
        _settings(names, seen, work, resize, seed),
        _scatter(seen, seed),
        next((source.explanation() for source in seen if isinstance(source, FrdSource)), ()),
    )


def fid(
    reference: ImageSource | ImageSet,
    generated: ImageSource | ImageSet,
    *,
    weights: str | Path | None = None,
    window: Window = "full",
    device: str | None = None,
    seed: int = 0,
    cache: Cache = None,
) -> Score:
    """The Fréchet Inception distance, equal to clean-fid's in its mode "clean".

    Args:
        reference: The real set: what `ImageSet.open` takes.
        generated: The set to judge.
        weights: Inception's file; default: it is looked for, see docs/extractors.md.
        window: How 16-bit images come to 8 bits.
        device: "cpu", "cuda", …
        seed: Of permutations and splits.
        cache: See `extractors.run.features`.

    Raises:
        InputError: As `score`; or the network is not there (the message says where to put it).
    """
    return score(reference, generated, "fid", weights=weights, window=window, device=device, seed=seed, cache=cache)[
        "fid"
    ]


def kid(
    reference: ImageSource | ImageSet,
    generated: ImageSource | ImageSet,
    *,
    extractor: str | Path | Extractor = "inception",
    weights: str | Path | None = None,
    window: Window = "full",
    device: str | None = None,
    seed: int = 0,
    cache: Cache = None,
) -> Score:
    """The kernel distance of all images, unbiased; by default of Inception's features, as clean-fid's.

    Args:
        reference: The real set: what `ImageSet.open` takes.
        generated: The set to judge.
        extractor: Whose features.
        weights: Where its model lies; default: it is looked for.
        window: How 16-bit images come to 8 bits.
        device: "cpu", "cuda", …
        seed: Of permutations and splits.
        cache: See `extractors.run.features`.

    Raises:
        InputError: As `score`.
    """
    options = {"extractor": extractor, "weights": weights, "window": window, "device": device}
    return score(reference, generated, "kid", **options, seed=seed, cache=cache)["kid"]  # type: ignore[arg-type]


def prdc(
    reference: ImageSource | ImageSet,
    generated: ImageSource | ImageSet,
    *,
    extractor: str | Path | Extractor = "radiomics",
    seed: int = 0,
    cache: Cache = None,
) -> dict[str, Score]:
    """Precision, recall, density and coverage, each under its name.

    Args:
        reference: The real set: what `ImageSet.open` takes.
        generated: The set to judge.
        extractor: Whose features.
        seed: Of permutations and splits.
        cache: See `extractors.run.features`.

    Raises:
        InputError: As `score`.
    """
    card = score(reference, generated, "prdc", extractor=extractor, seed=seed, cache=cache)
    return {name: card[name] for name in card}


def _all_rows(
    names: tuple[str, ...], seen: list[Source], groups: tuple[Group, ...], seed: int, *, strict: bool
) -> tuple[Row, ...]:
    """The rows of all images, then of each group, metrics as asked for."""
    rows = [row for group in (None, *groups) for source in seen for row in _rows(source, group, seed, strict=strict)]
    if all(row.score is None for row in rows):
        raise InputError(rows[0].reason)
    order = {name: k for k, name in enumerate(names)}
    place = {(group.column, group.name): k for k, group in enumerate(groups)}
    rows.sort(key=lambda row: (place.get((row.column, row.group), -1), order[row.metric]))
    return tuple(rows)


def _rows(source: Source, group: Group | None, seed: int, *, strict: bool) -> Iterator[Row]:
    """The rows of one source; a metric that fails for all images is an error where it must be had."""
    names = source.names
    if group is None:
        first, second = (np.arange(len(side)) for side in names)
        column, label = "", ALL
    else:
        first, second = group.rows(*names)
        column, label = group.column, group.name
    found: dict[str, Score] = {}
    for metric in source.metrics:
        reason = ""
        if metric not in found:
            try:
                rng = partial(sample_generator, seed, f"{column} {label}")
                found |= source.scores(metric, first, second, rng)
            except InputError as error:
                if strict and group is None:
                    raise
                reason = str(error)
        yield Row(metric, label, column, source.label, len(first), len(second), found.get(metric), reason)


def _settings(
    names: tuple[str, ...], seen: list[Source], work: Extraction, resize: int | tuple[int, int] | None, seed: int
) -> dict[str, object]:
    features = {
        source.pair.extractor: {"used": len(source.pair.names), "left_out": len(source.pair.dropped)}
        for source in seen
        if isinstance(source, FeatureSource)
    }
    return {"metrics": names, "features": features, "window": work.window, "resize": resize, "seed": seed}


def _scatter(seen: list[Source], seed: int) -> dict[str, tuple[tuple[float, float], ...]]:
    """Both sets on the first two principal components of the reference."""
    pair = next((source.pair for source in seen if isinstance(source, FeatureSource)), None)
    if pair is None or pair.x.shape[1] < 2:
        return {}
    return {
        name: tuple((float(a), float(b)) for a, b in points)
        for name, points in zip(("reference", "generated"), _components(pair, seed), strict=True)
    }


def _components(pair: PairedFeatures, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = sample_generator(seed, "scatter")
    centred = pair.x - pair.x.mean(0)
    axes = np.linalg.svd(rng.permutation(centred)[: 2 * _POINTS], full_matrices=False)[2][:2].T
    some = [rng.permutation(side - pair.x.mean(0))[:_POINTS] @ axes for side in (pair.x, pair.y)]
    return some[0], some[1]
