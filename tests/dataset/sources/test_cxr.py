"""What a request becomes: conditions, words, and what is then to be seen."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from synth.anatomy.population import Population
from synth.anatomy.reports import parse
from synth.core.errors import InputError
from synth.core.record import Finding
from synth.dataset.request import Request
from synth.dataset.sources.cxr import CxrRadiographs, ModelChoice
from synth.dataset.sources.cxr_inputs import read_control, read_image
from synth.dataset.sources.cxr_wishes import wish_of
from synth.dataset.writers.png import write_png
from synth.diffusion.cxr.counterfactual import Change
from synth.diffusion.cxr.generate import Settings
from synth.diffusion.text.conditions import Conditions
from tests.diffusion.models import pipeline

if TYPE_CHECKING:
    from pathlib import Path

EFFUSION = Finding("Pleural Effusion", "left", severity="small", kind="pleural effusion")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> CxrRadiographs:
    folder = tmp_path_factory.mktemp("model")
    pipeline().save_pretrained(folder)
    model = ModelChoice(str(folder), "cpu", "float32")
    return CxrRadiographs(model, Settings(2), changes=(Change.read("sex=M"),))


def test_a_prompt_is_taken_as_it_stands() -> None:
    text = "sex:Female, age:65.0, race:White. Small left pleural effusion."
    wish = wish_of(Request(0, 1, prompt=text), "other", None, None)
    assert wish.text == text
    assert wish.conditions == Conditions("F", 65.0, "White", impression="Small left pleural effusion.")
    assert wish.findings == (EFFUSION,)
    assert wish_of(Request(0, 1), "Mass.", None, None).text == "Mass."


def test_what_a_request_says_counts_most() -> None:
    wish = wish_of(Request(0, 1, sex="M", age=70.0, view="AP", prompt="65 year old female. Mass."), "", None, "PA")
    assert wish.text == "70 year old male. Mass. AP view."
    wish = wish_of(Request(0, 1, findings=(EFFUSION,)), "65 year old female. Mass.", None, "PA")
    assert wish.text == "65 year old female. Small left pleural effusion. PA view."
    assert wish.findings == (EFFUSION,)
    nothing = wish_of(Request(0, 1, findings=()), "", None, None)
    assert nothing.text == "No acute cardiopulmonary process."
    assert nothing.findings == ()
    both = wish_of(Request(0, 1, findings=(EFFUSION,), prompt="Fluid on the left."), "", None, None)
    assert (both.text, both.findings) == ("Fluid on the left.", (EFFUSION,))


def test_nobody_says_anything() -> None:
    wish = wish_of(Request(0, 1), "", None, None)
    assert (wish.text, wish.conditions, wish.findings) == ("", Conditions(), ())


def test_a_population_is_drawn_from() -> None:
    default, seen = Population.default(), set()
    for seed in range(40):
        wish = wish_of(Request(0, seed), "", default, None)
        assert wish.conditions.sex in ("F", "M")
        assert wish.conditions.view in ("PA", "AP", "LATERAL")
        named = {finding.name for finding in wish.findings}
        assert {finding.name for finding in parse(wish.text).findings} == named
        seen |= named
    assert len(seen) > 5
    assert wish_of(Request(5, 7), "", default, None) == wish_of(Request(9, 7), "", default, None)
    assert wish_of(Request(0, 7, sex="F"), "", default, None).conditions.sex == "F"


def test_counterfactuals_stand_beside_their_picture(source: CxrRadiographs) -> None:
    source = pickle.loads(pickle.dumps(source))
    requests = [Request(number, 10 + number, prompt="65 year old female. Mass.") for number in (3, 4)]
    made = list(source.make(requests))
    assert [[sample.index for sample in samples] for samples in made] == [[6, 7], [8, 9]]
    assert [sample.record.sex for sample in made[0]] == ["F", "M"]
    assert [sample.record.seed for samples in made for sample in samples] == [13, 13, 14, 14]
    (alone,) = source.make(requests[1:])
    assert all(np.array_equal(a.image, b.image) for a, b in zip(alone, made[1], strict=True))
    assert made[0][0].record.model_hash == source.model.digest
    assert made[0][0].image.dtype == np.uint16


def test_what_no_seed_can_grant(source: CxrRadiographs) -> None:
    source.refuse(Request(0, 1, sex="F"))
    for wish, told in (
        ({"sex": "X"}, "sex 'X'"),
        ({"age": 200.0}, "age 200"),
        ({"view": "LAO45"}, "view 'LAO45'"),
        ({"findings": (Finding("Edema", kind="ghost"),)}, "ghost"),
    ):
        with pytest.raises(InputError, match=f"case ann: .*{told}"):
            source.refuse(Request(0, 1, id="ann", **wish))


def test_the_recipe_tells_of_no_place(source: CxrRadiographs) -> None:
    told = source.recipe()
    assert told["model_hash"] == source.model.digest
    assert source.model.name not in str(told)
    assert told["counterfactuals"] == [{"sex": "M"}]


@pytest.mark.parametrize(("top", "full"), [(200, 255), (1000, 1023), (4000, 4095), (60_000, 65_535)])
def test_images_of_any_depth(top: int, full: int, tmp_path: Path) -> None:
    kind = np.uint8 if top < 256 else np.uint16
    image = np.full((20, 30), top, kind)
    if kind is np.uint8:
        Image.fromarray(image).save(tmp_path / "a.png")
    else:
        write_png(tmp_path / "a.png", image)
    np.testing.assert_allclose(read_image(tmp_path / "a.png", 8), top / full, atol=1e-6)


def test_masks_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    np.savez(tmp_path / "cube.npz", heart=np.zeros((2, 2, 2)))
    np.savez(tmp_path / "objects.npz", heart=np.array([{}], object))
    (tmp_path / "text.png").write_text("no picture")
    Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(tmp_path / "colour.png")
    Image.fromarray(np.zeros((4, 4), np.uint8)).save(tmp_path / "blank.png")
    for name, told in (
        ("empty", "there are no masks"),
        ("cube.npz", "must be .height, width."),
        ("objects.npz", "cannot read the arrays"),
        ("text.png", "cannot read the masks"),
        ("colour.png", "this is RGB"),
        ("blank.png", "there are no masks"),
        ("none.npz", "cannot read the arrays"),
    ):
        with pytest.raises(InputError, match=told):
            read_control(tmp_path / name)
