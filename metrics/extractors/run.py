"""The features of a whole image set, from the cache where they are there."""

from __future__ import annotations

import hashlib
import os
import re
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

from synth.core.errors import InputError
from synth.metrics.extractors.cache import ENVIRONMENT, FeatureCache
from synth.metrics.extractors.registry import extractor as find_extractor
from synth.metrics.images.sets import ImageSet, content_hash
from synth.metrics.images.survey import Survey

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from synth.metrics.extractors.protocol import Extractor
    from synth.metrics.images.sets import LoadedImage
    from synth.metrics.images.sources import ImageSource

__all__ = ["Features", "features", "stream_features"]

Cache: TypeAlias = "FeatureCache | Literal[False] | None"
Batch: TypeAlias = "list[LoadedImage]"

_BATCHES_HELD = 4  # images of different sizes wait for others of their size, at most so many batches together


@dataclass(frozen=True, eq=False)
class Features:
    """Features of a set, a row an image that could be read, in the set's order.

    Attributes:
        values: (n, d) float64.
        indices: (n,) positions in the set.
        feature_names: The d names.
        extractor: The extractor's name.
        images: The images of the rows.
        survey: What was seen on the way.
        warnings: What a reader of a score of these must know.
    """

    values: NDArray[np.float64]
    indices: NDArray[np.int64]
    feature_names: tuple[str, ...]
    extractor: str
    images: ImageSet
    survey: Survey
    warnings: tuple[str, ...]


def features(
    images: ImageSource | ImageSet,
    extractor: str | Path | Extractor = "radiomics",
    *,
    cache: Cache = None,
    workers: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> Features:
    """The features of all images of a set.

    Args:
        images: A set, or what `ImageSet.open` takes.
        extractor: See `registry.extractor`.
        cache: A cache; None for the user's own (none where SYNTH_CACHE is "off"); False for none.
        workers: Threads that decode.
        progress: Called with the number of images done.

    Raises:
        InputError: An image that cannot be read, unless the set skips them; pictures and volumes in one set; or what
            the extractor refuses.
    """
    images = ImageSet.open(images)
    chosen = find_extractor(extractor)
    survey = Survey(images.name)
    kept = _cache(cache)
    indices, values = [], []
    for some, vectors in stream_features(images, chosen, cache=kept or False, workers=workers, survey=survey):
        indices.append(some)
        values.append(vectors)
        if progress is not None:
            progress(sum(map(len, indices)))
    order = np.argsort(np.concatenate(indices))
    rows = np.concatenate(indices)[order]
    table = np.concatenate(values)[order]
    notes = () if kept is None else kept.notes
    names = chosen.feature_names(len(next(iter(survey.shapes))))
    odd = _not_finite(table, names, [images.entries[row].name for row in rows], images.name)
    warnings = (*survey.warnings, *chosen.notes, *notes, *odd)
    read = images if len(rows) == len(images) else images.subset(rows.tolist())
    return Features(table, rows, names, chosen.name, read, survey, warnings)


def stream_features(
    images: ImageSet,
    extractor: Extractor,
    *,
    cache: Cache = None,
    workers: int | None = None,
    survey: Survey | None = None,
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float64]]]:
    """Features in pieces, for sets whose features do not fit memory.

    Args:
        images: The set.
        extractor: An extractor.
        cache: See `features`.
        workers: Threads that decode.
        survey: Collects what is seen.

    Yields:
        Positions in the set (k,), and vectors (k, d); in the set's order where all images are of one size and none
        is cached.
    """
    kept, first = _cache(cache), None
    waiting: defaultdict[tuple[object, ...], Batch] = defaultdict(list)
    held = 0
    for image in images.stream(survey, workers=workers):
        first = image if first is None else first
        _check_kind(images.name, first, image)
        found = None if kept is None else kept.get(extractor.version_hash, _key(image, extractor))
        if found is not None:
            yield np.array([image.index]), found[None]
            continue
        kind = (image.pixels.shape, str(image.pixels.dtype), image.spacing_mm)
        waiting[kind].append(image)
        held += 1
        full = len(waiting[kind]) >= extractor.batch_size
        if full or held >= _BATCHES_HELD * extractor.batch_size:
            batch = waiting.pop(kind if full else max(waiting, key=lambda one: len(waiting[one])))
            held -= len(batch)
            yield _extract(batch, extractor, kept)
    for batch in waiting.values():
        yield _extract(batch, extractor, kept)
    if kept is not None:
        kept.close()


def _check_kind(name: str, first: LoadedImage, image: LoadedImage) -> None:
    if image.pixels.ndim == first.pixels.ndim:
        return
    picture, volume = sorted((first, image), key=lambda one: one.pixels.ndim)
    raise InputError(
        f"{name}: {picture.name} is a picture and {volume.name} a volume; give sets of pictures or sets of volumes"
    )


def _extract(
    batch: Batch, extractor: Extractor, cache: FeatureCache | None
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    pixels = np.stack([image.pixels for image in batch])
    masks = [image.mask for image in batch if image.mask is not None] if extractor.uses_masks else []
    try:
        vectors = extractor.features(pixels, np.stack(masks) if masks else None, batch[0].spacing_mm)
    except InputError as error:
        raise InputError(_with_name(str(error), batch)) from error
    if vectors.ndim != 2 or len(vectors) != len(batch):
        raise InputError(f"extractor {extractor.name}: {len(batch)} images gave the shape {vectors.shape}")
    if cache is not None:
        for image, vector in zip(batch, vectors, strict=True):
            cache.put(extractor.version_hash, _key(image, extractor), vector)
    return np.array([image.index for image in batch]), vectors


def _with_name(message: str, batch: Batch) -> str:
    """A message that begins with "image 3: ", the position in a batch, with the image's name instead."""
    number = re.match(r"image (\d+): ", message)
    if number is None or int(number[1]) >= len(batch):
        return message
    return f"{batch[int(number[1])].name}: {message[number.end() :]}"


def _key(image: LoadedImage, extractor: Extractor) -> str:
    """The hash of all of an image that the extractor looks at."""
    if not extractor.uses_masks or (image.mask is None and image.spacing_mm is None):
        return image.digest
    mask = "" if image.mask is None else content_hash(image.mask)
    return hashlib.sha256(f"{image.digest} {mask} {image.spacing_mm}".encode()).hexdigest()


def _cache(cache: Cache) -> FeatureCache | None:
    if cache is None:
        return None if os.environ.get(ENVIRONMENT, "") == "off" else FeatureCache()
    return cache or None


def _not_finite(
    table: NDArray[np.float64], features: tuple[str, ...], images: list[str], where: str
) -> tuple[str, ...]:
    rows, columns = np.nonzero(~np.isfinite(table))
    if not len(rows):
        return ()
    first = f"first {features[columns[0]]} of {images[rows[0]]}"
    return (f"{where}: {len(rows)} features of {len(set(rows))} images are not finite numbers ({first})",)
