"""What is asked for, as training draws it: a phrasing of several, and now and then less than all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from pydantic import Field

from synth.core.strict import Strict
from synth.diffusion.text.conditions import ATTRIBUTES, UNKNOWN, encode
from synth.diffusion.text.tokenizer import token_ids

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from torch import Tensor
    from transformers import PreTrainedTokenizerFast

    from synth.diffusion.text.conditions import Conditions

__all__ = ["DRAWS", "Dropout", "Words"]

DRAWS = 3 + len(ATTRIBUTES)
"""Numbers from 0 to 1 that an example needs."""


class Dropout(Strict):
    """How often training is not told something, so that the model need not be asked everything.

    Attributes:
        attribute: Chance of each attribute, by itself.
        text: Chance of the impression.
        everything: Chance of all together: what guidance steers away from.
    """

    attribute: float = Field(default=0.1, ge=0, le=1)
    text: float = Field(default=0.1, ge=0, le=1)
    everything: float = Field(default=0.1, ge=0, le=1)


@dataclass(frozen=True, eq=False)
class Words:
    """The conditions of all examples, encoded.

    Attributes:
        table: (texts, tokens) ids of all different impressions; the first is the empty one.
        phrasings: Places in the table, those of an example one after the other.
        starts: (n + 1,) where each example's phrasings begin.
        attributes: (n, 4), see `encode`.
    """

    table: Tensor
    phrasings: NDArray[np.int64]
    starts: NDArray[np.int64]
    attributes: Tensor

    @classmethod
    def of(cls, conditions: Sequence[Sequence[Conditions]], tokenizer: PreTrainedTokenizerFast) -> Words:
        """Encodes the phrasings of every example."""
        places = {"": 0}
        for each in conditions:
            for one in each:
                places.setdefault(one.impression, len(places))
        phrasings = [places[one.impression] for each in conditions for one in each]
        starts = np.cumsum([0, *map(len, conditions)])
        attributes = encode([each[0] for each in conditions])
        return cls(token_ids(tokenizer, list(places)), np.array(phrasings, np.int64), starts, attributes)

    def first(self, indices: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        """The ids (k, tokens) of examples' first phrasings, and their attributes (k, 4)."""
        return self.table[self.phrasings[self.starts[indices]]], self.attributes[indices]

    def drawn(self, indices: NDArray[np.int64], draws: Tensor, dropout: Dropout) -> tuple[Tensor, Tensor]:
        """Ids (k, tokens) and attributes (k, 4) for a step.

        Args:
            indices: (k,) examples.
            draws: (k, DRAWS) numbers from 0 to 1.
            dropout: What is left out how often.
        """
        count = self.starts[indices + 1] - self.starts[indices]
        place = np.minimum((draws[:, 0].numpy() * count).astype(np.int64), count - 1)
        text = torch.from_numpy(self.phrasings[self.starts[indices] + place])
        nothing = draws[:, 1] < dropout.everything
        text = torch.where(nothing | (draws[:, 2] < dropout.text), 0, text)
        hidden = nothing[:, None] | (draws[:, 3:] < dropout.attribute)
        return self.table[text], torch.where(hidden, UNKNOWN, self.attributes[indices])
