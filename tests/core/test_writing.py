"""What is written is what is read again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import SimpleITK

from synth.core.errors import InputError
from synth.core.reading import read_volume
from synth.core.volume import Volume
from synth.core.writing import VOLUME_SUFFIXES, check_writable, write_volume

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


def oblique(*, mirrored: bool = False) -> NDArray[np.float64]:
    rotation = np.linalg.qr(np.random.default_rng(3).normal(size=(3, 3)))[0]
    rotation *= np.sign(np.linalg.det(rotation)) * (-1 if mirrored else 1)
    affine = np.eye(4)
    affine[:3, :3] = rotation * [0.7, 0.8, 2.5]
    affine[:3, 3] = [-120.5, 33.25, -400.125]
    return affine


def volume(dtype: type = np.int16, affine: Any = None) -> Volume:
    hu = np.random.default_rng(1).integers(-1000, 1500, (5, 6, 7)).astype(dtype)
    if dtype == np.float32:
        hu = hu + np.float32(0.25)
    return Volume(hu, oblique() if affine is None else affine, "ct")


@pytest.mark.parametrize("suffix", VOLUME_SUFFIXES)
@pytest.mark.parametrize("dtype", [np.int16, np.float32])
@pytest.mark.parametrize("mirrored", [False, True])
def test_round_trip(tmp_path: Path, suffix: str, dtype: type, mirrored: bool) -> None:
    written = volume(dtype, oblique(mirrored=mirrored))
    path = tmp_path / "new" / f"a.b{suffix}"
    write_volume(path, written)
    read = read_volume(path, check_hu=False)
    assert read.hu.dtype == dtype
    np.testing.assert_array_equal(read.hu, written.hu)
    np.testing.assert_allclose(read.affine, written.affine, atol=1e-4)
    assert [file.name for file in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("suffix", VOLUME_SUFFIXES)
def test_itk_sees_the_same_world(tmp_path: Path, suffix: str) -> None:
    write_volume(tmp_path / f"a{suffix}", volume())
    image = SimpleITK.ReadImage(str(tmp_path / f"a{suffix}"))
    corner = oblique() @ [6, 5, 4, 1]
    np.testing.assert_allclose(image.TransformIndexToPhysicalPoint((6, 5, 4)), corner[:3], atol=1e-4)


def test_the_same_bytes_again(tmp_path: Path) -> None:
    for name in ("a.nii.gz", "b.nii.gz"):
        write_volume(tmp_path / name, volume())
    assert (tmp_path / "a.nii.gz").read_bytes() == (tmp_path / "b.nii.gz").read_bytes()


def test_rounding_of_a_header_is_no_shear(tmp_path: Path) -> None:
    affine = oblique()
    affine[0, 1] += 1e-5
    write_volume(tmp_path / "a.nii.gz", volume(affine=affine))


def test_a_tilted_gantry_is_refused(tmp_path: Path) -> None:
    affine = np.diag([0.7, 0.7, 2.5, 1.0])
    affine[1, 2] = 0.5
    for write in (write_volume, check_writable):
        with pytest.raises(InputError, match=r"ct: the voxel axes are 11° off right angles .* resample the CT"):
            write(tmp_path / "a.nii.gz", volume(affine=affine))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["a.nrrd", "a", "a.dcm", "nii.gz.txt"])
def test_other_formats_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match=r"written as \.nii\.gz, \.nii, \.mha"):
        write_volume(tmp_path / name, volume())


def test_places_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(InputError, match=r"a\.nii\.gz: cannot write"):
        write_volume(tmp_path / "file" / "a.nii.gz", volume())


def test_a_failure_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.mha"
    write_volume(path, volume())
    before = path.read_bytes()

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("sitk::ERROR: disk full")

    monkeypatch.setattr(SimpleITK, "WriteImage", fail)
    with pytest.raises(InputError, match=r"a\.mha: cannot write"):
        write_volume(path, volume(np.float32))
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["a.mha"]
