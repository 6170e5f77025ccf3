"""What a stage leaves behind: its model, and how it scored; and how a finished stage is found again."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import torch

from synth.core.errors import InputError
from synth.core.files import write_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from synth.diffusion.training.loop import Run
    from synth.diffusion.training.settings import StageSettings

__all__ = ["SHARD", "finish", "finished", "load_model", "save_model", "seeded"]

Model = TypeVar("Model")
SHARD = "16MB"


def finish(net: Any, out: Path, settings: StageSettings, scores: Mapping[str, float], run: Run) -> None:
    """Saves the model to out/model and the scores to out/scores.json, which tells that the stage is done."""
    if run.main:
        save_model(net, out / "model")
        content = {"scores": scores, "settings": settings.model_dump(mode="json")}
        write_bytes(out / "scores.json", (json.dumps(content, indent=2) + "\n").encode())
        shown = ", ".join(f"{key} {value:.4g}" for key, value in list(scores.items())[:4])
        run.tell(f"{out.name}: done; {shown}")
    run.accelerator.wait_for_everyone()


def finished(kind: type[Model], out: Path, settings: StageSettings, run: Run) -> Model | None:
    """The model of a stage that is done; None where it is not.

    Raises:
        InputError: It was trained with other settings, or `resume` is off.
    """
    path = out / "scores.json"
    if not path.is_file():
        return None
    if not run.resume:
        raise InputError(f"{out}: is trained already; use --resume to go on with what follows, or name a new folder")
    was = json.loads(path.read_text(encoding="utf-8"))["settings"]
    if was != settings.model_dump(mode="json"):
        changed = sorted(key for key in was if was[key] != settings.model_dump(mode="json").get(key))
        raise InputError(f"{out}: was trained with another {', '.join(changed) or 'recipe'}; name a new folder")
    return load_model(kind, out / "model", run)


def load_model(kind: type[Model], folder: Path, run: Run | None = None) -> Model:
    """A model by its folder, on the run's device, in evaluation.

    Raises:
        InputError: There is none.
    """
    if not (folder / "config.json").is_file():
        raise InputError(f"{folder}: no model; train the stage before this one first")
    loaded: Any = kind.from_pretrained(folder, local_files_only=True, use_safetensors=True)  # type: ignore[attr-defined]
    loaded.register_to_config(_name_or_path="")  # where it lay is nobody's business
    device = "cpu" if run is None else run.accelerator.device
    flat = all(value.ndim < 5 for value in loaded.parameters())  # of volumes there is no such layout
    model: Model = (loaded.to(device, memory_format=torch.channels_last) if flat else loaded.to(device)).eval()
    return model


def save_model(net: Any, folder: Path) -> None:
    """A model's weights as safetensors, in shards of at most 16 MB, beside its configuration."""
    net.save_pretrained(folder, max_shard_size=SHARD, safe_serialization=True)


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """First weights that follow from a seed alone, whatever was drawn before."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield
