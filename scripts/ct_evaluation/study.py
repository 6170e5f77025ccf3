"""What all measurements share: the model, held-out and training phantoms on its grid, and samples kept on disk."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from synth.core.errors import InputError
from synth.core.seeds import sample_generator
from synth.core.volume import Volume
from synth.diffusion.ct.channels import MASKS
from synth.diffusion.ct.generate import Asked, Settings, generate
from synth.diffusion.ct.grid import affine_of
from synth.diffusion.ct.loading import load_ct_model
from synth.diffusion.training.ct.files import CtSource, open_ct_sources
from synth.diffusion.training.ct.reading import Grid, read_example
from synth.metrics.extractors.cache import FeatureCache
from synth.metrics.images.files import Decoded
from synth.metrics.images.sets import ImageSet
from synth.metrics.images.sources import Entry

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from synth.diffusion.ct.generate import CtModel
    from synth.diffusion.text.conditions import Conditions

__all__ = ["Cts", "Study"]

_USUAL = Settings()


@dataclass(frozen=True, eq=False)
class Cts:
    """CTs on one grid; arrays may lie on disk.

    Attributes:
        name: Of the set.
        hu: (n, z, y, x) int16.
        masks: (n, m, z, y, x) bool, those of `MASKS`.
        spacing: (z, y, x) mm.
        conditions: What was asked for, or is to be seen.
    """

    name: str
    hu: NDArray[np.int16]
    masks: NDArray[np.bool_]
    spacing: tuple[float, float, float]
    conditions: tuple[Conditions, ...]

    def __len__(self) -> int:
        return len(self.hu)

    def volume(self, row: int) -> Volume:
        """One CT, its middle at the origin."""
        return Volume(np.array(self.hu[row]), affine_of(self.hu.shape[1:], self.spacing), f"{self.name} {row}")

    def as_set(self) -> ImageSet:
        """For scores; a CT is decoded when it is looked at."""
        return ImageSet(self.name, tuple(Entry(f"{self.name} {k}", _Source(self, k)) for k in range(len(self))))


@dataclass(frozen=True, eq=False)
class _Source:
    cts: Cts
    row: int

    def read(self) -> Decoded:
        """The CT; see `synth.metrics.images.sources.Source`."""
        volume = self.cts.volume(self.row)
        return Decoded(volume.hu, (), self.cts.spacing, volume)


@dataclass(frozen=True)
class Study:
    """One model, and what it is judged by.

    Attributes:
        name: Of the model: "default", a folder, or a Hub id.
        out: Folder for samples and CTs on the model's grid.
        held_out_folders: Phantoms that nobody was trained on.
        training_folders: What the model was trained on; the classifier learns from them, too.
        settings: Size, spacing and steps of the samples.
        most: Held-out CTs whose prompts are asked for.
        most_training: CTs that the classifier learns from.
        epochs: Of the classifier.
        device: For the model.
        seed: Of the samples' noise, and of all draws.
    """

    name: str
    out: Path
    held_out_folders: tuple[Path, ...]
    training_folders: tuple[Path, ...] = ()
    settings: Settings = _USUAL
    most: int = 200
    most_training: int = 1000
    epochs: int = 12
    device: str = "auto"
    seed: int = 0

    @cached_property
    def model(self) -> CtModel:
        """Loaded."""
        return load_ct_model(self.name, device=self.device)

    @cached_property
    def grid(self) -> Grid:
        """Of the samples."""
        found = self.model.grid(self.settings)
        return Grid(tuple(found.size), tuple(found.spacing))

    @cached_property
    def cache(self) -> FeatureCache:
        """Of features."""
        return FeatureCache(self.out / "features")

    @cached_property
    def held_out(self) -> Cts:
        """On the samples' grid."""
        return self._phantoms("held-out", self.held_out_folders, self.most)

    @cached_property
    def training(self) -> Cts:
        """On the samples' grid.

        Raises:
            InputError: None were given.
        """
        if not self.training_folders:
            raise InputError("--training FOLDER: give what the classifier can learn from")
        return self._phantoms("training", self.training_folders, self.most_training)

    @cached_property
    def samples(self) -> Cts:
        """A CT of the model for each held-out one, by its prompt.

        Raises:
            InputError: The model makes other masks.
        """
        asked = self.held_out.conditions
        seeds = [int(sample_generator(self.seed, k, "ct").integers(2**63)) for k in range(len(asked))]
        key = [self.model.digest, asdict(self.settings), [asdict(one) for one in asked], seeds]

        def drawn() -> Iterator[tuple[NDArray[np.int16], NDArray[np.bool_]]]:
            for made in generate(self.model, Asked(list(asked), seeds), self.settings):
                if tuple(made.drawn.names) != MASKS:
                    raise InputError(f"{self.name}: makes masks of {', '.join(made.drawn.names) or 'nothing'}")
                yield made.drawn.hu, made.drawn.masks

        return self._kept("samples", key, asked, drawn())

    def halves(self, number: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Rows of the held-out CTs, dealt into halves of one size in one of many ways."""
        order = sample_generator(self.seed, number, "halves").permutation(len(self.held_out))
        half = len(order) // 2
        return np.sort(order[:half]), np.sort(order[half : 2 * half])

    def _phantoms(self, what: str, folders: tuple[Path, ...], most: int) -> Cts:
        every = open_ct_sources([CtSource(path=str(folder)) for folder in folders])
        rows = sorted(sample_generator(self.seed, what).permutation(len(every))[:most].tolist())
        conditions = tuple(every.conditions[row][0] for row in rows)
        read = (read_example(every.volumes[row], every.maps[row], self.grid)[:2] for row in rows)
        return self._kept(what, [every.digest, rows, asdict(self.grid)], conditions, read)

    def _kept(self, what: str, key: Any, conditions: tuple[Conditions, ...], made: Iterator[Any]) -> Cts:
        """CTs written once into memory maps, whole or not at all."""
        digest = hashlib.sha256(json.dumps(key, default=str).encode()).hexdigest()[:16]
        folder = self.out / f"{what}-{digest}"
        if not folder.is_dir():
            partial = self.out / f".{what}-{digest}"
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir(parents=True)
            n, size = len(conditions), self.grid.size
            hu = np.lib.format.open_memmap(partial / "hu.npy", "w+", np.int16, (n, *size))
            masks = np.lib.format.open_memmap(partial / "masks.npy", "w+", np.bool_, (n, len(MASKS), *size))
            for row, (values, shown) in enumerate(made):
                hu[row], masks[row] = values, shown
            hu.flush()
            masks.flush()
            partial.rename(folder)
        arrays = [np.load(folder / f"{name}.npy", mmap_mode="r") for name in ("hu", "masks")]
        return Cts(what, arrays[0], arrays[1], self.grid.spacing, conditions)
