import dataclasses

import numpy as np
import pytest

from synth.anatomy.build import Build
from synth.anatomy.tissue import PHASES, TISSUES, mean_hu, tissues
from synth.core.errors import InputError

BLOOD = [name for name in TISSUES if name.startswith("blood")]


def test_the_default_man_is_the_table():
    means = mean_hu(tissues(Build()))
    assert means == pytest.approx(mean_hu(TISSUES) | {"thymus": means["thymus"], "trabecular_rib": 0.6 * 213.0})


def test_order_of_densities():
    hu = mean_hu(TISSUES)
    ladder = ["air", "gas", "lung", "fat_subcutaneous", "csf", "blood", "spleen", "liver", "cartilage", "cortical_bone"]
    values = [hu[name] for name in ladder]
    assert values == sorted(values)
    assert hu["fat_subcutaneous"] < hu["fat_visceral"] < hu["breast_gland"] < hu["muscle"]


def test_textures_are_lengths_and_deviations():
    assert all(tissue.texture_sd >= 0 and tissue.correlation_mm > 0 and tissue.source for tissue in TISSUES.values())


def test_lung_and_bone_come_from_the_build():
    hu = mean_hu(tissues(Build(lung_hu=-700.0, trabecular_hu=90.0)))
    assert (hu["lung"], hu["trabecular"], hu["trabecular_rib"]) == pytest.approx((-700, 90, 54))


def test_age_and_fat_show():
    young, old = mean_hu(tissues(Build())), mean_hu(tissues(Build(age=80.0, visceral_fat=0.7)))
    assert all(old[name] < young[name] for name in ("muscle", "liver", "pancreas", "thymus", "marrow"))


def test_unenhanced_blood_is_the_same_everywhere():
    drawn = mean_hu(tissues(Build(), "none", np.random.default_rng(2)))
    assert len({drawn[name] for name in BLOOD}) == 1
    assert drawn["blood"] != TISSUES["blood"].hu


def test_each_phase_shows_its_vessels():
    arterial, portal, pulmonary = (mean_hu(tissues(Build(), phase)) for phase in PHASES[1:])
    assert arterial["blood_aorta"] == max(arterial[name] for name in BLOOD)
    assert pulmonary["blood_pulmonary_artery"] > 250 > pulmonary["blood_aorta"]
    assert portal["liver"] > 100 > arterial["liver"]
    assert np.ptp([portal[name] for name in BLOOD]) < 10
    for phase in (arterial, portal, pulmonary):
        assert phase["cortical_bone"] == TISSUES["cortical_bone"].hu
        assert all(phase[name] >= TISSUES[name].hu for name in BLOOD)


def test_phases_of_one_person_differ_by_the_contrast_agent_alone():
    """The same draws in every phase: enhancement over its table value is one factor for the whole body."""
    none, portal = (mean_hu(tissues(Build(), phase, np.random.default_rng(4))) for phase in ("none", "portal"))
    mean = mean_hu(tissues(Build(), "portal"))
    factors = [
        (portal[n] - none[n]) / (mean[n] - mean_hu(tissues(Build()))[n]) for n in ("liver", "spleen", "blood_aorta")
    ]
    assert np.ptp(factors) == pytest.approx(0, abs=1e-9)
    assert 0.6 < factors[0] < 1.5


def test_persons_differ_as_much_as_the_table_says():
    liver = [tissues(Build(), generator=np.random.default_rng(seed))["liver"].hu for seed in range(400)]
    assert np.std(liver) == pytest.approx(6, rel=0.12)


def test_unknown_phase():
    with pytest.raises(InputError, match="unknown contrast phase 'venous'; there are none, arterial"):
        tissues(Build(), "venous")


def test_builds_are_not_touched():
    build = Build()
    tissues(build, "portal", np.random.default_rng(0))
    assert dataclasses.asdict(build) == dataclasses.asdict(Build())
