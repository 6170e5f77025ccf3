"""Readers that come with the package: what a radiograph shows, to be held against what its record says."""
