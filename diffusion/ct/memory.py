"""What a CT of some size takes of memory, told before it is begun, and the tile with which it fits.

The counts follow the code: what is held whole (volumes in int16 and bool, latents in float32), and the tensors that are
alive at once where a tile takes most. The factors of the latter were counted, see the test.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from synth.core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from torch import nn

    from synth.diffusion.ct.pipeline import CtPipeline

__all__ = ["MemoryPlan", "available_bytes", "fitting", "peak_bytes"]

_PROCESS = 600 * 2**20  # Python with torch, diffusers and transformers, before anything is loaded
_LATENTS = 9  # arrays like the finest latents: two noises, coarse, its mix, sample, velocity, its sums, weights
_DECODED = 3  # copies of a decoded tile: the convolution's, unfolded, and as it is handed on
_ENCODED = 4  # copies of a tile to encode, in float32: as enlarged, masks cut, joined, folded
_FINE, _INNER = 8, 5  # activations of a refined tile, times its channels
_LEAST_TILE = 16  # voxels
_UNITS = ((2**30, "GiB"), (2**20, "MiB"))


@dataclass(frozen=True)
class MemoryPlan:
    """Bytes at the peak.

    Attributes:
        size: (z, y, x) voxels of the CT.
        tile: Voxels along each side of a tile, without its halo.
        dtype: Of the networks.
        networks: Their weights.
        latents: Of the finest grid, with what is computed from them as a whole.
        working: Of the largest tile, or of the base.
        volume: CTs and masks.
        process: The program itself.
    """

    size: tuple[int, int, int]
    tile: int
    dtype: torch.dtype
    networks: int
    latents: int
    working: int
    volume: int
    process: int = _PROCESS

    @property
    def device(self) -> int:
        """On the device that the networks run on."""
        return self.networks + self.latents + self.working

    @property
    def host(self) -> int:
        """In main memory, where the networks run elsewhere."""
        return self.volume + self.process

    @property
    def total(self) -> int:
        """In main memory, where the networks run there, too."""
        return self.device + self.host

    def __str__(self) -> str:
        z, y, x = self.size
        name = str(self.dtype).removeprefix("torch.")
        return (
            f"{z} × {y} × {x} voxels in tiles of {self.tile}, {name}: about {_text(self.total)} "
            f"(networks {_text(self.networks)}, latents {_text(self.latents)}, a tile {_text(self.working)}, "
            f"CT and masks {_text(self.volume)}, program {_text(self.process)})"
        )


def peak_bytes(
    pipe: CtPipeline,
    size: Sequence[int],
    *,
    tile: int | None = None,
    dtype: torch.dtype | None = None,
    batch: int | None = None,
) -> MemoryPlan:
    """The memory that `pipe` takes for such CTs.

    Args:
        pipe: The pipeline.
        size: (z, y, x) voxels, see `CtPipeline.grid`.
        tile: Voxels along each side of what is refined and decoded at once; default: the model's.
        dtype: Of the networks; default: as they are.
        batch: CTs of one call; default: as many as the base is given at once.

    Raises:
        InputError: A size that cannot be made.
    """
    grid = pipe.grid(size)
    dtype = pipe.vae.dtype if dtype is None else dtype
    side, rows = int(tile or pipe.config.tile), batch or pipe.rows
    factor, number = pipe.vae.factor, torch.finfo(dtype).bits // 8
    cells = prod(grid.size) // factor**3
    working = [_base(pipe, grid.at(0).size, number) * min(rows, pipe.rows), _coded(pipe, grid.size, side, number)]
    if grid.finer and pipe.refiner is not None:
        working.append(_refined(pipe, grid.size, side, number) * pipe.rows)
    voxel = 2 + len(pipe.vae.names)
    return MemoryPlan(
        grid.size,
        side,
        dtype,
        sum(parameter.numel() for net in _networks(pipe) for parameter in net.parameters()) * number,
        _LATENTS * 4 * int(pipe.vae.config.latent_channels) * cells,
        max(working),
        prod(grid.size) * voxel * (rows + 1) + (prod(grid.size) * voxel // 8 if grid.finer else 0),
    )


def fitting(pipe: CtPipeline, size: Sequence[int], limit: int, *, tile: int | None = None) -> MemoryPlan | None:
    """The plan with the largest tile that stays within a limit, one CT at a time; None where even the least does not.

    Networks that run elsewhere are held against their device's memory, the rest against main memory; see
    `available_bytes`.

    Args:
        pipe: The pipeline.
        size: (z, y, x) voxels.
        limit: Bytes where the networks run.
        tile: Voxels to begin with; default: the model's.
    """
    side, unit = int(tile or pipe.config.tile), pipe.vae.factor
    on_cpu = pipe.device.type == "cpu"
    while side >= min(_LEAST_TILE, int(tile or pipe.config.tile)):
        plan = peak_bytes(pipe, size, tile=side, batch=1)
        if (plan.total if on_cpu else plan.device) <= limit:
            return plan
        side = side // 2 // unit * unit
    return None


def available_bytes(device: torch.device) -> int:
    """Memory that is free where networks run: of the GPU, or of the machine and the group of processes it allows.

    Raises:
        InputError: The machine does not tell.
    """
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        free = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration) as error:
        raise InputError("this machine does not tell how much memory is free") from error
    return min([free, *_group_limit(Path("/sys/fs/cgroup"))])


def _group_limit(folder: Path) -> Iterator[int]:
    """What a group of processes (cgroup 2) may still take, if it is limited; files that it shares can be dropped."""
    try:
        most = (folder / "memory.max").read_text().strip()
        used = int((folder / "memory.current").read_text())
        stat = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
    except (OSError, ValueError):
        return
    if most.isdigit():
        yield int(most) - used + int(stat.get("inactive_file", 0))


def _networks(pipe: CtPipeline) -> Iterator[nn.Module]:
    """Those that are loaded."""
    for net in (pipe.vae, pipe.text_encoder, pipe.transformer, pipe.refiner, pipe.control):
        if net is not None:
            yield net


def _coded(pipe: CtPipeline, size: Sequence[int], tile: int, number: int) -> int:
    """A tile with its halo that is decoded, or enlarged (in float32) and encoded."""
    config, factor, halo = pipe.vae.config, pipe.vae.factor, pipe.vae.halo
    cells = prod(min(tile // factor + 2 * halo, side // factor) for side in size)
    channels = (1 + len(pipe.vae.names)) * factor**3
    inside = 6 * int(config.widths[-1])
    return int(cells * (max(_DECODED * number, _ENCODED * 4) * channels + inside * number))


def _refined(pipe: CtPipeline, size: Sequence[int], tile: int, number: int) -> int:
    """A tile in the refiner."""
    config, factor = pipe.refiner.config, pipe.vae.factor
    cells = prod(min(tile // factor, side // factor) for side in size)
    return int(cells * number * (_FINE * config.width + _INNER * config.inner / 8))


def _base(pipe: CtPipeline, size: Sequence[int], number: int) -> int:
    """A volume in the denoiser, twice for guidance: tokens, queries, keys and values, and what is hidden between."""
    config = pipe.transformer.config
    tokens = prod(side // (pipe.vae.factor * config.patch) for side in size)
    return int(2 * tokens * config.width * number * (2 + 6 + 8))


def _text(number: int) -> str:
    size, unit = next(((size, unit) for size, unit in _UNITS if number >= size), _UNITS[-1])
    return f"{number / size:.1f} {unit}"
