"""A classifier of CTs taught on training phantoms, and what it reads in samples: sex, age group, findings, sides."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
import torch
from cxr_evaluation.study import Part
from scipy.stats import rankdata
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ct_evaluation.study import Cts, Study
    from synth.diffusion.text.conditions import Conditions

__all__ = ["alignment", "auc", "targets"]

_SIDE = 32  # voxels along each axis that the classifier sees
_BATCH, _RATE = 8, 2e-3
_OLD = 60.0
_LEAST = 3  # of each answer, for an area under the curve
_FINDINGS = {
    "effusion": r"effusion",
    "pneumothorax": r"pneumothorax",
    "consolidation": r"consolidation|pneumonia",
    "atelectasis": r"atelecta|collapse",
    "nodule": r"nodule|mass",
    "edema": r"edema|oedema",
    "cardiomegaly": r"cardiomegaly|enlarged heart|heart is enlarged",
}
_SIDED = ("effusion", "pneumothorax", "consolidation", "atelectasis", "nodule")
NAMES = ("sex", "age group", *_FINDINGS, *(f"{name}, side" for name in _SIDED))


def targets(conditions: Sequence[Conditions]) -> NDArray[np.float32]:
    """(n, len(NAMES)): male, from 60 years on, findings in the words, and right rather than left; NaN where unsaid."""
    rows = []
    for one in conditions:
        said = [part for part in re.split(r"[.;]\s*", one.impression.lower()) if not part.startswith("no ")]
        row = [
            np.nan if one.sex is None else float(one.sex == "M"),
            np.nan if one.age is None else float(one.age >= _OLD),
        ]
        sides = {}
        for name, words in _FINDINGS.items():
            parts = [part for part in said if re.search(words, part)]
            row.append(float(bool(parts)))
            left, right = (any(side in part for part in parts) for side in ("left", "right"))
            sides[name] = float(right) if left != right else np.nan
        rows.append([*row, *(sides[name] for name in _SIDED)])
    return np.array(rows, np.float32)


def auc(truth: NDArray[np.float32], scores: NDArray[np.float64]) -> float:
    """Area under the ROC curve, ties by halves; NaN with fewer than 3 of an answer, or unknown truths left out."""
    known = np.isfinite(truth)
    yes = truth[known] > 0.5
    n, m = int(yes.sum()), int((~yes).sum())
    if min(n, m) < _LEAST:
        return float("nan")
    ranks = rankdata(scores[known])
    return float((ranks[yes].sum() - n * (n + 1) / 2) / (n * m))


def alignment(study: Study) -> Part:
    """AUC of what was asked for, in held-out phantoms and in samples."""
    network = _taught(study.training, study.epochs, study.seed)
    part, lines = Part(), []
    scores = {cts.name: _read(network, cts) for cts in (study.held_out, study.samples)}
    truth = targets(study.held_out.conditions)
    for column, name in enumerate(NAMES):
        found = {which: auc(truth[:, column], values[:, column]) for which, values in scores.items()}
        part.values[name] = found
        shown = ["–" if np.isnan(found[which]) else f"{found[which]:.3f}" for which in ("held-out", "samples")]
        lines.append([name, *shown, str(int(np.nansum(truth[:, column])))])
    for group, names in (("findings", list(_FINDINGS)), ("sides", [f"{name}, side" for name in _SIDED])):
        known = [part.values[name]["samples"] for name in names if np.isfinite(part.values[name]["samples"])]
        part.values[f"mean of {group}"] = float(np.mean(known)) if known else float("nan")
    head = ["", "held-out phantoms", "samples", "with it"]
    part.add("AUC of a classifier taught on training phantoms", head, lines)
    part.notes.append("Old: from 60 years on. Sides: right rather than left, of findings said of one side.")
    return part


def _taught(cts: Cts, epochs: int, seed: int) -> nn.Module:
    generator = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    network = nn.Sequential(
        nn.Conv3d(2, 16, 3, 2, 1), nn.SiLU(), nn.Conv3d(16, 32, 3, 2, 1), nn.SiLU(),
        nn.Conv3d(32, 64, 3, 2, 1), nn.SiLU(), nn.AdaptiveAvgPool3d(2),
        nn.Flatten(), nn.Dropout(0.2), nn.Linear(512, len(NAMES)),
    )  # fmt: skip
    truth = torch.from_numpy(targets(cts.conditions))
    optimiser = torch.optim.AdamW(network.parameters(), _RATE, weight_decay=0.01)
    for _ in range(epochs):
        for rows in torch.randperm(len(cts), generator=generator).split(_BATCH):
            wanted = truth[rows]
            known, seen = wanted.isfinite(), network(_seen(cts, rows.tolist()))
            loss = nn.functional.binary_cross_entropy_with_logits(seen[known], wanted[known])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    return network.eval()


@torch.no_grad()
def _read(network: nn.Module, cts: Cts) -> NDArray[np.float64]:
    rows = [list(range(len(cts)))[k : k + _BATCH] for k in range(0, len(cts), _BATCH)]
    return torch.cat([network(_seen(cts, some)) for some in rows]).double().numpy()


def _seen(cts: Cts, rows: list[int]) -> Tensor:
    """(n, 2, 32, 32, 32): lung and soft-tissue windows, −1 to 1, of voxels' means."""
    hu = torch.from_numpy(np.stack([cts.hu[row] for row in rows]).astype(np.float32))[:, None]
    windows = [((hu - low) / (high - low)).clamp(0, 1) * 2 - 1 for low, high in ((-1000, 0), (-150, 250))]
    return nn.functional.adaptive_avg_pool3d(torch.cat(windows, 1), _SIDE)
