"""Where a model lies, what kind it is, and whether it is safe to load; read without loading it.

A folder is a diffusers pipeline: `model_index.json` names the class of the pipeline and of its parts, each part in a
folder of its own. Only weights in safetensors are read, and only parts of known libraries: an index could name any
class that Python can import.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from synth.core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["LORA_FILE", "ModelFolder", "find_model", "lora_file"]

Kind = Literal["own", "stable"]
Family = Literal["cxr", "ct"]
"""What a model makes."""

LORA_FILE = "pytorch_lora_weights.safetensors"
"""What diffusers calls the weights of an adapter."""

_DEFAULT = Path(__file__).parent / "weights" / "cxr"
_KINDS: Mapping[Family, Mapping[str, Kind]] = {
    "cxr": {"CxrPipeline": "own", "StableDiffusionPipeline": "stable"},
    "ct": {"CtPipeline": "own"},
}
_LIBRARIES = ("diffusers", "transformers", "synth.diffusion")
_UNUSED = ("safety_checker", "feature_extractor", "image_encoder")  # a checker of photographs sees nothing in X-rays
_WITHOUT_WEIGHTS = ("tokenizer", "scheduler")
_PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle")
_READ = (".safetensors", ".json", ".txt", ".model")
_FROM_HUB = ["*.safetensors", "*.json", "*.txt"]


@dataclass(frozen=True)
class ModelFolder:
    """A folder that may be loaded; make one with `find_model`.

    Attributes:
        path: The folder.
        kind: "own" for CxrPipeline and CtPipeline, "stable" for StableDiffusionPipeline.
        parts: Names of its parts, each a sub-folder.
        variant: Of the names of its weights, "fp16" or None.
    """

    path: Path
    kind: Kind
    parts: tuple[str, ...]
    variant: str | None

    @property
    def digest(self) -> str:
        """SHA-256, in hexadecimal, of names and contents of all files that are loaded: weights, settings, words."""
        return _digest(self.path, (self.path / "model_index.json", *self._files()))

    def _files(self) -> Iterator[Path]:
        for part in self.parts:
            found = (path for path in (self.path / part).rglob("*") if path.suffix in _READ and path.is_file())
            yield from (path for path in found if path.suffix != ".safetensors" or _is_of(path, self.variant))


def find_model(name: str, family: Family = "cxr") -> ModelFolder:
    """The folder of a model, checked.

    Args:
        name: "default" for the model that comes with the package, a folder, or an id of the Hugging Face Hub
            ("owner/name"), which is taken from the cache of this machine where it is there.
        family: What it is to make.

    Raises:
        InputError: It is not there, of an unknown kind, without its weights, or has them only as pickles; the message
            has the command that converts those.
    """
    place = _place(name, family)
    if isinstance(place, Path):
        return _checked(place, family)
    try:
        return _checked(_from_hub(name, offline=True), family)
    except InputError:  # not cached, or not all of it
        return _checked(_from_hub(name, offline=False), family)


def lora_file(folder: Path) -> Path:
    """The weights of a LoRA adapter (peft, as diffusers saves it).

    Raises:
        InputError: Not there, or a pickle.
    """
    path = folder / LORA_FILE
    if path.is_file():
        return path
    pickled = path.with_suffix(".bin")
    if pickled.is_file():
        raise InputError(
            f"{folder}: has its adapter as {pickled.name}, which can run code when it is read; {_how(folder)}"
        )
    raise InputError(f"{folder}: no LoRA adapter there (no {LORA_FILE})")


def _checked(path: Path, family: Family) -> ModelFolder:
    index = _index(path)
    kind = _KINDS[family].get(str(index.get("_class_name")))
    if kind is None:
        known = " and ".join(_KINDS[family])
        raise InputError(f"{path}: holds a {index.get('_class_name')!r}; {known} can be loaded")
    parts = tuple(sorted(_parts(path, index)))
    weighty = [path / part for part in parts if part not in _WITHOUT_WEIGHTS]
    for part in weighty:
        _require_safetensors(part, path)
    variants = {_variant(part) for part in weighty}
    if len(variants) > 1:
        raise InputError(f"{path}: has some weights as fp16 alone and others not; fetch all of one kind")
    return ModelFolder(path, kind, parts, next(iter(variants), None))


def _place(name: str, family: Family) -> Path | None:
    """The folder on this machine; None for an id of the Hub."""
    if name == "default":
        default = _DEFAULT if family == "cxr" else _DEFAULT.with_name(family)
        if not (default / "model_index.json").is_file():
            raise InputError(
                "model default: this installation has no weights of its own; give --model FOLDER or a Hub id, or train "
                f"one: synth train {family} RECIPE -o FOLDER"
            )
        return default
    path = Path(name).expanduser()
    if path.is_dir():
        return path
    if path.is_file():
        raise InputError(f"{path}: is a file; give the folder of a diffusers pipeline, with its model_index.json")
    if path.is_absolute() or name.startswith((".", "~")) or name.count("/") != 1:
        raise InputError(f"{name}: no such folder")
    return None


def _from_hub(name: str, *, offline: bool) -> Path:
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(name, allow_patterns=_FROM_HUB, local_files_only=offline))
    except Exception as error:  # the library raises anything, from missing files to lost connections
        raise InputError(
            f"{name}: no such folder, nor to be had from the Hugging Face Hub ({type(error).__name__}); where there is "
            f"a network: hf download {name} --local-dir FOLDER, then --model FOLDER"
        ) from error


def _index(path: Path) -> dict[str, Any]:
    try:
        index = json.loads((path / "model_index.json").read_bytes())
    except FileNotFoundError:
        raise InputError(f"{path}: no model there (no model_index.json); give the folder of a pipeline") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{path / 'model_index.json'}: cannot read ({error})") from error
    if not isinstance(index, dict):
        raise InputError(f"{path / 'model_index.json'}: not a JSON object")
    return index


def _parts(path: Path, index: Mapping[str, Any]) -> Iterator[str]:
    for name, of in index.items():
        if name.startswith("_") or name in _UNUSED or not isinstance(of, list) or not of or not isinstance(of[0], str):
            continue
        if not any(of[0] == library or str(of[0]).startswith(f"{library}.") for library in _LIBRARIES):
            raise InputError(f"{path}: its part {name} is a class of {of[0]!r}, which is not loaded from model folders")
        if not (path / name).is_dir():
            raise InputError(f"{path}: its part {name} is missing; fetch the folder again")
        yield name


def _require_safetensors(part: Path, folder: Path) -> None:
    if any(part.glob("*.safetensors")):
        return
    pickles = sorted(file.name for file in part.iterdir() if file.suffix in _PICKLES)
    if pickles:
        raise InputError(
            f"{part}: has its weights as {pickles[0]}, a pickle, which can run code when it is read; {_how(folder)}"
        )
    raise InputError(f"{part}: no weights there (no .safetensors); fetch them again")


def _how(folder: Path) -> str:
    return f"convert it once: python -m synth.diffusion.convert {folder}"


def _variant(part: Path) -> str | None:
    plain = any(_is_of(file, None) for file in part.glob("*.safetensors"))
    return None if plain else "fp16"


def _is_of(file: Path, variant: str | None) -> bool:
    return (".fp16" in file.name) == (variant == "fp16")


def _digest(root: Path, files: tuple[Path, ...]) -> str:
    whole = hashlib.sha256()
    for path in sorted(files):
        state = path.stat()
        content = _file_digest(path, state.st_size, state.st_mtime_ns)
        whole.update(f"{path.relative_to(root).as_posix()}\0{content}\n".encode())
    return whole.hexdigest()


@lru_cache(maxsize=256)
def _file_digest(path: Path, _size: int, _changed: int) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
