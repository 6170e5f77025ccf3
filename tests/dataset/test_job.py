from __future__ import annotations

import csv
import json
from dataclasses import replace
from itertools import count
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from synth.core.errors import InputError
from synth.core.record import Finding
from synth.dataset.accept_ratios import accept_ratios
from synth.dataset.engines.local import LocalEngine
from synth.dataset.folder import Shards
from synth.dataset.job import DatasetJob, accepted
from synth.dataset.request import DrawnRequests, Request
from synth.dataset.sample_gate import GateSettings
from synth.dataset.writers.png import read_png
from synth.metrics.gate.policy import policy_from
from tests.dataset.stopping import Killed, stopped_at
from tests.dataset.toys import Contrast, Toys
from tests.end_to_end.command import tree

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from synth.dataset.engines.engine import Written
    from synth.dataset.judged import Judged

CASES = 12
POLICY = policy_from({"report": [], "scores": None, "samples": {"outlier": 0, "artefacts": 0.3, "anatomy": 0}})


@pytest.fixture(autouse=True)
def no_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYNTH_CACHE", "off")


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A reference of 24 frontal and 24 lateral images."""
    root = tmp_path_factory.mktemp("real") / "data"
    made(DatasetJob(Toys(blank=0, none=0), DrawnRequests(24, 1), {}, 1), root)
    return root


def job(real: Path | None = None, *, cases: int = CASES, **changes: Any) -> DatasetJob:
    gate = None if real is None else GateSettings(real, POLICY, attempts=3, keep_rejected=True)
    asked = DatasetJob(Toys(), DrawnRequests(cases, 7), {"source": "toys"}, 7, gate=gate)
    return replace(asked, **changes)


def made(asked: DatasetJob, root: Path, *, workers: int = 1, resume: bool = False) -> list[Written]:
    warnings: list[str] = []
    found = list(asked.run(root, engine=LocalEngine(workers), resume=resume, warn=warnings.append))
    assert not warnings
    return found


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def told(outcomes: Sequence[Judged]) -> list[Any]:
    """What can be compared of outcomes, by index."""
    return [
        (
            one.index,
            one.case,
            one.attempt,
            one.verdicts,
            None if one.sample is None else one.sample.image.tobytes(),  # type: ignore[union-attr]
            [(refusal.attempt, refusal.index, refusal.verdicts) for refusal in one.refusals],
        )
        for one in sorted(outcomes, key=lambda one: one.index)
    ]


def test_a_case_comes_out_the_same_whichever_way_it_is_made(real: Path) -> None:
    asked = job(real, judges=Contrast())
    whole = told(list(asked.samples(range(24))))
    assert [row[0] for row in whole] == list(range(24))
    batched = replace(asked, source=Toys(batch=5))
    assert told(list(batched.samples(range(24)))) == whole
    apart = [one for index in range(23, -1, -1) for one in asked.samples([index])]
    assert told(apart) == whole


def test_attempts_go_on_until_none_of_a_case_fails(real: Path) -> None:
    outcomes = list(job(real, judges=Contrast(), cases=60).samples(range(120)))
    source = Toys()
    for first, second in zip(outcomes[::2], outcomes[1::2], strict=True):
        assert (first.attempt, first.case) == (second.attempt, second.case)
        assert not second.refusals  # they stand with the case's first sample
        request = DrawnRequests(60, 7)[first.index // 2]
        tries = [next(iter(source.make([request.again(attempt)]))) for attempt in range(3)]
        good = [not isinstance(one, Exception) and bool(np.ptp(one[0].image)) for one in tries]  # type: ignore[union-attr]
        assert (first.sample is not None) == any(good)
        refused = {refusal.attempt for refusal in first.refusals}
        assert refused == set(range(good.index(True) if any(good) else 3))
    assert any(one.sample is None for one in outcomes)
    reasons = {refusal.verdicts[-1].name for one in outcomes for refusal in one.refusals}
    assert reasons == {"made", "contrast"}


def test_without_a_gate_what_cannot_be_made_is_made_again(tmp_path: Path) -> None:
    written = made(job(cases=40, source=Toys(none=0.4, blank=0)), tmp_path)
    assert sum(one.refused for one in written) > 10
    rows = table(tmp_path / "metadata.csv")
    assert {"case", "attempt"} < set(rows[0])
    assert not {"gate", "verdicts"} & set(rows[0])
    assert {row["attempt"] for row in rows} > {"0", "1"}
    assert {row["checks"] for row in table(tmp_path / "rejected.csv")} == {"made"}
    assert accepted(tmp_path)


def test_a_gated_dataset(real: Path, tmp_path: Path) -> None:
    asked = job(real, cases=30, extras={"plan.csv": b"id\n"})
    written = made(asked, tmp_path, workers=2)
    assert sorted(one.index for one in written) == list(range(60))
    rows, refused = table(tmp_path / "metadata.csv"), table(tmp_path / "rejected.csv")
    filled = [one.index for one in written if one.accepted]
    assert [int(row["file_name"][-12:-4]) for row in rows] == sorted(filled)
    for row in rows:
        verdicts = json.loads(row["verdicts"])
        assert row["gate"] == "pass"
        assert {one["outcome"] for one in verdicts} <= {"pass", "undecided"}
        assert {"copies pixels", "artefact contrast low"} <= {one["name"] for one in verdicts}
        assert np.ptp(read_png(tmp_path / row["file_name"])[0])
    blank = [row for row in refused if row["checks"] != "made" and "contrast low" in row["checks"]]
    assert blank
    for row in blank:
        assert row["file_name"] == f"rejected/00/{int(row['index']):08d}-{row['attempt']}.png"
        contrast = float(row["reasons"].split("blank: contrast ")[1].split()[0])
        low, high = np.quantile(read_png(tmp_path / row["file_name"])[0] / 65535, [0.05, 0.95])
        assert contrast == pytest.approx(high - low, abs=0.005)
        assert row["sex"] in "FM"
    content = json.loads((tmp_path / "dataset.json").read_text())
    said = content["gate"]
    assert said["accepted"] is json.loads((tmp_path / "gate.json").read_text())["accepted"] is accepted(tmp_path)
    assert said["cases"] == 30
    assert said["accepted_cases"] == len(filled) / 2 == content["counts"]["samples"] / 2
    assert said["attempts"] == said["accepted_cases"] + sum(one.refused for one in written)
    assert sum(group["accepted"] for group in said["by"]["sex"].values()) == said["accepted_cases"]
    assert sum(group["attempts"] for group in said["by"]["age_group"].values()) == said["attempts"]
    assert content["recipe"]["gate"]["attempts"] == 3
    assert (tmp_path / "plan.csv").read_bytes() == b"id\n"
    assert b"Synthetic" in (tmp_path / "report.html").read_bytes()
    assert not (tmp_path / ".parts").exists()


@pytest.mark.parametrize("shards", [None, Shards("webdataset", 7)], ids=["loose", "packed"])
def test_workers_do_not_matter(real: Path, tmp_path: Path, shards: Shards | None) -> None:
    asked = job(real, shards=shards)
    made(asked, tmp_path / "one")
    made(replace(asked, source=Toys(batch=4)), tmp_path / "two", workers=2)
    assert tree(tmp_path / "one") == tree(tmp_path / "two")


def test_killed_at_every_file_and_resumed(tmp_path: Path) -> None:
    real = tmp_path / "real"
    made(DatasetJob(Toys(each=1, blank=0, none=0), DrawnRequests(20, 1), {}, 1), real)
    asked = job(real, cases=2, source=Toys(each=1), shards=Shards("webdataset", 2), extras={"plan.csv": b"id\n"})
    made(asked, tmp_path / "clean")
    for step in count(1):
        root = tmp_path / str(step)
        try:
            with stopped_at(step, Killed(), after=bool(step % 2)):
                made(asked, root)
        except Killed:
            made(asked, root, resume=True)
        else:
            break  # there are no more files
        finally:
            assert tree(root) == tree(tmp_path / "clean"), step
    assert step > 20


def test_a_finished_dataset_stays_as_it_is_and_its_report_is_made_again(real: Path, tmp_path: Path) -> None:
    asked = job(real)
    made(asked, tmp_path)
    before = tree(tmp_path)
    (tmp_path / "report.html").unlink()
    assert made(asked, tmp_path, resume=True) == []
    assert tree(tmp_path) == before


def test_another_reference_is_another_dataset(real: Path, tmp_path: Path) -> None:
    others = tmp_path / "others"
    made(DatasetJob(Toys(blank=0, none=0), DrawnRequests(25, 2), {}, 2), others)
    made(job(others), tmp_path / "data")
    picture = others / "images/00/00000003.png"
    picture.write_bytes((others / "images/00/00000004.png").read_bytes())
    with pytest.raises(InputError, match=r"made with other values of: gate\.reference\.digest$"):
        job(others).open(tmp_path / "data", resume=True)


def test_a_set_that_is_not_as_asked_is_refused(real: Path, tmp_path: Path) -> None:
    strict = policy_from({"report": [], "scores": None, "samples": {"outlier": 0, "anatomy": 0}, "least_accepted": 1})
    made(job(gate=GateSettings(real, strict, attempts=1)), tmp_path)
    assert not accepted(tmp_path)
    found = json.loads((tmp_path / "gate.json").read_text())
    assert [one["name"] for one in found["scores"] if not one["accepted"]] == ["places filled"]


def test_all_refused_is_an_empty_dataset(real: Path, tmp_path: Path) -> None:
    made(job(real, source=Toys(none=0, blank=1), cases=3), tmp_path)
    assert not accepted(tmp_path)
    assert table(tmp_path / "metadata.csv") == []
    assert len(table(tmp_path / "rejected.csv")) == 3 * 3 * 2
    assert json.loads((tmp_path / "dataset.json").read_text())["counts"]["empty"] == 6


@pytest.mark.parametrize("name", ["gate.json", "a/b", ".hidden", "../x"])
def test_extras_are_plain_files(name: str) -> None:
    with pytest.raises(InputError, match="cannot be put into a dataset"):
        job(extras={name: b""})


def test_requests_are_numbered_by_their_places() -> None:
    with pytest.raises(InputError, match="numbered from 0 to 1"):
        job(requests=[Request(0, 1), Request(2, 1)])


def test_wishes_of_what_could_not_be_made_are_told(real: Path, tmp_path: Path) -> None:
    wish = Request(0, 3, "a1", sex="F", age=44, findings=(Finding("Fracture", "left"),))
    made(job(real, source=Toys(none=1), requests=[wish]), tmp_path)
    (row, *_) = table(tmp_path / "rejected.csv")
    assert (row["case"], row["sex"], row["age"], row["checks"], row["reasons"]) == (
        "a1",
        "F",
        "44",
        "made",
        "it finds no place",
    )
    by = json.loads((tmp_path / "dataset.json").read_text())["gate"]["by"]
    assert by["finding"] == {"Fracture": {"cases": 1, "accepted": 0, "attempts": 3}}
    assert by["age_group"] == {"40-49": {"cases": 1, "accepted": 0, "attempts": 3}}


def test_accept_ratios_tell_who_was_replaced() -> None:
    row = {"view": "PA", "sex": "M", "age": "30", "race": "", "findings": ""}
    other = row | {"sex": "F", "attempt": "0", "checks": "outlier", "findings": '[{"name": "Edema"}]'}
    heads = [
        {"row": row, "rejected": [other, other | {"attempt": "1"}]},
        {"row": row | {"view": "LATERAL"}},
        {"rejected": [other | {"view": "LATERAL"}]},
        {},
    ]
    found = accept_ratios(iter(heads), 2)
    assert (found["cases"], found["accepted_cases"], found["attempts"]) == (2, 1, 4)
    by = found["by"]
    assert by["sex"] == {
        "F": {"cases": 2, "accepted": 0, "attempts": 3},
        "M": {"cases": 0, "accepted": 1, "attempts": 1},
    }
    assert by["finding"]["No Finding"] == {"cases": 0, "accepted": 1, "attempts": 1}
    assert by["age_group"] == {"30-39": {"cases": 2, "accepted": 1, "attempts": 4}}
    assert by["view"] == {
        "LATERAL": {"cases": 2, "accepted": 1, "attempts": 2},
        "PA": {"cases": 1, "accepted": 1, "attempts": 3},
    }
