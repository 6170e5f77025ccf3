import shutil
import subprocess
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK

from synth.core.errors import InputError
from synth.core.reading import read_volume
from synth.core.record import Record, ScanSample
from synth.core.volume import Volume
from synth.dataset.writers.dicom_ct import write_ct_series
from tests.dataset.writers.iod_checks import complaints

SHAPE = (5, 6, 7)
HU = np.random.default_rng(0).integers(-1000, 3000, SHAPE).astype(np.int16)
SPACING = np.diag([0.7, 0.8, 1.25])


def turned(about_z: float, about_x: float) -> np.ndarray:
    (a, b), (c, d) = (np.cos([about_z, about_x]), np.sin([about_z, about_x]))
    return np.array([[a, -c, 0], [c, a, 0], [0, 0, 1]]) @ np.array([[1, 0, 0], [0, b, -d], [0, d, b]])


AXES = {
    "axial": np.eye(3),
    "feet first": np.diag([1.0, 1, -1]),
    "mirrored rows": np.diag([-1.0, 1, 1]),
    "RAS": np.diag([-1.0, -1, 1]),
    "sagittal": np.array([[0.0, 0, 1], [1, 0, 0], [0, -1, 0]]),
    "oblique": turned(0.3, -0.4),
    "oblique, mirrored": turned(-1.1, 0.2) @ np.diag([1.0, 1, -1]),
}


def affine(axes: np.ndarray) -> np.ndarray:
    matrix = np.eye(4)
    matrix[:3, :3] = axes @ SPACING
    matrix[:3, 3] = (-101.25, 33.5, 712.125)
    return matrix


def scan(axes: np.ndarray = AXES["axial"], hu: np.ndarray = HU, index: int = 3, **said: object) -> ScanSample:
    record = Record("CT", **{"source": "ct:patient-x", **said})  # type: ignore[arg-type]
    return ScanSample(index, Volume(hu, affine(axes)), {}, record)


def world(matrix: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """(z, y, x, 3), where every voxel lies, mm."""
    z, y, x = np.indices(shape)
    return np.stack([x, y, z], axis=-1) @ matrix[:3, :3].T + matrix[:3, 3]


def same_voxels(matrix: np.ndarray, hu: np.ndarray, axes: np.ndarray) -> None:
    """The same HU at the same places, whichever way the slices are stacked."""
    if np.linalg.det(axes) < 0:
        matrix, hu = matrix @ np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, -1, len(hu) - 1], [0, 0, 0, 1]]), hu[::-1]
    np.testing.assert_array_equal(hu, HU)
    np.testing.assert_allclose(world(matrix, SHAPE), world(affine(axes), SHAPE), atol=1e-5)


@pytest.mark.parametrize("name", AXES)
def test_our_reader_gets_the_same_voxels_at_the_same_places(tmp_path: Path, name: str) -> None:
    write_ct_series(tmp_path / "ct", scan(AXES[name]), uid_seed="seed")
    volume = read_volume(tmp_path / "ct", check_hu=False)
    same_voxels(volume.affine, volume.hu, AXES[name])
    assert volume.warnings == ()


@pytest.mark.parametrize("name", AXES)
def test_simpleitk_reads_the_same_series(tmp_path: Path, name: str) -> None:
    write_ct_series(tmp_path / "ct", scan(AXES[name]), uid_seed="seed")
    reader = SimpleITK.ImageSeriesReader()
    (series,) = reader.GetGDCMSeriesIDs(str(tmp_path / "ct"))
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(tmp_path / "ct"), series))
    image = reader.Execute()
    matrix = np.eye(4)
    matrix[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) @ np.diag(image.GetSpacing())
    matrix[:3, 3] = image.GetOrigin()
    same_voxels(matrix, SimpleITK.GetArrayFromImage(image), AXES[name])


def test_a_tilted_gantry_is_kept(tmp_path: Path) -> None:
    sheared = scan()
    sheared.volume.affine[1, 2] = 0.4
    write_ct_series(tmp_path / "ct", sheared, uid_seed="seed")
    volume = read_volume(tmp_path / "ct", check_hu=False)
    np.testing.assert_allclose(volume.affine, sheared.volume.affine, atol=1e-6)
    np.testing.assert_array_equal(volume.hu, HU)
    assert "gantry tilt" in volume.warnings[0]
    assert float(pydicom.dcmread(tmp_path / "ct" / "0001.dcm").SliceThickness) == 1.25  # along the normal


def test_slices_are_numbered_along_row_cross_column(tmp_path: Path) -> None:
    write_ct_series(tmp_path / "ct", scan(AXES["feet first"]), uid_seed="seed")
    slices = [pydicom.dcmread(path) for path in sorted((tmp_path / "ct").iterdir())]
    assert [int(one.InstanceNumber) for one in slices] == [1, 2, 3, 4, 5]
    heights = [float(one.ImagePositionPatient[2]) for one in slices]
    np.testing.assert_allclose(np.diff(heights), 1.25)
    np.testing.assert_array_equal(slices[0].pixel_array, HU[-1])


@pytest.mark.parametrize("said", [{}, {"sex": "F", "age": 63.0}, {"sex": "M", "age": 0.7}], ids=["nobody", "F63", "M0"])
def test_the_standard_misses_nothing(tmp_path: Path, said: dict[str, object]) -> None:
    write_ct_series(tmp_path / "ct", scan(**said), uid_seed="seed")
    assert list(complaints(pydicom.dcmread(tmp_path / "ct" / "0003.dcm"), "ct-image")) == []


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy (Debian: dicom3tools) is not installed")
@pytest.mark.parametrize("name", ["axial", "oblique, mirrored"])
def test_dciodvfy_finds_no_error(tmp_path: Path, name: str) -> None:
    write_ct_series(tmp_path / "ct", scan(AXES[name], sex="F", age=63.0), uid_seed="seed")
    done = subprocess.run(
        ["dciodvfy", "-new", "ct/0002.dcm"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    lines = (done.stdout + done.stderr).splitlines()
    assert "CTImage" in lines
    assert [line for line in lines if "Error" in line] == []


def test_what_a_slice_says(tmp_path: Path) -> None:
    write_ct_series(tmp_path / "secret-folder", scan(sex="F", age=63.9, source="ct:MRN12345"), uid_seed="seed")
    slices = [pydicom.dcmread(path) for path in sorted((tmp_path / "secret-folder").iterdir())]
    ds = slices[1]
    assert "not acquired from a patient" in ds.ImageComments
    assert "Synthetic" in ds.DerivationDescription
    assert str(ds.PatientName).startswith("SYNTHETIC^")
    assert (ds.PatientSex, ds.PatientAge, ds.BurnedInAnnotation, ds.Modality) == ("F", "063Y", "NO", "CT")
    assert (ds.RescaleIntercept, ds.RescaleSlope, ds.PixelRepresentation) == (0, 1, 1)
    assert not [element for element in ds.iterall() if element.VR in {"DA", "TM", "DT"} and element.value]
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID", "PatientID"):
        assert len({one[keyword].value for one in slices}) == 1
    assert len({one.SOPInstanceUID for one in slices}) == 5
    for path in (tmp_path / "secret-folder").iterdir():
        data = path.read_bytes()
        assert not [word for word in (b"MRN12345", b"secret-folder", str(tmp_path).encode()) if word in data]


def test_equal_samples_give_equal_bytes_and_others_other_series(tmp_path: Path) -> None:
    for name, one in {"a": scan(), "b": scan(), "c": scan(index=4)}.items():
        write_ct_series(tmp_path / name, one, uid_seed="seed")
    files = {name: [path.read_bytes() for path in sorted((tmp_path / name).iterdir())] for name in "abc"}
    assert files["a"] == files["b"]
    first, other = (pydicom.dcmread(tmp_path / name / "0001.dcm") for name in "ac")
    assert first.StudyInstanceUID == other.StudyInstanceUID  # one patient's
    assert first.SeriesInstanceUID != other.SeriesInstanceUID
    assert first.FrameOfReferenceUID != other.FrameOfReferenceUID


def test_float_hu_are_rounded(tmp_path: Path) -> None:
    write_ct_series(tmp_path / "ct", scan(hu=HU.astype(np.float32) + np.float32(0.4)), uid_seed="seed")
    np.testing.assert_array_equal(read_volume(tmp_path / "ct", check_hu=False).hu, HU)


@pytest.mark.parametrize("bad", [np.nan, 4e4, -4e4])
def test_hu_beyond_16_bits_are_refused_and_leave_nothing(tmp_path: Path, bad: float) -> None:
    hu = HU.astype(np.float32)
    hu[3, 2, 1] = bad
    with pytest.raises(InputError, match="do not fit"):
        write_ct_series(tmp_path / "ct", scan(hu=hu), uid_seed="seed")
    assert list(tmp_path.iterdir()) == []


def test_rows_that_lean_on_columns_are_refused(tmp_path: Path) -> None:
    leaning = scan()
    leaning.volume.affine[0, 1] = 0.1
    with pytest.raises(InputError, match=r"7\.1° off right angles"):
        write_ct_series(tmp_path / "ct", leaning, uid_seed="seed")


def test_a_stopped_run_leaves_no_half_series_and_the_next_tidies_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def kill(path: Path, *_: object) -> None:
        if path.name == "0003.dcm":
            raise Killed
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"half")

    with monkeypatch.context() as patch:
        patch.setattr("synth.dataset.writers.dicom_ct.save", kill)
        patch.setattr("shutil.rmtree", lambda *_, **__: None)
        patch.setattr("os.getpid", lambda: 1234567)
        with pytest.raises(Killed):
            write_ct_series(tmp_path / "ct", scan(), uid_seed="seed")
    assert len(list(tmp_path.iterdir())) == 1
    assert not (tmp_path / "ct").exists()
    for _ in range(2):  # also over a series that is there
        write_ct_series(tmp_path / "ct", scan(), uid_seed="seed")
        assert [path.name for path in tmp_path.iterdir()] == ["ct"]
    assert len(list((tmp_path / "ct").iterdir())) == 5


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(InputError, match="cannot write"):
        write_ct_series(tmp_path / "file" / "ct", scan(), uid_seed="seed")
