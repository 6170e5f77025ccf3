"""The model card: what the model is, what it was trained on, and how its stages scored; all read from the run."""

from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING, Any

import yaml
from bench_drr_peers.tables import table
from cxr_training.card import weight_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

__all__ = ["card"]

_HEAD = """---
license: apache-2.0
library_name: diffusers
tags: [radiology, chest-ct, synthetic]
---

# Text to chest CT, with masks

Prompts with age, sex and findings → CTs with masks of lobes, airways, vessels, heart, bones and findings. Trained on
CTs of anatomical phantoms alone: no patient's image was used. Not for clinical use. Licence: Apache-2.0.
"""
_LIMITS = """## What it is not

It draws what phantoms look like, not patients. Words that the phantoms' reports do not use mean nothing to it. Race is
read and was never told: it changes nothing that can be relied upon. Branches narrower than a voxel are not drawn.
"""


def card(pipeline: Path, run: Path, data: Iterable[Path], command: str) -> str:
    """The card.

    Args:
        pipeline: The model's folder.
        run: That it was trained in.
        data: Folders of CTs.
        command: What makes it again.
    """
    recipe = yaml.safe_load((run / "recipe.yaml").read_text(encoding="utf-8"))
    sizes = weight_bytes(pipeline)
    rows = [[name, f"{size / 1e6:.2f}"] for name, size in (sizes | {"together": sum(sizes.values())}).items()]
    parts = [_HEAD, "## Training\n", f"Command: `{command}`\n", _data(data), _stages(run, recipe)]
    return "\n".join([*parts, "## Parts\n", table(["part", "MB"], rows), _defaults(pipeline), _LIMITS])


def _data(folders: Iterable[Path]) -> str:
    rows = []
    for folder in folders:
        with (folder / "metadata.csv").open(encoding="utf-8", newline="") as stream:
            scans = list(csv.DictReader(stream))
        spacing = sorted({scan.get("spacing_z_mm") or "?" for scan in scans})
        rows.append([folder.name, str(len(scans)), ", ".join(spacing)])
    return table(["CTs", "number", "slice distance in mm"], rows)


def _stages(run: Path, recipe: dict[str, Any]) -> str:
    rows = []
    for name in ("autoencoder", "base", "refiner", "control"):
        path = run / name / "scores.json"
        if not path.is_file():
            continue
        scores = json.loads(path.read_text(encoding="utf-8"))["scores"]
        shown = ", ".join(f"{key} {value:.3g}" for key, value in scores.items() if key not in ("ema", "steps"))
        rows.append([name, f"{scores['steps']:.0f}", str(recipe[name]["batch"]), f"{scores['ema']:g}", shown])
    head = ["stage", "steps", "batch", "EMA", "on bodies that were not trained on"]
    finest = recipe["size"] << recipe["finer"]
    grids = f"{recipe['size']}³ voxels of {recipe['spacing']:g} mm, and up to {finest}³ of the same field of view"
    return f"{grids}; seed {recipe['seed']}.\n\n{table(head, rows)}"


def _defaults(pipeline: Path) -> str:
    index = json.loads((pipeline / "model_index.json").read_text(encoding="utf-8"))
    return (
        f"Unless asked otherwise: {index['steps']} steps of the base, {index['refine_steps']} of each finer grid, "
        f"guidance {index['guidance']:g}.\n"
    )
