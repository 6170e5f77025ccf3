"""Radiographs of patients as samples: views, poses, technique, what lies in the picture."""
