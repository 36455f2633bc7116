"""Track a data set: run each sequence, in one process or several, and draw the result."""
