"""Training: of our own models in stages, and of published ones on one's own data."""
