"""From two places of images to scores with intervals, floors and p-values: `score(reference, generated)`."""

from synth.metrics.scoring.scores import fid, kid, prdc, score

__all__ = ["fid", "kid", "prdc", "score"]
