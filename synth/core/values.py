"""Dataclasses from plain data (YAML, JSON): unknown keys are errors that name the nearest right one.

Pydantic models are checked alike by `synth.core.strict`.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

import yaml

from synth.core.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["from_mapping", "known_keys", "read_mapping", "read_yaml"]

T = TypeVar("T")


def read_yaml(path: Path) -> Any:
    """The content of a YAML file; None where it is empty.

    Raises:
        InputError: It cannot be read, or is no YAML.
    """
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: cannot read ({error.strerror or error})") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not YAML ({' '.join(str(error).split())})") from error


def read_mapping(path: Path, example: str) -> dict[str, Any]:
    """The content of a YAML file that is a mapping.

    Args:
        path: The file.
        example: Such as a user would write, for the message.

    Raises:
        InputError: As `read_yaml`, or it is no mapping.
    """
    content = read_yaml(path)
    if not isinstance(content, dict):
        raise InputError(f"{path}: expected key: value pairs such as {example}")
    return content


def from_mapping(base: T, values: Mapping[str, Any], where: str) -> T:
    """`base`, a dataclass, with the given fields replaced; fields that are dataclasses take mappings of their own.

    Args:
        base: What the fields are otherwise.
        values: Field → value; lists become tuples where the field is one.
        where: What to call it in messages.

    Raises:
        InputError: An unknown field, a mapping where none belongs, or a value of the wrong kind or range.
    """
    if not isinstance(values, Mapping):
        raise InputError(f"{where}: expected key: value pairs, got {values!r}")
    known_keys(values, [field.name for field in fields(base)], where)  # type: ignore[arg-type]
    changes = {key: _value(getattr(base, key), value, f"{where}.{key}") for key, value in values.items()}
    try:
        return replace(base, **changes)  # type: ignore[type-var]
    except TypeError as error:  # a string where a number is compared
        raise InputError(f"{where}: {error}") from error


def known_keys(values: Mapping[str, Any], known: list[str], where: str) -> None:
    """Refuses keys that are none of `known`.

    Raises:
        InputError: Names the first such key and the nearest right one.
    """
    for key in values:
        if key not in known:
            near = difflib.get_close_matches(str(key), known, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known)}"
            raise InputError(f"{where}: unknown key {key!r}; {hint}")


def _value(old: Any, new: Any, where: str) -> Any:
    if is_dataclass(old) and not isinstance(old, type):
        return from_mapping(old, new, where)
    if isinstance(old, tuple) and isinstance(new, list):
        return tuple(new)
    if isinstance(old, bool) and not isinstance(new, bool):
        raise InputError(f"{where} must be true or false, got {new!r}")
    if isinstance(old, int | float) and not isinstance(old, bool):
        if isinstance(new, bool) or not isinstance(new, int | float | None):
            raise InputError(f"{where} must be a number, got {new!r}")
        return new
    if isinstance(old, str | Mapping) and not isinstance(new, type(old) if isinstance(old, str) else Mapping):
        raise InputError(f"{where} must be {'text' if isinstance(old, str) else 'key: value pairs'}, got {new!r}")
    return new
