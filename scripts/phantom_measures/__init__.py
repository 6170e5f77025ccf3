"""What scripts/measure_phantoms.py measures, and on what."""
