"""What made the dataset: the head of the page, and its last section."""

from __future__ import annotations

import json
from html import escape
from typing import TYPE_CHECKING, Any

from synth.metrics.pages.page import html_table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from synth.report.contents import Contents
    from synth.report.groups import Survey

__all__ = ["head_part", "provenance_part"]

_RECIPE = 60_000  # characters of the recipe
_MODELS = 20
_ENTRIES = {"root_seed": "seed", "licence": "licence", "image_format": "format", "format_version": "version of format"}


def head_part(contents: Contents, survey: Survey) -> str:
    """What it is, plainly, and the gate's answer."""
    said = contents.manifest
    word = "CTs" if "CT" in survey.totals["view"] else "images"
    facts = [
        (f"{len(survey):,}", word),
        (str(said.get("image_format", "")), "format"),
        (_source(said), "made from"),
        (str(said.get("root_seed", "")), "seed"),
        (str(said.get("versions", {}).get("radsynth", "")), "radsynth"),
        (str(said.get("licence", "")), "licence"),
    ]
    told = "".join(f"<div><b>{escape(value)}</b><span>{name}</span></div>" for value, name in facts if value)
    mark = f"These {word} are synthetic: none was acquired from a patient. Not for clinical use."
    return f'<p class="banner">{mark}</p><div class="facts">{told}</div>{_answer(contents)}'


def provenance_part(contents: Contents, survey: Survey) -> str:
    """Recipe, versions, models, licence, counts."""
    said = contents.manifest
    rows = [(f"count of {key}", _plain(value)) for key, value in sorted(said.get("counts", {}).items())]
    rows += [(name, str(said[key])) for key, name in _ENTRIES.items() if key in said]
    rows += [(f"model {key}", _plain(value)) for key, value in sorted(_models(said, survey).items())]
    rows += [(f"version of {key}", str(value)) for key, value in sorted(said.get("versions", {}).items())]
    text = json.dumps(said.get("recipe", {}), ensure_ascii=False, indent=2)
    if len(text) > _RECIPE:
        text = f"{text[:_RECIPE]}\n… (dataset.json has all of it)"
    recipe = f"<details><summary>Recipe</summary><pre>{escape(text)}</pre></details>"
    return f"<h2>How it was made</h2>{html_table(('what', 'is'), rows)}{recipe}"


def _answer(contents: Contents) -> str:
    said = contents.gate or contents.scores
    if said is None or "accepted" not in said:
        return "<p>No gate was asked about this set.</p>"
    tone, word = ("pass", "accepted") if said["accepted"] else ("fail", "rejected")
    answer = str(said.get("answer", "")).removeprefix(f"{word}: ")
    return f'<p>The gate says <strong class="{tone}">{word}</strong>{": " if answer else "."}{escape(answer)}</p>'


def _source(said: Mapping[str, Any]) -> str:
    """What the recipe names as the source; of `synth drr`, whose recipes have none, phantoms or the command."""
    recipe = said.get("recipe", {})
    source = recipe.get("source", recipe.get("command", ""))
    if isinstance(source, dict):
        source = source.get("kind", "")
    return "phantoms" if "phantoms" in recipe else str(source)


def _models(said: Mapping[str, Any], survey: Survey) -> dict[str, Any]:
    named = said.get("models")
    models = dict(named) if isinstance(named, dict) else {}
    known = {str(value) for value in models.values()}
    more = sorted(survey.models - known)
    models |= {str(number): digest for number, digest in enumerate(more[:_MODELS], start=1)}
    return models


def _plain(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_plain(one)}" for key, one in sorted(value.items()))
    return f"{value:,}" if isinstance(value, int) else str(value)
