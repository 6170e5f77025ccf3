"""What all measurements share: the model, held-out and training phantoms, the judges, and samples kept on disk."""

from __future__ import annotations

import hashlib
import json
import sys
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from cxr_evaluation.pictures import Pictures
from cxr_evaluation.reader import Reader
from cxr_evaluation.segmenter import Segmenter
from synth.core.errors import InputError
from synth.core.files import atomic_path
from synth.core.seeds import sample_generator
from synth.diffusion.cxr.generate import Asked, Settings, generate
from synth.diffusion.flow import noise_seed
from synth.diffusion.loading import load_model
from synth.metrics.extractors.cache import FeatureCache

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from synth.diffusion.cxr.generate import CxrModel
    from synth.diffusion.text.conditions import Conditions

__all__ = ["USUAL", "Part", "Samples", "Study", "Table"]

USUAL = Settings()
"""The model's own steps and guidance."""
_CHUNK = 32
Table = dict[str, Any]
"""title, head, lines."""


@dataclass
class Part:
    """What a measurement gives.

    Attributes:
        values: Name → number, for machines and for the table of aims.
        tables: For people.
        notes: Sentences below them.
    """

    values: dict[str, Any] = field(default_factory=dict)
    tables: list[Table] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, title: str, head: list[str], lines: list[list[str]]) -> None:
        """A table."""
        self.tables.append({"title": title, "head": head, "lines": lines})


@dataclass(frozen=True, eq=False)
class Samples:
    """What a model drew.

    Attributes:
        images: (n, h, w) uint16.
        masks: (n, structures, h, w) bool; of no structures where the model reads none.
        structures: Their names.
    """

    images: NDArray[np.uint16]
    masks: NDArray[np.bool_]
    structures: tuple[str, ...]


@dataclass(frozen=True)
class Study:
    """One model, and what it is judged by.

    Attributes:
        name: Of the model: "default", a folder, or a Hub id.
        out: Folder for samples, features and judges.
        held_out_folders: Phantoms that nobody was trained on.
        training_folders: What the model was trained on; the judges learn from them, too.
        most: Held-out radiographs whose prompts are asked for.
        epochs: Of the classifier.
        segmenter_steps: Of the segmenter.
        threads: Of torch.
        device: For the model.
        seed: Of the samples' noise, and of all draws.
    """

    name: str
    out: Path
    held_out_folders: tuple[Path, ...]
    training_folders: tuple[Path, ...]
    most: int = 1200
    epochs: int = 14
    segmenter_steps: int = 1500
    threads: int = 1
    device: str = "auto"
    seed: int = 0

    @cached_property
    def model(self) -> CxrModel:
        """Loaded."""
        return load_model(self.name, device=self.device)

    @cached_property
    def held_out(self) -> Pictures:
        """At most `most`, evenly over patients."""
        every = Pictures.read(self.held_out_folders, self.model.side)
        return every.some(every.drawn(self.most, self.seed, "held-out"))

    @cached_property
    def frontal(self) -> NDArray[np.int64]:
        """Indices of held-out PA and AP."""
        return self.held_out.frontal()

    @cached_property
    def training(self) -> Pictures:
        """All of them.

        Raises:
            InputError: None were given.
        """
        if not self.training_folders:
            raise InputError("--training FOLDER is missing: the judges learn from training phantoms")
        return Pictures.read(self.training_folders, self.model.side)

    @cached_property
    def reader(self) -> Reader:
        """The classifier."""
        return Reader.of(self.out / "judges" / f"reader-{self._key}.pt", self.training, self.epochs, self.threads)

    @cached_property
    def segmenter(self) -> Segmenter:
        """The judge of masks."""
        path = self.out / "judges" / f"segmenter-{self._key}.pt"
        return Segmenter.of(path, self.training, self.segmenter_steps, self.threads)

    @cached_property
    def cache(self) -> FeatureCache:
        """Of features."""
        return FeatureCache(self.out / "features")

    @cached_property
    def samples(self) -> Samples:
        """One for every held-out radiograph: its prompt, and the model's defaults."""
        return self.drawn(self.held_out.conditions)

    def drawn(
        self,
        asked: Sequence[Conditions],
        settings: Settings = USUAL,
        *,
        numbers: Sequence[int] | None = None,
        model: CxrModel | None = None,
        tag: str = "",
    ) -> Samples:
        """Samples, from disk where they are there.

        Args:
            asked: What of.
            settings: How.
            numbers: Which noise each has; default 0, 1, ….
            model: Another than the study's.
            tag: What tells it apart from the study's, if its weights do not.
        """
        numbers = range(len(asked)) if numbers is None else numbers
        chosen = model or self.model
        parts = []
        for first in range(0, len(asked), _CHUNK):
            seeds = [noise_seed(self.seed, number) for number in numbers[first : first + _CHUNK]]
            parts.append(self._chunk(asked[first : first + _CHUNK], seeds, settings, chosen, tag))
            print(f"samples: {min(first + _CHUNK, len(asked))} of {len(asked)} {tag}", file=sys.stderr, flush=True)
        return Samples(
            np.concatenate([part.images for part in parts]),
            np.concatenate([part.masks for part in parts]),
            parts[0].structures,
        )

    def _chunk(
        self, asked: Sequence[Conditions], seeds: list[int], settings: Settings, model: CxrModel, tag: str
    ) -> Samples:
        said = [model.digest, tag, asdict(settings), [asdict(one) for one in asked], seeds]
        path = self.out / "samples" / f"{hashlib.sha256(json.dumps(said).encode()).hexdigest()[:20]}.npz"
        if not path.is_file():
            made = list(generate(model, Asked(list(asked), seeds), settings))
            images = np.stack([np.round(one.image * 65535).astype(np.uint16) for one in made])
            names = tuple(made[0].masks)
            planes = np.zeros((len(made), len(names), *images.shape[1:]), np.bool_)
            for row, one in enumerate(made):
                for column, name in enumerate(names):
                    planes[row, column] = one.masks[name]
            with atomic_path(path) as temporary, temporary.open("wb") as stream:
                np.savez_compressed(stream, images=images, masks=np.packbits(planes, axis=-1), names=json.dumps(names))
        with np.load(path, allow_pickle=False) as stored:
            images, names = stored["images"], tuple(json.loads(str(stored["names"])))
            masks = np.unpackbits(stored["masks"], axis=-1, count=images.shape[-1]).astype(np.bool_)
        return Samples(images, masks, names)

    def halves(self, indices: NDArray[np.int64], number: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Two halves of as many radiographs each, of different patients."""
        patients = np.array(self.held_out.patients)[indices]
        names = np.unique(patients)
        order = sample_generator(self.seed, number, "halves").permutation(len(names))
        first = np.isin(patients, names[order[: len(names) // 2]])
        one, other = indices[first], indices[~first]
        n = min(len(one), len(other))
        return one[:n], other[:n]

    @property
    def _key(self) -> str:
        said = [self.model.side, self.epochs, self.segmenter_steps, *(one.digest for one in self.training.sets)]
        return hashlib.sha256(json.dumps(said).encode()).hexdigest()[:12]
