"""Generative models: text to radiograph and text to CT."""
