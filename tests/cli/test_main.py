"""The frame of the command line: help, version, and how failures become exit codes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

import synth
from synth.cli import main
from synth.core.errors import InputError, InterruptedRun, SynthError
from tests.end_to_end.command import REPOSITORY, Result, in_process

if TYPE_CHECKING:
    from collections.abc import Callable

HEAVY = ("numba", "SimpleITK", "scipy", "pydicom", "pandas", "torch", "cupy")


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Callable[..., Result]:
    return in_process(monkeypatch, capfd)


def failing(error: BaseException) -> Callable[..., Any]:
    def app(**_: object) -> None:
        raise error

    return app


def python(code: str, **options: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", code]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False, **options)


COMMANDS = ["drr", "phantom", "lowdose", "cxr", "ct", "plan", "dataset", "report", "score", "gate", "doctor", "train"]


def test_help_lists_the_commands(run: Callable[..., Result]) -> None:
    result = run("--help")
    assert (result.code, result.err) == (0, "")
    listed = re.findall(r"^  ([a-z]+) ", result.out.split("Commands:")[1], re.MULTILINE)
    assert listed == COMMANDS


@pytest.mark.parametrize("command", sorted(set(COMMANDS) - {"report", "train"}))
def test_every_command_has_help(run: Callable[..., Result], command: str) -> None:
    result = run(command, "--help")
    assert (result.code, result.err) == (0, "")
    assert "--json" in result.out


def test_version(run: Callable[..., Result]) -> None:
    assert run("--version") == Result(0, f"radsynth {synth.__version__}\n", "")


@pytest.mark.parametrize("option", ["--version", "--help"])
def test_looking_loads_nothing_heavy(option: str) -> None:
    code = f"""
import sys
sys.argv = ["synth", {option!r}]
from synth.cli.main import _run
_run()
sys.stderr.write(" ".join(name for name in {HEAVY} if name in sys.modules))
"""
    assert python(code).stderr == ""


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (InputError("a.nii: cut\n short"), 2, "a.nii: cut short"),
        (SynthError("the gate said no"), 1, "the gate said no"),
        (InterruptedRun("2 missing"), 130, "2 missing"),
        (KeyboardInterrupt(), 130, "interrupted; give the same command again, with --resume where it has one"),
        (MemoryError(), 2, "not enough memory: use fewer pixels, a cropped or coarser CT"),
        (PermissionError(13, "Permission denied", "a.nii"), 2, "a.nii: Permission denied"),
    ],
)
def test_failures_are_one_line_and_a_code(
    run: Callable[..., Result], monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int, line: str
) -> None:
    monkeypatch.setattr(main, "app", failing(error))
    assert run() == Result(code, "", f"synth: {line}\n")


def test_a_bug_keeps_its_traceback(run: Callable[..., Result], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(main, "app", failing(ZeroDivisionError("a bug")))
    with pytest.raises(ZeroDivisionError):
        run()


@pytest.mark.parametrize("arguments", [["doctor"], ["--help"], ["doctor", "--json"]])
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_closed_pipe_is_no_failure(arguments: list[str], unbuffered: str) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    environment = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    command = [sys.executable, "-m", "synth", *arguments]
    with os.fdopen(writing, "w") as pipe:
        result = subprocess.run(
            command, cwd=REPOSITORY, env=environment, stdout=pipe, stderr=subprocess.PIPE, text=True, check=False
        )
    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full on this system")  # noqa: PTH110
def test_output_that_cannot_be_written_is_one_line() -> None:
    command = [sys.executable, "-m", "synth", "doctor", "--json"]
    with open("/dev/full", "w") as full:  # noqa: PTH123
        result = subprocess.run(command, cwd=REPOSITORY, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert (result.returncode, result.stderr) == (2, "synth: standard output: No space left on device\n")
