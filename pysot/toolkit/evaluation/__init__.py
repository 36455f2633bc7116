"""From results to scores."""
