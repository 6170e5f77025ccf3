"""The command that makes the shipped model, on toys."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from synth.core.errors import InputError
from tests.scripts.films import write_films

if TYPE_CHECKING:
    from pathlib import Path


def test_a_run_ends_in_a_model_with_its_card_and_goes_on_where_it_was(tmp_path: Path) -> None:
    import train_cxr

    from synth.diffusion.cxr.generate import Asked, generate
    from synth.diffusion.loading import load_model

    data, weights = write_films(tmp_path / "films", 24, 0), tmp_path / "weights" / "cxr"
    command = ["-o", str(tmp_path / "out"), "--preset", "tiny", "--data", str(data), "--weights", str(weights)]
    command += ["--set", "size=32"]
    train_cxr.main(command)
    card = (weights / "README.md").read_text()
    assert "license: apache-2.0" in card
    assert "PA 24" in card
    assert "--set size=32" in card
    assert all(f"| {stage} " in card for stage in ("autoencoder", "denoiser", "masks", "control"))
    assert str(tmp_path) not in card
    model = load_model(str(weights))
    assert model.side == 32
    assert model.controls == ("finding:pleural effusion", "heart", "lung_left", "lung_right")
    first = next(iter(generate(model, Asked(["65 year old male. Large left pleural effusion."], [1]))))
    assert first.image.shape == (32, 32)
    assert set(first.masks) == set(model.controls)

    train_cxr.main([*command, "--resume", "--set", "sampling.guidance=1.5"])
    assert "guidance 1.5" in (weights / "README.md").read_text()
    again = next(iter(generate(load_model(str(weights)), Asked([first.conditions], [1]))))
    assert not np.array_equal(again.image, first.image)


def test_a_folder_that_is_in_use_and_a_model_too_large_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import train_cxr

    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "note").touch()
    with pytest.raises(SystemExit) as stopped:
        train_cxr.main(["-o", str(tmp_path / "out"), "--preset", "tiny"])
    assert stopped.value.code == 2
    assert "--resume" in capsys.readouterr().err

    (tmp_path / "pipeline" / "vae").mkdir(parents=True)
    (tmp_path / "pipeline" / "vae" / "weights").write_bytes(bytes(2000))
    monkeypatch.setattr(train_cxr, "MOST_BYTES", 1999)
    monkeypatch.setattr("cxr_training.card.card", lambda *_: "card")
    options = train_cxr.parse_arguments(["-o", str(tmp_path), "--weights", str(tmp_path / "there")])
    with pytest.raises(InputError, match="vae"):
        train_cxr.publish(tmp_path / "pipeline", options, [])
    assert not (tmp_path / "there").exists()


def test_presets_are_recipes_whose_models_fit_into_the_package(tmp_path: Path) -> None:
    from train_cxr import MOST_BYTES, parse_arguments, recipe_of

    from synth.diffusion.cxr.autoencoder import CxrAutoencoder
    from synth.diffusion.cxr.control import ControlBranch
    from synth.diffusion.cxr.mask_decoder import MaskDecoder
    from synth.diffusion.cxr.transformer import CxrTransformer
    from synth.diffusion.text.encoder import ReportEncoder

    names = tuple(f"structure {k}" for k in range(40))
    for preset in ("cpu-2h", "gpu", "tiny"):
        recipe = recipe_of(parse_arguments(["-o", "out", "--preset", preset]), [tmp_path])
        assert recipe.autoencoder is not None
        assert recipe.denoiser is not None
        assert recipe.masks is not None
        assert recipe.control is not None
        with torch.device("meta"):  # sizes alone
            vae = CxrAutoencoder(**recipe.autoencoder.model.model_dump())
            text, model = recipe.denoiser.text, recipe.denoiser.model
            channels = recipe.autoencoder.model.latent_channels
            denoiser = CxrTransformer(channels=channels, text_width=text.width, **model.model_dump())
            parts = [
                vae,
                denoiser,
                ReportEncoder(text.vocabulary, text.width, text.depth, text.heads),
                MaskDecoder(names, channels, recipe.masks.model.width, recipe.masks.model.blocks, vae.factor),
                ControlBranch.beside(denoiser, names, pixels=vae.factor * model.patch, depth=recipe.control.depth),
            ]
        weights = sum(value.numel() for part in parts for value in part.parameters())
        assert 2 * weights < MOST_BYTES - 300_000  # the tokenizer and settings


def test_bodies_to_judge_by_are_others_and_the_population_has_what_is_rare() -> None:
    from cxr_training.population import Mixed
    from cxr_training.radiographs import Films

    from synth.anatomy.vocabulary import KINDS

    asked = {"size": 64, "voxel_mm": 5.0, "seed": 0, "device": "cpu"}
    jobs = [Films(view, 20, 2).job(part, **asked) for part in ("data", "held-out") for view in ("pa", "ap")]
    people = [job.subjects.patient(number).person for job in jobs for number in range(20)]
    assert len({(one.sex, one.age, one.height_cm, one.weight_kg) for one in people}) == len(people)
    assert all(job.samples_each == 2 for job in jobs)

    cases = [Mixed().draw(np.random.default_rng(k)) for k in range(900)]
    assert 0.25 < np.mean([not case.labels for case in cases]) < 0.5
    drawn = {kind for case in cases for _, kind in case.labels}
    assert len(drawn & set(KINDS)) == len(KINDS)
