"""Each stage of text to CT by itself: what it learns, what it leaves, and the pipeline that comes of all."""

from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from PIL import Image

from synth.core.errors import InputError, InterruptedRun
from synth.diffusion.ct.autoencoder import CtAutoencoder
from synth.diffusion.ct.channels import MASKS
from synth.diffusion.training.ct.autoencoder import CtAutoencoderModel, CtAutoencoderStage, train_ct_autoencoder
from synth.diffusion.training.ct.base import train_base
from synth.diffusion.training.ct.control import train_ct_control
from synth.diffusion.training.ct.look import pictured, slices
from synth.diffusion.training.ct.refiner import RefinerStage, Refining, refining_pairs, train_refiner
from synth.diffusion.training.denoiser import load_tokenizer
from synth.diffusion.training.loop import Run
from synth.diffusion.training.machine import accelerator_for
from synth.diffusion.training.order import Share
from tests.diffusion.training.ct.sets import AUTOENCODER, BASE, CONTROL, REFINER, SIZE, opened, write_set

if TYPE_CHECKING:
    from pathlib import Path

    from synth.diffusion.training.ct.volumes import CtData

RARE = {"validate_every": 1000, "sample_every": 1000, "save_every": 1000}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> CtData:
    folder = tmp_path_factory.mktemp("ct")
    return opened(write_set(folder / "set"), folder / "cache")


@pytest.fixture(scope="module")
def trained(data: CtData, tmp_path_factory: pytest.TempPathFactory) -> tuple[CtAutoencoder, Path]:
    out = tmp_path_factory.mktemp("autoencoder")
    model = CtAutoencoderModel(latent_channels=8, widths=(32,), blocks=(1,))
    settings = AUTOENCODER.model_copy(update={"model": model, "steps": 320, "lr": 5e-3, "batch": 4} | RARE)
    return train_ct_autoencoder(settings, data, out, run()), out


def run(**more: object) -> Run:
    return Run(accelerator_for("fp32", 1), **more)  # type: ignore[arg-type]


def column(out: Path, name: str) -> list[float]:
    with (out / "log.csv").open() as stream:
        return [float(row[name]) for row in csv.DictReader(stream) if row.get(name)]


def scores(out: Path) -> dict[str, float]:
    found: dict[str, float] = json.loads((out / "scores.json").read_text())["scores"]
    return found


def test_the_autoencoder_learns_ct_and_masks_together(trained: tuple[CtAutoencoder, Path], data: CtData) -> None:
    vae, out = trained
    shown = column(out, "L1")
    assert np.mean(shown[-5:]) < 0.5 * shown[0]
    told = scores(out)
    assert told["Dice lung_upper_lobe_left"] > 0.7
    assert told["Dice lung_airways"] > 0.5
    assert "Dice lung_lower_lobe_left" not in told  # no CT has one
    latents = torch.cat([vae.latents(level.volumes(data.train)).flatten() for level in data.levels])
    assert float(latents.detach().std()) == pytest.approx(1, abs=0.5)
    assert vae.names == MASKS
    picture = np.asarray(Image.open(next((out / "samples").iterdir())))
    assert picture.shape == (4 * SIZE, len(data.validation) * SIZE, 3)


def test_thin_masks_weigh_more_and_what_nobody_annotated_counts_for_nothing(data: CtData) -> None:
    vae = CtAutoencoder(MASKS, **AUTOENCODER.model.model_dump())
    stage = CtAutoencoderStage(vae, AUTOENCODER, data, torch.device("cpu"))
    masks = torch.zeros(1, len(MASKS), 4, 4, 4, dtype=torch.bool)
    known = torch.ones(1, len(MASKS))

    def entropy(name: str, told: torch.Tensor) -> float:
        logits = torch.full(masks.shape, -20.0)
        logits[:, MASKS.index(name)] = 20
        return float(stage._apart(logits, masks, told)[1]["masks"])

    assert entropy("lung_airways", known) == pytest.approx(AUTOENCODER.thin * entropy("heart", known), rel=1e-4)
    known[:, MASKS.index("heart")] = 0
    assert entropy("heart", known) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("which", ["critic", "features"])
def test_slices_are_judged_on_request(data: CtData, tmp_path: Path, which: str) -> None:
    path = tmp_path / "features.pt"
    with pytest.warns(DeprecationWarning, match="torch.jit"):
        torch.jit.save(torch.jit.script(torch.nn.AvgPool2d(4)), path)
    more = {"critic": 0.1, "critic_from": 0.3} if which == "critic" else {"features": str(path)}
    train_ct_autoencoder(AUTOENCODER.model_copy(update=more), data, tmp_path / "out", run())
    shown = column(tmp_path / "out", "critic loss" if which == "critic" else "features")
    assert shown
    assert np.isfinite(shown).all()


def test_slices_and_pictures() -> None:
    volume = torch.arange(6.0)[:, None, None].expand(1, 1, 6, 6, 6)
    planes = slices(volume)
    assert planes.shape == (9, 1, 6, 6)
    assert planes[:3].mean((1, 2, 3)).tolist() == [1, 3, 5]
    head_up = torch.full((1, 1 + len(MASKS), 8, 8, 8), -1.0)
    head_up[:, 0, 6:] = 1
    picture = pictured(head_up)
    assert picture.shape == (16, 8, 3)
    assert picture[:2].min() == 255
    assert picture[2:8].max() == 0


def test_the_base_learns_words_and_latents(data: CtData, trained: tuple[CtAutoencoder, Path], tmp_path: Path) -> None:
    settings = BASE.model_copy(update={"steps": 40, "lr": 1e-2, "batch": 4, "checkpointing": True} | RARE)
    train_base(settings, data, tmp_path, run(), autoencoder=trained[0])
    shown = column(tmp_path, "loss")
    assert np.mean(shown[-8:]) < 0.9 * np.mean(shown[:8])
    assert {"model", "text_encoder", "tokenizer"} <= {path.name for path in tmp_path.iterdir()}
    picture = np.asarray(Image.open(tmp_path / "samples" / "00000040.png"))
    assert picture.shape[0] == 4 * SIZE


def test_the_refiner_learns_on_tiles(data: CtData, trained: tuple[CtAutoencoder, Path], tmp_path: Path) -> None:
    settings = REFINER.model_copy(update={"steps": 60, "lr": 1e-2, "batch": 4} | RARE)
    net = train_refiner(settings, data, tmp_path, run(), autoencoder=trained[0])
    shown = column(tmp_path, "loss")
    assert np.mean(shown[-8:]) < 0.8 * np.mean(shown[:8])
    pairs = refining_pairs(trained[0], data)
    stage = RefinerStage(Refining(net), settings, data, pairs, trained[0])
    with torch.no_grad():
        assert stage.validate(stage.nets[0]) == stage.validate(stage.nets[0])  # type: ignore[comparison-overlap]
    given = stage._given(data.train, Share.all_of(1, len(data.train)))
    fine, noise, times, coarse, added, level, geometry = given
    assert fine.shape == coarse.shape == noise.shape == added.shape == (len(data.train), 8, 4, 4, 4)
    assert not torch.equal(noise, added)
    assert ((times > 0) & (times < 1)).all()
    assert ((level >= 0) & (level <= settings.coarse_noise)).all()
    assert geometry[0].tolist() == data.levels[1].geometry[0].tolist()


def test_the_control_branch_alone_learns(data: CtData, trained: tuple[CtAutoencoder, Path], tmp_path: Path) -> None:
    denoising = train_base(BASE, data, tmp_path / "base", run(), autoencoder=trained[0])
    before = {name: value.clone() for name, value in denoising.state_dict().items()}
    branch = train_ct_control(
        CONTROL.model_copy(update={"lr": 1e-2}),
        data,
        tmp_path / "control",
        run(),
        autoencoder=trained[0],
        denoising=denoising,
        tokenizer=load_tokenizer(tmp_path / "base" / "tokenizer"),
    )
    assert all(torch.equal(value, before[name]) for name, value in denoising.state_dict().items())
    assert float(branch.outputs[0].weight.detach().abs().max()) > 0
    assert tuple(branch.config.names) == MASKS


def test_a_stage_that_was_stopped_goes_on_to_the_same_weights(data: CtData, tmp_path: Path) -> None:
    whole = train_ct_autoencoder(AUTOENCODER, data, tmp_path / "whole", run())
    with pytest.raises(InterruptedRun):
        train_ct_autoencoder(AUTOENCODER, data, tmp_path / "parts", run(stop_after=0.0))
    parts = train_ct_autoencoder(AUTOENCODER, data, tmp_path / "parts", run(resume=True))
    for one, other in zip(whole.parameters(), parts.parameters(), strict=True):
        assert torch.equal(one, other)


def test_sizes_that_do_not_fit_are_told(data: CtData, trained: tuple[CtAutoencoder, Path], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="patch 32"):
        train_ct_autoencoder(AUTOENCODER.model_copy(update={"patch": 32}), data, tmp_path / "a", run())
    with pytest.raises(InputError, match="tile 99"):
        train_refiner(REFINER.model_copy(update={"tile": 99}), data, tmp_path / "r", run(), autoencoder=trained[0])
    patch = BASE.model.model_copy(update={"patch": 3})
    with pytest.raises(InputError, match="patch 3"):
        train_base(BASE.model_copy(update={"model": patch}), data, tmp_path / "b", run(), autoencoder=trained[0])
