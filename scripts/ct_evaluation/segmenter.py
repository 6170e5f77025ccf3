"""A segmentation of a CT by thresholds and trees, as far as these go, and Dice of the model's masks with it.

Lungs are air that is not the air around the body; airways grow from the windpipe through what is as dark as air;
vessels are what is dense within the lungs, hollows filled. Fissures cannot be had from thresholds: lobes are the lungs
parted by the nearest of the masks that are judged, so that their Dice is about the borders of the lungs alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from cxr_evaluation.study import Part
from scipy import ndimage

from synth.diffusion.ct.channels import MASKS
from synth.metrics.volumes.structures import LOBES
from synth.metrics.volumes.trees import tree_of_trachea

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ct_evaluation.study import Cts, Study

    Mask = NDArray[np.bool_]

__all__ = ["dice", "mask_agreement", "segmented"]

_AIR_HU, _LUNG_HU, _VESSEL_HU, _BONE_HU = -900, -500, -400, 150
_CLOSE_MM = 6.0
_WINDPIPE_MM = 12.0  # from the model's airways, within which air is theirs
SEEN = (*LOBES, "lung_airways", "lung_vessels", "bones")


def segmented(hu: NDArray[np.int16], masks: NDArray[np.bool_], spacing: tuple[float, ...]) -> dict[str, Mask]:
    """Structure → mask.

    Args:
        hu: (z, y, x).
        masks: (m, z, y, x) of `MASKS`: where lobes part, and about where the windpipe is.
        spacing: (z, y, x) mm.
    """
    named = dict(zip(MASKS, masks, strict=True))
    air = _inside(hu)
    steps = max(1, round(_CLOSE_MM / min(spacing)))
    airways = _airways(hu, named["lung_airways"], max(1, round(_WINDPIPE_MM / min(spacing))))
    lungs = ndimage.binary_closing(air & ~airways, iterations=steps) & ~airways
    vessels = lungs & (hu > _VESSEL_HU)
    lobes = np.stack([named[name] for name in LOBES])
    found = {"lung_airways": airways, "lung_vessels": vessels, "bones": hu > _BONE_HU}
    if lobes.any():
        _, nearest = ndimage.distance_transform_edt(~lobes.any(0), sampling=spacing, return_indices=True)
        owner = lobes.argmax(0)[tuple(nearest)]
        found |= {name: lungs & (owner == k) for k, name in enumerate(LOBES)}
    return {name: found.get(name, np.zeros(hu.shape, np.bool_)) for name in SEEN}


def dice(one: Mask, other: Mask) -> float:
    """2 |A ∩ B| / (|A| + |B|); NaN of two empty masks."""
    total = np.count_nonzero(one) + np.count_nonzero(other)
    return 2 * np.count_nonzero(one & other) / total if total else float("nan")


def mask_agreement(study: Study) -> Part:
    """Dice of the model's masks, and, for comparison, of the phantoms' own masks with the same segmentation of them.

    Both are hinted by masks, so that neither measures what segmenting afterwards would lose.
    """
    part, lines = Part(), []
    for name, cts in (("samples", study.samples), ("held-out", study.held_out)):
        scores = _scores(cts)
        for structure, values in scores.items():
            known = [value for value in values if np.isfinite(value)]
            mean, low = (float(np.mean(known)), float(np.quantile(known, 0.05))) if known else (float("nan"),) * 2
            part.values.setdefault(name, {})[structure] = mean
            lines.append([name, structure, f"{mean:.3f}", f"{low:.3f}", str(len(known))])
    part.add("Dice of masks with thresholds and trees", ["CTs", "structure", "mean", "5 % quantile", "n"], lines)
    return part


def _scores(cts: Cts) -> dict[str, list[float]]:
    scores: dict[str, list[float]] = {name: [] for name in SEEN}
    for row in range(len(cts)):
        masks = np.array(cts.masks[row])
        named, seen = dict(zip(MASKS, masks, strict=True)), segmented(np.array(cts.hu[row]), masks, cts.spacing)
        for name in SEEN:
            whole = named[name] | (named["lung_vessels"] & seen[name]) if name in LOBES else named[name]
            scores[name].append(dice(whole, seen[name]))
    return scores


def _inside(hu: NDArray[np.int16]) -> Mask:
    """Dark voxels of parts that do not reach the sides of the volume."""
    parts, _ = ndimage.label(hu < _LUNG_HU)
    sides = [parts[:, (0, -1), :], parts[:, :, (0, -1)]]
    outside = np.unique(np.concatenate([side.ravel() for side in sides]))
    inside: Mask = ~np.isin(parts, np.union1d(outside, [0]))
    return inside


def _airways(hu: NDArray[np.int16], hint: Mask, steps: int) -> Mask:
    """Air near the model's airways, the part of the windpipe alone."""
    near = (hu < _AIR_HU) & ndimage.binary_dilation(hint, iterations=steps) if hint.any() else np.zeros_like(hint)
    return tree_of_trachea(near) if near.any() else near
