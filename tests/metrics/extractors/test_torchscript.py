from __future__ import annotations

import hashlib
import shlex
import subprocess
import sys
import warnings
import zipfile

import numpy as np
import pytest

from synth.core.errors import InputError
from synth.metrics.extractors import extractor
from synth.metrics.extractors.torchscript import conversion_command, is_torchscript, load_torchscript

torch = pytest.importorskip("torch")
IMAGES = np.random.default_rng(3).integers(0, 256, (2, 20, 30), dtype=np.uint8)


class Mean(torch.nn.Module):
    def forward(self, x):
        return torch.cat([x.mean((2, 3)), x.amax((2, 3))], 1)


class Writes(torch.nn.Module):
    def forward(self, x):
        torch.save(x, "stolen")
        return x.mean((2, 3))


class Maps(torch.nn.Module):
    def forward(self, x):
        return x.mean((2, 3)) + torch.from_file("stolen", True, 3)


def save(path, network):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.save(torch.jit.script(network), str(path))
    return path


def test_a_file_or_its_folder_is_an_extractor(tmp_path):
    path = save(tmp_path / "model.pt", Mean())
    (tmp_path / "config.json").write_text('{"size": [10, 12], "mean": [0.5, 0, 0], "std": [0.25, 1, 1]}')
    one, other = extractor(path, device="cpu"), extractor(tmp_path, device="cpu")
    assert one.dimension == 6
    assert one.version_hash == other.version_hash
    constant = np.full((1, 7, 7), 51, np.uint8)
    assert np.allclose(one.features(constant), [[(0.2 - 0.5) / 0.25, 0.2, 0.2] * 2], atol=1e-6)
    assert np.array_equal(one.features(IMAGES), other.features(IMAGES))
    (tmp_path / "config.json").write_text('{"size": 10}')
    assert extractor(path, device="cpu").version_hash != one.version_hash


@pytest.mark.parametrize("network", [Writes, Maps])
def test_programs_that_touch_files_are_refused(tmp_path, network, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = save(tmp_path / "model.pt", network())
    with pytest.raises(InputError, match=r"refused: its program calls (save|from_file)"):
        extractor(path)
    assert not (tmp_path / "stolen").exists()


@pytest.mark.parametrize(
    "call", ["(torch).save(x, 'a')", "torch . from_file('a', True, 3)", "getattr(torch, 'save')(x)"]
)
def test_other_spellings_are_refused(tmp_path, call):
    whole = zipfile.ZipFile(save(tmp_path / "model.pt", Mean()))
    path = tmp_path / "changed.pt"
    with zipfile.ZipFile(path, "w") as archive:
        for name in whole.namelist():
            code = whole.read(name)
            archive.writestr(
                name, code.replace(b"return", f"{call}\n    return".encode()) if name.endswith(".py") else code
            )
    with pytest.raises(InputError, match="refused"):
        extractor(path)


def test_pickles_are_refused_with_the_command_that_converts_them(tmp_path):
    path = tmp_path / "my weights.pt"
    torch.save({"state_dict": {"a": torch.ones(2)}}, path)
    assert not is_torchscript(path)
    for source in (path, tmp_path):
        with pytest.raises(InputError) as caught:
            extractor(source)
        assert conversion_command(path) in str(caught.value)
    words = shlex.split(conversion_command(path))
    assert words[3:] == [str(path), str(tmp_path / "my weights.safetensors")]
    fake = (
        "import types; m = types.ModuleType('safetensors.torch'); m.save_file = lambda w, p: print(p, w['a'].sum())\n"
    )
    fake += "sys.modules['safetensors'] = types.ModuleType('safetensors'); sys.modules['safetensors.torch'] = m\n"
    words[2] = "import sys\n" + fake + words[2]
    done = subprocess.run([sys.executable, *words[1:]], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [*f"{tmp_path}/my weights.safetensors".split(), "tensor(2.)"]


def test_a_hash_that_is_asked_for_must_be_that_of_the_file(tmp_path):
    path = save(tmp_path / "model.pt", Mean())
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert load_torchscript(path, "cpu", sha256=digest)[1] == digest
    with pytest.raises(InputError, match=f"its SHA-256 is {digest}"):
        load_torchscript(path, "cpu", sha256="0" * 64)


def test_broken_files_and_wrong_modules_are_named(tmp_path):
    path = save(tmp_path / "model.pt", Mean())
    whole = path.read_bytes()
    for data in (b"", whole[: len(whole) // 2], b"PK" + whole[2:400]):
        path.write_bytes(data)
        with pytest.raises(InputError, match=r"model\.pt"):
            extractor(path)
    with pytest.raises(InputError, match=r"does not take \(1, 3, 224, 224\)"):
        extractor(save(tmp_path / "linear.pt", torch.nn.Linear(3, 3)))
