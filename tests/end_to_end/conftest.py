"""Fixtures of the whole command."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.end_to_end.command import Result, in_process
from tests.end_to_end.scene import write_ct, write_labels

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def synth(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Callable[..., Result]:
    """`synth(*arguments)` runs the command and returns its exit code and what it printed."""
    return in_process(monkeypatch, capfd)


@pytest.fixture(scope="session")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one chest in every format (ct.nii.gz, ct.mha, ct.nrrd, series/) and its label map map.nii.gz."""
    folder = tmp_path_factory.mktemp("inputs")
    for name in ("ct.nii.gz", "ct.mha", "ct.nrrd", "series"):
        write_ct(folder / name)
    write_labels(folder / "map.nii.gz")
    return folder
