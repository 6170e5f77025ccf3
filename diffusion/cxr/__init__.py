"""Text to chest X-ray, with masks."""
