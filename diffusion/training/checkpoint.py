"""The state of a run on disk: safetensors and JSON, whole or absent, in shards of at most 16 MiB.

    checkpoints/00002000/state.json               step and all that is no tensor
                         00000.safetensors, …     weights, their means, the state of optimisers

A tensor larger than a shard has one of its own.
"""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import load_file, save_file

from synth.core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from torch import Tensor, nn

__all__ = ["like", "load_newest", "load_weights", "optimizer_tensors", "restore_optimizer", "save", "whole"]

SHARD = 16 * 2**20
_KEPT = 2


def save(folder: Path, step: int, tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
    """Writes a checkpoint and removes all but the last two.

    Args:
        folder: Of the checkpoints.
        step: Steps done; the name.
        tensors: On any device.
        state: Plain JSON.

    Raises:
        InputError: The folder cannot be written.
    """
    final, part = folder / f"{step:08d}", folder / f".{step:08d}.part"
    try:
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        for number, shard in enumerate(_shards(tensors)):
            save_file(shard, part / f"{number:05d}.safetensors")
        (part / "state.json").write_text(json.dumps({"step": step, **state}), encoding="utf-8")
        shutil.rmtree(final, ignore_errors=True)
        part.rename(final)
    except OSError as error:
        raise InputError(f"{final}: cannot write ({error.strerror or error})") from error
    for old in _found(folder)[:-_KEPT]:
        shutil.rmtree(old, ignore_errors=True)


def load_newest(folder: Path) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
    """The tensors and the state of the last checkpoint; None where there is none.

    Raises:
        InputError: It cannot be read.
    """
    found = _found(folder)
    if not found:
        return None
    try:
        state: dict[str, Any] = json.loads((found[-1] / "state.json").read_text(encoding="utf-8"))
        tensors: dict[str, Tensor] = {}
        for path in sorted(found[-1].glob("*.safetensors")):
            tensors |= load_file(path)
    except Exception as error:  # safetensors has errors of its own
        raise InputError(f"{found[-1]}: not a checkpoint ({error}); remove it to go on from the one before") from error
    return tensors, state


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """What an optimiser remembers: "place of the parameter/what" → tensor."""
    found = {}
    for place, parameter in enumerate(_parameters(optimizer)):
        for key, value in optimizer.state.get(parameter, {}).items():
            found[f"{place}/{key}"] = whole(value)
    return found


def restore_optimizer(optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Gives an optimiser its memory back."""
    parameters = list(_parameters(optimizer))
    for name, value in tensors.items():
        place, _, key = name.partition("/")
        parameter = parameters[int(place)]
        optimizer.state[parameter][key] = (
            value.to(parameter.device, copy=True) if value.ndim == 0 else like(parameter, value)
        )


def load_weights(net: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Sets the parameters that are named."""
    with torch.no_grad():
        for name, parameter in net.named_parameters():
            if name in tensors:
                parameter.copy_(like(parameter, tensors[name]))


def whole(tensor: Tensor) -> Tensor:
    """A tensor with all its shards, contiguous, on the CPU; FSDP spreads tensors over processes."""
    gathered = tensor.full_tensor() if hasattr(tensor, "full_tensor") else tensor
    return gathered.detach().to("cpu", copy=True).contiguous()


def like(parameter: Tensor, tensor: Tensor) -> Tensor:
    """A whole tensor on the device, with the memory format and in the shards of a parameter."""
    moved = tensor.to(parameter.device, parameter.dtype)
    if hasattr(parameter, "device_mesh"):
        from torch.distributed.tensor import distribute_tensor

        return distribute_tensor(moved, parameter.device_mesh, parameter.placements)
    return torch.empty_like(parameter, requires_grad=False).copy_(moved)


def _parameters(optimizer: torch.optim.Optimizer) -> Iterator[Tensor]:
    for group in optimizer.param_groups:
        yield from group["params"]


def _found(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("[0-9]*") if (path / "state.json").is_file())


def _shards(tensors: Mapping[str, Tensor]) -> Iterator[dict[str, Tensor]]:
    shard: dict[str, Tensor] = {}
    size = 0
    for name, tensor in sorted(tensors.items()):
        if shard and size + tensor.nbytes > SHARD:
            yield shard
            shard, size = {}, 0
        shard[name] = tensor
        size += tensor.nbytes
    if shard:
        yield shard
