import csv
import errno
import getpass
import json
import os
import pickle
import random
import resource
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from synth.core.errors import InputError, InterruptedRun
from synth.core.record import Mask, Record, Sample
from synth.dataset.folder import DatasetFolder, ImageFormat
from synth.dataset.writers.coco import read_masks
from synth.dataset.writers.png import read_png
from tests.dataset.stopping import Killed, stopped_at
from tests.dataset.toys import RECIPE, make
from tests.end_to_end.command import tree


def begin(root: Path, *, n: int = 4, resume: bool = False, image_format: ImageFormat = "png") -> DatasetFolder:
    return DatasetFolder.open(root, RECIPE, n_samples=n, resume=resume, image_format=image_format)


def run(root: Path, *, n: int = 4, resume: bool = False, image_format: ImageFormat = "png") -> None:
    folder = begin(root, n=n, resume=resume, image_format=image_format)
    for index in folder.pending():
        folder.write(make(index))
    folder.finish(gate={"kid": 0.25})


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("clean") / "data"
    run(root)
    return root


def test_layout(clean: Path) -> None:
    files = sorted(path for path, kind in tree(clean).items() if kind != "folder")
    numbers = [f"{n:08d}" for n in range(4)]
    images, raw = [f"images/00/{n}.png" for n in numbers], [f"raw/00/{n}.npz" for n in numbers]
    assert files == ["dataset.json", *images, "masks/annotations.json", "metadata.csv", *raw]
    for n in range(4):
        np.testing.assert_array_equal(read_png(clean / images[n])[0], make(n).image)
        np.testing.assert_array_equal(np.load(clean / raw[n])["line_integral"], make(n).arrays["line_integral"])


def test_sub_folders_hold_ten_thousand(tmp_path: Path) -> None:
    begin(tmp_path, n=20_000).write(make(12_345))
    assert (tmp_path / "images/01/00012345.png").is_file()


def test_metadata_loads_with_pandas_and_names_files_beside_it(clean: Path) -> None:
    table = pd.read_csv(clean / "metadata.csv")
    assert list(table.columns[:3]) == ["file_name", "view", "sex"]
    assert list(table.columns[-5:]) == [
        "pixel_spacing_row_mm",
        "pixel_spacing_column_mm",
        "source_detector_mm",
        "kvp",
        "tilt_deg",
    ]
    assert all((clean / name).is_file() for name in table.file_name)
    assert table.file_name.tolist() == sorted(table.file_name)
    assert table.age.tolist() == [63] * 4
    assert table.seed.astype(np.uint64).tolist() == [2**63 + 5] * 4
    assert table.race.isna().all()
    assert table.tilt_deg.isna().tolist() == [True, False, True, False]
    assert table.report[1] == 'Says "effusion",\nand, the end\n'
    assert json.loads(table.findings[1])[0] == {"name": "Pleural Effusion", "laterality": "left", "size_cm": 2.5}
    assert table.findings.isna()[0]
    with (clean / "metadata.csv").open(newline="") as stream:
        assert len(list(csv.DictReader(stream))) == 4


def test_masks_and_manifest(clean: Path) -> None:
    masks = read_masks(clean / "masks" / "annotations.json")
    assert list(masks) == [f"images/00/{n:08d}.png" for n in range(4)]
    np.testing.assert_array_equal(masks["images/00/00000002.png"]["heart"], make(2).masks[0].array)
    said = json.loads((clean / "dataset.json").read_text())
    assert said["synthetic"] is True
    assert (said["format"], said["format_version"], said["root_seed"]) == ("radsynth dataset", 1, 7)
    assert said["recipe"] == RECIPE
    assert said["licence"] == "CC BY 4.0"
    assert said["gate"] == {"kid": 0.25}
    assert said["counts"]["samples"] == 4
    assert said["counts"]["views"] == {"LATERAL": 2, "PA": 2}
    assert {"radsynth", "numpy", "pillow"} <= set(said["versions"])


def test_nothing_tells_of_the_machine_or_the_time(clean: Path) -> None:
    texts = {str(clean), str(clean.parent), socket.gethostname(), time.strftime("%Y-%m-%d")}
    texts |= {user for user in (getpass.getuser(),) if user != "root"}
    for path in clean.rglob("*"):
        if path.is_file():
            assert not [text for text in texts if text.encode() in path.read_bytes()], path


def test_order_processes_and_spelling_of_the_recipe_do_not_matter(clean: Path, tmp_path: Path) -> None:
    turned = dict(reversed(RECIPE.items())) | {"size": (32, 24)}
    folder = DatasetFolder.open(tmp_path / "data", turned, n_samples=4, resume=False, image_format="png")
    folder = pickle.loads(pickle.dumps(folder))
    for index in (3, 0, 2, 1, 0):
        folder.write(make(index))
    folder.finish(gate={"kid": 0.25})
    assert tree(tmp_path / "data") == tree(clean)


# recipe.json; image, arrays and fragment of four samples; table, masks and manifest
STEPS = 1 + 4 * 3 + 3


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_killed_at_every_step_and_resumed(clean: Path, tmp_path: Path, after: bool) -> None:
    for step in range(1, STEPS + 1):
        root = tmp_path / str(step)
        with stopped_at(step, Killed(), after=after), pytest.raises(Killed):
            run(root)
        assert not (root / "dataset.json").exists() or (after and step == STEPS)
        run(root, resume=True)
        assert tree(root) == tree(clean), step


def test_full_disk_at_every_step_is_one_line_and_leaves_nothing_half_written(clean: Path, tmp_path: Path) -> None:
    for step in range(1, STEPS + 1):
        root = tmp_path / str(step)
        full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        with stopped_at(step, full), pytest.raises(InputError, match="No space left on device") as caught:
            run(root)
        assert "\n" not in str(caught.value)
        assert not list(root.rglob(".*.part"))
        assert all((clean / p).read_bytes() == (root / p).read_bytes() for p in tree(root) if (clean / p).is_file())
        run(root, resume=True)
        assert tree(root) == tree(clean), step


def test_writes_that_fail_in_the_middle_of_a_file(clean: Path, tmp_path: Path) -> None:
    folder = begin(tmp_path)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    for index, limit in enumerate((100, 2500, 5000)):  # in the image, in the arrays, nowhere
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
        try:
            if limit < 5000:
                with pytest.raises(InputError, match="cannot write"):
                    folder.write(make(index))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not list(tmp_path.rglob(".*.part"))
    run(tmp_path, resume=True)
    assert tree(tmp_path) == tree(clean)


def test_process_killed_at_random_moments_and_resumed(tmp_path: Path) -> None:
    run(tmp_path / "clean", n=60)
    root, rng, environment = tmp_path / "data", random.Random(1), {**os.environ, "PYTHONPATH": os.getcwd()}  # noqa: PTH109
    killed = 0
    for _ in range(4):
        command = [sys.executable, __file__, str(root)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
            time.sleep(rng.uniform(0, 0.06))
            process.send_signal(signal.SIGKILL)
        killed += process.returncode == -signal.SIGKILL
    assert killed
    run(root, n=60, resume=True)
    assert tree(root) == tree(tmp_path / "clean")


def test_pending_shrinks_and_finish_waits_for_all(tmp_path: Path) -> None:
    folder = begin(tmp_path)
    assert folder.pending() == [0, 1, 2, 3]
    folder.write(make(2))
    assert begin(tmp_path, resume=True).pending() == [0, 1, 3]
    with pytest.raises(InterruptedRun, match="3 of 4 samples missing"):
        folder.finish()
    assert not folder.complete


def test_files_emptied_by_a_power_cut_are_made_again(clean: Path, tmp_path: Path) -> None:
    folder = begin(tmp_path)
    for index in range(4):
        folder.write(make(index))
    (tmp_path / ".parts/00/00000001.json").write_bytes(b"")
    (tmp_path / "images/00/00000003.png").write_bytes(b"")
    assert folder.pending() == [1, 3]
    run(tmp_path, resume=True)
    assert tree(tmp_path) == tree(clean)


def test_a_complete_dataset_is_left_as_it_is(tmp_path: Path) -> None:
    run(tmp_path / "data")
    before = tree(tmp_path / "data")
    (tmp_path / "data/.parts/00").mkdir(parents=True)  # as a run leaves it that was killed while it tidied
    folder = begin(tmp_path / "data", resume=True)
    assert folder.complete
    assert folder.pending() == []
    folder.finish(gate="another")
    assert tree(tmp_path / "data") == before
    with pytest.raises(InputError, match="is complete"):
        folder.write(make(0))
    with pytest.raises(InputError, match="already holds a dataset; choose another folder or pass --resume"):
        begin(tmp_path / "data")


def test_an_unfinished_dataset_wants_resume(tmp_path: Path) -> None:
    begin(tmp_path)
    with pytest.raises(InputError, match="already holds a dataset; choose another folder or pass --resume"):
        begin(tmp_path)


@pytest.mark.parametrize("complete", [False, True])
def test_another_recipe_is_refused_and_the_keys_are_named(tmp_path: Path, complete: bool) -> None:
    run(tmp_path) if complete else begin(tmp_path)
    other = {**RECIPE, "size": [64, 64], "views": {"n": 3}, "noise": True}
    with pytest.raises(InputError, match=r"made with other values of: n_samples, noise, size, views\.n$"):
        DatasetFolder.open(tmp_path, other, n_samples=5, resume=True, image_format="png")
    with pytest.raises(InputError, match=r"other values of: image_format$"):
        begin(tmp_path, resume=True, image_format="dicom")


def test_other_library_versions_cannot_go_on_but_may_look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begin(tmp_path / "open")
    run(tmp_path / "done")
    monkeypatch.setattr("synth.__version__", "99")
    with pytest.raises(InputError, match=r"other values of: versions\.radsynth$"):
        begin(tmp_path / "open", resume=True)
    assert begin(tmp_path / "done", resume=True).pending() == []


@pytest.mark.parametrize("resume", [False, True])
def test_a_folder_of_other_things_is_not_touched(tmp_path: Path, resume: bool) -> None:
    (tmp_path / ".notes.12.part").write_text("mine")
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(InputError, match="not empty and not a dataset"):
        begin(tmp_path, resume=resume)
    (tmp_path / "dataset.json").write_text('{"name": "another tool"}')
    with pytest.raises(InputError, match="not a dataset of this toolkit"):
        begin(tmp_path, resume=resume)
    (tmp_path / "dataset.json").write_text("{")
    with pytest.raises(InputError, match="damaged"):
        begin(tmp_path, resume=resume)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".notes.12.part", "dataset.json", "thesis.txt"]


def test_a_file_or_a_folder_below_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(InputError, match="is a file"):
        begin(tmp_path / "file")
    with pytest.raises(InputError, match="Not a directory"):
        begin(tmp_path / "file" / "below")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_write_permission(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(InputError, match="Permission denied"):
        begin(tmp_path / "data")
    tmp_path.chmod(0o700)


def test_refusal_to_make_a_folder_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path, *_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(self))

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(InputError, match=r"cannot write \(Permission denied\)$"):
        begin(tmp_path / "data")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (float("nan"), "JSON"),
        ({1, 2}, "JSON"),
        ({"ct": ["a.nii", "/home/someone/b.nii"]}, r"recipe\.x\.ct\[1\]: '/home/someone/b.nii' is a path"),
        ("C:\\Users\\someone\\ct.nii", "is a path of this machine"),
        ("~/ct.nii", "is a path of this machine"),
    ],
)
def test_recipes_that_are_no_json_or_tell_of_the_machine(tmp_path: Path, value: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        DatasetFolder.open(tmp_path / "data", {"x": value}, n_samples=1, resume=False, image_format="png")
    assert not (tmp_path / "data").exists()


def bad(index: int = 0, **changes: object) -> Sample:
    parts = {"image": np.zeros((4, 4), np.uint16), "record": Record("PA")} | changes
    return Sample(index, **parts)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("sample", "message"),
    [
        (bad(4), "indices are 0 to 3"),
        (bad(-1), "indices are 0 to 3"),
        (bad(image=np.zeros((4, 4), np.float32)), "expected a uint16 image"),
        (bad(masks=(Mask("heart", np.zeros((5, 4), np.bool_)),)), "mask 'heart'"),
        (bad(record=Record("PA", source="ct:/home/someone/ct.nii")), "is a path; give a name"),
        (bad(record=Record("PA", source="ct:C:\\someone")), "is a path; give a name"),
        (bad(record=Record("PA", report="\ud800")), "no Unicode"),
        (bad(geometry={"view": 1.0}), "geometry key 'view'"),
        (bad(arrays={"a/b": np.zeros(1)}), "not an identifier"),
    ],
)
def test_samples_that_would_not_be_read_again(tmp_path: Path, sample: Sample, message: str) -> None:
    folder = begin(tmp_path)
    with pytest.raises(InputError, match=message):
        folder.write(sample)
    assert 0 in folder.pending()


def test_extra_entries_may_not_shadow_or_tell_of_the_machine(tmp_path: Path) -> None:
    folder = begin(tmp_path, n=1)
    folder.write(make(0))
    with pytest.raises(InputError, match="'recipe' is an entry of its own"):
        folder.finish(recipe={})
    with pytest.raises(InputError, match="is a path of this machine"):
        folder.finish(model={"weights": "/home/someone/model"})
    assert not folder.complete


@pytest.mark.parametrize("arguments", [{"n": 0}, {"image_format": "jpeg"}])
def test_arguments_out_of_range(tmp_path: Path, arguments: dict[str, object]) -> None:
    with pytest.raises(InputError, match=r"n_samples must be|written as png or dicom"):
        begin(tmp_path / "data", **arguments)  # type: ignore[arg-type]


def test_dicom_dataset(tmp_path: Path) -> None:
    run(tmp_path / "a", image_format="dicom")
    with stopped_at(6, Killed()), pytest.raises(Killed):
        run(tmp_path / "b", image_format="dicom")
    run(tmp_path / "b", image_format="dicom", resume=True)
    assert tree(tmp_path / "a") == tree(tmp_path / "b")
    assert (tmp_path / "a/images/00/00000003.dcm").read_bytes()[128:132] == b"DICM"
    assert pd.read_csv(tmp_path / "a/metadata.csv").file_name[0] == "images/00/00000000.dcm"


def test_a_dataset_without_masks_has_no_annotations(tmp_path: Path) -> None:
    folder = begin(tmp_path, n=1)
    folder.write(bad())
    folder.finish()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dataset.json", "images", "metadata.csv"]


if __name__ == "__main__":  # the process that test_process_killed_at_random_moments_and_resumed kills
    print("ready", flush=True)
    run(Path(sys.argv[1]), n=60, resume=True)
