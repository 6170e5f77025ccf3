"""dataset.json: what made a dataset; and whether an unfinished one may go on."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from importlib import metadata
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import synth
from synth.core.errors import InputError

__all__ = ["FORMAT", "FORMAT_VERSION", "differing_keys", "dump", "finished", "job", "load", "refuse_paths"]

FORMAT = "radsynth dataset"
FORMAT_VERSION = 1

# The libraries whose release can change a byte of what is written.
_LIBRARIES = ("numpy", "scipy", "numba", "SimpleITK", "pydicom", "pillow", "pycocotools")


def job(
    recipe: Mapping[str, object],
    n_samples: int,
    image_format: str,
    *,
    shards: Mapping[str, object] | None = None,
    libraries: Iterable[str] = (),
) -> dict[str, Any]:
    """What decides the bytes of a dataset: "recipe", "n_samples", "image_format" and "versions", as plain JSON.

    Args:
        recipe: All that decides the samples.
        n_samples: Places of the dataset.
        image_format: Of its images.
        shards: How it is packed; becomes "shards" where given.
        libraries: Distributions besides the usual ones whose release can change a byte.

    Raises:
        InputError: The recipe is not plain JSON, or names a path of this machine.
    """
    refuse_paths(recipe, "recipe")
    content = {"recipe": recipe, "n_samples": n_samples, "image_format": image_format}
    content |= {"versions": _versions((*_LIBRARIES, *libraries))} | ({"shards": shards} if shards else {})
    plain: dict[str, Any] = json.loads(dump(content))
    return plain


def finished(job: Mapping[str, Any], counts: Mapping[str, Any], extra: Mapping[str, object]) -> dict[str, Any]:
    """The content of dataset.json.

    Args:
        job: What `job` returned.
        counts: What was written.
        extra: Further entries; "licence" is the recipe's where `extra` has none.

    Raises:
        InputError: An entry of `extra` tells a path of this machine, or has the name of one of dataset.json's own.
    """
    refuse_paths(extra, "dataset.json")
    recipe = job["recipe"]
    own = {"format": FORMAT, "format_version": FORMAT_VERSION, "synthetic": True, "root_seed": recipe.get("seed")}
    own |= {"counts": dict(counts), **job}
    clash = sorted(set(own) & set(extra))
    if clash:
        raise InputError(f"dataset.json: {clash[0]!r} is an entry of its own")
    licence = {"licence": recipe["licence"]} if "licence" in recipe else {}
    return licence | dict(extra) | own


def dump(content: Mapping[str, Any]) -> bytes:
    """JSON of one content, always in the same bytes: keys sorted, UTF-8, indented by 2, a line feed at the end.

    Raises:
        InputError: Something in it has no JSON.
    """
    try:
        text = json.dumps(content, ensure_ascii=False, allow_nan=False, sort_keys=True, indent=2)
        return f"{text}\n".encode()
    except (TypeError, ValueError) as error:
        raise InputError(f"cannot be written as JSON: {error}") from error


def load(path: Path) -> dict[str, Any] | None:
    """Reads a JSON object; None where there is no such file.

    Raises:
        InputError: The file cannot be read, or is no JSON object.
    """
    try:
        content = json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise InputError(f"{path}: cannot read ({error.strerror or error})") from error
    except ValueError as error:
        raise InputError(f"{path}: damaged, not JSON ({error})") from error
    if not isinstance(content, dict):
        raise InputError(f"{path}: damaged, not a JSON object")
    return content


def differing_keys(ours: Mapping[str, Any], theirs: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """The dotted keys, in order, whose values differ or that only one side has."""
    for key in sorted(set(ours) | set(theirs)):
        if key not in ours or key not in theirs:
            yield prefix + key
        elif isinstance(ours[key], dict) and isinstance(theirs[key], dict):
            yield from differing_keys(ours[key], theirs[key], f"{prefix}{key}.")
        elif ours[key] != theirs[key]:
            yield prefix + key


def refuse_paths(value: object, where: str) -> None:
    """Refuses absolute paths anywhere in a value: a dataset tells nothing of the machine that made it.

    Raises:
        InputError: A string in `value` is an absolute path or starts in a home folder; the message names its place.
    """
    if isinstance(value, Mapping):
        for key, item in value.items():
            refuse_paths(key, where)
            refuse_paths(item, f"{where}.{key}")
    elif isinstance(value, list | tuple):
        for number, item in enumerate(value):
            refuse_paths(item, f"{where}[{number}]")
    elif isinstance(value, str) and _is_absolute(value):
        raise InputError(f"{where}: {value!r} is a path of this machine, which a dataset must not tell; give a name")


def _is_absolute(text: str) -> bool:
    return PurePosixPath(text).is_absolute() or PureWindowsPath(text).is_absolute() or text.startswith("~/")


def _versions(names: Iterable[str]) -> dict[str, str]:
    versions = {"radsynth": synth.__version__}
    for name in names:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions
