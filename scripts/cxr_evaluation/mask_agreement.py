"""Masks that the model reads from its latents, beside those that a segmenter finds in the picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from cxr_evaluation.segmenter import SEGMENTED, dice
from cxr_evaluation.study import Part
from synth.core.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cxr_evaluation.study import Study

__all__ = ["mask_agreement"]


def mask_agreement(study: Study) -> Part:
    """Dice of lungs and heart, frontal views."""
    rows, made = study.frontal, study.samples
    missing = [name for name in SEGMENTED if name not in made.structures]
    if missing:
        raise InputError(f"masks: the model reads none of {', '.join(missing)}")
    columns = [made.structures.index(name) for name in SEGMENTED]
    shown = study.held_out.some(rows)
    empty = np.zeros(shown.images.shape[1:], np.bool_)
    true = np.stack([[shown.masks(k).get(name, empty) for name in SEGMENTED] for k in range(len(shown))])
    scores = {
        "samples: read from latents, against the segmenter": dice(
            made.masks[rows][:, columns], study.segmenter.masks(made.images[rows])
        ),
        "held-out: the segmenter, against projected masks": dice(study.segmenter.masks(shown.images), true),
    }
    decoded = _decoded(study, shown.images)
    if decoded is not None:
        scores["held-out: read from latents, against projected masks"] = dice(decoded[:, columns], true)
    part, lines = Part(), []
    for name, found in scores.items():
        means, lows = np.nanmean(found, 0), np.nanpercentile(found, 5, axis=0)
        part.values[name] = dict(zip(SEGMENTED, map(float, means), strict=True))
        lines.append([name, *(f"{mean:.3f} ({low:.2f})" for mean, low in zip(means, lows, strict=True))])
    part.add(f"Dice of {len(rows)} frontal radiographs (and its 5 % quantile)", ["", *SEGMENTED], lines)
    return part


@torch.no_grad()
def _decoded(study: Study, images: NDArray[np.uint16]) -> NDArray[np.bool_] | None:
    """What the mask decoder reads in the latents of radiographs; None for models without one."""
    pipe = getattr(study.model, "pipe", None)
    decoder = getattr(pipe, "mask_decoder", None)
    if pipe is None or decoder is None:
        return None
    parts = []
    for first in range(0, len(images), 64):
        latents = pipe.encoded(images[first : first + 64].astype(np.float32) / 65535)
        parts.append(decoder.masks(latents.to(decoder.dtype)).cpu().numpy())
    return np.concatenate(parts)
