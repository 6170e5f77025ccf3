"""What a folder says of sampling, and what a prompt can say to a model that reads no text."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from synth.core.errors import InputError
from synth.diffusion.ct.maisi.labels import REGIONS
from synth.diffusion.ct.maisi.settings import read_json

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from synth.diffusion.ct.maisi.settings import Settings

__all__ = ["MODALITIES", "Defaults", "modality_code", "prompt_regions", "read_modalities"]

MODALITIES: Mapping[str, int] = {"unknown": 0, "ct": 1, "ct_wo_contrast": 2, "ct_contrast": 3}
"""Name → class, of modality_mapping.json; 0 stands for none in guidance."""

_FIRST_OF_MR = 8
_WORDS = {"thorax": "chest", "lower": "pelvis"}


@dataclass(frozen=True)
class Defaults:
    """How a model is sampled where nothing else is asked for; the published values where the folder says nothing.

    Attributes:
        size: (z, y, x) voxels.
        spacing: (z, y, x) mm.
        steps: Of the scheduler.
        guidance: Scale; 1 is none.
        modality: Class.
        regions: Uppermost and lowest.
        window: Side of the decoder's window, latent voxels.
        overlap: Share of it that neighbouring windows have in common.
    """

    size: tuple[int, int, int] = (256, 256, 256)
    spacing: tuple[float, float, float] = (1.5, 1.5, 1.5)
    steps: int = 30
    guidance: float = 1.0
    modality: int = 1
    regions: tuple[str, str] = ("chest", "abdomen")
    window: tuple[int, int, int] = (48, 48, 48)
    overlap: float = 0.6666

    @classmethod
    def of(cls, settings: Settings, modalities: Mapping[str, int], all_steps: int | None = None) -> Defaults:
        """Those of a folder.

        Args:
            settings: Whatever it says.
            modalities: Name → class.
            all_steps: Steps of a scheduler that cannot leave any out.

        Raises:
            InputError: A value that can be none.
        """
        usual, get = cls(), settings.get
        try:
            x, y, z = map(int, get("output_size", get("dim", usual.size[::-1])))
            sx, sy, sz = map(float, get("spacing", usual.spacing[::-1]))
            first, second, third = map(int, get("autoencoder_sliding_window_infer_size", usual.window))
            return cls(
                (z, y, x),
                (sz, sy, sx),
                all_steps or int(get("num_inference_steps", usual.steps)),
                float(get("cfg_guidance_scale", 0.0)) or 1.0,  # theirs is 0 for none
                modality_code(get("modality", usual.modality), modalities),
                (
                    _region(get("top_region_index"), usual.regions[0]),
                    _region(get("bottom_region_index"), usual.regions[1]),
                ),
                (first, second, third),
                float(get("autoencoder_sliding_window_infer_overlap", usual.overlap)),
            )
        except (TypeError, ValueError) as error:
            raise InputError(f"{settings.path}: its settings of sampling cannot be used ({error})") from error


def prompt_regions(prompt: str) -> tuple[str, str] | None:
    """The uppermost and the lowest region that a prompt names; None for an empty one.

    Raises:
        InputError: It says anything else, which these models would leave unheard.
    """
    words = [_WORDS.get(word, word) for word in re.findall(r"[a-z]+", prompt.lower()) if word not in ("and", "to")]
    if re.search(r"\d", prompt) or not set(words) <= set(REGIONS):
        raise InputError(
            f"prompt {prompt[:60]!r}: MAISI's models read no text; name regions of the body ({', '.join(REGIONS)}), or "
            "leave it empty; masks say more"
        )
    named = [name for name in REGIONS if name in words]
    return (named[0], named[-1]) if named else None


def read_modalities(path: Path) -> dict[str, int]:
    """A modality_mapping.json: name → class.

    Raises:
        InputError: It is none.
    """
    table = read_json(path)
    if not all(isinstance(value, int) and not isinstance(value, bool) and value >= 0 for value in table.values()):
        raise InputError(f"{path}: expected names of modalities with their numbers")
    return table


def modality_code(asked: str | int, known: Mapping[str, int]) -> int:
    """The class of a modality.

    Raises:
        InputError: An unknown one, or one that is not CT.
    """
    code = known.get(asked) if isinstance(asked, str) else int(asked)
    names = [name for name, value in known.items() if 0 < value < _FIRST_OF_MR]
    if code is None or not 0 <= code < _FIRST_OF_MR:
        raise InputError(f"modality {asked!r}: CTs are made here; give one of {', '.join(names)}")
    return code


def _region(index: Sequence[Any] | None, usual: str) -> str:
    """The region of a one-hot index."""
    if index is None:
        return usual
    if len(index) != len(REGIONS) or sum(map(bool, index)) != 1:
        raise ValueError(f"region index {index} names no region")
    return REGIONS[[bool(one) for one in index].index(True)]
