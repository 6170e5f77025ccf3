"""Which files of a folder make up a MAISI model; found without loading any.

Known layouts: NV-Generate-CTMR and MONAI's tutorial (configs/config_network_*.json or config_maisi*.json,
configs/environment_*.json, models/*.pt), MONAI's bundle maisi_ct_generative (configs/inference.json), and all files
side by side.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synth.core.errors import InputError
from synth.diffusion.ct.maisi.settings import Settings, read_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["MaisiFolder", "find_maisi", "is_maisi"]

_NETWORKS = ("config_network*.json", "config_maisi*.json", "inference.json")
_OTHER_SETTINGS = ("config_infer.json", "config_maisi_diff_model*.json")
_DENOISERS = ("diff_unet*", "*unet3d*", "*unet_3d*")
_WEIGHTS = (".safetensors", ".pt", ".pth")
_FILE_NAME = re.compile(r"[\w.+-]+\.(?:safetensors|pth|pt)\b")
_OF_MR = re.compile(r"(?<![a-z])mr(?![a-z])")


@dataclass(frozen=True)
class MaisiFolder:
    """The files of one model; make one with `find_maisi`.

    Attributes:
        path: The folder.
        settings: Definitions of the networks, with whatever the folder says of sampling.
        autoencoder: Its weights.
        denoiser: Likewise.
        controlnet: Likewise; None where there is none.
        classes: A label_dict.json.
        modalities: A modality_mapping.json.
        licences: Files of licences.
    """

    path: Path
    settings: Settings
    autoencoder: Path
    denoiser: Path
    controlnet: Path | None
    classes: Path | None
    modalities: Path | None
    licences: tuple[Path, ...]

    @property
    def digest(self) -> str:
        """SHA-256, in hexadecimal, of the settings and of all weights."""
        whole = hashlib.sha256(json.dumps(self.settings.values, sort_keys=True).encode())
        for path in filter(None, (self.autoencoder, self.denoiser, self.controlnet, self.classes, self.modalities)):
            with path.open("rb") as stream:
                whole.update(hashlib.file_digest(stream, "sha256").digest())
        return whole.hexdigest()


def is_maisi(folder: Path) -> bool:
    """Whether a folder has definitions of MAISI's networks."""
    return bool(_definitions(folder))


def find_maisi(folder: Path, variant: str | None = None) -> MaisiFolder:
    """The files of a model.

    Args:
        folder: Of one of the known layouts.
        variant: Part of the name of the denoiser's file, such as "rflow-ct", where there are several.

    Raises:
        InputError: Something is missing, or there is a choice and no variant.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder")
    definitions = _definitions(folder)
    if not definitions:
        raise InputError(
            f"{folder}: no definitions of MAISI's networks there (a config_network*.json, config_maisi*.json or "
            "inference.json with autoencoder_def and diffusion_unet_def)"
        )
    denoiser = _denoiser(folder, variant, definitions)
    network = _of_denoiser(definitions, denoiser)
    environment = _environment(folder, denoiser)
    others = [path for pattern in _OTHER_SETTINGS for path in _settings_files(folder, pattern)]
    defaults: dict[str, Any] = {}
    for path in others:
        if _kind(path.name) in (None, _kind(denoiser.name)):
            found = read_json(path)
            defaults |= found | found.get("diffusion_unet_inference", {})
    return MaisiFolder(
        folder,
        network.with_defaults(defaults),
        _named(folder, [environment, network.values], "trained_autoencoder_path") or _autoencoder(folder),
        denoiser,
        _named(folder, [environment], "trained_controlnet_path") or _controlnet(folder, denoiser),
        _first(folder, "label_dict.json"),
        _first(folder, "modality_mapping.json"),
        tuple(sorted(path for path in folder.glob("LICENSE*") if path.is_file())),
    )


def _definitions(folder: Path) -> list[Settings]:
    found = (Settings(path, read_json(path)) for pattern in _NETWORKS for path in _settings_files(folder, pattern))
    return [one for one in found if {"autoencoder_def", "diffusion_unet_def"} <= set(one.values)]


def _settings_files(folder: Path, pattern: str) -> list[Path]:
    return [path for place in (folder, folder / "configs") for path in sorted(place.glob(pattern)) if path.is_file()]


def _weights(folder: Path, patterns: Iterable[str]) -> list[Path]:
    """Files of weights, each once: as .safetensors where it is there in several forms."""
    found: dict[str, Path] = {}
    for suffix in _WEIGHTS:
        for pattern in patterns:
            for place in (folder, folder / "models"):
                for path in sorted(place.glob(f"{pattern}{suffix}")):
                    if not path.name.startswith("mask_generation"):
                        found.setdefault(path.stem, path)
    return list(found.values())


def _denoiser(folder: Path, variant: str | None, definitions: Sequence[Settings]) -> Path:
    if variant is None and len(definitions) == 1:
        named = _named(folder, [definitions[0].values], "trained_diffusion_path")
        if named is not None:
            return named
    there = _weights(folder, _DENOISERS)
    found = [path for path in there if not _OF_MR.search(path.stem)]
    if not found:
        why = "only of models of MR, of which no CT can be made" if there else "diff_unet*.pt or .safetensors"
        raise InputError(f"{folder}: no weights of a denoiser there ({why})")
    chosen = [path for path in found if variant is None or variant in path.stem]
    if len(chosen) == 1:
        return chosen[0]
    names = ", ".join(path.stem for path in found)
    if variant is None:
        raise InputError(f"{folder}: several denoisers, {names}; leave one there, or say which: variant='rflow-ct'")
    raise InputError(f"{folder}: variant {variant!r} is part of {len(chosen) or 'none'} of the names {names}")


def _of_denoiser(definitions: Sequence[Settings], denoiser: Path) -> Settings:
    """The definitions that go with a denoiser: by the kind of diffusion, rflow or ddpm, in the names of both."""
    kind = _kind(denoiser.name)
    fitting = [one for one in definitions if len(definitions) == 1 or _scheduler_kind(one) == (kind or "rflow")]
    if len(fitting) == 1:
        return fitting[0]
    names = ", ".join(one.path.name for one in definitions)
    raise InputError(f"{denoiser}: which of {names} defines it cannot be told; leave only that one in the folder")


def _kind(name: str) -> str | None:
    return next((kind for kind in ("rflow", "ddpm") if kind in name), None)


def _scheduler_kind(definitions: Settings) -> str | None:
    target = str(dict(definitions.values.get("noise_scheduler") or {}).get("_target_", ""))
    return {"RFlowScheduler": "rflow", "DDPMScheduler": "ddpm"}.get(target.rpartition(".")[2])


def _environment(folder: Path, denoiser: Path) -> dict[str, Any]:
    """The environment file that names a denoiser."""
    for path in _settings_files(folder, "environment*.json"):
        found = read_json(path)
        names = _FILE_NAME.findall(f"{found.get('trained_diffusion_path')} {found.get('model_filename')}")
        if denoiser.stem in {Path(name).stem for name in names}:
            return found
    return {}


def _named(folder: Path, sources: Sequence[Any], key: str) -> Path | None:
    """The file that a setting names, wherever in the folder it lies."""
    for source in sources:
        for name in _FILE_NAME.findall(str(source.get(key) or "")):
            found = _weights(folder, [Path(name).stem])
            if found:
                return found[0]
    return None


def _autoencoder(folder: Path) -> Path:
    found = _weights(folder, ["autoencoder*"])
    if len(found) == 1:
        return found[0]
    if found:
        names = ", ".join(path.name for path in found)
        raise InputError(f"{folder}: several autoencoders, {names}; name one as trained_autoencoder_path in a setting")
    raise InputError(f"{folder}: no weights of an autoencoder there (autoencoder*.pt or .safetensors)")


def _controlnet(folder: Path, denoiser: Path) -> Path | None:
    found = _weights(folder, ["controlnet*"])
    fitting = [path for path in found if _kind(path.name) in (None, _kind(denoiser.name))]
    if len(fitting) > 1:
        names = ", ".join(path.name for path in fitting)
        raise InputError(f"{folder}: several ControlNets, {names}; leave only one in the folder")
    return fitting[0] if fitting else None


def _first(folder: Path, name: str) -> Path | None:
    return next(iter(_settings_files(folder, name)), None)
