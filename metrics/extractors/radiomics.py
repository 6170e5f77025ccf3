"""Radiomic features as an extractor: no network, no download, 2D and 3D, with or without masks."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from synth.metrics.extractors.protocol import source_hash, version_hash

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from synth.metrics.radiomics.settings import Settings

__all__ = ["Radiomics"]

_CODE = ("synth.metrics.radiomics", "synth.kernels.texture_matrices", "synth.kernels.texture_sums")


class Radiomics:
    """`synth.metrics.radiomics` as an extractor; see `protocol.Extractor`.

    Attributes:
        settings: What to extract and how.
        workers: Threads; None for those that kernels use.
    """

    name = "radiomics"
    batch_size = 64
    uses_masks = True
    notes: tuple[str, ...] = ()

    def __init__(self, settings: Settings | None = None, *, workers: int | None = None) -> None:
        from synth.metrics.radiomics.settings import Settings  # compiles kernels: only where it is used

        self.settings = Settings() if settings is None else settings
        self.workers = workers

    @property
    def dimension(self) -> int:
        """How many features the settings ask for in 2D."""
        return len(self.feature_names())

    @cached_property
    def version_hash(self) -> str:
        """Of the settings and of the code."""
        return version_hash(settings=repr(self.settings), code=source_hash(*_CODE))

    def feature_names(self, ndim: int = 2) -> tuple[str, ...]:
        """As pyradiomics names them."""
        from synth.metrics.radiomics.settings import column_names

        return column_names(self.settings, ndim)

    def features(
        self,
        images: NDArray[Any],
        masks: NDArray[np.bool_] | None = None,
        spacing_mm: tuple[float, ...] | None = None,
    ) -> NDArray[np.float64]:
        """Vectors (n, d) of images (n, h, w) or volumes (n, z, y, x) of any grey values, within masks where given."""
        from synth.metrics.radiomics.table import feature_table

        along_xyz = None if spacing_mm is None else [spacing_mm[::-1]] * len(images)
        regions = None if masks is None else list(masks)
        return feature_table(list(images), regions, self.settings, along_xyz, self.workers).values
