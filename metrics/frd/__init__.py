"""FRD, the Fréchet radiomic distance: `frd(reference, generated)`."""

from synth.metrics.frd.distance import FrdResult, frd

__all__ = ["FrdResult", "frd"]
