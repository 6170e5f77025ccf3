"""A hundred samples to look at, and how fast they come."""

from __future__ import annotations

import csv
import io
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from cxr_evaluation.distribution import SPLITS, frd_ratio
from cxr_evaluation.pictures import image_set
from cxr_evaluation.study import Part
from synth.core.errors import InputError
from synth.core.files import atomic_path, write_bytes
from synth.diffusion.cxr.generate import Asked, Settings, generate
from synth.diffusion.flow import noise_seed
from synth.metrics.frd.features import frd_table

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from cxr_evaluation.study import Study
    from synth.diffusion.cxr.generate import CxrModel

__all__ = ["contact_sheet", "sheet", "speed"]

_COLUMNS = 10
_PLAIN_STEPS = 50


def contact_sheet(study: Study, count: int) -> Part:
    """The first samples as sheet.png, and what they were asked for as sheet.csv."""
    asked, images = study.held_out.conditions[:count], study.samples.images[:count]
    sheet(images, study.out / "sheet.png")
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["row", "column", "prompt"])
    for place, one in enumerate(asked):
        writer.writerow([place // _COLUMNS + 1, place % _COLUMNS + 1, one.prompt()])
    write_bytes(study.out / "sheet.csv", text.getvalue().encode())
    return Part({"samples": len(images)})


def sheet(images: NDArray[np.uint16], path: Path, columns: int = _COLUMNS) -> None:
    """Images (n, h, w) row by row in one 8-bit picture."""
    n, h, w = images.shape
    rows = -(-n // columns)
    whole = np.zeros((rows * columns, h, w), np.uint8)
    whole[:n] = images >> 8
    picture = whole.reshape(rows, columns, h, w).transpose(0, 2, 1, 3).reshape(rows * h, columns * w)
    with atomic_path(path) as temporary:
        Image.fromarray(picture).save(temporary, format="PNG")


def speed(study: Study, count: int, judged: int) -> Part:
    """Images a second by default, and of the same weights with diffusers' own Euler scheduler in 50 steps.

    Args:
        study: The model.
        count: Images that are timed, one after the other.
        judged: Samples by which the FRD of both is compared; 0 for none.
    """
    plain, part, lines = _plain(study.model), Part(), []
    asked = study.held_out.conditions
    rows = np.arange(min(judged, len(asked)))
    real = frd_table(study.held_out.as_set("held-out"), cache=study.cache) if len(rows) else None
    ways = {
        "as it comes": (study.model, Settings(), ""),
        f"Euler, {_PLAIN_STEPS} steps": (plain, Settings(steps=_PLAIN_STEPS), "euler"),
    }
    for name, (model, settings, tag) in ways.items():
        rate = _rate(model, study, count, settings)
        part.values[name] = {"images a second": rate}
        cells = [name, f"{rate:.3g}"]
        if real is not None:
            made = study.drawn([asked[k] for k in rows], settings, model=model, tag=tag)
            table = frd_table(image_set(made.images, "samples"), cache=study.cache)
            halves = [study.halves(rows, number) for number in range(SPLITS)]
            distance = float(np.mean([frd_ratio(real.rows(other), table.rows(one))[0] for one, other in halves]))
            part.values[name]["FRD, squared distance"] = distance
            cells.append(f"{distance:.4g} ({np.log(distance):.2f})")
        lines.append(cells)
    first, last = (part.values[name]["images a second"] for name in ways)
    part.values["faster by"] = first / last
    head = ["", "images a second", *(["squared distance (FRD)"] if real is not None else [])]
    part.add(f"Speed on {study.threads} thread(s), {count} images one after the other", head, lines)
    part.notes.append(f"{first / last:.1f} times as fast as {_PLAIN_STEPS} Euler steps.")
    return part


def _rate(model: CxrModel, study: Study, count: int, settings: Settings) -> float:
    asked = [study.held_out.conditions[k % len(study.held_out)] for k in range(count + 1)]
    seeds = [noise_seed(study.seed, f"speed {k}") for k in range(count + 1)]
    for _ in generate(model, Asked(asked[:1], seeds[:1]), settings):  # the first call prepares things
        pass
    start = time.perf_counter()
    for _ in generate(model, Asked(asked[1:], seeds[1:]), settings):
        pass
    return count / (time.perf_counter() - start)


def _plain(model: CxrModel) -> CxrModel:
    """The same weights with diffusers' scheduler, and nothing kept from call to call."""
    from diffusers import FlowMatchEulerDiscreteScheduler

    from synth.diffusion.cxr.own_model import OwnModel
    from synth.diffusion.cxr.pipeline import CxrPipeline

    if not isinstance(model, OwnModel):
        raise InputError("speed: this compares schedulers of our own models; leave speed out of --parts")
    given: Any = model.pipe
    names = ("pixels", "steps", "guidance", "guidance_low", "guidance_high")
    pipe = CxrPipeline(
        **given.components | {"scheduler": FlowMatchEulerDiscreteScheduler()},
        **{name: given.config[name] for name in names},
    )
    pipe.set_progress_bar_config(disable=True)
    return replace(model, pipe=pipe)
