"""Parts of scripts/classify_phantoms.py: a design of bodies, their films, a small network, and what it can tell."""
