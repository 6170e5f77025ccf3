"""What a report says of what is not there: pertinent negatives and normal statements, never against a finding."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from synth.anatomy.reports.english import chance, join, pick, sentence

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy as np

__all__ = ["heart_statements", "lung_statements", "skeleton_statements"]

_LUNGS = frozenset({"Lung Opacity", "Lung Lesion", "Edema", "Consolidation", "Pneumonia", "Atelectasis"})
_AIR_AND_FLUID = frozenset({"Pneumothorax", "Pleural Effusion"})
_DIFFUSE = frozenset({"Edema", "Emphysema"})


class _Denial(NamedTuple):
    """Something to deny, and the names of findings with which it would be untrue."""

    words: tuple[str, ...]
    names: frozenset[str]


_DENIALS = (
    _Denial(("pneumothorax",), frozenset({"Pneumothorax"})),
    _Denial(("pleural effusion", "effusion", "pleural fluid"), frozenset({"Pleural Effusion"})),
    _Denial(
        ("focal consolidation", "focal airspace consolidation", "consolidation"),
        frozenset({"Consolidation", "Pneumonia"}),
    ),
    _Denial(("focal airspace opacity", "focal infiltrate", "focal airspace disease"), _LUNGS),
    _Denial(("pulmonary edema", "overt pulmonary edema", "vascular congestion"), frozenset({"Edema"})),
    _Denial(("suspicious pulmonary nodule", "pulmonary nodule or mass", "discrete nodule"), frozenset({"Lung Lesion"})),
)


def heart_statements(present: set[str], generator: np.random.Generator) -> list[str]:
    """Sentences on heart and mediastinum, as far as they are normal.

    Args:
        present: Names of the findings that are present.
        generator: Draws the wording.
    """
    heart = "Cardiomegaly" not in present
    mediastinum = not present & {"Enlarged Cardiomediastinum", "Hernia"}
    if heart and mediastinum and chance(generator, 0.5):
        return [_draw(generator, _SILHOUETTES, _IS_NORMAL)]
    out = []
    if heart:
        out.append(pick(generator, (*_HEARTS, _draw(generator, _HEART_NOUNS, _IS_NORMAL))))
    if mediastinum and chance(generator, 0.8):
        out.append(_draw(generator, _CONTOURS, _ARE_NORMAL))
    if "Edema" not in present and heart and chance(generator, 0.35):
        out.append(_draw(generator, ("the pulmonary vasculature", "pulmonary vascularity"), _IS_NORMAL))
    return out


_SILHOUETTES = ("the cardiomediastinal silhouette", "the cardiac and mediastinal silhouette")
_HEART_NOUNS = ("the heart size", "heart size", "the cardiac silhouette", "cardiac size")
_HEARTS = (
    "The heart is normal in size.",
    "The heart is not enlarged.",
    "Normal heart size.",
    "The heart is of normal size.",
    "The cardiac silhouette is normal in size and contour.",
)
_CONTOURS = ("the mediastinal contours", "mediastinal contours", "the contours of the mediastinum")
_STATES = ("normal", "within normal limits", "unremarkable")
_IS_NORMAL = tuple(f"{verb} {state}" for verb in ("is", "appears") for state in _STATES)
_ARE_NORMAL = tuple(f"{verb} {state}" for verb in ("are", "appear") for state in _STATES)


def lung_statements(present: set[str], generator: np.random.Generator) -> tuple[list[str], list[str]]:
    """Sentences on clear lungs, to stand before findings, and denials, to stand after them.

    Args:
        present: Names of the findings that are present.
        generator: Draws the wording.
    """
    words = _denied(present, generator)
    clear, lungs = [], present & (_LUNGS | {"Emphysema"})
    if not lungs and "Pneumothorax" not in present:
        start = pick(generator, _CLEAR)
        if words and start.startswith("The lungs are") and chance(generator, 0.3):
            clear.append(f"{start}{pick(generator, (' without ', ', without evidence of '))}{words.pop(0)}.")
        else:
            clear.append(f"{start}.")
    elif lungs and not lungs & _DIFFUSE and chance(generator, 0.35):
        clear.append(f"{pick(generator, ('The lungs are otherwise clear', 'Otherwise, the lungs are clear'))}.")
    return ([], clear + _deny(words, generator)) if lungs else (clear, _deny(words, generator))


def _denied(present: set[str], generator: np.random.Generator) -> list[str]:
    """What is denied, in random order: air and fluid in the pleura nearly always, the rest at times."""
    absent = [denial for denial in _DENIALS if not denial.names & present]
    chosen = [d for d in absent if chance(generator, 0.93 if d.names <= _AIR_AND_FLUID else 0.45)] or absent[:1]
    return [pick(generator, chosen[i].words) for i in generator.permutation(len(chosen))]


_CLEAR = (
    "The lungs are clear",
    "The lungs are clear bilaterally",
    "The lungs are well expanded and clear",
    "The lungs are grossly clear",
    "Both lungs are clear",
    "Clear lungs",
    "Lungs are clear",
)


def _deny(words: Sequence[str], generator: np.random.Generator) -> list[str]:
    """Denials, fused into one sentence or cut into several."""
    out, start = [], 0
    while start < len(words):
        size = 1 + int(generator.integers(0, len(words) - start))
        group = list(words[start : start + size])
        out.append(_denial(group, generator))
        start += size
    return out


def _denial(group: list[str], generator: np.random.Generator) -> str:
    if any(" or " in words for words in group):
        group = [words.replace(" or ", ", ") for words in group] if len(group) > 1 else group
    text = join([item for words in group for item in words.split(", ")], "or")
    return pick(
        generator,
        (
            f"No {text}.",
            f"There is no {text}.",
            f"No {text} is {pick(generator, ('seen', 'identified', 'present'))}.",
            f"There is no evidence of {text}.",
            f"No evidence of {text}.",
            f"Negative for {text}.",
        ),
    )


def skeleton_statements(present: set[str], generator: np.random.Generator) -> list[str]:
    """A sentence on the bones, or none.

    Args:
        present: Names of the findings that are present.
        generator: Draws the wording.
    """
    if "Fracture" in present or chance(generator, 0.25):
        return []
    structures = ("the osseous structures", "the visualized bones", "osseous structures", "the bony structures")
    states = ("are intact", "are unremarkable", "are grossly intact", "appear intact", "show no acute abnormality")
    denials = ("no acute osseous abnormality", "no acute bony abnormality", "no displaced rib fracture")
    text = pick(generator, denials)
    options = (_draw(generator, structures, states), sentence(text), sentence(f"there is {text}"))
    return [pick(generator, options)]


def _draw(generator: np.random.Generator, subjects: Iterable[str], predicates: Iterable[str]) -> str:
    return sentence(f"{pick(generator, tuple(subjects))} {pick(generator, tuple(predicates))}")
