"""Checks of single images by the verdicts of `synth.metrics.verdicts`, fitted to the reference."""

from __future__ import annotations

from typing import TYPE_CHECKING

from synth.metrics.gate.result import ImageVerdict
from synth.metrics.verdicts import (
    Anatomy,
    Artefacts,
    Copies,
    Outliers,
    condition_verdicts,
    organ_verdicts,
    usual_organs,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

    from numpy.typing import NDArray

    from synth.core.volume import Labels, Volume
    from synth.metrics.gate.checks import Subjects
    from synth.metrics.images.sets import ImageSet
    from synth.metrics.verdicts import Verdict

__all__ = ["anatomy", "artefacts", "condition", "near_copies", "organs", "outlier"]

_BATCH = 64  # images that a reader is given at once


def near_copies(subjects: Subjects) -> Iterator[ImageVerdict]:
    """Images far nearer to one training patient than to others; none where the training set is not given."""
    training = subjects.training
    if training is None:
        return
    judge = Copies.fit(training.x, rate=subjects.rules.copies, patients=training.reference.patients)
    for name, row in zip(training.generated.names, training.y, strict=True):
        yield from _told(name, "copies", [judge.judge(row)])


def artefacts(subjects: Subjects) -> Iterator[ImageVerdict]:
    """Blank, clipped, framed, tiled, noisy or smooth 2D images."""
    if not subjects.flat:
        return
    real = subjects.reference
    judge = Artefacts.fit(
        (image.pixels for image in real.stream()), rate=subjects.rules.artefacts, patients=real.patients
    )
    for image in subjects.generated.stream():
        yield from _told(image.name, "artefacts", judge.judge(image.pixels))


def outlier(subjects: Subjects) -> Iterator[ImageVerdict]:
    """Images whose features lie far out."""
    pair = subjects.pair
    judge = Outliers.fit(pair.x, pair.names, rate=subjects.rules.outlier, patients=pair.reference.patients)
    for name, row in zip(pair.generated.names, pair.y, strict=True):
        yield from _told(name, "outlier", [judge.judge(row)])


def anatomy(subjects: Subjects) -> Iterator[ImageVerdict]:
    """Images whose masks are of unusual size or place, or lack a structure; none without masks."""
    if not subjects.structures:
        return
    real = {name: sets[0] for name, sets in subjects.structures.items()}
    fake = {name: sets[1] for name, sets in subjects.structures.items()}
    samples = (masks for _, masks in _structures(real, subjects.reference.names))
    judge = Anatomy.fit(samples, rate=subjects.rules.anatomy, patients=subjects.reference.patients)
    for name, masks in _structures(fake, subjects.readable):
        yield from _told(name, "anatomy", judge.judge(masks))


def organs(subjects: Subjects) -> Iterator[ImageVerdict]:
    """CTs whose organs are missing or have not the HU of organs; none without label maps."""
    if subjects.flat or subjects.reference.masks is None:
        return
    expected = usual_organs(tuple(labels.names.values()) for _, _, labels in _scans(subjects.reference))
    for name, volume, labels in _scans(subjects.generated, subjects.readable):
        verdicts = organ_verdicts(volume.hu, labels.array, labels.names, expected=expected)
        yield from _told(name, "organs", verdicts)


def condition(subjects: Subjects) -> Iterator[ImageVerdict]:
    """Images that do not show what their table says; none without a reader."""
    from synth.metrics.alignment.conditions import asked_of

    reader = subjects.reader
    if reader is None:
        return
    stated = dict(zip(subjects.generated.names, asked_of(reader, subjects.generated.rows), strict=True))
    for images in _batches(subjects.generated):
        read = reader.read([pixels for _, pixels in images])
        for row, (name, _) in enumerate(images):
            told = {
                attribute: dict(zip(values, map(float, read[attribute][row]), strict=True))
                for attribute, values in reader.attributes.items()
            }
            verdicts = condition_verdicts(stated[name], told, least=subjects.rules.condition)
            yield from _told(name, "condition", verdicts)


def _told(image: str, check: str, verdicts: Iterable[Verdict]) -> Iterator[ImageVerdict]:
    for one in verdicts:
        yield ImageVerdict(image, check, one.value, one.threshold, one.outcome, one.reason)


def _structures(sets: dict[str, ImageSet], names: Iterable[str]) -> Iterator[tuple[str, dict[str, NDArray[Any]]]]:
    """Name and masks of every image, a structure each."""
    places = {structure: {name: at for at, name in enumerate(images.names)} for structure, images in sets.items()}
    for name in names:
        masks = {structure: images.load(places[structure][name]).mask for structure, images in sets.items()}
        yield name, {structure: mask for structure, mask in masks.items() if mask is not None}


def _scans(images: ImageSet, names: Iterable[str] | None = None) -> Iterator[tuple[str, Volume, Labels]]:
    """Name, CT and label map of every volume whose mask is a label map."""
    from synth.core.reading import read_labels
    from synth.metrics.images.masks import MaskFile

    wanted = None if names is None else set(names)
    for entry, mask in zip(images.entries, images.masks or (), strict=True):
        if isinstance(mask, MaskFile) and (wanted is None or entry.name in wanted):
            volume = entry.source.read().volume
            if volume is not None:
                yield entry.name, volume, read_labels(mask.path, volume)


def _batches(images: ImageSet) -> Iterator[list[tuple[str, NDArray[Any]]]]:
    batch: list[tuple[str, NDArray[Any]]] = []
    for image in images.stream():
        batch.append((image.name, image.pixels))
        if len(batch) == _BATCH:
            yield batch
            batch = []
    if batch:
        yield batch
