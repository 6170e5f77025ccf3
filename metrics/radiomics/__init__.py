"""Radiomic features of pictures and volumes, as pyradiomics defines them, and fast."""
