"""What a gate asks of a set: thresholds of scores, checks of single images, and how many of these may fail.

A policy is a YAML file; what it leaves out keeps its default. See docs/scoring.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from synth.core.errors import InputError
from synth.core.values import from_mapping, known_keys, read_yaml
from synth.metrics.gate.bounds import Bound
from synth.metrics.gate.rules import SampleRules
from synth.metrics.images.windowing import check_window
from synth.metrics.scoring.metrics import METRICS, metric_names

if TYPE_CHECKING:
    from pathlib import Path

    from synth.metrics.images.windowing import Window

__all__ = ["DEFAULT_BOUNDS", "Policy", "policy_from", "read_policy"]

DEFAULT_BOUNDS: Mapping[str, Bound] = MappingProxyType(
    {
        "precision": Bound(min_of_floor=0.8),
        "recall": Bound(min_of_floor=0.6),
        "coverage": Bound(min_of_floor=0.7),
        "vendi": Bound(min_of_floor=0.75),
    }
)
"""Scores whose floor hardly falls with the number of images, so that a threshold beside it is as strict for 100 images
as for 10,000. The floor of a distance falls with 1/n, and no generator keeps within a multiple of it for ever. The
numbers: docs/scoring.md, "Where the thresholds lie"."""

_UNDECIDED = ("value", "accept", "reject")


@dataclass(frozen=True)
class Policy:
    """A gate's policy.

    Attributes:
        extractor: Whose features scores and checks are of: a name or a folder.
        window: How 16-bit 2D images come to 8 bits.
        resize: Size (h, w) to bring 2D images to, or one number; None leaves them.
        reader: Reads in radiographs what their records say, for the check "condition": "phantoms" (the one that comes
            with the package) or a folder (see `synth.metrics.readers.phantoms`); None for none.
        scores: Thresholds by metric. A file adds to the default ones, and takes one out by `null`.
        report: Metrics to compute beside them.
        samples: Checks of single images.
        structures: Names of the structures of masks that anatomy is judged by, each alone; none: the mask as a whole.
        memorisation: p-value up to which a set is refused for copies of training images, where these are given; 0 for
            never.
        least_accepted: Share of the images that must be accepted.
        undecided: What an interval on both sides of a threshold does: "value" lets the value decide, "accept" and
            "reject" decide for it. A threshold beside a floor that too few images have is kept by "accept" alone.
    """

    extractor: str = "radiomics"
    window: Window = "full"
    resize: int | tuple[int, int] | None = None
    reader: str | None = None
    scores: Mapping[str, Bound] = field(default_factory=lambda: DEFAULT_BOUNDS)
    report: tuple[str, ...] = ("frd", "kid")
    samples: SampleRules = field(default_factory=SampleRules)
    structures: tuple[str, ...] = ()
    memorisation: float = 0.01
    least_accepted: float = 0.8
    undecided: str = "value"

    def __post_init__(self) -> None:
        check_window(self.window)
        for name in ("report", "structures"):
            if not isinstance(getattr(self, name), tuple):
                raise InputError(f"{name} must be a list, got {getattr(self, name)!r}")
        if self.report:
            metric_names(self.report)
        known_keys(self.scores, list(METRICS), "scores")
        _check_size(self.resize)
        if self.reader is not None and not (isinstance(self.reader, str) and self.reader):
            raise InputError(f"reader must be phantoms or a folder, got {self.reader!r}")
        for name in ("least_accepted", "memorisation"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"{name} must be a share, 0 to 1, got {getattr(self, name)}")
        if self.undecided not in _UNDECIDED:
            raise InputError(f"undecided must be {', '.join(_UNDECIDED)}, got {self.undecided!r}")

    @property
    def metrics(self) -> tuple[str, ...]:
        """All metrics to compute, those with thresholds first."""
        return tuple(dict.fromkeys((*self.scores, *(metric_names(self.report) if self.report else ()))))

    def as_dict(self) -> dict[str, Any]:
        """Plain values, as a file would have them."""
        bounds = {name: {k: v for k, v in vars(bound).items() if v is not None} for name, bound in self.scores.items()}
        return {**vars(self), "scores": bounds, "samples": self.samples.as_dict()}


def read_policy(path: Path) -> Policy:
    """Reads a policy.

    Raises:
        InputError: The file is missing or no YAML, or an unknown key (the nearest right one is named) or value.
    """
    content = read_yaml(path)
    try:
        return policy_from({} if content is None else content)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def policy_from(values: Any) -> Policy:
    """A policy of plain values.

    Raises:
        InputError: As `read_policy`.
    """
    if not isinstance(values, Mapping):
        raise InputError("policy: expected key: value pairs such as least_accepted: 0.9")
    known_keys(values, list(Policy.__dataclass_fields__), "policy")
    pairs: dict[str, Any] = {
        key: tuple(values[key]) for key in ("window", "resize") if isinstance(values.get(key), list)
    }
    rest = {key: value for key, value in values.items() if key not in ("scores", *pairs)}
    policy = from_mapping(Policy(), rest, "policy")
    return replace(policy, scores=_bounds(values.get("scores", {})), **pairs)


def _check_size(resize: Any) -> None:
    sizes = resize if isinstance(resize, tuple) and len(resize) == 2 else (resize,)
    if resize is not None and any(isinstance(one, bool) or not isinstance(one, int) or one < 1 for one in sizes):
        raise InputError(f"resize must be a size in pixels or [h, w], got {resize!r}")


def _bounds(given: Any) -> dict[str, Bound]:
    """The default bounds with those given added, and those taken out that are given as null."""
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise InputError(f"scores: expected a metric: its thresholds, got {given!r}")
    known_keys(given, list(METRICS), "scores")
    found = {name: bound for name, bound in DEFAULT_BOUNDS.items() if name not in given}
    for name, values in given.items():
        if values is not None:
            found[name] = _bound(values, f"scores.{name}")
    return found


def _bound(values: Any, where: str) -> Bound:
    if not isinstance(values, Mapping):
        raise InputError(f"{where}: expected thresholds such as {{min_of_floor: 0.8}}, got {values!r}")
    known_keys(values, list(Bound.__dataclass_fields__), where)
    try:
        return Bound(**values)
    except InputError as error:
        raise InputError(f"{where}: {error}") from error
