"""Slices of volumes: what pictures show, and what networks of images are asked about."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from synth.diffusion.training.look import tinted

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

__all__ = ["pictured", "slices"]

_EACH = 3  # slices along each axis
_WINDOW = (-0.9, 0.4)
"""What is black and white, of −1 … 1 for −1000 … 1000 HU: lungs and soft tissue are both to be seen."""


def slices(volumes: Tensor) -> Tensor:
    """(n, 1, s, s, s) → (9 n, 1, s, s): three slices along each axis, evenly spread."""
    side = volumes.shape[2]
    at = [(2 * k + 1) * side // (2 * _EACH) for k in range(_EACH)]
    return torch.cat([volumes.select(axis, k) for axis in (2, 3, 4) for k in at])


def pictured(*rows: Tensor) -> NDArray[np.uint8]:
    """Volumes (n, 1 + m, s, s, s), masks −1 to 1 → for each row of them its middle coronal and axial slices, tinted.

    Heads are up, and the patient's right is on the left.
    """
    lines = []
    for row in rows:
        middle = row.shape[2] // 2
        coronal, axial = row[:, :, :, middle].flip(2), row[:, :, middle]
        for plane in (coronal, axial):
            low, high = _WINDOW
            gray = (plane[:, :1].float().cpu() - low) * (2 / (high - low)) - 1
            lines.append(tinted(gray, (plane[:, 1:].float().cpu() > 0).float()))
    return np.concatenate(lines)
