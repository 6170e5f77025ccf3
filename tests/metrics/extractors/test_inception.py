from __future__ import annotations

import hashlib
import warnings

import numpy as np
import pytest

from synth.core.errors import InputError
from synth.metrics.extractors import extractor, features
from synth.metrics.extractors import inception as module
from synth.metrics.extractors.inception import FILE_NAME, clean_resize

torch = pytest.importorskip("torch")
IMAGES = np.random.default_rng(9).integers(0, 256, (3, 40, 50), dtype=np.uint8)


class Layers(torch.nn.Module):
    """A random network with the real one's shapes: (n, 3, 299, 299) → (n, 2048, 1, 1)."""

    def __init__(self):
        super().__init__()
        self.mix = torch.nn.Conv2d(3, 2048, 1)

    def forward(self, x):
        return self.mix(x.abs().mean((2, 3), keepdim=True))


class Inception(torch.nn.Module):
    """What the file of that name holds: the part `layers`."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.layers = Layers()

    def forward(self, x):
        return self.layers(x)


def save(path, network):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.save(torch.jit.script(network.eval()), str(path))
    return path


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return save(tmp_path_factory.mktemp("inception") / FILE_NAME, Inception())


@pytest.fixture(autouse=True)
def _alone(monkeypatch, tmp_path):
    """A machine without any weights."""
    for name in ("XDG_CACHE_HOME", "TORCH_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "cache"))
    monkeypatch.delenv("SYNTH_WEIGHTS", raising=False)
    monkeypatch.setattr(module, "_usual_places", lambda: iter([tmp_path / "usual" / FILE_NAME]))


def test_the_network_sees_what_clean_fid_would_show_it(weights):
    chosen = extractor("inception", weights=weights, device="cpu")
    expected = []
    for image in IMAGES:
        channels = np.stack([clean_resize(image)] * 3)
        with torch.inference_mode():
            expected.append(Inception().layers((torch.from_numpy(channels)[None] - 128) / 128).flatten().numpy())
    found = chosen.features(IMAGES)
    assert (found.shape, found.dtype) == ((3, 2048), np.float64)
    assert np.abs(found - expected).max() < 1e-6
    assert chosen.dimension == len(chosen.feature_names()) == 2048
    assert np.abs(chosen.features(IMAGES[:1]) - found[:1]).max() < 1e-6


def test_resizing_equals_clean_fids():
    resize = pytest.importorskip("cleanfid.resize").build_resizer("clean")
    for shape in ((40, 50), (299, 299), (700, 400)):
        image = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
        assert np.array_equal(np.dstack([clean_resize(image)] * 3), resize(np.dstack([image] * 3)))


def test_resized_values_stay_within_0_and_255():
    edge = np.zeros((30, 30), np.uint8)
    edge[:, 15:] = 255
    resized = clean_resize(edge)
    assert (resized.dtype, resized.min(), resized.max()) == (np.float32, 0, 255)


def test_the_window_decides_what_16_bits_become(weights):
    deep = IMAGES * np.uint16(16)
    full, window = (extractor("inception", weights=weights, window=w, device="cpu") for w in ("full", (0, 255 * 16)))
    eight = extractor("inception", weights=weights, device="cpu").features(IMAGES)
    assert np.array_equal(window.features(deep), eight)
    assert not np.allclose(full.features(deep), eight)
    assert full.version_hash != window.version_hash


def test_absence_is_one_line_that_says_what_to_do():
    with pytest.raises(InputError) as caught:
        extractor("inception")
    text = str(caught.value)
    assert "\n" not in text
    for part in ("not found", "nvlabs-fi-cdn", module.SHA256, "SYNTH_WEIGHTS", "weights="):
        assert part in text
    with pytest.raises(InputError, match="no such file"):
        extractor("inception", weights="gone.pt")


def test_named_weights_may_be_others_and_it_is_noted(weights, monkeypatch):
    assert "not FID's network" in extractor("inception", weights=weights.parent).notes[0]
    monkeypatch.setenv("SYNTH_WEIGHTS", str(weights.parent))
    assert features(IMAGES, "inception", cache=False).warnings[-1].startswith(str(weights))
    monkeypatch.setattr(module, "SHA256", hashlib.sha256(weights.read_bytes()).hexdigest())
    assert extractor("inception").notes == ()


def test_found_weights_must_have_the_known_hash(weights, monkeypatch, tmp_path):
    (tmp_path / "usual").mkdir()
    (tmp_path / "usual" / FILE_NAME).write_bytes(weights.read_bytes())
    with pytest.raises(InputError, match="another SHA-256"):
        extractor("inception")
    monkeypatch.setattr(module, "SHA256", hashlib.sha256(weights.read_bytes()).hexdigest())
    assert extractor("inception").dimension == 2048


def test_other_networks_and_volumes_are_refused(tmp_path, weights):
    with pytest.raises(InputError, match="without the part 'layers'"):
        extractor("inception", weights=save(tmp_path / "other.pt", torch.nn.Flatten()))
    with pytest.raises(InputError, match="not volumes"):
        extractor("inception", weights=weights).features(IMAGES[None])
