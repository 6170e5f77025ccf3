"""The gate: may these images train a model?

First every image is checked by itself; then the accepted ones are scored as a set, against thresholds. The answer is no
where a score is beyond its threshold, or where too many images were refused. Nothing is deleted.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import replace
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from synth.core.errors import InputError
from synth.core.files import write_bytes
from synth.core.seeds import sample_generator
from synth.metrics.extractors.cache import ENVIRONMENT, FeatureCache
from synth.metrics.gate.checks import Subjects, check_images
from synth.metrics.gate.policy import Policy
from synth.metrics.gate.result import GateResult, ScoreVerdict
from synth.metrics.images.sets import ImageSet
from synth.metrics.memorisation.sets import memorisation_of_sets
from synth.metrics.readers.phantoms import find_reader
from synth.metrics.scoring.inputs import Extraction, open_pair
from synth.metrics.scoring.scores import score

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from synth.metrics.alignment.conditions import ConditionReader
    from synth.metrics.extractors.run import Cache
    from synth.metrics.gate.bounds import Limit
    from synth.metrics.gate.result import ImageVerdict
    from synth.metrics.images.masks import Masks
    from synth.metrics.images.sources import ImageSource
    from synth.metrics.score_value import Score
    from synth.metrics.scoring.card import Scorecard

__all__ = ["REPORTS", "gate", "judge", "write_reports"]

LEAST = 2
"""Accepted images without which nothing is scored."""

MOST_PAIRS = 10_000_000
"""Pairs of images whose pixels are compared, about three minutes; with more, copies are told by features alone."""

REPORTS = ("gate.json", "accepted.csv", "rejected.csv", "gate.html")
"""What `write_reports` writes."""


def gate(
    generated: ImageSource | ImageSet,
    reference: ImageSource | ImageSet,
    policy: Policy | None = None,
    *,
    training: ImageSource | ImageSet | None = None,
    generated_masks: Masks | None = None,
    reference_masks: Masks | None = None,
    reader: ConditionReader | None = None,
    seed: int = 0,
    cache: Cache = None,
    workers: int | None = None,
    progress: Callable[[], None] | None = None,
) -> GateResult:
    """Judges a set of generated images, and each of them.

    Args:
        generated: The set to judge: what `ImageSet.open` takes, or an open set. Files that cannot be read are refused
            by themselves.
        reference: Real images of the population that the set should be of, of other patients than the generator was
            trained on: what was trained on is no fair measure, and copies of it would pass.
        policy: What is asked; default: `Policy()`.
        training: What the generator was trained on: images that copy it are refused, and the set is, where it leans
            towards it.
        generated_masks: See `images.masks.Masks`.
        reference_masks: Those of the reference.
        reader: Reads conditions in 2D images, which are held against the generated set's table; default: the policy's.
        seed: Of permutations and splits.
        cache: See `extractors.run.features`.
        workers: Threads that decode.
        progress: Called once for each image of both sets whose features are there.

    Raises:
        InputError: A set is missing, empty or of one image, the reference has files that cannot be read, or the
            policy's metrics cannot be computed.
    """
    policy = Policy() if policy is None else policy
    if reader is None and policy.reader is not None and policy.samples.condition:
        reader = find_reader(policy.reader)
    sources = (reference, generated), (reference_masks, generated_masks)
    real, fake = open_pair(*sources[0], *sources[1], policy.resize, "skip", reference_on_error="raise")
    with _kept(cache) as kept:
        work = Extraction(policy.extractor, window=policy.window, cache=kept, workers=workers)
        pair = replace(work, progress=progress).pair(real, fake)
        structures = _structures(policy, (real, fake), *sources)
        taught = None if training is None else ImageSet.open(training, resize=policy.resize)
        learnt = None if taught is None else work.pair(taught, fake)
        subjects = Subjects(real, fake, pair, policy.samples, structures, learnt, reader)
        judged, verdicts, notes = check_images(subjects)
        left = _accepted(fake, verdicts)
        answers, card = [_share(len(left), len(fake), policy)], None
        if len(left) >= LEAST and policy.metrics:
            card = score(
                real, left, policy.metrics, extractor=policy.extractor, window=policy.window, seed=seed, cache=kept,
                workers=workers,
            )  # fmt: skip
            answers += _score_verdicts(card, policy)
        if taught is not None and policy.memorisation:
            pixels = subjects.flat and _comparable(len(taught), len(real), len(left))
            notes += () if pixels or not subjects.flat else ("memorisation: too many to compare pixels; by features",)
            answers += _memorisation((left, taught, real), policy, seed, kept, pixels=pixels)
    warnings = pair.warnings if card is None else card.all_warnings
    return GateResult(
        all(one.accepted for one in answers),
        real.name,
        fake.name,
        tuple(answers),
        fake.names,
        _in_order(verdicts, fake),
        judged,
        card,
        policy,
        tuple(dict.fromkeys((*warnings, *notes, *_undecided(answers)))),
    )


def judge(name: str, score: Score, limit: Limit, undecided: str = "value") -> ScoreVerdict:
    """The verdict of one threshold: decided where the whole interval is on one side.

    Args:
        name: The metric.
        score: Its score.
        limit: The threshold.
        undecided: See `Policy.undecided`.
    """
    value, sure = f"{name} is {score.value:.4g}", limit.surely(score)
    if sure is not None:
        said = "as asked" if sure else "not as asked"
        return ScoreVerdict(
            name, score.value, limit.words, "pass" if sure else "fail", sure, f"{value}, {said}: {limit.words}"
        )
    accepted = limit.kept(score.value) if undecided == "value" else undecided == "accept"
    reason = f"{value}, its interval {score.low:.4g} to {score.high:.4g} on both sides of what is asked: {limit.words}"
    return ScoreVerdict(name, score.value, limit.words, "undecided", accepted, reason)


def write_reports(result: GateResult, folder: Path) -> None:
    """Writes gate.json, accepted.csv, rejected.csv and gate.html, each whole or not at all.

    Raises:
        InputError: The folder cannot be written.
    """
    contents = (result.to_json(), result.accepted_csv(), result.rejected_csv(), result.to_html())
    for name, content in zip(REPORTS, contents, strict=True):
        write_bytes(folder / name, content.encode("utf-8", "surrogateescape"))


def _accepted(images: ImageSet, verdicts: tuple[ImageVerdict, ...]) -> ImageSet:
    """The images that no check refused."""
    refused = {verdict.image for verdict in verdicts if verdict.outcome == "fail"}
    rows = [row for row, name in enumerate(images.names) if name not in refused]
    return images if len(rows) == len(images) else images.subset(rows, "accepted")


def _comparable(training: int, reference: int, generated: int) -> bool:
    """Whether so many images can be compared by their pixels."""
    pool = 2 * min(training, reference)
    return pool * (pool + generated) <= MOST_PAIRS


def _share(accepted: int, images: int, policy: Policy) -> ScoreVerdict:
    share, least = accepted / images, policy.least_accepted
    passed = share >= least and accepted >= LEAST
    reason = f"{accepted} of {images} images accepted, {least:.4g} of them asked for"
    return ScoreVerdict("accepted share", share, f"at least {least:.4g}", "pass" if passed else "fail", passed, reason)


def _score_verdicts(card: Scorecard | None, policy: Policy) -> list[ScoreVerdict]:
    if card is None:
        return []
    found = []
    for name, bound in policy.scores.items():
        value = card[name]
        if bound.needs_floor and value.floor is None:
            accepted = policy.undecided == "accept"
            reason = f"{name} is {value.value:.4g}, but there are too few images for a floor to hold it against"
            found.append(ScoreVerdict(name, value.value, "beside its floor", "undecided", accepted, reason))
        found += [judge(name, value, limit, policy.undecided) for limit in bound.limits(value.floor)]
    return found


def _memorisation(
    sets: tuple[ImageSet, ImageSet, ImageSet], policy: Policy, seed: int, cache: Cache, *, pixels: bool
) -> list[ScoreVerdict]:
    """Whether the accepted images lean towards the training images rather than towards the reference, in this order."""
    threshold = f"p above {policy.memorisation:g}"
    try:
        found = memorisation_of_sets(
            *sets,
            rng=sample_generator(seed, "memorisation"),
            extractor=Extraction(policy.extractor, window=policy.window).find(),
            cache=cache,
            pixels=pixels,
        )
    except InputError as error:
        accepted = policy.undecided == "accept"
        return [ScoreVerdict("memorisation", None, threshold, "undecided", accepted, f"memorisation: {error}")]
    verdicts = []
    for space, one in found.items():
        passed = one.p_value > policy.memorisation
        said = "no sign of copies" if passed else "copies of training images"
        reason = f"{said} by {space} (p {one.p_value:.2g}, least distance ratio {one.minimum_ratio:.2g})"
        outcome = "pass" if passed else "fail"
        verdicts.append(ScoreVerdict(f"memorisation {space}", one.p_value, threshold, outcome, passed, reason))
    return verdicts


def _structures(
    policy: Policy,
    sets: tuple[ImageSet, ImageSet],
    sources: tuple[ImageSource | ImageSet, ImageSource | ImageSet],
    masks: tuple[Masks | None, Masks | None],
) -> dict[str, tuple[ImageSet, ImageSet]]:
    """Both sets with the masks of each structure alone; with all of a mask as one where the policy names none."""
    if any(images.masks is None for images in sets):
        return {}
    if not policy.structures:
        return {"the mask": sets}
    if any(isinstance(source, ImageSet) for source in sources):
        raise InputError("structures: the sets are open already; pass folders, so that each structure can be looked at")
    return {
        name: (
            ImageSet.open(sources[0], masks=masks[0], structures=[name], resize=policy.resize),
            ImageSet.open(sources[1], masks=masks[1], structures=[name], resize=policy.resize, on_error="skip"),
        )
        for name in policy.structures
    }


def _undecided(answers: list[ScoreVerdict]) -> tuple[str, ...]:
    names = [one.name for one in answers if one.outcome == "undecided"]
    return (f"undecided: {', '.join(names)}; more images would tell",) if names else ()


def _in_order(verdicts: tuple[ImageVerdict, ...], images: ImageSet) -> tuple[ImageVerdict, ...]:
    place = {name: row for row, name in enumerate(images.names)}
    return tuple(sorted(verdicts, key=lambda verdict: place[verdict.image]))


@contextmanager
def _kept(cache: Cache) -> Iterator[Cache]:
    """A cache for the time of a gate where there is none, as checks and scores take the same features."""
    if cache is not False and (cache is not None or os.environ.get(ENVIRONMENT, "") != "off"):
        yield cache
        return
    with TemporaryDirectory(prefix="synth-gate-") as folder:
        yield FeatureCache(folder)
