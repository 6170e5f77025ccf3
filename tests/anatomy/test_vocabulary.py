from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synth.anatomy.vocabulary import (
    CHEXPERT_OF,
    KINDS,
    LATERALITIES,
    LOCATIONS,
    default_kind,
    draw_finding,
    kinds_of,
    locations,
)
from synth.core.errors import InputError
from synth.core.record import CHEXPERT_FINDINGS


def test_every_name_is_known_and_every_class_can_be_drawn():
    beyond = {"Emphysema", "Hernia"}
    assert set(CHEXPERT_OF.values()) - beyond == set(CHEXPERT_FINDINGS) - {"No Finding"}


@pytest.mark.parametrize("kind", KINDS)
def test_weights_sum_to_one_and_words_are_of_the_vocabulary(kind):
    entry = KINDS[kind]
    assert set(entry.lateralities) <= set(LATERALITIES)
    assert set(entry.locations) <= set(LOCATIONS)
    for weights in (entry.lateralities, entry.locations, entry.severities):
        assert not weights or sum(weights.values()) == pytest.approx(1)
    assert sum(KINDS[other].weight for other in kinds_of(entry.name)) == pytest.approx(1)


@given(seed=st.integers(0, 2**32), kind=st.sampled_from(sorted(KINDS)))
def test_a_finding_says_only_what_its_kind_may(seed, kind):
    found, entry = draw_finding(KINDS[kind].name, np.random.default_rng(seed), kind), KINDS[kind]
    assert found.kind == kind
    for word, allowed in (
        (found.laterality, entry.lateralities),
        (found.severity, entry.severities),
        (found.location, locations(kind, found.laterality)),
    ):
        assert word in allowed if allowed else word is None
    if entry.size_cm is None:
        assert found.size_cm is None
    else:
        assert entry.size_cm[0] <= found.size_cm <= entry.size_cm[1]


def test_lobes_have_their_side():
    assert "middle lobe" in locations("nodule", "right")
    assert "middle lobe" not in locations("nodule", "left")
    assert "lingula" not in locations("nodule", "right")
    assert not {"middle lobe", "lingula"} & set(locations("consolidation", "bilateral"))


def test_kinds_come_as_often_as_their_weights():
    generator = np.random.default_rng(0)
    drawn = Counter(default_kind("Edema", generator) for _ in range(4000))
    assert drawn["interstitial edema"] / 4000 == pytest.approx(0.65, abs=0.03)


def test_side_and_grade_choose_the_kind():
    generator = np.random.default_rng(0)
    assert {default_kind("Pneumothorax", generator, severity="small") for _ in range(200)} == {"pneumothorax"}
    sided = {default_kind("Support Devices", generator, laterality="left") for _ in range(200)}
    assert sided == {"central venous catheter", "chest drain", "pacemaker"}


def test_names_without_a_kind():
    generator = np.random.default_rng(0)
    assert default_kind("No Finding", generator) is None
    assert draw_finding("Scoliosis", generator).kind is None


def test_the_nearest_kind_is_named():
    with pytest.raises(InputError, match="'spiculated nodule'"):
        locations("spiculate nodule")
