"""Results on disk: which files there are, what their lines say, and whose they are."""
