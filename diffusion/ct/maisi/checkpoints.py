"""MAISI's checkpoint files: weights, and the scale factor that latents were trained with; no code in them is run."""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from synth.core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from torch import nn

__all__ = ["Checkpoint", "checked_scale", "load_into", "read_checkpoint"]

_TABLES = ("unet_state_dict", "controlnet_state_dict", "autoencoder_state_dict", "state_dict")
_SCALES = 0.02, 50.0  # 1 / standard deviation of latents: far outside lies no autoencoder with a KL penalty


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """What a file holds.

    Attributes:
        path: The file.
        tensors: Name → weight.
        scale_factor: By which latents are multiplied before diffusion; None where the file has none.
    """

    path: Path
    tensors: Mapping[str, Tensor]
    scale_factor: float | None


def checked_scale(value: Any, path: Path) -> float:
    """A scale factor that can be one.

    Args:
        value: What was found; None for nothing. MONAI's bundles have an expression there, which counts as nothing.
        path: Of the denoiser's weights.

    Raises:
        InputError: There is none, or it can be none: with a wrong one, the model draws noise.
    """
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise InputError(
            f"{path}: has no scale_factor, without which latents are noise to the decoder; take the file that training "
            "wrote, or give scale_factor (1 / the standard deviation of the autoencoder's latents)"
        )
    low, high = _SCALES
    if not low <= value <= high:
        raise InputError(
            f"{path}: scale_factor {value:g} cannot be 1 / the standard deviation of latents ({low:g} to {high:g}); "
            "the file is damaged, or of another kind of model"
        )
    return float(value)


def read_checkpoint(path: Path) -> Checkpoint:
    """Reads a .pt file, plain or with its weights under a name such as `unet_state_dict`, or a .safetensors file.

    Raises:
        InputError: It cannot be read, holds anything that could run code, or no weights.
    """
    content = _read_safetensors(path) if path.suffix == ".safetensors" else _read_torch(path)
    table = next((content[name] for name in _TABLES if isinstance(content.get(name), dict)), content)
    scale = content.get("scale_factor")
    tensors = {str(name): _plain(one) for name, one in table.items() if torch.is_tensor(one) and name != "scale_factor"}
    if not tensors:
        raise InputError(f"{path}: no weights in it ({', '.join(map(str, list(content)[:4])) or 'it is empty'})")
    if all(name.startswith("module.") for name in tensors):  # as a model trained on several GPUs is saved
        tensors = {name.removeprefix("module."): one for name, one in tensors.items()}
    return Checkpoint(path, tensors, _number(path, scale))


def load_into(network: nn.Module, checkpoint: Checkpoint, base: Mapping[str, Tensor] | None = None) -> None:
    """Puts weights into a network, all of them.

    Args:
        network: As its definition says.
        checkpoint: Its weights.
        base: Weights of another network, from which those that the checkpoint lacks are taken where names and shapes
            agree: a ControlNet is a copy of the denoiser in which only some have been trained.

    Raises:
        InputError: Weights that are missing, of another shape, or without a place.
    """
    wanted = network.state_dict()
    given = dict(checkpoint.tensors)
    for name, one in (base or {}).items():
        if name in wanted and name not in given and one.shape == wanted[name].shape:
            given[name] = one
    for what, names in (
        ("lacks", [name for name in wanted if name not in given]),
        ("has weights without a place:", [name for name in given if name not in wanted]),
        ("has other shapes of", [name for name in wanted if name in given and given[name].shape != wanted[name].shape]),
    ):
        if names:
            raise InputError(
                f"{checkpoint.path}: {what} {', '.join(names[:3])}{f' and {len(names) - 3} more' * (len(names) > 3)}; "
                "the definition of the network is of another model"
            )
    network.load_state_dict(given)


def _read_torch(path: Path) -> Mapping[str, Any]:
    import monai.data  # noqa: F401 - makes its tensors known to torch's reader, which scale factors may be

    try:
        with torch.serialization.safe_globals(list(_numbers())):
            content: Any = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        reason = str(error).strip().splitlines()[0]
        raise InputError(f"{path}: holds more than weights and was not read ({reason})") from error
    except (OSError, RuntimeError, EOFError, ValueError, KeyError) as error:
        raise InputError(f"{path}: cannot read the weights ({' '.join(str(error).split())[:200]})") from error
    if not isinstance(content, dict):
        raise InputError(f"{path}: is no table of weights")
    return content


def _read_safetensors(path: Path) -> Mapping[str, Any]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as file:
            content: dict[str, Any] = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
            told = (file.metadata() or {}).get("scale_factor")
    except (OSError, SafetensorError) as error:
        raise InputError(f"{path}: cannot read the weights ({error})") from error
    if told is not None:
        content.setdefault("scale_factor", told)
    for table in _TABLES:
        inside = {name.removeprefix(f"{table}."): one for name, one in content.items() if name.startswith(f"{table}.")}
        if inside:
            return {table: inside, "scale_factor": content.get("scale_factor")}
    return content


def _numbers() -> Iterator[Any]:
    """What numpy's numbers, which training puts beside the weights, are pickled as; none of it does anything."""
    yield np.dtype
    scalar = import_module("numpy._core.multiarray").scalar  # of numpy 2, by its name there and by that of numpy 1
    for module in ("numpy.core.multiarray", "numpy._core.multiarray"):
        yield scalar, f"{module}.scalar"
    for name in ("float16", "float32", "float64", "int32", "int64"):
        yield type(np.dtype(name))


def _plain(tensor: Tensor) -> Tensor:
    """Without a subclass, such as MONAI's with its affine."""
    found: Tensor = tensor.detach().as_subclass(Tensor)
    return found


def _number(path: Path, value: Any) -> float | None:
    if value is None:
        return None
    try:
        return float(value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"{path}: its scale_factor is no number ({' '.join(str(value).split())[:60]})") from error
