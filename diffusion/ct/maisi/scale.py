"""Whether a scale factor fits its autoencoder, measured on real volumes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from synth.core.errors import InputError
from synth.diffusion.ct.maisi.grid import to_maisi
from synth.diffusion.ct.maisi.pipeline import network_input

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from synth.core.volume import Volume
    from synth.diffusion.ct.maisi.pipeline import MaisiPipeline

__all__ = ["check_scale"]

_CROP = 128  # voxels a side: what fits anywhere, and shows enough of a body


@torch.inference_mode()
def check_scale(pipeline: MaisiPipeline, volumes: Sequence[Volume], tolerance: float = 0.25) -> float:
    """The scale factor that CTs ask for: 1 / the standard deviation of their latents, by the middle of each.

    Args:
        pipeline: Whose scale factor is judged.
        volumes: Of bodies, of a spacing that the model draws.
        tolerance: By which share the two may differ; the published factor was measured on one batch.

    Raises:
        InputError: They differ by more, so that the decoder would be given noise; or a volume is too small.
    """
    found = float(1 / torch.cat([_latents(pipeline, volume).flatten() for volume in volumes]).std(correction=0))
    ratio = pipeline.scale_factor / found
    if not 1 - tolerance <= ratio <= 1 / (1 - tolerance):
        raise InputError(
            f"scale_factor {pipeline.scale_factor:.4g}: these CTs ask for {found:.4g}; the denoiser is not of this "
            "autoencoder, or the factor is wrong"
        )
    return found


def _latents(pipeline: MaisiPipeline, volume: Volume) -> Tensor:
    """Means of the latents of the middle of a volume."""
    unit = pipeline.factor
    sides = [min(side, _CROP) // unit * unit for side in volume.shape]
    if min(sides) < unit:
        raise InputError(f"{volume.name}: {volume.shape} voxels; give at least {unit} along each axis")
    starts = [(side - kept) // 2 for side, kept in zip(volume.shape, sides, strict=True)]
    middle = volume.hu[tuple(slice(start, start + kept) for start, kept in zip(starts, sides, strict=True))]
    voxels = torch.from_numpy(to_maisi(network_input(middle)))[None, None].to(pipeline.device)
    with torch.autocast(pipeline.device.type, pipeline.dtype, enabled=pipeline.dtype != torch.float32):
        means: Tensor = pipeline.autoencoder.encode(voxels)[0]
    return means.float().cpu()
