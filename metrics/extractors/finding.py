"""Where models lie on this machine; nothing is downloaded."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from synth.core.errors import InputError
from synth.metrics.extractors.torchscript import conversion_command

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ENVIRONMENT", "HUB_NAMES", "model_folder", "safe_weights", "weights_folder"]

ENVIRONMENT = "SYNTH_WEIGHTS"
"""The environment variable that names a folder of models, one sub-folder each."""

HUB_NAMES: Mapping[str, str] = {
    "raddino": "microsoft/rad-dino",
    "biomedclip": "microsoft/BiomedCLIP-PubMedBERT_256-vit_base_patch16_224",
    "radimagenet": "",
}
"""Models known by a short name → their repository on the Hugging Face Hub, where one is official."""

_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl", "*.h5")


def weights_folder() -> Path | None:
    """The folder that SYNTH_WEIGHTS names."""
    named = os.environ.get(ENVIRONMENT, "")
    return Path(named).expanduser() if named else None


def model_folder(name: str, weights: str | Path | None = None) -> Path:
    """The folder of a model.

    Args:
        name: One of HUB_NAMES.
        weights: The folder, where it is known. Default: $SYNTH_WEIGHTS/NAME, then the Hub's cache.

    Raises:
        InputError: Not there; the message says what to fetch and where to put it.
    """
    if weights is not None:
        folder = Path(weights)
        if not folder.is_dir():
            raise InputError(f"{folder}: no such folder; {_advice(name)}")
        return folder
    root = weights_folder()
    if root is not None and (root / name).is_dir():
        return root / name
    snapshot = _hub_snapshot(HUB_NAMES[name]) if HUB_NAMES[name] else None
    if snapshot is None:
        raise InputError(f"the model {name} was not found on this machine; {_advice(name)}")
    return snapshot


def safe_weights(folder: Path) -> tuple[Path, ...]:
    """The safetensors files of a folder, sorted.

    Raises:
        InputError: There are none; where there are pickles, the message gives the command that converts them.
    """
    found = tuple(sorted(folder.glob("*.safetensors")))
    if found:
        return found
    pickles = sorted(path for pattern in _PICKLES for path in folder.glob(pattern))
    if pickles:
        raise InputError(
            f"{folder}: holds weights only as {pickles[0].name}, a format that can run code when it is read; "
            f"convert it once: {conversion_command(pickles[0])}"
        )
    raise InputError(f"{folder}: no weights in it; put the model's .safetensors file there")


def _hub_snapshot(repository: str) -> Path | None:
    """The newest snapshot of a repository in the cache of huggingface_hub, by its documented layout."""
    user = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    home = Path(os.environ.get("HF_HOME") or user / "huggingface")
    hub = Path(os.environ.get("HF_HUB_CACHE") or home / "hub")
    folder = hub / f"models--{repository.replace('/', '--')}"
    reference = folder / "refs" / "main"
    if reference.is_file():
        snapshot = folder / "snapshots" / reference.read_text().strip()
        if snapshot.is_dir():
            return snapshot
    snapshots = sorted(folder.glob("snapshots/*"), key=lambda path: path.stat().st_mtime)
    return snapshots[-1] if snapshots else None


def _advice(name: str) -> str:
    repository = HUB_NAMES[name]
    what = f"fetch it where you are online (hf download {repository} --local-dir {name})" if repository else "make it"
    place = Path("$SYNTH_WEIGHTS" if (root := weights_folder()) is None else root) / name
    return f"{what}, with its weights as safetensors, and pass weights=FOLDER or put it at {place} (docs/extractors.md)"
