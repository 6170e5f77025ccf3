"""One run, a run in pieces, a run in parts and a run in two processes: the same weights."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from synth.core.errors import InputError, InterruptedRun
from synth.diffusion.training import checkpoint
from synth.diffusion.training.autoencoder import train_autoencoder
from synth.diffusion.training.ema import PowerMean, exponent
from synth.diffusion.training.loop import Run, train
from synth.diffusion.training.machine import accelerator_for
from synth.diffusion.training.settings import StageSettings
from tests.diffusion.training.sets import AUTOENCODER, opened, write_set

if TYPE_CHECKING:
    from collections.abc import Iterator

    from synth.diffusion.training.data import TrainingData
    from synth.diffusion.training.order import Share

REPOSITORY = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> TrainingData:
    folder = tmp_path_factory.mktemp("data")
    return opened(write_set(folder / "set"), folder / "cache")


def run(**options: Any) -> Run:
    return Run(accelerator_for("fp32", threads=1), **options)


def weights(out: Path) -> dict[str, torch.Tensor]:
    return load_file(out / "model" / "diffusion_pytorch_model.safetensors")


def same(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def files(out: Path) -> dict[str, bytes]:
    kept = [path for path in sorted(out.rglob("*")) if path.is_file() and "checkpoints" not in path.parts]
    return {str(path.relative_to(out)): path.read_bytes() for path in kept}


@pytest.mark.parametrize("critic", [0.0, 0.5])
def test_a_stopped_and_resumed_run_ends_in_the_bytes_of_one(data: TrainingData, tmp_path: Path, critic: float) -> None:
    settings = AUTOENCODER.model_copy(update={"critic": critic, "critic_from": 0.3})
    train_autoencoder(settings, data, tmp_path / "one", run())
    for _ in range(settings.steps - 1):  # every call stops after its first step
        with pytest.raises(InterruptedRun, match="--resume"):
            train_autoencoder(settings, data, tmp_path / "pieces", run(resume=True, stop_after=0))
    train_autoencoder(settings, data, tmp_path / "pieces", run(resume=True, stop_after=0))
    one, pieces = files(tmp_path / "one"), files(tmp_path / "pieces")
    assert one.keys() == pieces.keys()
    assert [name for name in one if one[name] != pieces[name]] == []


def test_a_killed_run_ends_in_the_bytes_of_one(data: TrainingData, tmp_path: Path) -> None:
    """Killed without warning in the middle of a step, with half a checkpoint on the disk."""
    train_autoencoder(AUTOENCODER, data, tmp_path / "one", run())
    part = tmp_path / "killed" / "checkpoints" / ".00000006.part"
    part.mkdir(parents=True)
    (part / "00000.safetensors").write_bytes(b"half")
    code = (
        "import os, signal\n"
        "from pathlib import Path\n"
        "from synth.diffusion.training.autoencoder import AutoencoderStage, train_autoencoder\n"
        "from tests.diffusion.training.sets import AUTOENCODER, opened\n"
        "from tests.diffusion.training.test_loop import run\n"
        "whole = AutoencoderStage.losses\n"
        "def losses(self, nets, share):\n"
        "    if share.step == 5:\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "    yield from whole(self, nets, share)\n"
        "AutoencoderStage.losses = losses\n"
        f"data = opened(Path({str(data.examples.root)!r}), Path({str(data.folder)!r}))\n"  # type: ignore[attr-defined]
        f"train_autoencoder(AUTOENCODER, data, Path({str(tmp_path / 'killed')!r}), run())\n"
    )
    killed = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert killed.returncode == -9, killed.stderr
    assert not (tmp_path / "killed" / "scores.json").exists()
    train_autoencoder(AUTOENCODER, data, tmp_path / "killed", run(resume=True))
    assert same(weights(tmp_path / "one"), weights(tmp_path / "killed"))
    assert [path.name for path in sorted((tmp_path / "killed" / "checkpoints").iterdir())] == ["00000004", "00000006"]


def test_a_batch_in_parts_gives_nearly_the_same_weights(data: TrainingData, tmp_path: Path) -> None:
    train_autoencoder(AUTOENCODER, data, tmp_path / "whole", run())
    train_autoencoder(AUTOENCODER.model_copy(update={"accumulate": 2}), data, tmp_path / "parts", run())
    first, second = weights(tmp_path / "whole"), weights(tmp_path / "parts")
    for name in first:
        torch.testing.assert_close(second[name], first[name], rtol=1e-3, atol=1e-5, msg=name)


def test_a_compiled_network_learns_nearly_the_same(
    data: TrainingData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train_autoencoder(AUTOENCODER, data, tmp_path / "plain", run())
    compiled: list[torch.nn.Module] = []

    def traced(net: torch.nn.Module) -> torch.nn.Module:
        compiled.append(net)
        return real(net, backend="aot_eager")  # all but the C++ compiler

    real: Any = torch.compile
    monkeypatch.setattr(torch, "compile", traced)
    train_autoencoder(AUTOENCODER.model_copy(update={"compile": True}), data, tmp_path / "fused", run())
    assert compiled
    first, second = weights(tmp_path / "plain"), weights(tmp_path / "fused")
    for name in first:
        torch.testing.assert_close(second[name], first[name], rtol=1e-3, atol=1e-5, msg=name)


def test_two_processes_give_nearly_the_weights_of_one(data: TrainingData, tmp_path: Path) -> None:
    train_autoencoder(AUTOENCODER, data, tmp_path / "one", run())
    script = tmp_path / "two.py"
    script.write_text(
        "from pathlib import Path\n"
        "import torch\n"
        "from synth.diffusion.training.autoencoder import train_autoencoder\n"
        "from tests.diffusion.training.sets import AUTOENCODER, opened\n"
        "from tests.diffusion.training.test_loop import run\n"
        "call = run()\n"
        "assert call.accelerator.num_processes == 2\n"
        f"data = opened(Path({str(data.examples.root)!r}), Path({str(data.folder)!r}))\n"  # type: ignore[attr-defined]
        f"train_autoencoder(AUTOENCODER, data, Path({str(tmp_path / 'two')!r}), call)\n"
        "torch.distributed.destroy_process_group()\n"
    )
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", str(script)]
    environment = {**os.environ, "ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1", "PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    one, two = weights(tmp_path / "one"), weights(tmp_path / "two")
    for name in one:
        torch.testing.assert_close(two[name], one[name], rtol=1e-3, atol=1e-5, msg=name)
    logs = [np.genfromtxt(tmp_path / which / "log.csv", delimiter=",", names=True) for which in ("one", "two")]
    np.testing.assert_allclose(logs[0]["loss"], logs[1]["loss"], rtol=1e-4)


def test_another_run_is_not_written_over(data: TrainingData, tmp_path: Path) -> None:
    with pytest.raises(InterruptedRun):
        train_autoencoder(AUTOENCODER, data, tmp_path, run(stop_after=0))
    with pytest.raises(InputError, match="--resume"):
        train_autoencoder(AUTOENCODER, data, tmp_path, run())
    with pytest.raises(InputError, match="was begun with lr"):
        train_autoencoder(AUTOENCODER.model_copy(update={"lr": 0.5}), data, tmp_path, run(resume=True))


def test_a_damaged_checkpoint_is_told(data: TrainingData, tmp_path: Path) -> None:
    with pytest.raises(InterruptedRun):
        train_autoencoder(AUTOENCODER, data, tmp_path, run(stop_after=0))
    (tmp_path / "checkpoints" / "00000001" / "00000.safetensors").write_bytes(b"damaged")
    with pytest.raises(InputError, match="not a checkpoint"):
        train_autoencoder(AUTOENCODER, data, tmp_path, run(resume=True))


@dataclass
class _Line:
    """Finds w of y = w x by least squares: a stage whose answer is known."""

    net: torch.nn.Linear

    n_train = 64

    def __post_init__(self) -> None:
        self.nets = [self.net]

    def losses(self, nets: Any, share: Share) -> Iterator[tuple[torch.Tensor, dict[str, torch.Tensor]]]:
        x = share.normal((1,))
        loss = (nets[0](x) - 3 * x).square().mean()
        yield loss, {"loss": loss}

    def validate(self, net: Any) -> dict[str, float]:
        return {"loss": float((net.weight - 3).square())}

    def picture(self, net: Any) -> np.ndarray[Any, Any]:
        return np.zeros((2, 2), np.uint8)


def test_the_loop_finds_what_is_known(tmp_path: Path) -> None:
    torch.manual_seed(0)
    settings = StageSettings(steps=300, lr=0.05, weight_decay=0.0, warmup=10, log_every=100)
    net, scores = train(_Line(torch.nn.Linear(1, 1, bias=False)), settings, run(), tmp_path)
    assert float(net.weight) == pytest.approx(3, abs=0.05)
    assert scores["steps"] == 300
    assert (tmp_path / "curves.svg").read_text().startswith("<svg")


def test_time_ends_a_stage_and_its_learning_rate(tmp_path: Path) -> None:
    settings = StageSettings(steps=10**9, max_minutes=1e-3, log_every=1, save_every=10**6)
    _, scores = train(_Line(torch.nn.Linear(1, 1)), settings, run(), tmp_path)
    assert 1 <= scores["steps"] < 10**5
    assert settings.rate(5, 1.0) == pytest.approx(0)
    assert settings.rate(10**8, 0.0) == pytest.approx(settings.lr)


def test_a_power_mean_weighs_steps_by_their_power() -> None:
    """Karras et al. 2024, eq. 4 and 7: weights ∝ step^γ, and the width is their standard deviation over the steps."""
    gamma, n = exponent(0.1), 400
    assert math.sqrt((gamma + 1) / ((gamma + 2) ** 2 * (gamma + 3))) == pytest.approx(0.1)
    net = torch.nn.Linear(1, 1, bias=False).double()
    mean = PowerMean(net, 0.1)
    shares = []
    for only in (100, 300, 400):
        with torch.no_grad():
            mean.means["weight"].zero_()
            for step in range(1, n + 1):
                net.weight.fill_(float(step == only))
                mean.update(net, step)
        shares.append(float(mean.means["weight"]))
    assert shares[2] / shares[1] == pytest.approx((400 / 300) ** gamma, rel=0.03)
    assert shares[1] / shares[0] == pytest.approx(3**gamma, rel=0.05)


def test_checkpoints_come_in_shards_and_leave_two(tmp_path: Path) -> None:
    tensors = {f"t{k}": torch.full((1024, 1024), float(k)) for k in range(9)}  # 4 MiB each
    for step in (1, 2, 3):
        checkpoint.save(tmp_path, step, tensors, {"seconds": 1.5})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["00000002", "00000003"]
    sizes = [path.stat().st_size for path in (tmp_path / "00000003").glob("*.safetensors")]
    assert len(sizes) == 3
    assert max(sizes) <= 16 * 2**20 + 4096
    found = checkpoint.load_newest(tmp_path)
    assert found is not None
    assert found[1] == {"step": 3, "seconds": 1.5}
    assert all(torch.equal(found[0][name], tensors[name]) for name in tensors)
