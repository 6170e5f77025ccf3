"""How a Stable Diffusion pipeline is fine-tuned."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from synth.diffusion.training.latents import Variants
from synth.diffusion.training.settings import StageSettings

__all__ = ["StableSettings"]


class StableSettings(StageSettings):
    """How the U-Net, and with it the text encoder, learn; the autoencoder stays as it is.

    The defaults are what RoentGen-v2 was trained with (Moroianu et al. 2025, arXiv:2508.16783), but for the mean of
    weights.

    Attributes:
        method: "full" trains all weights, "lora" low-rank additions to those of attention (Hu et al. 2021,
            arXiv:2106.09685).
        text_encoder: Whether the text encoder is trained as well; None: in "full" only.
        rank: Of the additions, which count in full (α = rank).
        prediction: What the U-Net predicts: "epsilon" or "v_prediction"; "model": what it predicted before, as
            adapters must.
        zero_terminal: Rescale the noise so that nothing of the picture is left at its end (Lin et al. 2024,
            arXiv:2305.08891, algorithm 1); needs "v_prediction", as there is nothing to predict noise from.
        min_snr: γ of the loss's weights min(SNR, γ) (Hang et al. 2023, arXiv:2303.09556), 5 in that article; None:
            all noise levels weigh the same.
        dropout: Share of prompts that are replaced by none, for guidance.
        checkpointing: Compute the U-Net's activations twice rather than keep them.
        latents: Variants of every radiograph that are encoded.
        guidance: Of the pictures that are made on the way.
        picture_steps: Likewise.
        half: Save a pipeline in float16.
    """

    steps: int = Field(default=60_000, ge=1)
    batch: int = Field(default=48, ge=1)
    lr: float = Field(default=1e-5, gt=0)
    warmup: int = Field(default=500, ge=0)
    betas: tuple[float, float] = (0.9, 0.999)
    ema: tuple[float, ...] = Field(default=(0.05,), min_length=1)
    method: Literal["full", "lora"] = "full"
    text_encoder: bool | None = None
    rank: int = Field(default=16, ge=1)
    prediction: Literal["model", "epsilon", "v_prediction"] = "model"
    zero_terminal: bool = False
    min_snr: float | None = Field(default=None, gt=0)
    dropout: float = Field(default=0.0, ge=0, lt=1)
    checkpointing: bool = False
    latents: Variants = Variants()
    guidance: float = Field(default=3.0, ge=1)
    picture_steps: int = Field(default=25, ge=1)
    half: bool = False

    @model_validator(mode="after")
    def _predictable(self) -> StableSettings:
        if self.zero_terminal and self.prediction == "epsilon":
            raise ValueError("zero_terminal needs prediction: v_prediction")
        if self.method == "lora" and (self.zero_terminal or self.prediction != "model"):
            raise ValueError("lora leaves prediction and zero_terminal as they are: an adapter has no scheduler")
        return self

    @property
    def trains_text(self) -> bool:
        """Whether the text encoder is trained."""
        return self.method == "full" if self.text_encoder is None else self.text_encoder
