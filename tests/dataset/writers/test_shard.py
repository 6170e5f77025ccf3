import json
from pathlib import Path

import numpy as np
import pytest

from synth.core.errors import InputError
from synth.core.record import Finding, Mask, Record, Sample
from synth.core.seeds import sample_generator
from synth.dataset.metadata import metadata_row
from synth.dataset.writers.coco import encode_masks
from synth.dataset.writers.png import write_png
from synth.dataset.writers.shard import Entry, StoredFiles, in_order, kind_of, objects_of, typed_row

REPORT = 'Says "pleural effusion",\nund dann: Ende – 胸\n'


def sample(index: int) -> Sample:
    """A pure function of its index; every second has a finding, a report and a mask that comes and goes."""
    image = sample_generator(7, index).integers(0, 65536, (24, 20), dtype=np.uint16)
    record = Record("PA", "F", 63.5 if index else None, source="ct:name", seed=2**63 + 5)
    if index % 2:
        findings = (Finding("Pleural Effusion", "left", size_cm=2.5), Finding("Edema"))
        record = Record("LATERAL", "M", 40.0, findings=findings, report=REPORT, source="phantom", seed=3)
    masks = (Mask("heart", image > 30000), Mask("nodule", image > 90000 - 30000 * (index % 2)))
    geometry = {"kvp": 120.0} | ({"tilt_deg": 1.5} if index % 2 else {})
    return Sample(index, image, record, masks, (0.3, 0.4), geometry)


def entry(index: int, folder: Path, **cells: str) -> Entry:
    """The entry of `sample(index)`, its picture in a folder."""
    made, key = sample(index), f"{index:08d}"
    write_png(folder / f"{key}.png", made.image)
    row = metadata_row(f"{key}.png", made) | cells
    return Entry(key, StoredFiles({"png": folder / f"{key}.png"}), row, encode_masks(made.masks, made.image.shape))


def test_cells_become_values_of_their_columns_type(tmp_path: Path) -> None:
    verdicts = [{"name": "copy", "value": 0.25, "threshold": None, "outcome": "pass", "reason": "far"}]
    cells = {"case": "12", "attempt": "3", "gate": "pass", "verdicts": json.dumps(verdicts)}
    row = typed_row(entry(1, tmp_path, **cells))
    assert (row["view"], row["age"], row["kvp"], row["tilt_deg"], row["seed"]) == ("LATERAL", 40.0, 120.0, 1.5, 3)
    assert isinstance(row["age"], float)
    assert row["findings"][0] == {"name": "Pleural Effusion", "laterality": "left", "size_cm": 2.5}
    assert row["report"] == REPORT
    assert (row["case"], row["attempt"], row["verdicts"]) == ("12", 3, verdicts)
    unknown = typed_row(entry(0, tmp_path))
    assert (unknown["age"], unknown["race"], unknown["findings"], unknown["seed"]) == (None, "", [], 2**63 + 5)


def test_the_type_of_a_column_hangs_on_its_name_alone(tmp_path: Path) -> None:
    kinds = {column: kind_of(column) for column in entry(1, tmp_path).row}
    texts = {"file_name", "view", "sex", "race", "report", "prompt", "source", "generator", "model_hash"}
    assert {column for column, kind in kinds.items() if kind == "text"} == texts
    assert {column for column, kind in kinds.items() if kind in ("integer", "findings")} == {"seed", "findings"}


@pytest.mark.parametrize(("column", "cell"), [("age", "old"), ("seed", "1.5"), ("findings", "["), ("tilt_deg", "x")])
def test_cells_of_another_type_are_refused(tmp_path: Path, column: str, cell: str) -> None:
    with pytest.raises(InputError, match=f"sample 00000001: {column} is "):
        typed_row(entry(1, tmp_path, **{column: cell}))


def test_objects_are_coco_annotations_by_name(tmp_path: Path) -> None:
    heart, nodule = objects_of(entry(1, tmp_path))
    assert (heart["category"], nodule["category"]) == ("heart", "nodule")
    assert heart["area"] == (sample(1).image > 30000).sum()
    assert heart["segmentation"]["size"] == [24, 20]
    assert "category" in objects_of(entry(0, tmp_path))[0]
    assert len(objects_of(entry(0, tmp_path))) == 1


@pytest.mark.parametrize("keys", [("2", "1"), ("1", "1"), ("1", "1.png"), ("",)])
def test_keys_must_ascend_and_have_no_dot(keys: tuple[str, ...]) -> None:
    with pytest.raises(InputError, match="keys ascend"):
        list(in_order(Entry(key, {}, {}) for key in keys))


def test_stored_files_are_read_when_asked_for(tmp_path: Path) -> None:
    files = StoredFiles({"png": tmp_path / "a.png", "npz": tmp_path / "a.npz"})
    assert (list(files), len(files)) == (["png", "npz"], 2)
    (tmp_path / "a.png").write_bytes(b"later")
    assert files["png"] == b"later"
    with pytest.raises(InputError, match=r"a\.npz: cannot read"):
        files["npz"]
