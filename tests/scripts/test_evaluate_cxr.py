"""What judges the model: right answers where they are known."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tests.diffusion.models import pipeline
from tests.scripts.films import write_films

if TYPE_CHECKING:
    from pathlib import Path


def study(root: Path, **changes: Any) -> Any:
    """Twenty toy radiographs, an oracle that reads what is shown, and samples that show it."""
    from cxr_evaluation.pictures import Pictures
    from phantom_classifier.design import CLASSES
    from phantom_classifier.network import SIGNS

    shown = Pictures.read([write_films(root / "films", 40, 0)], 32)
    ill = np.array([bool(one) for one in shown.findings])
    names = [*CLASSES, *(f"{name} {side}" for name, side in SIGNS if side), "male"]
    read = {name: np.zeros(len(shown)) for name in names}
    read |= {
        "pleural effusion": ill.astype(float),
        "male": np.array([1.0 if one.sex == "M" else -1.0 for one in shown.conditions]),
    }
    reader = SimpleNamespace(
        scores=lambda images: read, age=lambda images: np.array([float(one.age or 0) + 3 for one in shown.conditions])
    )
    found = {
        "held_out": shown,
        "frontal": shown.frontal(),
        "reader": reader,
        "samples": SimpleNamespace(images=shown.images),
        "seed": 0,
    }
    return SimpleNamespace(**found | changes)


def test_what_is_read_as_asked_has_area_one_and_the_error_of_age_is_in_years(tmp_path: Path) -> None:
    from cxr_evaluation.alignment import alignment

    values = alignment(study(tmp_path)).values
    assert values["finding/pleural effusion"]["samples"] == 1
    assert values["mean AUC, all"] == 1
    assert values["sex"]["samples"] == 1
    assert values["age"]["samples"] == pytest.approx(3)


def test_toy_radiographs_become_films_with_masks_of_their_findings(tmp_path: Path) -> None:
    seen = study(tmp_path).held_out
    films = seen.films()
    assert [len(row["findings"]) for row in films.rows] == [0, 1] * 20
    assert {row["split"] for row in films.rows} == {"train", "validation"}
    assert np.array_equal(films.mask(1, 0), seen.masks(1)["finding:pleural effusion"])
    few = seen.drawn(20, 0, "few")
    assert len({seen.patients[index] for index in few}) == 20  # bodies first, their second films only then


def test_samples_that_are_the_other_half_itself_score_as_it_does_and_others_worse(tmp_path: Path) -> None:
    from cxr_evaluation.distribution import compared
    from cxr_evaluation.study import Study

    shown = study(tmp_path).held_out
    halving = SimpleNamespace(held_out=shown, seed=0)
    halving.halves = lambda indices, number: Study.halves(halving, indices, number)
    real = np.random.default_rng(0).normal(size=(40, 3))
    every = np.arange(40)
    same = compared(halving, every, real, real)
    assert same["ratio"] == pytest.approx(1)
    assert same["recall"] == same["recall of halves"]
    far = compared(halving, every, real, real + 20)
    assert far["ratio"] > 100
    assert far["precision"] == 0
    one, other = halving.halves(every, 1)
    assert len(one) == len(other)
    assert not {shown.patients[k] for k in one} & {shown.patients[k] for k in other}


def test_aims_are_compared_the_right_way_round_and_unmeasured_ones_left_out() -> None:
    from cxr_evaluation.report import aims

    values = {"sex": {"samples": 0.951}, "age": {"samples": 10.5}, "mean AUC, all": None}
    assert [row[2:] for row in aims({"alignment": {"values": values}})] == [["0.951", "yes"], ["10.5", "no"]]


def test_dice_of_masks() -> None:
    from cxr_evaluation.segmenter import dice

    first, second = np.zeros((2, 1, 1, 2, 3), np.bool_)
    first[0, 0, 0, :2] = second[0, 0, 0, 1:] = True
    assert dice(first, second) == pytest.approx(np.array([[0.5]]))
    assert np.isnan(dice(first & False, second & False)).all()


def test_curves_have_a_line_a_label_and_skip_what_is_not_a_number() -> None:
    from cxr_evaluation.curves import plot

    svg = plot({"a": {"one": [(1, 2.0), (4, 3.0)], "two": [(1, float("nan"))]}}, across="steps", logarithmic=["a"])
    assert svg.count("<polyline") == 2
    assert svg.count("<circle") == 2
    assert "nan" not in svg


def test_the_command_measures_writes_and_remembers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import evaluate_cxr

    pipe = pipeline()
    pipe.save_pretrained(tmp_path / "model")
    held_out, training = (
        write_films(tmp_path / name / "pa", 24, seed) for seed, name in enumerate(("held-out", "data"))
    )
    out, page = tmp_path / "out", tmp_path / "models.md"
    command = [str(tmp_path / "model"), "--held-out", str(held_out.parent), "--training", str(training.parent)]
    command += ["-o", str(out), "--docs", str(page), "--threads", "1", "--epochs", "1", "--segmenter-steps", "2"]
    command += ["--counterfactuals", "6", "--timed", "1", "--speed-samples", "0"]
    evaluate_cxr.main([*command, "--parts", "counterfactual,sheet"])
    evaluate_cxr.main([*command, "--parts", "speed"])
    found = json.loads((out / "evaluation.json").read_text())
    assert set(found) == {"counterfactual", "sheet", "speed"}
    assert found["speed"]["values"]["faster by"] > 1
    assert (out / "sheet.png").is_file()
    text = page.read_text()
    assert "Counterfactuals of 6 prompts" in text
    assert "times as fast" in text
    assert str(tmp_path) not in text
    capsys.readouterr()
    with pytest.raises(SystemExit):
        evaluate_cxr.main([*command, "--parts", "masks"])
    assert "lung_right" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        evaluate_cxr.main([*command, "--parts", "looks"])
