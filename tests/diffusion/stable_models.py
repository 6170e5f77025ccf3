"""Small pipelines in the manner of RoentGen-v2, with random weights: Stable Diffusion 2's parts, made on the spot."""

from __future__ import annotations

import json
import string
from typing import TYPE_CHECKING

import torch
from diffusers import AutoencoderKL, PNDMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["stable_pipeline", "tokenizer"]

_ALPHABET = string.ascii_lowercase + string.digits + string.punctuation


def tokenizer(folder: Path) -> CLIPTokenizer:
    """CLIP's, of single characters; files first, because transformers ignores their names as arguments."""
    folder.mkdir(parents=True, exist_ok=True)
    tokens = [*_ALPHABET, *(f"{letter}</w>" for letter in _ALPHABET), "<|startoftext|>", "<|endoftext|>"]
    (folder / "vocab.json").write_text(json.dumps({token: number for number, token in enumerate(tokens)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    (folder / "tokenizer_config.json").write_text(json.dumps({"model_max_length": 20}))
    return CLIPTokenizer.from_pretrained(folder)


def stable_pipeline(folder: Path, *, channels: int = 3, prediction: str = "epsilon") -> StableDiffusionPipeline:
    """A pipeline for 32 × 32 pixels.

    Args:
        folder: For the tokenizer's files.
        channels: Of the autoencoder: 3, or 1.
        prediction: What the network predicts: "epsilon" or "v_prediction".
    """
    words = tokenizer(folder)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        text = CLIPTextConfig(
            vocab_size=len(words),
            hidden_size=16,
            intermediate_size=32,
            num_hidden_layers=2,
            num_attention_heads=2,
            max_position_embeddings=20,
            bos_token_id=words.bos_token_id,
            eos_token_id=words.eos_token_id,
            pad_token_id=words.pad_token_id,
        )
        unet = UNet2DConditionModel(
            sample_size=16,
            block_out_channels=(8, 16),
            layers_per_block=1,
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
            cross_attention_dim=16,
            attention_head_dim=(1, 2),
            norm_num_groups=4,
            use_linear_projection=True,
        )
        vae = AutoencoderKL(
            in_channels=channels,
            out_channels=channels,
            block_out_channels=(8, 8),
            down_block_types=("DownEncoderBlock2D",) * 2,
            up_block_types=("UpDecoderBlock2D",) * 2,
            layers_per_block=1,
            norm_num_groups=4,
            sample_size=32,
        )
        scheduler = PNDMScheduler(
            beta_start=0.00085,
            beta_end=0.012,
            beta_schedule="scaled_linear",
            skip_prk_steps=True,
            steps_offset=1,
            prediction_type=prediction,
        )
        pipe = StableDiffusionPipeline(
            vae, CLIPTextModel(text), words, unet, scheduler, None, None, requires_safety_checker=False
        )
    pipe.set_progress_bar_config(disable=True)
    return pipe
