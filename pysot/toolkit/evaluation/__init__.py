"""Scores of results."""
