from __future__ import annotations

import json
import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from synth.core.errors import InputError
from synth.metrics.extractors import extractor
from synth.metrics.images.windowing import resize_grey

torch = pytest.importorskip("torch")
IMAGES = np.random.default_rng(4).integers(0, 256, (2, 20, 30), dtype=np.uint8)


class Trunk(torch.nn.Module):
    """A classifier as timm and torchvision make them, with or without its last layer."""

    def __init__(self, classes=0):
        super().__init__()
        self.conv = torch.nn.Conv2d(3, 4, 3)
        self.fc = torch.nn.Linear(4, classes) if classes else torch.nn.Identity()

    def forward(self, x):
        return self.fc(self.conv(x).mean((2, 3)))


def fake(monkeypatch, name, **members):
    module = ModuleType(name)
    for key, value in members.items():
        setattr(module, key, value)
    monkeypatch.setitem(sys.modules, name, module)
    return module


@pytest.fixture
def trunk(monkeypatch, tmp_path):
    """A trained classifier whose weights a fake safetensors reads from a folder."""
    torch.manual_seed(0)
    network = Trunk(5).eval()
    weights = dict(network.state_dict())
    fake(monkeypatch, "safetensors")
    fake(monkeypatch, "safetensors.torch", load_file=lambda path: dict(weights))
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    return SimpleNamespace(folder=tmp_path, network=network, weights=weights)


def write(folder, name="config.json", **config):
    (folder / name).write_text(json.dumps(config))


def expected(network, size, mean, std):
    resized = np.stack([resize_grey(image, size).clip(0, 255) for image in IMAGES])[:, None] / 255
    pixels = (np.repeat(resized, 3, 1) - np.reshape(mean, (3, 1, 1))) / np.reshape(std, (3, 1, 1))
    with torch.inference_mode():
        return network.conv(torch.from_numpy(pixels.astype(np.float32))).mean((2, 3)).numpy()


def test_timm_without_its_head(trunk, monkeypatch):
    asked = {}

    def create_model(architecture, **options):
        asked.update(options, architecture=architecture)
        return Trunk()

    fake(monkeypatch, "timm", create_model=create_model)
    scale = {"input_size": [3, 12, 14], "mean": [0.1, 0.2, 0.3], "std": [0.4, 0.5, 0.6]}
    write(trunk.folder, architecture="resnet50", model_args={"drop_rate": 0.0}, pretrained_cfg=scale)
    found = extractor(trunk.folder, device="cpu")
    assert asked == {"architecture": "resnet50", "pretrained": False, "num_classes": 0, "drop_rate": 0.0}
    assert np.abs(found.features(IMAGES) - expected(trunk.network, (12, 14), scale["mean"], scale["std"])).max() < 1e-5
    assert found.name == trunk.folder.name
    write(trunk.folder, architecture="resnet18")
    assert extractor(trunk.folder, device="cpu").version_hash != found.version_hash


def test_torchvision_without_its_head(trunk, monkeypatch):
    models = SimpleNamespace(get_model=lambda name, weights: Trunk(1000))
    fake(monkeypatch, "torchvision", models=models)
    write(trunk.folder, library="torchvision", architecture="resnet50", size=16, mean=[0, 0, 0], std=[1, 1, 1])
    found = extractor("radimagenet", weights=trunk.folder, device="cpu").features(IMAGES)
    assert np.abs(found - expected(trunk.network, (16, 16), [0] * 3, [1] * 3)).max() < 1e-5


def test_weights_that_do_not_fit_are_refused(trunk, monkeypatch):
    fake(monkeypatch, "timm", create_model=lambda *a, **k: Trunk())
    write(trunk.folder, architecture="resnet50")
    bias = trunk.weights.pop("conv.bias")
    with pytest.raises(InputError, match=r"lack 'conv\.bias'"):
        extractor(trunk.folder)
    trunk.weights["conv.bias"] = bias[:2]
    with pytest.raises(InputError, match="do not fit the architecture"):
        extractor(trunk.folder)
    trunk.weights.update({"conv.bias": bias, "other.weight": bias})
    with pytest.raises(InputError, match=r"have 'other\.weight'"):
        extractor(trunk.folder)


def test_the_image_tower_of_an_open_clip_model(trunk, monkeypatch):
    projection = torch.randn(3, 4)
    tower = {f"visual.trunk.{key}": value for key, value in trunk.weights.items() if not key.startswith("fc")}
    text = {"text.proj.weight": torch.ones(1)}
    monkeypatch.setattr(sys.modules["safetensors.torch"], "load_file",
                        lambda path: tower | text | {"visual.head.proj.weight": projection})  # fmt: skip
    fake(monkeypatch, "timm", create_model=lambda *a, **k: Trunk())
    vision = {"timm_model_name": "vit_base_patch16_224", "timm_proj": "linear", "timm_pool": "", "image_size": 18}
    scale = {"mean": [0.4, 0.4, 0.4], "std": [0.2, 0.2, 0.2]}
    write(trunk.folder, "open_clip_config.json", model_cfg={"vision_cfg": vision}, preprocess_cfg=scale)
    found = extractor("biomedclip", weights=trunk.folder, device="cpu").features(IMAGES)
    hidden = expected(trunk.network, (18, 18), scale["mean"], scale["std"])
    assert np.abs(found - hidden @ projection.numpy().T).max() < 1e-5
    write(trunk.folder, "open_clip_config.json", model_cfg={"vision_cfg": {"layers": 12}})
    with pytest.raises(InputError, match="timm image tower"):
        extractor("biomedclip", weights=trunk.folder)


class Vision(torch.nn.Module):
    """A transformers model: pooled output, hidden states, or the image embedding of a CLIP-like model."""

    def forward(self, pixel_values):
        tokens = pixel_values.mean(1).flatten(1)[:, None, :6].repeat(1, 3, 1)
        return SimpleNamespace(pooler_output=None, last_hidden_state=tokens * torch.tensor([[1.0], [2.0], [3.0]]))


class Pooled(Vision):
    def forward(self, pixel_values):
        return SimpleNamespace(pooler_output=pixel_values.mean((2, 3), keepdim=True))


class Clip(Vision):
    def get_image_features(self, pixel_values):
        return pixel_values.amax((2, 3))


class Clip5(Vision):
    def get_image_features(self, pixel_values):
        return SimpleNamespace(pooler_output=pixel_values.amax((2, 3)))


def fake_transformers(monkeypatch, model):
    calls = []

    def processor(images, return_tensors):
        assert return_tensors == "pt"
        assert all(image.mode == "RGB" for image in images)
        return {
            "pixel_values": torch.stack([torch.from_numpy(np.array(image)).permute(2, 0, 1) / 255 for image in images])
        }

    def loader(made):
        def from_pretrained(folder, **options):
            calls.append(options)
            return made

        return SimpleNamespace(from_pretrained=from_pretrained)

    fake(monkeypatch, "transformers", AutoImageProcessor=loader(processor), AutoModel=loader(model()))
    return calls


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (Vision, IMAGES.reshape(2, -1)[:, :6] / 255),
        (Pooled, np.repeat(IMAGES.mean((1, 2))[:, None], 3, 1) / 255),
        (Clip, np.repeat(IMAGES.max((1, 2))[:, None], 3, 1) / 255),
        (Clip5, np.repeat(IMAGES.max((1, 2))[:, None], 3, 1) / 255),
    ],
)
def test_hugging_face_models_stay_offline_and_run_no_code(monkeypatch, tmp_path, model, expected):
    calls = fake_transformers(monkeypatch, model)
    write(tmp_path, model_type="dinov2")
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    found = extractor("raddino", weights=tmp_path, device="cpu")
    assert np.abs(found.features(IMAGES) - expected).max() < 1e-6
    for options in calls:
        assert options["local_files_only"] is True
        assert options["trust_remote_code"] is False
    assert calls[1]["use_safetensors"] is True


def test_models_are_looked_for_in_our_folder_then_in_the_hubs_cache(monkeypatch, tmp_path):
    fake_transformers(monkeypatch, Pooled)
    monkeypatch.delenv("SYNTH_WEIGHTS", raising=False)
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    with pytest.raises(InputError, match=r"hf download microsoft/rad-dino .*SYNTH_WEIGHTS/raddino"):
        extractor("raddino")
    repository = tmp_path / "hf" / "hub" / "models--microsoft--rad-dino"
    for folder in (repository / "snapshots" / "1a", tmp_path / "ours" / "raddino"):
        folder.mkdir(parents=True)
        write(folder, model_type="dinov2")
        (folder / "model.safetensors").write_bytes(folder.name.encode())
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("1a")
    hub = extractor("raddino", device="cpu").version_hash
    monkeypatch.setenv("SYNTH_WEIGHTS", str(tmp_path / "ours"))
    assert extractor("raddino", device="cpu").version_hash != hub
    with pytest.raises(InputError, match="radimagenet was not found"):
        extractor("radimagenet")


def test_pickled_weights_are_refused_even_where_a_library_would_read_them(tmp_path):
    write(tmp_path, model_type="dinov2")
    (tmp_path / "pytorch_model.bin").write_bytes(b"x")
    with pytest.raises(InputError, match=r"pytorch_model\.bin.*run code.*weights_only=True"):
        extractor(tmp_path)
    (tmp_path / "pytorch_model.bin").unlink()
    with pytest.raises(InputError, match="no weights in it"):
        extractor(tmp_path)


def test_missing_libraries_are_named(trunk, monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    write(trunk.folder, architecture="resnet50")
    with pytest.raises(InputError, match=r"needs timm torch.*pip install timm torch"):
        extractor(trunk.folder)


def test_unknown_names_and_options(tmp_path):
    with pytest.raises(InputError, match="did you mean 'radiomics'"):
        extractor("radiomic")
    with pytest.raises(InputError, match="no option 'device'"):
        extractor("radiomics", device="cpu")
    with pytest.raises(InputError, match="no option 'window'"):
        extractor("radiomics", window="minmax")
    with pytest.raises(InputError, match="is no extractor"):
        extractor(3)
    with pytest.raises(InputError, match="no weights in it"):
        extractor(tmp_path)
    write(tmp_path)
    (tmp_path / "a.safetensors").write_bytes(b"x")
    with pytest.raises(InputError, match="not a model read here"):
        extractor(tmp_path)
