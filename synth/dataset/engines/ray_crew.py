"""The actors of one run on a Ray cluster: who has which share, and what happens when one is lost.

Every actor has at most two shares, one in work and one to go on with, so that little is lost with it and memory stays
bounded. A lost actor's shares go to others, without the samples that are safe already; another actor takes its place as
soon as the cluster has room for one.
"""

from __future__ import annotations

import os
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import synth
from synth.core.errors import InputError, SynthError
from synth.dataset.engines.ray_worker import Told, Worker
from synth.dataset.engines.threads import thread_environment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from synth.dataset.engines.engine import Written
    from synth.dataset.engines.ray_worker import Parcel

    Warn = Callable[[str], None]

__all__ = ["Crew", "CrewSize", "crew_size"]

_IN_FLIGHT = 2  # shares an actor
_MOST_LOSSES = 3  # in a row, without a sample in between
_PATIENCE_S = 20.0  # for what an actor must finish before it can stop
_POLL_S = 1.0
_SILENCE_S = 30.0  # without any actor, until the user is told


@dataclass(frozen=True)
class CrewSize:
    """How many actors, and what each has.

    Attributes:
        actors: How many.
        cpus: CPUs, and threads, of each.
        gpus: GPUs of each.
    """

    actors: int
    cpus: int
    gpus: float = 0.0


def crew_size(
    nodes: Sequence[Mapping[str, float]], *, workers: int | None, gpus: float = 0.0, n_shares: int
) -> CrewSize:
    """As many actors as are wanted, or as the nodes have room for, with as many CPUs as still let all of them fit.

    Args:
        nodes: "CPU" and "GPU" of every node.
        workers: Actors wanted; None for one a CPU, or one for every `gpus` GPUs.
        gpus: GPUs of each; may be a fraction.
        n_shares: Shares of work; more actors than these are of no use.

    Raises:
        InputError: No node has room for one, and no number is given.
    """

    def room(cpus: int) -> int:
        each = (node.get("CPU", 0.0) // cpus for node in nodes)
        if not gpus:
            return int(sum(each))
        return int(sum(min(most, node.get("GPU", 0.0) // gpus) for most, node in zip(each, nodes, strict=True)))

    most = room(1)
    if not most and workers is None:
        what = f"a CPU and {gpus:g} GPU" if gpus else "a CPU"
        raise InputError(f"no node of the Ray cluster has {what} for a worker; start nodes, or give --workers")
    actors = min(workers or most, n_shares)
    largest = int(max((node.get("CPU", 0.0) for node in nodes), default=0))
    return CrewSize(actors, max((cpus for cpus in range(1, largest + 1) if room(cpus) >= actors), default=1), gpus)


@dataclass
class _Errand:
    """A share on its way: what of it is not yet safe, and how often it was lost since the last sample that is."""

    share: Sequence[int]
    left: set[int]
    losses: int = 0


@dataclass(eq=False)
class _Member:
    """An actor: the answer that it is ready, while that is awaited, and its errands, the first of which is in work."""

    actor: Any
    starting: Any
    errands: deque[tuple[Any, _Errand]] = field(default_factory=deque)

    @property
    def head(self) -> Any:
        """Whatever it will tell of next; None when it is idle."""
        if self.starting is not None:
            return self.starting
        return self.errands[0][0] if self.errands else None


class Crew:
    """Makes shares with actors; afterwards it must be dismissed.

    Attributes:
        size: How many actors, and what each has.
    """

    def __init__(self, ray: Any, parcel: Parcel, size: CrewSize) -> None:
        self.size = size
        self._ray = ray
        self._parcel = ray.put(ray.cloudpickle.dumps(parcel))
        self._kind = ray.remote(concurrency_groups={"control": 1})(Worker).options(
            num_cpus=size.cpus,
            num_gpus=size.gpus,
            scheduling_strategy="SPREAD",
            runtime_env={"env_vars": _environment(size.cpus)},
        )
        self._members: list[_Member] = []
        self._again: deque[_Errand] = deque()
        self._failed_starts = 0
        self._silent_s = 0.0

    def make(self, shares: Sequence[Sequence[int]], warn: Warn) -> Iterator[Written]:
        """Yields every sample of the shares once it is safe.

        Raises:
            SynthError: A share was lost again and again. What a sample raises is raised here.
        """
        self._ahead, self._waiting, unfinished = iter(shares), len(shares), len(shares)
        for _ in range(self.size.actors):
            self._hire()
        while unfinished:
            self._hand_out()
            for member in self._heard(warn):
                try:
                    told = self._listen(member)
                except StopIteration:
                    member.errands.popleft()
                    unfinished -= 1
                except self._ray.exceptions.RayError as error:
                    self._lose(member, error)
                else:
                    yield from _passed_on(told, member, warn)

    def dismiss(self) -> None:
        """Ends the actors, each once the files of the sample that it is writing are whole."""
        with suppress(Exception):  # a cluster that is gone has no actors
            busy = [member.actor for member in self._members if member.errands]
            stopped = [actor.stop.options(concurrency_group="control").remote() for actor in busy]
            if stopped:
                self._ray.wait(stopped, num_returns=len(stopped), timeout=_PATIENCE_S)
        for member in self._members:
            with suppress(Exception):
                self._ray.kill(member.actor)
        self._members.clear()

    def _hire(self) -> None:
        actor = self._kind.remote()  # waits for room in the cluster
        self._members.append(_Member(actor, actor.begin.remote(self._parcel)))

    def _hand_out(self) -> None:
        """Gives every idle actor a share, then a second one to each while there is one more for all of them."""
        ready = [member for member in self._members if member.starting is None]
        for had in range(_IN_FLIGHT):
            for member in ready:
                if len(member.errands) == had and self._waiting >= (len(ready) if had else 1):
                    self._hand(member)

    def _hand(self, member: _Member) -> None:
        self._waiting -= 1
        if self._again:
            errand = self._again.popleft()
        else:
            share = list(next(self._ahead))
            errand = _Errand(share, set(share))
        telling = member.actor.make.options(num_returns="streaming").remote(errand.share, sorted(errand.left))
        member.errands.append((telling, errand))

    def _heard(self, warn: Warn) -> list[_Member]:
        """Actors that have something to tell, after a while at the latest; those heard go to the end of the queue."""
        heads = {member.head: member for member in self._members if member.head is not None}
        ready, _ = self._ray.wait(list(heads), timeout=_POLL_S)
        heard = [heads[head] for head in ready]
        self._members = [member for member in self._members if member not in heard] + heard
        if heard or any(member.starting is None for member in self._members):
            self._silent_s = 0.0
        else:
            self._silent_s += _POLL_S
            if _SILENCE_S <= self._silent_s < _SILENCE_S + _POLL_S:
                gpus = f" and {self.size.gpus:g} GPU" if self.size.gpus else ""
                warn(f"waiting for the Ray cluster: no node has {self.size.cpus} CPU{gpus} free for a worker")
        return heard

    def _listen(self, member: _Member) -> Told:
        """What an actor tells; StopIteration when its share is done."""
        if member.starting is None:
            told: Told = self._ray.get(next(member.errands[0][0]))
            return told
        wrong = self._ray.get(member.starting)
        if wrong is not None:
            raise wrong
        member.starting = None
        self._failed_starts = 0
        return Told()

    def _lose(self, member: _Member, error: Any) -> None:
        """Puts a lost actor's shares back and hires another one."""
        self._members.remove(member)
        with suppress(Exception):  # it may be out of reach rather than dead
            self._ray.kill(member.actor)
        if isinstance(error, self._ray.exceptions.RayTaskError):
            raise error.cause or error
        if getattr(error, "_actor_init_failed", False):
            raise SynthError(f"a node of the cluster cannot run radsynth {synth.__version__} ({_last_line(error)})")
        if member.starting is not None:
            self._failed_starts += 1
            if self._failed_starts >= _MOST_LOSSES * self.size.actors:
                raise SynthError(f"the workers of the Ray cluster do not start ({_last_line(error)})")
        errands = [errand for _, errand in member.errands]
        for errand in errands[:1]:
            errand.losses += 1
            if errand.losses >= _MOST_LOSSES:
                raise _given_up(errand)
        self._again.extendleft(reversed(errands))
        self._waiting += len(errands)
        self._hire()


def _passed_on(told: Told, member: _Member, warn: Warn) -> Iterator[Written]:
    for text in told.warnings:
        warn(text)
    if told.error is not None:
        raise told.error
    if told.written is not None:
        errand = member.errands[0][1]
        errand.losses = 0
        errand.left.discard(told.written.index)
        yield told.written


def _given_up(errand: _Errand) -> SynthError:
    first, last = min(errand.left, default=errand.share[0]), max(errand.left, default=errand.share[-1])
    which = f"sample {first}" if first == last else f"samples {first} to {last}"
    return SynthError(
        f"{which}: the worker died {_MOST_LOSSES} times; if memory was short use fewer --workers, "
        "and go on with --resume"
    )


def _environment(threads: int) -> dict[str, str]:
    """Environment of an actor: its threads, and where this package lies unless it is installed."""
    checkout = Path(synth.__file__).resolve().parents[1]
    installed = {"site-packages", "dist-packages"} & set(checkout.parts)
    paths = {} if installed else {"PYTHONPATH": f"{checkout}{os.pathsep}${{PYTHONPATH}}"}
    return thread_environment(threads) | paths


def _last_line(error: Any) -> str:
    lines: list[str] = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
