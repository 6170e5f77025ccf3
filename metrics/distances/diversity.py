"""How different the images of one set are from each other: MS-SSIM between pairs, and the Vendi score.

    MS-SSIM(x, y) = l_M(x, y)^α · Π_j (c_j s_j)(x, y)^β_j      (Wang, Simoncelli and Bovik 2003, equation 7)

averaged over pairs (Odena, Olah and Shlens 2017) is 1 for a set of copies; less is more diverse. The Vendi score
exp(−Σ λ log λ), λ the eigenvalues of the kernel matrix over n (Friedman and Dieng 2023), is the effective number of
different images: 1 for copies, n for images without likeness.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import linalg

from synth.core.errors import InputError
from synth.metrics.distances.mmd import normalised
from synth.metrics.score_value import check_features

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

__all__ = [
    "SCALE_WEIGHTS",
    "check_images",
    "ms_ssim",
    "ms_ssim_diversity",
    "ms_ssim_matrix",
    "scales_of",
    "vendi_influence",
    "vendi_score",
]

SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""β of the five scales, fine to coarse (Wang et al. 2003, section 3.2)."""

_WINDOW, _SIGMA = 11, 1.5  # pixels (Wang et al. 2004, section III.C)
_C1, _C2 = 0.01**2, 0.03**2  # for values of 0 to 1
_CHUNK = 1 << 18  # pixels of one image's partners at a time


def ms_ssim(first: ArrayLike, second: ArrayLike) -> float:
    """MS-SSIM of two images, 0 to 1.

    Args:
        first: (h, w) uint8 or uint16, at least 11 × 11; full scale is the type's.
        second: (h, w) uint8 or uint16.

    Returns:
        MS-SSIM with an 11 × 11 Gaussian window of σ 1.5 where it lies within the image, 2 × 2 means between scales,
        structure below 0 as 0. An image too small for five scales (below 176 pixels) has fewer, weights in proportion.

    Raises:
        InputError: Another shape or type, different sizes, or too small.
    """
    return float(ms_ssim_matrix([first, second])[0, 1])


def ms_ssim_diversity(images: Sequence[ArrayLike]) -> float:
    """Mean MS-SSIM over all pairs of images, as `ms_ssim`; lower is more diverse.

    Raises:
        InputError: As `ms_ssim`; or fewer than two images.
    """
    matrix = ms_ssim_matrix(images)
    n = len(matrix)
    return float((matrix.sum() - n) / (n * (n - 1)))


def ms_ssim_matrix(images: Sequence[ArrayLike]) -> NDArray[np.float64]:
    """(n, n) MS-SSIM of all pairs; 1 on the diagonal.

    Raises:
        InputError: As `ms_ssim`; or fewer than two images.
    """
    stack = check_images(images)
    n, scales = len(stack), scales_of(stack.shape[1:])
    weights = np.array(SCALE_WEIGHTS[:scales]) / sum(SCALE_WEIGHTS[:scales])
    matrix = np.ones((n, n))
    for level, weight in enumerate(weights):
        likeness = _likeness(stack, coarsest=level == scales - 1)
        matrix *= np.clip(likeness, 0, None) ** weight
        height, width = (side // 2 * 2 for side in stack.shape[1:])
        even = stack[:, :height, :width]
        stack = (even[:, ::2, ::2] + even[:, 1::2, ::2] + even[:, ::2, 1::2] + even[:, 1::2, 1::2]) * np.float32(0.25)
    return matrix


def check_images(images: Sequence[ArrayLike]) -> NDArray[np.float32]:
    """(n, h, w) float32, full scale 1.

    Raises:
        InputError: Fewer than two images, another shape or type, different sizes, or too small.
    """
    if len(images) < 2:
        raise InputError(f"{len(images)} image(s): diversity needs at least 2")
    arrays = [np.asarray(image) for image in images]
    for i, array in enumerate(arrays):
        if array.ndim != 2 or array.dtype not in (np.uint8, np.uint16):
            raise InputError(f"image {i}: {array.dtype} {array.shape}; give grey (h, w) images of uint8 or uint16")
        if array.shape != arrays[0].shape:
            raise InputError(f"image {i} is {array.shape}, image 0 {arrays[0].shape}; give images of one size")
    if min(arrays[0].shape) < _WINDOW:
        raise InputError(f"images of {arrays[0].shape} pixels; MS-SSIM needs at least {_WINDOW} a side")
    return np.stack([array.astype(np.float32) / np.float32(np.iinfo(array.dtype).max) for array in arrays])


def scales_of(shape: tuple[int, ...]) -> int:
    """Scales, at most 5, at which the window lies within an image of this shape."""
    return max(1, min(len(SCALE_WEIGHTS), int(np.log2(min(shape) / _WINDOW)) + 1))


def vendi_score(features: ArrayLike, *, order: float = 1.0) -> float:
    """The effective number of different images.

    Args:
        features: (n, d); the kernel is the cosine of two rows. Center them first for features that all point one way.
        order: q of the Rényi entropy: 1 is the Vendi score, less looks at rare images, more at frequent ones (Pasarkar
            and Dieng 2024); may be infinite.

    Returns:
        1 (all alike) to n. Grows with n: compare at equal n.

    Raises:
        InputError: Malformed features, a row of length 0, or q < 0.
    """
    x = _unit_rows(features, order)
    n, d = x.shape
    gram = (x.T @ x if d < n else x @ x.T) / n
    return _effective(np.clip(linalg.eigvalsh(gram, check_finite=False), 0, None), order)


def vendi_influence(features: ArrayLike, *, order: float = 1.0) -> NDArray[np.float64]:
    """(n,) first derivatives of the Vendi score by the weight of an image times n, mean 0.

    An image x adds (v·x)² − λ to the eigenvalue λ of eigenvector v of XᵀX/n.

    Raises:
        InputError: As `vendi_score`.
    """
    x = _unit_rows(features, order)
    n, d = x.shape
    if d < n:
        values, vectors = linalg.eigh(x.T @ x / n, check_finite=False)
        shares = np.square(x @ vectors)
    else:
        values, vectors = linalg.eigh(x @ x.T / n, check_finite=False)
        shares = n * np.square(vectors) * np.clip(values, 0, None)
    kept = values > values[-1] * len(values) * np.finfo(float).eps
    values, gain = values[kept], shares[:, kept] - values[kept]
    score = _effective(values, order)
    if np.isinf(order):
        return np.asarray(-(score**2) * gain[:, -1])
    if order == 1:
        return np.asarray(score * (gain @ -np.log(values)))
    slope = order * values ** (order - 1) / np.sum(values**order)
    return np.asarray(score / (1 - order) * (gain @ slope))


def _unit_rows(features: ArrayLike, order: float) -> NDArray[np.float64]:
    if not order >= 0:
        raise InputError(f"order = {order}: give 0 or more")
    return normalised(check_features(features, least=1), "features")


def _effective(values: NDArray[np.float64], order: float) -> float:
    """Exponential of the Rényi entropy of eigenvalues that sum to 1."""
    values = values[values > values.max() * len(values) * np.finfo(float).eps]
    if np.isinf(order):
        return float(1 / values.max())
    if order == 1:
        return float(np.exp(-np.sum(values * np.log(values))))
    return float(np.sum(values**order) ** (1 / (1 - order)))


def _likeness(stack: NDArray[np.float32], *, coarsest: bool) -> NDArray[np.float64]:
    """(n, n) mean of contrast and structure at one scale, at the coarsest times luminance; 1 on the diagonal."""
    mean = _blurred(stack)
    variance = np.maximum(_blurred(stack * stack) - mean * mean, 0)
    out = np.ones((len(stack), len(stack)))
    step = max(1, _CHUNK // stack[0].size)
    for i in range(len(stack)):
        for j in range(i + 1, len(stack), step):
            others = slice(j, j + step)
            means = mean[i] * mean[others]
            covariance = _blurred(stack[i] * stack[others]) - means
            local = (2 * covariance + _C2) / (variance[i] + variance[others] + _C2)
            if coarsest:
                local *= (2 * means + _C1) / (mean[i] * mean[i] + mean[others] * mean[others] + _C1)
            out[i, others] = out[others, i] = local.mean(axis=(1, 2), dtype=np.float64)
    return out


def _blurred(stack: NDArray[np.float32]) -> NDArray[np.float32]:
    """(n, h, w) → (n, h − 10, w − 10): the Gaussian window where it lies within the image."""
    offsets = np.arange(_WINDOW) - _WINDOW // 2
    window = np.exp(-0.5 * (offsets / _SIGMA) ** 2)
    window = (window / window.sum()).astype(np.float32)
    for axis in (1, 2):
        size = stack.shape[axis] - _WINDOW + 1
        middle = _WINDOW // 2
        total = _shifted(stack, axis, middle, size) * window[middle]
        for t in range(middle):
            pair = _shifted(stack, axis, t, size) + _shifted(stack, axis, _WINDOW - 1 - t, size)
            pair *= window[t]
            total += pair
        stack = total
    return stack


def _shifted(stack: NDArray[np.float32], axis: int, start: int, size: int) -> Any:
    return stack[:, start : start + size] if axis == 1 else stack[:, :, start : start + size]
