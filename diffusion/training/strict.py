"""Settings from YAML: unknown keys and wrong values are told in one line, with the nearest right key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from synth.core.errors import InputError
from synth.core.values import known_keys

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

__all__ = ["Strict", "read_yaml", "validated", "with_changes"]

Model = TypeVar("Model", bound=BaseModel)


class Strict(BaseModel):
    """A mapping of a recipe; it has these keys and no others."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def read_yaml(path: Path) -> dict[str, Any]:
    """The content of a YAML file.

    Raises:
        InputError: It cannot be read, is no YAML, or no mapping.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: cannot read ({error.strerror or error})") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not YAML ({' '.join(str(error).split())})") from error
    if not isinstance(content, dict):
        raise InputError(f"{path}: expected key: value pairs such as size: 128")
    return content


def with_changes(content: Mapping[str, Any], changes: Iterable[str]) -> dict[str, Any]:
    """The content with some values replaced.

    Args:
        content: It is left as it is.
        changes: "key.path=value", the value as YAML has it.

    Raises:
        InputError: No such form, or a path through something that has no keys.
    """
    changed = dict(content)
    for change in changes:
        path, equals, text = change.partition("=")
        *above, last = path.strip().split(".")
        if not equals or not all((*above, last)):
            raise InputError(f"--set {change}: give key=value, or key.path=value")
        inner = changed
        for key in above:
            if not isinstance(inner.get(key), dict | None):
                raise InputError(f"--set {change}: {key} has no keys")
            inner[key] = dict(inner.get(key) or {})
            inner = inner[key]
        try:
            inner[last] = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise InputError(f"--set {change}: the value is not YAML") from error
    return changed


def validated(model: type[Model], content: Mapping[str, Any], where: str) -> Model:
    """The model of a mapping.

    Args:
        model: The class.
        content: What the file says.
        where: What to call it in messages.

    Raises:
        InputError: An unknown key or a wrong value; the first one is told.
    """
    _refuse_unknown(model, content, where)
    try:
        return model.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        words = first["msg"].removeprefix("Value error, ").replace("Input should", "must")
        raise InputError(f"{where}: {place}: {words}, got {first['input']!r}") from None


def _refuse_unknown(model: type[BaseModel], content: Mapping[str, Any], where: str) -> None:
    known_keys(content, list(model.model_fields), where)
    for key, value in content.items():
        inner = next(_models(model.model_fields[key].annotation), None)
        if inner is not None and isinstance(value, dict):
            _refuse_unknown(inner, value, f"{where}: {key}")


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _models(part)
