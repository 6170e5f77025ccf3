"""The JSON settings of a model folder: network definitions with references, read without running anything.

MONAI's configurations may hold Python expressions and name any class. Here references are followed ("@latent_channels",
"@a#b", "$@a"), and nothing is evaluated: a definition that needs an expression is refused.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from synth.core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["Settings", "read_json"]

_LARGEST = 1 << 20  # bytes; settings are a few thousand
_DEEPEST = 32  # references that lead to references


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object.

    Raises:
        InputError: The file cannot be read, is too large for settings, or holds something else.
    """
    try:
        if path.stat().st_size > _LARGEST:
            raise InputError(f"{path}: too large for a file of settings")
        found = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: cannot read the settings ({error})") from error
    if not isinstance(found, dict):
        raise InputError(f"{path}: not a JSON object")
    return found


@dataclass(frozen=True)
class Settings:
    """Settings and where they are from.

    Attributes:
        path: The file, for messages.
        values: Its content.
    """

    path: Path
    values: Mapping[str, Any]

    def get(self, name: str, default: Any = None) -> Any:
        """A setting with all its references followed; None counts as not set.

        Raises:
            InputError: A reference leads nowhere or round in circles, or an expression would have to be evaluated.
        """
        found = self.values.get(name)
        return default if found is None else self._followed(found, name, 0)

    def with_defaults(self, more: Mapping[str, Any]) -> Settings:
        """The same with `more` wherever nothing is set."""
        return Settings(self.path, {**more, **{name: one for name, one in self.values.items() if one is not None}})

    def _followed(self, value: Any, name: str, depth: int) -> Any:
        if depth > _DEEPEST:
            raise InputError(f"{self.path}: the references of {name} go round in circles")
        if isinstance(value, dict):
            return {key: self._followed(one, f"{name}.{key}", depth + 1) for key, one in value.items()}
        if isinstance(value, list):
            return [self._followed(one, name, depth + 1) for one in value]
        if isinstance(value, str) and value.startswith(("@", "$@")):
            return self._followed(self._target(value.lstrip("$")[1:], name), name, depth + 1)
        if isinstance(value, str) and value.startswith(("$", "%")):
            raise InputError(f"{self.path}: {name} is {value!r}; expressions are not run, write the value instead")
        return value

    def _target(self, reference: str, name: str) -> Any:
        found: Any = self.values
        for key in reference.replace("::", "#").split("#"):
            try:
                found = found[int(key) if isinstance(found, list) else key]
            except (KeyError, IndexError, ValueError, TypeError):
                raise InputError(f"{self.path}: {name} refers to @{reference}, which is not there") from None
        return found
