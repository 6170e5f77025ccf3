"""MAISI's and NV-Generate-CT's models from a local folder, ready to sample."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from synth.core.errors import InputError
from synth.diffusion.ct.maisi.classes import CLASSES, read_classes
from synth.diffusion.ct.maisi.defaults import MODALITIES, Defaults, read_modalities
from synth.diffusion.ct.maisi.folder import find_maisi
from synth.diffusion.ct.maisi.grid import Limits

if TYPE_CHECKING:
    from synth.diffusion.ct.maisi.folder import MaisiFolder
    from synth.diffusion.ct.maisi.pipeline import MaisiPipeline
    from synth.diffusion.loading import Precision

__all__ = ["load_maisi"]


def load_maisi(
    folder: Path | str,
    *,
    variant: str | None = None,
    device: str = "auto",
    dtype: Precision = "auto",
    scale_factor: float | None = None,
    limits: Limits | None = None,
) -> MaisiPipeline:
    """Loads a model; see `synth.diffusion.ct.maisi.folder` for the layouts.

    Weights are read without running anything that is in the files, and all of them must fit.

    Args:
        folder: The model.
        variant: Part of the name of the denoiser's file, where there are several: "rflow-ct", "ddpm-ct".
        device: "auto", "cpu", "cuda", ….
        dtype: In which the networks compute; weights stay as they are.
        scale_factor: Instead of the checkpoint's.
        limits: Sizes and spacings to allow, instead of those of the published models.

    Raises:
        InputError: Something is missing, damaged or does not fit together.
    """
    found = find_maisi(Path(folder).expanduser(), variant)
    return _loaded(found, device, dtype, scale_factor, limits or Limits())


def _loaded(
    folder: MaisiFolder, device: str, dtype: Precision, scale_factor: float | None, limits: Limits
) -> MaisiPipeline:
    import torch

    from synth.diffusion.ct.maisi import networks
    from synth.diffusion.ct.maisi.checkpoints import checked_scale, load_into, read_checkpoint
    from synth.diffusion.ct.maisi.pipeline import MaisiPipeline
    from synth.diffusion.ct.maisi.sampling import takes_all_steps
    from synth.diffusion.loading import choose_device, choose_precision

    place = choose_device(device)
    precision = getattr(torch, choose_precision(dtype, place))
    settings, path = folder.settings, folder.settings.path

    def build(name: str, *wanted: str) -> Any:
        definition = settings.get(name)
        if not isinstance(definition, dict):
            raise InputError(f"{path}: has no {name}")
        return networks.build(definition, wanted, path, name)

    autoencoder = build("autoencoder_def", networks.AUTOENCODER)
    denoiser = build("diffusion_unet_def", networks.DENOISER)
    scheduler = build("noise_scheduler", *networks.SCHEDULERS)
    controlnet = None if folder.controlnet is None else build("controlnet_def", networks.CONTROLNET)
    networks.check_fit(autoencoder, denoiser, controlnet, path)
    load_into(autoencoder, read_checkpoint(folder.autoencoder))
    weights = read_checkpoint(folder.denoiser)
    load_into(denoiser, weights)
    if controlnet is not None and folder.controlnet is not None:
        load_into(controlnet, read_checkpoint(folder.controlnet), denoiser.state_dict())
    for network in filter(None, (autoencoder, denoiser, controlnet)):
        network.to(place)
        networks.set_precision(network, precision)
    scales = scale_factor, weights.scale_factor, settings.values.get("scale_factor")
    modalities = MODALITIES if folder.modalities is None else read_modalities(folder.modalities)
    all_steps = scheduler.num_train_timesteps if takes_all_steps(scheduler) else None
    return MaisiPipeline(
        autoencoder,
        denoiser,
        scheduler,
        checked_scale(next((one for one in scales if one is not None), None), folder.denoiser),
        controlnet,
        settings,
        Defaults.of(settings, modalities, all_steps),
        limits,
        CLASSES if folder.classes is None else read_classes(folder.classes),
        modalities,
        folder.digest,
        folder.licences,
        precision,
    )
