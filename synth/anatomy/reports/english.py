"""Small rules of English: articles, lists, sentences, and choosing among wordings."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

__all__ = ["article", "chance", "join", "pick", "sentence"]

T = TypeVar("T")
_VOWELS = "aeiou"
_CONSONANT_SOUND = ("uni", "use", "usual", "eu")  # a unilateral effusion
_VOWEL_LETTERS = "AEFHILMNORSX"  # as they are spelled out: an NG tube


def pick(generator: np.random.Generator | None, options: Sequence[T]) -> T:
    """One of the options: drawn, or the first without a generator."""
    return options[0] if generator is None else options[int(generator.integers(len(options)))]


def chance(generator: np.random.Generator | None, probability: float) -> bool:
    """True with that probability; False without a generator."""
    return generator is not None and bool(generator.random() < probability)


def article(phrase: str) -> str:
    """The phrase with "a" or "an", by how its first word sounds: an 8 mm nodule, an 11 mm, a 1.8 cm mass."""
    word = phrase.split()[0]
    first = word.lower()
    number = first.split(".")[0]
    if number.isdigit():
        is_vowel = number in ("11", "18") or number.startswith("8")
    elif len(word) > 1 and word.isupper():
        is_vowel = word[0] in _VOWEL_LETTERS
    else:
        is_vowel = first[0] in _VOWELS and not first.startswith(_CONSONANT_SOUND)
    return f"{'an' if is_vowel else 'a'} {phrase}"


def join(items: Sequence[str], word: str = "and") -> str:
    """A list in words: "a", "a and b", "a, b, and c"."""
    if len(items) < 3:
        return f" {word} ".join(items)
    return f"{', '.join(items[:-1])}, {word} {items[-1]}"


def sentence(text: str) -> str:
    """The text with a capital letter and a full stop."""
    return f"{text[0].upper()}{text[1:]}."
