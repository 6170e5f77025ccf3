"""Scores of feature sets: Fréchet distance, kernel distances, precision and recall, diversity."""
