"""How fast `synth cxr` draws beside the same weights in a plain loop of diffusers.

    python scripts/bench_sampling.py --model FOLDER -o docs/benchmarks.md
    python scripts/bench_sampling.py --pixels 256 --threads 2      random weights of the default sizes

Ours: the model's steps, prompts embedded once, one picture at a time on a CPU. Plain: 50 steps of diffusers'
FlowMatchEulerDiscreteScheduler, prompts embedded in every call, the whole call a batch; as diffusers' pipelines do it.
Both with the same guidance; above 1, both predictions are one forward in both. Pictures and masks are decoded in both.
Images a second: the best of several runs, after one to warm up. Random weights take the time of trained ones.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from bench_drr import machine
from bench_drr_peers.tables import number, replace_section, table
from diffusers import FlowMatchEulerDiscreteScheduler

from synth.diffusion.cxr.autoencoder import CxrAutoencoder
from synth.diffusion.cxr.generate import Asked, Settings, generate
from synth.diffusion.cxr.mask_decoder import MaskDecoder
from synth.diffusion.cxr.own_model import OwnModel
from synth.diffusion.cxr.pipeline import CxrPipeline
from synth.diffusion.cxr.transformer import CxrTransformer
from synth.diffusion.flow import FlowScheduler, noise_of
from synth.diffusion.loading import load_model
from synth.diffusion.text.conditions import encode, parse_prompt
from synth.diffusion.text.encoder import ReportEncoder
from synth.diffusion.text.tokenizer import token_ids, train_tokenizer

if TYPE_CHECKING:
    from collections.abc import Callable

PROMPTS = (
    "65 year old WHITE female. Small left pleural effusion.",
    "42 year old BLACK male. No acute cardiopulmonary process.",
    "71 year old ASIAN female. Large right pneumothorax.",
    "80 year old HISPANIC male. Cardiomegaly. AP view.",
)
STRUCTURES = tuple(f"structure {number}" for number in range(16))
PLAIN_STEPS = 50


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", metavar="FOLDER", help="one of ours (default: random weights)")
    parser.add_argument("--pixels", type=int, default=128, help="side of the pictures of random weights (default 128)")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="of torch")
    parser.add_argument("--pictures", type=int, default=8, help="of a run (default 8)")
    parser.add_argument("--repeat", type=int, default=3, help="runs (default 3)")
    parser.add_argument("--guidance", type=float, nargs="+", default=[1.0, 1.5], help="scales (default 1 1.5)")
    parser.add_argument("--device", default="auto", help="cpu, cuda, … (default auto)")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="Markdown file to put the section into")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    model = load_model(options.model, device=options.device) if options.model else random_model(options.pixels)
    if not isinstance(model, OwnModel):
        parser.error("--model: give one of ours; others have 75 steps of their own")
    lines = [line for scale in options.guidance for line in measured(model, scale, options.pictures, options.repeat)]
    head = ["sampler", "steps", "guidance", "pictures a batch", "images/s", "× plain"]
    denoiser = model.pipe.transformer
    weights = sum(parameter.numel() for parameter in denoiser.parameters()) / 1e6
    what = (
        f"{model.side} × {model.side} pixels, denoiser of {weights:.1f} M parameters in {denoiser.dtype}, "
        f"{options.threads} threads, PyTorch {torch.__version__}"
    )
    text = f"{machine()}; {what}\n\n{table(head, lines)}"
    print(text)
    if options.output:
        replace_section(options.output, "bench_sampling", f"## Text to radiograph\n\n{text}")


def random_model(pixels: int) -> OwnModel:
    """All networks at their default sizes."""
    torch.manual_seed(0)
    pipe = CxrPipeline(
        CxrAutoencoder(),
        ReportEncoder(),
        train_tokenizer(PROMPTS),
        CxrTransformer(),
        FlowScheduler(),
        MaskDecoder(STRUCTURES),
        pixels=pixels,
    )
    pipe.text_cache = {}
    for part in (pipe.vae, pipe.text_encoder, pipe.transformer, pipe.mask_decoder):
        part.eval().requires_grad_(False)
    return OwnModel(pipe, "")


def measured(model: OwnModel, guidance: float, pictures: int, repeat: int) -> list[list[str]]:
    """The rows of one guidance scale."""
    steps = int(model.pipe.config.steps)
    prompts, seeds = [PROMPTS[k % len(PROMPTS)] for k in range(pictures)], list(range(pictures))
    rates = {
        ("ours", steps, model.microbatch): rate(
            lambda: list(generate(model, Asked(prompts, seeds), Settings(guidance=guidance))), pictures, repeat
        )
    }
    for batch in sorted({1, pictures}):
        parts = [(prompts[k : k + batch], seeds[k : k + batch]) for k in range(0, pictures, batch)]
        rates["plain", PLAIN_STEPS, batch] = rate(
            lambda parts=parts: [plain(model.pipe, *part, guidance) for part in parts], pictures, repeat
        )
    best = max(value for (name, _, _), value in rates.items() if name == "plain")
    return [
        [name, str(steps), f"{guidance:g}", str(batch), number(value), number(value / best)]
        for (name, steps, batch), value in rates.items()
    ]


def rate(run: Callable[[], object], pictures: int, repeat: int) -> float:
    """Pictures a second, in the best of several runs."""
    run()
    times = []
    for _ in range(repeat):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return pictures / min(times)


@torch.no_grad()
def plain(pipe: CxrPipeline, prompts: list[str], seeds: list[int], guidance: float) -> object:
    """A loop as in diffusers' own pipelines."""
    asked = [parse_prompt(prompt) for prompt in prompts]
    scheduler, device, dtype = FlowMatchEulerDiscreteScheduler(), pipe.transformer.device, pipe.transformer.dtype
    text, attributes = words(pipe, asked), encode(asked).to(device)
    if guidance != 1:
        empty = [parse_prompt("")] * len(asked)
        text = torch.cat([text, words(pipe, empty)])
        attributes = torch.cat([attributes, encode(empty).to(device)])
    side = pipe.config.pixels // pipe.vae.factor
    latents = noise_of(seeds, (pipe.vae.config.latent_channels, side, side)).to(device)
    scheduler.set_timesteps(PLAIN_STEPS, device=device)
    for time_ in scheduler.timesteps:
        doubled = torch.cat([latents, latents]) if guidance != 1 else latents
        times = (time_ / scheduler.config.num_train_timesteps).expand(len(doubled))
        slope = pipe.transformer(doubled.to(dtype), times, text, attributes).float()
        if guidance != 1:
            conditional, unconditional = slope.chunk(2)
            slope = unconditional + guidance * (conditional - unconditional)
        latents = scheduler.step(slope, time_, latents, return_dict=False)[0]
    images = pipe.vae.images(latents).clamp(-1, 1).cpu().numpy()
    return images, None if pipe.mask_decoder is None else pipe.mask_decoder.masks(latents).cpu().numpy()


def words(pipe: CxrPipeline, asked: list) -> torch.Tensor:
    """Embedded anew."""
    ids = token_ids(pipe.tokenizer, [one.impression for one in asked]).to(pipe.text_encoder.device)
    return pipe.text_encoder(ids)


if __name__ == "__main__":
    main()
