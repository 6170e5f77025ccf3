"""Runs that are stopped, as by a kill or a full disk, at a chosen file."""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator


class Killed(BaseException):
    """What a kill is to the code: nothing after it runs, not even the tidying."""


@contextmanager
def stopped_at(step: int, how: BaseException, *, after: bool = False) -> Iterator[None]:
    """Stops at the `step`-th time that a file is put in its place, before or after it is."""
    replace, unlink = Path.replace, Path.unlink
    left = [step]

    def counting(self: Path, target: Path) -> Path:
        left[0] -= 1
        if left[0] == 0 and not after:
            raise how
        placed = replace(self, target)
        if left[0] == 0:
            raise how
        return placed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "replace", counting)
        if isinstance(how, Killed):
            patch.setattr(Path, "unlink", lambda self, missing_ok=False: None)
            patch.setattr(os, "getpid", lambda: 1234567)  # the run that resumes is another process
        yield
    assert Path.unlink is unlink
