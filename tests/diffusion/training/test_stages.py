"""Each stage by itself: what it learns, what it leaves, and the pipeline that comes of all."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from PIL import Image

from synth.core.errors import InputError
from synth.diffusion.cxr.autoencoder import CxrAutoencoder
from synth.diffusion.cxr.pipeline import CxrPipeline
from synth.diffusion.training.augment import Augmentation
from synth.diffusion.training.autoencoder import AutoencoderStage, train_autoencoder
from synth.diffusion.training.control import train_control
from synth.diffusion.training.critic import adaptive_weight
from synth.diffusion.training.denoiser import DenoiserStage, load_tokenizer, train_denoiser
from synth.diffusion.training.latents import LatentCache, Variants
from synth.diffusion.training.look import psnr, ssim
from synth.diffusion.training.loop import Run
from synth.diffusion.training.machine import accelerator_for
from synth.diffusion.training.masks import dice, overlap_loss, structure_weights, train_masks
from synth.diffusion.training.recipe import Recipe
from synth.diffusion.training.running import train_recipe
from tests.diffusion.training.sets import AUTOENCODER, CONTROL, DENOISER, MASKS, MODEL, SIZE, N, opened, write_set

if TYPE_CHECKING:
    from pathlib import Path

    from synth.diffusion.training.data import TrainingData


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> TrainingData:
    folder = tmp_path_factory.mktemp("data")
    return opened(write_set(folder / "set"), folder / "cache")


@pytest.fixture(scope="module")
def autoencoder(data: TrainingData, tmp_path_factory: pytest.TempPathFactory) -> CxrAutoencoder:
    return train_autoencoder(AUTOENCODER, data, tmp_path_factory.mktemp("trained") / "autoencoder", run())


def run(**options: Any) -> Run:
    return Run(accelerator_for("fp32", threads=1), **options)


def first_and_last_losses(out: Path, column: str = "validation loss") -> tuple[float, float]:
    table = np.genfromtxt(out / "log.csv", delimiter=",", names=True)
    values = table[column.replace(" ", "_")]
    values = values[np.isfinite(values)]
    return float(values[0]), float(values[-1])


def test_the_autoencoder_learns_and_its_latents_are_scaled(data: TrainingData, tmp_path: Path) -> None:
    settings = AUTOENCODER.model_copy(update={"steps": 60, "lr": 3e-3, "validate_every": 10})
    net = train_autoencoder(settings, data, tmp_path / "autoencoder", run())
    first, last = first_and_last_losses(tmp_path / "autoencoder")
    assert last < 0.6 * first
    latents = net.latents(data.pixels.images(data.train)).detach()
    assert float(latents.mean()) == pytest.approx(0, abs=1e-3)
    assert float(latents.std()) == pytest.approx(1, abs=1e-3)
    stored = CxrAutoencoder.from_pretrained(tmp_path / "autoencoder" / "model").requires_grad_(False)
    torch.testing.assert_close(stored.latents(data.pixels.images(data.train)), latents, rtol=1e-4, atol=1e-4)
    scores = json.loads((tmp_path / "autoencoder" / "scores.json").read_text())["scores"]
    real = data.pixels.images(data.validation)
    assert scores["PSNR"] == pytest.approx(psnr(net.images(net.latents(real)).detach(), real), abs=1e-3)


def test_a_finished_stage_is_loaded_not_trained(data: TrainingData, tmp_path: Path) -> None:
    train_autoencoder(AUTOENCODER, data, tmp_path, run())
    before = (tmp_path / "scores.json").stat().st_mtime_ns
    again = train_autoencoder(AUTOENCODER, data, tmp_path, run(resume=True))
    assert isinstance(again, CxrAutoencoder)
    assert (tmp_path / "scores.json").stat().st_mtime_ns == before
    with pytest.raises(InputError, match="another lr"):
        train_autoencoder(AUTOENCODER.model_copy(update={"lr": 0.5}), data, tmp_path, run(resume=True))


@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
def test_features_of_a_torchscript_network_count(data: TrainingData, tmp_path: Path) -> None:
    torch.jit.trace(torch.nn.AvgPool2d(4), torch.zeros(1, 1, SIZE, SIZE)).save(str(tmp_path / "net.pt"))
    settings = AUTOENCODER.model_copy(update={"features": str(tmp_path / "net.pt"), "steps": 2})
    train_autoencoder(settings, data, tmp_path / "out", run())
    assert "features" in (tmp_path / "out" / "log.csv").read_text().splitlines()[0].split(",")
    (tmp_path / "net.pt").write_bytes(b"no network")
    with pytest.raises(InputError, match=r"net\.pt"):
        train_autoencoder(settings, data, tmp_path / "new", run())


def test_the_critic_pulls_as_hard_as_the_reconstruction() -> None:
    image = torch.ones(3, requires_grad=True)
    weight = adaptive_weight((2 * image).sum(), (5 * image).sum(), image)
    assert float(weight) == pytest.approx(0.4, rel=1e-4)


def test_latents_are_made_once_and_go_on_where_they_stopped(
    data: TrainingData, autoencoder: CxrAutoencoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("synth.diffusion.training.latents._CHUNK", 5)
    monkeypatch.setattr("synth.diffusion.training.latents._NOTED", 1)
    variants = Variants(count=3, augment=Augmentation(shift=0.1))
    whole, calls = CxrAutoencoder.latents, []

    def stopping(self: CxrAutoencoder, x: torch.Tensor) -> torch.Tensor:
        calls.append(len(x))
        if len(calls) == 8:
            raise KeyboardInterrupt
        return whole(self, x)

    monkeypatch.setattr(CxrAutoencoder, "latents", stopping)
    with pytest.raises(KeyboardInterrupt):
        LatentCache.open(autoencoder, data, variants)
    made = LatentCache.open(autoencoder, data, variants)
    assert len(calls) == 8 + (5 - 2) * 3  # two of five chunks were there
    LatentCache.open(autoencoder, data, variants)
    assert len(calls) == 17
    where = np.arange(N)
    expected = whole(autoencoder, data.pixels.images(where)).detach()
    torch.testing.assert_close(made.latents(where), expected, rtol=0, atol=5e-3)
    moved = made.latents(where, torch.full((N,), 0.99))
    assert not torch.allclose(moved, expected, atol=5e-2)


def test_masks_belong_to_the_variant_that_was_drawn(data: TrainingData, autoencoder: CxrAutoencoder) -> None:
    variants = Variants(count=2, augment=Augmentation(shift=0.2))
    cache = LatentCache.open(autoencoder, data, variants)
    where = np.array([3, 4])
    plain = data.pixels.masks(where)
    assert torch.equal(cache.masks(data, where, torch.zeros(2)), plain)
    moved = cache.masks(data, where, torch.full((2,), 0.99))
    draws = torch.stack([variants.draws(0, int(k), 1) for k in where])
    assert torch.equal(moved, variants.augment.masks(plain, draws))
    assert not torch.equal(moved, plain)


@pytest.mark.parametrize("learns", [True, False])
def test_the_denoiser_learns(data: TrainingData, autoencoder: CxrAutoencoder, tmp_path: Path, learns: bool) -> None:
    text = DENOISER.text.model_copy(update={"train": learns})
    settings = DENOISER.model_copy(
        update={"steps": 80, "batch": 12, "lr": 1e-2, "validate_every": 8, "text": text, "checkpointing": True}
    )
    train_denoiser(settings, data, tmp_path, run(), autoencoder=autoencoder)
    first, last = first_and_last_losses(tmp_path)
    assert last < 0.9 * first
    assert (tmp_path / "text_encoder" / "config.json").is_file()
    picture = np.asarray(Image.open(tmp_path / "samples" / "00000080.png"))
    assert picture.shape[0] == 2 * SIZE
    ids = load_tokenizer(tmp_path / "tokenizer")(["small mass"])["input_ids"]
    assert len(ids[0]) > 0


def test_validation_draws_the_same_noise_every_time(
    data: TrainingData, autoencoder: CxrAutoencoder, tmp_path: Path
) -> None:
    trained = train_denoiser(DENOISER, data, tmp_path, run(), autoencoder=autoencoder)
    cache = LatentCache.open(autoencoder, data, Variants())
    stage = DenoiserStage(trained, DENOISER, data, cache, load_tokenizer(tmp_path / "tokenizer"), autoencoder)
    with torch.no_grad():
        assert stage.validate(trained) == stage.validate(trained)


def test_masks_are_read_from_latents(data: TrainingData, autoencoder: CxrAutoencoder, tmp_path: Path) -> None:
    settings = MASKS.model_copy(update={"steps": 60, "lr": 1e-2})
    net = train_masks(settings, data, tmp_path, run(), autoencoder=autoencoder)
    assert net.names == ("finding:mass", "heart")
    scores = json.loads((tmp_path / "scores.json").read_text())["scores"]
    assert scores["Dice heart"] > 0.8
    cache = LatentCache.open(autoencoder, data, Variants())
    read = net.masks(cache.latents(data.validation))
    expected = dice(read, data.pixels.masks(data.validation) > 0).nanmean(0)
    assert scores["Dice heart"] == pytest.approx(float(expected[1]), abs=1e-6)


def test_dice_and_its_loss() -> None:
    true = torch.zeros(1, 2, 4, 4, dtype=torch.bool)
    true[0, 0, :2] = True
    found = torch.zeros_like(true)
    found[0, 0, 1:3] = True
    assert dice(found, true)[0, 0] == pytest.approx(0.5)
    assert torch.isnan(dice(found, true)[0, 1])
    sure = (found.float() * 2 - 1) * 50
    loss = overlap_loss(sure, true.float(), torch.tensor([1.0, 3.0]))
    assert float(loss) == pytest.approx((1 - 9 / 17) / 4, abs=1e-5)


def test_rare_structures_weigh_more(data: TrainingData) -> None:
    weights = structure_weights(data, most=5.0)
    assert weights.tolist() == pytest.approx([2**0.5, 1.0])


def test_ssim_and_psnr_know_what_is_alike() -> None:
    image = torch.rand(1, 1, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
    assert ssim(image, image) == pytest.approx(1, abs=1e-5)
    assert psnr(image, image + 0.02) == pytest.approx(40, abs=1e-3)
    assert ssim(image, image.flip(3)) < 0.5


def test_the_control_branch_alone_learns(data: TrainingData, autoencoder: CxrAutoencoder, tmp_path: Path) -> None:
    denoising = train_denoiser(DENOISER, data, tmp_path / "denoiser", run(), autoencoder=autoencoder)
    before = {name: value.clone() for name, value in denoising.state_dict().items()}
    branch = train_control(
        CONTROL.model_copy(update={"lr": 1e-2}),
        data,
        tmp_path / "control",
        run(),
        autoencoder=autoencoder,
        denoising=denoising,
        tokenizer=load_tokenizer(tmp_path / "denoiser" / "tokenizer"),
    )
    assert all(torch.equal(value, before[name]) for name, value in denoising.state_dict().items())
    assert float(branch.outputs[0].weight.detach().abs().max()) > 0
    assert tuple(branch.config.names) == data.structures


def test_sizes_that_do_not_fit_are_told(data: TrainingData, autoencoder: CxrAutoencoder, tmp_path: Path) -> None:
    wide = MODEL.model_copy(update={"stem": 8, "widths": (8, 8, 8, 8), "blocks": (1, 1, 1, 1)})
    with pytest.raises(InputError, match="multiple of 64"):
        train_autoencoder(AUTOENCODER.model_copy(update={"model": wide}), data, tmp_path / "a", run())
    patch = DENOISER.model.model_copy(update={"patch": 3})
    with pytest.raises(InputError, match="patch 3"):
        train_denoiser(
            DENOISER.model_copy(update={"model": patch}), data, tmp_path / "d", run(), autoencoder=autoencoder
        )
    with pytest.raises(InputError, match="fp16"):
        accelerator_for("fp16")


def test_a_pipeline_is_trained_on_from_another(tmp_path: Path) -> None:
    """Fine-tuning: the autoencoder is kept as it is, the rest starts from what the first run learned."""
    root = write_set(tmp_path / "set")
    parts = {"autoencoder": AUTOENCODER, "denoiser": DENOISER, "masks": MASKS}
    common = {"size": SIZE, "rare": 5, "validation": 0.25, "threads": 1, "precision": "fp32", "half": False}
    recipe = Recipe(data=str(root), **parts, **common)
    first = train_recipe(recipe, tmp_path / "first")
    changed = {"autoencoder": None, "masks": None, "denoiser": DENOISER.model_copy(update={"steps": 1, "lr": 1e-9})}
    again = Recipe(data=str(root), start_from=str(first), **changed, **common)
    second = train_recipe(again, tmp_path / "second")
    assert first is not None
    assert second is not None
    old, new = (CxrPipeline.from_pretrained(folder, local_files_only=True) for folder in (first, second))
    for name in ("vae", "mask_decoder"):
        assert all(
            torch.equal(a, b)
            for a, b in zip(getattr(old, name).parameters(), getattr(new, name).parameters(), strict=True)
        )
    for a, b in zip(old.transformer.parameters(), new.transformer.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-6)
    assert old.config.pixels == SIZE
    written = [path.read_text(encoding="utf-8") for path in second.rglob("*.json")]
    assert not any(str(tmp_path) in text for text in written)


def test_the_stage_protocol_is_kept(data: TrainingData) -> None:
    net = CxrAutoencoder(**MODEL.model_dump())
    stage = AutoencoderStage(net, AUTOENCODER, data, torch.device("cpu"))
    assert len(stage.nets) == 1
    assert stage.n_train == len(data.train)
