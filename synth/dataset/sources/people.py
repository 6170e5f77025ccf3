"""Phantoms as a request wants them."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from synth.anatomy.population import Population
from synth.core.errors import InputError
from synth.dataset.patients.phantoms import Phantoms
from synth.dataset.source import CannotMakeError
from synth.dataset.sources.wishes import drawable

if TYPE_CHECKING:
    from pathlib import Path

    from synth.anatomy.scan import Scan
    from synth.dataset.request import Request

__all__ = ["AskedPhantoms", "asked", "population"]

_NAMED = {"default": Population.default, "healthy": Population.healthy}


class AskedPhantoms(Phantoms):
    """One phantom, whose findings were asked for: another body may have the room that this one lacks."""

    def scan(self, *arguments: Any, **options: Any) -> Scan:
        """As `Phantoms.scan`.

        Raises:
            CannotMakeError: A finding finds no place in this body.
        """
        try:
            return super().scan(*arguments, **options)
        except InputError as error:
            raise CannotMakeError(str(error)) from error


def population(name: str, path: Path) -> dict[str, Any]:
    """The fields of Phantoms that say who comes.

    Args:
        name: "default" or "healthy", or anything else for a table.
        path: Where the table lies.

    Raises:
        InputError: The table cannot be read.
    """
    if name in _NAMED:
        return {"population": _NAMED[name](), "population_name": name}
    source = Population.fit(path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return {"population": source, "population_name": "table", "population_digest": digest}


def asked(phantoms: Phantoms, request: Request) -> Phantoms:
    """The phantom of a request: what it leaves open, `phantoms` decides."""
    wishes: dict[str, Any] = {"n": 1, "seed": request.seed}
    if request.sex is not None:
        wishes["sex"] = request.sex
    if request.age is not None:
        wishes["ages"] = (request.age, request.age)
    if request.race is not None:
        wishes["race"] = request.race
    if request.findings is not None:
        wishes["findings"] = drawable(request.findings)
    one = replace(phantoms, **wishes)
    return one if one.findings is None else AskedPhantoms(**vars(one))
