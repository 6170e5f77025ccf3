"""The command that makes the shipped model of CTs, on toys."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
import torch

from synth.diffusion.ct.pipeline import CtPipeline
from tests.diffusion.training.ct.sets import SPACING, write_set

if TYPE_CHECKING:
    from pathlib import Path


def test_a_run_ends_in_a_model_with_its_card(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import train_ct

    data, weights = write_set(tmp_path / "scans"), tmp_path / "weights" / "ct"
    command = ["-o", str(tmp_path / "out"), "--preset", "tiny", "--data", str(data), "--weights", str(weights)]
    train_ct.main([*command, "--set", f"spacing={SPACING}", "--set", "threads=1", "--set", "precision=fp32"])
    card = (weights / "README.md").read_text()
    assert "license: apache-2.0" in card
    assert re.search(r"\| scans +\| 6 +\|", card)
    assert all(f"| {stage} " in card for stage in ("autoencoder", "base", "refiner", "control"))
    assert str(tmp_path) not in card
    assert CtPipeline.from_pretrained(weights, local_files_only=True).config.spacing == SPACING
    with pytest.raises(SystemExit) as stopped:
        train_ct.main(command)
    assert stopped.value.code == 2
    assert "--resume" in capsys.readouterr().err


def test_presets_are_recipes_whose_models_fit_into_the_package(tmp_path: Path) -> None:
    from train_ct import MOST_BYTES, parse_arguments, recipe_of

    from synth.diffusion.ct.autoencoder import CtAutoencoder
    from synth.diffusion.ct.channels import MASKS
    from synth.diffusion.ct.control import CtControl
    from synth.diffusion.ct.refiner import CtRefiner
    from synth.diffusion.ct.transformer import CtTransformer
    from synth.diffusion.text.encoder import ReportEncoder

    for preset in ("cpu-2h", "gpu", "tiny"):
        recipe = recipe_of(parse_arguments(["-o", "out", "--preset", preset]), [tmp_path])
        assert recipe.autoencoder is not None
        assert recipe.base is not None
        assert recipe.refiner is not None
        assert recipe.control is not None
        channels, text = recipe.autoencoder.model.latent_channels, recipe.base.text
        with torch.device("meta"):  # sizes alone
            base = CtTransformer(channels=channels, text_width=text.width, **recipe.base.model.model_dump())
            parts = [
                CtAutoencoder(MASKS, **recipe.autoencoder.model.model_dump()),
                base,
                ReportEncoder(text.vocabulary, text.width, text.depth, text.heads),
                CtRefiner(channels, **recipe.refiner.model.model_dump()),
                CtControl.beside(base, MASKS, depth=recipe.control.depth),
            ]
        weights = sum(value.numel() for part in parts for value in part.parameters())
        assert 2 * weights < MOST_BYTES - 300_000  # the tokenizer and settings


def test_bodies_to_judge_by_are_others() -> None:
    from ct_training.phantoms import job

    jobs = [job(part, 10, voxel_mm=5.0, seed=0, device="cpu") for part in ("data", "held-out")]
    people = [one.phantoms.patient(number).person for one in jobs for number in range(10)]
    assert len({(one.sex, one.age, one.height_cm, one.weight_kg) for one in people}) == len(people)
