"""The loop that all stages share: steps, means of weights, validation, pictures, checkpoints, and how a run goes on."""

from __future__ import annotations

import copy
import signal
import threading
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import torch
from PIL import Image

from synth.core.errors import InputError, InterruptedRun
from synth.core.files import atomic_path
from synth.diffusion.training import checkpoint
from synth.diffusion.training.curves import Log
from synth.diffusion.training.ema import PowerMean
from synth.diffusion.training.machine import agreed, plain
from synth.diffusion.training.order import shares

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    import numpy as np
    from accelerate import Accelerator
    from numpy.typing import NDArray
    from torch import Tensor, nn

    from synth.diffusion.training.order import Share
    from synth.diffusion.training.settings import StageSettings

__all__ = ["Run", "Stage", "seconds_a_step", "train"]


class Stage(Protocol):
    """What is trained, and how it is judged."""

    nets: Sequence[nn.Module]
    """The networks that are trained, each with an optimiser; the first is the one that is wanted."""
    n_train: int
    """Examples."""

    def losses(self, nets: Sequence[nn.Module], share: Share) -> Iterator[tuple[Tensor, Mapping[str, Tensor]]]:
        """What is minimised, one after the other, each with what the log shows; means over the share.

        Args:
            nets: `nets`, as accelerate wraps them.
            share: What to work on.
        """

    def validate(self, net: Any) -> Mapping[str, float]:
        """Scores of a copy of `nets[0]` on validation examples, "loss" among them; the same draws every time."""

    def picture(self, net: Any) -> NDArray[np.uint8]:
        """What it makes, to be looked at: (h, w) or (h, w, 3)."""


@dataclass(frozen=True)
class Run:
    """One call.

    Attributes:
        accelerator: Processes, device and precision.
        resume: Go on from the last checkpoint.
        stop_after: Minutes after which this call stops with a checkpoint; None: none.
        tell: Takes a line on progress.
        started: When this call began, by the monotonic clock.
    """

    accelerator: Accelerator
    resume: bool = False
    stop_after: float | None = None
    tell: Callable[[str], None] = lambda line: None
    started: float = field(default_factory=time.monotonic)

    @property
    def main(self) -> bool:
        """Whether this process writes."""
        return bool(self.accelerator.is_main_process)

    @property
    def seconds_left(self) -> float:
        """Until this call has to stop."""
        if self.stop_after is None:
            return float("inf")
        return 60 * self.stop_after - (time.monotonic() - self.started)


def train(stage: Stage, settings: StageSettings, run: Run, out: Path) -> tuple[Any, dict[str, float]]:
    """Trains `stage.nets[0]`.

    Args:
        stage: What.
        settings: How.
        run: This call.
        out: The stage's folder: log.csv, curves.svg, samples/, checkpoints/.

    Returns:
        A copy of the net with the mean of its weights that validates best, and its scores; "ema" is the mean's width.

    Raises:
        InputError: The folder holds a run and `resume` is off, or the batch cannot be shared out.
        InterruptedRun: Stopped; a checkpoint is there.
    """
    parts = run.accelerator.num_processes * settings.accumulate
    if settings.batch % parts:
        raise InputError(f"batch {settings.batch}: give a multiple of {parts} (processes × accumulate)")
    return _Loop(stage, settings, run, out).run_all()


def seconds_a_step(stage: Stage, settings: StageSettings, run: Run, out: Path) -> float:
    """What a step takes on this machine: the least of three, after one that does not count."""
    loop, took = _Loop(stage, settings, run, out), []
    for _ in range(4):
        began = time.monotonic()
        loop._one_step()
        took.append(time.monotonic() - began)
    return min(took[1:])


class _Loop:
    def __init__(self, stage: Stage, settings: StageSettings, run: Run, out: Path) -> None:
        self.stage, self.settings, self.call, self.out = stage, settings, run, out
        found = checkpoint.load_newest(out / "checkpoints")
        if found and not run.resume:
            raise InputError(f"{out}: holds a training run; go on with --resume, or name a new folder")
        # A net of its own for validation: that of training may be spread over processes, and is never disturbed.
        self.judged = copy.deepcopy(stage.nets[0]).requires_grad_(False).eval()
        optimizers = [_optimizer(net, settings) for net in stage.nets]
        prepared = run.accelerator.prepare(*stage.nets, *optimizers)
        self.nets, self.optimizers = prepared[: len(stage.nets)], prepared[len(stage.nets) :]
        self.trained = [plain(net) for net in self.nets]
        if settings.compile:
            self.nets = [torch.compile(net) for net in self.nets]
        self.step, self.seconds = 0, 0.0
        self.sums: dict[str, float] = {}
        self.means = [PowerMean(self.trained[0], width) for width in settings.ema]
        if found:
            self._restore(*found)
        self.log = Log(out / "log.csv", self.step)
        self.saved = self.step if found else -1

    def run_all(self) -> tuple[Any, dict[str, float]]:
        settings, told = self.settings, time.monotonic()
        with _stop_signals() as stopped:
            while not self._done():
                began = time.monotonic()
                self._one_step()
                # One clock for all processes: they must end at the same step.
                self.seconds += agreed(self.call.accelerator, time.monotonic() - began)
                self._record()
                if agreed(self.call.accelerator, float(stopped.is_set() or self.call.seconds_left <= 0)):
                    self._stop()
                if time.monotonic() - told > 10:
                    told = time.monotonic()
                    self._tell()
                if self.step % settings.save_every == 0:
                    self._save()
        if self.saved != self.step:
            self._save()
        return self._best()

    def _done(self) -> bool:
        late = self.settings.max_minutes is not None and self.seconds >= 60 * self.settings.max_minutes
        return self.step >= self.settings.steps or late

    def _progress(self) -> float:
        by_time = 0.0 if self.settings.max_minutes is None else self.seconds / (60 * self.settings.max_minutes)
        return max(self.step / self.settings.steps, by_time)

    def _one_step(self) -> None:
        settings, accelerator = self.settings, self.call.accelerator
        progress = self._progress()
        rate = settings.rate(self.step, progress)
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = rate
            optimizer.zero_grad()
        mine = list(
            shares(
                settings.seed,
                self.step,
                settings.batch,
                self.stage.n_train,
                rank=accelerator.process_index,
                ranks=accelerator.num_processes,
                accumulate=settings.accumulate,
                progress=progress,
            )
        )
        for net in self.nets:
            net.train()
        for share in mine:
            self._one_share(share, last=share is mine[-1])
        for net, optimizer in zip(self.nets, self.optimizers, strict=True):
            accelerator.clip_grad_norm_(net.parameters(), settings.clip)
            optimizer.step()
        self.step += 1
        for mean in self.means:
            mean.update(self.trained[0], self.step)
        self.sums |= {"lr": rate, "count": self.sums.get("count", 0) + 1}

    def _one_share(self, share: Share, *, last: bool) -> None:
        accelerator, parts = self.call.accelerator, self.settings.accumulate
        with ExitStack() as stack:
            if not last:  # gradients are exchanged once a step
                for net in self.nets:
                    stack.enter_context(accelerator.no_sync(net))
            for loss, shown in self.stage.losses(self.nets, share):
                accelerator.backward(loss / parts)
                for key, value in shown.items():
                    self.sums[key] = self.sums.get(key, 0.0) + float(value.detach()) / parts

    def _record(self) -> None:
        settings, step, final = self.settings, self.step, self._done()
        if step % settings.log_every == 0 or final:
            rate, count = self.sums.pop("lr"), self.sums.pop("count")
            means = {key: self._mean_over_processes(self.sums[key] / count) for key in sorted(self.sums)}
            self.log.add(step, {"lr": rate} | means)
            self.sums = {}
        if step % settings.validate_every == 0 or final:
            scores = self._validated(self.means[0])
            self.log.add(step, {f"validation {key}": value for key, value in scores.items()})
        if step % settings.sample_every == 0 or final:
            self._picture()

    def _validated(self, mean: PowerMean) -> dict[str, float]:
        mean.put(self.judged)
        with torch.no_grad(), self.call.accelerator.autocast():
            return dict(self.stage.validate(self.judged))

    def _picture(self) -> None:
        self.means[0].put(self.judged)
        with torch.no_grad(), self.call.accelerator.autocast():
            picture = self.stage.picture(self.judged)
        if self.call.main:
            with atomic_path(self.out / "samples" / f"{self.step:08d}.png") as temporary:
                Image.fromarray(picture).save(temporary, format="PNG")

    def _mean_over_processes(self, value: float) -> float:
        accelerator = self.call.accelerator
        if accelerator.num_processes == 1:
            return value
        return float(accelerator.reduce(torch.tensor(value, device=accelerator.device), "mean"))

    def _tell(self) -> None:
        rate = self.step * self.settings.batch / max(self.seconds, 1e-9)
        shown = (
            ", ".join(f"{key} {value}" for key, value in list(self.log.rows[-1].items())[2:4]) if self.log.rows else ""
        )
        line = f"{self.out.name}: step {self.step} of {self.settings.steps}, {rate:.3g} examples a second"
        self.call.tell(f"{line}; {shown}" if shown else line)

    def _stop(self) -> None:
        if self._done():
            return
        if self.saved != self.step:
            self._save()
        raise InterruptedRun(f"{self.out}: stopped at step {self.step}; give the same command again with --resume")

    def _save(self) -> None:
        tensors: dict[str, Tensor] = {}
        for place, net in enumerate(self.trained):
            for name, value in net.state_dict().items():
                tensors[f"net {place}/{name}"] = checkpoint.whole(value)
        for place, optimizer in enumerate(self.optimizers):
            own = checkpoint.optimizer_tensors(optimizer)
            tensors |= {f"optimizer {place}/{name}": value for name, value in own.items()}
        for place, mean in enumerate(self.means):
            tensors |= {f"mean {place}/{name}": checkpoint.whole(value) for name, value in mean.means.items()}
        self.saved = self.step
        if self.call.main:
            self.log.write()
            checkpoint.save(self.out / "checkpoints", self.step, tensors, self._state())
        self.call.accelerator.wait_for_everyone()

    def _state(self) -> dict[str, Any]:
        scaler = self.call.accelerator.scaler
        return {
            "seconds": self.seconds,
            "sums": self.sums,
            "settings": self.settings.model_dump(mode="json"),
            "scaler": None if scaler is None else scaler.state_dict(),
        }

    def _restore(self, tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
        for key, value in self.settings.model_dump(mode="json").items():
            if key not in _MAY_CHANGE and state["settings"].get(key) != value:
                was = state["settings"].get(key)
                raise InputError(f"{self.out}: was begun with {key} {was}, not {value}; name a new folder")
        for place, net in enumerate(self.trained):
            checkpoint.load_weights(net, _under(tensors, f"net {place}/"))
        for place, optimizer in enumerate(self.optimizers):
            checkpoint.restore_optimizer(optimizer, _under(tensors, f"optimizer {place}/"))
        for place, mean in enumerate(self.means):
            for name, value in _under(tensors, f"mean {place}/").items():
                mean.means[name] = checkpoint.like(mean.means[name], value)
        self.step, self.seconds, self.sums = state["step"], state["seconds"], dict(state["sums"])
        if state["scaler"] and self.call.accelerator.scaler is not None:
            self.call.accelerator.scaler.load_state_dict(state["scaler"])

    def _best(self) -> tuple[Any, dict[str, float]]:
        scores = [self._validated(mean) for mean in self.means]
        best = min(range(len(scores)), key=lambda k: scores[k]["loss"])
        self.means[best].put(self.judged)
        return self.judged, scores[best] | {"ema": self.means[best].width, "steps": self.step}


_MAY_CHANGE = {"steps", "max_minutes", "log_every", "validate_every", "sample_every", "save_every", "accumulate"}


def _optimizer(net: nn.Module, settings: StageSettings) -> torch.optim.AdamW:
    trained = [value for value in net.parameters() if value.requires_grad]
    return torch.optim.AdamW(
        trained, lr=settings.lr, betas=settings.betas, weight_decay=settings.weight_decay, fused=True
    )


def _under(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


@contextmanager
def _stop_signals() -> Iterator[threading.Event]:
    """An event that an interrupt or a termination sets instead of breaking into a step; a second one breaks in."""
    stopped = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stopped
        return

    def note(number: int, frame: Any) -> None:
        if stopped.is_set():
            raise KeyboardInterrupt
        stopped.set()

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
