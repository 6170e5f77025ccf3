"""Recipes as checked pydantic models: what is wrong is told in one line, with its place and the nearest right key."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, get_args

import yaml
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, ValidationError, ValidationInfo

from synth.core.errors import InputError
from synth.core.values import known_keys

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from pydantic_core import ErrorDetails

__all__ = ["RecipePath", "Strict", "validated", "with_changes"]

Model = TypeVar("Model", bound="Strict")

_ITS_WORDS = re.compile("^(Input|List|Tuple) should ")
_ITS_DETAILS = re.compile(" after validation, not .*| or (instance of|object to) .*")
_LONGEST = 60  # characters of a wrong value that are shown


class Strict(BaseModel):
    """A mapping of the file; it has these keys and no others."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _text(value: object) -> object:
    if not isinstance(value, str | Path):
        raise ValueError(f"must be a path, got {value!r}")
    return value


def _placed(path: Path, info: ValidationInfo) -> Path:
    return (info.context or Path()) / path.expanduser()


RecipePath = Annotated[Path, BeforeValidator(_text), AfterValidator(_placed)]
"""A path that is relative to the recipe's folder, which `validated` is given as `context`."""


def with_changes(content: Mapping[str, Any], changes: Iterable[str], *, null_removes: bool = False) -> dict[str, Any]:
    """The content with some values replaced.

    Args:
        content: It is left as it is.
        changes: "key.path=value", the value as YAML has it.
        null_removes: Whether null takes a key out, so that its default counts, or is a value like others.

    Raises:
        InputError: No such form, or a path through something that has no keys.
    """
    changed = dict(content)
    for change in changes:
        path, equals, text = change.partition("=")
        keys = path.strip().split(".")
        if not equals or not all(keys):
            raise InputError(f"--set {change}: give key=value, or key.path=value")
        try:
            value = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise InputError(f"--set {change}: the value is not YAML") from error
        inner = _above(changed, keys, change)
        if value is None and null_removes:
            inner.pop(keys[-1], None)
        else:
            inner[keys[-1]] = value
    return changed


def _above(content: dict[str, Any], keys: list[str], change: str) -> dict[str, Any]:
    """The mapping that the last key is of; copied on the way there, and made where missing."""
    for key in keys[:-1]:
        inner = content.get(key)
        if inner is not None and not isinstance(inner, dict):
            raise InputError(f"--set {change}: {key} has no keys")
        content[key] = dict(inner or {})
        content = content[key]
    return content


def validated(model: type[Model], content: Mapping[str, Any], where: object, *, context: object = None) -> Model:
    """The model of plain data.

    Args:
        model: The class.
        content: What a file says.
        where: The file, or what to call it in messages.
        context: What validators are given.

    Raises:
        InputError: An unknown key or a wrong value; the first one is told.
    """
    _refuse_unknown(model, content, f"{where}: ")
    try:
        return model.model_validate(content, context=context)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise InputError(f"{where}: {_said(model, first)}") from None


def _refuse_unknown(model: type[BaseModel], content: Mapping[str, Any], where: str) -> None:
    known_keys(content, list(model.model_fields), where.removesuffix(".").removesuffix(": "))
    for key, value in content.items():
        inner = _chosen(list(_models(model.model_fields[key].annotation)), value)
        if inner is not None:
            _refuse_unknown(inner, value, f"{where}{key}.")


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    """The models that a field may be of."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models(inner)


def _chosen(models: list[type[BaseModel]], value: Any) -> type[BaseModel] | None:
    """Which of the models a mapping is meant to be of: where there are several, its kind says so."""
    if not isinstance(value, dict) or len(models) < 2:
        return models[0] if models and isinstance(value, dict) else None
    kinds = [get_args(model.model_fields["kind"].annotation) for model in models]
    return next((model for model, kind in zip(models, kinds, strict=True) if value.get("kind") in kind), None)


def _said(model: type[BaseModel], error: ErrorDetails) -> str:
    """One line of an error of pydantic's."""
    names = set(_field_names(model))
    place = ".".join(str(part) for part in error["loc"] if isinstance(part, int) or part in names)
    if error["type"].startswith("union_tag"):
        tags = error.get("ctx", {}).get("expected_tags", "")
        kind = error["input"].get("kind") if isinstance(error["input"], dict) else error["input"]
        known = ", ".join(sorted(_kinds(model, place)))
        return f"{place}.kind: must be one of {known or tags}, got {_short(kind)}"
    if error["type"] == "missing":
        return f"{place} is missing"
    words, of_pydantic = _ITS_WORDS.subn("must ", error["msg"].removeprefix("Value error, "))
    words = _ITS_DETAILS.sub("", words).replace("valid tuple", "list").replace("valid dictionary", "mapping")
    got = f", got {_short(error['input'])}" if of_pydantic else ""
    return f"{place}: {words}{got}" if place else words


def _kinds(model: type[BaseModel], place: str) -> Iterator[str]:
    for choice in _models(model.model_fields[place].annotation):
        yield from get_args(choice.model_fields["kind"].annotation)


def _field_names(model: type[BaseModel]) -> Iterator[str]:
    for name, field in model.model_fields.items():
        yield name
        for inner in _models(field.annotation):
            yield from _field_names(inner)


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
