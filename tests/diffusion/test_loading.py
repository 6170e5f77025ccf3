"""Models from folders: what is loaded, what is refused, and how pickles become safetensors."""

from __future__ import annotations

import json
import pickle
import shutil
from typing import TYPE_CHECKING

import huggingface_hub
import numpy as np
import pytest
import torch
from diffusers import StableDiffusionPipeline
from peft import LoraConfig
from peft.utils import get_peft_model_state_dict
from safetensors.torch import load_file, save_file

from synth.core.errors import InputError
from synth.diffusion import convert, loading, model_folder
from synth.diffusion.cxr.generate import Asked, Settings
from synth.diffusion.cxr.own_model import OwnModel
from synth.diffusion.loading import choose_device, choose_precision, load_model, model_digest
from synth.diffusion.model_folder import LORA_FILE, find_model
from synth.diffusion.stable import StableModel
from tests.diffusion.models import NAMES, pipeline
from tests.diffusion.stable_models import stable_pipeline

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from synth.diffusion.cxr.generate import CxrModel

ASKED = Asked(["65 yo. mass.", "edema"], [1, 2])
FEW = Settings(3, 1.5)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders own, stable and grey (one channel)."""
    root = tmp_path_factory.mktemp("models")
    pipeline(control=True).save_pretrained(root / "own")
    stable_pipeline(root / "words").save_pretrained(root / "stable")
    stable_pipeline(root / "words", channels=1, prediction="v_prediction").save_pretrained(root / "grey")
    return root


@pytest.fixture
def copied(models: Path, tmp_path: Path) -> Callable[[str], Path]:
    return lambda name: shutil.copytree(models / name, tmp_path / name)


def drawn(model: CxrModel) -> NDArray[np.float32]:
    return model.draw(ASKED, FEW).images


def pickled(folder: Path) -> dict[str, torch.Tensor]:
    """The folder's UNet as it was before safetensors."""
    (weights,) = (folder / "unet").glob("*.safetensors")
    tensors = load_file(weights)
    torch.save(tensors, weights.with_suffix(".bin"))
    weights.unlink()
    return tensors


def test_our_own(models: Path) -> None:
    model = load_model(str(models / "own"), device="cpu", dtype="float32")
    assert isinstance(model, OwnModel)
    assert (model.side, model.microbatch, model.controls) == (32, 1, NAMES)
    made = model.draw(ASKED, FEW)
    theirs = pipeline()([*ASKED.prompts], seeds=[*ASKED.seeds], num_inference_steps=3, guidance=1.5)
    np.testing.assert_allclose(made.images, theirs.images, atol=1e-5)
    assert made.structures == NAMES
    assert made.masks is not None
    assert len(model.digest) == 64


@pytest.mark.parametrize("name", ["stable", "grey"])
def test_stable_diffusion(name: str, models: Path) -> None:
    model = load_model(str(models / name), dtype="float32")
    assert isinstance(model, StableModel)
    assert (model.side, model.controls, model.pipe.safety_checker) == (32, (), None)
    pipe = StableDiffusionPipeline.from_pretrained(models / name, safety_checker=None)
    np.testing.assert_allclose(drawn(model), drawn(StableModel(pipe, "")), atol=2e-5)


def test_a_checker_of_photographs_is_not_loaded(copied: Callable[[str], Path]) -> None:
    folder = copied("stable")
    index = json.loads((folder / "model_index.json").read_bytes())
    index["safety_checker"] = ["stable_diffusion", "StableDiffusionSafetyChecker"]
    index["feature_extractor"] = ["transformers", "CLIPImageProcessor"]
    (folder / "model_index.json").write_text(json.dumps(index))
    (folder / "safety_checker").mkdir()
    (folder / "safety_checker" / "pytorch_model.bin").write_bytes(b"anything")
    assert load_model(str(folder)).side == 32


@pytest.mark.parametrize("name", ["own", "stable"])
def test_half_precision_and_flash(name: str, models: Path) -> None:
    exact = drawn(load_model(str(models / name), dtype="float32"))
    flash = drawn(load_model(str(models / name), dtype="float32", attention="flash"))
    np.testing.assert_allclose(flash, exact, atol=1e-4)
    model = load_model(str(models / name), dtype="bfloat16")
    half = drawn(model)
    assert 0 < np.abs(half - exact).max() < 0.05
    rounded = torch.from_numpy(half).bfloat16().float().numpy()
    assert (rounded != half)[(half > 0) & (half < 1)].mean() > 0.9  # decoded in float32
    assert np.array_equal(model.draw(Asked(["edema"], [2]), FEW).images[0], half[1])


def test_the_digest_is_of_what_is_loaded(models: Path, copied: Callable[[str], Path]) -> None:
    folder = copied("own")
    before = model_digest(str(folder))
    assert before == model_digest(str(models / "own"))
    (folder / "README.md").write_text("A card.")
    assert model_digest(str(folder)) == before
    scheduler = folder / "scheduler" / "scheduler_config.json"
    scheduler.write_text(scheduler.read_text().replace("adams", "euler"))
    changed = model_digest(str(folder))
    (weights,) = (folder / "vae").glob("*.safetensors")
    tensors = load_file(weights)
    save_file({name: tensor + 1 for name, tensor in tensors.items()}, weights)
    assert len({before, changed, model_digest(str(folder))}) == 3


def test_half_precision_files_are_found_by_their_name(copied: Callable[[str], Path]) -> None:
    folder = copied("stable")
    pipe = StableDiffusionPipeline.from_pretrained(folder, safety_checker=None)
    shutil.rmtree(folder)
    pipe.save_pretrained(folder, variant="fp16")
    assert find_model(str(folder)).variant == "fp16"
    assert np.isfinite(drawn(load_model(str(folder)))).all()


def test_pickles_are_refused_with_the_command_that_converts_them(
    models: Path, copied: Callable[[str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = copied("stable")
    tensors = pickled(folder)
    with pytest.raises(InputError, match=f"python -m synth.diffusion.convert {folder}"):
        load_model(str(folder))
    assert convert.main([str(folder)]) == 0
    assert capsys.readouterr().out == f"{folder / 'unet' / 'diffusion_pytorch_model.safetensors'}\n"
    again = load_file(folder / "unet" / "diffusion_pytorch_model.safetensors")
    assert all(torch.equal(again[name], tensor) for name, tensor in tensors.items())
    both = [drawn(load_model(str(place), dtype="float32")) for place in (folder, models / "stable")]
    assert np.array_equal(*both)


def test_text_encoders_are_converted_under_their_name(tmp_path: Path) -> None:
    tied = torch.ones(2, 2)
    torch.save({"a": tied, "b": tied}, tmp_path / "pytorch_model.fp16.bin")
    (made,) = convert.convert(tmp_path)
    assert made.name == "model.fp16.safetensors"
    assert set(load_file(made)) == {"a", "b"}


class _Code:
    def __reduce__(self) -> tuple[Callable[..., None], tuple[str]]:
        return print, ("run",)


@pytest.mark.parametrize("content", [_Code(), {"a": 3}, [torch.ones(1)], {}])
def test_what_is_not_tensors_is_not_converted(
    content: object, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if isinstance(content, _Code):
        (tmp_path / "a.bin").write_bytes(pickle.dumps(content, protocol=2))
    else:
        torch.save(content, tmp_path / "a.bin")
    assert convert.main([str(tmp_path)]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert str(tmp_path / "a.bin") in told.err
    assert len(told.err.splitlines()) == 1
    assert not list(tmp_path.glob("*.safetensors"))


def test_convert_needs_a_folder_with_pickles(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert convert.main([str(tmp_path)]) == 2
    assert "no pickled weights" in capsys.readouterr().err
    assert convert.main([]) == 2


@pytest.mark.parametrize("name", ["own", "stable"])
def test_adapters(name: str, models: Path, tmp_path: Path) -> None:
    """An adapter is added to the weights; none of it is left beside them."""
    plain = load_model(str(models / name), dtype="float32")
    net = plain.pipe.transformer if name == "own" else plain.pipe.unet
    net.add_adapter(LoraConfig(r=2, lora_alpha=4, target_modules=["to_q", "to_v"], init_lora_weights=False))
    wanted = drawn(plain)
    if name == "own":
        net.save_lora_adapter(tmp_path)
    else:
        StableDiffusionPipeline.save_lora_weights(tmp_path, unet_lora_layers=get_peft_model_state_dict(net))
    assert (tmp_path / LORA_FILE).is_file()
    scale = 1.0 if name == "own" else 2.0  # diffusers leaves alpha / r out of the second kind of file
    added = load_model(str(models / name), dtype="float32", lora=tmp_path, lora_scale=scale)
    np.testing.assert_allclose(drawn(added), wanted, atol=1e-4)
    assert np.abs(wanted - drawn(load_model(str(models / name), dtype="float32"))).max() > 1e-3
    assert added.digest != plain.digest
    assert added.digest == model_digest(str(models / name), tmp_path, scale)
    half = load_model(str(models / name), dtype="float32", lora=tmp_path, lora_scale=scale / 2)
    assert np.abs(drawn(half) - wanted).max() > 1e-4


def test_adapters_that_are_not_there(models: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no LoRA adapter"):
        load_model(str(models / "own"), lora=tmp_path)
    (tmp_path / "pytorch_lora_weights.bin").write_bytes(b"")
    with pytest.raises(InputError, match=r"synth\.diffusion\.convert"):
        load_model(str(models / "own"), lora=tmp_path)


def test_what_is_no_model(models: Path, copied: Callable[[str], Path], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such folder"):
        load_model(str(tmp_path / "none"))
    with pytest.raises(InputError, match="no model there"):
        load_model(str(tmp_path))
    with pytest.raises(InputError, match="is a file"):
        load_model(str(models / "own" / "model_index.json"))
    folder = copied("stable")
    index = json.loads((folder / "model_index.json").read_bytes())
    for changes, told in (
        ({"_class_name": "StableDiffusionXLPipeline"}, "holds a 'StableDiffusionXLPipeline'"),
        ({"unet": ["os", "system"]}, "part unet is a class of 'os'"),
        ({"unet": ["synth.diffusionist", "Anything"]}, "part unet is a class of"),
    ):
        (folder / "model_index.json").write_text(json.dumps(index | changes))
        with pytest.raises(InputError, match=told):
            load_model(str(folder))
    (folder / "model_index.json").write_text(json.dumps(index))
    (weights,) = (folder / "vae").glob("*.safetensors")
    weights.write_bytes(weights.read_bytes()[:200])
    with pytest.raises(InputError, match="cannot load the model"):
        load_model(str(folder))
    weights.unlink()
    with pytest.raises(InputError, match=r"no weights there"):
        load_model(str(folder))
    shutil.rmtree(folder / "vae")
    with pytest.raises(InputError, match="part vae is missing"):
        load_model(str(folder))


def test_the_default_and_the_hub(monkeypatch: pytest.MonkeyPatch, models: Path, tmp_path: Path) -> None:
    monkeypatch.setattr(model_folder, "_DEFAULT", tmp_path)
    with pytest.raises(InputError, match="synth train cxr"):
        load_model()
    monkeypatch.setattr(model_folder, "_DEFAULT", models / "own")
    assert load_model().side == 32
    asked: list[bool] = []

    def fetch(name: str, *, allow_patterns: list[str], local_files_only: bool) -> str:
        asked.append(local_files_only)
        assert not any("bin" in pattern for pattern in allow_patterns)
        if local_files_only and name == "who/what":
            return str(tmp_path)  # cached in part
        if name != "who/what":
            raise ConnectionError("no\nnetwork")
        return str(models / "stable")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", fetch)
    assert find_model("who/what").kind == "stable"
    assert asked == [True, False]
    with pytest.raises(InputError, match=r"ConnectionError.*hf download who/else --local-dir FOLDER") as error:
        find_model("who/else")
    assert "\n" not in str(error.value)


def test_where_weights_lie_in_a_file_does_not_count() -> None:
    made, moved = (torch.nn.Linear(33, 7) for _ in range(2))
    for name, weights in made.state_dict().items():
        place = torch.empty(weights.numel() + 1)[1:].view(weights.shape)
        getattr(moved, name).data = place.copy_(weights)
        assert getattr(moved, name).data_ptr() % 64 == 4
    loading.settle(moved, "cpu", torch.float32)
    assert not any(one.data_ptr() % 64 or one.requires_grad for one in moved.parameters())
    one = torch.randn(1, 33)
    assert torch.equal(made(one), moved(one))


def test_devices_and_precisions(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert choose_device("cpu") == "cpu"
    with pytest.raises(InputError, match="--device cuda:99"):
        choose_device("cuda:99")
    with pytest.raises(InputError, match="--device none"):
        choose_device("none")
    monkeypatch.setattr(loading, "_cpu_has_bf16", lambda: True)
    assert choose_precision("auto", "cpu") == "bfloat16"
    monkeypatch.setattr(loading, "_cpu_has_bf16", lambda: False)
    assert choose_precision("auto", "cpu") == "float32"
    with pytest.raises(InputError, match="float16"):
        choose_precision("float16", "cpu")
    with pytest.raises(InputError, match="xformers"):
        load_model(str(models / "own"), device="cpu", attention="xformers")
