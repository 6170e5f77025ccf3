"""The formats of a dataset: PNG, DICOM, NumPy arrays, COCO masks."""
