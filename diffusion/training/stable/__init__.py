"""Fine-tuning of Stable Diffusion pipelines, such as RoentGen-v2, on one's own radiographs."""

from synth.diffusion.training.stable.finetuning import train_stable
from synth.diffusion.training.stable.settings import StableSettings

__all__ = ["StableSettings", "train_stable"]
