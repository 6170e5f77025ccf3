"""What is trained on what, for how long: a table for each kind of machine."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from cxr_training.radiographs import Films

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["PRESETS", "Preset"]


@dataclass(frozen=True)
class Preset:
    """A run.

    Attributes:
        size: Pixels of a side.
        voxel_mm: Of the bodies.
        films: To train on.
        held_out: Of other bodies, to judge by.
        recipe: See `synth.diffusion.training.recipe.Recipe`; what is left out keeps its default.
    """

    size: int
    voxel_mm: float
    films: tuple[Films, ...]
    held_out: tuple[Films, ...]
    recipe: Mapping[str, Any]

    def content(self, data: list[str], seed: int) -> dict[str, Any]:
        """The recipe's content for these folders."""
        return {"data": data, "size": self.size, "seed": seed, **self.recipe}


def _stage(minutes: float | None, steps: int, batch: int, lr: float, **more: Any) -> dict[str, Any]:
    return {"max_minutes": minutes, "steps": steps, "batch": batch, "lr": lr, **more}


# 10.4 million weights with 40 structures: 21 MB in half precision.
_AUTOENCODER = {"latent_channels": 8, "stem": 4, "widths": [48, 128], "blocks": [1, 3]}
_DENOISER = {"patch": 2, "width": 224, "depth": 8, "heads": 4}
_TEXT = {"vocabulary": 1024, "width": 192, "depth": 2, "heads": 4}
_MASKS = {"width": 64, "blocks": 2}
_VARIANTS = {"count": 4, "augment": {"shift": 0.03, "scale": 0.03, "contrast": 0.08}}

_CPU = {
    #                        minutes  steps  batch   lr
    "autoencoder": _stage(        15, 40_000,    8, 1e-3, model=_AUTOENCODER, critic=0.1, critic_from=0.75),
    "denoiser":    _stage(        65, 90_000,   32, 1e-3, model=_DENOISER, text=_TEXT, compile=True),
    "masks":       _stage(         8, 20_000,   16, 1e-3, model=_MASKS),
    "control":     _stage(         8, 20_000,   16, 5e-4, depth=1),
}  # fmt: skip
_GPU = {
    "autoencoder": _stage(         6, 40_000,   64, 1e-3, model=_AUTOENCODER, critic=0.1, critic_from=0.7),
    "denoiser":    _stage(        18, 60_000,  256, 1e-3, model=_DENOISER, text=_TEXT, latents=_VARIANTS, compile=True),
    "masks":       _stage(         3, 10_000,   64, 1e-3, model=_MASKS),
    "control":     _stage(         4, 10_000,  128, 5e-4, depth=1),
}  # fmt: skip
_TINY_AUTOENCODER = {"latent_channels": 4, "stem": 4, "widths": [8, 16], "blocks": [1, 1]}
_TINY_DENOISER = {"patch": 2, "width": 32, "depth": 2, "heads": 2}
_TINY_TEXT = {"vocabulary": 400, "width": 16, "depth": 1, "heads": 2}
_TINY = {
    "autoencoder": _stage(      None,     12,    4, 1e-3, model=_TINY_AUTOENCODER, warmup=2),
    "denoiser":    _stage(      None,     12,    4, 1e-3, model=_TINY_DENOISER, text=_TINY_TEXT, warmup=2),
    "masks":       _stage(      None,      6,    4, 1e-3, model={"width": 16, "blocks": 1}, warmup=2),
    "control":     _stage(      None,      6,    4, 1e-3, depth=1, warmup=2),
    "rare": 2,
    "validation": 0.3,
    "sampling": {"steps": 2},
}  # fmt: skip

PRESETS: Mapping[str, Preset] = MappingProxyType(
    {
        "cpu-2h": Preset(
            128,
            3.5,
            (Films("pa", 700, 8), Films("ap", 250, 6), Films("lateral", 150, 6)),
            (Films("pa", 300, 3), Films("ap", 100, 3), Films("lateral", 60, 3)),
            _CPU,
        ),
        "gpu": Preset(
            256,
            2.5,
            (Films("pa", 1400, 8), Films("ap", 500, 6), Films("lateral", 300, 6)),
            (Films("pa", 300, 3), Films("ap", 100, 3), Films("lateral", 60, 3)),
            _GPU,
        ),
        "tiny": Preset(64, 5.0, (Films("pa", 4, 4),), (Films("pa", 4, 3),), _TINY),
    }
)
"""Name → run. "cpu-2h": two cores, 128 × 128; "gpu": 256 × 256, in pieces by --stop-after; "tiny": that all works."""
