"""The films of a body, and files that hold those of many.

A body with findings gives a film of its healthy self besides: the twin has the same body, field, technique and noise.
"""

from __future__ import annotations

import json
import multiprocessing
import sys
import time
from collections import Counter
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from phantom_classifier.design import CLASS_OF, Body, draw_body
from synth.anatomy.findings.base import add_finding
from synth.anatomy.labels import LOBES
from synth.anatomy.patient import admit
from synth.core.files import atomic_path
from synth.core.seeds import sample_generator
from synth.dataset.patients.phantoms import Phantoms, finding_maps
from synth.dataset.patients.subject import Subject
from synth.dataset.radiographs.case import Case
from synth.dataset.radiographs.job import DrrJob
from synth.dataset.radiographs.scene import Scene

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from synth.anatomy.patient import Patient
    from synth.anatomy.scan import Scan

SHARD = 20
"""Bodies of a file."""


@dataclass(frozen=True)
class Recipe:
    """What decides a film besides its body's number.

    Attributes:
        seed: Root of all that is drawn.
        spacing_mm: Voxel edge.
        size: Rows and columns of a film.
        films: Films with findings of a body that has any.
    """

    seed: int = 0
    spacing_mm: float = 3.0
    size: int = 192
    films: int = 2


@dataclass(frozen=True, eq=False)
class Film:
    """One radiograph.

    Attributes:
        image: (h, w) uint8, brighter = more attenuation.
        masks: (n, h, w) bool, the projection of every finding.
        row: What is known of it, as plain JSON: body, role ("healthy", "twin", "found"), sex, age, split, pitch_mm,
            findings (each with its class), left_out (what could not be drawn, and why), cpu_s.
    """

    image: NDArray[np.uint8]
    masks: NDArray[np.bool_]
    row: dict[str, Any]


def films_of(recipe: Recipe, number: int) -> list[Film]:
    """All films of one body: a healthy one, and for a body with findings those that show them."""
    body = draw_body(recipe.seed, number, recipe.films)
    patients = [admit(replace(body.wish, findings=found), recipe.seed, number) for found in ((), *body.films)]
    start = time.process_time()
    plain = patients[0].phantom(arms_up=False).voxelise(spacing_mm=recipe.spacing_mm)
    field = _field(plain, body)
    job = _job(recipe, body)
    spent = {"body": time.process_time() - start, "findings": 0.0, "film": 0.0}
    films = []
    for film, patient in enumerate(patients):
        start = time.process_time()
        scan, left_out = _with_findings(plain, patient, film)
        spent["findings"] += time.process_time() - start
        if scan.seen or not film:
            role = ("twin" if body.films else "healthy") if not film else "found"
            row = {"body": number, "role": role, "split": body.split, "sex": patient.person.sex}
            row |= {"age": patient.person.age, "left_out": left_out}
            start = time.process_time()
            films.append(_film(scan, job, field, row))
            spent["film"] += time.process_time() - start
        else:
            films[0].row["left_out"] += left_out
    films[0].row["cpu_s"] = spent
    return films


def _job(recipe: Recipe, body: Body) -> DrrJob:
    return DrrJob(
        Phantoms(1),
        views=("pa",),
        shape=(recipe.size, recipe.size),
        preset="chest-pa",
        backend="cpu",
        seed=int(sample_generator(recipe.seed, body.number, "film").integers(2**63)),
        scene=Scene(technique=body.technique),
    )


def _field(scan: Scan, body: Body) -> NDArray[np.float64]:
    """(8, 3): corners of what the field is opened for. The healthy lungs decide: a finding must not move the frame."""
    points = np.argwhere(scan.where(*LOBES))[:, ::-1] @ scan.volume.affine[:3, :3].T + scan.volume.affine[:3, 3]
    low, high = points.min(0) - body.margins_mm[0], points.max(0) + body.margins_mm[1]
    return np.array(np.meshgrid(*np.stack([low, high]).T)).reshape(3, -1).T


def _with_findings(scan: Scan, patient: Patient, film: int) -> tuple[Scan, list[str]]:
    """The scan with what can be drawn, and why the rest could not. Nothing an editor raises ends a run of hours."""
    left_out = []
    for number, wish in enumerate(patient.wishes):
        generator = sample_generator(patient.root_seed, patient.sample_id, "finding", str(film), str(number))
        try:
            scan = add_finding(scan, wish, generator)
        except Exception as error:
            left_out.append(f"{wish.kind}: {type(error).__name__}: {error}")
    return scan, left_out


def _film(scan: Scan, job: DrrJob, field: NDArray[np.float64], row: dict[str, Any]) -> Film:
    objects = tuple(placed for seen in scan.seen for placed in seen.placed)
    maps = tuple(finding_maps(scan, str, devices=False))
    sample = Case(job, 0, Subject(scan.volume, maps, objects=objects, focus=field), [0]).sample(0)
    masks = np.zeros((len(scan.seen), *sample.image.shape), np.bool_)
    for number, seen in enumerate(scan.seen):
        names = {f"object:{placed.name}" for placed in seen.placed} or {str(number)}
        for mask in sample.masks:
            masks[number] |= mask.array & (mask.name in names)
    found = [vars(seen.finding) | {"class": CLASS_OF[str(seen.finding.kind)]} for seen in scan.seen]
    pitch = None if sample.pixel_spacing_mm is None else sample.pixel_spacing_mm[0]
    return Film((sample.image >> 8).astype(np.uint8), masks, row | {"findings": found, "pitch_mm": pitch})


def make(folder: Path, recipe: Recipe, bodies: int, workers: int) -> None:
    """Films of the first `bodies` bodies, in files of SHARD bodies; those that are there are kept.

    Raises:
        ValueError: The folder holds films of another recipe.
    """
    claim(folder, recipe)
    pending = [n for n in range(-(-bodies // SHARD)) if not shard_path(folder, n).exists()]
    start = time.perf_counter()
    # Every process starts anew, so that it finds the number of threads of its kernels in the environment.
    with multiprocessing.get_context("spawn").Pool(workers) as pool:
        for done, shard in enumerate(pool.imap_unordered(partial(_make_shard, folder, recipe), pending), 1):
            pace = (time.perf_counter() - start) / done
            print(
                f"shard {shard}: {done} of {len(pending)}, {pace * (len(pending) - done):.0f} s left", file=sys.stderr
            )


def claim(folder: Path, recipe: Recipe) -> None:
    """Writes the recipe down, or checks that it is the folder's."""
    path, text = folder / "recipe.json", json.dumps(vars(recipe))
    if path.exists() and path.read_text() != text:
        raise ValueError(f"{folder} holds films of {path.read_text()}, not of {text}: give another folder")
    with atomic_path(path) as temporary:
        temporary.write_text(text)


def shard_path(folder: Path, shard: int) -> Path:
    return folder / "films" / f"{shard:05d}.npz"


def _make_shard(folder: Path, recipe: Recipe, shard: int) -> int:
    """Draws and writes a file, and returns its number. A body that fails is left out, told, and counted."""
    films: list[Film] = []
    failed = []
    for number in range(shard * SHARD, (shard + 1) * SHARD):
        try:
            films += films_of(recipe, number)
        except Exception as error:
            failed.append(f"body {number}: {type(error).__name__}: {error}")
            print(failed[-1], file=sys.stderr)
    with atomic_path(shard_path(folder, shard)) as temporary, temporary.open("wb") as file:
        np.savez_compressed(
            file,
            images=np.stack([film.image for film in films]),
            masks=np.packbits(np.concatenate([film.masks for film in films]), axis=-1),
            rows=json.dumps([film.row for film in films]),
            failed=json.dumps(failed),
        )
    return shard


@dataclass(frozen=True, eq=False)
class Films:
    """Many films.

    Attributes:
        images: (n, h, w) uint8.
        rows: What is known of each, see Film.
        masks: (m, h, w/8) uint8, packed along rows: of all findings, film by film.
        first: (n,), where the masks of a film begin.
        failed: Bodies that could not be drawn, and why.
    """

    images: NDArray[np.uint8]
    rows: list[dict[str, Any]]
    masks: NDArray[np.uint8]
    first: NDArray[np.int64]
    failed: list[str]

    @classmethod
    def read(cls, folder: Path) -> Films:
        """All that is in a folder.

        Raises:
            ValueError: There is nothing.
        """
        paths = sorted((folder / "films").glob("*.npz"))
        if not paths:
            raise ValueError(f"{folder} holds no films: run make first")
        files = [np.load(path) for path in paths]
        rows = [row for file in files for row in json.loads(str(file["rows"]))]
        failed = [each for file in files for each in json.loads(str(file["failed"]))]
        counts = np.array([len(row["findings"]) for row in rows])
        images, masks = (np.concatenate([file[name] for file in files]) for name in ("images", "masks"))
        return cls(images, rows, masks, np.cumsum(counts) - counts, failed)

    def mask(self, film: int, finding: int) -> NDArray[np.bool_]:
        """(h, w): where a finding of a film is."""
        return np.unpackbits(self.masks[self.first[film] + finding], axis=-1).astype(np.bool_)

    def of(self, *splits: str) -> NDArray[np.int64]:
        """Numbers of the films of some splits."""
        return np.flatnonzero([row["split"] in splits for row in self.rows])

    def left_out(self) -> Counter[str]:
        """Why findings could not be drawn → how often."""
        return Counter(reason for row in self.rows for reason in row["left_out"])

    def cpu_s(self) -> dict[str, float]:
        """CPU seconds of a body, by what they were spent on."""
        spent = [row["cpu_s"] for row in self.rows if "cpu_s" in row]
        return {name: float(np.mean([each[name] for each in spent])) for name in spent[0]}
