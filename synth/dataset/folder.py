"""The folder of a dataset: begun, written sample by sample in any order, stopped and resumed, and finished.

    ROOT/
      dataset.json                what made it (written last: a folder that holds it is complete)
      metadata.csv                a row an image, file_name first
      rejected.csv                a row an image that a gate refused, where there is a gate
      images/00/00000042.png      or .dcm; sub-folder = index // 10000
      masks/annotations.json      COCO, where the samples have masks; masks/00/00000042.dcm as DICOM segmentations
      volumes/00/00000042.nii.gz  CTs instead of images, which may have radiographs images/00/00000042_pa.png, with
      masks/00/00000042_total.nii.gz, …_total_labels.csv: every label map with its table of names
      volumes/00/00000042/        or CTs as DICOM series, with masks/00/00000042_total.dcm
      raw/00/00000042.npz         extra arrays, where the samples have them
      shards/00000.tar            or .parquet: instead of all these, where the dataset is packed, see `packing`
      rejected/00/00000042-0.png  what the gate refused (attempt 0 of that sample), where it is kept
      .parts/                     only while unfinished: recipe.json, and what is said of every sample written

A sample counts as written once its fragment in .parts is there, which is put down after its other files. As every
sample is a pure function of (recipe, index) and no file tells of time or machine, a dataset stopped anywhere and
resumed has the bytes of one uninterrupted run.
"""

from __future__ import annotations

import hashlib
import shutil
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synth.core.errors import InputError, InterruptedRun
from synth.core.files import write_bytes
from synth.dataset import manifest, metadata, opening
from synth.dataset.engines.engine import Written
from synth.dataset.fragment import Fragments, encode_empty, encode_fragment, read_fragment, read_head, sizes
from synth.dataset.judged import Judged
from synth.dataset.packing import Packer, Shards
from synth.dataset.sample_files import PER_FOLDER, ImageFormat, SampleFiles
from synth.dataset.tables import write_tables

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from synth.core.record import Sample, ScanSample
    from synth.dataset.fragment import Head
    from synth.dataset.source import Medium

__all__ = ["DatasetFolder", "ImageFormat", "Shards"]


@dataclass(frozen=True)
class DatasetFolder:
    """A dataset on disk; make one with `DatasetFolder.open`.

    It holds no open file and can be sent to other processes; several may write different samples at once.

    Attributes:
        root: The folder.
        n_samples: Places of the whole dataset; their indices are 0 … n_samples - 1.
        files: The files of its samples.
        shards: How they are packed; None for loose files.
    """

    root: Path
    n_samples: int
    files: SampleFiles
    shards: Shards | None
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
        medium: Medium | None = None,
        shards: Shards | None = None,
        segmentations: bool = False,
        claim: bool = True,
    ) -> DatasetFolder:
        """Begins a dataset in a new or empty folder, or goes on with one.

        Args:
            root: The folder.
            recipe: All that decides the samples, as plain JSON without absolute paths. Its "seed" and "licence" are
                repeated at the top of dataset.json.
            n_samples: Places of the whole dataset, at least 1.
            resume: Go on with what is there, if anything is.
            image_format: "png" (16-bit grayscale) or "dicom" (Digital X-Ray objects; CTs as series); "nifti" for CTs.
            medium: Whether samples are radiographs or CTs; default: as the format says, radiographs for "dicom".
            shards: Pack the samples, see `packing`; default: loose files.
            segmentations: Write the masks of DICOM radiographs as segmentation objects, too.
            claim: Make the folder at once; otherwise only look whether it can be used, and leave the making to the
                first sample that is written.

        Raises:
            InputError: The folder cannot be used: it is a file, cannot be written, holds other things, or holds a
                dataset and `resume` is off, or one of another recipe. Or the recipe is not plain JSON.
        """
        if n_samples < 1:
            raise InputError(f"n_samples must be at least 1, not {n_samples}")
        kind: Medium = medium or ("volume" if image_format == "nifti" else "image")
        packs = None if shards is None else asdict(shards)
        libraries = _libraries(shards, segmentations=segmentations or (kind, image_format) == ("volume", "dicom"))
        job = manifest.job(recipe, n_samples, image_format, shards=packs, libraries=libraries)
        uid_seed = hashlib.sha256(manifest.dump(job["recipe"])).hexdigest()
        files = SampleFiles(Path(root), image_format, kind, uid_seed, segmentations)
        if shards is not None and (segmentations or not files.suffix):
            raise InputError("shards take one file an image; write DICOM series and segmentations as loose files")
        folder = cls(Path(root), n_samples, files, shards, job)
        with _one_line_errors(folder.root):
            found = opening.found(folder.root)
            if found is None:
                opening.require_empty(folder.root)
                if claim:
                    folder.claim()
            elif not resume:
                raise InputError(f"{root}: already holds a dataset; choose another folder or pass --resume")
            else:
                opening.require_same(folder.root, job, found, complete=folder.complete)
                opening.sweep(folder.root)
                if folder.packer is not None:
                    folder.packer.remove_locks()
                if folder.complete:
                    folder._remove_parts()
        return folder

    @property
    def complete(self) -> bool:
        """Whether the dataset is finished."""
        return (self.root / "dataset.json").is_file()

    def claim(self) -> None:
        """Makes the folder this dataset's own, where the first sample has not done so.

        Raises:
            InputError: It cannot be written.
        """
        if not (self.parts / "recipe.json").exists():
            write_bytes(self.parts / "recipe.json", manifest.dump(self._job))

    def pending(self) -> list[int]:
        """Indices of the samples that are still to be made, ascending."""
        if self.complete:
            return []
        with _one_line_errors(self.root):
            done = self._done()
            return [index for index in range(self.n_samples) if not done[index]]

    def write(self, sample: Sample | ScanSample | Judged) -> Written:
        """Writes one sample; once this returns it is safe from interruption.

        Args:
            sample: Its index must lie in the dataset; masks must have the image's shape. Of a judged one what was
                refused before it is told, too; without a sample its place stays empty.

        Raises:
            InputError: The sample cannot be written so that it would be read again, or the disk is full.
        """
        index = int(sample.index)
        if not 0 <= index < self.n_samples:
            raise InputError(f"sample {index}: the dataset's indices are 0 to {self.n_samples - 1}")
        if self.complete:
            raise InputError(f"{self.root}: is complete; nothing can be added")
        if not isinstance(sample, Judged):
            return self._put(index, sample, {}, ())
        told = metadata.judged_cells(sample)
        refused = len({refusal.attempt for refusal in sample.refusals})
        return self._put(index, sample.sample, told, self._rejected(sample), refused)

    def seal(self, share: Sequence[int]) -> None:
        """Packs the shards that these samples have completed; nothing without shards.

        Args:
            share: Indices of samples that are written.

        Raises:
            InputError: A shard cannot be written.
        """
        if self.packer is not None:
            for number in sorted({index // self.packer.shards.size for index in share}):
                self.packer.pack_if_complete(number)

    def heads(self) -> Iterator[tuple[int, Head]]:
        """Index, and what is said of it, of every place, in order; all must be written, and packed where asked for.

        Raises:
            InterruptedRun: One is missing.
        """
        if self.packer is None:
            for index in range(self.n_samples):
                yield index, read_head(self._fragment(index))
            return
        for number in range(self.packer.n_shards):
            yield from zip(self.packer.places(number), self.packer.heads(number), strict=True)

    def merge(self) -> dict[str, Any]:
        """Writes metadata.csv, masks/annotations.json, rejected.csv, and the shards that are left; again if need be.

        Returns:
            What was counted, for dataset.json.

        Raises:
            InterruptedRun: Samples are missing.
            InputError: The disk is full.
        """
        missing = len(self.pending())
        if missing:
            raise InterruptedRun(f"{self.root}: {missing} of {self.n_samples} samples missing; pass --resume")
        with _one_line_errors(self.root):
            if self.packer is not None:
                for number in sorted(set(range(self.packer.n_shards)) - set(self.packer.packed())):
                    self.packer.pack(number)
                self.files.remove_all()
            annotations = self._annotations if self.packer is None else None
            return write_tables(self.root, self.heads, annotations)

    def conclude(self, counts: Mapping[str, Any], **extra: object) -> None:
        """Writes dataset.json, which says that all else is there, and removes what only an unfinished dataset needs.

        Args:
            counts: What `merge` returned.
            extra: Further entries of dataset.json ("licence", "models", "gate", …), plain JSON.

        Raises:
            InputError: An entry has no JSON or is dataset.json's own, or the disk is full.
        """
        with _one_line_errors(self.root):
            write_bytes(self.root / "dataset.json", manifest.dump(manifest.finished(self._job, counts, extra)))
            self._remove_parts()

    def finish(self, **extra: object) -> None:
        """`merge` and `conclude`; no-op when complete.

        Raises:
            InterruptedRun: Samples are missing.
            InputError: As `conclude`.
        """
        if self.complete:
            self._remove_parts()
        else:
            self.conclude(self.merge(), **extra)

    @cached_property
    def packer(self) -> Packer | None:
        """What packs shards, where there are any."""
        return None if self.shards is None else Packer(self.shards, self.n_samples, self.files, self._fragments)

    @property
    def parts(self) -> Path:
        """What only an unfinished dataset has."""
        return self.root / ".parts"

    def _remove_parts(self) -> None:
        if self.parts.exists():
            shutil.rmtree(self.parts)

    @property
    def _fragments(self) -> Fragments:
        return Fragments(self.parts)

    def _put(
        self,
        index: int,
        sample: Sample | ScanSample | None,
        told: Mapping[str, str],
        rejected: Sequence[Mapping[str, str]],
        refused: int = 0,
    ) -> Written:
        """Puts down a sample and, after it, its fragment."""
        if sample is None:
            self.claim()
            self._fragments.write(index, encode_empty(index, rejected), empty=True)
            return Written(index, False, refused)
        self.files.check(sample)
        views = [self.files.view_name(view) for view in getattr(sample, "views", ())]
        if len(set(views)) < len(views):
            raise InputError(f"sample {index}: two of its radiographs are of one view")
        fragment = encode_fragment(self.files.image_name(index), sample, told, rejected, views)
        self.claim()
        self.files.write(sample)
        self._fragments.write(index, fragment, empty=False)
        return Written(index, True, refused)

    def _rejected(self, judged: Judged) -> list[dict[str, str]]:
        """Rows of rejected.csv, whose images are put down where they are kept."""
        rows = []
        for refusal in judged.refusals:
            self.claim()
            kept = refusal.sample
            name = "" if kept is None else self.files.write_rejected(kept, refusal.attempt)
            rows.append(metadata.rejected_row(name, judged.case, refusal))
        return rows

    def _done(self) -> bytearray:
        """For every place whether it is written."""
        done = bytearray(self.n_samples)
        for number in range(-(-self.n_samples // PER_FOLDER)):
            images = sizes(self.root / self.files.room / f"{number:02d}")
            for index, empty in self._fragments.listed(number):
                if index < self.n_samples and (empty or f"{index:08d}{self.files.suffix}" in images):
                    done[index] = True
        if self.packer is not None:
            for number in self.packer.packed():
                for index in self.packer.places(number):
                    done[index] = True
        return done

    def _fragment(self, index: int) -> Path:
        found = self._fragments.find(index)
        if found is None:
            raise InterruptedRun(f"{self.root}: sample {index} vanished; pass --resume")
        return found[0]

    def _annotations(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """Of the masks of every image, its id and COCO's annotation."""
        for index in range(self.n_samples):
            for one in read_fragment(self._fragment(index))[1]:
                yield one.pop("image", index), one


def _libraries(shards: Shards | None, *, segmentations: bool) -> list[str]:
    """Distributions that only some datasets need, and that can change a byte of these."""
    packs = ["pyarrow"] if shards is not None and shards.kind == "parquet" else []
    return packs + (["highdicom"] if segmentations else [])


@contextmanager
def _one_line_errors(root: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InputError(f"{error.filename or root}: {error.strerror or error}") from error
