"""What is trained on what, for how long: a table for each kind of machine."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["PRESETS", "Preset"]


@dataclass(frozen=True)
class Preset:
    """A run.

    Attributes:
        size: Voxels of a side of the base.
        spacing: Of its voxels, mm; there is one grid above it, twice as fine.
        voxel_mm: Of the bodies.
        bodies: To train on.
        held_out: Others, to judge by.
        recipe: See `synth.diffusion.training.ct.recipe.CtRecipe`; what is left out keeps its default.
    """

    size: int
    spacing: float
    voxel_mm: float
    bodies: int
    held_out: int
    recipe: Mapping[str, Any]

    def content(self, data: list[str], seed: int) -> dict[str, Any]:
        """The recipe's content for these folders."""
        return {"data": data, "size": self.size, "spacing": self.spacing, "finer": 1, "seed": seed, **self.recipe}


def _stage(minutes: float | None, steps: int, batch: int, lr: float, **more: Any) -> dict[str, Any]:
    return {"max_minutes": minutes, "steps": steps, "batch": batch, "lr": lr, **more}


_BASE = {"patch": 2, "width": 192, "depth": 6, "heads": 4}
_TEXT = {"vocabulary": 1024, "width": 128, "depth": 2, "heads": 4}
_REFINER = {"width": 48, "inner": 112}

_CPU = {
    #                        minutes  steps  batch   lr
    "autoencoder": _stage(        25, 10_000,    2, 1e-3),
    "base":        _stage(        55, 30_000,    8, 1e-3, model=_BASE, text=_TEXT),
    "refiner":     _stage(        25, 20_000,    4, 1e-3, model=_REFINER),
    "control":     _stage(        10, 10_000,    8, 5e-4, depth=1),
}  # fmt: skip
_GPU = {
    "autoencoder": _stage(         8, 20_000,   16, 1e-3, critic=0.1, critic_from=0.7),
    "base":        _stage(        12, 40_000,   64, 1e-3, model=_BASE, text=_TEXT),
    "refiner":     _stage(        10, 40_000,   64, 1e-3, model=_REFINER),
    "control":     _stage(         4, 10_000,   64, 5e-4, depth=1),
}  # fmt: skip
_TINY = {
    "autoencoder": _stage(None, 4, 2, 1e-3, model={"latent_channels": 4, "widths": [16], "blocks": [1]}, patch=16),
    "base":        _stage(None, 4, 2, 1e-3, model={"width": 16, "depth": 1, "heads": 2},
                          text={"vocabulary": 400, "width": 16, "depth": 1, "heads": 2}, picture_steps=1),
    "refiner":     _stage(None, 4, 2, 1e-3, model={"width": 8, "inner": 8, "blocks": [1, 0, 1], "signal": 8}, tile=4,
                          picture_steps=1),
    "control":     _stage(None, 2, 2, 1e-3, depth=1, picture_steps=1),
    "validation": 0.3,
    "sampling": {"steps": 2, "refine_steps": 1, "tile": 16},
}  # fmt: skip

PRESETS: Mapping[str, Preset] = MappingProxyType(
    {
        "cpu-2h": Preset(64, 6.0, 3.0, 500, 100, _CPU),
        "gpu": Preset(64, 6.0, 1.5, 1500, 200, _GPU),
        "tiny": Preset(16, 20.0, 5.0, 4, 2, _TINY),
    }
)
"""Name → run. "cpu-2h": two cores; "gpu": in pieces by --stop-after; "tiny": that all works."""
