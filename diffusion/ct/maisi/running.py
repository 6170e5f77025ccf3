"""What a bundle runs: a CT for each prompt, written as files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from synth.core.volume import Labels, Volume
from synth.core.writing import write_labels, write_volume

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["write_samples"]


def write_samples(
    pipeline: Any, prompts: Sequence[str], seeds: Sequence[int], folder: str, suffix: str = ".nii.gz"
) -> list[str]:
    """Writes a CT for each prompt, and its label map where the model makes one; returns the paths of the CTs.

    Args:
        pipeline: MaisiPipeline or CtPipeline.
        prompts: See the pipeline.
        seeds: One a prompt.
        folder: For ct_SEED.nii.gz and ct_SEED_labels.nii.gz.
        suffix: Format, as for `synth.core.writing.write_volume`.

    Raises:
        InputError: What the pipeline refuses, or a folder that cannot be written.
    """
    paths = []
    for prompt, seed in zip(prompts, seeds, strict=True):
        made = pipeline([prompt], seeds=[seed])
        path = Path(folder) / f"ct_{seed}{suffix}"
        write_volume(path, Volume(made.hu[0], made.affine, path.name.removesuffix(suffix)))
        labels = _labels(made)
        if labels is not None:
            write_labels(path.with_name(f"ct_{seed}_labels{suffix}"), labels)
        paths.append(str(path))
    return paths


def _labels(made: Any) -> Labels | None:
    """The map of what was made, MAISI's own, or of the masks that were drawn together with the CT."""
    if getattr(made, "labels", None) is not None:
        found: Labels = made.label_map(0)
        return found
    if not made.masks.shape[1]:
        return None
    from synth.diffusion.ct.channels import label_map

    array, names = label_map(made.masks[0])
    return Labels(array, made.affine, names)
