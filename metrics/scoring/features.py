"""The features of two image sets, brought to one scale, so that scores of them mean something."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from synth.core.errors import InputError
from synth.metrics.extractors.protocol import version_hash
from synth.metrics.extractors.run import features
from synth.metrics.frd.normalise import normalise
from synth.metrics.images.survey import shared_content
from synth.metrics.images.windowing import Window, check_window, to_8_bits

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from synth.metrics.extractors.protocol import Extractor
    from synth.metrics.extractors.run import Cache, Features
    from synth.metrics.images.sets import ImageSet
    from synth.metrics.images.survey import Survey

__all__ = ["PairedFeatures", "Windowed", "pair_features", "set_warnings"]

_SHOWN = 4


class Windowed:
    """An extractor that sees 2D images at 8 bits, so that sets of different bit depths compare; volumes it leaves.

    An image whose mask is empty or too small has a vector of NaN: one such image must not stop a set of thousands.

    Attributes:
        inner: The extractor.
        window: How 16-bit grey values come to 8 bits.
    """

    def __init__(self, inner: Extractor, window: Window = "full") -> None:
        self.inner, self.window = inner, check_window(window)

    @property
    def name(self) -> str:
        """The inner extractor's."""
        return self.inner.name

    @property
    def dimension(self) -> int:
        """The inner extractor's."""
        return self.inner.dimension

    @property
    def batch_size(self) -> int:
        """The inner extractor's."""
        return self.inner.batch_size

    @property
    def uses_masks(self) -> bool:
        """The inner extractor's."""
        return self.inner.uses_masks

    @property
    def notes(self) -> tuple[str, ...]:
        """The inner extractor's."""
        return self.inner.notes

    @cached_property
    def version_hash(self) -> str:
        """Of the inner extractor and the window."""
        return version_hash(inner=self.inner.version_hash, window=self.window)

    def feature_names(self, ndim: int = 2) -> tuple[str, ...]:
        """The inner extractor's."""
        return self.inner.feature_names(ndim)

    def features(
        self,
        images: NDArray[Any],
        masks: NDArray[np.bool_] | None = None,
        spacing_mm: tuple[float, ...] | None = None,
    ) -> NDArray[np.float64]:
        """Vectors (n, d) of images (n, h, w) at 8 bits, or of volumes as they are."""
        seen = to_8_bits(images, self.window) if images.ndim == 3 else images
        try:
            return self.inner.features(seen, masks, spacing_mm)
        except InputError:
            if masks is None:
                raise
        return np.concatenate([self._one(seen[k : k + 1], masks[k : k + 1], spacing_mm) for k in range(len(seen))])

    def _one(
        self, image: NDArray[Any], mask: NDArray[np.bool_], spacing_mm: tuple[float, ...] | None
    ) -> NDArray[np.float64]:
        try:
            return self.inner.features(image, mask, spacing_mm)
        except InputError:
            return np.full((1, len(self.feature_names(image.ndim - 1))), np.nan)


@dataclass(frozen=True, eq=False)
class PairedFeatures:
    """Two sets' features in the same columns and units, a row an image.

    Attributes:
        x: (n, d) float64, of the reference.
        y: (m, d) float64, of the generated set.
        names: (d,) of the columns.
        extractor: Its name.
        reference: The images of the rows of x.
        generated: The images of the rows of y.
        dropped: Columns left out → why.
        warnings: What a reader must know.
        surveys: What was seen of both sets.
    """

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    names: tuple[str, ...]
    extractor: str
    reference: ImageSet
    generated: ImageSet
    dropped: Mapping[str, str]
    warnings: tuple[str, ...]
    surveys: tuple[Survey, Survey]


def pair_features(
    reference: ImageSet,
    generated: ImageSet,
    extractor: Extractor,
    *,
    standardise: bool,
    cache: Cache = None,
    workers: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> PairedFeatures:
    """Extracts the features of both sets.

    Args:
        reference: Real images.
        generated: Images to judge.
        extractor: An extractor.
        standardise: For named features of many units: columns that are constant in the reference or undefined are left
            out, and the others taken in standard deviations of the reference from its mean. Networks' features stay.
        cache: See `extractors.run.features`.
        workers: Threads that decode.
        progress: Called with the number of images done, of both sets.

    Raises:
        InputError: What `extractors.run.features` refuses; volumes against pictures; or no column or image is left.
    """
    first = features(reference, extractor, cache=cache, workers=workers, progress=progress)
    done = len(first.values)
    later = None if progress is None else (lambda count: progress(done + count))
    second = features(generated, extractor, cache=cache, workers=workers, progress=later)
    if first.feature_names != second.feature_names:
        raise InputError(f"{reference.name} and {generated.name}: one holds volumes, the other 2D images; use one kind")
    warnings = (*first.warnings, *second.warnings, *set_warnings(first.survey, second.survey))
    if reference.masks is not None and not extractor.uses_masks:
        warnings += (f"{extractor.name} does not look at masks: its features are of whole images",)
    if standardise:
        return _standardised(first, second, warnings)
    for found in (first, second):
        if not np.isfinite(found.values).all():
            raise InputError(f"{found.warnings[-1]}; leave these images out")
    return PairedFeatures(
        first.values,
        second.values,
        first.feature_names,
        first.extractor,
        first.images,
        second.images,
        {},
        tuple(dict.fromkeys(warnings)),
        (first.survey, second.survey),
    )


def _standardised(first: Features, second: Features, warnings: tuple[str, ...]) -> PairedFeatures:
    ready = normalise(first.values, second.values, first.feature_names, "v1", "clean")
    left_out: list[str] = []
    for found, kept in zip((first, second), ready.kept, strict=True):
        gone = sorted(set(range(len(found.values))) - set(kept.tolist()))
        if gone:
            some = ", ".join(found.images.names[row] for row in gone[:_SHOWN])
            left_out.append(
                f"{found.images.name}: {len(gone)} images have undefined features and were left out ({some})"
            )
        if not len(kept):
            raise InputError(f"{found.images.name}: no image has all features; all are constant or masks are too small")
    if not ready.names:
        raise InputError(f"{first.images.name}: every feature is constant in the reference; its images do not differ")
    alien = [name for name, why in ready.dropped.items() if "but not so" in why]
    if alien:
        some = ", ".join(alien[:_SHOWN]) + (", …" if len(alien) > _SHOWN else "")
        left_out.append(f"features left out, constant in the reference but not in the generated set: {some}")
    return PairedFeatures(
        ready.x,
        ready.y,
        ready.names,
        first.extractor,
        first.images.subset(ready.kept[0].tolist()),
        second.images.subset(ready.kept[1].tolist()),
        ready.dropped,
        tuple(dict.fromkeys((*warnings, *left_out))),
        (first.survey, second.survey),
    )


def set_warnings(first: Survey, second: Survey) -> tuple[str, ...]:
    """What two sets, seen side by side, make doubtful: shared images, other sizes, other bit depths."""
    lines = [shared_content(first, second)]
    if not set(first.shapes) & set(second.shapes):
        sizes = [" × ".join(map(str, survey.shapes.most_common(1)[0][0])) for survey in (first, second)]
        lines.append(
            f"{first.name} and {second.name} share no image size ({sizes[0]}, {sizes[1]}): scores see the resolution; "
            "resize brings both to one"
        )
    if not set(first.dtypes) & set(second.dtypes):
        kinds = [survey.dtypes.most_common(1)[0][0] for survey in (first, second)]
        lines.append(
            f"{first.name} holds {kinds[0]}, {second.name} {kinds[1]} images: grey values compare only where full "
            "scale means the same in both"
        )
    return tuple(line for line in lines if line is not None)
