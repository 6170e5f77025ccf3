"""The judge of masks: a small U-Net (Ronneberger et al. 2015, arXiv:1505.04597), taught on projected masks."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from synth.core.files import atomic_path
from synth.core.seeds import sample_generator
from synth.diffusion.training.masks import overlap_loss

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from cxr_evaluation.pictures import Pictures

__all__ = ["SEGMENTED", "Segmenter", "dice"]

SEGMENTED = ("lung_left", "lung_right", "heart")
_BATCH, _TELL = 16, 200
_WIDTHS = (24, 48, 96)


class Segmenter(nn.Module):
    """(n, 1, h, w) of mean 0 and deviation 1 → logits (n, 3, h, w) of SEGMENTED."""

    def __init__(self) -> None:
        super().__init__()
        one, two, three = _WIDTHS
        self.fine, self.middle, self.coarse = _block(4, one), _block(one, two), _block(two, three)
        self.up_middle, self.up_fine = _block(three + two, two), _block(two + one, one)
        self.out = nn.Conv2d(one, 4 * len(SEGMENTED), 1)

    def forward(self, x: Tensor) -> Tensor:
        """Logits."""
        fine = self.fine(nn.functional.pixel_unshuffle(x, 2))
        middle = self.middle(nn.functional.max_pool2d(fine, 2))
        coarse = self.coarse(nn.functional.max_pool2d(middle, 2))
        middle = self.up_middle(torch.cat([_twice(coarse), middle], 1))
        fine = self.up_fine(torch.cat([_twice(middle), fine], 1))
        return nn.functional.pixel_shuffle(self.out(fine), 2)

    @classmethod
    def of(cls, path: Path, training: Pictures, steps: int, threads: int) -> Segmenter:
        """Taught on frontal training phantoms, or read from `path` where it is there already."""
        torch.set_num_threads(threads)
        torch.manual_seed(0)
        net = cls()
        if path.is_file():
            net.load_state_dict(torch.load(path, weights_only=True))
            return net.eval()
        shown = training.some(training.frontal())
        _teach(net, shown, steps)
        with atomic_path(path) as temporary:
            torch.save(net.state_dict(), temporary)
        return net.eval()

    @torch.no_grad()
    def masks(self, images: NDArray[np.uint16]) -> NDArray[np.bool_]:
        """(n, 3, h, w) of images (n, h, w)."""
        parts = [self(_prepared(images[k : k + 64])) > 0 for k in range(0, len(images), 64)]
        return torch.cat(parts).numpy()


def dice(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> NDArray[np.float64]:
    """(n, s) of masks (n, s, h, w); nan where both are empty."""
    both = 2.0 * (first & second).sum((2, 3))
    size = first.sum((2, 3)) + second.sum((2, 3))
    return np.where(size > 0, both / np.maximum(size, 1), np.nan)


def _teach(net: Segmenter, shown: Pictures, steps: int) -> None:
    bits = np.stack([_packed(shown, index) for index in range(len(shown))])
    optimizer = torch.optim.AdamW(net.parameters(), lr=2e-3, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=steps)
    weights = torch.ones(len(SEGMENTED))
    for step in range(steps):
        chosen = sample_generator(0, step, "segmenter").integers(len(shown), size=_BATCH)
        side = shown.images.shape[1:]
        wanted = torch.from_numpy(np.unpackbits(bits[chosen], axis=-1).astype(np.float32)).reshape(_BATCH, -1, *side)
        logits = net(_prepared(shown.images[chosen]))
        loss = nn.functional.binary_cross_entropy_with_logits(logits, wanted) + overlap_loss(logits, wanted, weights)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if step % _TELL == _TELL - 1:
            print(f"segmenter: step {step + 1} of {steps}, loss {float(loss):.3f}", file=sys.stderr, flush=True)


def _packed(shown: Pictures, index: int) -> NDArray[np.uint8]:
    own, side = shown.masks(index), shown.images.shape[1:]
    return np.stack([np.packbits(own.get(name, np.zeros(side, np.bool_))) for name in SEGMENTED])


def _prepared(images: NDArray[np.uint16]) -> Tensor:
    values = torch.from_numpy(images.astype(np.float32))[:, None]
    return (values - values.mean((2, 3), keepdim=True)) / (values.std((2, 3), keepdim=True) + 1e-3)


def _block(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
        nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


def _twice(x: Tensor) -> Tensor:
    return nn.functional.interpolate(x, scale_factor=2, mode="nearest")
