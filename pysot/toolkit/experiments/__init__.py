"""Experiments on complete data sets: tracking, in one process or several, scoring, and drawing on frames."""
