"""Whom radiographs and CTs are of: phantoms, or CTs in files."""
