"""Where samples come from, one module a source; recipes name them by their kind (synth.dataset.recipe.kinds)."""
