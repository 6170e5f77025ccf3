"""The gate that every sample passes before it is written.

Judges are fitted to a reference of real (or trusted) images before the first sample is made; each sample is then judged
in memory, by any worker, with nothing but itself: whichever order samples are made in, their verdicts are the same.
Radiographs are judged by those of their kind, frontal by frontal and lateral by lateral ones; a view that the reference
has not is "undecided". Features and artefacts are those of whole images, brought to the policy's size and window as
the reference's are. Reasons name images of the reference by their place in it, never by their files.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from synth.core.errors import InputError
from synth.core.record import ScanSample
from synth.dataset.judges import Judges, RealImages, fit_judges
from synth.dataset.metadata import record_cells
from synth.dataset.real_images import WHOLE, content_of, image_masks, nameless, scan_masks
from synth.metrics.alignment.conditions import asked_of
from synth.metrics.gate.policy import Policy
from synth.metrics.images.sets import ImageSet, content_hash
from synth.metrics.images.windowing import resize_to_type
from synth.metrics.readers.phantoms import find_reader
from synth.metrics.scoring.inputs import Extraction
from synth.metrics.verdicts import Verdict, condition_verdicts, organ_verdicts
from synth.metrics.verdicts.verdict import undecided
from synth.metrics.volumes.checks import volume_verdicts
from synth.metrics.volumes.structures import MaskedCt

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from numpy.typing import NDArray

    from synth.core.record import Sample
    from synth.dataset.source import Medium, Warn
    from synth.metrics.alignment.conditions import ConditionReader
    from synth.metrics.extractors.protocol import Extractor
    from synth.metrics.verdicts import Anatomy
    from synth.metrics.verdicts.verdict import Outcome

__all__ = ["GateSettings", "SampleGate"]

_MOST_ATTEMPTS = 1000


@dataclass(frozen=True)
class GateSettings:
    """What samples, and then the dataset, have to pass.

    Attributes:
        reference: Folder, metadata.csv or dataset of real (or trusted) images.
        policy: What is asked. Its metrics are of whole images.
        training: What a generator was trained on, to find copies of.
        attempts: How often a case is made before its places stay empty.
        keep_rejected: Whether refused images are kept in rejected/.
        masks: Where the reference's masks are, as `ImageSet.open` has it, for the check of anatomy; default: those that
            a dataset of this toolkit has.
        reader: Reads conditions in radiographs, to be held against their records; it pickles. Default: the policy's.
    """

    reference: Path
    policy: Policy = field(default_factory=Policy)
    training: Path | None = None
    attempts: int = 5
    keep_rejected: bool = False
    masks: str | None = None
    reader: ConditionReader | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.attempts <= _MOST_ATTEMPTS:
            raise InputError(f"gate: attempts must be 1 to {_MOST_ATTEMPTS}, got {self.attempts}")
        if self.reader is None and self.policy.reader is not None and self.policy.samples.condition:
            object.__setattr__(self, "reader", find_reader(self.policy.reader))

    def recipe(self) -> dict[str, Any]:
        """All that decides the verdicts, as plain JSON: sets of images by their content, without a name or a path.

        Raises:
            InputError: A set is not there, or a file cannot be read.
        """
        return self._recipe

    @cached_property
    def _recipe(self) -> dict[str, Any]:
        policy = self.policy.as_dict()
        del policy["reader"]  # told below, by its content
        extractor = policy["extractor"] = Path(self.policy.extractor).name
        if extractor != "radiomics":
            policy["extractor_version"] = self.extraction.find().version_hash
        return {
            "reference": content_of(self.reference),
            "policy": policy,
            "training": None if self.training is None else content_of(self.training),
            "attempts": self.attempts,
            "keep_rejected": self.keep_rejected,
            "masks": self.masks is not None,
            "reader": None if self.reader is None else self.reader.name,
        }

    @property
    def extraction(self) -> Extraction:
        """How features are come by."""
        return Extraction(self.policy.extractor, window=self.policy.window)

    def images(self, what: str = "reference") -> ImageSet:
        """The reference, or the "training set", without names.

        Raises:
            InputError: It is not there.
        """
        place = self.reference if what == "reference" or self.training is None else self.training
        return nameless(ImageSet.open(place, resize=self.policy.resize), what)

    def fit(self, folder: Path, medium: Medium, warn: Warn) -> SampleGate:
        """The gate, whose judges are put into a folder, unless they lie there.

        Raises:
            InputError: The reference cannot be read, or the folder cannot be written.
        """
        training = None if self.training is None else self.images("training set")
        real = RealImages(self.images(), self._structures(medium), training)
        judges = fit_judges(folder, real, self.policy.samples, self.extraction.find(), medium, warn)
        return SampleGate(judges.folder, self.of_samples.policy, self.reader)

    @property
    def of_samples(self) -> GateSettings:
        """What single samples have to pass, without what is asked of the set; it pickles."""
        return replace(self, policy=replace(self.policy, scores={}, report=()))

    def _structures(self, medium: Medium) -> dict[str, ImageSet]:
        """Structure → the reference with its masks; nothing where there are none, or none are asked for."""
        rules = self.policy.samples
        root = self.reference if self.reference.is_dir() else self.reference.parent
        own = (root / "dataset.json").is_file() and (root / "masks").is_dir()
        masks = self.masks or ("own" if own else None)
        if masks is None or not (rules.anatomy or (rules.organs and medium == "volume")):
            return {}
        names = self.policy.structures or (None,)
        return {
            name or WHOLE: ImageSet.open(
                self.reference, masks=masks, structures=None if name is None else [name], resize=self.policy.resize
            )
            for name in names
        }


@dataclass(frozen=True)
class SampleGate:
    """Judges samples one by one; it pickles, and loads what it needs when it first judges.

    Attributes:
        folder: Where the fitted judges lie.
        policy: What is asked.
        reader: Reads conditions.
    """

    folder: Path
    policy: Policy
    reader: ConditionReader | None = None

    def judge(self, sample: Sample | ScanSample) -> tuple[Verdict, ...]:
        """All verdicts on one sample.

        Raises:
            InputError: The judges are gone, or were fitted to other features.
        """
        pixels, rules = self._pixels(sample), self.policy.samples
        verdicts = [self._content(pixels)] if rules.copies else []
        if "outlier" in self._judges.checks or self._judges.copies is not None:
            verdicts += self._by_features(sample, pixels)
        verdicts += self._by_kind(sample, "artefacts", lambda judge: judge.judge(pixels))
        verdicts += self._by_kind(sample, "anatomy", lambda judge: self._anatomy(judge, sample))
        if isinstance(sample, ScanSample):
            verdicts += self._organs(sample) if rules.organs else []
            verdicts += self._volume(sample)
        elif self.reader is not None and rules.condition:
            verdicts += self._condition(self.reader, sample, pixels)
        return tuple(verdicts)

    @cached_property
    def _judges(self) -> Judges:
        return Judges(self.folder)

    @cached_property
    def _extractor(self) -> Extractor:
        return Extraction(self.policy.extractor, window=self.policy.window).find()

    def _pixels(self, sample: Sample | ScanSample) -> NDArray[Any]:
        if isinstance(sample, ScanSample):
            return sample.volume.hu
        size = self.policy.resize
        square = (size, size) if isinstance(size, int) else size
        return sample.image if square is None else resize_to_type(sample.image, square)

    def _by_kind(
        self, sample: Sample | ScanSample, check: str, judge: Callable[[Any], Iterable[Verdict]]
    ) -> Iterable[Verdict]:
        """The verdicts of a check for the views of this kind; nothing where it is off."""
        if check not in self._judges.checks:
            return []
        group = self._judges.group_of(sample.record.view)
        if group is None:
            return [undecided(check, f"the reference has too few images to judge {sample.record.view} by")]
        found = self._judges.judge(check, group)
        return [undecided(check, found)] if isinstance(found, str) else judge(found)

    def _content(self, pixels: NDArray[Any]) -> Verdict:
        known = self._judges.contents.get(content_hash(pixels))
        reason = f"is {known}, pixel by pixel" if known else "no image of the reference has these pixels"
        return Verdict("copies pixels", None, None, "fail" if known else "pass", reason)

    def _by_features(self, sample: Sample | ScanSample, pixels: NDArray[Any]) -> Iterator[Verdict]:
        spacing = tuple(map(float, sample.volume.spacing[::-1])) if isinstance(sample, ScanSample) else None
        try:
            vector = self._extractor.features(pixels[None], None, spacing)[0]
        except InputError as error:
            outcome: Outcome = "fail" if self.policy.samples.undefined else "undecided"
            yield Verdict("undefined", None, None, outcome, f"its features are undefined: {error}")
            return
        yield from self._by_kind(sample, "outlier", lambda judge: [judge.judge(vector)])
        if self._judges.copies is not None:
            seen = vector[self._judges.facts["columns"]]
            finite = bool(np.isfinite(seen).all())
            yield self._judges.copies.judge(seen) if finite else undecided("copies", "its features are not finite")

    def _anatomy(self, judge: Anatomy, sample: Sample | ScanSample) -> Iterable[Verdict]:
        masks = scan_masks(sample) if isinstance(sample, ScanSample) else image_masks(sample)
        if not masks:
            return [undecided("anatomy", "the sample has no masks")]
        if judge.structures == (WHOLE,):
            masks = {WHOLE: np.logical_or.reduce(list(masks.values()))}
        return judge.judge(masks)

    def _organs(self, sample: ScanSample) -> Iterable[Verdict]:
        labels = sample.maps.get("total")
        if labels is None:
            return []
        found = np.unique(labels.array)
        names = {int(value): labels.names[int(value)] for value in found if int(value) in labels.names}
        return organ_verdicts(sample.volume.hu, labels.array, names, expected=self._judges.facts["organs"])

    def _volume(self, sample: ScanSample) -> Iterable[Verdict]:
        record = sample.record
        ill = any(finding.name not in ("No Finding", "Support Devices") for finding in record.findings)
        ct = MaskedCt.of(sample.volume, sample.maps.values(), sex=record.sex, height_cm=record.height_cm, ill=ill)
        return volume_verdicts(ct, self.policy.samples.volume)

    def _condition(self, reader: ConditionReader, sample: Sample, pixels: NDArray[Any]) -> Iterable[Verdict]:
        stated = asked_of(reader, [record_cells(sample.record)])[0]
        if not any(stated.values()):
            return ()
        read = reader.read([pixels])
        told = {
            attribute: dict(zip(values, map(float, read[attribute][0]), strict=True))
            for attribute, values in reader.attributes.items()
        }
        return condition_verdicts(stated, told, least=self.policy.samples.condition)
