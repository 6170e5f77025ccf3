"""Whether a folder may hold a dataset, and what a stopped run has left in it."""

from __future__ import annotations

import errno
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synth.core.errors import InputError
from synth.dataset import manifest

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["found", "require_empty", "require_same", "sweep"]

_LEFTOVER = re.compile(r"\..*\.[0-9][^/]*\.part")
"""What `synth.core.files.atomic_path` names a file that is not whole."""

_DEPTH = 2  # sub-folders below the dataset's own


def found(root: Path) -> dict[str, Any] | None:
    """What made the dataset in a folder, finished or not; None where there is none.

    Raises:
        InputError: It is another tool's, or damaged.
    """
    finished = manifest.load(root / "dataset.json")
    if finished is not None and finished.get("format") != manifest.FORMAT:
        raise InputError(f"{root}: not a dataset of this toolkit (dataset.json is another's)")
    return finished or manifest.load(root / ".parts" / "recipe.json")


def require_empty(root: Path) -> None:
    """Refuses a folder that cannot be made or written, or that holds other things.

    Raises:
        InputError: As said.
    """
    above = next(path for path in (root, *root.absolute().parents) if path.exists())
    if above == root and not above.is_dir():
        raise InputError(f"{root}: is a file; choose a folder")
    if not (above.is_dir() and os.access(above, os.W_OK | os.X_OK)):
        reason = os.strerror(errno.EACCES if above.is_dir() else errno.ENOTDIR)
        raise InputError(f"{root}: cannot write ({reason})")
    if above != root:
        return
    # A run that was stopped before its recipe was down leaves a bare .parts behind.
    parts = root / ".parts"
    inside = list(parts.iterdir()) if parts.is_dir() else []
    leftovers = [path for path in inside if _LEFTOVER.fullmatch(path.name)]
    if {*root.iterdir(), *inside} - {parts, *leftovers}:
        raise InputError(f"{root}: not empty and not a dataset; choose another folder")
    for path in leftovers:
        path.unlink(missing_ok=True)


def require_same(root: Path, ours: Mapping[str, Any], theirs: Mapping[str, Any], *, complete: bool) -> None:
    """Refuses to go on with a dataset that something else has made.

    Args:
        root: The folder.
        ours: What `manifest.job` returned.
        theirs: What `found` returned.
        complete: Whether the dataset is finished: it stays what it is, whatever is installed now.

    Raises:
        InputError: Names the values that differ.
    """
    wanted = {key: value for key, value in ours.items() if key != "versions" or not complete}
    known = {key: theirs[key] for key in (*wanted, "shards") if key in theirs}
    keys = list(manifest.differing_keys(wanted, known))
    if keys:
        names = ", ".join(key.removeprefix("recipe.") for key in keys)
        raise InputError(f"{root}: cannot resume, made with other values of: {names}")


def sweep(root: Path) -> None:
    """Removes the files that a stopped run has left half-written."""
    for folder, folders, files in os.walk(root):
        here = Path(folder)
        if len(here.relative_to(root).parts) == _DEPTH:
            folders.clear()
        for name in filter(_LEFTOVER.fullmatch, files):
            (here / name).unlink(missing_ok=True)
