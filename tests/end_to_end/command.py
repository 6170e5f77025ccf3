"""The command line as a user meets it: arguments in; exit code, stdout, stderr and a folder out."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from synth.cli.main import _run

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

REPOSITORY = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str


def in_process(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Callable[..., Result]:
    """Runs the command in this process; what C libraries write counts, too."""

    def synth(*arguments: object) -> Result:
        monkeypatch.setattr(sys, "argv", ["synth", *map(str, arguments)])
        capfd.readouterr()
        code = _run()
        return Result(code, *capfd.readouterr())

    return synth


def start(*arguments: object, **environment: str) -> subprocess.Popen[str]:
    """Starts the command as a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "synth", *map(str, arguments)],
        cwd=REPOSITORY,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="surrogateescape",
    )


def finished(process: subprocess.Popen[str]) -> Result:
    out, err = process.communicate(timeout=300)
    return Result(process.returncode, out, err)


def tree(root: Path) -> dict[str, str]:
    """Digest of every file, and every folder, by path; empty where there is nothing."""
    paths = sorted(root.rglob("*"))
    digests = {str(p.relative_to(root)): hashlib.sha256(p.read_bytes()).hexdigest() for p in paths if p.is_file()}
    return digests | {str(p.relative_to(root)): "folder" for p in paths if p.is_dir()}
