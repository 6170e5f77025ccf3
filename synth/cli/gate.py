"""`synth gate`: whether generated images may train a model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from synth.cli.progress import progress
from synth.core.errors import InputError

__all__ = ["command"]


def command(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Images to judge: folder, metadata.csv or dataset.")],
    reference: Annotated[Path, typer.Option(metavar="REAL", help="Real images of the same kinds.")],
    policy: Annotated[Path | None, typer.Option(metavar="YAML", help="What is asked [docs/scoring.md].")] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FOLDER", help="Folder for the reports, outside DIR.")
    ] = None,
    masks: Annotated[
        str | None, typer.Option(metavar="WHERE", help="Of DIR: own, a folder, annotations.json or a column.")
    ] = None,
    reference_masks: Annotated[str | None, typer.Option(metavar="WHERE", help="Of REAL.")] = None,
    training: Annotated[
        Path | None, typer.Option(metavar="TRAIN", help="What the generator was trained on, to find copies of.")
    ] = None,
    reader: Annotated[
        str | None, typer.Option(metavar="NAME", help="Check what the table says: phantoms, or a reader's folder.")
    ] = None,
    delete_rejected: Annotated[
        bool, typer.Option("--delete-rejected", help="Remove refused images from DIR once the reports are written.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Of permutations and splits.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> int:
    """Judge generated images by real ones and a policy: exit code 0 says yes, 1 says no."""
    from synth.metrics.gate.files import check_deletable, delete_images
    from synth.metrics.gate.gating import gate, write_reports
    from synth.metrics.gate.policy import Policy, read_policy
    from synth.metrics.images.sets import ImageSet

    asked = Policy() if policy is None else read_policy(policy)
    if reader is not None:
        asked = replace(asked, reader=reader)
    _check_place(output, folder, reference, *([training] if training else []))
    if delete_rejected:
        if output is None:
            raise InputError("--delete-rejected needs -o FOLDER, where the reasons are kept")
        check_deletable(folder)
    fake = ImageSet.open(folder, on_error="skip")
    with progress(len(ImageSet.open(reference)) + len(fake)) as report:
        result = gate(
            folder,
            reference,
            asked,
            training=training,
            generated_masks=masks,
            reference_masks=reference_masks,
            seed=seed,
            progress=report.advance,
        )
        for line in result.warnings:
            report.warn(line)
    if output is not None:
        write_reports(result, output)
    if delete_rejected:
        delete_images(folder, fake, result.rejected_images)
    print(result.to_json() if as_json else result.table(), end="")
    return 0 if result.accepted else 1


def _check_place(output: Path | None, *inputs: Path) -> None:
    if output is None:
        return
    if output.exists() and not output.is_dir():
        raise InputError(f"{output}: is a file; name a folder for the reports")
    for given in inputs:
        inside = given if given.is_dir() else given.parent
        if output.resolve().is_relative_to(inside.resolve()):
            raise InputError(
                f"{output}: would lie in {inside}, among the images; choose another folder for the reports"
            )
