"""Checks of single CTs with masks, and CTs as sets of slices."""
