"""Whether images fit their texts, by the embeddings of a CLIP-like model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from synth.core.errors import InputError
from synth.metrics.score_value import Score, check_features
from synth.metrics.uncertainty import interval, p_value

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

__all__ = ["alignment_score", "cosines", "retrieval_rate"]

_LEAST = 2


def cosines(images: ArrayLike, texts: ArrayLike) -> NDArray[np.float64]:
    """(n,) cosines of the embeddings of images (n, d) and of their texts (n, d), −1 to 1.

    CLIPScore (Hessel et al. 2021, arXiv:2104.08718) is 2.5 times the positive part, CheXGenBench's alignment the
    cosine.

    Raises:
        InputError: Malformed embeddings, not as many texts as images, or an embedding of length 0.
    """
    x, y = _unit(images, "image embeddings"), _unit(texts, "text embeddings")
    if x.shape != y.shape:
        raise InputError(f"image embeddings {x.shape}, text embeddings {y.shape}: give a text an image, of one model")
    found: NDArray[np.float64] = np.einsum("nd,nd->n", x, y)
    return found


def alignment_score(
    images: ArrayLike,
    texts: ArrayLike,
    *,
    rng: np.random.Generator,
    prompts: Sequence[str] | None = None,
    permutations: int = 999,
) -> Score:
    """Mean cosine of images and their texts, with how far to trust it.

    A cosine of CLIP embeddings says little by itself: any chest X-ray fits any chest X-ray's report. The floor is what
    the same images score with each other's texts, and the p-value how often texts dealt at random fit as well.

    Args:
        images: (n, d) embeddings.
        texts: (n, d) embeddings of their texts.
        rng: Deals texts.
        prompts: (n,) the texts; a warning tells where all are one.
        permutations: Deals; 0 for no p-value.

    Raises:
        InputError: As `cosines`, or fewer than two images.
    """
    values = cosines(images, texts)
    n = len(values)
    x, y = _unit(images, "image embeddings"), _unit(texts, "text embeddings")
    floor = (float(x.sum(0) @ y.sum(0)) - float(values.sum())) / (n * (n - 1))
    mean = float(values.mean())
    low, high = interval(mean, float(values.var(ddof=1)) / n, -1.0, 1.0)
    dealt = [float(np.einsum("nd,nd->", x, y[rng.permutation(n)])) / n for _ in range(permutations)]
    p = p_value(mean, np.array(dealt)) if permutations else None
    same = prompts is not None and len(set(prompts)) == 1
    notes = ("all texts are one: which text an image has cannot be tested",) if same else ()
    return Score(mean, low, high, floor, p, 0, n, notes)


def retrieval_rate(images: ArrayLike, texts: ArrayLike, *, rng: np.random.Generator, candidates: int = 100) -> float:
    """How often an image's own text fits best among `candidates` texts, its own and others drawn at random.

    R-precision (Xu et al. 2018, AttnGAN, arXiv:1711.10485); by chance 1/candidates. Ties count in part.

    Args:
        images: (n, d) embeddings.
        texts: (n, d) embeddings of their texts.
        rng: Draws the others.
        candidates: At most n.

    Raises:
        InputError: As `cosines`, or fewer than two candidates.
    """
    own = cosines(images, texts)
    x, y = _unit(images, "image embeddings"), _unit(texts, "text embeddings")
    count = min(candidates, len(x))
    if count < _LEAST:
        raise InputError(f"{count} candidates: a text needs at least one other to be told from")
    wins = np.empty(len(x))
    for at in range(len(x)):
        others = rng.choice(len(x) - 1, count - 1, replace=False)
        scores = y[others + (others >= at)] @ x[at]
        ties = int(np.isclose(scores, own[at], rtol=0, atol=1e-12).sum())
        wins[at] = 0.0 if (scores > own[at] + 1e-12).any() else 1 / (1 + ties)
    return float(wins.mean())


def _unit(embeddings: ArrayLike, name: str) -> NDArray[np.float64]:
    x = check_features(embeddings, name, least=_LEAST)
    length = np.linalg.norm(x, axis=1, keepdims=True)
    if (length == 0).any():
        raise InputError(f"{name}: row {int((length[:, 0] == 0).argmax())} has length 0; leave it out")
    unit: NDArray[np.float64] = x / length
    return unit
