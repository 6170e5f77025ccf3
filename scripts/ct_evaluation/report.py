"""What was aimed at, and two models side by side."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from bench_drr_peers.tables import table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["aims", "beside", "report"]

_LOBES = (
    "lung_upper_lobe_left",
    "lung_lower_lobe_left",
    "lung_upper_lobe_right",
    "lung_middle_lobe_right",
    "lung_lower_lobe_right",
)
AIMS: tuple[tuple[str, tuple[str, ...], str, float], ...] = (
    ("FRD-3D, samples over halves (squared distances)", ("distribution", "3D/FRD", "ratio"), "≤", 2),
    *(
        (f"{name}, {plane} slices, over halves", ("distribution", f"{plane}/{name}", "ratio"), "≤", bound)
        for plane in ("axial", "coronal", "sagittal")
        for name, bound in (("FRD", 2), ("FID", 3), ("Fréchet, radiomics", 3))
    ),
    *((f"Dice, {name}", ("masks", "samples", name), "≥", 0.9) for name in _LOBES),
    ("Dice, airways", ("masks", "samples", "lung_airways"), "≥", 0.75),
    ("Dice, vessels", ("masks", "samples", "lung_vessels"), "≥", 0.7),
    ("AUC of sex", ("alignment", "sex", "samples"), "≥", 0.85),
    ("AUC of age group", ("alignment", "age group", "samples"), "≥", 0.85),
    ("AUC in the mean over findings", ("alignment", "mean of findings"), "≥", 0.85),
    ("AUC of sides in the mean over findings", ("alignment", "mean of sides"), "≥", 0.85),
    ("peak memory of 256³, GB", ("resources", "256x256x256", "peak_gb"), "≤", 6),
)


def aims(found: Mapping[str, Any]) -> list[list[str]]:
    """Rows of what was aimed at and what was measured; of parts that were run."""
    rows = []
    for what, path, way, bound in AIMS:
        value = _value(found, path)
        if value is not None:
            kept = value <= bound if way == "≤" else value >= bound
            rows.append([what, f"{way} {bound:g}", f"{value:.3g}", "yes" if kept else "no"])
    return rows


def beside(found: Mapping[str, Mapping[str, Any]]) -> str:
    """A table of several evaluations, a column each: what an ablation buys."""
    lines = []
    for what, path, way, bound in AIMS:
        values = [_value(one, path) for one in found.values()]
        if any(value is not None for value in values):
            shown = ["–" if value is None else f"{value:.3g}" for value in values]
            lines.append([what, f"{way} {bound:g}", *shown])
    return table(["", "aim", *found], lines)


def report(found: Mapping[str, Any], order: Sequence[str], command: str) -> str:
    """Markdown: aims, then the tables of every part."""
    blocks = [f"Command: `{command}`"]
    rows = aims(found)
    if rows:
        blocks.append(table(["aim", "", "measured", "reached"], rows))
    for name in (name for name in order if name in found):
        blocks += [f"### {one['title']}\n\n{table(one['head'], one['lines'])}" for one in found[name]["tables"]]
        blocks += found[name]["notes"]
    return "\n\n".join(block.strip() for block in blocks if block.strip())


def _value(found: Mapping[str, Any], path: tuple[str, ...]) -> float | None:
    value: Any = found.get(path[0], {}).get("values")
    for key in path[1:]:
        value = value.get(key) if isinstance(value, dict) else None
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None
