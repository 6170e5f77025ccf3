"""CTs of MAISI's models (Guo et al. 2025, arXiv:2409.11169; NV-Generate-CT), and pipelines as MONAI bundles."""
