"""Features of many images, in parallel."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import repeat
from typing import TYPE_CHECKING

import numpy as np

from synth.core.errors import InputError
from synth.kernels.threads import thread_count
from synth.metrics.radiomics.extract import extract
from synth.metrics.radiomics.settings import Settings, column_names

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

__all__ = ["FeatureTable", "feature_table"]

_DEFAULT = Settings()


@dataclass(frozen=True)
class FeatureTable:
    """Features of images.

    Attributes:
        names: (d,) of the columns.
        values: (n, d) float64; NaN where a feature is undefined.
    """

    names: tuple[str, ...]
    values: NDArray[np.float64]

    def columns(self, names: Sequence[str]) -> FeatureTable:
        """The table of some columns, in the order asked for.

        Raises:
            InputError: There is no column of a name.
        """
        at = {name: k for k, name in enumerate(self.names)}
        missing = [name for name in names if name not in at]
        if missing:
            raise InputError(f"names: the table has no column {missing[0]!r}")
        return FeatureTable(tuple(names), self.values[:, [at[name] for name in names]])


def feature_table(
    images: Sequence[ArrayLike],
    masks: Sequence[ArrayLike | None] | None = None,
    settings: Settings = _DEFAULT,
    spacings: Sequence[Sequence[float] | None] | None = None,
    workers: int | None = None,
) -> FeatureTable:
    """Extracts the features of all images, on threads; the result does not depend on how many.

    Args:
        images: (y, x) each, or (z, y, x) each.
        masks: one an image, None for all of it; None: none has one.
        settings: what to extract and how.
        spacings: voxel size of each, along (x, y) or (x, y, z), mm; 1 where not given.
        workers: threads; None: as many as kernels use.

    Returns:
        A row an image.

    Raises:
        InputError: There are no images, or not as many masks or spacings; or an image is refused, which is named by
            its number from 0.
    """
    if not len(images):
        raise InputError("images: there are none")
    for name, given in (("masks", masks), ("spacings", spacings)):
        if given is not None and len(given) != len(images):
            raise InputError(f"{name}: expected {len(images)}, one an image, got {len(given)}")
    dimensions = {np.ndim(image) for image in images}
    if len(dimensions) > 1 or not dimensions <= {2, 3}:
        raise InputError(f"images: expected all 2D or all 3D, got images of {sorted(dimensions)} dimensions")
    names = column_names(settings, dimensions.pop())

    def row(number: int, image: ArrayLike, mask: ArrayLike | None, spacing: Sequence[float] | None) -> list[float]:
        try:
            return list(extract(image, mask, settings, spacing).values())
        except InputError as error:
            raise InputError(f"image {number}: {error}") from error

    with ThreadPoolExecutor(workers or thread_count(), "synth-radiomics") as pool:
        jobs = zip(range(len(images)), images, masks or repeat(None), spacings or repeat(None), strict=False)
        rows = [job.result() for job in [pool.submit(row, *job) for job in jobs]]
    return FeatureTable(names, np.array(rows, np.float64))
