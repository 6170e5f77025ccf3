"""TorchScript files, and how far they can be trusted.

A TorchScript file is a program. `torch.jit.load` runs no Python from it: its data are read by a C++ reader that builds
tensors and script classes only, not by Python's pickle. But the program may call torch's own operators, and two of them
touch files: `torch.save` and `torch.from_file` write any file that the user may write (tried with torch 2.13, where no
other operator takes a path). Files whose code names one of them, or an operator that is not torch's, are refused
here before they are loaded. That is a precaution, not a sandbox: load files from sources you trust, or whose SHA-256
you know.
"""

from __future__ import annotations

import hashlib
import io
import re
import shlex
import warnings
import zipfile
import zlib
from typing import TYPE_CHECKING, Any, BinaryIO

from synth.core.errors import InputError
from synth.metrics.extractors.network import import_torch

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["conversion_command", "is_torchscript", "load_torchscript"]

# Whole words, however the call is written; with those of torchvision's io.
_TOUCHES_FILES = re.compile(r"\b(save|from_file|read_file|write_file)\b")
_FOREIGN = re.compile(r"(?<![\w.])ops\s*\.\s*(?!(?:aten|prim|quantized|torchvision)\b)\w+")


def is_torchscript(file: Path | BinaryIO) -> bool:
    """Whether a file is a TorchScript archive: a zip file with a code/ folder, which a pickled state dict has not."""
    try:
        with zipfile.ZipFile(file) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError):
        return False
    return any("/code/" in name for name in names) and any(name.endswith("/constants.pkl") for name in names)


def load_torchscript(path: Path, device: str, *, sha256: str | None = None) -> tuple[Any, str]:
    """Loads a TorchScript module, in evaluation mode.

    Args:
        path: The file.
        device: Where to put it.
        sha256: What it must hash to; the bytes that are hashed are those that are loaded.

    Returns:
        The module and the SHA-256 of the file.

    Raises:
        InputError: No TorchScript file, corrupted, of another hash, or its code calls operators that touch files.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot read ({error.strerror or error})") from error
    digest = hashlib.sha256(data).hexdigest()
    if sha256 is not None and digest != sha256:
        raise InputError(f"{path}: its SHA-256 is {digest}, not {sha256}; fetch it again")
    if not is_torchscript(io.BytesIO(data)):
        raise InputError(
            f"{path}: not a TorchScript file, or cut short; pickled weights can run code when they are read and are "
            f"not loaded here. Convert them once: {conversion_command(path)}"
        )
    _refuse_file_access(path, data)
    torch = import_torch()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # torch.jit is deprecated, its files are still about
            return torch.jit.load(io.BytesIO(data), map_location=device).eval(), digest
    except RuntimeError as error:
        reason = str(error).strip().split("\n", 1)[0]
        raise InputError(f"{path}: not a TorchScript module that this torch can read ({reason})") from error


def conversion_command(path: Path) -> str:
    """The shell command that turns a pickled state dict into safetensors, by torch's reader that runs no code."""
    target = path.with_suffix(".safetensors")
    program = (
        "import sys, torch; from safetensors.torch import save_file; "
        "w = torch.load(sys.argv[1], map_location='cpu', weights_only=True); w = w.get('state_dict', w); "
        "save_file({k: v.contiguous().clone() for k, v in w.items() if torch.is_tensor(v)}, sys.argv[2])"
    )
    return f"python -c {shlex.quote(program)} {shlex.quote(str(path))} {shlex.quote(str(target))}"


def _refuse_file_access(path: Path, data: bytes) -> None:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            code = [archive.read(name).decode() for name in archive.namelist() if name.endswith(".py")]
    except (zipfile.BadZipFile, zlib.error, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cut short or corrupted ({error}); copy it again") from error
    found = next(filter(None, (_TOUCHES_FILES.search(text) or _FOREIGN.search(text) for text in code)), None)
    if found is not None:
        raise InputError(
            f"{path}: refused: its program calls {found[0]}, which touches files or is not torch's own; "
            "use the model's weights as safetensors instead"
        )
