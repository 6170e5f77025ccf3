"""Scores by subgroup, and whom a classifier underdiagnoses."""
