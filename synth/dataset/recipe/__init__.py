"""Recipes: a YAML file that says what dataset to make."""
