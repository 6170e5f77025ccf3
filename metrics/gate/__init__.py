"""May these images train a model: `gate(generated, reference, policy)`."""

from synth.metrics.gate.gating import gate, write_reports
from synth.metrics.gate.policy import Policy, read_policy

__all__ = ["Policy", "gate", "read_policy", "write_reports"]
