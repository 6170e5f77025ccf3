"""Whatever bytes a file holds, reading it gives an image or one clear line."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import SimpleITK
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from synth.core.errors import InputError
from synth.core.reading import read_labels, read_volume
from tests.core.image_files import ct_array, nifti_bytes, write_series

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

FUZZ = settings(
    max_examples=120, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
CHANGES = st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), min_size=1, max_size=6)
CUT = st.one_of(st.none(), st.integers(0, 1100))


def damaged(data: bytes, changes: list[tuple[int, int]], cut: int | None) -> bytes:
    array = bytearray(data)
    for at, value in changes:
        array[at % len(array)] = value
    return bytes(array[:cut])


def said_of(read: Callable[[], NDArray[Any]]) -> str:
    """The message of the refusal; empty where an image was read."""
    try:
        array = read()
    except InputError as error:
        return str(error)
    assert array.ndim == 3
    assert np.isfinite(array).all()
    return ""


def read_or_refuse(path: Path) -> None:
    for said in (said_of(lambda: read_volume(path).hu), said_of(lambda: read_labels(path).array)):
        assert not said or path.name in said
        assert "\n" not in said


@pytest.mark.parametrize("version", [1, 2])
@FUZZ
@given(changes=CHANGES, cut=CUT)
def test_nifti(tmp_path: Path, version: int, changes: list[tuple[int, int]], cut: int | None) -> None:
    data = damaged(nifti_bytes(ct_array(), sform=np.eye(4), version=version), changes, cut)
    (tmp_path / "a.nii").write_bytes(data)
    read_or_refuse(tmp_path / "a.nii")
    (tmp_path / "b.nii.gz").write_bytes(gzip.compress(data, 1))
    read_or_refuse(tmp_path / "b.nii.gz")


@FUZZ
@given(changes=CHANGES, cut=CUT)
def test_gzip_stream(tmp_path: Path, changes: list[tuple[int, int]], cut: int | None) -> None:
    data = gzip.compress(nifti_bytes(ct_array(), sform=np.eye(4)), 1)
    (tmp_path / "a.nii.gz").write_bytes(damaged(data, changes, cut))
    read_or_refuse(tmp_path / "a.nii.gz")


@pytest.mark.parametrize("name", ["a.mha", "a.nrrd"])
@pytest.mark.parametrize("compress", [False, True])
@FUZZ
@given(changes=CHANGES, cut=CUT)
def test_itk_files(tmp_path: Path, name: str, compress: bool, changes: list[tuple[int, int]], cut: int | None) -> None:
    whole = tmp_path / f"whole-{name}"
    if not whole.exists():
        SimpleITK.WriteImage(SimpleITK.GetImageFromArray(ct_array()), str(whole), compress)
    (tmp_path / name).write_bytes(damaged(whole.read_bytes(), changes, cut))
    read_or_refuse(tmp_path / name)


@settings(FUZZ, max_examples=80)
@given(changes=st.lists(st.tuples(st.integers(0, 900), st.integers(0, 255)), min_size=1, max_size=4), cut=CUT)
def test_dicom(tmp_path: Path, changes: list[tuple[int, int]], cut: int | None) -> None:
    folder = tmp_path / "s"
    if not folder.exists():
        write_series(folder, ct_array()[:4], np.eye(4))
        (tmp_path / "whole").write_bytes((folder / "05_001.dcm").read_bytes())
    (folder / "05_001.dcm").write_bytes(damaged((tmp_path / "whole").read_bytes(), changes, cut))
    said = said_of(lambda: read_volume(folder).hu)
    assert "\n" not in said
    assert "SECRET" not in said
