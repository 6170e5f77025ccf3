from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pydicom
import pytest
import SimpleITK
from pydicom.uid import MPEG2MPML, ExplicitVRBigEndian, ImplicitVRLittleEndian

from synth.core.dicom_series import find_series
from synth.core.errors import InputError
from synth.core.reading import read_volume
from tests.core.image_files import (
    MARKER,
    SHAPE,
    ct_array,
    ct_dataset,
    enhanced_dataset,
    oblique_affine,
    save,
    world,
    write_series,
)

if TYPE_CHECKING:
    from pathlib import Path

    from pydicom.dataset import Dataset


def marker_world(volume: Any) -> np.ndarray:
    return world(volume.affine, tuple(int(i) for i in np.unravel_index(int(volume.hu.argmax()), volume.shape)))


def test_oblique_series(tmp_path: Path) -> None:
    affine = oblique_affine()
    write_series(tmp_path / "deep" / "er", ct_array(), affine)
    (tmp_path / "readme.txt").write_text("no image")
    volume = read_volume(tmp_path)
    np.testing.assert_allclose(volume.affine, affine, atol=1e-6)
    np.testing.assert_allclose(marker_world(volume), world(affine), atol=1e-6)
    np.testing.assert_array_equal(volume.hu, ct_array())
    assert volume.hu.dtype == np.int16
    assert volume.warnings == ()


@pytest.mark.parametrize("axis", [(1, 0, 0), (0, 1, 0)])
def test_sagittal_and_coronal_series(tmp_path: Path, axis: tuple[int, int, int]) -> None:
    affine = np.eye(4)
    affine[:3, :3] = [[0, 0, -2], [1, 0, 0], [0, -1, 0]] if axis[0] else [[1, 0, 0], [0, 0, 2], [0, -1, 0]]
    volume = read_volume(write_series(tmp_path / "s", ct_array(), affine))
    np.testing.assert_allclose(marker_world(volume), world(affine), atol=1e-6)


def test_stacked_against_the_normal(tmp_path: Path) -> None:
    affine = np.diag([1.0, 1, -2, 1])
    volume = read_volume(write_series(tmp_path / "s", ct_array(), affine))
    np.testing.assert_allclose(marker_world(volume), world(affine), atol=1e-6)
    assert volume.affine[2, 2] == 2


def test_gantry_tilt_stays_in_the_affine(tmp_path: Path) -> None:
    affine = np.eye(4)
    tilt = np.radians(15)
    affine[:3, 1] = [0, np.cos(tilt), np.sin(tilt)]
    affine[:3, 2] = [0, 0, 2.5]
    volume = read_volume(write_series(tmp_path / "s", ct_array(), affine))
    np.testing.assert_allclose(volume.affine, affine, atol=1e-6)
    np.testing.assert_allclose(marker_world(volume), world(affine), atol=1e-6)
    assert any("tilt of 15.00°" in note for note in volume.warnings)


def test_slope_and_intercept_of_each_slice(tmp_path: Path) -> None:
    for k, plane in enumerate(ct_array()):
        stored = ((plane.astype(int) + 1024) // (k + 1)).astype("u2")
        tags = {"RescaleSlope": k + 1, "RescaleIntercept": -1024}
        save(tmp_path / f"{k}.dcm", ct_dataset(stored, np.eye(4), k, "1.2.3", **tags))
    volume = read_volume(tmp_path)
    k = np.arange(1, 7).reshape(-1, 1, 1)
    np.testing.assert_array_equal(volume.hu, (ct_array().astype(int) + 1024) // k * k - 1024)
    assert volume.hu.dtype == np.int16


def test_fractional_slope_is_float(tmp_path: Path) -> None:
    volume = read_volume(write_series(tmp_path / "s", ct_array(), np.eye(4), RescaleSlope=0.25))
    assert volume.hu.dtype == np.float32
    assert volume.hu[MARKER] == 308.5


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian])
def test_other_encodings(tmp_path: Path, syntax: str) -> None:
    for k, plane in enumerate(ct_array()):
        swapped = plane.astype(">i2") if syntax == ExplicitVRBigEndian else plane
        data = ct_dataset(plane, np.eye(4), k, "1.2.3")
        data.PixelData = swapped.tobytes()
        data.file_meta.TransferSyntaxUID = syntax
        save(tmp_path / f"{k}.dcm", data)
    np.testing.assert_array_equal(read_volume(tmp_path).hu, ct_array())


def test_bits_above_the_stored_ones_are_ignored(tmp_path: Path) -> None:
    stored = (ct_array().astype(int) + 1024).astype("u2") | 0x8000
    write_series(tmp_path / "s", stored, np.eye(4), RescaleIntercept=-1024, BitsStored=12, HighBit=11)
    np.testing.assert_array_equal(read_volume(tmp_path).hu, ct_array())


def test_padding_is_air(tmp_path: Path) -> None:
    array = ct_array()
    array[:, 0] = -2000
    array[:, 1] = 3000
    write_series(tmp_path / "a", array, np.eye(4), PixelPaddingValue=-2000)
    assert (read_volume(tmp_path / "a").hu[:, 0] == -1000).all()
    write_series(tmp_path / "b", array, np.eye(4), PixelPaddingValue=3000)
    assert (read_volume(tmp_path / "b").hu[:, 1] == -1000).all()


def test_uneven_slices_are_interpolated(tmp_path: Path) -> None:
    array = np.broadcast_to(np.array([0, 100, 200, 330, 400, 500], "i2").reshape(-1, 1, 1), SHAPE).copy()
    affine = np.diag([1.0, 1, 2, 1])
    volume = read_volume(write_series(tmp_path / "s", array, affine, at=[0, 1, 2, 3.3, 4, 5]))
    assert volume.shape == SHAPE
    np.testing.assert_array_equal(volume.hu[:, 0, 0], [0, 100, 200, 300, 400, 500])
    np.testing.assert_allclose(volume.affine, affine)
    assert any("1.4 to 2.6 mm apart" in note for note in volume.warnings)


def test_missing_slice_is_interpolated(tmp_path: Path) -> None:
    folder = write_series(tmp_path / "s", ct_array(), np.eye(4))
    next(folder.glob("*_002.dcm")).unlink()
    volume = read_volume(folder)
    expected = ct_array()
    expected[2] = np.rint((expected[1].astype(float) + expected[3]) / 2)
    np.testing.assert_array_equal(volume.hu, expected)
    assert any("1 slices are missing" in note for note in volume.warnings)


def test_wide_gap_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"a gap of 4 mm between .*_002\.dcm and .*_003\.dcm"):
        read_volume(write_series(tmp_path / "s", ct_array(), np.eye(4), at=[0, 1, 2, 6, 7, 8]))


def test_copies_and_duplicates(tmp_path: Path) -> None:
    folder = write_series(tmp_path / "s", ct_array(), np.eye(4))
    one = next(folder.glob("*_002.dcm"))
    (folder / "copy.dcm").write_bytes(one.read_bytes())
    volume = read_volume(folder)
    np.testing.assert_array_equal(volume.hu, ct_array())
    assert any("copies" in note for note in volume.warnings)
    uid = find_series(folder)[0].uid
    save(folder / "other.dcm", ct_dataset(ct_array()[0], np.eye(4), 2, uid))
    with pytest.raises(InputError, match=r"positions occur twice .*other\.dcm"):
        read_volume(folder)


def test_several_series_are_listed_and_chosen(tmp_path: Path) -> None:
    write_series(tmp_path / "a", ct_array(), np.eye(4), uid="1.2.826.11", SeriesDescription="Lung 1.0")
    write_series(tmp_path / "b", ct_array()[:4], np.eye(4), uid="1.2.826.22", SeriesDescription="Soft 5.0")
    save(
        tmp_path / "scout.dcm",
        ct_dataset(ct_array()[0], np.eye(4), 0, "9.9", ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"]),
    )
    save(
        tmp_path / "mr.dcm",
        ct_dataset(ct_array()[0], np.eye(4), 0, "9.8", Modality="MR", SOPClassUID="1.2.840.10008.5.1.4.1.1.4"),
    )
    with pytest.raises(
        InputError, match=r"2 CT series.*'Lung 1\.0' \(CT, 6 slices\).*'Soft 5\.0' \(CT, 4 slices\).*series_uid"
    ) as e:
        read_volume(tmp_path)
    assert "SECRET" not in str(e.value)
    assert read_volume(tmp_path, series_uid="1.2.826.22").shape == (4, 7, 8)
    assert read_volume(tmp_path, series_uid=".11").shape == SHAPE
    for uid in ("", "33", "9.9"):
        with pytest.raises(InputError, match="series"):
            read_volume(tmp_path, series_uid=uid)


def test_localizer_in_the_series_is_left_out(tmp_path: Path) -> None:
    folder = write_series(tmp_path / "s", ct_array(), np.eye(4), uid="1.2.3")
    turned = np.eye(4)[[0, 2, 1, 3]]
    save(
        folder / "scout.dcm",
        ct_dataset(ct_array()[0], turned, 0, "1.2.3", ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"]),
    )
    assert read_volume(folder).shape == SHAPE


def test_other_modalities_are_refused(tmp_path: Path) -> None:
    write_series(tmp_path / "s", ct_array(), np.eye(4), Modality="MR", SOPClassUID="1.2.840.10008.5.1.4.1.1.4")
    with pytest.raises(InputError, match=r"no CT series.*MR, 6 files"):
        read_volume(tmp_path)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"PixelSpacing": [2, 2]}, "pixel spacing"),
        ({"ImageOrientationPatient": [0, 1, 0, 1, 0, 0]}, "another orientation"),
        ({"ImageOrientationPatient": [1, 0, 0, 1, 0, 0]}, "right angles"),
        ({"ImagePositionPatient": [5, 0, 2]}, "off the line"),
        ({"Rows": 8, "Columns": 7}, "pixels, not"),
        ({"PixelSpacing": [0, 1]}, "not usable"),
        ({"RescaleSlope": 0}, "not usable"),
    ],
)
def test_slices_that_do_not_fit(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    folder = write_series(tmp_path / "s", ct_array(), np.eye(4), uid="1.2.3")
    next(folder.glob("*_002.dcm")).unlink()
    save(folder / "odd.dcm", ct_dataset(ct_array()[2], np.eye(4), 2, "1.2.3", **change))
    with pytest.raises(InputError, match=said):
        read_volume(folder)


def test_one_file_of_a_series(tmp_path: Path) -> None:
    folder = write_series(tmp_path / "s", ct_array(), np.eye(4))
    with pytest.raises(InputError, match="pass the folder"):
        read_volume(next(folder.iterdir()))


def test_multi_frame_file(tmp_path: Path) -> None:
    affine = oblique_affine()
    intercepts = [-1024.0 + k for k in range(6)]
    stored = (ct_array().astype(int) - np.reshape(intercepts, (-1, 1, 1))).astype("i2")
    path = save(tmp_path / "multi.dcm", enhanced_dataset(stored, affine, intercepts))
    for source in (path, tmp_path):
        volume = read_volume(source)
        np.testing.assert_allclose(volume.affine, affine, atol=1e-6)
        np.testing.assert_array_equal(volume.hu, ct_array())


def test_cut_short_file_is_named(tmp_path: Path) -> None:
    folder = write_series(tmp_path / "s", ct_array(), np.eye(4))
    one = next(folder.glob("*_002.dcm"))
    whole = one.read_bytes()
    for length in (0, 100, 140, 200, 300, len(whole) // 2, len(whole) - 60, len(whole) - 2):
        one.write_bytes(whole[:length])
        with pytest.raises(InputError, match=r"_002\.dcm") as raised:
            read_volume(folder)
        assert "\n" not in str(raised.value)


def compress_with_itk(data: Dataset, compressor: str, path: Path) -> None:
    writer = SimpleITK.ImageFileWriter()
    writer.SetFileName(str(path))
    writer.UseCompressionOn()
    writer.SetCompressor(compressor)
    writer.Execute(SimpleITK.GetImageFromArray(data.pixel_array[None]))
    compressed = pydicom.dcmread(path)
    data.file_meta.TransferSyntaxUID = compressed.file_meta.TransferSyntaxUID
    assert data.file_meta.TransferSyntaxUID.is_encapsulated
    data["PixelData"] = compressed["PixelData"]


@pytest.mark.parametrize("compressor", ["RLE", "JPEG2000", "JPEG"])
def test_compressed_series(tmp_path: Path, compressor: str) -> None:
    array = ct_array((6, 32, 32))
    for k, plane in enumerate(array):
        data = ct_dataset(plane, np.eye(4), k, "1.2.3")
        if compressor == "RLE":
            data.compress("1.2.840.10008.1.2.5", generate_instance_uid=False)
        else:
            compress_with_itk(data, compressor, tmp_path.with_suffix(".dcm"))
        save(tmp_path / f"{k}.dcm", data)
    volume = read_volume(tmp_path)
    np.testing.assert_array_equal(volume.hu, array)
    np.testing.assert_allclose(marker_world(volume), world(np.eye(4)), atol=1e-6)


def test_unknown_compression_is_said(tmp_path: Path) -> None:
    folder = write_series(tmp_path / "s", ct_array(), np.eye(4), uid="1.2.3")
    one = next(folder.glob("*_002.dcm"))
    data = ct_dataset(ct_array()[2], np.eye(4), 2, "1.2.3")
    data.compress("1.2.840.10008.1.2.5", generate_instance_uid=False)
    data.file_meta.TransferSyntaxUID = MPEG2MPML
    save(one, data)
    with pytest.raises(InputError, match=r"_002\.dcm: no decoder for MPEG2"):
        read_volume(folder)


def test_real_ct_as_dicom(shared_data: Path, tmp_path: Path) -> None:
    from_nifti = read_volume(shared_data / "ct" / "totalseg_example_abdomen.nii.gz")
    from_dicom = read_volume(write_series(tmp_path / "s", from_nifti.hu, from_nifti.affine))
    np.testing.assert_array_equal(from_dicom.hu, from_nifti.hu)
    np.testing.assert_allclose(from_dicom.affine, from_nifti.affine, atol=1e-4)
