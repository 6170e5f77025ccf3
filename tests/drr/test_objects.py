"""Every object of the library: closed, of sensible size and material, the same from the same generator."""

from __future__ import annotations

import inspect

import numpy as np
import pytest

from synth.core.errors import InputError
from synth.drr.materials import MATERIALS
from synth.drr.objects import OBJECTS, Part

SIZE_MM = {
    "bone_plate": (100, 27, 11),
    "bra_clasp": (100, 21, 5), "button": (12, 12, 3), "central_venous_catheter": (180, 64, 49),
    "chest_drain": (177, 81, 20),
    "clamp": (144, 60, 8), "coin": (24, 24, 1.8), "ecg_electrode": (200, 100, 9),
    "endotracheal_tube": (204, 132, 22),
    "guide_wire": (404, 35, 12), "hip_stem": (180, 64, 32), "k_wire": (154, 2, 1.6),
    "nasogastric_tube": (386, 76, 45), "necklace": (131, 124, 28), "needle": (59, 8, 8), "pacemaker": (200, 177, 67),
    "pedicle_screw": (60, 12, 12), "spinal_rods": (125, 70, 64), "sternal_wires": (118, 36, 17),
    "surgical_sponge": (115, 112, 23), "suture_needle": (23, 11, 1), "vascular_stent": (60, 9, 8),
}  # fmt: skip
"""Largest to smallest extent, mm; each within a factor of 2.5, the largest within a quarter."""


def make(name: str, seed: int = 0) -> list[Part]:
    return OBJECTS[name](np.random.default_rng(seed))


def test_all_are_known() -> None:
    assert sorted(OBJECTS) == sorted(SIZE_MM)


@pytest.mark.parametrize("name", sorted(OBJECTS))
def test_is_closed_solid_and_of_its_size(name: str) -> None:
    for seed in range(2):
        parts = make(name, seed)
        for part in parts:
            assert part.mesh.open_edges == 0, part.name
            assert part.mesh.volume_mm3 > 0, part.name
            assert part.material in MATERIALS
        assert len({part.name for part in parts}) == len(parts)
        extent = np.sort(np.ptp(np.vstack([part.mesh.vertices for part in parts]), axis=0))[::-1]
        expected = np.array(SIZE_MM[name])
        assert extent[0] == pytest.approx(expected[0], rel=0.25)
        assert ((extent > expected / 2.5) & (extent < expected * 2.5)).all(), extent


@pytest.mark.parametrize("name", sorted(OBJECTS))
def test_varies_with_its_generator_only(name: str) -> None:
    one, again, other = make(name, 3), make(name, 3), make(name, 4)
    assert all(np.array_equal(a.mesh.vertices, b.mesh.vertices) for a, b in zip(one, again, strict=True))
    assert any(not np.array_equal(a.mesh.vertices, b.mesh.vertices) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("name", sorted(OBJECTS))
def test_takes_a_generator_and_keywords_with_defaults(name: str) -> None:
    generator, *parameters = inspect.signature(OBJECTS[name]).parameters.values()
    assert generator.name == "generator"
    assert OBJECTS[name].__doc__
    for parameter in parameters:
        assert parameter.kind is inspect.Parameter.KEYWORD_ONLY
        assert isinstance(parameter.default, int | float | str)
        assert f"{parameter.name}:" in (OBJECTS[name].__doc__ or "")


def test_masses_of_things_one_can_weigh() -> None:
    # A quarter dollar weighs 5.67 g; a 130 mm to 140 mm haemostat 25 to 45 g; a pulse generator 20 to 30 g.
    def grams(name: str, *chosen: str) -> float:
        return sum(
            p.mesh.volume_mm3 * MATERIALS[p.material].density / 1000
            for p in make(name)
            if not chosen or p.name in chosen
        )

    assert grams("coin") == pytest.approx(5.67, rel=0.1)
    assert 25 < grams("clamp") < 50
    assert 18 < grams("pacemaker", "can", "battery", "circuit", "header") < 40
    assert 0.5 < grams("endotracheal_tube", "tube") / 14 < 1.5


@pytest.mark.parametrize(
    ("name", "parameters", "message"),
    [
        ("suture_needle", {"circle_fraction": 2.0}, "circle_fraction"),
        ("needle", {"inner_mm": 0.9}, "inner radius"),
        ("bone_plate", {"screws": 9}, "more screws than holes"),
        ("necklace", {"link_mm": 0.1}, "links"),
        ("necklace", {"material": "mithril"}, "unknown material"),
        ("hip_stem", {"head_mm": 5.0}, "head_mm"),
        ("k_wire", {"diameter_mm": 0.0}, "positive radius"),
    ],
)
def test_refusals(name: str, parameters: dict[str, float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        OBJECTS[name](np.random.default_rng(0), **parameters)
