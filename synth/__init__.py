"""Synthetic radiology imaging: radiographs, CT, masks and reports, and the scores that say what they are worth."""

from pathlib import Path

__version__ = "0.1.0"

# In a bare checkout the parts (kernels, drr, …) lie beside this folder: let `import synth.drr` find them there.
_checkout = Path(__file__).resolve().parent.parent
if (_checkout / "pyproject.toml").is_file():
    __path__.append(str(_checkout))
