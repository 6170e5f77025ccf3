"""The gate of a whole dataset, once all of its samples have passed theirs.

The images are scored against the reference with the policy's thresholds. What was asked of single samples is not asked
again, but for repeats, which only a whole set can have. Where the reference names views, only images of the kinds that
both sets have are scored.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from synth.core.errors import InputError
from synth.dataset.dataset_images import dataset_images
from synth.dataset.view_groups import rows_by_view
from synth.metrics.gate.gating import gate
from synth.metrics.gate.result import GateResult, ScoreVerdict
from synth.metrics.gate.rules import SampleRules
from synth.metrics.volumes.rules import VolumeRules

if TYPE_CHECKING:
    from synth.dataset.folder import DatasetFolder
    from synth.dataset.sample_gate import GateSettings
    from synth.metrics.gate.policy import Policy
    from synth.metrics.images.sets import ImageSet

__all__ = ["judge_dataset"]

_NAME = "the dataset"


def judge_dataset(folder: DatasetFolder, settings: GateSettings, seed: int) -> GateResult:
    """Judges a dataset that is merged.

    Scores that cannot be had, such as those of two images, leave the answer to the policy's `undecided`.

    Args:
        folder: The dataset.
        settings: Its gate.
        seed: Of permutations and splits.

    Raises:
        InputError: The reference cannot be read.
    """
    policy, real = settings.policy, settings.images()
    reader = None if policy.reader is None else Path(policy.reader).name
    told = replace(policy, extractor=Path(policy.extractor).name, reader=reader)
    try:
        fake = dataset_images(folder, policy.resize)
        real, fake, notes = _comparable(real, fake)
        result = gate(
            fake,
            real,
            replace(policy, samples=_left_to_ask(policy), resize=None, reader=None),  # both sets are at that size
            training=None if settings.training is None else settings.images("training set"),
            seed=seed,
        )
    except InputError as error:
        verdict = ScoreVerdict("scores", None, "", "undecided", policy.undecided == "accept", f"not scored: {error}")
        result = GateResult(verdict.accepted, real.name, _NAME, (verdict,), (), (), {}, None, told)
        notes = ()
    filled = _filled(folder, policy)
    return replace(
        result,
        accepted=result.accepted and filled.accepted,
        scores=(filled, *result.scores),
        policy=told,
        warnings=(*notes, *result.warnings),
    )


def _left_to_ask(policy: Policy) -> SampleRules:
    return SampleRules(
        unreadable=False,
        undefined=False,
        repeats=policy.samples.repeats,
        copies=0,
        artefacts=0,
        outlier=0,
        anatomy=0,
        organs=False,
        condition=0,
        volume=VolumeRules.none(),
    )


def _comparable(real: ImageSet, fake: ImageSet) -> tuple[ImageSet, ImageSet, tuple[str, ...]]:
    """Both sets without the views that only one of them has, and what was left out, in words."""
    sides = rows_by_view(real.rows), rows_by_view(fake.rows)
    if "" in sides[1] or not any(sides[0]):
        return real, fake, ()
    both = [group for group in sides[1] if group in sides[0]]
    if not both:
        views = [", ".join(sorted(filter(None, side))) for side in sides]
        raise InputError(f"no views in common: the reference has {views[0]}, the dataset {views[1]}")
    rows = [sorted(row for group in both for row in side[group]) for side in sides]
    notes = tuple(
        f"{images.name}: {len(images) - len(kept)} images of views that the other set has not are not scored"
        for images, kept in zip((real, fake), rows, strict=True)
        if len(kept) < len(images)
    )
    return real.subset(rows[0]), fake.subset(rows[1]), notes


def _filled(folder: DatasetFolder, policy: Policy) -> ScoreVerdict:
    """Whether enough places have a sample."""
    made = sum("row" in head for _, head in folder.heads())
    share, least = made / folder.n_samples, policy.least_accepted
    passed = share >= least
    reason = f"{made} of {folder.n_samples} places filled, {least:.4g} of them asked for"
    return ScoreVerdict("places filled", share, f"at least {least:.4g}", "pass" if passed else "fail", passed, reason)
