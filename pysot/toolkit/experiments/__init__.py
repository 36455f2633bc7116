"""Whole data sets: track them, in one process or several, score the results, and draw them on their frames."""
