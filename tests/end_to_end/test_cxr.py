"""`synth cxr`, and the source `cxr` of `synth dataset`: prompts in, a dataset folder out."""

from __future__ import annotations

import csv
import json
import sys
from typing import TYPE_CHECKING

import numpy as np
import pydicom
import pytest
from PIL import Image

from synth.dataset.sources import cxr as source
from synth.dataset.writers.coco import read_masks
from synth.dataset.writers.png import read_png, write_png
from tests.diffusion.models import NAMES, pipeline
from tests.diffusion.stable_models import stable_pipeline
from tests.end_to_end.command import Result, finished, start, tree

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    Synth = Callable[..., Result]

PROMPT = "65 year old WHITE female. Small left pleural effusion."
FEW = ("--steps", "3", "--dtype", "float32", "--device", "cpu")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("models")
    pipeline(control=True).save_pretrained(root / "own")
    stable_pipeline(root / "words").save_pretrained(root / "stable")
    return root


def rows(root: Path) -> list[dict[str, str]]:
    with (root / "metadata.csv").open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def picture(root: Path, number: int = 0) -> NDArray[np.uint16]:
    return read_png(root / f"images/00/{number:08d}.png")[0]


def recipe(root: Path) -> dict:
    return json.loads((root / "dataset.json").read_bytes())["recipe"]


def test_a_dataset_of_a_prompt(synth: Synth, models: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = synth(
        "cxr", "-o", out, "--model", models / "own", "--prompt", PROMPT, "-n", 2, *FEW, "--seed", 3, "--json"
    )
    assert (result.code, result.err) == (0, "")
    told = json.loads(result.out)
    assert (told["images"], told["prompts"]) == (2, 1)
    for row in rows(out):
        assert (row["view"], row["sex"], row["age"], row["race"]) == ("PA", "F", "65", "WHITE")
        assert (row["prompt"], row["source"], row["model_hash"]) == (PROMPT, "cxr", told["model_hash"])
        (finding,) = json.loads(row["findings"])
        assert (finding["name"], finding["laterality"], finding["severity"]) == ("Pleural Effusion", "left", "small")
    assert len({row["seed"] for row in rows(out)}) == 2
    assert np.abs(picture(out).astype(int) - picture(out, 1)).max() > 100
    assert set(read_masks(out / "masks" / "annotations.json")["images/00/00000000.png"]) <= set(NAMES)
    assert str(models) not in (out / "dataset.json").read_text()
    made = pipeline(control=True)(f"{PROMPT} PA view.", seeds=[int(rows(out)[1]["seed"])], num_inference_steps=3)
    np.testing.assert_allclose(picture(out, 1), made.images[0] * 65535, atol=1)


def test_a_stopped_run_goes_on(models: Path, tmp_path: Path, synth: Synth, monkeypatch: pytest.MonkeyPatch) -> None:
    options = ("cxr", "--model", models / "own", "--prompt", PROMPT, "-n", "4", *FEW)
    assert synth(*options, "-o", tmp_path / "whole").code == 0
    sample, count = source.CxrRadiographs._sample, iter(range(9))

    def stop(*arguments: object) -> object:
        if next(count) == 2:
            raise KeyboardInterrupt
        return sample(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(source.CxrRadiographs, "_sample", stop)
        assert synth(*options, "-o", tmp_path / "stopped").code == 130
    assert len(list((tmp_path / "stopped" / "images").rglob("*.png"))) == 2
    assert synth(*options, "-o", tmp_path / "stopped", "--seed", 1, "--resume").code == 2
    assert synth(*options, "-o", tmp_path / "stopped", "--resume").code == 0
    assert tree(tmp_path / "stopped") == tree(tmp_path / "whole")


def test_counterfactuals_share_the_seed(synth: Synth, models: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    changes = ("--counterfactual", "sex=M,age=80", "--counterfactual", "impression=Large right pneumothorax.")
    assert synth("cxr", "-o", out, "--model", models / "own", "--prompt", PROMPT, *changes, *FEW).code == 0
    base, other, worse = rows(out)
    assert base["seed"] == other["seed"] == worse["seed"]
    assert other["prompt"] == "80 year old WHITE male. Small left pleural effusion."
    assert (other["sex"], other["age"], other["findings"]) == ("M", "80", base["findings"])
    assert json.loads(worse["findings"])[0]["name"] == "Pneumothorax"
    assert np.abs(picture(out).astype(int) - picture(out, 1)).max() > 0


def test_from_an_image(synth: Synth, models: Path, tmp_path: Path) -> None:
    image = (np.random.default_rng(0).random((40, 60)) * 4000).astype(np.uint16)
    write_png(tmp_path / "image.png", image)
    mask = np.zeros((40, 60), np.uint8)
    mask[:20, 10:30] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    start_ = ("cxr", "--model", models / "own", "--prompt", "Mass.", "--image", tmp_path / "image.png", *FEW)
    assert synth(*start_, "-o", tmp_path / "painted", "--inpaint", tmp_path / "mask.png").code == 0
    square = Image.fromarray((image[:, 10:50] / np.float32(4095)).astype(np.float32))
    wanted = np.clip(np.asarray(square.resize((32, 32), Image.Resampling.LANCZOS)), 0, 1) * 65535
    painted = picture(tmp_path / "painted")
    np.testing.assert_allclose(painted[17:], wanted[17:], atol=1)
    assert np.abs(painted[:15, :15] - wanted[:15, :15]).mean() > 100
    assert synth(*start_, "-o", tmp_path / "changed", "--strength", "0.3").code == 0
    assert synth(*start_, "-o", tmp_path / "traced", "--invert", "--counterfactual", "sex=M").code == 0
    assert recipe(tmp_path / "traced")["invert"] is True
    refused = synth(*start_, "-o", tmp_path / "none", "--invert", "--inpaint", tmp_path / "mask.png")
    assert (refused.code, len(refused.err.splitlines())) == (2, 1)


def test_masks_to_follow(synth: Synth, models: Path, tmp_path: Path) -> None:
    first = ("cxr", "--model", models / "own", "--prompt", "Mass.", *FEW)
    assert synth(*first, "-o", tmp_path / "shown", "-n", 2).code == 0
    heart = np.zeros((16, 16), np.uint8)
    heart[4:12, 4:12] = 1
    np.savez(tmp_path / "masks.npz", heart=heart)
    Image.fromarray(2 * heart).save(tmp_path / "labels.png")
    (tmp_path / "labels.json").write_text('{"2": "heart"}')
    (tmp_path / "drawn").mkdir()
    Image.fromarray(255 * heart).save(tmp_path / "drawn" / "heart.png")
    made = []
    for number, masks in enumerate(("masks.npz", "labels.png", "drawn")):
        assert synth(*first, "-o", tmp_path / f"out{number}", "--control", tmp_path / masks).code == 0
        made.append(picture(tmp_path / f"out{number}"))
    assert all(np.array_equal(one, made[0]) for one in made)
    assert not np.array_equal(made[0], picture(tmp_path / "shown"))
    for masks in ("shown", "shown/masks/annotations.json"):
        out = tmp_path / f"again{len(masks)}"
        assert synth(*first, "-o", out, "-n", 2, "--control", tmp_path / masks).code == 0
        assert not np.array_equal(picture(out, 1), picture(tmp_path / "shown", 1))
    np.savez(tmp_path / "masks.npz", spleen=heart)
    refused = synth(*first, "-o", tmp_path / "none", "--control", tmp_path / "masks.npz")
    assert (refused.code, refused.err.count("\n")) == (2, 1)
    assert "masks of spleen" in refused.err


def test_stable_diffusion(synth: Synth, models: Path, tmp_path: Path) -> None:
    (tmp_path / "prompts.csv").write_text(f'id,prompt\n1,"{PROMPT}"\n2,edema\n')
    out = tmp_path / "out"
    options = ("--prompts", tmp_path / "prompts.csv", "--guidance", "2", "--negative", "normal", *FEW)
    assert synth("cxr", "-o", out, "--model", models / "stable", *options, "--size", "48", "--refine", "0.2").code == 0
    assert [row["prompt"] for row in rows(out)] == [PROMPT, "edema"]
    assert picture(out).shape == (48, 48)
    assert not (out / "masks").exists()


def test_dicom(synth: Synth, models: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert synth("cxr", "-o", out, "--model", models / "own", "--prompt", "Mass. AP view.", "--dicom", *FEW).code == 0
    read = pydicom.dcmread(out / "images/00/00000000.dcm")
    assert (read.ViewPosition, read.pixel_array.shape) == ("AP", (32, 32))


def test_a_plan_by_two_workers(models: Path, tmp_path: Path) -> None:
    (tmp_path / "plan.csv").write_text(
        "id,sex,age,race,view,findings,prompt,seed\n"
        'a,F,70,Asian,AP,"[{""name"": ""Edema"", ""severity"": ""mild""}]",,11\n'
        f'b,M,,,,,"{PROMPT}",12\n'
        "c,,,,,[],,13\n"
    )
    (tmp_path / "recipe.yaml").write_text(
        f"seed: 5\nsource: {{kind: cxr, model: {models / 'own'}, steps: 3, dtype: float32, device: cpu}}\n"
        "plan: plan.csv\nmasks: none\n"
    )
    made = finished(start("dataset", tmp_path / "recipe.yaml", "-o", tmp_path / "two", "--workers", "2"))
    assert made.code == 0
    a, b, c = rows(tmp_path / "two")
    assert (a["view"], a["sex"], a["age"], a["race"], a["seed"]) == ("AP", "F", "70", "Asian", "11")
    assert a["prompt"].startswith("70 year old Asian female. ")
    assert a["prompt"].endswith(" AP view.")
    assert json.loads(a["findings"])[0]["name"] == "Edema"
    assert (b["sex"], b["prompt"]) == ("M", PROMPT.replace("female", "male"))
    assert c["sex"] in ("F", "M")  # drawn from the population
    assert c["findings"] == ""
    assert not (tmp_path / "two" / "masks").exists()
    made = finished(start("dataset", tmp_path / "recipe.yaml", "-o", tmp_path / "one", "--set", "source.batch=2"))
    assert made.code == 0
    one, two = (picture(tmp_path / name, 2).astype(int) for name in ("one", "two"))
    assert np.abs(one - two).max() <= 2


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (("cases=2", "size=[32, 48]"), "size: source cxr makes squares"),
        (("cases=2", "views=[pa, lateral]"), "source cxr makes one picture a case"),
        (("cases=2", "source.counterfactuals=[hair=red]"), "give sex=…"),
        (("cases=2", "source.model=nowhere"), "no such folder"),
        (("cases=2", "source.stepps=3"), "did you mean 'steps'"),
    ],
)
def test_recipes_that_ask_for_what_is_not_drawn(
    changes: tuple[str, ...], told: str, synth: Synth, models: Path, tmp_path: Path
) -> None:
    (tmp_path / "recipe.yaml").write_text(f"source: {{kind: cxr, model: {models / 'own'}}}\n")
    given = [word for change in changes for word in ("--set", change)]
    result = synth("dataset", tmp_path / "recipe.yaml", "-o", tmp_path / "out", *given)
    assert (result.code, result.err.count("\n")) == (2, 1)
    assert told in result.err


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ((), "no prompt"),
        (("--prompt", "x", "--model", "MODELS/none"), "no such folder"),
        (("--prompt", "x", "--steps", "0"), "steps 0"),
        (("--prompt", "x", "--guidance-interval", "0.8"), "--guidance-interval 0.8"),
        (("--prompt", "x", "--counterfactual", "sex=X"), "sex 'X'"),
        (("--prompt", "x", "--invert"), "invert: traces an image back"),
        (("--prompt", "x", "--inpaint", "mask.png"), "give the image, too"),
        (("--prompt", "x", "--image", "MODELS/none.png"), "none.png"),
        (("--prompt", "x", "--device", "cuda:99"), "--device cuda:99"),
        (("--prompt", "x", "--lora", "MODELS"), "no LoRA adapter"),
        (("--prompts", "MODELS/none.txt"), "none.txt"),
        (("--prompt", "x", "-o", "MODELS/own/out"), "lies within the model's folder"),
    ],
)
def test_bad_input(options: tuple[str, ...], told: str, synth: Synth, models: Path, tmp_path: Path) -> None:
    given = [word.replace("MODELS", str(models)) for word in options]
    result = synth("cxr", "-o", tmp_path / "out", "--model", models / "own", *given)
    assert (result.code, result.out, result.err.count("\n")) == (2, "", 1)
    assert told in result.err
    assert not (tmp_path / "out").exists()


def test_without_the_libraries(synth: Synth, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "diffusers", None)
    result = synth("cxr", "-o", tmp_path / "out", "--prompt", "x")
    assert (result.code, result.err.count("\n")) == (2, 1)
    assert "synth cxr needs torch diffusers transformers" in result.err
