"""`synth drr`, stopped in the middle: nothing is lost, and going on gives the bytes of one run."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING

import pytest

from tests.end_to_end.command import Result, finished, start, tree

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

VIEWS = ",".join(f"lao{angle}" for angle in range(40))
OPTIONS = ("--views", VIEWS, "--size", "384")


@pytest.fixture(scope="module")
def whole(inputs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The dataset of one uninterrupted run."""
    root = tmp_path_factory.mktemp("whole") / "out"
    assert finished(start("drr", inputs / "ct.mha", "-o", root, *OPTIONS)).code == 0
    return root


def stopped(how: signal.Signals, inputs: Path, root: Path) -> Result:
    """A run that gets the signal once its third picture is there."""
    process = start("drr", inputs / "ct.mha", "-o", root, *OPTIONS)
    while not (root / "images/00/00000002.png").exists():
        assert process.poll() is None
        time.sleep(0.002)
    process.send_signal(how)
    return finished(process)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_stopped_and_resumed(
    synth: Callable[..., Result], inputs: Path, whole: Path, tmp_path: Path, how: signal.Signals
) -> None:
    root = tmp_path / "out"
    result = stopped(how, inputs, root)
    if how == signal.SIGKILL:
        assert result.code == -signal.SIGKILL
    else:
        said = "synth: interrupted; give the same command again, with --resume where it has one\n"
        assert result == Result(130, "", said)
        assert not list(root.rglob("*.part"))
    assert not (root / "dataset.json").exists()
    assert len(list((root / "images").rglob("*.png"))) >= 3

    before = tree(root)
    arguments = ("drr", inputs / "ct.mha", "-o", root)
    result = synth(*arguments, *OPTIONS, "--energy", "70", "--resume")
    assert result == Result(2, "", f"synth: {root}: cannot resume, made with other values of: energy_kev\n")
    assert synth(*arguments, *OPTIONS).err.endswith("choose another folder or pass --resume\n")
    assert tree(root) == before

    assert synth(*arguments, *OPTIONS, "--resume").code == 0
    assert tree(root) == tree(whole)
    assert synth(*arguments, *OPTIONS, "--resume").code == 0  # nothing is left to do
    assert tree(root) == tree(whole)


def test_other_names_are_another_dataset(synth: Callable[..., Result], inputs: Path, tmp_path: Path) -> None:
    (tmp_path / "names.json").write_text('{"1": "heart_of_gold"}')
    arguments = ("drr", inputs / "ct.nii.gz", "-o", tmp_path / "out", "--size", "16", "--labels", inputs / "map.nii.gz")
    assert synth(*arguments, "--label-names", inputs / "names.json").code == 0
    result = synth(*arguments, "--label-names", tmp_path / "names.json", "--resume")
    assert (result.code, result.out) == (2, "")
    assert result.err.endswith("made with other values of: label_names\n")


def test_resume_needs_nothing_to_resume(synth: Callable[..., Result], inputs: Path, tmp_path: Path) -> None:
    result = synth("drr", inputs / "ct.mha", "-o", tmp_path / "out", "--size", "16", "--resume")
    assert result == Result(0, f"2 radiographs of 1 CT in {tmp_path / 'out'}\n", "")
