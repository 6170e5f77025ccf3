"""What a sentence denies and what it doubts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from synth.anatomy.reports.marks import Mark

__all__ = ["Standing", "standing"]

Standing = Literal["present", "doubted", "denied"]


def standing(marks: Sequence[Mark], index: int) -> Standing:
    """Whether the finding at an index is said to be present.

    A denial ("no", "without", "negative for") reaches forwards through lists to the end of its clause; "resolved" or
    "is not seen" reach back to its beginning. A comma ends a denial where a new statement begins ("no pneumothorax,
    small left effusion"), which a list that still has an "or" to come does not.
    """
    before, after = _clause(marks, index)
    if any(mark.role == "no" and not _ended(marks, before[k + 1 :], index) for k, mark in enumerate(before)):
        return "denied"
    if any(mark.role == "gone" for mark in after):
        return "denied"
    if any(mark.role == "maybe" for mark in before) or any(mark.role == "doubted" for mark in after):
        return "doubted"
    return "doubted" if _is_alternative(before, after) else "present"


def _clause(marks: Sequence[Mark], index: int) -> tuple[Sequence[Mark], Sequence[Mark]]:
    """Marks before and after in the same clause."""
    start = max((i + 1 for i in range(index) if marks[i].role == "break"), default=0)
    end = next((i for i in range(index + 1, len(marks)) if marks[i].role == "break"), len(marks))
    return marks[start:index], marks[index + 1 : end]


def _ended(marks: Sequence[Mark], between: Sequence[Mark], index: int) -> bool:
    """Whether a comma between a denial and a finding begins a new statement."""
    commas = [k for k, mark in enumerate(between) if mark.role == "comma"]
    if not commas:
        return False
    roles = {mark.role for mark in between[commas[-1] :]}
    rest = marks[index + 1 :]
    stop = next((k for k, mark in enumerate(rest) if mark.role in ("break", "no", "gone")), len(rest))
    is_list = any(mark.role == "and" and mark.value == "or" for mark in [*between[commas[-1] :], *rest[:stop]])
    return "state" in roles or (bool(roles & {"grade", "side", "size"}) and not is_list)


def _is_alternative(before: Sequence[Mark], after: Sequence[Mark]) -> bool:
    """Whether "versus" stands between the finding and the next one on either side."""
    for marks in (list(reversed(before)), after):
        stop = next((k for k, mark in enumerate(marks) if mark.role == "finding"), len(marks))
        if any(mark.role == "versus" for mark in marks[:stop]):
            return True
    return False
