"""Which CTs are trained on: their files, label maps, words and patients, of a dataset folder of ours or a plain one."""

from __future__ import annotations

import csv
import hashlib
import re
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field

from synth.core.errors import InputError
from synth.core.strict import Strict
from synth.diffusion.training.folder import DatasetExamples

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from synth.diffusion.text.conditions import Conditions

__all__ = ["CtExamples", "CtSource", "open_ct_sources"]

_ENDINGS = (".nii.gz", ".nii", ".mha", ".mhd", ".nrrd", ".nhdr")
_VOLUME_COLUMNS = ("file_name", "volume", "image")
_SEPARATOR = re.compile(r"\s*[;|]\s*")


@dataclass(frozen=True, eq=False)
class CtExamples:
    """CTs 0 … n - 1.

    Attributes:
        volumes: Their files.
        maps: The label maps of each, on any grid; none where nothing is annotated.
        conditions: All phrasings of each, see `synth.diffusion.training.examples.Examples`.
        patients: Whose they are.
        digest: SHA-256 of tables and of names and sizes of all files: caches are kept under it.
    """

    volumes: tuple[Path, ...]
    maps: tuple[tuple[Path, ...], ...]
    conditions: tuple[tuple[Conditions, ...], ...]
    patients: tuple[str, ...]
    digest: str

    def __len__(self) -> int:
        return len(self.volumes)


class CtSource(Strict):
    """One folder.

    Attributes:
        path: A dataset of this toolkit with volumes; or a folder of CTs, NIfTI, MetaImage or NRRD, where the label maps
            of X.nii.gz are X_….nii.gz beside it, or bear its name in a folder masks/ or labels/.
        table: CSV of a plain folder, relative to it: column volume, and where there are such, masks (several parted
            by ";"), sex, age, race, prompt, prompt_…, report and patient_id; "": all files.
    """

    path: str = Field(min_length=1)
    table: str = ""

    def placed(self, folder: Path) -> CtSource:
        """With its path relative to a folder."""
        return self.model_copy(update={"path": str(folder / Path(self.path).expanduser())})

    def open(self) -> CtExamples:
        """The CTs; a folder with dataset.json is one of ours.

        Raises:
            InputError: It cannot be read, or holds no CT.
        """
        root = Path(self.path)
        if not root.is_dir():
            raise InputError(f"{root}: no such folder; data is the folder of a dataset")
        if (root / "dataset.json").is_file() and not self.table:
            return _of_ours(root)
        return _of_table(root, root / self.table) if self.table else _of_files(root)


def open_ct_sources(sources: Sequence[CtSource]) -> CtExamples:
    """Folders as one set; patients of different folders are different.

    Raises:
        InputError: One cannot be read.
    """
    sets = [source.open() for source in sources]
    if len(sets) == 1:
        return sets[0]
    return CtExamples(
        tuple(path for one in sets for path in one.volumes),
        tuple(paths for one in sets for paths in one.maps),
        tuple(said for one in sets for said in one.conditions),
        tuple(f"{place}:{name}" for place, one in enumerate(sets) for name in one.patients),
        hashlib.sha256(" ".join(one.digest for one in sets).encode()).hexdigest(),
    )


def _of_ours(root: Path) -> CtExamples:
    words = DatasetExamples.open(root)
    names = [row["file_name"] for row in words.rows]
    wrong = next((name for name in names if not name.startswith("volumes/") or not name.endswith(_ENDINGS)), None)
    if wrong is not None:
        raise InputError(f"{root}: {wrong} is no CT in NIfTI; make the dataset with kind phantom-ct, format nifti")
    maps = []
    for name in names:
        place = root / "masks" / Path(name).relative_to("volumes").parent
        maps.append(_maps_of(_stem(Path(name)), _listed(place)))
    return _examples(words, [root / name for name in names], maps)


def _of_table(root: Path, table: Path) -> CtExamples:
    try:
        content = table.read_bytes()
        rows = list(csv.DictReader(content.decode("utf-8-sig").splitlines(keepends=True)))
    except OSError as error:
        raise InputError(f"{table}: cannot read ({error.strerror or error})") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{table}: not a table in UTF-8 ({error})") from error
    column = next((name for name in _VOLUME_COLUMNS if rows and name in rows[0]), None)
    if column is None:
        raise InputError(f"{table}: {'no column volume' if rows else 'no rows'}; name a CT a row")
    names = [row[column] or "" for row in rows]
    maps = [[root / name for name in _SEPARATOR.split(row.get("masks") or "") if name] for row in rows]
    return _examples(_words(root, rows, names, content), [root / name for name in names], maps)


def _of_files(root: Path) -> CtExamples:
    """All CTs of a folder; a file that bears another's name and more is that one's map."""
    files = [path for path in _listed(root) if path.is_file()]
    stems = {_stem(path) for path in files}
    volumes = [path for path in files if not any(_stem(path).startswith(f"{stem}_") for stem in stems)]
    if not volumes:
        raise InputError(f"{root}: no CT; give NIfTI, MetaImage or NRRD files, or a table")
    every = [*files, *(path for room in ("masks", "labels") for path in _listed(root / room))]
    maps = [[path for path in _maps_of(_stem(volume), every) if path != volume] for volume in volumes]
    names = [path.name for path in volumes]
    return _examples(_words(root, [{} for _ in names], names, b""), volumes, maps)


def _words(root: Path, rows: Iterable[Mapping[str, str]], names: Sequence[str], content: bytes) -> DatasetExamples:
    """What is said of CTs; each is a patient's own where the table tells nothing of patients."""
    told = tuple(
        {"file_name": name} | dict(row) | {"patient_id": row.get("patient_id") or name}
        for row, name in zip(rows, names, strict=True)
    )
    return DatasetExamples(root, told, hashlib.sha256(content).hexdigest())


def _examples(words: DatasetExamples, volumes: Sequence[Path], maps: Sequence[Sequence[Path]]) -> CtExamples:
    said = hashlib.sha256(words.digest.encode())
    for volume, own in zip(volumes, maps, strict=True):
        for path in (volume, *own):
            if not path.is_file():
                raise InputError(f"{path}: no such file")
            said.update(f"{path.relative_to(words.root)} {path.stat().st_size}\n".encode())
    return CtExamples(
        tuple(volumes),
        tuple(tuple(own) for own in maps),
        tuple(words.conditions(index) for index in range(len(words))),
        tuple(words.patient(index) for index in range(len(words))),
        said.hexdigest(),
    )


def _maps_of(stem: str, files: Sequence[Path]) -> list[Path]:
    by_stem: dict[str, list[Path]] = defaultdict(list)
    for path in files:
        by_stem[_stem(path)].append(path)
    return [path for name in sorted(by_stem) for path in by_stem[name] if name == stem or name.startswith(f"{stem}_")]


def _listed(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*") if path.name.lower().endswith(_ENDINGS))


def _stem(path: Path) -> str:
    ending = next(end for end in _ENDINGS if path.name.lower().endswith(end))
    return path.name[: -len(ending)]
