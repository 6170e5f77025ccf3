"""Results as JSON, and as Markdown: what was aimed at, then the tables of every part."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from bench_drr_peers.tables import table

from synth.core.files import write_bytes

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from cxr_evaluation.study import Part

__all__ = ["AIMS", "aims", "read", "report", "write"]

_MASKS = "samples: read from latents, against the segmenter"

AIMS: tuple[tuple[str, str, tuple[str, ...], str, float], ...] = (
    # what, part, path of the value, at most or at least, how much
    ("FRD, samples over halves (squared distances), all views", "distribution", ("all views/FRD/ratio",), "≤", 2),
    ("Fréchet distance over halves, classifier", "distribution", ("frontal/classifier/ratio",), "≤", 3),
    ("Fréchet distance over halves, radiomics", "distribution", ("all views/radiomics/ratio",), "≤", 3),
    ("precision, classifier", "distribution", ("frontal/classifier/precision",), "≥", 0.6),
    ("recall, classifier", "distribution", ("frontal/classifier/recall",), "≥", 0.6),
    ("precision, radiomics", "distribution", ("all views/radiomics/precision",), "≥", 0.6),
    ("recall, radiomics", "distribution", ("all views/radiomics/recall",), "≥", 0.6),
    ("copies, p by features", "memorisation", ("features", "p_value"), "≥", 0.05),
    ("copies, p by pixels", "memorisation", ("pixels", "p_value"), "≥", 0.05),
    ("AUC in the mean over findings", "alignment", ("mean AUC, all",), "≥", 0.85),
    ("AUC of sides in the mean over findings", "alignment", ("mean AUC of sides, all",), "≥", 0.85),
    ("AUC of sex", "alignment", ("sex", "samples"), "≥", 0.95),
    ("age, mean error in years", "alignment", ("age", "samples"), "≤", 10),
    ("Dice, left lung", "masks", (_MASKS, "lung_left"), "≥", 0.9),
    ("Dice, right lung", "masks", (_MASKS, "lung_right"), "≥", 0.9),
    ("Dice, heart", "masks", (_MASKS, "heart"), "≥", 0.85),
    ("times as fast as 50 Euler steps", "speed", ("faster by",), "≥", 6),
)


def write(path: Path, name: str, part: Part) -> dict[str, Any]:
    """Puts a part into the JSON file; returns all parts that are in it."""
    found = read(path) | {name: asdict(part)}
    write_bytes(path, (json.dumps(_plain(found), indent=1, ensure_ascii=False) + "\n").encode())
    return found


def read(path: Path) -> dict[str, Any]:
    """Part → values, tables and notes, of runs so far."""
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return found


def aims(found: Mapping[str, Any]) -> list[list[str]]:
    """Rows of what was aimed at and what was measured; of parts that were run."""
    rows = []
    for what, part, path, way, bound in AIMS:
        value: Any = found.get(part, {}).get("values")
        for key in path:
            value = value.get(key) if isinstance(value, dict) else None
        if isinstance(value, int | float) and math.isfinite(value):
            kept = value <= bound if way == "≤" else value >= bound
            rows.append([what, f"{way} {bound:g}", f"{value:.3g}", "yes" if kept else "no"])
    return rows


def report(found: Mapping[str, Any], order: tuple[str, ...], command: str) -> str:
    """Markdown.

    Args:
        found: See `read`.
        order: Of the parts.
        command: That measures them.
    """
    blocks = [f"Command: `{command}`"]
    rows = aims(found)
    if rows:
        blocks.append(table(["aim", "", "measured", "reached"], rows))
    for name in (name for name in order if name in found):
        blocks += [f"### {one['title']}\n\n{table(one['head'], one['lines'])}" for one in found[name]["tables"]]
        blocks += found[name]["notes"]
    return "\n\n".join(block.strip() for block in blocks if block.strip())


def _plain(value: Any) -> Any:
    """For JSON: what is not a number is null."""
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
