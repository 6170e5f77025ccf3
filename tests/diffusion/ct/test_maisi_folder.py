"""MAISI's folders: what is found in them, what is loaded, and what is refused."""

from __future__ import annotations

import json
import pickle
import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from safetensors.torch import save_file

from synth.core.errors import InputError
from synth.core.volume import Volume
from synth.diffusion.ct.maisi.checkpoints import read_checkpoint
from synth.diffusion.ct.maisi.folder import find_maisi, is_maisi
from synth.diffusion.ct.maisi.loading import load_maisi
from synth.diffusion.ct.maisi.pipeline import network_input
from synth.diffusion.ct.maisi.scale import check_scale
from synth.diffusion.ct.maisi.settings import Settings
from tests.diffusion.ct.maisi_models import LIMITS, SCALE, networks, write_folder

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from synth.diffusion.ct.maisi.pipeline import MaisiPipeline

DENOISER, CONTROLNET = "models/diff_unet_3d_rflow-ct.pt", "models/controlnet_3d_rflow-ct.pt"


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("maisi") / "rflow")


@pytest.fixture
def folder(original: Path, tmp_path: Path) -> Path:
    """A copy, to be changed."""
    return shutil.copytree(original, tmp_path / "rflow")


def loaded(folder: Path, **options: Any) -> MaisiPipeline:
    return load_maisi(folder, device="cpu", dtype="float32", limits=LIMITS, **options)


def rewritten(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    content = torch.load(path, weights_only=True)
    change(content)
    torch.save(content, path)


def redefined(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    path = folder / "configs" / "config_network_rflow.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def test_all_weights_are_loaded(original: Path) -> None:
    pipe = loaded(original)
    for name, network in (("autoencoder", pipe.autoencoder), ("diffusion_unet", pipe.denoiser)):
        wanted = networks()[name].state_dict()
        assert all(torch.equal(one, wanted[key]) for key, one in network.state_dict().items())
    assert pipe.scale_factor == pytest.approx(SCALE)
    assert pipe.factor == 4
    assert pipe.defaults.size == (16, 32, 32)
    assert pipe.defaults.spacing == (2.0, 1.5, 1.5)
    assert pipe.defaults.guidance == 1.0
    assert len(pipe.digest) == 64


def test_layout_of_monais_bundle_is_read_without_running_its_expressions(tmp_path: Path) -> None:
    pipe = loaded(write_folder(tmp_path / "bundle", layout="bundle"))
    assert pipe.defaults.size == (16, 32, 32)
    assert pipe.defaults.modality == 1
    assert pipe.controlnet is not None


def test_all_files_side_by_side(original: Path, tmp_path: Path) -> None:
    flat = tmp_path / "flat"
    flat.mkdir()
    for path in original.rglob("*.*"):
        shutil.copy(path, flat / path.name)
    assert is_maisi(flat)
    assert loaded(flat).digest == loaded(original).digest


def test_variant_chooses_weights_and_their_definitions(original: Path, folder: Path) -> None:
    write_folder(folder, "ddpm")
    with pytest.raises(InputError, match=r"several denoisers.*rflow-ct"):
        find_maisi(folder)
    with pytest.raises(InputError, match="part of none"):
        find_maisi(folder, "mr")
    ddpm = find_maisi(folder, "ddpm-ct")
    assert ddpm.settings.path.name == "config_network_ddpm.json"
    assert ddpm.controlnet is not None
    assert ddpm.controlnet.name == "controlnet_3d_ddpm-ct.pt"
    assert loaded(folder, variant="ddpm").defaults.steps == 4  # the scheduler's, whatever config_infer.json says
    assert find_maisi(folder, "rflow").digest == find_maisi(original).digest


def test_environment_names_the_autoencoder(folder: Path) -> None:
    shutil.copy(folder / "models" / "autoencoder_v1.pt", folder / "models" / "autoencoder_v2.pt")
    with pytest.raises(InputError, match="several autoencoders"):
        find_maisi(folder)
    environment = {
        "trained_autoencoder_path": "models/autoencoder_v2.pt",
        "trained_diffusion_path": "models/diff_unet_3d_rflow-ct.pt",
    }
    (folder / "configs" / "environment_rflow-ct.json").write_text(json.dumps(environment))
    assert find_maisi(folder).autoencoder.name == "autoencoder_v2.pt"


def test_models_of_mr_are_told_apart(folder: Path) -> None:
    path = folder / DENOISER
    shutil.copy(path, path.with_name("diff_unet_3d_rflow-mr-brain_v1.pt"))
    assert find_maisi(folder).denoiser == path
    path.unlink()
    with pytest.raises(InputError, match="models of MR"):
        find_maisi(folder)


@pytest.mark.parametrize(
    ("gone", "message"),
    [
        ("configs/config_network_rflow.json", "no definitions"),
        (DENOISER, "no weights of a denoiser"),
        ("models/autoencoder_v1.pt", "no weights of an autoencoder"),
    ],
)
def test_missing_files_are_named(folder: Path, gone: str, message: str) -> None:
    (folder / gone).unlink()
    with pytest.raises(InputError, match=message):
        find_maisi(folder)


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such folder"):
        find_maisi(tmp_path / "none")
    assert not is_maisi(tmp_path)


def test_safetensors_go_before_pickles(folder: Path) -> None:
    path = folder / DENOISER
    content = torch.load(path, weights_only=True)
    named = {f"unet_state_dict.{name}": one for name, one in content["unet_state_dict"].items()}
    save_file(named | {"scale_factor": torch.tensor([2.0])}, path.with_suffix(".safetensors"))
    path.write_bytes(b"no longer read")
    assert loaded(folder).scale_factor == 2.0
    save_file(content["unet_state_dict"], path.with_suffix(".safetensors"), metadata={"scale_factor": "1.5"})
    assert loaded(folder).scale_factor == 1.5


def test_tensors_and_numbers_that_training_leaves_are_read(folder: Path) -> None:
    def change(content: dict[str, Any]) -> None:
        content["scale_factor"] = MetaTensor(torch.tensor(1.25))
        content["loss"] = np.float64(0.5)
        content["unet_state_dict"] = {f"module.{name}": one for name, one in content["unet_state_dict"].items()}

    rewritten(folder / DENOISER, change)
    assert loaded(folder).scale_factor == 1.25


class Runs:
    def __reduce__(self) -> Any:
        return print, ("ran",)


def test_pickles_that_run_code_are_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = folder / "models" / "autoencoder_v1.pt"
    torch.save({"weights": Runs()}, path)
    with pytest.raises(InputError, match="more than weights"):
        loaded(folder)
    path.write_bytes(pickle.dumps(Runs(), protocol=2))
    with pytest.raises(InputError, match="autoencoder_v1"):
        loaded(folder)
    path.write_bytes(b"")
    with pytest.raises(InputError, match="cannot read the weights"):
        loaded(folder)
    assert "ran" not in capsys.readouterr().out


def test_file_without_weights(tmp_path: Path) -> None:
    torch.save({"epoch": 3}, tmp_path / "a.pt")
    with pytest.raises(InputError, match=r"no weights in it \(epoch\)"):
        read_checkpoint(tmp_path / "a.pt")
    torch.save([1], tmp_path / "a.pt")
    with pytest.raises(InputError, match="no table"):
        read_checkpoint(tmp_path / "a.pt")
    (tmp_path / "a.safetensors").write_bytes(b"no")
    with pytest.raises(InputError, match="cannot read"):
        read_checkpoint(tmp_path / "a.safetensors")


def test_weights_must_fit_the_definition(folder: Path) -> None:
    def lacking(content: dict[str, Any]) -> None:
        del content["unet_state_dict"]["out.2.conv.weight"]

    def extra(content: dict[str, Any]) -> None:
        content["unet_state_dict"]["more"] = torch.zeros(1)

    def reshaped(content: dict[str, Any]) -> None:
        content["unet_state_dict"]["class_embedding.weight"] = torch.zeros(3, 32)

    saved = (folder / DENOISER).read_bytes()
    for change, message in ((lacking, "lacks out.2"), (extra, "without a place: more"), (reshaped, "other shapes of")):
        (folder / DENOISER).write_bytes(saved)
        rewritten(folder / DENOISER, change)
        with pytest.raises(InputError, match=message):
            loaded(folder)


def test_controlnet_takes_what_it_lacks_from_the_denoiser(folder: Path) -> None:
    def partly(content: dict[str, Any]) -> None:
        content["controlnet_state_dict"] = {
            name: one
            for name, one in content["controlnet_state_dict"].items()
            if name.startswith("controlnet_") or "time_emb_proj" in name  # of another width than the denoiser's
        }

    rewritten(folder / CONTROLNET, partly)
    found = loaded(folder).controlnet
    assert found is not None
    parts, state = networks(), found.state_dict()
    assert torch.equal(state["conv_in.conv.weight"], parts["diffusion_unet"].state_dict()["conv_in.conv.weight"])
    kept = "controlnet_mid_block.conv.weight"
    assert torch.equal(state[kept], parts["controlnet"].state_dict()[kept])


def test_wrong_scale_factors_are_refused(folder: Path) -> None:
    rewritten(folder / DENOISER, lambda content: content.update(scale_factor=torch.tensor(0.0)))
    with pytest.raises(InputError, match="scale_factor 0 cannot be"):
        loaded(folder)
    rewritten(folder / DENOISER, lambda content: content.update(scale_factor=torch.tensor(float("nan"))))
    with pytest.raises(InputError, match="scale_factor nan"):
        loaded(folder)
    rewritten(folder / DENOISER, lambda content: content.update(scale_factor=torch.ones(2)))
    with pytest.raises(InputError, match="no number"):
        loaded(folder)
    rewritten(folder / DENOISER, lambda content: content.update(scale_factor=None))
    with pytest.raises(InputError, match="has no scale_factor"):
        loaded(folder)
    assert loaded(folder, scale_factor=0.9).scale_factor == 0.9


def test_scale_factor_is_checked_against_volumes(original: Path) -> None:
    hu = np.random.default_rng(0).integers(-1200, 1200, (18, 20, 20)).astype(np.int16)
    volume = Volume(hu, np.eye(4))
    pipe = loaded(original)
    voxels = torch.from_numpy(network_input(hu[1:17])).permute(2, 1, 0).flip(0, 1)
    with torch.no_grad():
        expected = 1 / pipe.autoencoder.encode(voxels[None, None])[0].std(correction=0).item()
    right = loaded(original, scale_factor=1.2 * expected)
    assert check_scale(right, [volume]) == pytest.approx(expected, rel=1e-5)
    with pytest.raises(InputError, match="these CTs ask for"):
        check_scale(loaded(original, scale_factor=1.5 * expected), [volume])
    with pytest.raises(InputError, match="at least 4"):
        check_scale(right, [Volume(np.zeros((3, 8, 8), np.int16), np.eye(4))])


def test_definitions_that_fit_nothing_are_refused(folder: Path) -> None:
    path = folder / "configs" / "config_network_rflow.json"
    saved = path.read_text()

    def named(content: dict[str, Any]) -> None:
        content["autoencoder_def"]["_target_"] = "os.system"

    def unknown(content: dict[str, Any]) -> None:
        content["diffusion_unet_def"]["colour"] = 1

    def wrong(content: dict[str, Any]) -> None:
        content["diffusion_unet_def"]["num_channels"] = [7, 9]

    def other(content: dict[str, Any]) -> None:
        content["controlnet_def"]["num_channels"] = [8, 24]

    def expression(content: dict[str, Any]) -> None:
        content["latent_channels"] = "$2 + 2"

    def wide(content: dict[str, Any]) -> None:
        content["diffusion_unet_def"]["in_channels"] = 5

    def nothing(content: dict[str, Any]) -> None:
        del content["noise_scheduler"]

    for change, message in (
        (named, "is a system"),
        (unknown, "has colour"),
        (wrong, "makes no DiffusionModelUNetMaisi"),
        (other, r"ControlNet has \[8, 24\]"),
        (expression, "expressions are not run"),
        (wide, "autoencoder makes 4 channels and the denoiser takes 5"),
        (nothing, "has no noise_scheduler"),
    ):
        path.write_text(saved)
        redefined(folder, change)
        with pytest.raises(InputError, match=message):
            loaded(folder)


def test_references(tmp_path: Path) -> None:
    settings = Settings(
        tmp_path,
        {"a": "@b#0", "b": ["@c::d", 2], "c": {"d": 7}, "e": "$@c", "f": "@g", "g": "@f", "h": "@none", "i": None},
    )
    assert settings.get("a") == 7
    assert settings.get("e") == {"d": 7}
    assert settings.get("i", 5) == 5
    for name, message in (("f", "round in circles"), ("h", "@none, which is not there")):
        with pytest.raises(InputError, match=message):
            settings.get(name)


@pytest.mark.parametrize("content", ["[1]", "{", '{"a": ' * 5000])
def test_broken_settings(folder: Path, content: str) -> None:
    (folder / "configs" / "config_network_rflow.json").write_text(content)
    with pytest.raises(InputError, match="config_network_rflow"):
        find_maisi(folder)


def test_unusable_sampling_settings(folder: Path) -> None:
    for change in (
        {"output_size": [1, 2]},
        {"modality": "mri_t1"},
        {"spacing": "much"},
        {"top_region_index": [1, 1, 0, 0]},
    ):
        (folder / "configs" / "config_infer.json").write_text(json.dumps(change))
        with pytest.raises(InputError, match=r"settings of sampling|modality"):
            loaded(folder)
