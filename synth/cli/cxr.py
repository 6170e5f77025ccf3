"""`synth cxr`: text → chest radiographs, with masks where the model reads them."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from synth.cli.progress import progress
from synth.cli.prompts import read_interval, read_prompts

if TYPE_CHECKING:
    from synth.dataset.folder import ImageFormat

__all__ = ["command"]


class _Precision(StrEnum):
    AUTO, FLOAT32, BFLOAT16, FLOAT16 = "auto", "float32", "bfloat16", "float16"


class _Attention(StrEnum):
    SDPA, XFORMERS, FLASH = "sdpa", "xformers", "flash"


def command(
    output: Annotated[Path, typer.Option("-o", "--output", metavar="DIR", help="Folder of the dataset.")],
    prompt: Annotated[
        list[str] | None,
        typer.Option(
            "--prompt", metavar="TEXT", help='"65 year old WHITE female. Small left pleural effusion. AP view."'
        ),
    ] = None,
    prompts: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A prompt a line (.txt), or in a column prompt or text (.csv).")
    ] = None,
    n: Annotated[int, typer.Option("-n", "--number", metavar="N", min=1, help="Pictures of each prompt.")] = 1,
    model: Annotated[
        str, typer.Option(metavar="default|FOLDER|HUB_ID", help="Of ours, or Stable-Diffusion-style.")
    ] = "default",
    lora: Annotated[Path | None, typer.Option(metavar="FOLDER", help="A LoRA adapter for it.")] = None,
    lora_scale: Annotated[float, typer.Option(metavar="X", help="How much of the adapter.")] = 1.0,
    steps: Annotated[int | None, typer.Option(metavar="N", help="Of the solver [the model's: few, or 75].")] = None,
    guidance: Annotated[
        float | None, typer.Option(metavar="X", help="Above 1 the prompt counts for more [the model's; or 3].")
    ] = None,
    guidance_interval: Annotated[
        str | None, typer.Option(metavar="LOW,HIGH", help="Times with guidance, 0 data to 1 noise [the model's].")
    ] = None,
    negative: Annotated[str, typer.Option(metavar="TEXT", help="What guidance leads away from.")] = "",
    seed: Annotated[int, typer.Option(min=0, help="Of all that is drawn.")] = 0,
    image: Annotated[Path | None, typer.Option(metavar="FILE", help="Start from this radiograph.")] = None,
    strength: Annotated[float, typer.Option(metavar="0–1", help="How much of it changes.")] = 0.6,
    inpaint: Annotated[Path | None, typer.Option(metavar="MASK", help="Paint it anew where this is not 0.")] = None,
    invert: Annotated[bool, typer.Option("--invert", help="Trace it back to its noise, for counterfactuals.")] = False,
    control: Annotated[
        Path | None,
        typer.Option(
            metavar="MASKS", help="Masks to follow: dataset, COCO .json, .npz, folder of PNGs, PNG of labels."
        ),
    ] = None,
    counterfactual: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY=VALUE,…", help="Another picture of the same seed: sex=M,age=80; impression=…"),
    ] = None,
    size: Annotated[int | None, typer.Option(metavar="N", help="Side in pixels, resampled [the model's].")] = None,
    refine: Annotated[
        float, typer.Option(metavar="0–1", help="Of larger pictures: how much the model redraws, tile by tile.")
    ] = 0.0,
    masks: Annotated[bool, typer.Option(help="Keep the masks that the model reads.")] = True,
    attention: Annotated[_Attention, typer.Option(help="Whose.")] = _Attention.SDPA,
    dtype: Annotated[_Precision, typer.Option(help="Of the networks [bfloat16 where the device has it].")] = (
        _Precision.AUTO
    ),
    device: Annotated[str, typer.Option(metavar="auto|cpu|cuda[:N]", help="Where to run.")] = "auto",
    compiled: Annotated[bool, typer.Option("--compile", help="Have torch compile the network.")] = False,
    batch: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Pictures at once [1 on a CPU; 16 or 8 on a GPU].")
    ] = None,
    dicom: Annotated[bool, typer.Option("--dicom", help="DICOM DX objects instead of 16-bit PNG.")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with an interrupted run.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Draw chest radiographs of prompts, with masks, by our model or by a Stable-Diffusion-style one."""
    texts = read_prompts(prompt or [], prompts)
    from synth.metrics.extractors.protocol import import_optional

    import_optional("diffusers", "synth cxr", ["torch", "diffusers", "transformers"])
    from synth.dataset.engines.local import LocalEngine
    from synth.dataset.job import DatasetJob
    from synth.dataset.request import Request, seed_of
    from synth.dataset.sources.cxr import CxrRadiographs, ModelChoice
    from synth.dataset.sources.cxr_inputs import CxrInputs
    from synth.diffusion.cxr.counterfactual import Change
    from synth.diffusion.cxr.generate import Settings

    settings = Settings(
        steps,
        guidance,
        read_interval(guidance_interval),
        negative,
        strength,
        size,
        refine,
        microbatch=batch,
        with_masks=masks,
    )
    source = CxrRadiographs(
        ModelChoice(model, device, dtype.value, attention.value, lora, lora_scale, compiled),
        settings,
        changes=tuple(map(Change.read, counterfactual or ())),
        inputs=CxrInputs(image, inpaint, control),
        inverted=invert,
    )
    requests = [Request(number, seed_of(seed, number), prompt=texts[number // n]) for number in range(len(texts) * n)]
    for request in requests[::n]:
        source.refuse(request)
    recipe = {"command": "cxr", **source.recipe(), "prompts": texts, "each": n}
    kind: ImageFormat = "dicom" if dicom else "png"
    job = DatasetJob(source, requests, recipe, seed, image_format=kind)
    with progress(len(job.open(output, resume=resume).pending())) as report:
        for _ in job.run(output, engine=LocalEngine(), resume=resume, warn=report.warn):
            report.advance()
    result = {"output": str(output), "prompts": len(texts), "images": job.n_samples, "model_hash": source.model.digest}
    said = f"{len(texts)} prompt{'' if len(texts) == 1 else 's'}"
    print(json.dumps(result) if as_json else f"{job.n_samples} radiographs of {said} in {output}")
