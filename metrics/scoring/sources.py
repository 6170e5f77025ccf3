"""What scores look at: features, FRD tables, pictures; each gives the scores of any part of two sets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol, overload

from synth.core.errors import InputError
from synth.metrics.images.sets import ImageSet
from synth.metrics.images.windowing import Window, to_8_bits
from synth.metrics.patients import codes, repeat
from synth.metrics.scoring.metrics import FAMILIES, METRICS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy as np
    from numpy.typing import NDArray

    from synth.metrics.frd.features import FrdTable
    from synth.metrics.patients import PatientNames
    from synth.metrics.score_value import Score
    from synth.metrics.scoring.features import PairedFeatures

    Rows = NDArray[np.intp]
    Generators = Callable[[str], np.random.Generator]

__all__ = ["FeatureSource", "FrdSource", "PictureSource", "Source"]


class Source(Protocol):
    """Both sets as some metrics see them."""

    @property
    def label(self) -> str:
        """What to call it in tables."""

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metrics it gives."""

    @property
    def names(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Names of the images of both sets, in the order of rows."""

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a reader must know."""

    def scores(self, metric: str, first: Rows, second: Rows, rng: Generators) -> Mapping[str, Score]:
        """The scores of the metric's family for rows of the reference and of the generated set.

        Raises:
            InputError: Too few images, or what the score refuses.
        """


@dataclass(frozen=True, eq=False)
class FeatureSource:
    """Distances and the like, of features.

    Attributes:
        metrics: The metrics.
        pair: The features of both sets.
    """

    metrics: tuple[str, ...]
    pair: PairedFeatures

    @property
    def label(self) -> str:
        """The extractor."""
        return self.pair.extractor

    @property
    def names(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Those of the images whose features could be had."""
        return self.pair.reference.names, self.pair.generated.names

    @property
    def warnings(self) -> tuple[str, ...]:
        """Of the images and the features."""
        return (*self.pair.warnings, *_notes(self.pair.reference, self.pair.generated))

    def scores(self, metric: str, first: Rows, second: Rows, rng: Generators) -> Mapping[str, Score]:
        """See `Source.scores`."""
        family = METRICS[metric].family
        pair = self.pair
        patients = _some(pair.reference.patients, first), _some(pair.generated.patients, second)
        found = FAMILIES[family](pair.x[first], pair.y[second], rng(family), patients)
        return {metric: found["fd"]} if metric == "fid" else found


@dataclass(frozen=True, eq=False)
class FrdSource:
    """The FRD, of its own features."""

    reference: FrdTable
    generated: FrdTable
    metrics: tuple[str, ...] = ("frd",)

    @property
    def label(self) -> str:
        """Of FRD v1."""
        return "frd-v1"

    @property
    def names(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Of all images that could be read."""
        return self.reference.images, self.generated.images

    @property
    def warnings(self) -> tuple[str, ...]:
        """Of the images."""
        return (*self.reference.warnings, *self.generated.warnings, *_notes(self.reference, self.generated))

    def scores(self, metric: str, first: Rows, second: Rows, rng: Generators) -> Mapping[str, Score]:
        """See `Source.scores`."""
        from synth.metrics.frd.distance import frd

        return {metric: frd(self.reference.rows(first), self.generated.rows(second), rng=rng("frd")).score}

    def explanation(self, top: int = 10) -> tuple[tuple[str, float], ...]:
        """The largest parts of the distance of all images: (class of features and filter, share of the whole)."""
        from synth.metrics.frd.explain import explain
        from synth.metrics.frd.normalise import normalise

        found = normalise(self.reference.values, self.generated.values, self.reference.names, "v1", "clean")
        if min(len(found.x), len(found.y)) < 2 or not found.names:
            return ()
        parts = explain(found.x, found.y, found.names, self.reference.name, self.generated.name)
        return tuple((part.name, part.share) for part in parts.by("class and filter")[:top])


@dataclass(frozen=True, eq=False)
class PictureSource:
    """MS-SSIM, of the pictures at 8 bits."""

    reference: ImageSet
    generated: ImageSet
    window: Window = "full"
    most: int = 64
    label: str = "pixels"
    metrics: tuple[str, ...] = ("ms-ssim",)
    warnings: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Of all images."""
        return self.reference.names, self.generated.names

    def scores(self, metric: str, first: Rows, second: Rows, rng: Generators) -> Mapping[str, Score]:
        """See `Source.scores`."""
        from synth.metrics.distances.diversity_score import ms_ssim_diversity_score

        sides = ((self.reference, first), (self.generated, second))
        one, other = (_Pictures(images, rows, self.window) for images, rows in sides)
        try:
            patients = _some(self.reference.patients, first), _some(self.generated.patients, second)
            score = ms_ssim_diversity_score(one, other, rng=rng("ms-ssim"), most=self.most, patients=patients)
        except InputError as error:
            hint = "; resize all images to one size" if "one size" in str(error) else ""
            raise InputError(f"ms-ssim: {error}{hint}") from error
        used = min(self.most, len(first)), min(self.most, len(second))
        note = f"of {used[0]} reference and {used[1]} generated images, chosen at random"
        return {metric: score.with_warnings(note) if used < (len(first), len(second)) else replace(score)}


def _some(patients: Sequence[str] | None, rows: Rows) -> PatientNames:
    return None if patients is None else [patients[int(row)] for row in rows]


def _notes(*sets: ImageSet | FrdTable) -> tuple[str, ...]:
    """Says so where patients have several images."""
    counts = [(one.name, codes(one.patients, _size(one), one.name)) for one in sets]
    said = [f"{len(own)} images of {len(set(own.tolist()))} patients in {name}" for name, own in counts if repeat(own)]
    return (f"{' and '.join(said)}: intervals, floors and p-values go by patients",) if said else ()


def _size(images: ImageSet | FrdTable) -> int:
    return len(images) if isinstance(images, ImageSet) else len(images.images)


class _Pictures(Sequence["NDArray[np.uint8]"]):
    """Images that are decoded when they are asked for."""

    def __init__(self, images: ImageSet, rows: Rows, window: Window) -> None:
        self.images, self.chosen, self.window = images, rows, window

    def __len__(self) -> int:
        return len(self.chosen)

    @overload
    def __getitem__(self, index: int) -> NDArray[np.uint8]: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[NDArray[np.uint8]]: ...
    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return _Pictures(self.images, self.chosen[index], self.window)
        image = self.images.load(int(self.chosen[index]))
        if image.pixels.ndim != 2:
            raise InputError(f"{image.name} is a volume; MS-SSIM takes 2D images")
        return to_8_bits(image.pixels, self.window)
