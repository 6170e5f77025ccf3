"""Extractors by name."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synth.core.errors import InputError
from synth.metrics.extractors.finding import HUB_NAMES, model_folder
from synth.metrics.extractors.folders import from_folder, from_torchscript
from synth.metrics.extractors.inception import inception
from synth.metrics.extractors.protocol import Extractor
from synth.metrics.extractors.radiomics import Radiomics
from synth.metrics.images.windowing import Window, check_window

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["EXTRACTORS", "extractor"]

EXTRACTORS: Mapping[str, str] = {
    "radiomics": "radiomic features, 2D and 3D; needs no network and no download",
    "inception": "FID's InceptionV3 (2048), as clean-fid uses it",
    "raddino": "RAD-DINO (768), self-supervised on chest X-rays",
    "radimagenet": "a network trained on RadImageNet, in a folder",
    "biomedclip": "the image tower of BiomedCLIP (512)",
}
"""Names and what they are; beside these, any folder of a model and any TorchScript file."""


def extractor(
    name: str | Path | Extractor,
    *,
    weights: str | Path | None = None,
    window: Window = "full",
    device: str | None = None,
    settings: Any = None,
    workers: int | None = None,
) -> Extractor:
    """A feature extractor.

    Args:
        name: One of EXTRACTORS, a folder with a model (Hugging Face, timm, torchvision, open_clip), a TorchScript
            file, or an extractor, which is returned as it is.
        weights: Where the model of that name lies; default: it is looked for, see docs/extractors.md.
        window: How 16-bit grey values come to the 8 bits that networks were trained on: "full", "minmax" (each image
            by itself) or (low, high). Radiomics takes grey values as they are and has no window.
        device: "cpu", "cuda", … for networks; default: the GPU where there is one.
        settings: Of radiomics.
        workers: Of radiomics.

    Raises:
        InputError: An unknown name (the nearest is offered), a model that is not there, or an option that this
            extractor has not.
    """
    if not isinstance(name, str | Path):
        if isinstance(name, Extractor):
            return name
        raise InputError(f"{type(name).__name__} is no extractor; see synth.metrics.extractors.Extractor")
    window = check_window(window)
    if name == "radiomics":
        _refuse("radiomics", weights=weights, device=device, window=None if window == "full" else window)
        return Radiomics(settings, workers=workers)
    _refuse(str(name), settings=settings, workers=workers)
    if name == "inception":
        return inception(weights, window=window, device=device)
    if name in HUB_NAMES:
        return from_folder(model_folder(str(name), weights), str(name), window=window, device=device)
    _refuse(str(name), weights=weights)
    path = Path(name)
    if path.is_dir():
        return from_folder(path, window=window, device=device)
    if path.is_file():
        return from_torchscript(path, window=window, device=device)
    near = difflib.get_close_matches(str(name), EXTRACTORS, 1)
    hint = f"did you mean {near[0]!r}?" if near else f"use one of {', '.join(EXTRACTORS)}, or a model's folder"
    raise InputError(f"unknown extractor {str(name)!r}: {hint}")


def _refuse(name: str, **options: object) -> None:
    given = [option for option, value in options.items() if value is not None]
    if given:
        raise InputError(f"extractor {name} has no option {given[0]!r}; leave it out")
