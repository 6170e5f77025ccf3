"""Feature extractors by name: from images to the vectors that scores compare."""

from synth.metrics.extractors.protocol import Extractor
from synth.metrics.extractors.registry import EXTRACTORS, extractor
from synth.metrics.extractors.run import Features, features, stream_features

__all__ = ["EXTRACTORS", "Extractor", "Features", "extractor", "features", "stream_features"]
