"""Reports and prompts from what is known of a sample, and back."""

from synth.anatomy.reports.grammar import write_report
from synth.anatomy.reports.parser import parse
from synth.anatomy.reports.prompts import write_prompt

__all__ = ["parse", "write_prompt", "write_report"]
