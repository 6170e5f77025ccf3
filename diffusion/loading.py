"""Models from a folder, from the Hub, or the one that comes with the package, ready to draw."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from synth.core.errors import InputError
from synth.diffusion.model_folder import find_model, lora_file

if TYPE_CHECKING:
    from collections.abc import Iterator

    import torch

    from synth.diffusion.cxr.generate import CxrModel
    from synth.diffusion.model_folder import ModelFolder

__all__ = [
    "BACKENDS",
    "PROMPTS",
    "Attention",
    "Precision",
    "Recent",
    "as_input_errors",
    "choose_device",
    "choose_precision",
    "load_model",
    "model_digest",
    "quiet",
    "settle",
]

Precision = Literal["auto", "float32", "bfloat16", "float16"]
Attention = Literal["sdpa", "xformers", "flash"]

BACKENDS = {"sdpa": "native", "xformers": "xformers", "flash": "_native_flash"}
"""What diffusers calls the ways to compute attention."""
PROMPTS = 2048
"""Embeddings that are kept, 50 to 300 kB each."""
_BF16_CPU = ("avx512_bf16", "amx_bf16")
_ALIGNED = 64  # bytes, as torch's own memory


def load_model(
    name: str = "default",
    *,
    device: str = "auto",
    dtype: Precision = "auto",
    attention: Attention = "sdpa",
    lora: Path | None = None,
    lora_scale: float = 1.0,
    compiled: bool = False,
) -> CxrModel:
    """Loads a model, without ever reading a pickle or running code of its folder.

    Args:
        name: "default", a folder of a diffusers pipeline (CxrPipeline or StableDiffusionPipeline), or a Hub id.
        device: "cpu", "cuda", "cuda:1", …; "auto": a GPU where there is one.
        dtype: Of denoiser and text encoder; the rest is float32, so that pictures keep their 16 bits. "auto": bfloat16
            where the device computes in it.
        attention: torch's own, xformers', or torch's flash kernel.
        lora: Folder of a LoRA adapter to add to the weights.
        lora_scale: How much of it.
        compiled: Whether torch compiles the denoiser: slow at first, then faster.

    Raises:
        InputError: It is not there, is not safe to load, is damaged, or cannot run here as asked.
    """
    folder, adapter = find_model(name), None if lora is None else lora_file(lora)
    place = choose_device(device)
    precision = choose_precision(dtype, place)
    if attention == "xformers" and place == "cpu":
        raise InputError("--attention xformers: needs a GPU; on a CPU use sdpa")
    with as_input_errors(folder.path), quiet():
        pipe = _pipeline(folder)
    if adapter is not None:
        with as_input_errors(adapter), quiet():
            _add(pipe, folder, adapter, lora_scale)
    with quiet():
        _settle(pipe, place, precision)
        _choose_attention(pipe, folder, attention)
    if compiled:
        (pipe.transformer if folder.kind == "own" else pipe.unet).compile()
    return _wrapped(pipe, folder, model_digest(name, lora, lora_scale), attention)


def model_digest(name: str, lora: Path | None = None, lora_scale: float = 1.0) -> str:
    """SHA-256 of all that is loaded, with the adapter; what a Record tells as model_hash.

    Raises:
        InputError: As `load_model`.
    """
    own = find_model(name).digest
    if lora is None:
        return own
    added = hashlib.sha256(lora_file(lora).read_bytes()).hexdigest()
    return hashlib.sha256(f"{own} {added} {lora_scale!r}".encode()).hexdigest()


def choose_device(device: str) -> str:
    """The device; "auto" is a GPU where there is one.

    Raises:
        InputError: There is no such device.
    """
    import torch

    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        kind = torch.device(device)
        torch.empty(0, device=kind)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).strip().splitlines()[0]
        raise InputError(f"--device {device}: not on this machine ({reason})") from error
    return device


def choose_precision(dtype: Precision, device: str) -> Literal["float32", "bfloat16", "float16"]:
    """The number format; "auto" is bfloat16 where the device computes in it.

    Raises:
        InputError: float16 on a CPU.
    """
    if dtype != "auto":
        if dtype == "float16" and device == "cpu":
            raise InputError("--dtype float16: needs a GPU; on a CPU use bfloat16 or float32")
        return dtype
    if device == "cpu":
        return "bfloat16" if _cpu_has_bf16() else "float32"
    import torch

    return "bfloat16" if torch.cuda.is_bf16_supported() else "float16"


@lru_cache(maxsize=1)
def _cpu_has_bf16() -> bool:
    try:
        flags = Path("/proc/cpuinfo").read_text()
    except OSError:
        return False
    return any(flag in flags for flag in _BF16_CPU)


@contextmanager
def as_input_errors(path: Path) -> Iterator[None]:
    """The libraries raise anything at what they cannot read."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:240]
        raise InputError(f"{path}: cannot load the model ({reason})") from error


def settle(part: torch.nn.Module, device: str, dtype: torch.dtype) -> None:
    """Brings a network to the device, to be asked and not trained.

    Weights that lie in memory as they do in their file, at any multiple of 8 bytes, are moved: products of matrices
    round otherwise there, and the same weights would make other volumes once they are saved anew.
    """
    part.eval().requires_grad_(False).to(device, dtype)
    for weights in (*part.parameters(), *part.buffers()):
        if weights.data_ptr() % _ALIGNED:
            weights.data = weights.data.clone()


def _pipeline(folder: ModelFolder) -> Any:
    from diffusers import StableDiffusionPipeline

    from synth.diffusion.cxr.pipeline import CxrPipeline

    options: dict[str, Any] = {"local_files_only": True, "use_safetensors": True, "variant": folder.variant}
    if folder.kind == "own":
        pipe = CxrPipeline.from_pretrained(str(folder.path), **options)
    else:
        options |= {"safety_checker": None, "feature_extractor": None, "requires_safety_checker": False}
        pipe = StableDiffusionPipeline.from_pretrained(str(folder.path), **options)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def _add(pipe: Any, folder: ModelFolder, adapter: Path, scale: float) -> None:
    """Adds an adapter to the weights, so that it costs nothing afterwards."""
    from safetensors import safe_open

    if folder.kind == "stable":
        pipe.load_lora_weights(str(adapter.parent), weight_name=adapter.name)
        pipe.fuse_lora(lora_scale=scale)
        pipe.unload_lora_weights()
        return
    with safe_open(adapter, "pt") as file:
        prefixed = all(name.startswith("transformer.") for name in file.keys())  # noqa: SIM118 - no mapping
    prefix = "transformer" if prefixed else None
    pipe.transformer.load_lora_adapter(str(adapter.parent), weight_name=adapter.name, prefix=prefix)
    pipe.transformer.fuse_lora(lora_scale=scale)
    pipe.transformer.unload_lora()


def _settle(pipe: Any, device: str, precision: str) -> None:
    """Brings all parts to the device; what makes pictures and masks stays float32.

    Channels come last where convolutions are faster so: on GPUs; on a CPU ours were 15 % slower.
    """
    import torch

    for name, part in pipe.components.items():
        if not isinstance(part, torch.nn.Module):
            continue
        last = name in ("vae", "mask_decoder")
        settle(part, device, torch.float32 if last else getattr(torch, precision))
        if device != "cpu" and (last or name == "unet"):
            part.to(memory_format=torch.channels_last)


def _choose_attention(pipe: Any, folder: ModelFolder, attention: Attention) -> None:
    """Sets diffusers' backend, or what stands for one in Stable Diffusion's UNet, which has none.

    Raises:
        InputError: What it needs is not installed.
    """
    try:
        if folder.kind == "own":
            for part in filter(None, (pipe.transformer, pipe.text_encoder, pipe.control)):
                part.set_attention_backend(BACKENDS[attention])
        elif attention == "xformers":
            pipe.unet.enable_xformers_memory_efficient_attention()
    except (ImportError, RuntimeError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise InputError(f"--attention {attention}: not possible here ({reason})") from error


def _wrapped(pipe: Any, folder: ModelFolder, digest: str, attention: Attention) -> CxrModel:
    if folder.kind == "own":
        from synth.diffusion.cxr.own_model import OwnModel

        pipe.text_cache = Recent(PROMPTS)
        return OwnModel(pipe, digest)
    from synth.diffusion.stable import StableModel

    return StableModel(pipe, digest, Recent(PROMPTS), flash=attention == "flash")


@contextmanager
def quiet() -> Iterator[None]:
    """The libraries' bars and advice, which are not for users of a command."""
    import diffusers
    import transformers

    levels = [library.utils.logging.get_verbosity() for library in (diffusers, transformers)]
    for library in (diffusers, transformers):
        library.utils.logging.set_verbosity_error()
        library.utils.logging.disable_progress_bar()
    try:
        yield
    finally:
        for library, level in zip((diffusers, transformers), levels, strict=True):
            library.utils.logging.set_verbosity(level)
            library.utils.logging.enable_progress_bar()


class Recent(OrderedDict[str, Any]):
    """A mapping that forgets what was put in first."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self._size = size

    def __setitem__(self, key: str, value: Any) -> None:
        super().__setitem__(key, value)
        if len(self) > self._size:
            self.popitem(last=False)
