"""Bad input ends in one line that begins with "synth: ", exit code 2, and nothing left behind."""

from __future__ import annotations

import json
import resource
import shutil
import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pytest
import SimpleITK

from synth.drr.projector import choose_backend
from tests.end_to_end.command import Result, finished, start, tree
from tests.end_to_end.scene import SHAPE, affine, hu, labels, write_array, write_ct

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


class Files:
    """Inputs, good and bad, in a folder of the test's own."""

    def __init__(self, folder: Path, inputs: Path) -> None:
        self.folder, self.inputs = folder, inputs
        self.ct, self.map, self.series = inputs / "ct.nii.gz", inputs / "map.nii.gz", inputs / "series"

    def array(self, array: Any, name: str = "bad.nii", grid: Any = None) -> Path:
        return write_array(self.folder / name, np.asarray(array), grid)

    def image(self, array: Any, name: str = "bad.mha") -> Path:
        SimpleITK.WriteImage(SimpleITK.GetImageFromArray(np.asarray(array)), str(self.folder / name))
        return self.folder / name

    def text(self, text: str, name: str = "bad.json") -> Path:
        (self.folder / name).parent.mkdir(exist_ok=True)
        (self.folder / name).write_text(text)
        return self.folder / name

    def cut(self, path: Path, keep: float, name: str) -> Path:
        data = path.read_bytes()
        (self.folder / name).write_bytes(data[: int(len(data) * keep)])
        return self.folder / name

    def edited(self, name: str, old: str, new: str) -> Path:
        """The MetaImage with one field of its text header changed."""
        data = (self.inputs / "ct.mha").read_bytes()
        assert old.encode() in data
        (self.folder / name).write_bytes(data.replace(old.encode(), new.encode(), 1))
        return self.folder / name

    def pixdim(self, value: float) -> Path:
        data = bytearray(self.array(hu(), "good.nii").read_bytes())
        data[80:84] = np.float32(value).tobytes()
        (self.folder / "bad.nii").write_bytes(data)
        return self.folder / "bad.nii"

    def damaged_series(self) -> Path:
        folder = self.folder / "series"
        shutil.copytree(self.series, folder)
        path = sorted(folder.iterdir())[5]
        path.write_bytes(path.read_bytes()[:900])
        return folder

    def mixed_series(self) -> Path:
        for name in ("a", "b"):
            write_ct(self.folder / "mixed" / name)
        return self.folder / "mixed"

    def camera(self, **changes: Any) -> Path:
        """A frontal camera of the scene, with entries replaced or (None) left out."""
        entry: dict[str, Any] = {
            "K": [[300.0, 0, 23.5], [0, 300.0, 19.5], [0, 0, 1]],
            "world_to_camera": [[1, 0, 0, 0], [0, 0, -1, 438], [0, 1, 0, 1000], [0, 0, 0, 1]],
            "source_detector_mm": 1500,
        } | changes
        kept = {key: value for key, value in entry.items() if value is not None}
        return self.text(json.dumps([kept]), "cameras.json")


def with_output(make: Callable[[Path], object]) -> Callable[[Files], list[object]]:
    """Arguments whose output folder was prepared by `make`."""

    def arguments(files: Files) -> list[object]:
        output = files.folder / "out"
        made = make(output)
        return [files.ct, "-o", made if made is not None else output]

    return arguments


def foreign(output: Path) -> None:
    output.mkdir()
    (output / "thesis.txt").write_text("mine")


def another_dataset(output: Path) -> None:
    output.mkdir()
    (output / "dataset.json").write_text('{"name": "another tool\'s"}')


def a_file(output: Path) -> None:
    output.write_text("mine")


def below_a_file(output: Path) -> Path:
    output.write_text("a file")
    return output / "below"


class Row(NamedTuple):
    name: str
    arguments: Callable[[Files], list[object]]
    says: str


def ct(name: str, make: Callable[[Files], object], says: str, *options: object) -> Row:
    return Row(name, lambda files: [make(files), *options], says)


def option(name: str, says: str, *options: object) -> Row:
    return Row(name, lambda files: [files.ct, *options], says)


def cameras(name: str, make: Callable[[Files], Path], says: str, *options: object) -> Row:
    return Row(name, lambda files: [files.ct, "--cameras", make(files), *options], says)


def spoilt(value: float) -> np.ndarray[Any, np.dtype[np.float32]]:
    array = hu().astype(np.float32)
    array[3, 4, 5] = value
    return array


SINGULAR = affine()
SINGULAR[:3, 2] = SINGULAR[:3, 1]
AWAY = [[1, 0, 0, 0], [0, 0, 1, -438], [0, -1, 0, -1000], [0, 0, 0, 1]]
BESIDE = [[1, 0, 0, 900], [0, 0, -1, 438], [0, 1, 0, 1000], [0, 0, 0, 1]]
MIRROR = [[-1, 0, 0, 0], [0, 0, -1, 438], [0, 1, 0, 1000], [0, 0, 0, 1]]

TABLE = [
    # The CT.
    ct("missing file", lambda f: f.folder / "nope.nii.gz", "nope.nii.gz: no such file or folder"),
    ct("name too long", lambda f: f.folder / ("x" * 5000), "File name too long"),
    ct("folder without DICOM", lambda f: f.text("hello", "notes/a.txt").parent, "no DICOM"),
    ct("mixed series", Files.mixed_series, "series"),
    ct("cut DICOM slice", Files.damaged_series, "series"),
    ct("cut NIfTI", lambda f: f.cut(f.array(hu(), "good.nii"), 0.5, "bad.nii"), "cut short"),
    ct("cut gzip", lambda f: f.cut(f.ct, 0.5, "bad.nii.gz"), "cut short"),
    ct("cut header", lambda f: f.cut(f.array(hu(), "good.nii"), 0.002, "bad.nii"), "cut short"),
    ct("cut MetaImage", lambda f: f.cut(f.inputs / "ct.mha", 0.5, "bad.mha"), "cut short"),
    ct("cut NRRD", lambda f: f.cut(f.inputs / "ct.nrrd", 0.5, "bad.nrrd"), "cut short"),
    ct("empty file", lambda f: f.text("", "bad.nii"), "empty"),
    ct("another format", lambda f: f.text("hello", "notes.txt"), "not a format read here"),
    ct("2D", lambda f: f.image(hu()[0]), "2D image"),
    ct("one slice", lambda f: f.array(hu()[:1]), "2D image"),
    ct("4D", lambda f: f.image(np.stack([hu(), hu()])), "scalar volume"),
    ct("colour", lambda f: f.image(np.zeros((*SHAPE, 3), np.uint8)), "scalar volume"),
    ct("NaN", lambda f: f.array(spoilt(np.nan)), "NaN or infinite"),
    ct("infinite", lambda f: f.array(spoilt(np.inf)), "NaN or infinite"),
    ct("absurd values", lambda f: f.array(spoilt(1e20)), "1e+20"),
    ct("8 bits", lambda f: f.array(np.clip(hu() + 128, 0, 255).astype(np.uint8)), "--assume-hu"),
    ct("zero spacing", lambda f: f.pixdim(0), "spacing"),
    ct("negative spacing", lambda f: f.pixdim(-8), "spacing"),
    ct("zero spacing, MHA", lambda f: f.edited("bad.mha", "ElementSpacing = 8 ", "ElementSpacing = 0 "), "spacing"),
    ct("negative spacing, MHA", lambda f: f.edited("bad.mha", "ElementSpacing = 8", "ElementSpacing = -8"), "spacing"),
    ct("singular affine", lambda f: f.array(hu(), grid=SINGULAR), "no usable voxel grid"),
    # Label maps.
    ct("another grid", lambda f: f.ct, "grid", "--labels", "OTHER_GRID"),
    option("two CTs, one map", "1 label maps for 2 CTs", "CT", "--labels", "MAP"),
    option("one CT, two maps", "2 label maps for 1 CTs", "--labels", "MAP", "--labels", "MAP"),
    option("missing map", "nope.nii: no such file", "--labels", "nope.nii"),
    option("a CT as map", "labels", "--labels", "CT"),
    option("missing names", "nope.csv", "--labels", "MAP", "--label-names", "nope.csv"),
    # Views.
    option("unknown view", "unknown view 'sunrise'", "--views", "pa,sunrise"),
    option("no view", "no view", "--views", ","),
    option("angle", "0 to 90", "--views", "lao91"),
    option("tilt", "0 to 90", "--views", "lao30cra120"),
    option("negative angle", "unknown view", "--views", "lao-20"),
    option("source in the body", "inside", "--sid", "50"),
    option("detector in the body", "inside", "--sid", "1750"),
    option("sid beyond sdd", "source–detector distance", "--sid", "1200", "--sdd", "1000"),
    *(option(f"sdd {value}", "source_detector_mm", "--sdd", value) for value in ("0", "-5", "nan", "inf", "1e9")),
    *(option(f"sid {value}", "source_isocentre_mm", "--sid", value) for value in ("0", "-5", "nan", "inf")),
    *(option(f"fov {value}", "field_of_view_mm", "--fov", value) for value in ("0", "-5", "nan", "inf")),
    option("no field", "field_of_view_mm", "--fov", "1e-9"),
    # Cameras.
    cameras("looking away", lambda f: f.camera(world_to_camera=AWAY), "misses the volume"),
    cameras("beside the body", lambda f: f.camera(world_to_camera=BESIDE), "misses the volume"),
    cameras("detector in front", lambda f: f.camera(source_detector_mm=300), "misses the volume"),
    cameras("missing cameras", lambda f: f.folder / "nope.json", "nope.json: cannot read"),
    cameras("a folder", lambda f: f.folder, "cannot read"),
    cameras("no JSON", lambda f: f.text('[{"K": '), "JSON list"),
    cameras("deep JSON", lambda f: f.text("[" * 100_000), "JSON list"),
    cameras("no text", lambda f: f.ct, "JSON list"),
    cameras("no list", lambda f: f.text('{"K": 1}'), "JSON list"),
    cameras("empty list", lambda f: f.text("[]"), "JSON list"),
    cameras("list of numbers", lambda f: f.text("[1, 2]"), "JSON list"),
    cameras("no K", lambda f: f.camera(K=None), "'K'"),
    cameras("no distance", lambda f: f.camera(source_detector_mm=None), "source_detector_mm"),
    cameras("singular K", lambda f: f.camera(K=[[300, 0, 20], [0, 0, 20], [0, 0, 1]]), "invertible"),
    cameras("huge K", lambda f: f.camera(K=[[1e300, 0, 20], [0, 1e300, 20], [0, 0, 1]]), "pixels have no area"),
    cameras("ragged K", lambda f: f.camera(K=[[300, 0], [0, 300, 20], [0, 0, 1]]), "JSON list"),
    cameras("NaN in K", lambda f: f.camera(K=[[np.nan, 0, 20], [0, 300, 20], [0, 0, 1]]), "finite"),
    cameras("no rotation", lambda f: f.camera(world_to_camera=(2 * np.eye(4)).tolist()), "not a rotation"),
    cameras("mirror", lambda f: f.camera(world_to_camera=MIRROR), "not a rotation"),
    cameras("far away", lambda f: f.camera(world_to_camera=[[*row[:3], 1e300] for row in BESIDE]), "camera"),
    cameras("negative distance", lambda f: f.camera(source_detector_mm=-1), "must be positive"),
    cameras("text as distance", lambda f: f.camera(source_detector_mm="far"), "JSON list"),
    cameras("broken name", lambda f: f.camera(name="\ud800"), "JSON"),
    cameras("cameras and fov", lambda f: f.camera(), "field_of_view_mm", "--fov", "300"),
    # Numbers.
    *(
        option(f"size {value}", "--size", "--size", value)
        for value in ("0", "100000", "big", "64x", "-5", "1x2x3", "²")
    ),
    option("size of many digits", "--size", "--size", "9" * 5000),
    *(option(f"energy {value}", "keV", "--energy", value) for value in ("0", "-60", "9000", "nan")),
    option("energy in words", "--energy", "--energy", "high"),
    option("window reversed", "low < high", "--window", "3,1"),
    option("window of one", "--window", "--window", "3"),
    option("window NaN", "finite", "--window", "nan,1"),
    option("window too narrow", "apart", "--window", "0,1e-320"),
    option("window too wide", "within", "--window", "-1e308,1e308"),
    option("blades over all", "cover the whole", "--collimate", "2000,0,0,0"),
    option(
        "blades over one view", "cover the whole", "--collimate", "150,150,0,0", "--fov", "310", "--views", "pa,lao45"
    ),
    option("negative blades", "collimation", "--collimate=-1,0,0,0"),
    option("NaN blades", "collimation", "--collimate", "nan,0,0,0"),
    option("three blades", "--collimate", "--collimate", "1,2,3"),
    # Options.
    option("unknown option", "--frobnicate", "--frobnicate"),
    option("unknown backend", "--backend", "--backend", "tpu"),
    option("unknown method", "--method", "--method", "guess"),
    option("slices of boxes", "method", "--method", "slices", "--model", "box"),
    # The output.
    Row("file as output", with_output(a_file), "is a file"),
    Row("below a file", with_output(below_a_file), "Not a directory"),
    Row("nowhere to write", with_output(lambda _: "/proc/nowhere/out"), "cannot write"),
    Row("foreign files", with_output(foreign), "not empty and not a dataset"),
    Row("another dataset", with_output(another_dataset), "not a dataset of this toolkit"),
    Row("in the CT's folder", lambda f: [f.series, "-o", f.series / "out"], "lies in the CT's folder"),
]


@pytest.mark.parametrize("row", TABLE, ids=[row.name.replace(" ", "-") for row in TABLE])
def test_bad_input_is_one_line(synth: Callable[..., Result], inputs: Path, tmp_path: Path, row: Row) -> None:
    files = Files(tmp_path, inputs)
    places = {"CT": files.ct, "MAP": files.map}
    if row.name == "another grid":
        places["OTHER_GRID"] = files.array(labels()[:-2], "other.nii")
    arguments: list[object] = [places.get(str(a), a) for a in row.arguments(files)]
    output = [] if "-o" in arguments else ["-o", tmp_path / "out"]
    before = tree(tmp_path), tree(inputs)
    result = synth("drr", "--size", "16", *arguments, *output)
    refused(result, row.says)
    assert (tree(tmp_path), tree(inputs)) == before


def refused(result: Result, says: str) -> None:
    assert result.err.startswith("synth: ")
    assert result.err.count("\n") == 1
    assert says in result.err
    assert (result.code, result.out) == (2, "")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [((), "Missing command"), (("drr",), "--output"), (("x-ray",), "x-ray"), (("--drr",), "--drr")],
)
def test_bad_usage_is_one_line(synth: Callable[..., Result], arguments: tuple[str, ...], says: str) -> None:
    refused(synth(*arguments), says)


def test_a_process_of_its_own_says_the_same(inputs: Path, tmp_path: Path) -> None:
    result = finished(start("drr", inputs / "ct.mha", "-o", tmp_path / "out", "--sdd", "-5", "--json"))
    refused(result, "source_detector_mm (--sdd) must be 1 to 100000 mm, got -5")
    assert not (tmp_path / "out").exists()


def test_cuda_without_a_gpu(synth: Callable[..., Result], inputs: Path, tmp_path: Path) -> None:
    if choose_backend("auto") == "cuda":
        pytest.skip("this machine has a GPU")
    refused(synth("drr", inputs / "ct.mha", "-o", tmp_path / "out", "--backend", "cuda"), "radsynth[cuda]")


def test_a_finished_dataset_is_left_alone(synth: Callable[..., Result], inputs: Path, tmp_path: Path) -> None:
    arguments = ("drr", inputs / "ct.mha", "-o", tmp_path / "out", "--size", "16")
    assert synth(*arguments).code == 0
    before = tree(tmp_path)
    refused(synth(*arguments), "already holds a dataset; choose another folder or pass --resume")
    others = synth(*arguments, "--views", "ap", "--resume")
    refused(others, "cannot resume, made with other values of: n_samples, ")
    assert tree(tmp_path) == before


def test_resuming_nothing_with_a_bad_ct_leaves_nothing(
    synth: Callable[..., Result], inputs: Path, tmp_path: Path
) -> None:
    files = Files(tmp_path, inputs)
    bad = files.cut(files.ct, 0.5, "bad.nii.gz")
    refused(synth("drr", bad, "-o", tmp_path / "out", "--resume"), "cut short")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("options", [(), ("--raw",), ("--dicom",)])
def test_a_full_disk_is_one_line_and_the_run_can_be_resumed(
    synth: Callable[..., Result], inputs: Path, tmp_path: Path, options: tuple[str, ...]
) -> None:
    arguments = ("drr", inputs / "ct.mha", "--size", "64", *options)
    with files_of_at_most(3000):
        result = synth(*arguments, "-o", tmp_path / "out")
    refused(result, "cannot write (File too large)")
    assert not list(tmp_path.rglob("*.part"))
    assert synth(*arguments, "-o", tmp_path / "out", "--resume").code == 0
    assert synth(*arguments, "-o", tmp_path / "whole").code == 0
    assert tree(tmp_path / "out") == tree(tmp_path / "whole")


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """What a full disk is like: writing beyond `size` bytes of a file fails."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
