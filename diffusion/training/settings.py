"""How a stage is trained: what all stages have in common."""

from __future__ import annotations

import math
from typing import Literal

from pydantic import Field, model_validator

from synth.core.strict import Strict

__all__ = ["StageSettings"]


class StageSettings(Strict):
    """One stage.

    Attributes:
        steps: Of the optimiser.
        max_minutes: The stage ends earlier where that many minutes of training have passed, all runs together; the
            learning rate falls with whichever of the two is further. None: steps alone count, and the result does not
            depend on the machine's speed.
        batch: Examples of a step, over all processes and parts.
        accumulate: Parts that a process works through one after the other.
        lr: Learning rate.
        schedule: After the warm-up: "cosine" falls to zero, "constant" stays.
        warmup: Steps with a growing learning rate, at most a tenth of all.
        weight_decay: Of AdamW.
        betas: Of AdamW.
        clip: Largest norm of the gradient.
        ema: Widths of the running means of weights, as shares of the training (see PowerMean); the one that validates
            best is kept.
        seed: Of the order of examples and of all draws.
        log_every: Steps between rows of log.csv.
        validate_every: Steps between validations.
        sample_every: Steps between pictures.
        save_every: Steps between checkpoints.
        validate_most: Validation examples that are used.
        compile: Let torch fuse the network's operations (torch.compile; on a CPU it needs a C++ compiler). The first
            step takes a minute or two; after that a CPU trains about 1.4 times as fast.
    """

    steps: int = Field(default=10_000, ge=1)
    max_minutes: float | None = Field(default=None, gt=0)
    batch: int = Field(default=64, ge=1)
    accumulate: int = Field(default=1, ge=1)
    lr: float = Field(default=1e-3, gt=0)
    schedule: Literal["cosine", "constant"] = "cosine"
    warmup: int = Field(default=200, ge=0)
    weight_decay: float = Field(default=0.01, ge=0)
    betas: tuple[float, float] = (0.9, 0.99)
    clip: float = Field(default=1.0, gt=0)
    ema: tuple[float, ...] = Field(default=(0.05, 0.1), min_length=1)
    seed: int = Field(default=0, ge=0)
    log_every: int = Field(default=50, ge=1)
    validate_every: int = Field(default=1000, ge=1)
    sample_every: int = Field(default=2000, ge=1)
    save_every: int = Field(default=500, ge=1)
    validate_most: int = Field(default=256, ge=1)
    compile: bool = False

    @model_validator(mode="after")
    def _whole_parts(self) -> StageSettings:
        if self.batch % self.accumulate:
            raise ValueError(f"accumulate {self.accumulate} must divide batch {self.batch}")
        return self

    def rate(self, step: int, progress: float) -> float:
        """The learning rate of a step.

        Args:
            step: Counted from 0.
            progress: 0 to 1, of steps or of time.
        """
        grown = min(1.0, (step + 1) / (min(self.warmup, self.steps // 10) + 1))
        fallen = 0.5 * (1 + math.cos(math.pi * min(progress, 1.0))) if self.schedule == "cosine" else 1.0
        return self.lr * grown * fallen
