"""Whether samples show what was asked for, read by the classifier; beside it, what it reads in held-out phantoms."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from phantom_classifier.design import CLASSES, SIDED
from phantom_classifier.network import SIDES
from phantom_classifier.scoring import area_under_curve, area_with_interval

from cxr_evaluation.segmenter import dice
from cxr_evaluation.study import Part

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray
    from phantom_classifier.scoring import Area

    from cxr_evaluation.pictures import Pictures
    from cxr_evaluation.reader import Reader
    from cxr_evaluation.study import Samples, Study
    from synth.diffusion.text.conditions import Conditions

    _Asked = Sequence[Conditions]
    _Read = Callable[["Reading", "Reading", _Asked, _Asked], tuple[float, str]]

__all__ = ["ADDED", "Reading", "alignment", "counterfactual", "mean_area"]

ADDED = ("Large left pleural effusion.", "pleural effusion", "left")
"""What the counterfactual of a finding asks for: words, class, side."""

_ENOUGH = 8
_SEEN = 0.9
_AGED = 30.0
_BODY = ("lung_left", "lung_right", "heart", "mediastinum", "ribs", "clavicles", "spine", "diaphragm")


class Reading(NamedTuple):
    """What the classifier says of frontal radiographs.

    Attributes:
        scores: See `Reader.scores`.
        age: (n,) years.
    """

    scores: dict[str, NDArray[np.float64]]
    age: NDArray[np.float64]

    @classmethod
    def of(cls, reader: Reader, images: NDArray[np.uint16]) -> Reading:
        """Of images."""
        return cls(reader.scores(images), reader.age(images))


def alignment(study: Study) -> Part:
    """Findings, sides, sex and age."""
    shown = study.held_out.some(study.frontal)
    real = Reading.of(study.reader, shown.images)
    made = Reading.of(study.reader, study.samples.images[study.frontal])
    part, lines = Part(), []
    truth = {name: _has(shown, name) for name in CLASSES}
    for name, there in truth.items():
        if there.sum() < _ENOUGH:
            continue
        areas = [_area(one, name, there, shown.bodies()) for one in (made, real)]
        sides = [_sides(one, shown, name) for one in (made, real)]
        part.values[f"finding/{name}"] = {"samples": areas[0].value, "held-out": areas[1].value, "side": sides[0]}
        lines.append([name, str(int(there.sum())), *map(_shown, areas), *(_number(one) for one in sides)])
    head = ["finding", "asked", "samples", "held-out", "side, samples (AUC)", "side, held-out (AUC)"]
    part.add("Findings, as the classifier reads them (AUC [95 %])", head, lines)
    found = [value for key, value in part.values.items() if key.startswith("finding/")]
    for label, kept in (("all", found), ("seen in held-out", [one for one in found if one["held-out"] >= _SEEN])):
        part.values[f"mean AUC, {label}"] = _mean([one["samples"] for one in kept])
        part.values[f"mean AUC of sides, {label}"] = _mean([one["side"] for one in kept])
    part.values["findings seen in held-out"] = sum(one["held-out"] >= _SEEN for one in found)
    _person(part, shown, made, real)
    part.notes.append(f"Findings of {_ENOUGH} prompts or more. Seen in held-out: AUC {_SEEN} there or more.")
    return part


def mean_area(reader: Reader, images: NDArray[np.uint16], shown: Pictures) -> dict[str, float]:
    """In the mean over findings of enough prompts, and of sex: for curves."""
    scores = reader.scores(images)
    areas = [area_under_curve(scores[name], there) for name in CLASSES if (there := _has(shown, name)).sum() >= _ENOUGH]
    man = np.array([one.sex == "M" for one in shown.conditions])
    return {"findings": _mean(areas), "sex": area_under_curve(scores["male"], man)}


def counterfactual(study: Study, count: int) -> Part:
    """One thing changed, the noise the same: what the classifier reads, and how much else is another."""
    frontal = study.held_out.some(study.frontal)
    shown = frontal.some(np.flatnonzero(~_has(frontal, ADDED[1]))[:count])
    count = len(shown)
    base = study.drawn(shown.conditions)
    other = study.drawn(shown.conditions, numbers=range(count, 2 * count))
    before = Reading.of(study.reader, base.images)
    part = Part()
    lines = [["nothing, other noise", "–", *_else(base, other), "–", "–"]]
    for name, change, read in _changes():
        asked = [change(one) for one in shown.conditions]
        made = study.drawn(asked)
        after = Reading.of(study.reader, made.images)
        value, said = read(before, after, shown.conditions, asked)
        kept = _kept(before, after, name)
        part.values[name] = {"read": value, "other sex read": kept[0], "years of age": kept[1]}
        part.values[name] |= dict(zip(("IoU", "difference"), map(_float, _else(base, made)), strict=True))
        lines.append([name, said, *_else(base, made), *(("–" if np.isnan(one) else f"{one:.2g}") for one in kept)])
    head = ["changed", "read", "IoU of body masks", "difference of pixels, 0 to 1", "other sex read", "years apart"]
    part.add(f"Counterfactuals of {len(shown)} prompts", head, lines)
    return part


def _changes() -> list[tuple[str, Callable[[Conditions], Conditions], _Read]]:
    return [
        ("sex", lambda one: one.changed(sex="F" if one.sex == "M" else "M"), _read_sex),
        ("age", lambda one: one.changed(age=_aged(one.age)), _read_age),
        ("finding", lambda one: one.changed(impression=ADDED[0]), _read_finding),
    ]


def _read_sex(_before: Reading, after: Reading, _was: _Asked, asked: _Asked) -> tuple[float, str]:
    share = float(np.mean((after.scores["male"] > 0) == np.array([one.sex == "M" for one in asked])))
    return share, f"as asked in {share:.0%}"


def _read_age(before: Reading, after: Reading, was: _Asked, asked: _Asked) -> tuple[float, str]:
    wanted = np.array([float(new.age or 0) - float(old.age or 0) for new, old in zip(asked, was, strict=True)])
    share = float(np.mean((after.age - before.age) / wanted))
    return share, f"{share:.2f} of the years asked"


def _read_finding(before: Reading, after: Reading, _was: _Asked, _asked: _Asked) -> tuple[float, str]:
    name = f"{ADDED[1]} {ADDED[2]}"
    both = np.concatenate([after.scores[name], before.scores[name]])
    area = area_under_curve(both, np.repeat([True, False], len(both) // 2))
    return area, f"with against without: AUC {area:.2f}"


def _aged(age: float | None) -> float:
    """Thirty years older, or younger where that is beyond adults."""
    now = 50.0 if age is None else age
    return now + _AGED if now + _AGED <= 90 else now - _AGED


def _kept(before: Reading, after: Reading, name: str) -> tuple[float, float]:
    """Share whose sex is read otherwise, and mean change of age, where they were not what changed."""
    flipped = float(np.mean((before.scores["male"] > 0) != (after.scores["male"] > 0)))
    older = float(np.abs(after.age - before.age).mean())
    return (np.nan if name == "sex" else flipped), (np.nan if name == "age" else older)


def _else(base: Samples, made: Samples) -> tuple[str, str]:
    """IoU of masks of the body, and how far pixels are apart, in the mean."""
    difference = np.abs(base.images.astype(np.float64) - made.images).mean() / 65535
    rows = [k for k, name in enumerate(base.structures) if name in _BODY]
    if not rows:
        return "–", f"{difference:.3f}"
    overlap = dice(base.masks[:, rows], made.masks[:, rows])
    return f"{np.nanmean(overlap / (2 - overlap)):.3f}", f"{difference:.3f}"


def _person(part: Part, shown: Pictures, made: Reading, real: Reading) -> None:
    man = np.array([one.sex == "M" for one in shown.conditions])
    ages = np.array([float(one.age or 0) for one in shown.conditions])
    areas = [area_with_interval(one.scores["male"], man, shown.bodies(), 300) for one in (made, real)]
    errors = [float(np.abs(one.age - ages).mean()) for one in (made, real)]
    chance = float(np.abs(ages - np.median(ages)).mean())
    part.values |= {"sex": {"samples": areas[0].value, "held-out": areas[1].value}}
    part.values |= {"age": {"samples": errors[0], "held-out": errors[1], "guess": chance}}
    lines = [["sex, AUC [95 %]", *map(_shown, areas)]]
    lines.append(["age, mean error in years", *(f"{one:.1f}" for one in errors)])
    lines.append(["age, mean error of a guess", f"{chance:.1f}", f"{chance:.1f}"])
    part.add(f"Persons, {len(shown)} frontal prompts", ["", "samples", "held-out"], lines)


def _has(shown: Pictures, name: str) -> NDArray[np.bool_]:
    return np.array([any(one["class"] == name for one in found) for found in shown.findings])


def _area(reading: Reading, name: str, there: NDArray[np.bool_], bodies: NDArray[np.int64]) -> Area:
    return area_with_interval(reading.scores[name], there, bodies, 300)


def _sides(reading: Reading, shown: Pictures, name: str) -> float:
    """AUC of left against right, of radiographs with it on one side; nan where that is too few."""
    if name not in SIDED:
        return float("nan")
    own = [{one["laterality"] for one in found if one["class"] == name} for found in shown.findings]
    one_sided = np.array([len(sides) == 1 and sides <= set(SIDES) for sides in own])
    left = np.array(["left" in sides for sides in own])[one_sided]
    if min(left.sum(), (~left).sum()) < _ENOUGH // 2:
        return float("nan")
    lean = (reading.scores[f"{name} left"] - reading.scores[f"{name} right"])[one_sided]
    return area_under_curve(lean, left)


def _mean(values: Sequence[float]) -> float:
    known = [value for value in values if not np.isnan(value)]
    return float(np.mean(known)) if known else float("nan")


def _shown(area: Area) -> str:
    return f"{area.value:.2f} [{area.low:.2f}, {area.high:.2f}]"


def _number(value: float) -> str:
    return "–" if np.isnan(value) else f"{value:.2f}"


def _float(text: str) -> float | None:
    return None if text == "–" else float(text)
