from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from synth.core.errors import InputError
from synth.core.files import atomic_path, write_bytes

if TYPE_CHECKING:
    from pathlib import Path


def test_whole(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "er" / "a.bin"
    write_bytes(path, b"one")
    write_bytes(path, b"two")
    assert path.read_bytes() == b"two"
    assert [file.name for file in path.parent.iterdir()] == ["a.bin"]


def test_or_absent(tmp_path: Path) -> None:
    def fail() -> None:
        with atomic_path(tmp_path / "a.bin") as temporary:
            temporary.write_bytes(b"half")
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_unwritable(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(InputError, match=r"a\.bin: cannot write"):
        write_bytes(tmp_path / "file" / "a.bin", b"")
