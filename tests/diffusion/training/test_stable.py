"""Fine-tuning of small Stable Diffusion pipelines: what is learned, saved, loaded again and resumed."""

from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
import yaml
from diffusers import DDIMScheduler, PNDMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from PIL import Image
from pydantic import ValidationError
from safetensors.torch import load_file

from synth.core.errors import InputError, InterruptedRun
from synth.diffusion.cxr.generate import Asked, Settings, generate
from synth.diffusion.loading import load_model
from synth.diffusion.training.data import TrainingData
from synth.diffusion.training.latents import LatentCache
from synth.diffusion.training.layouts import open_layout
from synth.diffusion.training.loop import Run
from synth.diffusion.training.machine import accelerator_for
from synth.diffusion.training.order import Share
from synth.diffusion.training.stable import StableSettings, train_stable
from synth.diffusion.training.stable.autoencoder import StableAutoencoder
from synth.diffusion.training.stable.noising import Noising
from synth.diffusion.training.stable.stage import StableStage
from tests.diffusion.stable_models import stable_pipeline
from tests.end_to_end.command import in_process

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.end_to_end.command import Result

SIZE = 32
SOON: dict[str, Any] = {
    "batch": 4,
    "warmup": 0,
    "log_every": 1,
    "validate_every": 2,
    "sample_every": 4,
    "save_every": 2,
}
SHORT = StableSettings(steps=4, lr=1e-3, picture_steps=2, **SOON)
SD2 = {"num_train_timesteps": 1000, "beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}


def pictures(folder: Path, words: str = "{side} side") -> Path:
    """Radiographs that are bright on one side, and say on which."""
    folder.mkdir()
    rows = ["file_name,prompt,prompt_variation"]
    for k in range(12):
        image = np.full((SIZE, SIZE), 60, np.uint8)
        image[:, :16] += np.uint8(140 * (k % 2))
        image[:, 16:] += np.uint8(140 * (1 - k % 2))
        Image.fromarray(image).save(folder / f"{k}.png")
        side = ("right", "left")[k % 2]
        rows.append(f"{k}.png,{words.format(side=side)},{words.format(side=side.upper())}")
    (folder / "metadata.csv").write_text("\n".join(rows))
    return folder


def opened(folder: Path, cache: Path) -> TrainingData:
    return TrainingData.open(open_layout(folder), cache, size=SIZE, validation=0.25)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Path]:
    """Folders of pipelines whose autoencoder has so many channels."""
    made: dict[int, Path] = {}

    def folder(channels: int = 3) -> Path:
        if channels not in made:
            made[channels] = tmp_path_factory.mktemp("model") / "pipeline"
            pipe = stable_pipeline(tmp_path_factory.mktemp("words"), channels=channels)
            pipe.save_pretrained(made[channels], safe_serialization=True)
        return made[channels]

    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> TrainingData:
    folder = pictures(tmp_path_factory.mktemp("data") / "set")
    return opened(folder, folder.parent / "cache")


def run(**changes: Any) -> Run:
    return Run(accelerator_for("fp32", 1), **changes)


def staged(pipe: StableDiffusionPipeline, data: TrainingData, settings: StableSettings = SHORT) -> StableStage:
    pipe.unet.requires_grad_(False)
    return StableStage(pipe, settings, data, LatentCache.open(StableAutoencoder(pipe), data, settings.latents))


@torch.no_grad()
def validated(pipe: StableDiffusionPipeline, data: TrainingData) -> float:
    stage = staged(pipe, data)
    return stage.validate(stage.nets[0].eval())["loss"]


def loaded(folder: Path, **options: Any) -> StableDiffusionPipeline:
    return StableDiffusionPipeline.from_pretrained(folder, local_files_only=True, **options)


def weights(folder: Path, part: str) -> dict[str, torch.Tensor]:
    return load_file(next((folder / part).glob("*.safetensors")))


def differ(first: Path, second: Path, part: str) -> bool:
    a, b = weights(first, part), weights(second, part)
    assert a.keys() == b.keys()
    return any(not torch.equal(a[name], b[name]) for name in a)


# Noise


def kept(rescaled: bool = False) -> np.ndarray:
    """ᾱ of Stable Diffusion; rescaled as in algorithm 1 of Lin et al."""
    betas = np.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2
    root = np.sqrt(np.cumprod(1 - betas))
    if rescaled:
        root = (root - root[-1]) * root[0] / (root[0] - root[-1])
    return root**2


@pytest.mark.parametrize("rescaled", [False, True])
@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
def test_noise_and_what_is_predicted(prediction: str, rescaled: bool) -> None:
    if rescaled and prediction == "epsilon":
        with pytest.raises(InputError, match="zero_terminal"):
            Noising(SD2, prediction=prediction, zero_terminal=True)
        return
    noising = Noising(SD2, prediction=prediction, zero_terminal=rescaled, min_snr=5.0)
    times = torch.tensor([0, 400, 999])
    alpha = torch.from_numpy(kept(rescaled)).float()[times].view(-1, 1, 1, 1)
    x, noise = torch.randn(2, 3, 1, 2, 2, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(noising.noisy(x, noise, times), alpha.sqrt() * x + (1 - alpha).sqrt() * noise, atol=1e-4)
    velocity = alpha.sqrt() * noise - (1 - alpha).sqrt() * x
    target = noise if prediction == "epsilon" else velocity
    assert torch.allclose(noising.target(x, noise, times), target, atol=1e-4)
    snr = (alpha / (1 - alpha)).flatten()
    clipped = snr.clamp(max=5)
    expected = clipped / snr if prediction == "epsilon" else clipped / (snr + 1)
    assert torch.allclose(noising.weights(times), expected, rtol=2e-2, atol=1e-5)
    assert noising.snr(times)[-1] == pytest.approx(0.0 if rescaled else float(snr[-1]), rel=1e-2, abs=1e-7)
    assert torch.equal(Noising(SD2, prediction=prediction).weights(times), torch.ones(3))


def test_weights_make_both_predictions_learn_alike() -> None:
    """An error of the picture weighs min(SNR, γ), whichever way the network tells it."""
    times = torch.tensor([50, 300, 700])
    by_noise, by_velocity = (Noising(SD2, prediction=kind, min_snr=5.0) for kind in ("epsilon", "v_prediction"))
    snr = by_noise.snr(times)
    # ε errs by √SNR, and v by √(SNR + 1), as much as the picture does.
    assert torch.allclose(by_noise.weights(times) * snr, by_velocity.weights(times) * (snr + 1))


def test_sampling_begins_where_nothing_is_left() -> None:
    scheduler = PNDMScheduler(**SD2, skip_prk_steps=True, steps_offset=1)
    same = Noising(scheduler.config).sampler(scheduler)
    assert isinstance(same, PNDMScheduler)
    assert same.config.prediction_type == "epsilon"
    rescaled = Noising(scheduler.config, prediction="v_prediction", zero_terminal=True).sampler(scheduler)
    assert isinstance(rescaled, DDIMScheduler)
    rescaled.set_timesteps(10)
    assert rescaled.timesteps[0] == 999
    assert rescaled.alphas_cumprod[-1] < 1e-6
    assert not rescaled.config.clip_sample


# The stage


def test_prompts_are_drawn_and_dropped(models: Callable[..., Path], data: TrainingData) -> None:
    stage = staged(loaded(models()), data)
    indices = data.train[:2]
    texts = [
        [stage.tokenizer.decode(row, skip_special_tokens=True).replace(" ", "") for row in stage._ids(indices, *draws)]
        for draws in (
            (torch.tensor([0.1, 0.1]), torch.tensor([False, False])),
            (torch.tensor([0.9, 0.9]), torch.tensor([False, True])),
        )
    ]
    prompts = [[one.prompt().lower().replace(" ", "") for one in data.conditions[index]] for index in indices]
    assert texts == [[prompts[0][0], prompts[1][0]], [prompts[0][-1], ""]]


def test_dropout_hides_the_prompt(models: Callable[..., Path], tmp_path: Path) -> None:
    def loss(words: str, dropout: float) -> float:
        name = words[:2]
        other = opened(pictures(tmp_path / f"{name} {dropout}", words), tmp_path / "cache")
        stage = staged(loaded(models()), other, SHORT.model_copy(update={"dropout": dropout}))
        found, shown = next(stage.losses(stage.nets, Share(0, 0, 0, 4, 4, np.arange(4))))
        assert shown["error"] == found  # without min-SNR
        return float(found.detach())

    assert loss("{side}", 0.0) != loss("xy {side}", 0.0)
    assert loss("{side}", 0.99999) == loss("xy {side}", 0.99999)


def test_checkpointing_changes_no_gradient(models: Callable[..., Path], data: TrainingData) -> None:
    gradients = []
    for checkpointing in (False, True):
        pipe = loaded(models())
        stage = staged(pipe, data, SHORT.model_copy(update={"checkpointing": checkpointing, "min_snr": 5.0}))
        stage.nets[0].train()
        next(stage.losses(stage.nets, Share(0, 0, 0, 4, 4, np.arange(4))))[0].backward()
        found = [value.grad for value in stage.nets[0].parameters()]
        assert all(grad is not None for grad in found)
        gradients.append(torch.cat([grad.flatten() for grad in found]))
    assert float(gradients[0].norm()) > 0
    assert torch.allclose(*gradients, rtol=1e-4, atol=1e-7)


# Whole runs


@pytest.mark.parametrize("channels", [1, 3])
def test_full_training_saves_a_pipeline(
    channels: int, models: Callable[..., Path], data: TrainingData, tmp_path: Path
) -> None:
    often = {"validate_every": 5, "sample_every": 20, "save_every": 20}
    settings = SHORT.model_copy(update={"steps": 20, "lr": 3e-3, "min_snr": 5.0} | often)
    made = train_stable(str(models(channels)), settings, data, tmp_path / "out", run())
    assert made == tmp_path / "out" / "pipeline"
    assert [differ(models(channels), made, part) for part in ("unet", "text_encoder", "vae")] == [True, True, False]
    with (tmp_path / "out" / "log.csv").open() as file:
        losses = [float(row["validation loss"]) for row in csv.DictReader(file) if row["validation loss"]]
    assert losses[-1] < 0.9 * losses[0]
    scores = json.loads((tmp_path / "out" / "scores.json").read_text())["scores"]
    assert validated(loaded(made), data) == pytest.approx(scores["loss"], rel=1e-5)
    with Image.open(tmp_path / "out" / "samples" / "00000020.png") as picture:
        assert picture.size == (3 * SIZE, 2 * SIZE)  # three validate


def test_the_text_encoder_may_stay(models: Callable[..., Path], data: TrainingData, tmp_path: Path) -> None:
    settings = SHORT.model_copy(update={"text_encoder": False, "half": True})
    made = train_stable(str(models()), settings, data, tmp_path / "out", run())
    for part in ("unet", "text_encoder", "vae"):
        before, after = weights(models(), part), weights(made, part)
        assert {value.dtype for value in after.values() if value.is_floating_point()} == {torch.float16}
        changed = any(not torch.equal(before[name].half(), after[name]) for name in before)
        assert changed == (part == "unet")
    assert not any("text_encoder" in name for name in load_file(checkpoint(tmp_path / "out")))


def checkpoint(out: Path) -> Path:
    return max((out / "checkpoints").iterdir()) / "00000.safetensors"


def test_zero_terminal_pipelines_draw(models: Callable[..., Path], data: TrainingData, tmp_path: Path) -> None:
    settings = StableSettings(**SHORT.model_dump() | {"prediction": "v_prediction", "zero_terminal": True})
    made = train_stable(str(models()), settings, data, tmp_path / "out", run())
    assert loaded(made).scheduler.config.prediction_type == "v_prediction"
    model = load_model(str(made), device="cpu", dtype="float32")
    (drawn,) = generate(model, Asked(["left"], [0]), Settings(steps=3))
    assert drawn.image.shape == (SIZE, SIZE)
    assert 0 < drawn.image.std()


@pytest.mark.parametrize("text", [False, True])
def test_lora_saves_an_adapter(text: bool, models: Callable[..., Path], data: TrainingData, tmp_path: Path) -> None:
    settings = SHORT.model_copy(update={"method": "lora", "text_encoder": text, "rank": 3, "lr": 1e-2})
    made = train_stable(str(models()), settings, data, tmp_path / "out", run())
    stored = load_file(made / "pytorch_lora_weights.safetensors")
    assert {name.split(".")[0] for name in stored} == {"unet", "text_encoder"} if text else {"unet"}
    assert all(min(value.shape) <= 3 for value in stored.values())
    assert all(
        name.partition("/")[2].count("lora") for name in load_file(checkpoint(tmp_path / "out")) if "net" in name
    )
    plain, adapted = loaded(models()), loaded(models())
    adapted.load_lora_weights(str(made), weight_name="pytorch_lora_weights.safetensors")
    scores = json.loads((tmp_path / "out" / "scores.json").read_text())["scores"]
    assert validated(adapted, data) == pytest.approx(scores["loss"], rel=1e-5)
    assert validated(plain, data) != pytest.approx(scores["loss"], rel=1e-4)


def test_an_adapter_that_could_not_be_loaded_is_not_trained(
    models: Callable[..., Path], data: TrainingData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("transformers.integrations.peft.MIN_PEFT_VERSION", "99.0.0")
    settings = SHORT.model_copy(update={"method": "lora", "text_encoder": True})
    with pytest.raises(InputError, match=r"CLIPTextModel .*99\.0\.0.*set text_encoder: false"):
        train_stable(str(models()), settings, data, tmp_path / "out", run())


@pytest.mark.parametrize("method", ["full", "lora"])
def test_resumed_weights_are_those_of_one_run(
    method: str, models: Callable[..., Path], data: TrainingData, tmp_path: Path
) -> None:
    settings = SHORT.model_copy(update={"method": method, "dropout": 0.3})
    whole = train_stable(str(models()), settings, data, tmp_path / "whole", run())
    with pytest.raises(InterruptedRun):
        train_stable(str(models()), settings, data, tmp_path / "parts", run(stop_after=0))
    with pytest.raises(InputError, match="--resume"):
        train_stable(str(models()), settings, data, tmp_path / "parts", run())
    parts = train_stable(str(models()), settings, data, tmp_path / "parts", run(resume=True))
    files = [path.relative_to(whole) for path in whole.rglob("*") if path.is_file()]
    assert files
    assert all((whole / name).read_bytes() == (parts / name).read_bytes() for name in files)


def test_what_cannot_be_trained_is_refused(models: Callable[..., Path], tmp_path: Path) -> None:
    folder = pictures(tmp_path / "set")
    small = TrainingData.open(open_layout(folder), tmp_path / "cache", size=24, validation=0.25)
    pipe = stable_pipeline(tmp_path / "words")
    widths = {"block_out_channels": (8, 8, 8, 16), "attention_head_dim": 2}
    blocks = {"down_block_types": ("DownBlock2D",) * 4, "up_block_types": ("UpBlock2D",) * 4}
    config = dict(pipe.unet.config) | widths | blocks
    StableDiffusionPipeline(
        pipe.vae,
        pipe.text_encoder,
        pipe.tokenizer,
        UNet2DConditionModel.from_config(config),
        pipe.scheduler,
        None,
        None,
        requires_safety_checker=False,
    ).save_pretrained(tmp_path / "deep", safe_serialization=True)
    with pytest.raises(InputError, match=r"size 24: give a multiple of 16; .* was made for 32"):
        train_stable(str(tmp_path / "deep"), SHORT, small, tmp_path / "out", run())
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no model there"):
        train_stable(str(tmp_path / "empty"), SHORT, small, tmp_path / "out", run())
    for changes in (
        {"zero_terminal": True, "prediction": "epsilon"},
        {"method": "lora", "prediction": "v_prediction"},
        {"min_snr": 0},
        {"dropout": 1},
    ):
        with pytest.raises(ValidationError):
            StableSettings(**changes)
    with pytest.raises(InputError, match="'sample'"):
        Noising({**SD2, "prediction_type": "sample"})


def test_defaults_are_those_of_roentgen_v2() -> None:
    settings = StableSettings()
    told = (settings.steps, settings.batch, settings.lr, settings.warmup, settings.weight_decay, settings.clip)
    assert told == (60_000, 48, 1e-5, 500, 0.01, 1.0)
    assert (settings.schedule, settings.trains_text, settings.dropout) == ("cosine", True, 0.0)


def test_the_command_line(
    models: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    synth: Callable[..., Result] = in_process(monkeypatch, capfd)
    pictures(tmp_path / "set")
    recipe = {"model": str(models()), "data": {"path": "set", "words": "prompt"}, "size": SIZE, "validation": 0.25}
    recipe |= {"precision": "fp32", "threads": 1}
    recipe["training"] = {"method": "lora", "steps": 2, "picture_steps": 2, **SOON}
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    done = synth("train", "cxr", tmp_path / "recipe.yaml", "-o", tmp_path / "out", "--json")
    assert (done.code, json.loads(done.out)["pipeline"]) == (0, str(tmp_path / "out" / "lora")), done.err
    assert "Writing model" not in done.err
    drawn = synth(
        "cxr", "--model", models(), "--lora", tmp_path / "out" / "lora", "--prompt", "left", "-o", tmp_path / "drawn",
        "--steps", 2, "--device", "cpu",
    )  # fmt: skip
    assert drawn.code == 0, drawn.err
    assert (tmp_path / "drawn" / "metadata.csv").is_file()
    wrong = synth("train", "cxr", tmp_path / "recipe.yaml", "-o", tmp_path / "no", "--set", "training.methd=full")
    assert (wrong.code, "did you mean 'method'" in wrong.err) == (2, True)
