"""A chest of boxes: right HU, right shares, one tree, at 3 mm."""

from __future__ import annotations

import numpy as np

from synth.core.volume import Labels, Volume
from synth.metrics.volumes.structures import MaskedCt

AFFINE = np.diag([3.0, 3.0, 3.0, 1.0])
SHAPE = (96, 64, 96)
NAMES = (
    "lung_upper_lobe_left",
    "lung_lower_lobe_left",
    "lung_upper_lobe_right",
    "lung_middle_lobe_right",
    "lung_lower_lobe_right",
    "lung_airways",
    "lung_vessels",
    "bones",
)


def chest(seed: int = 0, noise: float = 12.0) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """HU int16 and masks; x grows to the left and z to the head, as the identity has it."""
    rng = np.random.default_rng(seed)
    hu = np.full(SHAPE, -1000.0)
    hu[3:-3, 4:-4, 4:-4] = 40
    masks = {name: np.zeros(SHAPE, bool) for name in NAMES}
    right, left = slice(8, 42), slice(54, 83)
    deep = slice(8, 56)
    for name, z, x in (
        ("lung_upper_lobe_left", slice(43, 76), left),
        ("lung_lower_lobe_left", slice(10, 43), left),
        ("lung_upper_lobe_right", slice(54, 76), right),
        ("lung_middle_lobe_right", slice(43, 54), right),
        ("lung_lower_lobe_right", slice(10, 43), right),
    ):
        masks[name][z, deep, x] = True
        hu[z, deep, x] = -850
    masks["lung_airways"][50:90, 30:34, 46:50] = True  # the windpipe, then a bronchus to each side
    masks["lung_airways"][50:53, 30:33, 30:66] = True
    for x in (12, 20, 28, 36, 58, 66, 74):
        masks["lung_vessels"][14:42, 20:24, x : x + 3] = True
        masks["lung_vessels"][14:42, 40:44, x : x + 3] = True
    masks["bones"][10:80, 57:60, 30:66] = True
    for name, value in (("lung_airways", -990), ("lung_vessels", 40), ("bones", 300)):
        hu[masks[name]] = value
    hu += rng.normal(0, noise, SHAPE)
    return np.clip(np.rint(hu), -1024, 3071).astype(np.int16), masks


def whole(hu: np.ndarray, masks: dict[str, np.ndarray], **known: object) -> MaskedCt:
    """The CT with its voxels of 3 mm."""
    return MaskedCt(hu, masks, (3.0, 3.0, 3.0), **known)  # type: ignore[arg-type]


def files(seed: int = 0) -> tuple[Volume, Labels]:
    """The CT and its label map, of one label a voxel."""
    hu, masks = chest(seed)
    labels = np.zeros(SHAPE, np.uint8)
    for value, name in enumerate(NAMES, 1):
        labels[masks[name]] = value
    return Volume(hu, AFFINE, f"chest {seed}"), Labels(labels, AFFINE, dict(enumerate(NAMES, 1)))
