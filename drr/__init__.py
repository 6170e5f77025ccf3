"""Radiographs from CT: geometry, attenuation, projector, projected masks, presentation."""
