"""What a gate found: verdicts of scores and of images, and the answer."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from synth.metrics.pages.text_table import number, text_table
from synth.metrics.scoring.card import Scorecard, plain

if TYPE_CHECKING:
    from synth.metrics.gate.policy import Policy

__all__ = ["GateResult", "ImageVerdict", "ScoreVerdict"]

_SHOWN = 12


@dataclass(frozen=True)
class ScoreVerdict:
    """One threshold of one score of the set.

    Attributes:
        name: The metric, or what else was asked of the set.
        value: The score.
        threshold: In words.
        outcome: "pass", "fail" or "undecided".
        accepted: Whether the gate goes on; of "undecided" the policy decides.
        reason: In words.
    """

    name: str
    value: float | None
    threshold: str
    outcome: str
    accepted: bool
    reason: str


@dataclass(frozen=True)
class ImageVerdict:
    """One check of one image.

    Attributes:
        image: Its name.
        check: The check's name.
        value: What was measured; None where there is no number.
        threshold: What it was held against.
        outcome: "pass", "fail" or "undecided".
        reason: In words.
    """

    image: str
    check: str
    value: float | None
    threshold: float | None
    outcome: str
    reason: str


@dataclass(frozen=True)
class GateResult:
    """The answer of a gate.

    Attributes:
        accepted: Whether the set may pass.
        reference: Name of the real set.
        generated: Name of the judged set.
        scores: A verdict for each threshold.
        images: Names of all images of the judged set.
        verdicts: Of single images, those that failed or are undecided; what passed is not listed.
        checks: Checks that were made → images they could judge.
        card: The scores of the accepted images; None where too few were left.
        policy: What was asked.
        warnings: What a reader must know.
    """

    accepted: bool
    reference: str
    generated: str
    scores: tuple[ScoreVerdict, ...]
    images: tuple[str, ...]
    verdicts: tuple[ImageVerdict, ...]
    checks: dict[str, int]
    card: Scorecard | None
    policy: Policy
    warnings: tuple[str, ...] = ()

    @property
    def rejected_images(self) -> dict[str, tuple[ImageVerdict, ...]]:
        """Image → the checks it failed."""
        found: dict[str, list[ImageVerdict]] = {}
        for verdict in self.verdicts:
            if verdict.outcome == "fail":
                found.setdefault(verdict.image, []).append(verdict)
        return {name: tuple(found[name]) for name in self.images if name in found}

    @property
    def accepted_images(self) -> tuple[str, ...]:
        """The images that failed no check."""
        refused = self.rejected_images
        return tuple(name for name in self.images if name not in refused)

    def count(self, outcome: str) -> dict[str, int]:
        """Check → images of which it said so; "undecided" counts those on which it said nothing worse."""
        failed = {(one.check, one.image) for one in self.verdicts if one.outcome == "fail"}
        found = {(one.check, one.image) for one in self.verdicts if one.outcome == outcome}
        counts = Counter(check for check, _ in (found if outcome == "fail" else found - failed))
        return {check: counts[check] for check in self.checks}

    @property
    def answer(self) -> str:
        """Yes or no, in a line."""
        kept = f"{len(self.accepted_images)} of {len(self.images)} images accepted"
        if self.accepted:
            return f"accepted: {self.generated} may pass; {kept}"
        return f"rejected: {'; '.join(one.reason for one in self.scores if not one.accepted)} ({kept})"

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        sides = {"accepted": self.accepted, "reference": self.reference, "generated": self.generated}
        images = {
            "images": len(self.images),
            "accepted_images": len(self.accepted_images),
            "checks": self.checks,
            "rejected_images": [
                {"file_name": name, "verdicts": [asdict(verdict) for verdict in verdicts]}
                for name, verdicts in self.rejected_images.items()
            ],
            "failed": self.count("fail"),
            "undecided": self.count("undecided"),
        }
        told = {"scores": [asdict(verdict) for verdict in self.scores], **images, "warnings": list(self.warnings)}
        card = None if self.card is None else self.card.as_dict()
        result: dict[str, Any] = plain({**sides, **told, "policy": self.policy.as_dict(), "scorecard": card})
        return result

    def to_json(self) -> str:
        """The result as JSON."""
        return json.dumps(self.as_dict(), indent=2, ensure_ascii=False, allow_nan=False) + "\n"

    def to_html(self) -> str:
        """The result as one self-contained page."""
        from synth.metrics.gate.page import gate_page

        return gate_page(self)

    def accepted_csv(self) -> str:
        """The names of the accepted images, under the head `file_name`."""
        return _csv(["file_name"], [[name] for name in self.accepted_images])

    def rejected_csv(self) -> str:
        """The rejected images, with the checks they failed and why."""
        rows = [
            [name, " | ".join(one.check for one in verdicts), " | ".join(one.reason for one in verdicts)]
            for name, verdicts in self.rejected_images.items()
        ]
        return _csv(["file_name", "checks", "reasons"], rows)

    def table(self) -> str:
        """The result as text."""
        rows = [(one.name, number(one.value), one.threshold, _outcome(one)) for one in self.scores]
        blocks = [
            f"reference  {self.reference}: the real set that the other is judged by\n"
            f"generated  {self.generated}, {len(self.images)} images; scores are of the accepted ones",
            text_table(("asked of the set", "value", "threshold", "verdict"), rows),
        ]
        failed, left = self.count("fail"), self.count("undecided")
        lines = [(name, *map(str, (judged, failed[name], left[name]))) for name, judged in self.checks.items()]
        if lines:
            blocks.append(text_table(("asked of images", "judged", "failed", "undecided"), lines))
        refused = [f"{name}: {'; '.join(one.reason for one in why)}" for name, why in self.rejected_images.items()]
        if refused:
            more = [f"… and {len(refused) - _SHOWN} more (rejected.csv)"] if len(refused) > _SHOWN else []
            blocks.append("\n".join(["rejected images:", *refused[:_SHOWN], *more]))
        return "\n\n".join([*blocks, self.answer]) + "\n"

    def __str__(self) -> str:
        return self.table()


def _outcome(verdict: ScoreVerdict) -> str:
    if verdict.outcome != "undecided":
        return verdict.outcome
    return f"undecided, {'accepted' if verdict.accepted else 'rejected'}"


def _csv(head: list[str], rows: list[list[str]]) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerows([head, *rows])
    return stream.getvalue()
