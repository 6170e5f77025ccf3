"""`synth ct`: text → CTs with masks, and radiographs of them."""

from __future__ import annotations

import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from synth.cli.progress import progress
from synth.cli.prompts import read_interval, read_prompts
from synth.core.errors import InputError

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
        typer.Option("--prompt", metavar="TEXT", help='"65 year old WHITE female. Small left pleural effusion."'),
    ] = None,
    prompts: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A prompt a line (.txt), or in a column prompt or text (.csv).")
    ] = None,
    n: Annotated[int, typer.Option("-n", "--number", metavar="N", min=1, help="CTs of each prompt.")] = 1,
    model: Annotated[
        str, typer.Option(metavar="default|FOLDER|HUB_ID", help="Of ours, or in MAISI's layout.")
    ] = "default",
    size: Annotated[
        str | None, typer.Option(metavar="N|ZxYxX", help="Voxels, doublings of the base [the base's].")
    ] = None,
    spacing: Annotated[
        str | None, typer.Option(metavar="MM|ZxYxX", help="Voxel edges [those of the base, halved as often].")
    ] = None,
    steps: Annotated[int | None, typer.Option(metavar="N", help="Of the solver on the base [the model's].")] = None,
    refine_steps: Annotated[
        int | None, typer.Option(metavar="N", help="Of the solver on each finer grid [the model's].")
    ] = None,
    guidance: Annotated[
        float | None, typer.Option(metavar="X", help="Above 1 the prompt counts for more [the model's].")
    ] = None,
    guidance_interval: Annotated[
        str | None, typer.Option(metavar="LOW,HIGH", help="Times with guidance, 0 data to 1 noise [the model's].")
    ] = None,
    negative: Annotated[str, typer.Option(metavar="TEXT", help="What guidance leads away from.")] = "",
    seed: Annotated[int, typer.Option(min=0, help="Of all that is drawn.")] = 0,
    masks: Annotated[
        Path | None,
        typer.Option(metavar="LABELS", help="A label map to follow (.nii.gz, .mha, .nrrd), or a folder of them."),
    ] = None,
    radiographs: Annotated[
        str | None, typer.Option(metavar="VIEWS", help="Radiographs of each CT with projected masks: pa,lateral,…")
    ] = None,
    radiograph_size: Annotated[int, typer.Option(metavar="N", min=1, help="Side of their pictures, pixels.")] = 512,
    technique: Annotated[str, typer.Option(metavar="NAME", help="Of the radiographs, as synth drr has it.")] = "auto",
    keep_masks: Annotated[
        bool, typer.Option("--keep-masks/--no-masks", help="Write the label maps and projected masks.")
    ] = True,
    tile: Annotated[
        int | None, typer.Option(metavar="N", help="Voxels along a side that are refined at once [the model's].")
    ] = None,
    attention: Annotated[_Attention, typer.Option(help="Whose.")] = _Attention.SDPA,
    dtype: Annotated[_Precision, typer.Option(help="Of the networks [bfloat16 where the device has it].")] = (
        _Precision.AUTO
    ),
    device: Annotated[str, typer.Option(metavar="auto|cpu|cuda[:N]", help="Where to run.")] = "auto",
    batch: Annotated[int | None, typer.Option(metavar="N", min=1, help="CTs at once [1 on a CPU; 8 on a GPU].")] = None,
    dicom: Annotated[
        bool, typer.Option("--dicom", help="DICOM series instead of NIfTI, and DX instead of PNG.")
    ] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with an interrupted run.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Draw CTs of prompts with masks, by our model or one of MAISI's, and take radiographs of them."""
    texts = read_prompts(prompt or [], prompts)
    from synth.metrics.extractors.protocol import import_optional

    import_optional("diffusers", "synth ct", ["torch", "diffusers", "transformers"])
    from synth.dataset.engines.local import LocalEngine
    from synth.dataset.job import DatasetJob
    from synth.dataset.recipe.ct_spec import radiograph_job
    from synth.dataset.request import Request, seed_of
    from synth.dataset.sources.ct import CtChoice, GeneratedCts, label_files
    from synth.diffusion.ct.generate import Settings

    settings = Settings(
        steps,
        refine_steps,
        guidance,
        read_interval(guidance_interval),
        negative,
        _three("--size", size, int),
        _three("--spacing", spacing, float),
        tile,
        batch,
    )
    views = [] if radiographs is None else [view.strip() for view in radiographs.split(",")]
    source = GeneratedCts(
        CtChoice(model, device, dtype.value, attention.value),
        settings,
        anatomy=label_files(masks),
        job=radiograph_job(views, radiograph_size, technique),
        masks=keep_masks,
    )
    requests = [Request(number, seed_of(seed, number), prompt=texts[number // n]) for number in range(len(texts) * n)]
    for request in requests[::n]:
        source.refuse(request)
    recipe = {"command": "ct", **source.recipe(), "prompts": texts, "each": n}
    kind: ImageFormat = "dicom" if dicom else "nifti"
    job = DatasetJob(source, requests, recipe, seed, image_format=kind)
    pending = len(job.open(output, resume=resume).pending())
    if pending and (expected := source.memory()):
        print(expected, file=sys.stderr)
    with progress(pending) as report:
        for _ in job.run(output, engine=LocalEngine(), resume=resume, warn=report.warn):
            report.advance()
    result = {
        "output": str(output),
        "prompts": len(texts),
        "cts": job.n_samples,
        "radiographs": job.n_samples * len(views),
        "model_hash": source.model.digest,
    }
    said = f"{len(texts)} prompt{'' if len(texts) == 1 else 's'}"
    also = f" with {len(views)} radiographs each" if views else ""
    print(json.dumps(result) if as_json else f"{job.n_samples} CTs of {said}{also} in {output}")


def _three(option: str, text: str | None, kind: type) -> Any:
    """Values along z, y, x; one stands for all.

    Raises:
        InputError: Other than one or three numbers.
    """
    if text is None:
        return None
    try:
        values = tuple(kind(part) for part in text.lower().split("x"))
    except ValueError:
        values = ()
    if len(values) not in (1, 3):
        example = "128 or 256x512x512" if kind is int else "1.5 or 3x1.5x1.5"
        raise InputError(f"{option} {text}: give one number, or three along z, y and x, such as {example}")
    return values * 3 if len(values) == 1 else values
