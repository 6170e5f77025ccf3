"""What the FRD looks at: frd-score's radiomic columns of every image of a set, and its grey values' mean and spread."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from synth.core.errors import InputError
from synth.metrics.extractors.protocol import source_hash, version_hash
from synth.metrics.extractors.run import features
from synth.metrics.images.sets import ImageSet

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike, NDArray

    from synth.metrics.extractors.run import Cache
    from synth.metrics.images.masks import Masks
    from synth.metrics.images.sources import ImageSource
    from synth.metrics.images.survey import Survey

__all__ = ["GREY", "FrdExtractor", "FrdTable", "Version", "frd_table"]

Version: TypeAlias = Literal["v0", "v1"]

GREY = ("grey_Mean", "grey_StandardDeviation")
"""Of an image's stored grey values, which v1 normalises away."""

VOXELS = "diagnostics_Mask-original_VoxelNum"
"""The column that counts the voxels looked at."""

_CODE = (
    "synth.metrics.radiomics",
    "synth.kernels.texture_matrices",
    "synth.kernels.texture_sums",
    "synth.metrics.frd.features",
)


class FrdExtractor:
    """frd-score's columns of an image, then those of `GREY`; see `extractors.protocol.Extractor`.

    An image in which they are undefined (constant, or with a mask too small for texture) has a vector of NaN: one such
    image must not stop a set of thousands.

    Attributes:
        version: "v0" or "v1".
        workers: Threads; None for those that kernels use.
    """

    batch_size = 64
    uses_masks = True
    notes: tuple[str, ...] = ()

    def __init__(self, version: Version, *, workers: int | None = None) -> None:
        if version not in ("v0", "v1"):
            raise InputError(f"version must be 'v0' or 'v1', got {version!r}")
        self.version: Version = version
        self.workers = workers

    @property
    def name(self) -> str:
        """frd-v0 or frd-v1."""
        return f"frd-{self.version}"

    @property
    def dimension(self) -> int:
        """Columns of a 2D image."""
        return len(self.feature_names())

    @cached_property
    def version_hash(self) -> str:
        """Of the version and of the code."""
        return version_hash(name=self.name, code=source_hash(*_CODE))

    def feature_names(self, ndim: int = 2) -> tuple[str, ...]:
        """frd-score's names and order, then `GREY`."""
        from synth.metrics.radiomics.settings import column_names, frd_settings

        dimension: Any = ndim
        return (*column_names(frd_settings(self.version, dimension), ndim), *GREY)

    def features(
        self,
        images: NDArray[Any],
        masks: NDArray[np.bool_] | None = None,
        spacing_mm: tuple[float, ...] | None = None,
    ) -> NDArray[np.float64]:
        """Vectors (n, d) of images (n, h, w) or volumes (n, z, y, x); masks of that shape; spacing along (z, y, x)."""
        try:
            radiomic = self._table(images, masks, spacing_mm)
        except InputError:
            rows = [self._one(image, masks, k, spacing_mm) for k, image in enumerate(images)]
            radiomic = np.concatenate(rows)
        inside = tuple(range(1, images.ndim))
        values = images.astype(np.float64)
        return np.column_stack([radiomic, values.mean(inside), values.std(inside)])

    def _table(
        self, images: NDArray[Any], masks: NDArray[np.bool_] | None, spacing_mm: tuple[float, ...] | None
    ) -> NDArray[np.float64]:
        from synth.metrics.radiomics.settings import frd_settings  # compiles kernels: only where it is used
        from synth.metrics.radiomics.table import feature_table

        dimension: Any = images.ndim - 1
        spacings = None if spacing_mm is None else [spacing_mm[::-1]] * len(images)
        regions = None if masks is None else list(masks)
        return feature_table(
            list(images), regions, frd_settings(self.version, dimension), spacings, self.workers
        ).values

    def _one(
        self,
        image: NDArray[Any],
        masks: NDArray[np.bool_] | None,
        number: int,
        spacing_mm: tuple[float, ...] | None,
    ) -> NDArray[np.float64]:
        """The row of one image; NaN where the image is at fault and not the settings."""
        try:
            return self._table(image[None], None if masks is None else masks[number : number + 1], spacing_mm)
        except InputError as error:
            if masks is None and image.min() < image.max():
                raise InputError(f"image {number}: {str(error).removeprefix('image 0: ')}") from error
            return np.full((1, len(self.feature_names(image.ndim)) - len(GREY)), np.nan)


@dataclass(frozen=True, eq=False)
class FrdTable:
    """The columns of a set.

    Attributes:
        name: The set's.
        names: (d,) of the columns, frd-score's.
        values: (n, d) float64; NaN where undefined.
        grey: (n, 2), the columns of `GREY`; of no columns where a table was made without images.
        images: (n,) names of the images.
        warnings: What was seen on the way.
        whole: Whether whole images are known to have been looked at.
        survey: Of the images; None where a table was made without them, or of some of them.
        patients: (n,) names of the images' patients; None where they are not known.
    """

    name: str
    names: tuple[str, ...]
    values: NDArray[np.float64]
    grey: NDArray[np.float64]
    images: tuple[str, ...]
    warnings: tuple[str, ...] = ()
    whole: bool = False
    survey: Survey | None = None
    patients: tuple[str, ...] | None = None

    @classmethod
    def of(
        cls, name: str, names: tuple[str, ...], values: ArrayLike, images: tuple[str, ...] | None = None
    ) -> FrdTable:
        """A table of features (n, d) that exist already, such as those frd-score has written.

        Raises:
            InputError: Not a table of numbers, or not as many columns as names.
        """
        array = np.asarray(values, np.float64)
        if array.ndim != 2 or array.shape[1] != len(names):
            raise InputError(f"{name}: features of shape {array.shape} for {len(names)} names; give (images, features)")
        known = tuple(f"image {k}" for k in range(len(array))) if images is None else images
        return cls(name, names, array, np.empty((len(array), 0)), known)

    @property
    def sizes(self) -> frozenset[float]:
        """Numbers of voxels of whole images; none within masks, and of v0, which has no such column."""
        if not self.whole or VOXELS not in self.names:
            return frozenset()
        counts = self.values[:, self.names.index(VOXELS)]
        return frozenset(counts[~np.isnan(counts)].tolist())

    def rows(self, chosen: NDArray[np.intp] | NDArray[np.bool_]) -> FrdTable:
        """The same table of some images; its survey, which is of all of them, is left behind."""
        images, patients = (
            None if names is None else tuple(np.array(names, object)[chosen]) for names in (self.images, self.patients)
        )
        values, grey = self.values[chosen], self.grey[chosen]
        return replace(self, values=values, grey=grey, images=images or (), survey=None, patients=patients)


def frd_table(
    images: ImageSource | ImageSet,
    version: Version = "v1",
    *,
    masks: Masks | None = None,
    resize: int | tuple[int, int] | None = None,
    cache: Cache = None,
    workers: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> FrdTable:
    """The columns of all images of a set.

    Args:
        images: A set, or what `ImageSet.open` takes.
        version: "v0" or "v1".
        masks: See `images.masks.Masks`; paired by name.
        resize: Size (h, w) to bring 2D images to.
        cache: See `extractors.run.features`.
        workers: Threads.
        progress: Called with the number of images done.

    Raises:
        InputError: What `ImageSet.open` and `features` refuse.
    """
    opened = ImageSet.open(images, masks=masks, resize=resize)
    extractor = FrdExtractor(version, workers=workers)
    found = features(opened, extractor, cache=cache, workers=workers, progress=progress)
    split = len(found.feature_names) - len(GREY)
    said = tuple(line for line in found.warnings if "are not finite numbers" not in line)  # said with what is left out
    return FrdTable(
        opened.name,
        found.feature_names[:split],
        found.values[:, :split],
        found.values[:, split:],
        found.images.names,
        said,
        opened.masks is None,
        found.survey,
        found.images.patients,
    )
