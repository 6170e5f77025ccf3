"""The model card: what the model is, what it was trained on, and how its stages scored; all read from the run."""

from __future__ import annotations

import csv
import json
from collections import Counter
from typing import TYPE_CHECKING, Any

import yaml
from bench_drr_peers.tables import table

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

__all__ = ["card", "weight_bytes"]

_HEAD = """---
license: apache-2.0
library_name: diffusers
pipeline_tag: text-to-image
tags: [radiology, chest-x-ray, synthetic]
---

# Text to chest X-ray, with masks

Prompts with age, sex, view and findings → radiographs and the masks of structures and findings. Trained on radiographs
of anatomical phantoms alone: no patient's image was used. Not for clinical use. Licence: Apache-2.0.
"""
_LIMITS = """## What it is not

It draws what phantoms look like, not patients: their textures, devices and findings are models (docs/realism.md and
docs/findings.md measure how near they come). Words that the phantoms' reports do not use mean nothing to it. Race is
read and was never told: it changes nothing that can be relied upon.
"""


def weight_bytes(folder: Path) -> dict[str, int]:
    """Part of a pipeline → bytes of all its files."""
    parts = sorted(path for path in folder.iterdir() if path.is_dir())
    return {part.name: sum(file.stat().st_size for file in part.rglob("*") if file.is_file()) for part in parts}


def card(pipeline: Path, run: Path, data: Iterable[Path], command: str) -> str:
    """The card.

    Args:
        pipeline: The model's folder.
        run: That it was trained in.
        data: Folders of radiographs.
        command: What makes it again.
    """
    recipe = yaml.safe_load((run / "recipe.yaml").read_text(encoding="utf-8"))
    parts = [_HEAD, "## Training\n", f"Command: `{command}`\n", _data(data), _stages(run, recipe)]
    parts += ["## Parts\n", _parts(pipeline), _defaults(pipeline), _LIMITS]
    return "\n".join(parts)


def _data(folders: Iterable[Path]) -> str:
    rows = []
    for folder in folders:
        with (folder / "metadata.csv").open(encoding="utf-8", newline="") as stream:
            films = list(csv.DictReader(stream))
        bodies = {tuple(film.get(key) for key in ("sex", "age", "height_cm", "weight_kg")) for film in films}
        views = Counter(film.get("view", "") for film in films)
        shown = ", ".join(f"{view} {count}" for view, count in sorted(views.items()))
        rows.append([folder.name, shown, str(len(bodies))])
    return table(["radiographs", "view and number", "bodies"], rows)


def _stages(run: Path, recipe: dict[str, Any]) -> str:
    rows = []
    for name in ("autoencoder", "denoiser", "masks", "control"):
        path = run / name / "scores.json"
        if not path.is_file():
            continue
        scores = json.loads(path.read_text(encoding="utf-8"))["scores"]
        shown = ", ".join(f"{key} {value:.3g}" for key, value in scores.items() if key not in ("ema", "steps"))
        rows.append([name, f"{scores['steps']:.0f}", str(recipe[name]["batch"]), f"{scores['ema']:g}", shown])
    head = ["stage", "steps", "batch", "EMA", "on bodies that were not trained on"]
    size = f"{recipe['size']} × {recipe['size']} pixels, seed {recipe['seed']}.\n"
    return f"{size}\n{table(head, rows)}"


def _parts(pipeline: Path) -> str:
    rows = [[name, f"{size / 1e6:.2f}"] for name, size in weight_bytes(pipeline).items()]
    rows.append(["together", f"{sum(weight_bytes(pipeline).values()) / 1e6:.2f}"])
    return table(["part", "MB"], rows)


def _defaults(pipeline: Path) -> str:
    index = json.loads((pipeline / "model_index.json").read_text(encoding="utf-8"))
    return (
        f"Unless asked otherwise: {index['steps']} steps, guidance {index['guidance']:g} "
        f"from time {index['guidance_low']:g} to {index['guidance_high']:g}.\n"
    )
