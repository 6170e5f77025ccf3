"""The reader that comes with the package: radiographs whose records are wrong are refused, and told why."""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from synth.core.record import Record, Sample
from synth.dataset.engines.local import LocalEngine
from synth.dataset.job import DatasetJob
from synth.dataset.request import DrawnRequests
from synth.dataset.sample_gate import GateSettings
from synth.metrics.gate.policy import policy_from
from synth.metrics.readers.phantoms import PhantomReader
from tests.end_to_end.command import Result, finished, in_process, start

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from synth.dataset.request import Request
    from synth.dataset.source import Medium

SURE = 0.8
POLICY: dict[str, Any] = {
    "reader": "phantoms",
    "scores": None,
    "report": [],
    "samples": {"artefacts": 0, "outlier": 0, "anatomy": 0, "copies": 0, "condition": 1 - SURE},
}


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Callable[..., Result]:
    monkeypatch.setenv("SYNTH_CACHE", "off")
    return in_process(monkeypatch, capfd)


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Radiographs of healthy phantoms; the tables state the sex that was drawn."""
    root = tmp_path_factory.mktemp("reader") / "films"
    arguments = ["--phantom", 4, "--population", "healthy", "--voxel", 5, "--views", "pa", "--poses", 2, "--size", 128]
    done = finished(start("drr", *arguments, "--masks", "none", "--seed", 2, "-o", root))
    assert done.code == 0, done.err
    return root


@pytest.fixture(scope="module")
def clear(films: Path) -> dict[str, str]:
    """File → sex of those that the reader reads surely, and as stated."""
    rows = table(films / "metadata.csv")
    reader = PhantomReader()
    chances = reader.read([np.asarray(Image.open(films / row["file_name"])) for row in rows])["sex"]
    place = reader.attributes["sex"].index
    found = {
        row["file_name"]: row["sex"] for row, one in zip(rows, chances, strict=True) if one[place(row["sex"])] > SURE
    }
    assert len(found) >= 2
    return found


def table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def with_sexes(films: Path, sexes: dict[str, str], folder: Path, view: str = "PA") -> Path:
    """Some of the films, with a table of their own."""
    folder.mkdir()
    lines = ["file_name,sex,view"]
    for number, (name, sex) in enumerate(sexes.items()):
        shutil.copy(films / name, folder / f"{number}.png")
        lines.append(f"{number}.png,{sex},{view}")
    (folder / "metadata.csv").write_text("\n".join(lines) + "\n")
    return folder


def other(sex: str) -> str:
    return {"F": "M", "M": "F"}[sex]


def test_the_gate_refuses_the_one_wrong_record(
    films: Path, clear: dict[str, str], tmp_path: Path, run: Callable[..., Result]
) -> None:
    (wrong, sex), *_ = clear.items()
    asked = with_sexes(films, {**clear, wrong: other(sex)}, tmp_path / "asked")
    (tmp_path / "policy.yaml").write_text(json.dumps({key: POLICY[key] for key in POLICY if key != "reader"}))
    common = ("gate", asked, "--reference", films, "--policy", tmp_path / "policy.yaml")
    result = run(*common, "--reader", "phantoms", "-o", tmp_path / "report")
    assert result.code in (0, 1), result.err
    (refused,) = table(tmp_path / "report" / "rejected.csv")
    assert refused["file_name"].endswith("0.png")
    assert f"asked for {other(sex)}" in refused["reasons"]
    assert f"read as {sex}" in refused["reasons"]
    assert run(*common, "-o", tmp_path / "without").code in (0, 1)
    assert table(tmp_path / "without" / "rejected.csv") == []


def test_laterals_are_not_read(films: Path, clear: dict[str, str], tmp_path: Path, run: Callable[..., Result]) -> None:
    swapped = {name: other(sex) for name, sex in clear.items()}
    asked = with_sexes(films, swapped, tmp_path / "asked", view="LATERAL")
    (tmp_path / "policy.yaml").write_text(json.dumps(POLICY))
    run("gate", asked, "--reference", films, "--policy", tmp_path / "policy.yaml", "-o", tmp_path / "report")
    assert table(tmp_path / "report" / "rejected.csv") == []


def test_scores_tell_how_often_it_agrees(
    films: Path, clear: dict[str, str], tmp_path: Path, run: Callable[..., Result]
) -> None:
    (wrong, sex), *_ = clear.items()
    asked = with_sexes(films, {**clear, wrong: other(sex)}, tmp_path / "asked")
    result = run("score", films, asked, "--metrics", "ms-ssim", "--reader", "phantoms", "--json")
    assert result.code == 0, result.err
    whole = next(
        one for one in json.loads(result.out)["conditions"] if (one["attribute"], one["asked"]) == ("sex", "all")
    )
    assert (whole["n"], whole["agreed"]) == (len(clear), len(clear) - 1)


@pytest.mark.parametrize("command", ["gate", "score"])
def test_a_reader_that_is_not_there_is_one_line(command: str, films: Path, run: Callable[..., Result]) -> None:
    sets = (films, films) if command == "score" else (films, "--reference", films)
    result = run(command, *sets, "--reader", "phantom")
    assert (result.code, result.out) == (2, "")
    assert "reader phantom: is neither phantoms nor a folder" in result.err
    assert result.err.count("\n") == 1


@dataclass(frozen=True)
class Films:
    """The films as a source; the record of number 0 is wrong."""

    folder: Path
    sexes: tuple[tuple[str, str], ...]
    each: int = 1
    batch: int = 1
    medium: Medium = "image"

    def recipe(self) -> dict[str, Any]:
        return {"kind": "films"}

    def check(self, root: Path) -> None:
        """There are no inputs."""

    def make(self, requests: Sequence[Request], *, warn: Callable[[str], None]) -> Iterator[Sequence[Sample]]:
        for request in requests:
            name, sex = self.sexes[request.number]
            image = np.asarray(Image.open(self.folder / name)).astype(np.uint16)
            yield [Sample(request.number, image, Record("PA", sex, source="films", seed=request.seed))]


@pytest.mark.parametrize("workers", [1, 2])
def test_a_dataset_leaves_the_wrong_record_out(
    films: Path, clear: dict[str, str], tmp_path: Path, workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SYNTH_CACHE", "off")
    (wrong, sex), *_ = clear.items()
    source = Films(films, tuple({**clear, wrong: other(sex)}.items()))
    settings = GateSettings(films, policy_from(POLICY), attempts=1, keep_rejected=True)
    job = DatasetJob(source, DrawnRequests(len(clear), 1), {"source": "films"}, 1, gate=settings)
    list(job.run(tmp_path / "data", engine=LocalEngine(workers), resume=False, warn=lambda _: None))
    (refused,) = table(tmp_path / "data" / "rejected.csv")
    assert f"asked for {other(sex)}" in json.dumps(refused)
    kept = table(tmp_path / "data" / "metadata.csv")
    assert [row["sex"] for row in kept] == list(clear.values())[1:]
    assert all("condition sex" in row["verdicts"] for row in kept)
    gate = json.loads((tmp_path / "data" / "dataset.json").read_text())["recipe"]
    assert PhantomReader().name in json.dumps(gate)
    assert str(replace(PhantomReader()).folder) not in (tmp_path / "data" / "dataset.json").read_text()
