from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
import SimpleITK

from synth.core.errors import InputError
from synth.core.reading import read_labels, read_volume
from synth.core.volume import Volume
from tests.core.image_files import (
    MARKER,
    SHAPE,
    ct_array,
    nifti_bytes,
    oblique_affine,
    ras,
    world,
    write_nifti,
    write_series,
)

if TYPE_CHECKING:
    from pathlib import Path


def marker_world(volume: Volume) -> np.ndarray:
    index = np.unravel_index(int(volume.hu.argmax()), volume.shape)
    return world(volume.affine, tuple(int(i) for i in index))


def write_itk(path: Path, array: np.ndarray, affine: np.ndarray, *, compress: bool = False) -> Path:
    image = SimpleITK.GetImageFromArray(array)
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    image.SetSpacing(spacing.tolist())
    image.SetDirection((affine[:3, :3] / spacing).ravel().tolist())
    image.SetOrigin(affine[:3, 3].tolist())
    SimpleITK.WriteImage(image, str(path), compress)
    return path


# --- where a voxel lies -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.mha", "a.mhd", "a.nrrd", "a.nhdr", "a.nii", "a.nii.gz"])
@pytest.mark.parametrize("compress", [False, True])
def test_marker_position_in_files_written_by_itk(tmp_path: Path, name: str, compress: bool) -> None:
    affine = oblique_affine()
    volume = read_volume(write_itk(tmp_path / name, ct_array(), affine, compress=compress))
    np.testing.assert_allclose(marker_world(volume), world(affine), atol=1e-4)
    np.testing.assert_array_equal(volume.hu, ct_array())
    assert volume.hu.dtype == np.int16
    assert volume.name == "a"


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_sheared_sform_is_exact(tmp_path: Path, order: str, version: int, name: str) -> None:
    affine = oblique_affine()
    affine[:3, 2] += [0.0, 0.75, 0.0]
    path = write_nifti(tmp_path / name, ct_array(), sform=ras(affine), order=order, version=version)
    volume = read_volume(path)
    np.testing.assert_allclose(volume.affine, affine, atol=1e-4)
    np.testing.assert_allclose(marker_world(volume), world(affine), atol=1e-4)
    np.testing.assert_array_equal(volume.hu, ct_array())
    assert volume.hu.flags.writeable


@pytest.mark.parametrize("qfac", [1, -1])
def test_qform_alone(tmp_path: Path, qfac: int) -> None:
    # a turn by 90° about z, RAS: x → y
    path = write_nifti(
        tmp_path / "a.nii",
        ct_array(),
        pixdim=(qfac, 0.7, 0.8, 2.5, 1, 1, 1, 1),
        quatern=(0, 0, np.sqrt(0.5)),
        qoffset=(10, 20, 30),
    )
    z, y, x = MARKER
    expected = [-(10 - 0.8 * y), -(20 + 0.7 * x), 30 + qfac * 2.5 * z]
    np.testing.assert_allclose(marker_world(read_volume(path)), expected, atol=1e-5)
    itk = SimpleITK.ReadImage(str(path))
    np.testing.assert_allclose(itk.TransformIndexToPhysicalPoint((x, y, z)), expected, atol=1e-4)


def test_units_of_metres(tmp_path: Path) -> None:
    affine, pixdim = np.diag([0.001, 0.001, 0.002, 1]), (1, 0.001, 0.001, 0.002, 1, 1, 1, 1)
    path = write_nifti(tmp_path / "a.nii", ct_array(), sform=affine, pixdim=pixdim, units=1)
    np.testing.assert_allclose(read_volume(path).spacing, [1, 1, 2], rtol=1e-6)


@pytest.mark.parametrize("scale", [1e-3, 1e3])
def test_unlikely_extent_is_said(tmp_path: Path, scale: float) -> None:
    affine = np.diag([0.7 * scale, 0.8 * scale, 2.5 * scale, 1])
    pixdim = (1, *np.diag(affine)[:3], 1, 1, 1, 1)
    volume = read_volume(write_nifti(tmp_path / "a.nii", ct_array(), sform=affine, pixdim=pixdim))
    assert any("in millimetres?" in note for note in volume.warnings)


def test_no_orientation_is_said(tmp_path: Path) -> None:
    volume = read_volume(write_nifti(tmp_path / "a.nii", ct_array()))
    assert any("no orientation" in note for note in volume.warnings)


def test_sform_and_qform_of_other_hand_are_said(tmp_path: Path) -> None:
    path = write_nifti(tmp_path / "a.nii", ct_array(), sform=np.diag([-0.7, 0.8, 2.5, 1]), quatern=(0, 0, 0))
    assert any("left and right" in note for note in read_volume(path).warnings)


# --- values -----------------------------------------------------------------------------------------------------


def test_scl_slope(tmp_path: Path) -> None:
    stored = ((ct_array().astype(float) + 1024) / 2).astype("u2")
    volume = read_volume(write_nifti(tmp_path / "a.nii", stored, sform=np.eye(4), slope=2, inter=-1024))
    assert volume.hu.dtype == np.int16
    np.testing.assert_array_equal(volume.hu, stored.astype(int) * 2 - 1024)
    volume = read_volume(write_nifti(tmp_path / "b.nii", stored, sform=np.eye(4), slope=2.25, inter=-1024))
    assert volume.hu.dtype == np.float32
    np.testing.assert_allclose(volume.hu, stored * 2.25 - 1024)


@pytest.mark.parametrize("dtype", ["f4", "f8", "i4", "i8"])
def test_whole_numbers_become_int16(tmp_path: Path, dtype: str) -> None:
    volume = read_volume(write_nifti(tmp_path / "a.nii", ct_array(dtype=dtype), sform=np.eye(4)))
    assert volume.hu.dtype == np.int16
    np.testing.assert_array_equal(volume.hu, ct_array())


def test_outside_the_scan_circle_is_air_and_noise_stays(tmp_path: Path) -> None:
    array = ct_array()
    array[0] = -2048
    array[1, 0, :3] = (-1024, -1010, -1025)
    volume = read_volume(write_nifti(tmp_path / "a.nii", array, sform=np.eye(4)))
    assert (volume.hu[0] == -1000).all()
    assert volume.hu[1, 0, :3].tolist() == [-1024, -1010, -1000]
    assert any("17%" in note for note in volume.warnings)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e30])
def test_voxels_that_are_no_numbers(tmp_path: Path, bad: float) -> None:
    array = ct_array(dtype="f8")
    array[1, 1, 1] = bad
    with pytest.raises(InputError, match=r"a\.nii: holds"):
        read_volume(write_nifti(tmp_path / "a.nii", array, sform=np.eye(4)))


@pytest.mark.parametrize(("low", "high"), [(0, 255), (0, 0), (-1, 1), (3, 80)])
def test_no_hounsfield_units(tmp_path: Path, low: int, high: int) -> None:
    array = np.where(ct_array() > 0, high, low).astype("f4")
    path = write_nifti(tmp_path / "a.nii", array, sform=np.eye(4))
    with pytest.raises(InputError, match="do not look like HU"):
        read_volume(path)
    np.testing.assert_array_equal(read_volume(path, check_hu=False).hu, array)


@pytest.mark.parametrize(("value", "said"), [(-900, "no tissue"), (300, "no air")])
def test_unusual_values_are_said(tmp_path: Path, value: int, said: str) -> None:
    array = np.full(SHAPE, value, "i2")
    path = write_nifti(tmp_path / "a.nii", array, sform=np.eye(4))
    assert any(said in note for note in read_volume(path).warnings)
    assert not any(said in note for note in read_volume(path, check_hu=False).warnings)


# --- files that cannot be read ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"dims": (2, 8, 7)}, "2D"),
        ({"dims": (3, 8, 7, 1)}, "2D"),
        ({"dims": (3, 8, 1, 6)}, "at least 2"),
        ({"dims": (4, 8, 7, 3, 2)}, "series of volumes"),
        ({"dims": (3, 8, -7, 6)}, "corrupted"),
        ({"dims": (0, 8, 7, 6)}, "dimensions"),
        ({"dims": (3, 30000, 30000, 30000)}, "voxels"),
        ({"dims": (3, 1500, 1500, 1500)}, "cut short"),
        ({"pixdim": (1, 0, 0.8, 2.5, 1, 1, 1, 1)}, "spacing"),
        ({"pixdim": (1, 0.7, -0.8, 2.5, 1, 1, 1, 1)}, "spacing"),
        ({"pixdim": (1, 0.7, 0.8, np.nan, 1, 1, 1, 1)}, "spacing"),
        ({"sform": np.diag([1.0, 1, 0, 1])}, "voxel grid"),
        ({"sform": np.diag([1.0, 1, np.nan, 1])}, "voxel grid"),
        ({"sform": np.array([[1.0, 1, 0, 0], [0, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])}, "voxel grid"),
        ({"slope": np.inf}, "scales by"),
    ],
)
@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_corrupted_nifti_headers(tmp_path: Path, name: str, options: dict, said: str) -> None:
    with pytest.raises(InputError, match=said) as raised:
        read_volume(write_nifti(tmp_path / name, ct_array(), **{"sform": np.eye(4), **options}))
    assert name in str(raised.value)
    assert "\n" not in str(raised.value)


def test_4d_of_one_frame(tmp_path: Path) -> None:
    path = write_nifti(tmp_path / "a.nii", ct_array(), sform=np.eye(4), dims=(4, 8, 7, 6, 1))
    assert read_volume(path).shape == SHAPE
    image = SimpleITK.JoinSeries([SimpleITK.GetImageFromArray(ct_array())])
    SimpleITK.WriteImage(image, str(tmp_path / "a.nrrd"))
    assert read_volume(tmp_path / "a.nrrd").shape == SHAPE


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "a.mha", "a.nrrd"])
def test_cut_short(tmp_path: Path, name: str) -> None:
    path = write_itk(tmp_path / name, ct_array((20, 30, 40)), oblique_affine(), compress="gz" in name)
    whole = path.read_bytes()
    for length in (1, 3, 200, 400, len(whole) // 2, len(whole) - 9, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(InputError, match=name):
            read_volume(path)


def test_gzip_checksum_and_members(tmp_path: Path) -> None:
    data = nifti_bytes(ct_array(), sform=np.eye(4))
    path = tmp_path / "a.nii.gz"
    path.write_bytes(gzip.compress(data[:500]) + gzip.compress(data[500:]))
    np.testing.assert_array_equal(read_volume(path).hu, ct_array())
    broken = bytearray(gzip.compress(data))
    broken[-6] ^= 1
    path.write_bytes(broken)
    with pytest.raises(InputError, match="cut short or corrupted"):
        read_volume(path)


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "a.mha", "a.nrrd", "a.dcm", "a.txt", "noise"])
@pytest.mark.parametrize("content", [b"", b"hello, this is no image\n" * 40, b"\0" * 400])
def test_no_image_at_all(tmp_path: Path, name: str, content: bytes, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=name):
        read_volume(tmp_path / name)
    assert capfd.readouterr().err == ""


def test_missing_and_empty_paths(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_volume(tmp_path / "absent.nii.gz")
    with pytest.raises(InputError, match="no DICOM files"):
        read_volume(tmp_path)
    with pytest.raises(InputError, match="series_uid"):
        read_volume(write_nifti(tmp_path / "a.nii", ct_array(), sform=np.eye(4)), series_uid="1.2")


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("a.mha", "ElementSpacing = 1 1 1", "ElementSpacing = 1 0 1"),
        ("a.mha", "ElementSpacing = 1 1 1", "ElementSpacing = 1 -1 1"),
        ("a.mha", "ElementSpacing = 1 1 1", "ElementSpacing = 1 nan 1"),
        ("a.mha", "DimSize = 8 7 6", "DimSize = 8 7 60000000"),
        ("a.mha", "TransformMatrix = 1 0 0 0 1 0 0 0 1", "TransformMatrix = 1 0 0 0 1 0 0 1 0"),
        ("a.nrrd", "space directions: (1,0,0) (0,1,0) (0,0,1)", "space directions: (1,0,0) (0,1,0) (0,0,nan)"),
        ("a.nrrd", "space directions: (1,0,0) (0,1,0) (0,0,1)", "space directions: (1,0,0) (0,1,0) (0,0,0)"),
        ("a.nrrd", "sizes: 8 7 6", "sizes: 8 7 60000000"),
    ],
)
def test_corrupted_text_headers(
    tmp_path: Path, name: str, old: str, new: str, capfd: pytest.CaptureFixture[str]
) -> None:
    path = write_itk(tmp_path / name, ct_array(), np.eye(4))
    assert old.encode() in path.read_bytes()
    path.write_bytes(path.read_bytes().replace(old.encode(), new.encode()))
    with pytest.raises(InputError, match=name):
        read_volume(path)
    assert capfd.readouterr().err == ""


def test_mhd_without_its_data(tmp_path: Path) -> None:
    path = write_itk(tmp_path / "a.mhd", ct_array(), np.eye(4))
    (tmp_path / "a.raw").unlink()
    with pytest.raises(InputError, match=r"a\.raw is missing"):
        read_volume(path)


def test_vector_image(tmp_path: Path) -> None:
    image = SimpleITK.GetImageFromArray(np.zeros((*SHAPE, 3), "u1"), isVector=True)
    SimpleITK.WriteImage(image, str(tmp_path / "a.mha"))
    with pytest.raises(InputError, match="one real number"):
        read_volume(tmp_path / "a.mha")


def test_itk_warnings_are_as_before(tmp_path: Path) -> None:
    shown = SimpleITK.ProcessObject.GetGlobalWarningDisplay()
    read_volume(write_itk(tmp_path / "a.mha", ct_array(), np.eye(4)))
    assert SimpleITK.ProcessObject.GetGlobalWarningDisplay() == shown


# --- label maps -------------------------------------------------------------------------------------------------


def label_array() -> np.ndarray:
    array = np.zeros(SHAPE, "u1")
    array[1:3, 2:4, 1:5] = 5
    array[MARKER] = 51
    return array


@pytest.mark.parametrize("name", ["m.nii.gz", "m.mha", "m.nrrd"])
@pytest.mark.parametrize("axes", [(0, 1, 2), (2, 0, 1), (1, 0, 2)])
@pytest.mark.parametrize("flips", [(), (0,), (1, 2), (0, 1, 2)])
def test_labels_in_another_axis_order(tmp_path: Path, name: str, axes: tuple, flips: tuple) -> None:
    volume = Volume(ct_array(), oblique_affine())
    array, affine = np.transpose(label_array(), axes), oblique_affine()
    affine[:3, :3] = affine[:3, [2 - axes[2 - column] for column in range(3)]]
    for axis in flips:
        array = np.flip(array, axis)
        affine[:3, 3] += affine[:3, 2 - axis] * (array.shape[axis] - 1)
        affine[:3, 2 - axis] *= -1
    array = np.ascontiguousarray(array)
    if name.endswith("gz"):
        pixdim = (1, *np.linalg.norm(affine[:3, :3], axis=0), 1, 1, 1, 1)
        path = write_nifti(tmp_path / name, array, sform=ras(affine), pixdim=pixdim)
    else:
        path = write_itk(tmp_path / name, array, affine)
    labels = read_labels(path, volume)
    np.testing.assert_array_equal(labels.array, label_array())
    np.testing.assert_array_equal(labels.affine, volume.affine)
    assert labels.names == {5: "liver", 51: "heart"}


def test_labels_of_another_grid(tmp_path: Path) -> None:
    shifted = oblique_affine()
    shifted[0, 3] += 0.5
    path = write_itk(tmp_path / "m.mha", label_array(), shifted)
    with pytest.raises(InputError, match=r"8×7×6 voxels of 0\.7×0\.8×2\.5 mm.*resample_labels"):
        read_labels(path, Volume(ct_array(), oblique_affine()))


@pytest.mark.parametrize("dtype", ["f4", "f8", "i4", "i8", "u2"])
def test_label_types(tmp_path: Path, dtype: str) -> None:
    array = label_array().astype(dtype)
    labels = read_labels(write_nifti(tmp_path / "m.nii", array, sform=np.eye(4)))
    assert labels.array.dtype == np.uint8
    np.testing.assert_array_equal(labels.array, array)
    array[0, 0, 0] = 40000
    assert read_labels(write_nifti(tmp_path / "m.nii", array, sform=np.eye(4))).array.dtype == np.uint16


@pytest.mark.parametrize("value", [-1, 65536, 0.5, np.nan, np.inf])
def test_values_that_are_no_labels(tmp_path: Path, value: float) -> None:
    array = label_array().astype("f4")
    array[2, 2, 2] = value
    with pytest.raises(InputError, match=r"m\.nii: values"):
        read_labels(write_nifti(tmp_path / "m.nii", array, sform=np.eye(4)))


def test_scaled_labels(tmp_path: Path) -> None:
    labels = read_labels(write_nifti(tmp_path / "m.nii", label_array(), sform=np.eye(4), slope=2, inter=1))
    np.testing.assert_array_equal(labels.array, label_array() * 2 + 1)
    labels = read_labels(write_nifti(tmp_path / "n.nii", label_array(), sform=np.eye(4), inter=3))
    np.testing.assert_array_equal(labels.array, label_array() + 3)


def test_labels_from_dicom_are_refused(tmp_path: Path) -> None:
    write_series(tmp_path / "s", ct_array(), np.eye(4))
    with pytest.raises(InputError, match="DICOM SEG"):
        read_labels(tmp_path / "s")


def test_names_given_as_a_file(tmp_path: Path) -> None:
    (tmp_path / "n.json").write_text(json.dumps({"organ": 5}))
    path = write_nifti(tmp_path / "m.nii", label_array(), sform=np.eye(4))
    assert read_labels(path, names=tmp_path / "n.json").names == {5: "organ", 51: "label_51"}


# --- real images ------------------------------------------------------------------------------------------------


def test_real_ct_and_labels(shared_data: Path) -> None:
    path = shared_data / "ct" / "totalseg_example_abdomen.nii.gz"
    volume = read_volume(path)
    image = SimpleITK.ReadImage(str(path))
    np.testing.assert_array_equal(volume.hu, np.where((a := SimpleITK.GetArrayFromImage(image)) < -1024, -1000, a))
    np.testing.assert_allclose(world(volume.affine), image.TransformIndexToPhysicalPoint(MARKER[::-1]), atol=1e-3)
    labels = read_labels(path.with_name("totalseg_example_abdomen_seg.nii.gz"), volume)
    assert labels.names[5] == "liver"
    assert len(labels.names) == 61
    assert (labels.array == 5).sum() == 41692
