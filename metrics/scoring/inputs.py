"""From two places of images to what scores look at."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Literal, TypeAlias

from synth.core.errors import InputError
from synth.metrics.extractors.radiomics import Radiomics
from synth.metrics.extractors.registry import extractor as find_extractor
from synth.metrics.frd.features import frd_table
from synth.metrics.images.sets import ImageSet
from synth.metrics.scoring.features import Windowed, pair_features
from synth.metrics.scoring.metrics import METRICS
from synth.metrics.scoring.sources import FeatureSource, FrdSource, PictureSource

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from synth.metrics.extractors.protocol import Extractor
    from synth.metrics.extractors.run import Cache
    from synth.metrics.images.masks import Masks
    from synth.metrics.images.sources import ImageSource
    from synth.metrics.images.windowing import Window
    from synth.metrics.scoring.features import PairedFeatures
    from synth.metrics.scoring.sources import Source

__all__ = ["Extraction", "OnError", "open_pair", "sources"]

OnError: TypeAlias = Literal["raise", "skip"]


@dataclass(frozen=True)
class Extraction:
    """How features are come by; see `scoring.score`."""

    extractor: str | Path | Extractor = "radiomics"
    weights: str | Path | None = None
    window: Window = "full"
    device: str | None = None
    cache: Cache = None
    workers: int | None = None
    progress: Callable[[], None] | None = None

    def find(self, kind: str = "features") -> Extractor:
        """The chosen extractor, or Inception for that kind of metrics; radiomics sees 2D images at 8 bits.

        Raises:
            InputError: As `registry.extractor`.
        """
        if kind == "inception":
            own = self.weights if self.extractor in ("inception", "radiomics") else None
            return find_extractor("inception", weights=own, window=self.window, device=self.device)
        if self.extractor == "radiomics" or isinstance(self.extractor, Radiomics):
            return Windowed(find_extractor(self.extractor), self.window)  # weights and device are Inception's
        return find_extractor(self.extractor, weights=self.weights, window=self.window, device=self.device)

    def pair(self, reference: ImageSet, generated: ImageSet, extractor: Extractor | None = None) -> PairedFeatures:
        """The features of both sets, radiomic ones in standard deviations of the reference.

        Raises:
            InputError: As `pair_features`.
        """
        chosen = self.find() if extractor is None else extractor
        return pair_features(
            reference,
            generated,
            chosen,
            standardise=isinstance(chosen, Windowed),
            cache=self.cache,
            workers=self.workers,
            progress=self.counter(),
        )

    def counter(self) -> Callable[[int], None] | None:
        """What calls progress once an image, told how many are done."""
        if self.progress is None:
            return None
        advance, seen = self.progress, 0

        def count(done: int) -> None:
            nonlocal seen
            for _ in range(done - seen):
                advance()
            seen = done

        return count


def open_pair(
    reference: ImageSource | ImageSet,
    generated: ImageSource | ImageSet,
    reference_masks: Masks | None = None,
    generated_masks: Masks | None = None,
    resize: int | tuple[int, int] | None = None,
    on_error: OnError = "raise",
    *,
    reference_on_error: OnError | None = None,
) -> tuple[ImageSet, ImageSet]:
    """Opens both sets; `reference_on_error` where the reference is to be read otherwise.

    Raises:
        InputError: As `ImageSet.open`; masks for one set alone; or a set of one image.
    """
    first = ImageSet.open(reference, masks=reference_masks, resize=resize, on_error=reference_on_error or on_error)
    second = ImageSet.open(generated, masks=generated_masks, resize=resize, on_error=on_error)
    if first.name == second.name:
        first = replace(first, name=f"{first.name} [reference]")
        second = replace(second, name=f"{second.name} [generated]")
    if (first.masks is None) != (second.masks is None):
        wanted = first if first.masks is None else second
        raise InputError(f"{wanted.name}: masks are given for the other set alone; give this one's, too")
    for images, place in ((first, "reference"), (second, "generated set")):
        if len(images) < 2:
            raise InputError(f"{images.name}: one image is no distribution; give the {place} at least 2, better 200")
    return first, second


def sources(names: tuple[str, ...], first: ImageSet, second: ImageSet, work: Extraction) -> Iterator[Source]:
    """What the metrics look at; extractors are found before any image is decoded, so that a missing one fails early.

    Raises:
        InputError: An extractor that is not there, or images that cannot be read.
    """
    by_kind = {kind: tuple(name for name in names if METRICS[name].sees == kind) for kind in ("features", "inception")}
    extractors = {kind: work.find(kind) for kind, wanted in by_kind.items() if wanted}
    for kind, chosen in extractors.items():
        yield FeatureSource(by_kind[kind], work.pair(first, second, chosen))
    if "frd" in names:
        count = work.counter()
        table = partial(frd_table, cache=work.cache, workers=work.workers)
        real = table(first, progress=count)
        later = None if count is None else (lambda done: count(len(real.images) + done))
        yield FrdSource(real, table(second, progress=later))
    if "ms-ssim" in names:
        yield PictureSource(first, second, work.window)
