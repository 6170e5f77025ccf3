"""Pictures: slices in three planes with masks, and radiographs of the generated bodies."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np
from cxr_evaluation.study import Part
from PIL import Image

from synth.core.files import write_bytes
from synth.core.record import Record
from synth.core.volume import Volume
from synth.dataset.patients.subject import Subject
from synth.dataset.recipe.ct_spec import radiograph_job
from synth.dataset.request import Request
from synth.dataset.sources.ct_subject import OneSubject
from synth.dataset.sources.radiographs import radiographs
from synth.diffusion.ct.channels import MASKS
from synth.metrics.volumes.slices import PLANES, SliceView, picture

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ct_evaluation.study import Cts, Study

__all__ = ["sheet"]

_WINDOW = (-1000.0, 400.0)
_COLOURS = (
    (90, 160, 255), (40, 90, 220), (255, 170, 80), (255, 120, 60), (220, 70, 40), (255, 80, 120), (240, 240, 180),
    (230, 30, 60), (60, 240, 230), (190, 90, 255),
)  # fmt: skip
"""Of `MASKS`, in their order."""
_SHARE = 0.35


def sheet(study: Study, bodies: int, side: int = 256) -> Part:
    """sheet.png: a row a body: three slices, the same with masks, and radiographs from the front and the side."""
    samples = study.samples
    rows = [_row(samples, row, side) for row in range(min(bodies, len(samples)))]
    buffer = BytesIO()
    Image.fromarray(np.concatenate(rows)).save(buffer, "PNG", optimize=True)
    write_bytes(study.out / "sheet.png", buffer.getvalue())
    part = Part()
    lines = [[str(k), one.sex or "", "" if one.age is None else f"{one.age:.0f}", one.impression]
             for k, one in enumerate(samples.conditions[: len(rows)])]  # fmt: skip
    part.add("Bodies of sheet.png, from above", ["", "sex", "age", "asked for"], lines)
    return part


def _row(cts: Cts, row: int, side: int) -> NDArray[np.uint8]:
    """(side, 8 · side, 3)."""
    volume, masks = cts.volume(row), np.array(cts.masks[row])
    extent = max(n * mm for n, mm in zip(volume.shape, cts.spacing, strict=True))
    view = SliceView(1, extent / side, side, _WINDOW)
    plain = [np.repeat(picture(volume, plane, 0.5, view)[..., None], 3, 2) for plane in PLANES]
    coloured = [_coloured(shown, volume, masks, plane, view) for shown, plane in zip(plain, PLANES, strict=True)]
    return np.concatenate([*plain, *coloured, *_radiographs(volume, side)], 1)


def _coloured(
    shown: NDArray[np.uint8], volume: Volume, masks: NDArray[np.bool_], plane: str, view: SliceView
) -> NDArray[np.uint8]:
    flat = SliceView(1, view.pixel_mm, view.side, (0.0, 1.0))
    mixed = shown.astype(np.float32)
    for mask, colour in zip(masks, _COLOURS, strict=True):
        layer = Volume(np.ascontiguousarray(mask, np.int16), volume.affine)
        inside = picture(layer, plane, 0.5, flat) > 127  # type: ignore[arg-type]
        mixed[inside] = (1 - _SHARE) * mixed[inside] + _SHARE * np.array(colour, np.float32)
    assert len(masks) == len(MASKS)
    return np.rint(mixed).astype(np.uint8)


def _radiographs(volume: Volume, side: int) -> list[NDArray[np.uint8]]:
    job = radiograph_job(["pa", "lateral"], side, backend="cpu")
    subject = OneSubject(Subject(volume, record=Record("CT")))
    views = radiographs(job, subject, Request(0, 0), lambda _: None)
    return [np.repeat((view.image >> 8).astype(np.uint8)[..., None], 3, 2) for view in views]
