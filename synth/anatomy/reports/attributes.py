"""Which side, place, grade and size belong to which finding of a sentence."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from synth.anatomy.reports.marks import Mark
from synth.anatomy.vocabulary import KINDS

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Attributes", "attributes", "share"]

_STOPS = frozenset({"verb", "normal", "break", "no", "gone", "maybe", "doubted", "finding", "versus", "with", "the"})
_ENDS = frozenset({"break", "no", "maybe", "versus"})
_LINKS = frozenset({"and", "comma", "with"})


@dataclass(frozen=True)
class Attributes:
    """What words around a finding say of it; attributes as in Finding.

    Attributes:
        side: Laterality.
        place: Location.
        grade: Severity.
        size_cm: Diameter.
        tip: Where a tube or lead ends.
        rib: Which rib, and where: "lateral 6th rib".
        traits: Values of "trait" terms.
        follows: Whether side and place stand after the noun.
    """

    side: str | None = None
    place: str | None = None
    grade: str | None = None
    size_cm: float | None = None
    tip: str | None = None
    rib: str | None = None
    traits: frozenset[str] = frozenset()
    follows: bool = False

    @property
    def is_located(self) -> bool:
        """Whether a side or a place is known."""
        return self.side is not None or self.place is not None


def attributes(marks: Sequence[Mark], index: int) -> list[Attributes]:
    """What is said of the finding at an index: one entry, or one for each side or place ("right and left base").

    Words directly before the noun belong to it, then words after it up to the next finding's own, and at last words at
    the sentence's beginning ("in the left base, there is an opacity").
    """
    before = _chunks(_before(marks, index))
    after = [replace(chunk, follows=True) for chunk in _chunks(_after(marks, index))]
    if not any(chunk.is_located for chunk in (*before, *after)):
        lead = _lead(marks, index)
        before = [replace(chunk, side=lead.side, place=lead.place) for chunk in before]
    own = before if any(chunk.is_located for chunk in before) else _merge_all(before, after)
    return [_with_rest(chunk, after) for chunk in own]


def _before(marks: Sequence[Mark], index: int) -> Sequence[Mark]:
    """Marks directly before a noun; after another finding, those behind the first "and" or comma."""
    start = index
    while start and marks[start - 1].role not in _STOPS:
        start -= 1
    last = next((k for k in reversed(range(index)) if marks[k].role == "finding"), None)
    if last is not None:
        start = max(start, next((k + 1 for k in range(last, index) if marks[k].role in _LINKS), start))
    return marks[start:index]


def _after(marks: Sequence[Mark], index: int) -> Sequence[Mark]:
    """Marks up to the words of the next finding, or to a new statement."""
    out: list[Mark] = []
    for mark in marks[index + 1 :]:
        if mark.role == "finding":
            return out[: _last_link(out)]
        if mark.role == "normal":
            return out[: _last_link(out)]
        if mark.role in _ENDS:
            return out
        out.append(mark)
    return out


def _last_link(marks: Sequence[Mark]) -> int:
    return max((k for k, mark in enumerate(marks) if mark.role in _LINKS), default=len(marks))


def _lead(marks: Sequence[Mark], index: int) -> Attributes:
    """Side and place at the sentence's beginning, if nothing else has been said of them."""
    lead = marks[:index]
    if any(mark.role in ("finding", "normal", "enlarged", "organ") for mark in lead):
        return Attributes()
    return _gather(lead)


def _chunks(marks: Sequence[Mark]) -> list[Attributes]:
    """The marks in one piece, or in several where each part of a list has a side or place."""
    marks = _spell_out(marks)
    parts: list[list[Mark]] = [[]]
    for mark in marks:
        if mark.role in ("and", "comma"):
            parts.append([])
        else:
            parts[-1].append(mark)
    located = [chunk for chunk in map(_gather, _join_unlocated(parts)) if chunk.is_located]
    whole = _gather(marks)
    if len(located) < 2:
        return [whole]
    located = _inherit([replace(chunk, traits=whole.traits) for chunk in located])
    return _as_bilateral(located, whole)


def _spell_out(marks: Sequence[Mark]) -> list[Mark]:
    """The "upper" of "right upper and left lower lobes" as a place."""
    out = list(marks)
    for k, mark in enumerate(marks[:-1]):
        lobes = any(m.role == "place" and "lobe" in str(m.value) for m in marks[k + 2 : k + 5])
        if mark.role == "half" and marks[k + 1].role in ("and", "comma") and lobes:
            out[k] = Mark("place", (f"{mark.value} lobe", ""))
    return out


def _join_unlocated(parts: list[list[Mark]]) -> list[list[Mark]]:
    """Parts without a side or place go with the one before: "right base, 8 mm, and left base, 12 mm"."""
    out = parts[:1]
    for part in parts[1:]:
        if _gather(part).is_located and _gather(out[-1]).is_located:
            out.append(part)
        else:
            out[-1] = out[-1] + part
    return out


def _gather(marks: Sequence[Mark]) -> Attributes:
    """The last side, place, grade and size."""
    found: dict[str, Any] = {}
    traits = set()
    for mark in marks:
        if mark.role == "place" and isinstance(mark.value, tuple):
            found["place"] = mark.value[0]
            found["side"] = mark.value[1] or found.get("side")
        elif mark.role in ("side", "grade", "tip", "rib side", "ordinal"):
            found[mark.role] = mark.value
        elif mark.role == "size":
            found["size_cm"] = mark.value
        elif mark.role == "trait":
            traits.add(str(mark.value))
    number, where = found.pop("ordinal", ""), found.pop("rib side", "")
    rib = f"{where} {f'{number} rib' if number else ''}".strip()
    return Attributes(traits=frozenset(traits), rib=rib or None, **found)


def _inherit(chunks: list[Attributes]) -> list[Attributes]:
    """In "right upper lobe and base" the side holds on; in "left and right base" the place reaches back."""
    out: list[Attributes] = []
    for chunk in chunks:
        out.append(replace(chunk, side=out[-1].side) if out and chunk.side is None else chunk)
    for k in range(len(out) - 2, -1, -1):
        if out[k].place is None:
            out[k] = replace(out[k], place=out[k + 1].place)
    return out


def _as_bilateral(chunks: list[Attributes], whole: Attributes) -> list[Attributes]:
    """Left and right of the same, if the grades do not differ, are one bilateral finding."""
    a, b = chunks[0], chunks[-1]
    is_pair = len(chunks) == 2 and {a.side, b.side} == {"left", "right"} and a.place == b.place
    if is_pair and (a.grade is None or b.grade is None or a.grade == b.grade) and a.size_cm == b.size_cm:
        return [replace(whole, side="bilateral", place=a.place, grade=a.grade or b.grade)]
    return list(dict.fromkeys(chunks))


def _merge_all(before: list[Attributes], after: list[Attributes]) -> list[Attributes]:
    """Sides and places from after the noun, the rest from before it where it is said there."""
    first = before[0]
    return [
        replace(
            chunk,
            grade=first.grade or chunk.grade,
            size_cm=first.size_cm or chunk.size_cm,
            rib=first.rib or chunk.rib,
            traits=first.traits | chunk.traits,
        )
        for chunk in after
    ]


def _with_rest(chunk: Attributes, after: list[Attributes]) -> Attributes:
    """A chunk, with what the words after the noun add and do not contradict."""
    rest = after[0]
    place = chunk.place if chunk.place or rest.side not in (None, chunk.side) else rest.place
    return replace(
        chunk,
        side=chunk.side or rest.side,
        place=place,
        grade=chunk.grade or rest.grade,
        size_cm=chunk.size_cm or rest.size_cm,
        tip=chunk.tip or rest.tip,
        rib=chunk.rib or rest.rib,
        traits=chunk.traits | rest.traits,
    )


def share(
    marks: Sequence[Mark], indices: Sequence[int], kinds: Sequence[str | None], said: list[list[Attributes]]
) -> list[list[Attributes]]:
    """Side and place of a list's first or last item, for those items that have none of their own.

    "Left pleural effusion and atelectasis": both left; "effusion and atelectasis on the left": too. A kind only takes
    a side and a place that its vocabulary has.

    Args:
        marks: The sentence.
        indices: Where its findings stand.
        kinds: Their kinds; None where unknown.
        said: What is said of each.

    Returns:
        `said`, filled in.
    """
    out = list(said)
    for k in range(1, len(out)):
        if _is_list(marks[indices[k - 1] + 1 : indices[k]]) and not out[k][0].is_located and len(out[k - 1]) == 1:
            out[k] = [_taken(own, out[k - 1][0], kinds[k]) for own in out[k]]
    for k in range(len(out) - 2, -1, -1):
        if _is_list(marks[indices[k] + 1 : indices[k + 1]]) and out[k + 1][0].follows and not out[k][0].is_located:
            out[k] = [_taken(own, out[k + 1][0], kinds[k]) for own in out[k]]
    return out


def _is_list(between: Sequence[Mark]) -> bool:
    roles = {mark.role for mark in between}
    return bool(roles & _LINKS) and not roles & ((_STOPS - {"with"}) | {"side", "place", "organ"})


def _taken(own: Attributes, other: Attributes, kind: str | None) -> Attributes:
    entry = KINDS.get(kind or "")
    if entry is None or entry.name == "Support Devices" or other.side not in entry.lateralities:
        return own
    place = other.place if other.place in entry.locations else None
    return replace(own, side=other.side, place=place, follows=other.follows)
