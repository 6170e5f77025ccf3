"""The reader taught on radiographs of phantoms (scripts/train_reader.py): sex, age group, findings and their sides.

FOLDER/
  reader.json           what it tells, in which order, how its scores become probabilities, and what it was measured at
  network.safetensors   weights, float16
  README.md             its card
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from synth.core.errors import InputError
from synth.metrics.extractors.protocol import file_hash, import_optional
from synth.metrics.images.windowing import resize_grey
from synth.metrics.readers.scores import Layout, probabilities

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from synth.metrics.alignment.conditions import ConditionReader

__all__ = ["FILES", "FORMAT", "NAMES", "VERSION", "WEIGHTS", "PhantomReader", "find_reader", "prepared"]

WEIGHTS = Path(__file__).resolve().parent.parent / "weights" / "reader"
"""The reader that comes with the package."""

NAMES = ("phantoms",)
"""Readers that have a name."""

FORMAT, VERSION = "radsynth reader", 1
FILES = ("reader.json", "network.safetensors")
"""What a reader's folder holds."""

_BATCH = 64
_NEEDED = ["radsynth[diffusion]"]


@dataclass(frozen=True)
class PhantomReader:
    """Reads frontal radiographs, brighter = more attenuation; see `alignment.conditions.ConditionReader`.

    Probabilities are those of values that are equally likely before the image is seen: a rare finding is not taken for
    absent because it is rare. It pickles, and loads its weights when it first reads.

    Attributes:
        folder: Where it lies.
    """

    folder: Path = WEIGHTS

    def __post_init__(self) -> None:
        missing = [name for name in FILES if not (self.folder / name).is_file()]
        if missing:
            raise InputError(f"{self.folder}: no reader, {missing[0]} is missing; scripts/train_reader.py makes one")
        self.attributes  # noqa: B018 - a damaged file is told at once

    @cached_property
    def facts(self) -> dict[str, Any]:
        """Content of reader.json.

        Raises:
            InputError: It cannot be read, or is of another format.
        """
        path = self.folder / FILES[0]
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise InputError(f"{path}: cannot read ({' '.join(str(error).split())})") from error
        if not isinstance(content, dict) or (content.get("format"), content.get("version")) != (FORMAT, VERSION):
            raise InputError(f"{path}: is no {FORMAT} of version {VERSION}")
        return content

    @cached_property
    def name(self) -> str:
        """Its name, and the beginning of a hash of its files."""
        return f"{self.facts['name']}-{file_hash(*(self.folder / name for name in FILES))[:12]}"

    @cached_property
    def attributes(self) -> Mapping[str, tuple[str, ...]]:
        """What it tells well enough → the values."""
        try:
            return {name: tuple(one["values"]) for name, one in self.facts["attributes"].items()}
        except (AttributeError, KeyError, TypeError) as error:
            raise InputError(f"{self.folder / FILES[0]}: damaged, no attributes with their values") from error

    @property
    def views(self) -> tuple[str, ...]:
        """Views that it reads."""
        return tuple(self.facts["views"])

    def read(self, images: Sequence[NDArray[Any]]) -> dict[str, NDArray[np.float64]]:
        """Attribute → probabilities (n, values) of images (h, w) of any size, uint8 or uint16.

        Raises:
            InputError: torch or safetensors is not installed, the weights are damaged, or an image is not 2D.
        """
        size = int(self.facts["size"])
        small = [prepared(image, size) for image in images]
        raw = [self._raw(np.stack(small[first : first + _BATCH])) for first in range(0, len(small), _BATCH)]
        told: dict[str, NDArray[np.float64]] = {}
        for name, one in self.facts["attributes"].items():
            parts = [each[name] for each in raw]
            values = np.concatenate(parts) if parts else np.empty((0, len(one["values"])))
            told[name] = probabilities(values, one["scale"], one["offsets"])
        return told

    def _raw(self, images: NDArray[np.uint8]) -> dict[str, NDArray[np.float64]]:
        torch = import_optional("torch", "a reader of conditions", _NEEDED)
        from synth.metrics.readers.network import standardised

        with torch.no_grad():
            told = self._network(standardised(torch.from_numpy(images)))
        signs, _, man, age = (part.double().numpy() for part in told)
        return {name: self._layout.scores(name, values, (signs, man, age)) for name, values in self.attributes.items()}

    @cached_property
    def _layout(self) -> Layout:
        return Layout(tuple((str(name), side) for name, side in self.facts["signs"]), tuple(self.facts["age_groups"]))

    @cached_property
    def _network(self) -> Any:
        safetensors = import_optional("safetensors.torch", "a reader of conditions", _NEEDED)
        from synth.metrics.readers.network import Network

        network, path = Network(len(self._layout.signs), len(self._layout.ages)), self.folder / FILES[1]
        try:
            network.load_state_dict({key: value.float() if value.is_floating_point() else value
                                     for key, value in safetensors.load_file(path).items()})  # fmt: skip
        except Exception as error:  # safetensors raises errors of its own, torch RuntimeError
            raise InputError(f"{path}: cannot load ({' '.join(str(error).split())[:200]})") from error
        return network.eval()

    def __getstate__(self) -> dict[str, Any]:
        return {"folder": self.folder}


def find_reader(name: str) -> ConditionReader:
    """A reader by its name ("phantoms", the one that comes with the package) or folder.

    Raises:
        InputError: Neither.
    """
    if name in NAMES:
        return PhantomReader()
    if not Path(name).is_dir():
        raise InputError(f"reader {name}: is neither {' nor '.join(NAMES)} nor a folder that holds a reader")
    return PhantomReader(Path(name))


def prepared(image: NDArray[Any], size: int) -> NDArray[np.uint8]:
    """(size, size) uint8 of an image (h, w), uint8 or uint16, from its least to its greatest value.

    Raises:
        InputError: It is not 2D.
    """
    if image.ndim != 2:
        raise InputError(f"the reader reads 2D images, got the shape {image.shape}")
    grey = resize_grey(image, (size, size)).astype(np.float64)
    low, high = float(grey.min()), float(grey.max())
    return np.rint((grey - low) * (255 / max(high - low, 1e-9))).astype(np.uint8)
