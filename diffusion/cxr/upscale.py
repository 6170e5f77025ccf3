"""Pictures of another size than the model's: resampled, and gone over by the model in overlapping tiles.

Resampling alone adds nothing: it is the model's picture on a finer grid. Tiles that are partly noised and drawn again
(as in image-to-image) get the model's texture at the finer scale, but no detail that it has learned from radiographs of
that size, for it has seen none. Windows that add up to one (Hann) leave no seams.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from synth.diffusion.flow import noise_seed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import TypeAlias

    from numpy.typing import NDArray

    Redraw: TypeAlias = Callable[[NDArray[np.float32], Sequence[int]], NDArray[np.float32]]

__all__ = ["refine", "resize", "resize_mask", "tile_starts"]


def resize(image: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    """A picture (h, w), 0 to 1, as (side, side): Lanczos, widened when shrinking, clipped."""
    picture = Image.fromarray(np.ascontiguousarray(image, np.float32))
    resized = np.asarray(picture.resize((side, side), resample=Image.Resampling.LANCZOS))
    clipped: NDArray[np.float32] = np.clip(resized, 0, 1).astype(np.float32)
    return clipped


def resize_mask(mask: NDArray[np.bool_], side: int) -> NDArray[np.bool_]:
    """A mask (h, w) as (side, side): bilinear, cut at one half, so that outlines stay smooth."""
    picture = Image.fromarray(np.ascontiguousarray(mask, np.float32))
    halves: NDArray[np.bool_] = np.asarray(picture.resize((side, side), resample=Image.Resampling.BILINEAR)) >= 0.5
    return halves


def refine(redraw: Redraw, image: NDArray[np.float32], tile: int, seed: int) -> NDArray[np.float32]:
    """A picture whose overlapping tiles were drawn again.

    Args:
        redraw: (n, tile, tile) and a seed each → the tiles drawn again.
        image: (side, side), 0 to 1, side above `tile`.
        tile: Pixels.
        seed: Of the picture.
    """
    corners = [(top, left) for top in tile_starts(len(image), tile) for left in tile_starts(len(image), tile)]
    tiles = np.stack([image[top : top + tile, left : left + tile] for top, left in corners])
    drawn = redraw(tiles, [noise_seed(seed, number, "tile") for number in range(len(corners))])
    window = np.hanning(tile + 2)[1:-1]
    weight = np.outer(window, window)
    whole, weights = np.zeros(image.shape), np.zeros(image.shape)
    for (top, left), one in zip(corners, drawn, strict=True):
        whole[top : top + tile, left : left + tile] += weight * one
        weights[top : top + tile, left : left + tile] += weight
    return (whole / weights).astype(np.float32)


def tile_starts(side: int, tile: int) -> list[int]:
    """Where tiles that overlap by at least a half begin, so that the last ends at the edge."""
    steps = -(-2 * (side - tile) // tile)
    return [round(k * (side - tile) / steps) for k in range(steps + 1)] if steps else [0]
