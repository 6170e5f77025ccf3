"""`synth drr`: CT or phantom → radiographs with masks."""

from __future__ import annotations

import json
import os
import re
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from synth.cli import phantom_options as options
from synth.cli.progress import progress
from synth.core.errors import InputError
from synth.dataset.engines.threads import ONE_BLAS_THREAD

if TYPE_CHECKING:
    from synth.dataset.folder import ImageFormat
    from synth.dataset.patients.subject import Subjects
    from synth.drr.geometry import Camera

__all__ = ["command"]


_SIDE = re.compile(r"[0-9]{1,4}")


class _Backend(StrEnum):
    AUTO, CPU, CUDA, DEEPDRR = "auto", "cpu", "cuda", "deepdrr"


class _Masks(StrEnum):
    ALL, GROUPS, NONE = "all", "groups", "none"


class _Method(StrEnum):
    AUTO, SLICES, RAYS = "auto", "slices", "rays"


class _Model(StrEnum):
    TRILINEAR, BOX = "trilinear", "box"


def command(
    output: Annotated[Path, typer.Option("-o", "--output", metavar="DIR", help="Folder of the dataset.")],
    cts: Annotated[
        list[Path] | None, typer.Argument(metavar="CT...", help="DICOM folder, NIfTI, MHA/MHD or NRRD.")
    ] = None,
    phantom: Annotated[
        int | None, typer.Option(metavar="N", help="Radiographs of N phantoms instead of CTs [1 without CTs].")
    ] = None,
    sex: options.Sex = None,
    age: options.Age = None,
    race: options.Race = None,
    findings: options.Findings = None,
    population: options.PopulationName = "default",
    voxel: options.Voxel = 2.0,
    labels: Annotated[
        list[Path] | None, typer.Option("--labels", metavar="MAP", help="Label map of each CT, in their order.")
    ] = None,
    label_names: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Names of the labels, CSV or JSON [beside the map].")
    ] = None,
    views: Annotated[
        str, typer.Option(metavar="LIST", help="pa, ap, lateral, rlateral, lao45, rao30cra20, lpo30, cau15, …")
    ] = "pa,lateral",
    poses: Annotated[
        int, typer.Option(metavar="N", help="Take each view N times, each time in a pose drawn at random [as fits].")
    ] = 0,
    cameras: Annotated[
        Path | None, typer.Option(metavar="FILE", help="JSON of explicit cameras K, [R|t] instead of views.")
    ] = None,
    size: Annotated[str, typer.Option(metavar="N|HxW", help="Pixels.")] = "512",
    preset: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Technique: auto, chest-pa, chest-lateral, chest-ap-portable, fluoroscopy, raw, random, mono [auto].",
        ),
    ] = None,
    scene: Annotated[
        Path | None, typer.Option(metavar="FILE", help="YAML: changes to the technique, objects, further volumes.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of noise and of all that is drawn.")] = 0,
    energy: Annotated[float, typer.Option(metavar="KEV", help="Photon energy of --preset mono.")] = 60.0,
    backend: Annotated[_Backend, typer.Option(help="Where to run.")] = _Backend.AUTO,
    method: Annotated[_Method, typer.Option(help="Fast slices, or exact rays.")] = _Method.AUTO,
    model: Annotated[_Model, typer.Option(help="What a voxel is.")] = _Model.TRILINEAR,
    sdd: Annotated[
        float | None, typer.Option(metavar="MM", help="Source–detector distance [1800 upright, 1000 AP and C-arm].")
    ] = None,
    sid: Annotated[
        float | None, typer.Option(metavar="MM", help="Source–isocentre distance [detector behind the volume].")
    ] = None,
    fov: Annotated[
        float | None, typer.Option(metavar="MM", help="Longer side of the detector [as the body needs].")
    ] = None,
    collimate: Annotated[str, typer.Option(metavar="L,R,T,B", help="Blades: mm covered at each side.")] = "0,0,0,0",
    window: Annotated[
        str | None, typer.Option(metavar="LOW,HIGH", help="Line integrals shown black and white [from the picture].")
    ] = None,
    couch: Annotated[bool, typer.Option(help="Leave the couch in, or make all but the body air.")] = True,
    masks: Annotated[
        _Masks, typer.Option(help="Project all labels, groups (lungs, heart, ribs, …) and findings only, or none.")
    ] = _Masks.ALL,
    workers: options.Workers = 1,
    raw: Annotated[bool, typer.Option("--raw", help="Keep line integrals, thicknesses and cameras (.npz).")] = False,
    dicom: Annotated[bool, typer.Option("--dicom", help="DICOM DX objects instead of 16-bit PNG.")] = False,
    assume_hu: Annotated[bool, typer.Option("--assume-hu", help="Do not doubt that the voxels are HU.")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with an interrupted run.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Turn CT volumes or phantoms into radiographs, with projected masks where there are label maps."""
    os.environ.update(ONE_BLAS_THREAD)  # before numpy is imported
    from synth.dataset.patients.ct_files import CtFiles
    from synth.dataset.radiographs.job import DrrJob
    from synth.dataset.radiographs.scene import Scene, read_scene
    from synth.drr.presentation import Collimation, Window
    from synth.drr.projector import choose_backend

    shape, on = _shape(size), choose_backend(backend.value)
    placed = read_scene(scene) if scene else Scene()
    if phantom is None and not cts and not labels:
        phantom = 1
    if phantom is not None:
        if cts or labels:
            raise InputError("--phantom: give CTs or a number of phantoms, not both")
        subjects: Subjects = options.phantoms(
            phantom,
            seed,
            sex=sex,
            age=age,
            race=race,
            findings=findings,
            population=population,
            voxel=voxel,
            masks=masks.value,
            on_gpu=on == "cuda",
        )
    else:
        options.refuse_without_phantoms(sex=sex, age=age, race=race)
        subjects = CtFiles(
            tuple(cts or ()),
            tuple(labels or ()),
            label_names,
            masks=masks.value,
            couch=couch,
            check_hu=not assume_hu,
            findings=options.read_findings(findings or "none"),
            seed=seed,
        )
    job = DrrJob(
        subjects,
        views=tuple(view for view in views.split(",") if view.strip()),
        poses=poses,
        cameras=_cameras(cameras, shape) if cameras else (),
        shape=shape,
        energy_kev=energy,
        backend=on,
        method=method.value,
        model=model.value,
        source_detector_mm=sdd,
        source_isocentre_mm=sid,
        field_of_view_mm=fov,
        preset=preset or placed.preset or "auto",
        scene=placed,
        seed=seed,
        window=Window(*_numbers(window, 2, "--window")) if window else None,
        collimation=Collimation(*_numbers(collimate, 4, "--collimate")),
        raw=raw,
    )
    with progress(job.n_samples) as report:
        kind: ImageFormat = "dicom" if dicom else "png"
        for _ in job.run(output, resume=resume, image_format=kind, workers=workers, warn=report.warn):
            report.advance()
    whose, n = ("phantoms", phantom) if phantom is not None else ("cts", len(cts or ()))
    result = {"output": str(output), whose: n, "images": job.n_samples, "backend": job.backend}
    what = "CT" if phantom is None else "phantoms"
    print(json.dumps(result) if as_json else f"{job.n_samples} radiographs of {n} {what} in {output}")


def _shape(text: str) -> tuple[int, int]:
    sides = text.lower().split("x")
    if not (1 <= len(sides) <= 2 and all(_SIDE.fullmatch(side) and 1 <= int(side) <= 8192 for side in sides)):
        raise InputError(f"--size {text}: give pixels as N or HxW, each 1 to 8192")
    return int(sides[0]), int(sides[-1])


def _numbers(text: str, n: int, option: str) -> list[float]:
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) != n:
        raise InputError(f"{option} {text}: give {n} numbers with commas between them")
    return numbers


def _cameras(path: Path, shape: tuple[int, int]) -> tuple[Camera, ...]:
    """Cameras from a JSON list of {"name", "K" (3×3), "world_to_camera" (4×4), "source_detector_mm"}."""
    from synth.drr.geometry import Camera

    try:
        entries = json.loads(path.read_bytes())
        if not (isinstance(entries, list) and entries):
            raise TypeError("it is no list, or an empty one")
        return tuple(
            Camera.from_matrix(
                entry["K"],
                entry["world_to_camera"],
                shape,
                source_detector_mm=float(entry["source_detector_mm"]),
                name=str(entry.get("name", f"CAMERA{number}")),
            )
            for number, entry in enumerate(entries, start=1)
        )
    except OSError as error:
        raise InputError(f"{path}: cannot read ({error.strerror})") from error
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise InputError(
            f'{path}: expected a JSON list of {{"K", "world_to_camera", "source_detector_mm"}} ({error})'
        ) from error
