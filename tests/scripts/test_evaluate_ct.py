"""The evaluation of text-to-CT models, on boxes and random weights."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest

from synth.core.volume import Labels, Volume
from synth.core.writing import write_labels, write_volume
from synth.diffusion.ct.channels import MASKS
from synth.diffusion.text.conditions import parse_prompt
from tests.diffusion.ct.models import pipeline
from tests.metrics.volumes.bodies import AFFINE, NAMES, SHAPE, chest

if TYPE_CHECKING:
    from pathlib import Path


def write_cts(folder: Path, n: int, first: int) -> Path:
    folder.mkdir()
    table = ["volume,masks,sex,age,prompt,patient_id"]
    for seed in range(first, first + n):
        hu, masks = chest(seed)
        labels = np.zeros(SHAPE, np.uint8)
        for value, name in enumerate(NAMES, 1):
            labels[masks[name]] = value
        write_volume(folder / f"{seed}.nii.gz", Volume(hu, AFFINE))
        write_labels(folder / f"{seed}_total.nii.gz", Labels(labels, AFFINE, dict(enumerate(NAMES, 1))))
        sex, age = ("male", "female")[seed % 2], 40 + 5 * (seed % 9)
        said = f"{age} year old WHITE {sex}. Small left pleural effusion."
        table.append(f"{seed}.nii.gz,{seed}_total.nii.gz,{sex[0].upper()},{age},{said},{seed}")
    return folder


def test_dice_and_thresholds_find_the_boxes_again() -> None:
    from ct_evaluation.segmenter import dice, segmented

    hu, named = chest(0)
    masks = np.stack([named.get(name, np.zeros(SHAPE, bool)) for name in MASKS])
    found = segmented(hu, masks, (3, 3, 3))
    assert dice(found["lung_airways"], named["lung_airways"]) > 0.9
    assert dice(found["bones"], named["bones"]) > 0.95
    assert dice(found["lung_vessels"], named["lung_vessels"]) > 0.8
    for lobe in NAMES[:5]:
        assert dice(found[lobe], named[lobe] | (named["lung_vessels"] & found[lobe])) > 0.9
    one = np.array([True, True, False])
    assert dice(one, np.array([True, False, False])) == pytest.approx(2 / 3)
    assert np.isnan(dice(~one & one, ~one & one))


def test_targets_are_what_the_words_say() -> None:
    from ct_evaluation.reader import NAMES as READ
    from ct_evaluation.reader import auc, targets

    prompts = (
        "70 year old male. Large right pleural effusion. No pneumothorax.",
        "50 year old female. Normal chest.",
    )
    said = [dict(zip(READ, row, strict=True)) for row in targets([parse_prompt(one) for one in prompts])]
    assert (said[0]["sex"], said[0]["age group"], said[0]["effusion"], said[0]["effusion, side"]) == (1, 1, 1, 1)
    assert said[0]["pneumothorax"] == 0
    assert (said[1]["sex"], said[1]["age group"], said[1]["effusion"]) == (0, 0, 0)
    assert np.isnan(said[1]["effusion, side"])
    truth = np.array([0, 0, 0, 1, 1, 1, np.nan], np.float32)
    assert auc(truth, np.array([0, 1, 2, 3, 4, 5, 9.0])) == 1
    assert auc(truth, np.array([1, 1, 1, 1, 1, 1, 1.0])) == 0.5
    assert np.isnan(auc(truth[:4], np.arange(4.0)))


def test_the_command_measures_and_sets_side_by_side(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import evaluate_ct

    pipeline().save_pretrained(tmp_path / "model")
    held_out, training = write_cts(tmp_path / "held-out", 8, 0), write_cts(tmp_path / "data", 8, 8)
    out, page = tmp_path / "out", tmp_path / "scores.md"
    command = [str(tmp_path / "model"), "--held-out", str(held_out), "--training", str(training), "-o", str(out)]
    command += [
        "--docs",
        str(page),
        "--threads",
        "1",
        "--epochs",
        "1",
        "--slices",
        "2",
        "--bodies",
        "1",
        "--steps",
        "1",
    ]
    evaluate_ct.main([*command, "--parts", "masks,alignment"])
    evaluate_ct.main([*command, "--parts", "distribution,sheet"])
    found = json.loads((out / "evaluation.json").read_text())
    assert set(found) == {"masks", "alignment", "distribution", "sheet"}
    assert set(found["distribution"]["values"]) >= {"3D/FRD", "axial/FRD", "sagittal/MMD, radiomics"}
    assert found["distribution"]["values"]["3D/FRD"]["ratio"] > 2  # random weights make no chest
    assert (out / "sheet.png").is_file()
    assert "FRD-3D" in page.read_text()
    capsys.readouterr()
    path = out / "evaluation.json"
    evaluate_ct.main(["--beside", f"one={path}", f"other={path}"])
    assert "| one" in capsys.readouterr().out
    evaluate_ct.main([str(tmp_path / "model"), "--measure", "16x16x16", "--threads", "1"])
    assert json.loads(capsys.readouterr().out)["peak_gb"] > 0


def test_bad_words_are_one_line_each(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import evaluate_ct

    for wrong in (["--parts", "masks"], ["--beside", "a=nowhere.json"], ["--measure", "1x2"]):
        with pytest.raises(SystemExit) as stopped:
            evaluate_ct.main(wrong)
        assert stopped.value.code == 2
        assert capsys.readouterr().err.startswith("evaluate_ct: ")
