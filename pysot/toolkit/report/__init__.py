"""Scores as text, files, figures and an HTML page."""
