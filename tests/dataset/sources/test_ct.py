"""The source `ct`: what a model draws as a dataset, with a model that draws a known body."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING

import nibabel
import numpy as np
import pytest
import SimpleITK

from synth.core.errors import InputError
from synth.core.volume import Labels
from synth.dataset.engines.local import LocalEngine
from synth.dataset.job import DatasetJob
from synth.dataset.recipe.ct_spec import radiograph_job
from synth.dataset.request import Request, seed_of
from synth.dataset.sources import ct as source
from synth.dataset.sources.ct import CtChoice, GeneratedCts, label_files
from synth.dataset.writers.coco import read_masks
from synth.diffusion.ct.channels import MASKS, label_map
from synth.diffusion.ct.generate import Asked, Drawn, Settings
from synth.diffusion.ct.grid import CtGrid

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

GRID = CtGrid((24, 28, 32), (10.0, 9.0, 8.0), 0)


class Body:
    """Draws a body with a lung on each side, of which only the left has a lower lobe, and a high rib on the right."""

    digest = "abc"
    microbatch = 1
    controls = ()

    def grid(self, settings: Settings) -> CtGrid:
        return GRID

    def memory(self, settings: Settings) -> str:
        return ""

    def draw(self, asked: Asked, settings: Settings, progress: object = None) -> Sequence[Drawn]:
        return [self.one(seed) for seed in asked.seeds]

    def one(self, seed: int) -> Drawn:
        hu = np.full(GRID.size, -1000, np.int16)
        hu[:, 4:24, 3:29] = 40 + seed % 5
        masks = np.zeros((len(MASKS), *GRID.size), np.bool_)
        at = {name: masks[number] for number, name in enumerate(MASKS)}
        at["lung_upper_lobe_right"][8:20, 8:20, 5:13] = True  # x to the patient's left: the right lung comes first
        at["lung_upper_lobe_left"][14:20, 8:20, 19:27] = True
        at["lung_lower_lobe_left"][4:14, 8:20, 19:27] = True
        at["bones"][21:23, 6:22, 5:13] = True
        at["finding"][6:10, 10:14, 21:25] = True
        at["heart"][6:14, 8:16, 14:21] = True  # overlaps the left lung
        for name, value in (("lung_upper_lobe_right", -850), ("lung_upper_lobe_left", -850), ("bones", 700)):
            hu[at[name]] = value
        hu[at["lung_lower_lobe_left"]] = -850
        hu[at["finding"]] = 60
        labels = Labels(*(lambda pair: (pair[0], GRID.affine, pair[1]))(label_map(masks)), "total")
        return Drawn(hu, masks, MASKS, GRID.affine, labels)


@pytest.fixture(autouse=True)
def body(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Body:
    (tmp_path / "model").mkdir()
    drawn = Body()
    found = SimpleNamespace(path=tmp_path / "model", digest=drawn.digest)
    monkeypatch.setattr(source, "find_ct_model", lambda name: found)
    monkeypatch.setattr(CtChoice, "load", lambda self: drawn)
    return drawn


def made(root: Path, of: GeneratedCts, n: int = 2, kind: str = "nifti") -> Path:
    requests = [Request(number, seed_of(1, number), prompt="65 year old female. Mass.") for number in range(n)]
    job = DatasetJob(of, requests, of.recipe(), 1, image_format=kind)
    assert len(list(job.run(root, engine=LocalEngine(), resume=False, warn=lambda _: None))) == n
    return root


def cts(**options: object) -> GeneratedCts:
    return GeneratedCts(CtChoice("model", "cpu", "float32"), **options)


def rows(root: Path) -> list[dict[str, str]]:
    with (root / "metadata.csv").open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_ct_and_masks_leave_on_one_grid_and_unflipped(tmp_path: Path, body: Body) -> None:
    root = made(tmp_path / "out", cts(), 1)
    paths = root / "volumes/00/00000000.nii.gz", root / "masks/00/00000000_total.nii.gz"
    wanted = body.one(seed_of(1, 0))
    images = [SimpleITK.ReadImage(str(path)) for path in paths]
    for image in images:
        assert image.GetSpacing() == pytest.approx(GRID.spacing[::-1])
        assert image.GetOrigin() == pytest.approx(GRID.affine[:3, 3])
        assert image.GetDirection() == pytest.approx(np.eye(3).ravel())
    np.testing.assert_array_equal(SimpleITK.GetArrayFromImage(images[0]), wanted.hu)
    np.testing.assert_array_equal(SimpleITK.GetArrayFromImage(images[1]), wanted.labels.array)
    read = [nibabel.load(path) for path in paths]
    np.testing.assert_array_equal(read[0].affine, read[1].affine)
    assert nibabel.aff2axcodes(read[0].affine) == ("L", "P", "S")
    for name, side, height in (("lung_lower_lobe_left", "L", "low"), ("bones", "R", "high")):
        value = MASKS.index(name) + 1
        places = np.argwhere(np.asarray(read[1].dataobj) == value)
        x, _, z = (nibabel.affines.apply_affine(read[1].affine, places)).mean(0)
        assert ("R" if x > 0 else "L", "high" if z > 0 else "low") == (side, height)  # nibabel's world is RAS
    with (root / "masks/00/00000000_total_labels.csv").open(newline="") as stream:
        names = {row["name"] for row in csv.DictReader(stream)}
    assert {"lung_lower_lobe_left", "bones", "finding"} <= names


def test_the_record_is_what_was_asked_for(tmp_path: Path) -> None:
    root = made(tmp_path / "out", cts())
    for number, row in enumerate(rows(root)):
        assert (row["view"], row["sex"], row["age"], row["source"]) == ("CT", "F", "65", "ct")
        assert (row["seed"], row["model_hash"]) == (str(seed_of(1, number)), "abc")
        assert json.loads(row["findings"])[0]["name"] == "Lung Lesion"
        assert [row[f"spacing_{axis}_mm"] for axis in "xyz"] == ["8", "9", "10"]
    recipe = (root / "dataset.json").read_text()
    assert str(tmp_path) not in recipe


def test_radiographs_of_the_same_body(tmp_path: Path) -> None:
    root = made(tmp_path / "out", cts(job=radiograph_job(["pa", "lateral"], 64)))
    told = rows(root)
    assert [row["view"] for row in told] == ["CT", "PA", "LATERAL"] * 2
    assert [row["case"] for row in told] == ["0"] * 3 + ["1"] * 3
    same = ("sex", "age", "findings", "prompt", "model_hash", "seed", "source")
    for start in (0, 3):
        assert len({tuple(row[key] for key in same) for row in told[start : start + 3]}) == 1
    masks = read_masks(root / "masks" / "annotations.json")
    frontal = masks["images/00/00000000_pa.png"]
    assert {"lung_left", "lung_upper_lobe_right", "bones", "heart", "finding"} <= set(frontal)
    assert "lung_right" not in frontal or frontal["lung_right"].any()
    left, right = (np.argwhere(frontal[name]).mean(0) for name in ("lung_lower_lobe_left", "bones"))
    assert left[1] > right[1]  # the patient's right on the image's left
    assert left[0] > right[0]
    lung = frontal["lung_upper_lobe_left"] | frontal["lung_lower_lobe_left"]
    np.testing.assert_array_equal(frontal["lung_left"], lung)
    assert (frontal["heart"] & lung).any()


def test_no_masks_at_all(tmp_path: Path) -> None:
    root = made(tmp_path / "out", cts(job=radiograph_job(["pa"], 64), masks=False), 1)
    assert not (root / "masks").exists()
    assert (root / "images/00/00000000_pa.png").is_file()


def test_a_wish_for_a_view_is_for_the_radiographs(tmp_path: Path) -> None:
    request = Request(0, 5, view="LATERAL", prompt="Mass. AP view.")
    (alone,) = next(cts().make([request]))
    assert (alone.record.view, alone.views) == ("CT", ())
    (sample,) = next(cts(job=radiograph_job(["pa"], 32)).make([request]))
    assert [view.record.view for view in sample.views] == ["LATERAL"]
    with pytest.raises(InputError, match="give one view"):
        cts(job=radiograph_job(["pa", "lao45"], 32)).refuse(request)


def test_what_cannot_be_asked_for() -> None:
    with pytest.raises(InputError, match="name each view once"):
        radiograph_job(["pa", "PA"], 64)
    job = radiograph_job(["pa"], 64)
    with pytest.raises(InputError, match="once a view"):
        cts(job=replace(job, poses=2))
    assert radiograph_job([], 64) is None


def test_label_maps_of_a_folder_are_taken_in_turn(tmp_path: Path) -> None:
    for name in ("b.nii.gz", "a.mha", "notes.txt"):
        (tmp_path / name).write_bytes(b"")
    assert [path.name for path in label_files(tmp_path)] == ["a.mha", "b.nii.gz"]
    assert label_files(tmp_path / "a.mha") == (tmp_path / "a.mha",)
    assert label_files(None) == ()
    with pytest.raises(InputError, match="no such file"):
        label_files(tmp_path / "c.nii.gz")
    with pytest.raises(InputError, match="no label map"):
        label_files(tmp_path / "model")
