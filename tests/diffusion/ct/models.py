"""Small networks of 3D and their pipeline, with random weights, whose outputs depend on all of their inputs."""

from __future__ import annotations

from synth.diffusion.ct.autoencoder import CtAutoencoder
from synth.diffusion.ct.channels import MASKS
from synth.diffusion.ct.control import CtControl
from synth.diffusion.ct.pipeline import CtPipeline
from synth.diffusion.ct.refiner import CtRefiner
from synth.diffusion.ct.transformer import CtTransformer
from synth.diffusion.flow import FlowScheduler
from synth.diffusion.text.encoder import ReportEncoder
from synth.diffusion.text.tokenizer import train_tokenizer
from tests.diffusion.models import TEXTS, shaken

NAMES = ("heart", "lung_airways", "finding")


def autoencoder(widths: tuple[int, ...] = (12,), blocks: tuple[int, ...] = (2,), stem: int = 4) -> CtAutoencoder:
    model = CtAutoencoder(NAMES, 4, stem, widths, blocks, scaling_factor=0.7, shift_factor=0.1)
    shaken(model)
    return model


def transformer() -> CtTransformer:
    model = CtTransformer(channels=4, width=32, depth=3, heads=2, text_width=16)
    shaken(model)
    return model


def refiner() -> CtRefiner:
    model = CtRefiner(channels=4, width=8, inner=12, blocks=(1, 1, 1), signal=16)
    shaken(model)
    return model


def control() -> CtControl:
    model = CtControl(NAMES, width=32, depth=2, heads=2)
    shaken(model)
    return model


def pipeline(*, control: bool = False, refiner: bool = True) -> CtPipeline:
    """Base of 16³ voxels at 8 mm."""
    vae = CtAutoencoder(latent_channels=4, widths=(12,), blocks=(1,), scaling_factor=0.7, shift_factor=0.1)
    encoder = ReportEncoder(vocabulary=400, width=16, depth=1, heads=2, summary=2)
    denoiser = CtTransformer(channels=4, width=32, depth=2, heads=2, text_width=16)
    finer = CtRefiner(channels=4, width=8, inner=8, blocks=(1, 1, 1), signal=8)
    branch = CtControl(names=MASKS, width=32, depth=1, heads=2)
    made = CtPipeline(
        shaken(vae),
        shaken(encoder, 1),
        train_tokenizer(TEXTS, size=400),
        shaken(denoiser, 2),
        FlowScheduler(),
        shaken(finer, 3) if refiner else None,
        shaken(branch, 4) if control else None,
        voxels=(16, 16, 16),
        spacing=8.0,
        steps=3,
        refine_steps=2,
        tile=16,
    )
    made.set_progress_bar_config(disable=True)
    return made
