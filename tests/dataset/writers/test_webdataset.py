import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from synth.core.errors import InputError
from synth.dataset.writers.shard import Entry
from synth.dataset.writers.webdataset import write_tar
from tests.dataset.writers.test_shard import REPORT, entry, sample


def test_members_are_sorted_and_tell_of_nobody(tmp_path: Path) -> None:
    write_tar(tmp_path / "shards" / "a.tar", [entry(n, tmp_path) for n in (0, 1, 2)])
    with tarfile.open(tmp_path / "shards" / "a.tar") as archive:
        members = archive.getmembers()
    expected = [f"{n:08d}.{suffix}" for n in (0, 1, 2) for suffix in ("json", "png")]
    assert [one.name for one in members] == expected
    assert {(one.mtime, one.uid, one.gid, one.uname, one.gname, one.mode) for one in members} == {
        (0, 0, 0, "", "", 0o644)
    }
    assert (tmp_path / "shards" / "a.tar").read_bytes()[257:265] == b"ustar\x0000"
    assert [path.name for path in (tmp_path / "shards").iterdir()] == ["a.tar"]


def test_what_is_in_a_sample(tmp_path: Path) -> None:
    write_tar(tmp_path / "a.tar", [entry(1, tmp_path)])
    with tarfile.open(tmp_path / "a.tar") as archive:
        said = json.load(archive.extractfile("00000001.json"))  # type: ignore[arg-type]
        picture = archive.extractfile("00000001.png").read()  # type: ignore[union-attr]
    assert said["synthetic"] is True
    assert (said["report"], said["age"], said["findings"][1]) == (REPORT, 40.0, {"name": "Edema"})
    assert [one["category"] for one in said["annotations"]] == ["heart", "nodule"]
    assert picture == (tmp_path / "00000001.png").read_bytes()
    np.testing.assert_array_equal(np.array(Image.open(io.BytesIO(picture))), sample(1).image)


def test_bytes_depend_on_the_entries_alone(tmp_path: Path) -> None:
    one = entry(1, tmp_path)
    files = {"npz": b"2", "png": b"1"}
    write_tar(tmp_path / "a.tar", [Entry(one.key, files, one.row, one.annotations)])
    write_tar(tmp_path / "b.tar", iter([Entry(one.key, dict(reversed(files.items())), one.row, one.annotations)]))
    assert (tmp_path / "a.tar").read_bytes() == (tmp_path / "b.tar").read_bytes()


def test_a_shard_that_fails_is_not_there(tmp_path: Path) -> None:
    pair = [entry(1, tmp_path), entry(0, tmp_path)]
    with pytest.raises(InputError, match="keys ascend"):
        write_tar(tmp_path / "shards" / "a.tar", pair)
    assert list((tmp_path / "shards").iterdir()) == []
