"""Datasets on disk: the folder, its files, and how a run is stopped and resumed."""
