"""`synth lowdose`: a CT as a lower dose would have given it."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from synth.cli.progress import progress
from synth.core.errors import InputError

__all__ = ["command"]


class _Kernel(StrEnum):
    SOFT, STANDARD, SHARP = "soft", "standard", "sharp"


def command(
    ct: Annotated[Path, typer.Argument(metavar="CT", help="DICOM folder, NIfTI, MHA/MHD or NRRD.")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="Volume: .nii.gz, .nii or .mha.")],
    dose: Annotated[float, typer.Option(metavar="SHARE", help="Share of the CT's dose, 0.001 to 1.")],
    kernel: Annotated[_Kernel, typer.Option(help="How fine the noise is.")] = _Kernel.STANDARD,
    seed: Annotated[int, typer.Option(help="Of the noise.")] = 0,
    kvp: Annotated[float, typer.Option(metavar="KV", help="Tube potential of the CT.")] = 120.0,
    mas: Annotated[float, typer.Option(metavar="MAS", help="Effective mAs of the CT.")] = 200.0,
    thickness: Annotated[
        float | None, typer.Option(metavar="MM", help="Slice thickness [the distance of slices].")
    ] = None,
    electronic: Annotated[float, typer.Option(metavar="QUANTA", help="Electronic noise of a reading.")] = 3.0,
    force: Annotated[bool, typer.Option("--force", help="Replace FILE where it exists.")] = False,
    assume_hu: Annotated[bool, typer.Option("--assume-hu", help="Do not doubt that the voxels are HU.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Add to a CT the noise that a lower dose would have given it."""
    from synth.core.reading import read_volume
    from synth.core.writing import check_writable, write_volume
    from synth.drr.ct_dose import Protocol
    from synth.drr.low_dose import low_dose, slice_count

    protocol = Protocol(kvp=kvp, mas=mas, slice_thickness_mm=thickness, kernel=kernel.value, electronic=electronic)
    _check_place(ct, output, force)
    volume = read_volume(ct, check_hu=not assume_hu)
    check_writable(output, volume)
    with progress(slice_count(volume)) as report:
        for line in volume.warnings:
            report.warn(f"{volume.name}: {line}")
        noisy = low_dose(volume, dose, seed=seed, protocol=protocol, advance=report.advance)
    write_volume(output, noisy)
    result = {"output": str(output), "slices": slice_count(volume), "dose": dose, "seed": seed}
    print(json.dumps(result) if as_json else f"{ct} at {dose:g} of its dose in {output}")


def _check_place(ct: Path, output: Path, force: bool) -> None:
    from synth.core.writing import volume_suffix

    volume_suffix(output)
    if not ct.exists():
        raise InputError(f"{ct}: no such file or folder")
    if output.is_dir():
        raise InputError(f"{output}: is a folder; name a file")
    if output.resolve() == ct.resolve() or (ct.is_dir() and output.resolve().is_relative_to(ct.resolve())):
        raise InputError(f"{output}: would lie in or on the CT {ct}; choose another place for the output")
    if output.exists() and not force:
        raise InputError(f"{output}: exists; choose another name or pass --force")
