"""The files of a folder by the names that label tables give them."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath

from synth.diffusion.training.layouts.pictures import SUFFIXES

__all__ = ["PictureFiles"]


class PictureFiles:
    """The radiographs below a folder, found by any ending of their paths, whatever their format.

    Label tables name files from another folder than the one they were unpacked to, and often as .jpg what was taken
    as .png or .dcm: NIH's "00000001_000.png" lies in images_001/images, CheXpert's tables begin with the name of its
    archive, MIMIC-CXR's name the image alone.

    Args:
        folder: Where to look.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._paths: dict[str, Path | None] = {}  # None: several files end so
        for place, folders, names in os.walk(folder):
            folders.sort()
            for name in sorted(names):
                if name.lower().endswith(SUFFIXES) and not name.startswith("."):
                    self._add(Path(place, name))

    def find(self, name: str) -> Path | None:
        """The one file whose path ends as `name` does, with or without the first folder of `name`."""
        parts = _parts(PurePosixPath(name.replace("\\", "/")))
        whole = self._paths.get("/".join(parts))
        if whole is None and len(parts) > 2:
            return self._paths.get("/".join(parts[1:]))
        return whole

    def _add(self, path: Path) -> None:
        parts = _parts(path.relative_to(self.folder))
        for start in range(len(parts)):
            key = "/".join(parts[start:])
            self._paths[key] = None if key in self._paths else path


def _parts(path: PurePosixPath | Path) -> tuple[str, ...]:
    """Without the ending, if it is one of a picture: a DICOM UID has dots."""
    name = path.name[: -len(path.suffix)] if path.suffix.lower() in SUFFIXES else path.name
    return (*(part for part in path.parts[:-1] if part != "."), name)
