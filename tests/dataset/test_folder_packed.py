"""Datasets packed into shards while they are made: what is in them, and that no moment of a stop is a bad one."""

from __future__ import annotations

import csv
import io
import json
import multiprocessing
import tarfile
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from synth.core.errors import InputError
from synth.core.record import Record, ScanSample
from synth.core.volume import Labels, Volume
from synth.dataset.engines.local import LocalEngine
from synth.dataset.folder import DatasetFolder, Shards
from tests.dataset.stopping import Killed, stopped_at
from tests.dataset.toys import RECIPE, make
from tests.end_to_end.command import tree

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from synth.core.record import Sample

N = 7
TAR = Shards("webdataset", 3)


def begin(root: Path, shards: Shards = TAR, *, resume: bool = False) -> DatasetFolder:
    return DatasetFolder.open(root, RECIPE, n_samples=N, resume=resume, shards=shards)


def run(root: Path, shards: Shards = TAR, *, resume: bool = False) -> None:
    folder = begin(root, shards, resume=resume)
    for index in folder.pending():
        folder.write(make(index))
        folder.seal([index])
    folder.finish()


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("clean") / "data"
    run(root)
    return root


def rows(root: Path) -> list[dict[str, str]]:
    with (root / "metadata.csv").open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_shards_hold_what_loose_files_would(clean: Path) -> None:
    files = [path for path, kind in tree(clean).items() if kind != "folder"]
    assert files == ["dataset.json", "metadata.csv", "shards/00000.tar", "shards/00001.tar", "shards/00002.tar"]
    with tarfile.open(clean / "shards/00001.tar") as archive:
        names = archive.getnames()
        assert names == [f"0000000{k}.{kind}" for k in (3, 4, 5) for kind in ("json", "npz", "png")]
        read = {name: archive.extractfile(name).read() for name in names}  # type: ignore[union-attr]
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(read["00000004.png"]))), make(4).image)
    arrays = np.load(io.BytesIO(read["00000004.npz"]))
    np.testing.assert_array_equal(arrays["line_integral"], make(4).arrays["line_integral"])
    said = json.loads(read["00000004.json"])
    assert said["file_name"] == "00000004.png"
    assert [one["category"] for one in said["annotations"]] == ["heart"]
    assert [(row["file_name"], row["shard"]) for row in rows(clean)][4] == ("00000004.png", "shards/00001.tar")
    content = json.loads((clean / "dataset.json").read_text())
    assert content["shards"] == {"kind": "webdataset", "size": 3}
    assert content["counts"]["samples"] == N


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_killed_at_every_step_and_resumed(clean: Path, tmp_path: Path, after: bool) -> None:
    steps = 1 + N * 3 + 3 * 2 + 2  # the recipe; a sample's three files; a shard and its list; table and manifest
    for step in range(1, steps + 1):
        root = tmp_path / str(step)
        with stopped_at(step, Killed(), after=after), pytest.raises(Killed):
            run(root)
        run(root, resume=True)
        assert tree(root) == tree(clean), step


@pytest.mark.parametrize("left", range(7))
def test_killed_while_loose_files_are_removed(
    clean: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, left: int
) -> None:
    folder = begin(tmp_path)
    for index in range(N):
        folder.write(make(index))
    unlink, allowed = type(tmp_path).unlink, [left]

    def counting(self: Path, missing_ok: bool = False) -> None:
        if "shards" not in self.parts:  # neither locks nor temporary files
            allowed[0] -= 1
            if allowed[0] < 0:
                raise Killed
        unlink(self, missing_ok)

    with monkeypatch.context() as patch:
        patch.setattr(type(tmp_path), "unlink", counting)
        with pytest.raises(Killed):
            folder.seal([0])
    assert begin(tmp_path, resume=True).pending() == []
    run(tmp_path, resume=True)
    assert tree(tmp_path) == tree(clean)


def test_a_sample_is_the_grain_and_order_does_not_matter(clean: Path, tmp_path: Path) -> None:
    folder = begin(tmp_path)
    for index in (6, 1, 4, 0, 3):
        folder.write(make(index))
        folder.seal([index])
    assert folder.pending() == [2, 5]
    assert sorted(path.name for path in tmp_path.glob("shards/*")) == ["00002.tar"]
    folder.write(make(2))
    folder.seal([2])
    assert sorted(path.name for path in tmp_path.glob("shards/*")) == ["00000.tar", "00002.tar"]
    assert sorted(path.name for path in tmp_path.glob("images/*/*")) == ["00000003.png", "00000004.png"]
    assert begin(tmp_path, resume=True).pending() == [5]
    folder.write(make(1))  # again, as where a worker was lost after it had packed
    run(tmp_path, resume=True)
    assert tree(tmp_path) == tree(clean)


def test_shards_emptied_by_a_power_cut_are_made_again(clean: Path, tmp_path: Path) -> None:
    folder = begin(tmp_path)
    for index in range(6):
        folder.write(make(index))
    folder.seal(range(6))
    (tmp_path / "shards/00000.tar").write_bytes(b"")
    (tmp_path / ".parts/shards/00001.jsonl").write_bytes(b"")
    assert begin(tmp_path, resume=True).pending() == list(range(N))
    run(tmp_path, resume=True)
    assert tree(tmp_path) == tree(clean)


def test_an_emptied_picture_is_not_packed(tmp_path: Path) -> None:
    folder = begin(tmp_path)
    for index in range(3):
        folder.write(make(index))
    (tmp_path / "images/00/00000001.png").write_bytes(b"")
    folder.seal([0])
    assert not (tmp_path / "shards").exists()


def test_a_shard_that_another_packs_is_left_to_it(clean: Path, tmp_path: Path) -> None:
    folder = begin(tmp_path)
    for index in range(3):
        folder.write(make(index))
    lock = tmp_path / ".parts/shards/00000.lock"
    lock.parent.mkdir()
    lock.touch()
    folder.seal([2])
    assert not (tmp_path / "shards").exists()
    begin(tmp_path, resume=True).seal([2])  # nobody works there while it is opened
    assert (tmp_path / "shards/00000.tar").exists()
    run(tmp_path, resume=True)
    assert tree(tmp_path) == tree(clean)


def _seal(folder: DatasetFolder, numbers: range) -> None:
    for number in numbers:
        folder.seal([3 * number])


def test_processes_that_pack_the_same_shards_at_once(tmp_path: Path) -> None:
    n = 60
    folder = DatasetFolder.open(tmp_path, RECIPE, n_samples=n, resume=False, shards=TAR)
    for index in range(n):
        folder.write(make(index))
    context = multiprocessing.get_context("spawn")
    crew = [context.Process(target=_seal, args=(folder, range(n // 3))) for _ in range(2)]
    for process in crew:
        process.start()
    for process in crew:
        process.join()
    assert [process.exitcode for process in crew] == [0, 0]
    assert len(list((tmp_path / "shards").iterdir())) == n // 3
    assert not list((tmp_path / ".parts/shards").glob("*.lock"))
    folder.finish()
    assert len(rows(tmp_path)) == n


class Made:
    def samples(self, indices: Sequence[int], *, warn: Callable[[str], None]) -> Iterator[Sample]:
        return map(make, indices)


def test_two_workers_pack_what_one_packs(clean: Path, tmp_path: Path) -> None:
    folder = begin(tmp_path)
    shares = [[0, 1], [2, 3], [4, 5], [6]]
    assert sorted(one.index for one in LocalEngine(2).run(Made(), folder, shares, warn=lambda _: None)) == list(
        range(N)
    )
    assert len(list((tmp_path / "shards").iterdir())) >= 1
    folder.finish()
    assert tree(tmp_path) == tree(clean)


def test_parquet(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="Parquet needs pyarrow")
    run(tmp_path / "a", Shards("parquet", 4))
    with stopped_at(17, Killed()), pytest.raises(Killed):
        run(tmp_path / "b", Shards("parquet", 4))
    run(tmp_path / "b", Shards("parquet", 4), resume=True)
    assert tree(tmp_path / "a") == tree(tmp_path / "b")
    read = parquet.read_table(tmp_path / "a/shards/00001.parquet").to_pylist()
    assert [row["file_name"] for row in read] == ["00000004.png", "00000005.png", "00000006.png"]
    assert "pyarrow" in json.loads((tmp_path / "a/dataset.json").read_text())["versions"]


def test_cts_are_packed_with_their_maps(tmp_path: Path) -> None:
    labels = Labels(np.arange(64, dtype=np.uint8).reshape(4, 4, 4) % 2, np.eye(4), {1: "liver"})
    folder = DatasetFolder.open(tmp_path, {}, n_samples=2, resume=False, image_format="nifti", shards=TAR)
    for index in range(2):
        volume = Volume(np.full((4, 4, 4), index, np.int16), np.eye(4))
        folder.write(ScanSample(index, volume, {"total": labels}, Record("CT"), {"spacing_x_mm": 1.0}))
    folder.finish()
    with tarfile.open(tmp_path / "shards/00000.tar") as archive:
        assert archive.getnames() == [
            f"0000000{k}.{kind}" for k in (0, 1) for kind in ("json", "nii.gz", "total.nii.gz", "total_labels.csv")
        ]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dataset.json", "metadata.csv", "shards"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shards": Shards("webdataset"), "image_format": "dicom", "medium": "volume"}, "one file an image"),
        ({"shards": Shards("webdataset"), "image_format": "dicom", "segmentations": True}, "one file an image"),
        ({"image_format": "nifti", "medium": "image"}, "radiographs are written as png or dicom"),
        ({"image_format": "png", "medium": "volume"}, "CTs are written as nifti or dicom"),
    ],
)
def test_what_does_not_go_together(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        DatasetFolder.open(tmp_path / "data", {}, n_samples=1, resume=False, **options)


@pytest.mark.parametrize("values", [("zip", 3), ("parquet", 0), ("parquet", 10**7)])
def test_shards_out_of_range(values: tuple[Any, int]) -> None:
    with pytest.raises(InputError, match="shards: "):
        Shards(*values)


def test_packed_otherwise_is_another_dataset(clean: Path) -> None:
    for shards in (Shards("webdataset", 4), None):
        with pytest.raises(InputError, match=r"other values of: shards"):
            DatasetFolder.open(clean, RECIPE, n_samples=N, resume=True, shards=shards)
