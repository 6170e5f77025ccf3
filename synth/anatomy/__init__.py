"""A population to image: anatomical phantoms, findings in any CT, reports, and who the people are."""
