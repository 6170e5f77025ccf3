"""What a request asks of a generator of radiographs: conditions, the words for them, and what is then to be seen."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from synth.anatomy.reports import parse, write_prompt
from synth.core.record import Record
from synth.diffusion.text.conditions import Conditions, parse_prompt

if TYPE_CHECKING:
    from synth.anatomy.population import Population
    from synth.core.record import Finding
    from synth.dataset.request import Request

__all__ = ["CxrWish", "wish_of", "words_of"]

_WORDS = re.compile(r"[A-Za-z]")


@dataclass(frozen=True)
class CxrWish:
    """One picture that is asked for.

    Attributes:
        conditions: What was said; what was not is open.
        text: The prompt, as it was given where nothing was added to it.
        findings: What is to be seen, as far as words tell.
    """

    conditions: Conditions
    text: str
    findings: tuple[Finding, ...]

    def changed(self, conditions: Conditions) -> CxrWish:
        """The same with other conditions; the findings are read anew where the impression is another."""
        same = conditions.impression == self.conditions.impression
        findings = self.findings if same else _findings(conditions.impression)
        return CxrWish(conditions, conditions.prompt(), findings)


def wish_of(request: Request, prompt: str, population: Population | None, view: str | None) -> CxrWish:
    """What a request asks for.

    The request's prompt counts first, then `prompt`, then the population; on top of them what the request says of sex,
    age, race and view, and of findings where it has no prompt of its own.

    Args:
        request: The request.
        prompt: Where it has none; may be empty.
        population: Who comes where there is no prompt at all; None leaves it to the model.
        view: Where nobody says.

    Raises:
        InputError: A sex, an age, a view or a finding that cannot be asked for.
    """
    text = request.prompt or prompt
    if text or population is None:
        conditions, findings = parse_prompt(text), None
    else:
        drawn = population.sample(request.seed, "cxr")
        conditions = Conditions(drawn.sex, drawn.age, drawn.race, drawn.view)
        findings = drawn.findings
    if request.findings is not None:
        findings = request.findings
    said = {key: getattr(request, key) for key in ("sex", "age", "race", "view")}
    asked = conditions.changed(**{key: value for key, value in said.items() if value is not None})
    if findings is not None and not request.prompt:
        asked = replace(asked, impression=words_of(findings))
    asked = asked if asked.view is not None else replace(asked, view=view)
    known = _findings(asked.impression) if findings is None else findings
    return CxrWish(asked, text if text and asked == conditions else asked.prompt(), known)


def words_of(findings: tuple[Finding, ...]) -> str:
    """The impression that asks for findings; that of a normal radiograph for none.

    Raises:
        InputError: One that has no words.
    """
    return write_prompt(Record("", findings=findings))


def _findings(text: str) -> tuple[Finding, ...]:
    return parse(text).findings if _WORDS.search(text) else ()
