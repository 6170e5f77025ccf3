"""The tables together, and sheets of pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from realism.ct_views import CTS
from realism.distances import distance_table, set_table
from realism.features import Space
from realism.noise import noise_table
from realism.phantoms import RAW_SIDE, VOXEL_MM
from realism.regions import level_table
from realism.telling import group_table, telling_table

if TYPE_CHECKING:
    from pathlib import Path

    from realism.films import Film

__all__ = ["picture_rows", "report", "sheet"]

CREDIT = (
    "Real radiographs: NIH ChestX-ray14, provided by the NIH Clinical Center "
    "(https://nihcc.app.box.com/v/ChestXray-NIHCC; Wang et al., ChestX-ray8, CVPR 2017). CTs: LIDC-IDRI and "
    "Lung-PET-CT-Dx, The Cancer Imaging Archive."
)


def sheet(rows: list[list[Film]], path: Path, side: int) -> None:
    """Films in rows, each its middle square."""
    path.parent.mkdir(parents=True, exist_ok=True)
    width = max(map(len, rows))
    canvas = Image.new("L", (width * side, len(rows) * side))
    for i, row in enumerate(rows):
        for j, film in enumerate(row):
            tile = Image.fromarray(np.rint(film.square * 255).astype(np.uint8)).resize((side, side))
            canvas.paste(tile, (j * side, i * side))
    canvas.save(path, optimize=True)


def spread(films: list[Film], n: int) -> list[Film]:
    """Some films, evenly over the list."""
    return [films[i] for i in np.linspace(0, len(films) - 1, n).round().astype(int)]


def picture_rows(
    made: dict[str, list[Film]],
    n: int,
    real: list[Film] | None = None,
    phantoms: dict[str, list[Film]] | None = None,
) -> list[list[Film]]:
    """Phantoms; then for PA and for AP: the physics, real ones (NIH alone) where given, plain."""
    rows = [spread(films, n) for films in (phantoms or {}).values()]
    for view in ("PA", "AP"):
        physics, plain = ([film for film in made[kind] if film.view == view] for kind in ("physics", "plain"))
        nih = [film for film in real or [] if film.view == view and film.patient.startswith("nih")]
        rows += [spread(films, n) for films in (physics, nih, plain) if films]
    return rows


def report(real: list[Film], made: dict[str, list[Film]], phantoms: dict[str, list[Film]], seed: int) -> str:
    """All tables: those of views of CTs, then those of phantoms."""
    tuned, test = ([f for f in real if (f.split == "test") == flag] for flag in (False, True))
    masked = [film for film in real if film.lungs is not None]
    space = Space(tuned)
    n = len(made["physics"])
    parts = [
        f"Ours: {n} pictures a kind of {len(CTS)} CTs. Real: {len(real)} of adults, {len(test)} of them test; "
        f"with drawn lungs {len(masked)}, {sum(f.split == 'test' for f in masked)} of them test.",
        "Command: `python scripts/compare_real.py`",
        "### Grey levels of regions",
    ]
    for view in ("PA", "AP"):
        ours = {kind: [film for film in films if film.view == view] for kind, films in made.items()}
        parts += [f"{view}, real of all splits:", level_table([f for f in masked if f.view == view], ours)]
    parts += ["Both views, real of the test split:", level_table([f for f in masked if f.split == "test"], made)]
    parts += ["### Distances of features", distance_table(space, tuned, test, made, seed)]
    parts += ["### Noise", noise_table(test, made), *phantom_parts(space, real, made, phantoms, seed), CREDIT]
    return "\n\n".join(parts)


def phantom_parts(
    space: Space, real: list[Film], made: dict[str, list[Film]], phantoms: dict[str, list[Film]], seed: int
) -> list[str]:
    """What is said of phantoms, PA films alone, beside the views of CTs with the physics."""
    films = [film for film in real if film.view == "PA"]
    tuned, test = ([f for f in films if (f.split == "test") == flag] for flag in (False, True))
    masked = [film for film in films if film.lungs is not None]
    both = [film for each in phantoms.values() for film in each]
    ours = {kind: [film for film in made[kind] if film.view == "PA"] for kind in ("physics", "plain")}
    pair = {"CT, physics": ours["physics"], "phantoms": both}
    distances = {"CT, physics": ours["physics"], "CT, plain": ours["plain"], **phantoms, "phantoms": both}
    return [
        "### Phantoms",
        f"PA alone: {len(both)} phantoms of {VOXEL_MM:g} mm voxels on {RAW_SIDE}² pixels, "
        f"{len(test)} real films of the test split.",
        "Distances of features:",
        set_table(space, tuned, test, distances, seed),
        "How far the means are apart, in real standard deviations:",
        group_table(space, test, pair),
        "The features that tell phantoms from real films of the test split best (AUC: 0.5 tells nothing, 0 and 1 all):",
        telling_table(space, test, pair),
        "Grey levels of regions, real of all splits:",
        level_table(masked, pair),
        "Noise:",
        noise_table(test, pair),
    ]
