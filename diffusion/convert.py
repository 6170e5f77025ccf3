"""Pickled weights of a model folder as safetensors, read by torch's reader that runs no code.

    python -m synth.diffusion.convert FOLDER

Every .bin, .pt, .pth and .ckpt below the folder gets a .safetensors beside it; the old file stays.
"""

from __future__ import annotations

import pickle
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synth.core.errors import InputError
from synth.core.files import atomic_path

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from torch import Tensor

__all__ = ["convert", "main"]

_PICKLES = (".bin", ".pt", ".pth", ".ckpt")
_UNUSED = ("safety_checker",)
_NAMES = {"pytorch_model": "model"}  # transformers calls pickles and safetensors differently


def convert(folder: Path) -> Iterator[Path]:
    """Converts all pickled weights below a folder; yields every file that was written.

    Raises:
        InputError: There are none, one holds more than tensors, or cannot be read.
    """
    found = sorted(path for path in folder.rglob("*") if path.suffix in _PICKLES and path.is_file())
    if not found:
        raise InputError(f"{folder}: no pickled weights below it ({', '.join(_PICKLES)})")
    for path in found:
        if path.parent.name not in _UNUSED:
            yield _convert_file(path)


def main(arguments: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    given = sys.argv[1:] if arguments is None else arguments
    try:
        if len(given) != 1 or not Path(given[0]).is_dir():
            raise InputError("give one folder: python -m synth.diffusion.convert FOLDER")
        for path in convert(Path(given[0])):
            print(path)
    except InputError as error:
        print("synth:", error, file=sys.stderr)
        return error.exit_code
    return 0


def _convert_file(path: Path) -> Path:
    from safetensors.torch import save_file

    # Two names may share one tensor's memory, which safetensors does not allow.
    tensors = {name: tensor.detach().clone().contiguous() for name, tensor in _read(path).items()}
    stem, _, rest = path.stem.partition(".")
    target = path.with_name(".".join(filter(None, (_NAMES.get(stem, stem), rest, "safetensors"))))
    with atomic_path(target) as temporary:
        save_file(tensors, str(temporary), metadata={"format": "pt"})
    return target


def _read(path: Path) -> Mapping[str, Tensor]:
    """The tensors of a file.

    Raises:
        InputError: It holds anything else, or is damaged.
    """
    import torch

    try:
        content: Any = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        reason = str(error).strip().splitlines()[0]
        raise InputError(f"{path}: holds more than tensors and was not read ({reason})") from error
    except (OSError, RuntimeError, EOFError, ValueError) as error:
        raise InputError(f"{path}: cannot read the weights ({' '.join(str(error).split())[:200]})") from error
    tensors = content.get("state_dict", content) if isinstance(content, dict) else None
    if not isinstance(tensors, dict) or not tensors or not all(map(torch.is_tensor, tensors.values())):
        raise InputError(f"{path}: is no table of tensors; only weights can be converted")
    return {str(name): tensor for name, tensor in tensors.items()}


if __name__ == "__main__":
    sys.exit(main())
