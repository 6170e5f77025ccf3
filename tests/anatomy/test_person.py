import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synth.anatomy.person import AGES, Person, draw_person
from synth.core.errors import InputError


def test_indices_of_a_body():
    man = Person("M", 30, 176, 75)
    assert man.bmi == pytest.approx(75 / 1.76**2)
    assert man.bsa == pytest.approx(math.sqrt(176 * 75 / 3600))


@pytest.mark.parametrize(
    ("values", "word"),
    [
        (("X", 30, 176, 75), "sex"),
        (("M", 17, 176, 75), "age"),
        (("M", 96, 176, 75), "age"),
        (("M", math.nan, 176, 75), "age"),
        (("F", 30, 100, 50), "height"),
        (("F", 30, 170, 20), "body mass index"),
        (("F", 30, 170, 400), "weight"),
    ],
)
def test_no_such_adult(values, word):
    with pytest.raises(InputError, match=word):
        Person(*values)


@pytest.mark.parametrize(
    ("given_", "word"), [({"sex": "W"}, "sex"), ({"age": 5.0}, "age"), ({"height_cm": 90}, "height")]
)
def test_drawing_names_what_is_wrong(given_, word):
    with pytest.raises(InputError, match=word):
        draw_person(np.random.default_rng(0), **given_)


@settings(deadline=None)
@given(
    seed=st.integers(0, 2**32),
    sex=st.sampled_from(["F", "M", None]),
    age=st.none() | st.floats(*AGES),
    race=st.none() | st.text(max_size=5),
)
def test_every_draw_is_an_adult_and_keeps_what_was_given(seed, sex, age, race):
    person = draw_person(np.random.default_rng(seed), sex=sex, age=age, race=race)
    assert sex in (None, person.sex)
    assert age in (None, person.age)
    assert person.race == (race or "")
    assert 16 < person.bmi < 46


def test_what_is_given_leaves_the_rest_as_it_was():
    free = draw_person(np.random.default_rng(5))
    same = draw_person(np.random.default_rng(5), sex=free.sex, age=free.age, weight_kg=free.weight_kg)
    assert same == free
    assert draw_person(np.random.default_rng(5), race="any") == Person(
        free.sex, free.age, free.height_cm, free.weight_kg, "any"
    )


def test_means_of_the_united_states():
    """NHANES 2015-2018, adults: men 175.3 cm and 90.6 kg, women 161.3 cm and 77.5 kg; means to 1 cm and 3 kg."""
    generator = np.random.default_rng(0)
    people = [draw_person(generator) for _ in range(3000)]
    for sex, height, weight in (("M", 175.3, 90.6), ("F", 161.3, 77.5)):
        those = [person for person in people if person.sex == sex]
        assert np.mean([person.height_cm for person in those]) == pytest.approx(height, abs=1.0)
        assert np.mean([person.weight_kg for person in those]) == pytest.approx(weight, abs=3.0)


def test_the_old_are_shorter():
    def mean(age):
        generator = np.random.default_rng(1)
        return np.mean([draw_person(generator, sex="F", age=age).height_cm for _ in range(100)])

    assert mean(85) < mean(30) - 4
