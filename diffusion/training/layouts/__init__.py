"""Radiographs as others keep them: their folders, label tables and saved `datasets`, as examples to learn from."""

from synth.diffusion.training.layouts.opening import open_layout

__all__ = ["open_layout"]
