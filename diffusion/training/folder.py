"""A dataset folder of this toolkit as examples: metadata.csv, 16-bit images, and masks in COCO's format."""

from __future__ import annotations

import csv
import hashlib
import json
import re
import warnings
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from synth.core.errors import InputError
from synth.diffusion.text.conditions import SEXES, VIEWS, Conditions, parse_prompt

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["DatasetExamples", "squared"]

_BLOCK = 32  # neighbours that count as one patient where nothing tells patients apart
_IMPRESSION = re.compile(r"IMPRESSION:\s*(.+)", re.DOTALL)


@dataclass(frozen=True, eq=False)
class DatasetExamples:
    """The radiographs of one dataset folder.

    Phrasings are the columns `prompt`, `prompt_…` and the impression of `report`. Patients are told apart by the
    column `patient_id`; else by the CT that `source` names; else by the body (sex, age, height and weight), which all
    radiographs of a phantom share; else by `case`; else by blocks of 32 neighbours.

    Attributes:
        root: The folder.
        rows: Of its table.
        digest: See Examples.
    """

    root: Path
    rows: tuple[Mapping[str, str], ...] = field(repr=False)
    digest: str

    @classmethod
    def open(cls, root: Path) -> DatasetExamples:
        """Reads the table of a folder.

        Raises:
            InputError: No such folder, an unreadable table, one without file names, or no rows.
        """
        table = root / "metadata.csv"
        try:
            content = table.read_bytes()
            rows = tuple(csv.DictReader(content.decode("utf-8").splitlines(keepends=True)))
        except OSError as error:
            raise InputError(f"{table}: cannot read ({error.strerror or error}); give a dataset's folder") from error
        except (UnicodeDecodeError, csv.Error) as error:
            raise InputError(f"{table}: not a table in UTF-8 ({error})") from error
        if not rows or "file_name" not in rows[0]:
            raise InputError(f"{table}: {'no column file_name' if rows else 'no rows'}; give a dataset's folder")
        annotations = root / "masks" / "annotations.json"
        said = hashlib.sha256(content)
        if annotations.is_file():
            said.update(annotations.read_bytes())
        return cls(root, rows, said.hexdigest())

    def __len__(self) -> int:
        return len(self.rows)

    def image(self, index: int, size: int) -> NDArray[np.uint16]:
        """See Examples."""
        path = self.root / self.rows[index]["file_name"]
        try:
            with Image.open(path) as stored:
                wide = np.asarray(stored)
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            raise InputError(f"{path}: cannot read the image ({error})") from error
        if wide.ndim != 2 or wide.dtype not in (np.uint8, np.uint16, np.int32):
            raise InputError(f"{path}: {wide.dtype} {wide.shape}; images of a dataset are gray, of 8 or 16 bits")
        levels = wide.astype(np.float32) / np.float32(255 if wide.dtype == np.uint8 else 65535)
        return np.round(squared(levels, size).clip(0, 1) * 65535).astype(np.uint16)

    def masks(self, index: int, size: int) -> Mapping[str, NDArray[np.bool_]]:
        """See Examples."""
        found: dict[str, NDArray[np.bool_]] = {}
        for name, segmentation in self._annotated.get(self.rows[index]["file_name"], ()):
            mask = squared(_decoded(segmentation).astype(np.float32), size) >= 0.5
            found[name] = found[name] | mask if name in found else mask
        return found

    def structures(self) -> Mapping[str, int]:
        """See Examples."""
        names = (name for row in self.rows for name, _ in self._annotated.get(row["file_name"], ()))
        return Counter(names)

    def conditions(self, index: int) -> tuple[Conditions, ...]:
        """See Examples."""
        row = self.rows[index]
        prompts = [text for key, text in row.items() if key and text and (key == "prompt" or key.startswith("prompt_"))]
        said = [parse_prompt(text) for text in prompts]
        first = said[0] if said else Conditions()
        person = Conditions(
            sex=row["sex"] if row.get("sex") in SEXES else first.sex,
            age=_age(row.get("age", ""), first.age),
            race=row.get("race") or first.race,
            view=row["view"] if row.get("view") in VIEWS else first.view,
        )
        impressions = [one.impression for one in said] + _impressions(row.get("report") or "")
        words = dict.fromkeys(text for text in impressions if text)
        return tuple(person.changed(impression=text) for text in words) or (person,)

    def patient(self, index: int) -> str:
        """See Examples."""
        row = self.rows[index]
        body = [row.get(key) or "" for key in ("sex", "age", "height_cm", "weight_kg")]
        if row.get("patient_id"):
            return row["patient_id"]
        if (row.get("source") or "").startswith("ct:"):
            return row["source"]
        if body[2] and body[3]:
            return " ".join(body)
        return row.get("case") or f"block {index // _BLOCK}"

    @cached_property
    def _annotated(self) -> dict[str, list[tuple[str, Any]]]:
        """File name → structures with their run lengths."""
        path = self.root / "masks" / "annotations.json"
        found: dict[str, list[tuple[str, Any]]] = defaultdict(list)
        if not path.is_file():
            return found
        try:
            content = json.loads(path.read_bytes())
            names = {one["id"]: str(one["name"]) for one in content["categories"]}
            files = {one["id"]: str(one["file_name"]) for one in content["images"]}
            for one in content["annotations"]:
                found[files[one["image_id"]]].append((names[one["category_id"]], one["segmentation"]))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(f"{path}: not a COCO annotation file ({type(error).__name__}: {error})") from error
        return found


def squared(image: NDArray[np.float32], size: int) -> NDArray[np.float32]:
    """The centre square of an image (h, w) as (size, size): averages of areas, or Lanczos where pixels get smaller."""
    h, w = image.shape
    side = min(h, w)
    top, left = (h - side) // 2, (w - side) // 2
    centre = image[top : top + side, left : left + side]
    if side == size:
        return centre
    way = Image.Resampling.BOX if side > size else Image.Resampling.LANCZOS
    return np.asarray(Image.fromarray(np.ascontiguousarray(centre)).resize((size, size), way))


def _impressions(report: str) -> list[str]:
    found = _IMPRESSION.search(report)
    return [" ".join(found[1].split())] if found else []


def _age(text: str, otherwise: float | None) -> float | None:
    try:
        age = float(text)
    except ValueError:
        return otherwise
    return age if 0 <= age <= 130 else otherwise


def _decoded(segmentation: Any) -> NDArray[np.uint8]:
    from pycocotools import mask as rle

    with warnings.catch_warnings():
        # pycocotools' own __array__ is of before NumPy 2: nothing a caller could mend.
        warnings.filterwarnings("ignore", message="__array__ implementation", category=DeprecationWarning)
        decoded: NDArray[np.uint8] = rle.decode(segmentation)
    return decoded
