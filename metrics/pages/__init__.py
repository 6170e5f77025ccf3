"""HTML pages, SVG plots and tables of text."""
