"""Pages to look at a dataset."""
