"""CTs as slices: the same body looks the same on any grid, and scores come by planes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
from typer.testing import CliRunner

from synth.core.errors import InputError
from synth.core.volume import Volume
from synth.core.writing import write_volume
from synth.metrics.volumes.slices import PLANES, SliceView, picture, slice_set
from tests.metrics.volumes.bodies import AFFINE, chest

if TYPE_CHECKING:
    from pathlib import Path

VIEW = SliceView(4, 3.0, 96)


def write(folder: Path, seeds: range, change: int = 0) -> Path:
    folder.mkdir()
    for seed in seeds:
        write_volume(folder / f"{seed}.nii.gz", Volume(chest(seed)[0][::3, ::3, ::3] + np.int16(change), AFFINE))
    return folder


def test_a_slice_is_seen_as_a_radiologist_sees_it() -> None:
    hu = np.full((24, 24, 24), -1000, np.int16)
    hu[20, 4, 2] = 1000  # to the head, in front, and on the right: x grows to the left
    ct = Volume(hu, np.eye(4))
    view = SliceView(1, 1.0, 24)
    places = {plane: np.argwhere(picture(ct, plane, share, view) > 200).tolist() for plane, share in
              zip(PLANES, (3 / 24, 4 / 24, 2 / 24), strict=True)}  # fmt: skip
    assert places == {"axial": [[4, 2]], "coronal": [[3, 2]], "sagittal": [[3, 4]]}


@pytest.mark.parametrize("flip", [(0,), (1,), (2,), (0, 1, 2)])
@pytest.mark.parametrize("plane", PLANES)
def test_the_direction_of_the_files_axes_changes_nothing(plane: str, flip: tuple[int, ...]) -> None:
    hu, _ = chest(1)
    affine = AFFINE.copy()
    for axis in flip:
        k = 2 - axis
        affine[k, k] = -3.0
        affine[k, 3] = 3.0 * (hu.shape[axis] - 1)
    turned = Volume(np.ascontiguousarray(np.flip(hu, flip)), affine)
    one, other = (picture(ct, plane, 0.4, VIEW) for ct in (Volume(hu, AFFINE), turned))  # type: ignore[arg-type]
    np.testing.assert_array_equal(one, other)


def test_the_field_of_view_is_in_millimetres() -> None:
    hu, _ = chest(2, noise=0)
    fine = Volume(np.ascontiguousarray(hu.repeat(2, 0).repeat(2, 1).repeat(2, 2)), np.diag([1.5, 1.5, 1.5, 1.0]))
    one, other = (picture(ct, "axial", 0.4, VIEW).astype(int) for ct in (Volume(hu, AFFINE), fine))
    assert np.abs(one - other).mean() < 4
    assert picture(Volume(hu, AFFINE), "axial", 0.5, SliceView(1, 3.0, 128))[0, 0] == 0  # air beyond


def test_slices_are_entries_of_their_ct(tmp_path: Path) -> None:
    found = slice_set(write(tmp_path / "cts", range(2)), "coronal", VIEW)
    assert len(found) == 8
    assert found.names[5] == "1.nii.gz coronal 1"
    assert found.patients == ("0.nii.gz",) * 4 + ("1.nii.gz",) * 4
    shapes = {image.pixels.shape for image in found.stream(workers=2)}
    assert shapes == {(96, 96)}
    assert [image.digest for image in found.stream(workers=1)] == [image.digest for image in found.stream(workers=3)]


def test_axes_in_another_order_are_put_right(tmp_path: Path) -> None:
    hu, _ = chest(3)
    affine = np.zeros((4, 4))
    affine[2, 0] = affine[1, 1] = affine[0, 2] = 3.0  # x of the file runs to the head
    affine[3, 3] = 1
    for name, ct in (("a", Volume(hu, AFFINE)), ("b", Volume(np.ascontiguousarray(hu.T), affine))):
        (tmp_path / name).mkdir()
        write_volume(tmp_path / name / "ct.nii.gz", ct)
    for plane in PLANES:
        one, other = (slice_set(tmp_path / name, plane, VIEW).load(1).pixels for name in "ab")
        np.testing.assert_array_equal(one, other)


def test_bad_views_and_pictures_are_errors(tmp_path: Path) -> None:
    for wrong in ({"number": 0}, {"pixel_mm": 0}, {"side": 4}, {"window": (0.0, 0.0)}):
        with pytest.raises(InputError):
            SliceView(**wrong)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="axial, coronal"):
        slice_set(write(tmp_path / "cts", range(1)), "oblique")  # type: ignore[arg-type]


def test_the_command_scores_folders_of_cts_whole_and_by_planes(tmp_path: Path) -> None:
    from synth.cli.main import app

    real, fake = write(tmp_path / "real", range(4)), write(tmp_path / "fake", range(4, 8), 40)
    command = ["score", str(real), str(fake), "--metrics", "fd,kid", "--json"]
    done = CliRunner().invoke(app, [*command, "--planes", "axial,sagittal", "--slices", "3", "--slice-pixel", "9"])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert list(found) == ["axial", "sagittal"]
    rows = found["axial"]["scores"] if "scores" in found["axial"] else found["axial"]["rows"]
    assert {row["n_reference"] for row in rows} == {12}
    for wrong in (["--planes", "oblique"], ["--planes", "all", "--html", str(tmp_path / "x.html")]):
        assert CliRunner().invoke(app, [*command, *wrong]).exit_code != 0
