"""Whatever bytes a file holds, the command gives radiographs or one line; never a traceback, never half a dataset."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.end_to_end.scene import write_ct, write_labels

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.end_to_end.command import Result

FUZZ = settings(
    max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
HEADER = 352
CHANGES = st.lists(st.tuples(st.integers(0, HEADER - 1), st.integers(0, 255)), min_size=1, max_size=4)


def damage(path: Path, whole: bytes, changes: list[tuple[int, int]], start: int = 0) -> None:
    data = bytearray(whole)
    for at, value in changes:
        data[start + at] = value
    path.write_bytes(data)


def works_or_refuses(synth: Callable[..., Result], folder: Path, *arguments: object) -> None:
    output = folder / "out"
    shutil.rmtree(output, ignore_errors=True)
    result = synth("drr", *arguments, "-o", output, "--size", "12", "--raw")
    if result.code == 0:
        assert all(line.startswith("warning: ") for line in result.err.splitlines())
        assert result.out == f"2 radiographs of 1 CT in {output}\n"
        assert (output / "dataset.json").is_file()
        return
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith("synth: ")
    assert result.err.count("\n") == 1
    assert not output.exists()


@pytest.mark.parametrize("name", ["ct.nii", "ct.mha", "ct.nrrd"])
@FUZZ
@given(changes=CHANGES)
def test_ct_file(synth: Callable[..., Result], tmp_path: Path, name: str, changes: list[tuple[int, int]]) -> None:
    whole = tmp_path / "whole" / name
    if not whole.exists():
        write_ct(whole)
    damage(tmp_path / name, whole.read_bytes(), changes)
    works_or_refuses(synth, tmp_path, tmp_path / name)


@FUZZ
@given(changes=CHANGES)
def test_label_map(synth: Callable[..., Result], inputs: Path, tmp_path: Path, changes: list[tuple[int, int]]) -> None:
    whole = tmp_path / "whole.nii"
    if not whole.exists():
        write_labels(whole)
    damage(tmp_path / "map.nii", whole.read_bytes(), changes)
    works_or_refuses(synth, tmp_path, inputs / "ct.nii.gz", "--labels", tmp_path / "map.nii")


@pytest.mark.parametrize("start", [132, 600])
@FUZZ
@given(changes=CHANGES)
def test_dicom_slice(synth: Callable[..., Result], tmp_path: Path, start: int, changes: list[tuple[int, int]]) -> None:
    series = tmp_path / "series"
    if not series.exists():
        write_ct(series)
        shutil.copy(min(series.iterdir()), tmp_path / "whole")
    damage(min(series.iterdir()), (tmp_path / "whole").read_bytes(), changes, start)
    works_or_refuses(synth, tmp_path, series)


NUMBERS = st.one_of(st.floats(-2000, 2000), st.floats(), st.sampled_from([0.0, 1.0, 300.0, 1500.0]))
TURNS = st.sampled_from([[[1, 0, 0], [0, 0, -1], [0, 1, 0]], [[0, 1, 0], [0, 0, 1], [1, 0, 0]]])


@FUZZ
@given(focal=NUMBERS, centre=st.tuples(NUMBERS, NUMBERS), turn=TURNS, t=st.tuples(*[NUMBERS] * 3), distance=NUMBERS)
def test_cameras(
    synth: Callable[..., Result],
    inputs: Path,
    tmp_path: Path,
    focal: float,
    centre: tuple[float, float],
    turn: list[list[float]],
    t: tuple[float, ...],
    distance: float,
) -> None:
    entry = {
        "K": [[focal, 0, centre[0]], [0, focal, centre[1]], [0, 0, 1]],
        "world_to_camera": [[*row, shift] for row, shift in zip(turn, t, strict=True)],
        "source_detector_mm": distance,
    }
    (tmp_path / "cameras.json").write_text(json.dumps([entry, entry]))
    works_or_refuses(synth, tmp_path, inputs / "ct.nii.gz", "--cameras", tmp_path / "cameras.json")
