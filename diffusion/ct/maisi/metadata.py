"""metadata.json of a MONAI bundle (MONAI Bundle Specification)."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["image_format", "metadata"]

_SCHEMA = (
    "https://github.com/Project-MONAI/MONAI-extra-test-data/releases/download/0.8.1/"
    "meta_schema_generator_ldm_20240318.json"
)
"""That of latent diffusion models."""


def metadata(
    name: str,
    description: str,
    latents: dict[str, Any],
    decoded: dict[str, Any],
    references: Sequence[str],
    rights: str,
) -> dict[str, Any]:
    """The content of metadata.json; it names versions and nothing of the machine.

    Args:
        name: Of the bundle.
        description: One sentence.
        latents: What the denoiser takes and makes, see `image_format`.
        decoded: What the decoder makes.
        references: Publications.
        rights: Who holds the rights in the weights.
    """
    import monai
    import numpy
    import torch

    denoiser = {"inputs": {"image": latents}, "outputs": {"pred": latents}}
    return {
        "schema": _SCHEMA,
        "version": "1.0.0",
        "changelog": {"1.0.0": "exported by radsynth"},
        "monai_version": monai.__version__,
        "pytorch_version": torch.__version__.split("+")[0],
        "numpy_version": numpy.__version__,
        "required_packages_version": _own_version(),
        "name": name,
        "task": "CT synthesis",
        "description": description,
        "authors": "see docs/README.md",
        "copyright": rights,
        "data_type": "NIfTI",
        "intended_use": "Research: synthetic data. Not for diagnosis or treatment.",
        "references": list(references),
        "network_data_format": denoiser,
        "generator_data_format": denoiser,
        "autoencoder_data_format": {"inputs": {"image": latents}, "outputs": {"pred": decoded}},
    }


def image_format(
    kind: str, channels: Sequence[str], shape: Sequence[str | int], span: Sequence[float]
) -> dict[str, Any]:
    """A tensor of the specification.

    Args:
        kind: "latent", "hounsfield", …: what its values are.
        channels: What each channel holds.
        shape: Sides, as numbers or as expressions of n.
        span: Least and largest value; empty where there is none.
    """
    return {
        "type": "image",
        "format": kind,
        "modality": "CT",
        "num_channels": len(channels),
        "spatial_shape": list(shape),
        "dtype": "float32",
        "value_range": list(span),
        "is_patch_data": False,
        "channel_def": {str(number): name for number, name in enumerate(channels)},
    }


def _own_version() -> dict[str, str]:
    """Nothing in a checkout that was never installed."""
    try:
        return {"radsynth": version("radsynth")}
    except PackageNotFoundError:
        return {}
