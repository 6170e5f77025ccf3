import io
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from synth.core.errors import InputError
from synth.dataset.writers import parquet
from synth.dataset.writers.coco import encode_masks
from synth.dataset.writers.parquet import write_parquet
from synth.dataset.writers.shard import Entry
from tests.dataset.writers.test_shard import REPORT, entry, sample

pq = pytest.importorskip("pyarrow.parquet", reason="Parquet needs pyarrow")


def test_rows_have_types(tmp_path: Path) -> None:
    write_parquet(tmp_path / "a.parquet", iter([entry(n, tmp_path) for n in range(3)]))
    table = pq.read_table(tmp_path / "a.parquet")
    types = {name: str(table.schema.field(name).type) for name in ("view", "age", "seed", "kvp", "tilt_deg")}
    assert types == {"view": "string", "age": "double", "seed": "uint64", "kvp": "double", "tilt_deg": "double"}
    first, second, _ = table.to_pylist()
    assert (first["age"], first["race"], first["tilt_deg"], first["findings"]) == (None, None, None, [])
    assert first["seed"] == 2**63 + 5
    assert (second["report"], second["age"], second["tilt_deg"]) == (REPORT, 40.0, 1.5)
    unknown = dict.fromkeys(("location", "severity", "kind"))
    assert second["findings"][0] == unknown | {"name": "Pleural Effusion", "laterality": "left", "size_cm": 2.5}
    np.testing.assert_array_equal(np.array(Image.open(io.BytesIO(second["image"]["bytes"]))), sample(1).image)
    assert second["image"]["path"] == "00000001.png"


def test_masks_can_be_decoded(tmp_path: Path) -> None:
    write_parquet(tmp_path / "a.parquet", [entry(1, tmp_path)])
    (row,) = pq.read_table(tmp_path / "a.parquet").to_pylist()
    made = sample(1)
    for one, expected in zip(row["objects"], encode_masks(made.masks, made.image.shape), strict=True):
        assert one["category"] == expected["name"]
        assert one["segmentation"] == expected["segmentation"]
        assert (one["bbox"], one["area"]) == (expected["bbox"], expected["area"])


def test_every_shard_has_the_columns_that_tables_have(tmp_path: Path) -> None:
    write_parquet(tmp_path / "a.parquet", [entry(0, tmp_path)])
    schema = pq.read_schema(tmp_path / "a.parquet")
    assert {"report", "height_cm", "source_detector_mm", "secondary_angle_deg", "objects", "image"} <= set(schema.names)
    assert schema.metadata[b"synthetic"] == b"YES"
    features = json.loads(schema.metadata[b"huggingface"])["info"]["features"]
    assert list(features) == schema.names
    assert features["image"] == {"_type": "Image"}


def test_bytes_depend_on_the_entries_alone(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_parquet(tmp_path / f"{name}.parquet", [entry(n, tmp_path) for n in range(3)])
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()
    assert str(tmp_path).encode() not in (tmp_path / "a.parquet").read_bytes()


def test_row_groups_are_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    row = entry(0, tmp_path).row
    many = [Entry(f"{n:08d}", {"png": b"x" * 10}, row) for n in range(250)]
    write_parquet(tmp_path / "a.parquet", many)
    assert [pq.ParquetFile(tmp_path / "a.parquet").metadata.row_group(n).num_rows for n in range(3)] == [100, 100, 50]
    monkeypatch.setattr(parquet, "_BYTES_PER_GROUP", 35)
    write_parquet(tmp_path / "b.parquet", many[:9])
    assert [pq.ParquetFile(tmp_path / "b.parquet").metadata.row_group(n).num_rows for n in range(3)] == [4, 4, 1]


def test_other_files_become_columns_of_bytes(tmp_path: Path) -> None:
    row = entry(0, tmp_path).row
    first = Entry("00000000", {"nii.gz": b"ct", "total.nii.gz": b"map", "total_labels.csv": b"names"}, row)
    second = Entry("00000001", {"nii.gz": b"ct 2"}, row)
    write_parquet(tmp_path / "a.parquet", [first, second])
    table = pq.read_table(tmp_path / "a.parquet", columns=["nii_gz", "total_nii_gz", "total_labels_csv"])
    assert table.to_pylist() == [
        {"nii_gz": b"ct", "total_nii_gz": b"map", "total_labels_csv": b"names"},
        {"nii_gz": b"ct 2", "total_nii_gz": None, "total_labels_csv": None},
    ]


def test_a_shard_that_fails_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="age is 'old'"):
        write_parquet(tmp_path / "shards" / "a.parquet", [entry(0, tmp_path, age="old")])
    assert list((tmp_path / "shards").iterdir()) == []


def test_without_pyarrow_the_message_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(InputError, match=r"pip install 'radsynth\[data\]'"):
        write_parquet(tmp_path / "a.parquet", [])
