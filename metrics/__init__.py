"""Scores of synthetic images against real ones."""
