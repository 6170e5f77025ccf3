"""The model fine-tuned on real radiographs: how near it comes to others of them, before and after, and what it copies.

Nothing of the real data is kept but a picture to look at: decoded images, latents and the tuned model lie in a
temporary folder.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cxr_evaluation.distribution import RADIOMICS, SPLITS, frd_ratio, kid_radiomics, radiomics
from cxr_evaluation.looks import sheet
from cxr_evaluation.pictures import image_set
from cxr_evaluation.study import Part
from synth.diffusion.loading import load_model
from synth.diffusion.model_folder import find_model
from synth.diffusion.training.recipe import Recipe
from synth.diffusion.training.running import train_recipe
from synth.diffusion.training.sources import DataSource
from synth.metrics.frd.features import frd_table
from synth.metrics.memorisation.sets import memorisation_of_sets

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cxr_evaluation.study import Samples, Study
    from synth.diffusion.training.examples import Examples

__all__ = ["fine_tuned"]

_SHOWN = 8
_VARIANTS = {"count": 4, "augment": {"shift": 0.03, "scale": 0.03, "contrast": 0.08}}


def fine_tuned(study: Study, folder: Path, where: dict[str, str], minutes: float, changes: dict[str, Any]) -> Part:
    """Fine-tunes on the train split of a folder, and compares with its test split.

    Args:
        study: The model; where the picture goes.
        folder: Of real radiographs, with a table that has a column split.
        where: Column → cell of those that are wanted.
        minutes: Of training, a quarter of it of the autoencoder.
        changes: Of settings of both stages.
    """
    source = {"path": str(folder.resolve()), "fit": "crop", "words": "finding"}
    sources = {name: source | {"where": where | {"split": name}} for name in ("train", "test")}
    sets = {name: DataSource.model_validate(one).open() for name, one in sources.items()}
    real = {name: _images(examples, study.model.side) for name, examples in sets.items()}
    asked = [sets["test"].conditions(index)[0] for index in range(len(sets["test"]))]
    before = study.drawn(asked, tag="before")
    with tempfile.TemporaryDirectory() as kept:
        stages = {
            "autoencoder": {"max_minutes": minutes / 4, "lr": 2e-4, "warmup": 20, **changes},
            "denoiser": {"max_minutes": minutes * 3 / 4, "lr": 2e-4, "warmup": 50, "latents": _VARIANTS, **changes},
        }
        recipe = Recipe.of(
            {"data": [sources["train"]], "size": study.model.side, "masks": None,
             "start_from": str(find_model(study.name).path.resolve()), "half": False, "seed": study.seed, **stages},
            Path("fine-tuning"),
        )  # fmt: skip
        made = train_recipe(recipe, Path(kept) / "run", tell=print)
        after = study.drawn(asked, model=load_model(str(made), device=study.device), tag="after")
    return _judged(study, sets, real, before, after)


def _judged(
    study: Study, sets: dict[str, Examples], real: dict[str, NDArray[np.uint16]], before: Samples, after: Samples
) -> Part:
    part, lines = Part(), []
    patients = {name: [one.patient(index) for index in range(len(one))] for name, one in sets.items()}
    compared = {"before": before.images, "after": after.images, "real, train split": real["train"]}
    tables = {name: frd_table(image_set(images, name), cache=False) for name, images in compared.items()}
    reference = frd_table(image_set(real["test"], "test"), cache=False)
    measured = radiomics(real["test"], False)
    for name, images in compared.items():
        n = min(len(images), len(real["test"]))
        draws = [np.random.default_rng(k).permutation(len(images))[:n] for k in range(SPLITS)]
        values = radiomics(images, False)
        distance = float(np.mean([frd_ratio(reference, tables[name].rows(rows))[0] for rows in draws]))
        kernel = float(np.mean([kid_radiomics(measured, values[rows]) for rows in draws]))
        part.values[name] = {"FRD": float(np.log(distance)), "squared distance": distance, "KID": kernel}
        lines.append([name, f"{np.log(distance):.2f}", f"{distance:.4g}", f"{kernel:.4g}", str(n)])
    part.add("To the real test split", ["", "FRD", "squared distance", "KID, radiomics", "images"], lines)
    found = memorisation_of_sets(
        image_set(after.images, "after"),
        image_set(real["train"], "train", patients["train"]),
        image_set(real["test"], "test", patients["test"]),
        rng=np.random.default_rng(study.seed),
        extractor=RADIOMICS,
        cache=False,
    )
    copies = [
        [space, f"{one.p_value:.3g}", f"{one.minimum_ratio:.3f}", f"{one.quantile_ratio:.3f}"]
        for space, one in found.items()
    ]
    part.values["copies"] = {name: one.p_value for name, one in found.items()}
    part.add(
        "Copies of real training images, after", ["compared by", "p of copies", "least ratio", "5 % of ratios"], copies
    )
    rows = [images[: min(_SHOWN, len(after.images))] for images in (real["test"], before.images, after.images)]
    sheet(np.concatenate(rows), study.out / "real.png", len(rows[0]))
    part.notes.append("real.png: real test images, above samples of their prompts before and after.")
    return part


def _images(examples: Examples, size: int) -> NDArray[np.uint16]:
    return np.stack([examples.image(index, size) for index in range(len(examples))])
