"""Findings as edits of a CT: each editor takes a scan and a wish, and returns a scan that shows it, with its mask."""

from importlib import import_module
from pkgutil import iter_modules

# Every module of the package registers its editors in base.EDITORS as it is imported; base imports none of them.
for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")
