"""The dataset job: requests in; samples that passed their gate, tables, scores and a report out.

Each request is a case. Its outcome is a pure function of the recipe and the request: attempts 0, 1, … are made until
one of them has no sample that fails the gate, and after the last one the case's places stay empty. So any worker can
make any case, and neither engine, workers, batches nor interruptions change a byte.

When all cases are done, files are put down in this order, each whole or not at all: the tables, what came with the
plan, gate.json, dataset.json (which says that the dataset is complete), report.html (which is made of all the others).
Stopped in between, `resume` makes those that are missing again, to the same bytes.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import groupby, islice
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from synth.core.errors import InputError
from synth.core.files import write_bytes
from synth.core.record import Record
from synth.dataset import manifest
from synth.dataset.folder import DatasetFolder
from synth.dataset.judged import Judged, Refusal
from synth.dataset.source import CannotMakeError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from synth.core.record import Sample, ScanSample
    from synth.dataset.engines.engine import Engine, Written
    from synth.dataset.folder import ImageFormat, Shards
    from synth.dataset.request import Request
    from synth.dataset.sample_gate import GateSettings, SampleGate
    from synth.dataset.source import Source, Warn
    from synth.metrics.verdicts import Verdict

__all__ = ["DatasetJob", "accepted"]

_ATTEMPTS = 5
"""How often a case is made where there is no gate, before it counts as one that cannot be made."""

_OWN = ("dataset.json", "metadata.csv", "rejected.csv", "gate.json", "report.html")


@dataclass(frozen=True)
class DatasetJob:
    """A dataset to make.

    Attributes:
        source: What makes samples.
        requests: The cases, numbered from 0; a sequence that makes them when asked for will do.
        recipe: All that decides the dataset, as plain JSON without paths; it goes to dataset.json.
        seed: Root seed.
        image_format: "png" or "dicom"; of CTs "nifti" or "dicom".
        shards: How to pack the samples; None for loose files.
        gate: What they have to pass.
        extras: Small files to put into the folder, by name.
        segmentations: Whether the masks of DICOM radiographs are written as segmentation objects, too.
        judges: The fitted gate; `run` sets it. Without one `samples` lets everything pass.
    """

    source: Source
    requests: Sequence[Request]
    recipe: Mapping[str, Any]
    seed: int
    image_format: ImageFormat = "png"
    shards: Shards | None = None
    gate: GateSettings | None = None
    extras: Mapping[str, bytes] = field(default_factory=dict)
    segmentations: bool = False
    judges: SampleGate | None = None

    def __post_init__(self) -> None:
        if not self.requests:
            raise InputError("no cases: ask for at least one")
        last = len(self.requests) - 1
        if (self.requests[0].number, self.requests[last].number) != (0, last):
            raise InputError(f"requests are numbered from 0 to {last}, in order")
        for name in self.extras:
            if name in _OWN or PurePath(name).name != name or name.startswith("."):
                raise InputError(f"{name!r} cannot be put into a dataset: it is no plain name, or one of its own files")

    @property
    def n_samples(self) -> int:
        """Places of the dataset."""
        return len(self.requests) * self.source.each

    def open(self, root: Path, *, resume: bool) -> DatasetFolder:
        """The dataset's folder, of which `pending()` tells what is left to make; nothing is written.

        Raises:
            InputError: It cannot be used, or holds the dataset of another recipe.
        """
        gate = {} if self.gate is None else {"gate": self.gate.recipe()}
        return DatasetFolder.open(
            root,
            {**gate, **self.recipe, "seed": self.seed},
            n_samples=self.n_samples,
            resume=resume,
            image_format=self.image_format,
            medium=self.source.medium,
            shards=self.shards,
            segmentations=self.segmentations,
            claim=False,
        )

    def run(self, root: Path, *, engine: Engine, resume: bool, warn: Warn) -> Iterator[Written]:
        """Makes the dataset at `root`, or what is missing of it; yields every sample once it is safe.

        Args:
            root: The folder, outside the source's inputs. Nothing is made there before source and reference are found.
            engine: Where samples are made.
            resume: Go on with what is there.
            warn: Called with what a reader mended or doubts.

        Raises:
            InputError: An input or the folder cannot be used; what was written stays and can be resumed.
        """
        self.source.check(root)
        folder = self.open(root, resume=resume)
        if not folder.complete:
            yield from self._make(folder, engine, warn)
            self._finish(folder)
        folder.finish()
        if not (root / "report.html").is_file():
            from synth.report.page import write_page

            write_page(root)

    def samples(self, indices: Sequence[int], *, warn: Warn = lambda _: None) -> Iterator[Judged]:
        """What becomes of the places of ascending indices, in any order; batches of cases are made together."""
        cases = (
            _Case(self.requests[number], tuple(wanted))
            for number, wanted in groupby(indices, key=lambda index: index // self.source.each)
        )
        under_way = list(islice(cases, self.source.batch))
        while under_way:
            again = []
            asked = [case.request.again(case.attempt) for case in under_way]
            for case, made in zip(under_way, self.source.make(asked, warn=warn), strict=True):
                tried = self._tried(case, made)
                if tried.settled:
                    yield from tried.outcome(self.source.each)
                else:
                    again.append(tried)
            under_way = [*again, *islice(cases, self.source.batch - len(again))]

    @property
    def _attempts(self) -> int:
        return _ATTEMPTS if self.gate is None else self.gate.attempts

    def _make(self, folder: DatasetFolder, engine: Engine, warn: Warn) -> Iterator[Written]:
        pending = folder.pending()
        if not pending:
            return
        ready = replace(self, recipe={}, extras={})  # what makes samples does without
        if self.gate is not None:
            folder.claim()
            judges = self.gate.fit(folder.parts / "gate", self.source.medium, warn)
            ready = replace(ready, gate=self.gate.of_samples, judges=judges)
        places = self.source.each * self.source.batch
        shares = [list(share) for _, share in groupby(pending, key=lambda index: index // places)]
        yield from engine.run(ready, folder, shares, warn=warn)

    def _finish(self, folder: DatasetFolder) -> None:
        counts = folder.merge()
        for name, content in self.extras.items():
            write_bytes(folder.root / name, content)
        said: dict[str, Any] = {}
        if self.gate is not None:
            from synth.dataset.accept_ratios import accept_ratios
            from synth.dataset.set_gate import judge_dataset

            result = judge_dataset(folder, self.gate, self.seed)
            write_bytes(folder.root / "gate.json", result.to_json().encode())
            ratios = accept_ratios((head for _, head in folder.heads()), self.source.each)
            said = {"gate": {"accepted": result.accepted, "answer": result.answer, **ratios}}
        folder.conclude(counts, **said)

    def _tried(self, case: _Case, made: Sequence[Sample | ScanSample] | CannotMakeError) -> _Case:
        """The case after one more attempt."""
        refusals: tuple[Refusal, ...]
        if isinstance(made, CannotMakeError):
            refusals = (_not_made(case, str(made), self.source.each),)
        else:
            verdicts = None if self.judges is None else tuple(map(self.judges.judge, made))
            keep = self.gate is not None and self.gate.keep_rejected
            refusals = tuple(
                Refusal(case.attempt, sample.index, sample.record, some, sample if keep else None)
                for sample, some in zip(made, verdicts or (), strict=False)
                if any(one.outcome == "fail" for one in some)
            )
            if not refusals:
                return replace(case, made=tuple(made), verdicts=verdicts, settled=True)
        last = case.attempt + 1 == self._attempts
        return replace(case, attempt=case.attempt + 1, refusals=case.refusals + refusals, settled=last)


@dataclass(frozen=True)
class _Case:
    """A request under way.

    Attributes:
        request: The request.
        wanted: Those of its places that are to be filled.
        attempt: The next attempt, or the accepted one.
        refusals: Of the attempts before.
        made: The samples of the accepted attempt; none where no attempt was.
        verdicts: On these; None without a gate.
        settled: Whether there will be no further attempt.
    """

    request: Request
    wanted: tuple[int, ...]
    attempt: int = 0
    refusals: tuple[Refusal, ...] = ()
    made: tuple[Sample | ScanSample, ...] = ()
    verdicts: tuple[tuple[Verdict, ...], ...] | None = None
    settled: bool = False

    def outcome(self, each: int) -> Iterator[Judged]:
        """What becomes of the wanted places; refusals stand with the case's first."""
        for index in self.wanted:
            place = index - self.request.number * each
            told = self.refusals if place == 0 else ()
            if not self.made:
                yield Judged(index, self.request.name, None, refusals=told)
                continue
            verdicts = None if self.verdicts is None else self.verdicts[place]
            yield Judged(index, self.request.name, self.made[place], self.attempt, verdicts, told)


def _not_made(case: _Case, reason: str, each: int) -> Refusal:
    """The refusal of an attempt that gave no sample, under the record that was asked for."""
    from synth.metrics.verdicts import Verdict

    asked = case.request
    record = Record(
        asked.view or "", asked.sex, asked.age, asked.race or "", findings=asked.findings or (), prompt=asked.prompt
    )
    return Refusal(case.attempt, asked.number * each, record, (Verdict("made", None, None, "fail", reason),))


def accepted(root: Path) -> bool:
    """Whether the gate accepted a finished dataset; one without a gate is accepted.

    Raises:
        InputError: There is no finished dataset.
    """
    content = manifest.load(root / "dataset.json")
    if content is None:
        raise InputError(f"{root}: no finished dataset (no dataset.json)")
    return bool(content.get("gate", {}).get("accepted", True))
