"""Placed objects from plain data, as a scene file holds it."""

from __future__ import annotations

import difflib
import inspect
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from synth.core.errors import InputError
from synth.drr.materials import MATERIALS
from synth.drr.mesh import Part, read_mesh
from synth.drr.objects import OBJECTS
from synth.drr.placed import Placed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

__all__ = ["place", "pose"]

_COMMON = ("at", "rotate_deg", "name", "displace")
_OBJECT, _MESH = ("object", "parameters", "seed"), ("mesh", "material", "unit_mm")
_LARGEST = 1000.0  # mm, degrees or pieces


def place(
    spec: Mapping[str, Any], *, generator: np.random.Generator | None = None, folder: Path | None = None
) -> Placed:
    """An object from plain data.

    Args:
        spec: Either {"object": a name of OBJECTS, "parameters": {its keywords}, "seed": whole number} or {"mesh": STL
            or OBJ file, "material": a name of MATERIALS, "unit_mm": 1.0}; with either, "at": [x, y, z], where the
            object's origin comes to lie, world LPS mm, default 0; "rotate_deg": [rx, ry, rz], see `pose`; "name" for
            masks, default the object's name or the file's stem; "displace": true or false, see Placed.
        generator: Draws what varies between specimens; "seed" wins over it, and without either the seed is 0.
        folder: What a mesh's relative path is relative to; default: the working directory.

    Returns:
        The object, in the world.

    Raises:
        InputError: An unknown key, object, parameter or material (the message names the nearest), a value of the wrong
            kind, or a mesh that cannot be used.
    """
    kinds = [kind for kind in ("object", "mesh") if kind in spec]
    if len(kinds) != 1:
        raise InputError('a placed thing needs either "object" or "mesh"' + _hint(spec, (*_OBJECT, *_MESH, *_COMMON)))
    _known(spec, (*(_OBJECT if kinds == ["object"] else _MESH), *_COMMON), f"{kinds[0]} {spec[kinds[0]]}: unknown key")
    what = str(spec[kinds[0]])
    parts = _make(spec, what, generator) if kinds == ["object"] else _load(spec, what, folder)
    displace = spec.get("displace")
    if not (displace is None or isinstance(displace, bool)):
        raise InputError(f"{what}: displace must be true or false, got {displace!r}")
    matrix = pose(_triple(spec, "at", what), _triple(spec, "rotate_deg", what))
    return Placed(parts, matrix, str(spec.get("name", what if kinds == ["object"] else Path(what).stem)), displace)


def pose(at: Iterable[float], rotate_deg: Iterable[float] = (0, 0, 0)) -> NDArray[np.float64]:
    """(4, 4) object → world: turns about the world's x, then its y, then its z axis, R = R_z·R_y·R_x, then the shift.

    Args:
        at: (x, y, z), mm.
        rotate_deg: (rx, ry, rz), degrees, right-handed.
    """
    a, b, c = np.deg2rad(np.asarray(list(rotate_deg), float))
    R_x = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    R_y = np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
    R_z = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    matrix = np.eye(4)
    matrix[:3, :3] = R_z @ R_y @ R_x
    matrix[:3, 3] = np.asarray(list(at), float)
    return matrix


def _make(spec: Mapping[str, Any], what: str, generator: np.random.Generator | None) -> list[Part]:
    _known([what], OBJECTS, "unknown object")
    make, parameters = OBJECTS[what], spec.get("parameters") or {}
    if not hasattr(parameters, "items"):
        raise InputError(f"object {what}: parameters must be names with values, got {parameters!r}")
    allowed = dict(list(inspect.signature(make).parameters.items())[1:])
    _known(parameters, allowed, f"object {what}: unknown parameter")
    checked = {name: _checked(value, allowed[name], f"object {what}: {name}") for name, value in parameters.items()}
    seed = spec.get("seed")
    if seed is not None and (isinstance(seed, bool) or not isinstance(seed, int) or seed < 0):
        raise InputError(f"object {what}: seed must be a whole number, not negative, got {seed!r}")
    if seed is not None or generator is None:
        generator = np.random.default_rng(seed or 0)
    return make(generator, **checked)


def _load(spec: Mapping[str, Any], what: str, folder: Path | None) -> list[Part]:
    if "material" not in spec:
        raise InputError(f'mesh {what}: needs a "material", such as titanium')
    chosen = str(spec["material"])
    _known([chosen], MATERIALS, f"mesh {what}: unknown material")
    unit = spec.get("unit_mm", 1.0)
    if not _is_number(unit):
        raise InputError(f"mesh {what}: unit_mm must be a number, got {unit!r}")
    path = Path(what) if folder is None else folder / what
    return [Part(read_mesh(path, unit_mm=float(unit)), chosen, path.stem)]


def _checked(value: Any, parameter: inspect.Parameter, what: str) -> Any:
    """A value of the kind of the parameter's default."""
    if isinstance(parameter.default, str):
        if not isinstance(value, str):
            raise InputError(f"{what} must be text, got {value!r}")
        return value
    if not _is_number(value) or not 0 <= value <= _LARGEST:
        raise InputError(f"{what} must be a number from 0 to {_LARGEST:g}, got {value!r}")
    if isinstance(parameter.default, int):
        if value != int(value) or not 1 <= value <= 100:
            raise InputError(f"{what} must be a whole number from 1 to 100, got {value!r}")
        return int(value)
    return float(value)


def _triple(spec: Mapping[str, Any], key: str, what: str) -> list[float]:
    value = spec.get(key, (0, 0, 0))
    if not (isinstance(value, list | tuple | np.ndarray) and len(value) == 3 and all(map(_is_number, value))):
        raise InputError(f"{what}: {key} must be three numbers, got {value!r}")
    return [float(number) for number in value]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | np.number) and not isinstance(value, bool) and math.isfinite(value)


def _known(names: Iterable[Any], allowed: Iterable[str], complaint: str) -> None:
    for name in names:
        if name not in allowed:
            raise InputError(f"{complaint} {str(name)!r}{_hint([name], allowed)}")


def _hint(names: Iterable[Any], allowed: Iterable[str]) -> str:
    """The nearest right key, or all of them."""
    allowed = list(allowed)
    near = [match for name in names for match in difflib.get_close_matches(str(name), allowed, 1)]
    near = [match for match in near if match not in names]
    return f": did you mean {near[0]!r}?" if near else f": use one of {', '.join(sorted(allowed))}"
