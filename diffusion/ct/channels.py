"""What the channels of a network mean: the CT, and masks that may overlap."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from synth.core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from torch import Tensor

__all__ = ["HU_RANGE", "MASKS", "from_network", "label_map", "to_network"]

HU_RANGE = (-1000, 1000)
"""HU that become −1 and 1; what lies outside is clipped. MAISI's range (Guo et al. 2024, arXiv:2409.11169)."""

MASKS = (
    "lung_upper_lobe_left",
    "lung_lower_lobe_left",
    "lung_upper_lobe_right",
    "lung_middle_lobe_right",
    "lung_lower_lobe_right",
    "heart",
    "bones",
    "lung_vessels",
    "lung_airways",
    "finding",
)
"""Masks in the order of their channels, with TotalSegmentator's names where one exists; later ones lie over earlier
ones where every voxel has one label. Airways are windpipe and bronchi, vessels those inside the lungs, a finding is any
of them."""


def to_network(hu: NDArray[np.number], masks: NDArray[np.bool_]) -> Tensor:
    """(n, 1 + m, z, y, x) float32: the CT in −1 … 1, then masks, −1 outside and 1 inside.

    Args:
        hu: (n, z, y, x) HU.
        masks: (n, m, z, y, x).
    """
    if masks.shape != (len(hu), masks.shape[1], *hu.shape[1:]):
        raise InputError(f"masks: expected the grid of the CT, {hu.shape[1:]}, got {masks.shape[2:]}")
    low, high = HU_RANGE
    x = np.empty((len(hu), 1 + masks.shape[1], *hu.shape[1:]), np.float32)
    x[:, 0] = (np.clip(hu, low, high).astype(np.float32) - low) / ((high - low) / 2) - 1
    x[:, 1:] = masks
    x[:, 1:] *= 2
    x[:, 1:] -= 1
    return torch.from_numpy(x)


def from_network(ct: Tensor, logits: Tensor) -> tuple[NDArray[np.int16], NDArray[np.bool_]]:
    """HU (n, z, y, x) and masks (n, m, z, y, x) of what a decoder makes.

    Args:
        ct: (n, 1, z, y, x), −1 … 1.
        logits: (n, m, z, y, x), above 0 inside.

    Raises:
        InputError: Numbers that are not finite: half precision was not enough, or latents are not of this decoder.
    """
    if not bool(ct.isfinite().all()):
        raise InputError(
            "the decoded CT is not finite: use float32, or check that latents and autoencoder belong together"
        )
    low, high = HU_RANGE
    hu = ct[:, 0].float().add(1).mul((high - low) / 2).add(low).clamp(low, high).round()
    return hu.to(torch.int16).cpu().numpy(), (logits > 0).cpu().numpy()


def label_map(masks: NDArray[np.bool_], names: Sequence[str] = MASKS) -> tuple[NDArray[np.uint8], dict[int, str]]:
    """One label a voxel, and which label is what.

    Args:
        masks: (m, z, y, x); where they overlap, the last one counts.
        names: Of the masks.

    Returns:
        (z, y, x): 0 for background, or 1 + the place of the mask; and names by label.
    """
    if len(masks) != len(names):
        raise InputError(f"{len(masks)} masks and {len(names)} names: give one name each")
    labels = np.zeros(masks.shape[1:], np.uint8)
    for value, mask in enumerate(masks, start=1):
        labels[mask] = value
    return labels, dict(enumerate(names, start=1))
