"""The folder of a dataset: begun, written sample by sample in any order, stopped and resumed, and finished.

    ROOT/
      dataset.json                what made it (written last: a folder that holds it is complete)
      metadata.csv                a row an image, file_name first
      images/00/00000042.png      or .dcm; sub-folder = index // 10000
      masks/annotations.json      COCO, where the samples have masks
      volumes/00/00000042.nii.gz  CTs instead of images, with
      masks/00/00000042_total.nii.gz, …_total_labels.csv: every label map with its table of names
      raw/00/00000042.npz         extra arrays, where the samples have them
      .parts/                     only while unfinished: recipe.json, and 00/00000042.json for every sample written

A sample counts as written once its fragment in .parts is there, which is put down after its other files. As every
sample is a pure function of (recipe, index) and no file tells of time or machine, a dataset stopped anywhere and
resumed has the bytes of one uninterrupted run.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from synth.core.errors import InputError, InterruptedRun
from synth.core.files import write_bytes
from synth.core.record import ScanSample
from synth.core.writing import write_labels, write_volume
from synth.dataset import manifest, metadata
from synth.dataset.fragment import encode_fragment, encode_scan_fragment
from synth.dataset.writers import coco
from synth.dataset.writers.arrays import write_npz
from synth.dataset.writers.dicom_dx import write_dx
from synth.dataset.writers.png import write_png

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from synth.core.record import Sample

__all__ = ["DatasetFolder", "ImageFormat"]

ImageFormat = Literal["png", "dicom", "nifti"]

_SUFFIX: Mapping[str, str] = {"png": "png", "dicom": "dcm", "nifti": "nii.gz"}
_PER_FOLDER = 10_000
_LEFTOVERS = (".*.[0-9]*.part", "*/.*.[0-9]*.part", "*/*/.*.[0-9]*.part")


@dataclass(frozen=True)
class DatasetFolder:
    """A dataset on disk; make one with `DatasetFolder.open`.

    It holds no open file and can be sent to other processes; several may write different samples at once.

    Attributes:
        root: The folder.
        n_samples: Samples of the whole dataset; their indices are 0 … n_samples - 1.
        image_format: "png" (16-bit grayscale) or "dicom" (Digital X-Ray objects); "nifti" for CTs.
    """

    root: Path
    n_samples: int
    image_format: ImageFormat
    _job: Mapping[str, Any] = field(repr=False)

    @classmethod
    def open(
        cls,
        root: Path,
        recipe: Mapping[str, object],
        *,
        n_samples: int,
        resume: bool,
        image_format: ImageFormat = "png",
        claim: bool = True,
    ) -> DatasetFolder:
        """Begins a dataset in a new or empty folder, or goes on with one.

        Args:
            root: The folder.
            recipe: All that decides the samples, as plain JSON without absolute paths. Its "seed" and "licence" are
                repeated at the top of dataset.json.
            n_samples: Samples of the whole dataset, at least 1.
            resume: Go on with what is there, if anything is.
            image_format: Format of the images.
            claim: Make the folder at once; otherwise only look whether it can be used, and leave the making to the
                first sample that is written.

        Raises:
            InputError: The folder cannot be used: it is a file, cannot be written, holds other things, or holds a
                dataset and `resume` is off, or one of another recipe. Or the recipe is not plain JSON.
        """
        if image_format not in _SUFFIX:
            raise InputError(f"image_format {image_format!r} is none of {', '.join(_SUFFIX)}")
        if n_samples < 1:
            raise InputError(f"n_samples must be at least 1, not {n_samples}")
        folder = cls(Path(root), n_samples, image_format, manifest.job(recipe, n_samples, image_format))
        with _one_line_errors(folder.root):
            found = folder._found()
            if found is None:
                folder._require_empty()
                if claim:
                    folder._claim()
            elif not resume:
                raise InputError(f"{root}: already holds a dataset; choose another folder or pass --resume")
            else:
                folder._require_same(found)
                folder._sweep()
        return folder

    @property
    def complete(self) -> bool:
        """Whether the dataset is finished."""
        return (self.root / "dataset.json").is_file()

    def pending(self) -> list[int]:
        """Indices of the samples that are still to be written, ascending."""
        if self.complete:
            return []
        with _one_line_errors(self.root):
            return [index for index in range(self.n_samples) if not self._written(index)]

    def write(self, sample: Sample | ScanSample) -> None:
        """Writes one sample; once this returns it is safe from interruption.

        Args:
            sample: Its index must lie in the dataset; masks must have the image's shape.

        Raises:
            InputError: The sample cannot be written so that it would be read again, or the disk is full.
        """
        if not 0 <= sample.index < self.n_samples:
            raise InputError(f"sample {sample.index}: the dataset's indices are 0 to {self.n_samples - 1}")
        if isinstance(sample, ScanSample) != (self.image_format == "nifti"):
            raise InputError(f"sample {sample.index}: a dataset of {self.image_format} does not take it")
        if self.complete:
            raise InputError(f"{self.root}: is complete; nothing can be added")
        file_name = self._image_name(sample.index)
        if isinstance(sample, ScanSample):
            fragment = self._write_scan(file_name, sample)
        else:
            fragment = self._write_image(file_name, sample)
        write_bytes(self._parts / _numbered(sample.index, "json"), fragment)

    def _write_image(self, file_name: str, sample: Sample) -> bytes:
        """Puts down the files of a radiograph; its fragment."""
        fragment = encode_fragment(file_name, sample)
        self._begin()
        if self.image_format == "png":
            write_png(self.root / file_name, sample.image)
        else:
            write_dx(self.root / file_name, sample, uid_seed=self.uid_seed)
        if sample.arrays:
            write_npz(self.root / "raw" / _numbered(sample.index, "npz"), sample.arrays)
        return fragment

    def _write_scan(self, file_name: str, sample: ScanSample) -> bytes:
        """Puts down the files of a CT; its fragment."""
        fragment = encode_scan_fragment(file_name, sample)
        self._begin()
        for name, labels in sample.maps.items():
            write_labels(self.root / "masks" / _numbered(sample.index, f"{name}.nii.gz", "_"), labels)
        write_volume(self.root / file_name, sample.volume)
        return fragment

    def _begin(self) -> None:
        if not (self._parts / "recipe.json").exists():
            self._claim()

    def finish(self, **extra: object) -> None:
        """Merges what was written into metadata.csv, masks/annotations.json and dataset.json; no-op when complete.

        Args:
            extra: Further entries of dataset.json ("licence", "models", "gate", …), plain JSON.

        Raises:
            InterruptedRun: Samples are missing.
            InputError: An entry has no JSON or is dataset.json's own, or the disk is full.
        """
        with _one_line_errors(self.root):
            if not self.complete:
                self._merge(extra)
            self._remove_parts()

    @property
    def uid_seed(self) -> str:
        """What the DICOM identifiers derive from: a digest of the recipe."""
        return hashlib.sha256(manifest.dump(self._job["recipe"])).hexdigest()

    @property
    def _parts(self) -> Path:
        return self.root / ".parts"

    def _found(self) -> dict[str, Any] | None:
        finished = manifest.load(self.root / "dataset.json")
        if finished is not None and finished.get("format") != manifest.FORMAT:
            raise InputError(f"{self.root}: not a dataset of this toolkit (dataset.json is another's)")
        return finished or manifest.load(self._parts / "recipe.json")

    def _require_empty(self) -> None:
        above = next(path for path in (self.root, *self.root.absolute().parents) if path.exists())
        if above == self.root and not above.is_dir():
            raise InputError(f"{self.root}: is a file; choose a folder")
        if not (above.is_dir() and os.access(above, os.W_OK | os.X_OK)):
            reason = os.strerror(errno.EACCES if above.is_dir() else errno.ENOTDIR)
            raise InputError(f"{self.root}: cannot write ({reason})")
        if above != self.root:
            return
        # A run that was stopped before its recipe was down leaves a bare .parts behind.
        leftovers = list(self._parts.glob(_LEFTOVERS[0]))
        inside = set(self.root.iterdir()) | set(self._parts.iterdir() if self._parts.is_dir() else ())
        if inside - {self._parts, *leftovers}:
            raise InputError(f"{self.root}: not empty and not a dataset; choose another folder")
        for path in leftovers:
            path.unlink(missing_ok=True)

    def _claim(self) -> None:
        write_bytes(self._parts / "recipe.json", manifest.dump(self._job))

    def _require_same(self, found: Mapping[str, Any]) -> None:
        # A finished dataset stays what it is, whatever is installed now.
        ours = {key: value for key, value in self._job.items() if key != "versions" or not self.complete}
        keys = list(manifest.differing_keys(ours, {key: found.get(key) for key in ours}))
        if keys:
            names = ", ".join(key.removeprefix("recipe.") for key in keys)
            raise InputError(f"{self.root}: cannot resume, made with other values of: {names}")

    def _sweep(self) -> None:
        for pattern in _LEFTOVERS:
            for path in self.root.glob(pattern):
                path.unlink(missing_ok=True)
        if self.complete:
            self._remove_parts()

    def _remove_parts(self) -> None:
        if self._parts.exists():
            shutil.rmtree(self._parts)

    def _written(self, index: int) -> bool:
        # A power cut can leave files of the right name without content.
        image = self.root / self._image_name(index)
        fragment = self._parts / _numbered(index, "json")
        return all(path.is_file() and path.stat().st_size > 0 for path in (fragment, image))

    def _image_name(self, index: int) -> str:
        room = "volumes" if self.image_format == "nifti" else "images"
        return f"{room}/{_numbered(index, _SUFFIX[self.image_format])}"

    def _merge(self, extra: Mapping[str, object]) -> None:
        missing = self.pending()
        if missing:
            raise InterruptedRun(f"{self.root}: {len(missing)} of {self.n_samples} samples missing; pass --resume")
        rows, images, names = [], [], set()
        for fragment in self._fragments():
            rows.append(fragment["row"])
            images += [fragment["image"]] if "image" in fragment else []
            names.update(fragment["structures"])
        metadata.write_csv(self.root / "metadata.csv", metadata.columns(key for row in rows for key in row), rows)
        counts: dict[str, Any] = {"samples": len(rows), "views": dict(Counter(row["view"] for row in rows))}
        if names:
            path = self.root / "masks" / "annotations.json"
            pairs = ((part["image"]["id"], one) for part in self._fragments() for one in part["annotations"])
            counts["masks"] = coco.write_annotations(path, images, names, pairs)
        write_bytes(self.root / "dataset.json", manifest.dump(manifest.finished(self._job, counts, extra)))

    def _fragments(self) -> Iterator[dict[str, Any]]:
        for index in range(self.n_samples):
            path = self._parts / _numbered(index, "json")
            fragment = manifest.load(path)
            if fragment is None:
                raise InterruptedRun(f"{path}: vanished; pass --resume")
            yield fragment


def _numbered(index: int, suffix: str, joint: str = ".") -> str:
    return f"{index // _PER_FOLDER:02d}/{index:08d}{joint}{suffix}"


@contextmanager
def _one_line_errors(root: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InputError(f"{error.filename or root}: {error.strerror or error}") from error
