"""The exceptions of the toolkit.

SynthError              anything a user can mend; the command line prints it as one line
├── InputError          bad input or usage: exit code 2
└── InterruptedRun      stopped half-way; what is written is valid and resumable: exit code 130
"""

__all__ = ["InputError", "InterruptedRun", "SynthError"]


class SynthError(Exception):
    """A failure with a one-line message that names the thing at fault and the mend."""

    exit_code = 1


class InputError(SynthError):
    """Bad input or usage: an unreadable file, a contradiction between arguments, a value out of range."""

    exit_code = 2


class InterruptedRun(SynthError):
    """A run that was stopped and can be resumed."""

    exit_code = 130
