"""Small networks with random weights, whose outputs depend on all of their inputs."""

from __future__ import annotations

import torch

from synth.diffusion.cxr.autoencoder import CxrAutoencoder
from synth.diffusion.cxr.control import ControlBranch
from synth.diffusion.cxr.mask_decoder import MaskDecoder
from synth.diffusion.cxr.pipeline import CxrPipeline
from synth.diffusion.cxr.transformer import CxrTransformer
from synth.diffusion.flow import FlowScheduler
from synth.diffusion.text.encoder import ReportEncoder
from synth.diffusion.text.tokenizer import train_tokenizer

NAMES = ("heart", "lung_left", "finding:mass")
TEXTS = ("No acute cardiopulmonary process.", "Small left pleural effusion.", "Large right pneumothorax.", "Mass.")


def shaken(model: torch.nn.Module, seed: int = 0) -> torch.nn.Module:
    """With weights drawn anew: layers that start at zero would hide what they are given."""
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        parameter.data = 0.08 * torch.randn(parameter.shape, generator=generator) + (parameter.ndim == 1)
    return model.eval()


def transformer(**changes: int) -> CxrTransformer:
    model = CxrTransformer(**{"channels": 4, "width": 32, "depth": 3, "heads": 2, "text_width": 16, **changes})
    shaken(model)
    return model


def autoencoder() -> CxrAutoencoder:
    model = CxrAutoencoder(latent_channels=4, widths=(8, 16), blocks=(1, 1), scaling_factor=0.7, shift_factor=0.1)
    shaken(model)
    return model


def pipeline(*, control: bool = False, masks: bool = True) -> CxrPipeline:
    denoiser = transformer()
    branch = ControlBranch(names=NAMES, width=32, depth=2, heads=2, pixels=16)
    decoder = MaskDecoder(names=NAMES, latent_channels=4, width=16, blocks=1)
    encoder = ReportEncoder(vocabulary=400, width=16, depth=1, heads=2)
    made = CxrPipeline(
        autoencoder(),
        shaken(encoder, 1),
        train_tokenizer(TEXTS, size=400),
        denoiser,
        FlowScheduler(),
        shaken(decoder, 2) if masks else None,
        shaken(branch, 3) if control else None,
        pixels=32,
        steps=3,
    )
    made.set_progress_bar_config(disable=True)
    return made
