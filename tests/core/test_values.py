"""Dataclasses from plain data."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import pytest

from synth.core.errors import InputError
from synth.core.values import from_mapping, known_keys

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Wheel:
    inches: float = 28.0
    spokes: int = 32
    axle: tuple[float, float] = (9.0, 100.0)


@dataclass(frozen=True)
class Bicycle:
    wheel: Wheel = field(default_factory=Wheel)
    name: str = "town"
    bell: bool = True
    load: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({"bag": 2.0}))
    lamp: float | None = None

    def __post_init__(self) -> None:
        if self.lamp is not None and self.lamp < 0:
            raise InputError(f"lamp must not be negative, got {self.lamp}")


def test_fields_are_replaced_and_the_others_stay() -> None:
    base = Bicycle(Wheel(26.0), "race")
    changed = from_mapping(base, {"wheel": {"spokes": 24, "axle": [12, 142]}, "bell": False, "load": {}}, "bicycle")
    assert changed == Bicycle(Wheel(26.0, 24, (12, 142)), "race", False, {})
    assert base == Bicycle(Wheel(26.0), "race")
    assert type(changed.wheel.axle) is tuple
    assert from_mapping(base, {}, "bicycle") == base


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"whel": {}}, "bicycle: unknown key 'whel'; did you mean 'wheel'?"),
        ({"wheel": {"spoke": 3}}, "bicycle.wheel: unknown key 'spoke'; did you mean 'spokes'?"),
        ({"wheel": {1: 3}}, "bicycle.wheel: unknown key 1; known are inches, spokes, axle"),
        ({"wheel": None}, "bicycle.wheel: expected key: value pairs, got None"),
        ({"wheel": ["inches"]}, "bicycle.wheel: expected key: value pairs, got ['inches']"),
        ({"wheel": {"inches": "29"}}, "bicycle.wheel.inches must be a number, got '29'"),
        ({"wheel": {"inches": [29]}}, "bicycle.wheel.inches must be a number, got [29]"),
        ({"wheel": {"spokes": False}}, "bicycle.wheel.spokes must be a number, got False"),
        ({"name": 7}, "bicycle.name must be text, got 7"),
        ({"name": None}, "bicycle.name must be text, got None"),
        ({"bell": 0}, "bicycle.bell must be true or false, got 0"),
        ({"load": [2]}, "bicycle.load must be key: value pairs, got [2]"),
        ({"load": None}, "bicycle.load must be key: value pairs, got None"),
        ({"lamp": -1}, "lamp must not be negative, got -1"),
        ({"lamp": "on"}, "bicycle: '<' not supported"),
        ([1], "bicycle: expected key: value pairs, got [1]"),
        (None, "bicycle: expected key: value pairs, got None"),
    ],
)
def test_what_does_not_fit(values: Any, message: str) -> None:
    with pytest.raises(InputError) as caught:
        from_mapping(Bicycle(), values, "bicycle")
    assert message in str(caught.value)


def test_whole_numbers_and_none_do_for_numbers() -> None:
    assert from_mapping(Wheel(), {"inches": 29}, "wheel").inches == 29
    assert from_mapping(Bicycle(lamp=3.0), {"lamp": None}, "bicycle").lamp is None
    assert from_mapping(Bicycle(), {"lamp": 2.5}, "bicycle").lamp == 2.5


def test_known_keys_name_the_first_unknown() -> None:
    known_keys({"a": 1}, ["a", "b"], "here")
    known_keys({}, [], "here")
    with pytest.raises(InputError, match=r"here: unknown key 'colour'; did you mean 'color'\?"):
        known_keys({"color": 1, "colour": 2, "x": 3}, ["color"], "here")
