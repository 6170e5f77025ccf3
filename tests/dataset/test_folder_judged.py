"""What a gate has said of samples, on disk; and CTs and segmentations as DICOM."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from synth.core.errors import InputError
from synth.core.reading import read_volume
from synth.core.record import Record, ScanSample
from synth.core.volume import Labels, Volume
from synth.dataset.engines.engine import Written
from synth.dataset.folder import DatasetFolder, Shards
from synth.dataset.judged import Judged, Refusal
from synth.dataset.writers.png import read_png
from synth.metrics.verdicts import Verdict
from tests.dataset.stopping import Killed, stopped_at
from tests.dataset.toys import RECIPE, make
from tests.end_to_end.command import tree

if TYPE_CHECKING:
    from pathlib import Path

GOOD = Verdict("contrast", 0.123456789, 0.1, "pass", 'contrast "0.12",\nfine')
UNSURE = Verdict("outlier", float("inf"), None, "undecided", "too few")
BAD = Verdict("contrast", 0.0, 0.1, "fail", "blank")


def outcomes() -> list[Judged]:
    """An accepted place, one accepted at the third attempt, one that stays empty, and one of which nothing is sure."""
    refusals = tuple(
        Refusal(attempt, 1, make(1).record, (BAD, UNSURE), replace(make(1), image=np.zeros((32, 24), np.uint16)))
        for attempt in range(2)
    )
    given_up = tuple(Refusal(attempt, 2, make(2).record, (BAD, replace(BAD, name="copies"))) for attempt in range(3))
    return [
        Judged(0, "a,1", make(0), 0, (GOOD, UNSURE)),
        Judged(1, "b", make(1), 2, (GOOD,), refusals),
        Judged(2, "c", None, refusals=given_up),
        Judged(3, "d", make(3), 0, (UNSURE,)),
    ]


def run(root: Path, *, shards: Shards | None = None, resume: bool = False) -> list[Written]:
    folder = DatasetFolder.open(root, RECIPE, n_samples=4, resume=resume, shards=shards)
    pending = folder.pending()
    written = [folder.write(one) for one in outcomes() if one.index in pending]
    folder.seal(range(4))
    folder.finish()
    return written


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.mark.parametrize("shards", [None, Shards("webdataset", 3)], ids=["loose", "packed"])
def test_rows_say_what_was_found(tmp_path: Path, shards: Shards | None) -> None:
    assert run(tmp_path, shards=shards) == [Written(0), Written(1, True, 2), Written(2, False, 3), Written(3)]
    rows = table(tmp_path / "metadata.csv")
    assert [(row["case"], row["attempt"], row["gate"]) for row in rows] == [
        ("a,1", "0", "pass"),
        ("b", "2", "pass"),
        ("d", "0", "undecided"),
    ]
    assert json.loads(rows[0]["verdicts"]) == [
        {**GOOD.as_dict(), "value": 0.123457},
        {**UNSURE.as_dict(), "value": None},
    ]
    refused = table(tmp_path / "rejected.csv")
    assert list(refused[0])[:5] == ["file_name", "index", "case", "attempt", "view"]
    assert [(row["index"], row["attempt"], row["checks"]) for row in refused] == [
        *(("1", attempt, "contrast") for attempt in "01"),
        *(("2", attempt, "contrast | copies") for attempt in "012"),
    ]
    assert [row["file_name"] for row in refused][1:3] == ["rejected/00/00000001-1.png", ""]
    assert not read_png(tmp_path / refused[0]["file_name"])[0].any()
    counts = json.loads((tmp_path / "dataset.json").read_text())["counts"]
    assert (counts["samples"], counts["empty"], counts["refused"]) == (3, 1, 5)


@pytest.mark.parametrize("shards", [None, Shards("webdataset", 3)], ids=["loose", "packed"])
def test_killed_at_every_step_and_resumed(tmp_path: Path, shards: Shards | None) -> None:
    run(tmp_path / "clean", shards=shards)
    step = 0
    while step := step + 1:
        root = tmp_path / str(step)
        try:
            with stopped_at(step, Killed()):
                run(root, shards=shards)
        except Killed:
            run(root, shards=shards, resume=True)
            assert tree(root) == tree(tmp_path / "clean"), step
        else:
            break
    assert step > 15


def test_a_shard_of_which_nothing_was_accepted_is_not_there(tmp_path: Path) -> None:
    folder = DatasetFolder.open(tmp_path, RECIPE, n_samples=4, resume=False, shards=Shards("webdataset", 2))
    for index in range(4):
        folder.write(Judged(index, "", make(index) if index < 2 else None))
        folder.seal([index])
    assert folder.pending() == []
    folder.finish()
    assert [path.name for path in (tmp_path / "shards").iterdir()] == ["00000.tar"]
    assert len(table(tmp_path / "metadata.csv")) == 2


def test_a_gate_that_refused_nothing_says_so(tmp_path: Path) -> None:
    folder = DatasetFolder.open(tmp_path, RECIPE, n_samples=1, resume=False)
    folder.write(Judged(0, "a", make(0), 0, (GOOD,)))
    folder.finish()
    assert (tmp_path / "rejected.csv").read_text().count("\n") == 1


@pytest.mark.parametrize("key", ["verdicts", "gate", "case", "shard"])
def test_columns_of_the_job_are_taken(tmp_path: Path, key: str) -> None:
    folder = DatasetFolder.open(tmp_path, RECIPE, n_samples=1, resume=False)
    with pytest.raises(InputError, match="is the name of another column"):
        folder.write(replace(make(0), geometry={key: 1.0}))


def scan(index: int) -> ScanSample:
    hu = np.random.default_rng(index).integers(-1000, 1000, (5, 8, 8)).astype(np.int16)
    affine = np.diag([2.0, 2.0, 3.0, 1.0])
    labels = Labels((hu > 0).astype(np.uint8), affine, {1: "liver"})
    return ScanSample(index, Volume(hu, affine), {"total": labels}, Record("CT", source="phantom"))


def test_cts_as_series_with_segmentations(tmp_path: Path) -> None:
    pytest.importorskip("highdicom", reason="segmentations need highdicom")
    refusal = Refusal(0, 1, scan(1).record, (BAD,), scan(5))

    def begun(root: Path, *, resume: bool = False) -> DatasetFolder:
        return DatasetFolder.open(root, {}, n_samples=2, resume=resume, image_format="dicom", medium="volume")

    def made(root: Path, *, resume: bool = False) -> None:
        folder = begun(root, resume=resume)
        for index in folder.pending():
            folder.write(Judged(index, "", scan(index), 1, (GOOD,), (replace(refusal, index=index),)))
        folder.finish()

    made(tmp_path / "clean")
    assert sorted(path.name for path in tmp_path.glob("clean/*")) == [
        "dataset.json", "masks", "metadata.csv", "rejected", "rejected.csv", "volumes",
    ]  # fmt: skip
    np.testing.assert_array_equal(read_volume(tmp_path / "clean/volumes/00/00000001").hu, scan(1).volume.hu)
    np.testing.assert_array_equal(read_volume(tmp_path / "clean/rejected/00/00000005-0").hu, scan(5).volume.hu)
    assert (tmp_path / "clean/masks/00/00000001_total.dcm").is_file()
    assert table(tmp_path / "clean/metadata.csv")[1]["file_name"] == "volumes/00/00000001"
    for step in (2, 4, 8, 9, 12, 16):
        with stopped_at(step, Killed()), pytest.raises(Killed):
            made(tmp_path / str(step))
        made(tmp_path / str(step), resume=True)
        assert tree(tmp_path / str(step)) == tree(tmp_path / "clean"), step


def test_masks_of_radiographs_as_segmentations(tmp_path: Path) -> None:
    pytest.importorskip("highdicom", reason="segmentations need highdicom")
    folder = DatasetFolder.open(tmp_path, RECIPE, n_samples=1, resume=False, image_format="dicom", segmentations=True)
    folder.write(make(0))
    folder.finish()
    assert sorted(path.name for path in (tmp_path / "masks").rglob("*")) == ["00", "00000000.dcm", "annotations.json"]
